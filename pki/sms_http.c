/*
 * sms_http - one HTTP request.
 */
#include <string.h>

#include "pki/crypto/bundle.h"
#include "pki/net/http.h"
#include "pki/sms_internal.h"
#include "store/base/error.h"
#include "store/config/settings.h"

#define HEADERS_MAX 20

/* What was filled in; the texts belong to the secrets. */
struct filled {
	struct secret *url, *body, *headers[HEADERS_MAX];
	const char *lines[HEADERS_MAX + 1];
};

static gboolean
fill(const struct sms *sms, struct filled *filled, GError **error)
{
	const char *const *headers = handler_config_list(sms->config, "headers");
	const char *type = handler_config_text(sms->config, "content_type");

	filled->url = sms_fill(sms, handler_config_text(sms->config, "url"), SMS_ESCAPE_URL, error);
	filled->body = filled->url == NULL ? NULL
					   : sms_fill(sms, handler_config_text(sms->config, "body"),
						      sms_escape_of(type), error);
	if (filled->body == NULL)
		return FALSE;
	for (guint i = 0; headers[i] != NULL; i++) {
		if (i == HEADERS_MAX)
			return fail_false(error, PS_ERROR_INVALID, "at most %d further fields",
					  HEADERS_MAX);
		filled->headers[i] = sms_fill(sms, headers[i], SMS_ESCAPE_HEADER, error);
		if (filled->headers[i] == NULL)
			return FALSE;
		filled->lines[i] = secret_text(filled->headers[i]);
	}
	return TRUE;
}

static void
filled_clear(struct filled *filled)
{
	secret_unref(filled->url);
	secret_unref(filled->body);
	for (guint i = 0; i < HEADERS_MAX; i++)
		secret_unref(filled->headers[i]);
}

static gboolean
holds(GBytes *body, const char *text)
{
	gsize length;
	const char *bytes = g_bytes_get_data(body, &length);

	return bytes != NULL && memmem(bytes, length, text, strlen(text)) != NULL;
}

static void
judge(const struct sms *sms, const struct http_answer *answer, struct sms_outcome *outcome)
{
	const char *expect = handler_config_text(sms->config, "expect");
	guint status = answer->status;

	if (status / 100 == 2 && *expect != '\0' && !holds(answer->body, expect))
		sms_decide(outcome, SMS_REFUSED,
			   "the server answers %u without the text that means success (expect)",
			   status);
	else if (status / 100 == 2)
		sms_decide(outcome, SMS_SENT, "the server answers %u", status);
	else if (status == 408 || status == 425 || status == 429 || status / 100 == 5)
		sms_decide(outcome, SMS_LATER, "the server answers %u", status);
	else
		sms_decide(outcome, SMS_REFUSED, "the server answers %u", status);
}

static void
ask(const struct sms *sms, const struct filled *filled, struct sms_outcome *outcome)
{
	GPtrArray *anchors = handler_config_certs(sms->config, "ca");
	g_autoptr(GError) why = NULL;
	g_autoptr(GBytes) pem =
	    anchors != NULL && anchors->len > 0 ? bundle_write_pem(anchors, &why) : NULL;
	struct http_tls tls = { .anchors = pem };
	const char *method = handler_config_text(sms->config, "method");
	gboolean basic = handler_config_bool(sms->config, "basic");
	gboolean sent = FALSE;
	struct http_request request = {
		.method = method,
		.url = secret_text(filled->url),
		.shown_url = handler_config_text(sms->config, "url"),
		.headers = filled->lines,
		.auth = basic ? HTTP_AUTH_BASIC : HTTP_AUTH_NONE,
		.user = basic ? handler_config_text(sms->config, "user") : NULL,
		.password = basic ? handler_config_secret(sms->config, "secret") : NULL,
		.tls = pem != NULL ? &tls : NULL,
		.answer_is_secret = TRUE,
		.sent = &sent,
		.timeout_ms = (guint)handler_config_seconds(sms->config, "timeout") * 1000,
	};

	if (strcmp(method, "GET") != 0) {
		request.content_type = handler_config_text(sms->config, "content_type");
		request.secret_body = filled->body;
	}
	if (sms->settings != NULL) {
		request.proxy = sms->settings->fetch_proxy;
		request.no_proxy = (const char *const *)sms->settings->fetch_no_proxy;
	}
	CLEANUP(http_client) struct http_client *client = http_client_new();
	CLEANUP(http_answer) struct http_answer *answer = http_send(client, &request, &why);
	if (answer != NULL)
		judge(sms, answer, outcome);
	else if (sent)
		sms_decide(outcome, SMS_UNKNOWN, "%s", why->message);
	else
		sms_decide(outcome,
			   g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY) ? SMS_LATER
									      : SMS_REFUSED,
			   "%s", why->message);
}

void
sms_by_http(const struct sms *sms, struct sms_outcome *outcome)
{
	struct filled filled = { 0 };
	g_autoptr(GError) why = NULL;

	if (fill(sms, &filled, &why))
		ask(sms, &filled, outcome);
	else
		sms_decide(outcome, SMS_REFUSED, "%s", why->message);
	filled_clear(&filled);
}
