/*
 * dns_txt - one question through libresolv.
 */
#include "pki/net/dns_txt.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <string.h>

#include "store/base/error.h"
#include "store/base/printable.h"

#define ANSWER_MAX_BYTES 65535
#define RECORDS_MAX 100
#define WAIT_SECONDS 3

/* IPv4 alone: the list of servers that libresolv takes from a program has no room for more. */
static gboolean
set_server(struct __res_state *state, const char *server, GError **error)
{
	g_auto(GStrv) parts = g_strsplit(server, ":", 2);
	struct sockaddr_in *address = &state->nsaddr_list[0];
	guint64 port = 53;

	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, parts[0], &address->sin_addr) != 1 ||
	    (parts[1] != NULL && !g_ascii_string_to_unsigned(parts[1], 10, 1, 65535, &port, NULL)))
		return fail_false(error, PS_ERROR_INVALID,
				  "name server '%s': an IPv4 address, or one with :PORT", server);
	address->sin_family = AF_INET;
	address->sin_port = htons((uint16_t)port);
	state->nscount = 1;
	return TRUE;
}

/* RFC 1035 section 3.3.14: strings with their length in front, one text together. */
static char *
text_of(const guint8 *data, gsize length)
{
	GString *text = g_string_new(NULL);

	for (gsize at = 0; at < length; at += data[at] + (gsize)1)
		if (at + 1 + data[at] <= length)
			g_string_append_len(text, (const char *)data + at + 1, data[at]);
	return g_string_free(text, FALSE);
}

static GStrv
read_answer(const guint8 *bytes, int length)
{
	g_autoptr(GStrvBuilder) texts = g_strv_builder_new();
	ns_msg message;
	ns_rr record;

	if (ns_initparse(bytes, length, &message) != 0)
		return g_strv_builder_end(texts);
	for (int i = 0; i < MIN(ns_msg_count(message, ns_s_an), RECORDS_MAX); i++) {
		if (ns_parserr(&message, ns_s_an, i, &record) != 0 ||
		    ns_rr_type(record) != ns_t_txt)
			continue;
		g_autofree char *text = text_of(ns_rr_rdata(record), ns_rr_rdlen(record));
		g_strv_builder_add(texts, text);
	}
	return g_strv_builder_end(texts);
}

GStrv
dns_txt(const char *name, const char *server, GError **error)
{
	struct __res_state state = { 0 };
	g_autofree guint8 *bytes = g_malloc(ANSWER_MAX_BYTES);
	g_autofree char *shown = printable(name);
	GStrv texts = NULL;

	if (res_ninit(&state) != 0)
		return fail(error, PS_ERROR_TEMPORARY, "%s: the resolver cannot be started", shown);
	state.retrans = WAIT_SECONDS;
	state.retry = 1;
	if (server == NULL || *server == '\0' || set_server(&state, server, error)) {
		int length = res_nquery(&state, name, ns_c_in, ns_t_txt, bytes, ANSWER_MAX_BYTES);

		if (length >= 0)
			texts = read_answer(bytes, MIN(length, ANSWER_MAX_BYTES));
		else if (state.res_h_errno == HOST_NOT_FOUND || state.res_h_errno == NO_DATA)
			texts = g_new0(char *, 1);
		else
			fail(error, PS_ERROR_TEMPORARY, "%s: no name server answers", shown);
	}
	res_nclose(&state);
	return texts;
}
