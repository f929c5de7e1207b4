/*
 * milter_send - sends one message through a filter, as an MTA would.
 *
 *     milter_send -s SOCKET -f SENDER -r RCPT... [-a LOGIN] [-d DAEMON] [-c ADDRESS] [-p HELO]
 *                 [-m STAGE:NAME=VALUE]... [-M PARAM]... [-n TIMES] [-q] [FILE]
 *
 * The message as it came out goes to standard output, what happened to the envelope and the
 * reply to standard error. Exit status: 0 accepted, 1 refused for good, 75 refused for now,
 * 3 discarded, 4 quarantined, 2 wrong usage, 5 no connection or a broken protocol.
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/milter_client.h"

static char *socket_name;
static char *sender;
static char **recipients;
static char *login;
static char *daemon_name;
static char *client_address;
static char *helo;
static char **macros;
static char **mail_params;
static int times = 1;
static gboolean quiet;
static char **files;

static const GOptionEntry entries[] = {
	{ "socket", 's', 0, G_OPTION_ARG_STRING, &socket_name, "of the filter", "SOCKET" },
	{ "from", 'f', 0, G_OPTION_ARG_STRING, &sender, "envelope sender", "ADDRESS" },
	{ "to", 'r', 0, G_OPTION_ARG_STRING_ARRAY, &recipients, "envelope recipient", "ADDRESS" },
	{ "auth", 'a', 0, G_OPTION_ARG_STRING, &login, "{auth_authen}", "LOGIN" },
	{ "daemon", 'd', 0, G_OPTION_ARG_STRING, &daemon_name, "{daemon_name}", "NAME" },
	{ "client", 'c', 0, G_OPTION_ARG_STRING, &client_address, "client", "ADDRESS" },
	{ "helo", 'p', 0, G_OPTION_ARG_STRING, &helo, "name in HELO", "NAME" },
	{ "macro", 'm', 0, G_OPTION_ARG_STRING_ARRAY, &macros, "more macros", "STAGE:NAME=VALUE" },
	{ "param", 'M', 0, G_OPTION_ARG_STRING_ARRAY, &mail_params, "of MAIL", "PARAM" },
	{ "times", 'n', 0, G_OPTION_ARG_INT, &times, "send it so often", "TIMES" },
	{ "quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet, "do not print the message", NULL },
	{ G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &files, NULL, "[FILE]" },
	{ 0 },
};

static int
refused(const struct milter_reply *reply)
{
	if (reply->code == 'y' && reply->text[0] == '4')
		return 75;
	if (reply->code == 't')
		return 75;
	return 1;
}

static int
status_of(const struct milter_result *result)
{
	switch (result->reply.code) {
	case 'c':
	case 'a':
		return result->quarantine != NULL ? 4 : 0;
	case 'd':
		return 3;
	case 'r':
	case 't':
	case 'y':
		return refused(&result->reply);
	default:
		return 5;
	}
}

static void
set_macros(struct milter_client *client)
{
	const char *address = client_address == NULL ? "127.0.0.1" : client_address;

	milter_client_macro(client, 'C', "{daemon_name}",
			    daemon_name == NULL ? "smtpd" : daemon_name);
	milter_client_macro(client, 'C', "{client_addr}", address);
	milter_client_macro(client, 'C', "j", "mx.example.com");
	milter_client_macro(client, 'M', "{mail_addr}", sender);
	if (login != NULL)
		milter_client_macro(client, 'M', "{auth_authen}", login);
	milter_client_macro(client, 'E', "i", "4TESTQUEUEID");
	for (guint i = 0; macros != NULL && macros[i] != NULL; i++) {
		g_auto(GStrv) pair = NULL;

		if (macros[i][0] == '\0' || macros[i][1] != ':')
			continue;
		pair = g_strsplit(macros[i] + 2, "=", 2);
		if (pair[0] != NULL && pair[1] != NULL)
			milter_client_macro(client, macros[i][0], pair[0], pair[1]);
	}
}

static void
report(const struct milter_result *result)
{
	for (guint i = 0; i < result->removed->len; i++)
		g_printerr("removed %s\n", (const char *)g_ptr_array_index(result->removed, i));
	for (guint i = 0; i < result->added->len; i++)
		g_printerr("added %s\n", (const char *)g_ptr_array_index(result->added, i));
	if (result->from != NULL)
		g_printerr("from %s\n", result->from);
	if (result->quarantine != NULL)
		g_printerr("quarantine %s\n", result->quarantine);
	g_printerr("%c at %c%s%s\n", result->reply.code, result->step,
		   result->reply.text == NULL ? "" : ": ",
		   result->reply.text == NULL ? "" : result->reply.text);
}

static gboolean
session_start(struct milter_client *client, struct milter_reply *reply, GError **error)
{
	const char *address = client_address == NULL ? "127.0.0.1" : client_address;

	return milter_client_connect(client, "client.example.com", address, 40000, reply, error) &&
	       (reply->code != 'c' ||
		milter_client_helo(client, helo == NULL ? "client.example.com" : helo, reply,
				   error));
}

/* One that is refused is left out, as an MTA does. */
static gboolean
recipient_send(struct milter_client *client, const char *address, guint *kept,
	       struct milter_reply *refusal, GError **error)
{
	g_autofree char *recipient = g_strdup_printf("<%s>", address);
	const char *args[] = { recipient, NULL };
	struct milter_reply reply = { 0 };

	milter_client_macro(client, 'R', "{rcpt_addr}", address);
	if (!milter_client_rcpt(client, args, &reply, error))
		return FALSE;
	if (reply.code == 'c') {
		(*kept)++;
		return TRUE;
	}
	g_printerr("refused %s: %c%s%s\n", recipient, reply.code, reply.text == NULL ? "" : " ",
		   reply.text == NULL ? "" : reply.text);
	milter_reply_clear(refusal);
	*refusal = reply;
	return TRUE;
}

static gboolean
envelope_send(struct milter_client *client, struct milter_result *result, const char *text,
	      gsize length, GError **error)
{
	g_autoptr(GPtrArray) mail = g_ptr_array_new_with_free_func(g_free);
	struct milter_reply reply = { 0 }, refusal = { 0 };
	guint kept = 0;

	g_ptr_array_add(mail, g_strdup_printf("<%s>", sender));
	for (guint i = 0; mail_params != NULL && mail_params[i] != NULL; i++)
		g_ptr_array_add(mail, g_strdup(mail_params[i]));
	g_ptr_array_add(mail, NULL);
	if (!milter_client_mail(client, (const char *const *)mail->pdata, &reply, error))
		return FALSE;
	for (guint i = 0; reply.code == 'c' && recipients[i] != NULL; i++)
		if (!recipient_send(client, recipients[i], &kept, &refusal, error))
			return FALSE;
	if (kept > 0) {
		milter_reply_clear(&refusal);
		return milter_client_message(client, text, length, result, error);
	}
	milter_result_init(result);
	result->reply = reply.code == 'c' ? refusal : reply;
	result->step = reply.code == 'c' ? 'R' : 'M';
	return TRUE;
}

static int
run(const char *text, gsize length, GError **error)
{
	struct milter_client *client = milter_client_open(socket_name, NULL, error);
	struct milter_reply reply = { 0 };
	struct milter_result result;
	g_autoptr(GByteArray) message = NULL;
	int status = 5;

	if (client == NULL)
		return 5;
	set_macros(client);
	if (session_start(client, &reply, error) && reply.code != 'c') {
		g_printerr("%c before the message\n", reply.code);
		status = refused(&reply);
		times = 0;
	}
	for (int i = 0; *error == NULL && i < times; i++) {
		if (!envelope_send(client, &result, text, length, error))
			break;
		status = status_of(&result);
		if (i + 1 == times) {
			report(&result);
			message = milter_result_message(&result);
			if (!quiet && (status == 0 || status == 4))
				fwrite(message->data, 1, message->len, stdout);
		}
		milter_result_clear(&result);
	}
	milter_reply_clear(&reply);
	milter_client_close(client);
	return *error != NULL ? 5 : status;
}

static char *
input_read(gsize *length, GError **error)
{
	g_autoptr(GString) all = g_string_new(NULL);
	char piece[65536];
	gsize n;
	char *text;

	if (files != NULL && files[0] != NULL && strcmp(files[0], "-") != 0)
		return g_file_get_contents(files[0], &text, length, error) ? text : NULL;
	while ((n = fread(piece, 1, sizeof piece, stdin)) > 0)
		g_string_append_len(all, piece, (gssize)n);
	*length = all->len;
	return g_string_free(g_steal_pointer(&all), FALSE);
}

int
main(int argc, char **argv)
{
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL;
	gsize length = 0;
	int status;

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error) || socket_name == NULL ||
	    sender == NULL || recipients == NULL) {
		g_printerr("milter_send: %s\n", error != NULL ? error->message
							      : "socket, sender and recipient are "
								"needed");
		return 2;
	}
	text = input_read(&length, &error);
	if (text == NULL) {
		g_printerr("milter_send: %s\n", error->message);
		return 2;
	}
	status = run(text, length, &error);
	if (error != NULL)
		g_printerr("milter_send: %s\n", error->message);
	return status;
}
