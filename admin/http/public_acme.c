/*
 * public_acme - answers to http-01 (RFC 8555 section 8.3): a key authorization under its token.
 *
 * They are rows, so that any daemon of the site answers, whoever has ordered.
 */
#include <string.h>

#include "admin/http/public_private.h"
#include "milter/gateway.h"
#include "store/acme_orders.h"
#include "store/base/clock.h"
#include "store/base/error.h"

#define TOKEN_MAX_BYTES 500

static gboolean
is_token(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if (!g_ascii_isalnum(*p) && *p != '-' && *p != '_')
			return FALSE;
	return *text != '\0' && strlen(text) <= TOKEN_MAX_BYTES;
}

struct public_answer *
public_acme_handle(const struct public_request *request, gpointer data)
{
	struct public *public = data;
	struct gateway *gateway = public->gateway;
	g_autoptr(GError) why = NULL;

	if (!is_token(request->rest))
		return public_answer_text(404, "no such challenge");
	char *text =
	    acme_challenges_answer(gateway->db, request->rest, clock_now(gateway->clock), &why);
	if (text == NULL)
		return g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND)
			   ? public_answer_text(404, "no such challenge")
			   : public_answer_text(503, "try again later");
	g_autoptr(GBytes) body = g_bytes_new_take(text, strlen(text));
	const struct public_answer_spec spec = {
		.status = 200,
		.content_type = "application/octet-stream",
		.body = body,
		.last_modified = CLOCK_NEVER,
		.expires = CLOCK_NEVER,
	};
	return public_answer_new(&spec);
}
