/*
 * cmp_issuer - cmp_server behind two pipes: a line in, a line out.
 *
 *     cmp_issuer CA-FILE REFERENCE SECRET
 *
 * msg HEX: the answer in hex, empty for none. set NAME NUMBER: ok. forget: ok. stats: JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "store/base/hex.h"
#include "tests/support/cmp_server.h"

static void
answer_message(struct cmp_server *server, const char *hex)
{
	gsize length = strlen(hex) / 2;
	guint8 *bytes = g_malloc(length + 1);

	for (gsize i = 0; i < length; i++)
		bytes[i] = (guint8)(g_ascii_xdigit_value(hex[2 * i]) << 4 |
				    g_ascii_xdigit_value(hex[2 * i + 1]));
	g_autoptr(GBytes) in = g_bytes_new_take(bytes, length);
	g_autoptr(GBytes) out = cmp_server_answer(server, in);
	g_autofree char *text = out != NULL
				    ? hex_encode(g_bytes_get_data(out, NULL), g_bytes_get_size(out))
				    : g_strdup("");
	puts(text);
}

static gboolean
set(struct cmp_server_options *options, const char *name, int value)
{
	const struct {
		const char *name;
		gboolean *flag;
	} flags[] = {
		{ "implicit_confirm", &options->implicit_confirm },
		{ "refuse_twice", &options->refuse_twice },
		{ "unprotected_errors", &options->unprotected_errors },
		{ "wrong_name", &options->wrong_name },
		{ "silent_about_itself", &options->silent_about_itself },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(flags); i++)
		if (strcmp(flags[i].name, name) == 0) {
			*flags[i].flag = value != 0;
			return TRUE;
		}
	if (strcmp(name, "polls") == 0)
		options->polls = (guint)value;
	else if (strcmp(name, "check_after") == 0)
		options->check_after = value;
	else if (strcmp(name, "failure") == 0)
		options->failure = value;
	else
		return FALSE;
	return TRUE;
}

static void
act(struct cmp_server *server, char *line)
{
	g_auto(GStrv) words = g_strsplit(g_strchomp(line), " ", 3);

	if (g_strcmp0(words[0], "msg") == 0 && words[1] != NULL) {
		answer_message(server, words[1]);
	} else if (g_strcmp0(words[0], "set") == 0 && words[1] != NULL && words[2] != NULL) {
		puts(set(cmp_server_options(server), words[1],
			 (int)g_ascii_strtoll(words[2], NULL, 10))
			 ? "ok"
			 : "unknown");
	} else if (g_strcmp0(words[0], "forget") == 0) {
		cmp_server_forget(server);
		puts("ok");
	} else {
		printf("{\"issued\": %u, \"confirmed\": %u, \"rejected\": %u, \"revoked\": %u}\n",
		       cmp_server_issued(server), cmp_server_confirmed(server),
		       cmp_server_rejected(server), cmp_server_revoked(server));
	}
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	char *line = NULL;
	size_t room = 0;

	if (argc != 4)
		return 2;
	const struct cmp_server_options options = {
		.reference = argv[2], .secret = argv[3], .check_after = 1, .failure = -1
	};
	struct cmp_server *server = cmp_server_new(&options);
	GBytes *ca = cmp_server_ca(server);
	if (!g_file_set_contents(argv[1], g_bytes_get_data(ca, NULL), (gssize)g_bytes_get_size(ca),
				 NULL))
		return 1;
	while (getline(&line, &room, stdin) > 0)
		act(server, line);
	free(line);
	cmp_server_free(server);
	return 0;
}
