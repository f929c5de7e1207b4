/*
 * public_ocsp - OCSP over HTTP (RFC 6960 appendix A, RFC 5019 section 6).
 *
 * GET /ocsp/NAME/REQUEST and /ocsp/REQUEST, POST /ocsp and /ocsp/NAME. The name of the CA is for
 * the eyes of administrators and caches: the request itself says who issued.
 */
#include <string.h>

#include "admin/http/public_private.h"
#include "milter/gateway.h"
#include "pki/ocsp_responder.h"
#include "store/base/clock.h"
#include "store/base/hex.h"
#include "store/cache.h"
#include "store/config/settings.h"
#include "store/db/changelog.h"

#define MEDIA_TYPE "application/ocsp-response"
#define GET_MAX_BYTES 4096
#define COST_BYTES 512 /* of an answer beside its octets */

struct public_answer *
public_ocsp_refusal(guint8 status)
{
	g_autoptr(GBytes) body = ocsp_answer_refuse((enum ocsp_refusal)status);
	const struct public_answer_spec spec = {
		.status = 200,
		.content_type = MEDIA_TYPE,
		.body = body,
		.last_modified = CLOCK_NEVER,
		.expires = CLOCK_NEVER,
	};

	return public_answer_new(&spec);
}

/* A request in DER begins with 0x30, and so with 'M': never with a digit of hex. */
static const char *
without_name(const char *rest)
{
	const char *slash = strchr(rest, '/');

	if (slash == NULL)
		return rest;
	for (const char *p = rest; p < slash; p++)
		if (!g_ascii_isxdigit(*p))
			return rest;
	return slash + 1;
}

/* Base64 as a path has it, also with what some leave away of its padding. */
static gboolean
decode(const char *text, guint8 *bytes, gsize *length)
{
	gint state = 0;
	guint save = 0;
	gsize size = strlen(text);

	if (size == 0 || size > GET_MAX_BYTES)
		return FALSE;
	for (const char *p = text; *p != '\0'; p++)
		if (!g_ascii_isalnum(*p) && strchr("+/=", *p) == NULL)
			return FALSE;
	*length = g_base64_decode_step(text, size, bytes, &state, &save);
	if (size % 4 != 0)
		*length +=
		    g_base64_decode_step("===", 4 - size % 4, bytes + *length, &state, &save);
	return TRUE;
}

/* The inquiry points into `space` or into the body. */
static gboolean
read_request(const struct public_request *request, guint8 space[GET_MAX_BYTES],
	     struct ocsp_inquiry *inquiry)
{
	gsize length;

	if (request->method == PUBLIC_POST) {
		gconstpointer bytes = g_bytes_get_data(request->body, &length);
		return ocsp_inquiry_read(bytes, length, inquiry, NULL);
	}
	return decode(without_name(request->rest), space, &length) &&
	       ocsp_inquiry_read(space, length, inquiry, NULL);
}

static struct ocsp_policy
policy_of(struct public *public)
{
	const struct settings *settings = gateway_settings(public->gateway);

	return (struct ocsp_policy){ settings->ocsp_validity,
				     strcmp(settings->ocsp_nonce, "repeat") == 0 };
}

struct public_answer *
public_ocsp_peek(const struct public_request *request, gpointer data)
{
	struct public *public = data;
	guint8 space[GET_MAX_BYTES];
	struct ocsp_inquiry inquiry;
	char name[OCSP_NAME_BYTES];
	const struct ocsp_policy policy = policy_of(public);

	if (!read_request(request, space, &inquiry))
		return public_answer_ref(public->malformed);
	switch (ocsp_responder_name(public->responder, &inquiry, &policy, name)) {
	case OCSP_NAMED:
		return cache_get(public->answers, name);
	case OCSP_NOBODYS:
		return public_answer_ref(public->unauthorized);
	case OCSP_UNNAMED:
		break;
	}
	return NULL;
}

static struct public_answer *
answer_of(const struct ocsp_reply *reply)
{
	const struct public_answer_spec spec = {
		.status = 200,
		.content_type = MEDIA_TYPE,
		.body = reply->der,
		.last_modified = reply->refresh != 0 ? reply->this_update : CLOCK_NEVER,
		.expires = reply->refresh != 0 ? reply->next_update : CLOCK_NEVER,
		.fresh = reply->refresh,
	};

	return public_answer_new(&spec);
}

struct public_answer *
public_ocsp_handle(const struct public_request *request, gpointer data)
{
	struct public *public = data;
	guint8 space[GET_MAX_BYTES];
	struct ocsp_inquiry inquiry;
	char name[OCSP_NAME_BYTES];
	const struct ocsp_policy policy = policy_of(public);
	struct cache_moment began = cache_moment(public->answers);

	if (!read_request(request, space, &inquiry))
		return public_answer_ref(public->malformed);
	CLEANUP(ocsp_reply)
	struct ocsp_reply *reply = ocsp_responder_answer(public->responder, &inquiry, &policy);
	struct public_answer *answer = answer_of(reply);
	if (reply->rests_on != NULL &&
	    ocsp_responder_name(public->responder, &inquiry, &policy, name) == OCSP_NAMED) {
		change_tag tag = change_tag_of(CHANGE_OCSP, reply->rests_on);

		cache_put(public->answers, name, answer, g_bytes_get_size(reply->der) + COST_BYTES,
			  reply->refresh, &tag, 1, began);
	}
	return answer;
}
