/*
 * acme_wire - signed requests to an ACME server.
 */
#include "pki/handlers/acme_wire.h"

#include <string.h>

#include "pki/crypto/jws.h"
#include "pki/crypto/key.h"
#include "pki/handlers/acme_account.h"
#include "pki/handlers/acme_rollover.h"
#include "store/base/clock.h"
#include "store/base/error.h"

#define NONCE_TRIES 8
#define NONCE_MAX_BYTES 1000
#define SLICE_US (100 * 1000)

static const char *const json_headers[] = { "Accept: application/json", NULL };

/* ---- how it ends ----------------------------------------------------------------------------- */

gboolean
acme_fail(struct acme *acme, GError *error)
{
	if (acme->error == NULL)
		acme->error = error;
	else
		g_error_free(error);
	return FALSE;
}

gboolean
acme_stop(struct acme *acme, enum handler_status status, enum handler_error_class error_class,
	  const char *code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	g_autofree char *text = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	handler_answer_set(acme->answer, status, error_class, code, "%s", text);
	return FALSE;
}

gboolean
acme_stop_problem(struct acme *acme, const char *what, const struct acme_problem *problem)
{
	struct acme_meaning meaning = acme_problem_meaning(problem);

	return acme_stop(acme, meaning.status, meaning.error_class, problem->type, "%s%s%s",
			 what != NULL ? what : "", what != NULL ? ": " : "",
			 *problem->detail != '\0' ? problem->detail : problem->type);
}

gboolean
acme_end(struct acme *acme, GError **error)
{
	if (acme->error == NULL)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&acme->error));
	return FALSE;
}

gboolean
acme_stopping(const struct acme *acme)
{
	return acme->context->stopping != NULL && acme->context->stopping(acme->context->data);
}

gboolean
acme_wait(struct acme *acme, gint64 milliseconds)
{
	gint64 until = clock_monotonic_us() + milliseconds * 1000;

	if (until > acme->deadline_us)
		return FALSE;
	while (clock_monotonic_us() < until) {
		if (acme_stopping(acme))
			return FALSE;
		g_usleep(MIN(SLICE_US, (gulong)MAX(until - clock_monotonic_us(), 1)));
	}
	return TRUE;
}

/* ---- requests -------------------------------------------------------------------------------- */

static void
keep_nonce(struct acme *acme, const struct http_answer *got)
{
	const char *nonce = http_header(got, "replay-nonce");

	g_clear_pointer(&acme->nonce, g_free);
	if (nonce == NULL || *nonce == '\0' || strlen(nonce) > NONCE_MAX_BYTES)
		return;
	for (const char *p = nonce; *p != '\0'; p++)
		if (!g_ascii_isalnum(*p) && *p != '-' && *p != '_')
			return;
	acme->nonce = g_strdup(nonce);
}

static struct http_answer *
exchange(struct acme *acme, struct http_request *request, gboolean acts)
{
	GError *why = NULL;
	gboolean sent = FALSE;
	struct http_answer *got = peer_send(acme->peer, request, &sent, &why);

	if (got == NULL) {
		peer_lost(why, acts, sent, acme->answer);
		g_error_free(why);
		return NULL;
	}
	keep_nonce(acme, got);
	return got;
}

static gboolean
fetch_nonce(struct acme *acme)
{
	struct http_request request = { .method = "HEAD", .url = acme->directory->new_nonce };

	if (acme->nonce != NULL)
		return TRUE;
	CLEANUP(http_answer) struct http_answer *got = exchange(acme, &request, FALSE);
	if (got == NULL)
		return FALSE;
	if (acme->nonce != NULL)
		return TRUE;
	peer_failure(acme->context, got, FALSE, NULL, "the server gives no nonce", acme->answer);
	return FALSE;
}

/* jansson's own memory may be of another kind. */
char *
acme_json_text(const json_t *json)
{
	gsize length = json_dumpb(json, NULL, 0, JSON_COMPACT);
	char *text = g_malloc(length + 1);

	json_dumpb(json, text, length, JSON_COMPACT);
	text[length] = '\0';
	return text;
}

static char *
protected_header(struct acme *acme, const struct acme_call *call, GError **error)
{
	const struct key *key = call->as != NULL ? call->as : acme->key;
	json_t *header = json_pack("{s:s, s:s, s:s}", "alg",
				   jws_algorithm(key) != NULL ? jws_algorithm(key) : "", "nonce",
				   acme->nonce, "url", call->url);

	if (call->as != NULL) {
		g_autofree char *jwk = jws_jwk(key, error);
		if (jwk == NULL) {
			json_decref(header);
			return NULL;
		}
		json_object_set_new(header, "jwk", json_loads(jwk, 0, NULL));
	} else {
		json_object_set_new(header, "kid", json_string(acme->kid));
	}
	char *text = acme_json_text(header);
	json_decref(header);
	return text;
}

static GBytes *
signed_body(struct acme *acme, const struct acme_call *call, const char *payload)
{
	GError *error = NULL;
	g_autofree char *header = protected_header(acme, call, &error);
	char *jws = header != NULL
			? jws_sign(call->as != NULL ? call->as : acme->key, header, payload, &error)
			: NULL;

	if (jws == NULL) {
		acme_fail(acme, error);
		return NULL;
	}
	return g_bytes_new_take(jws, strlen(jws));
}

static struct http_answer *
post_once(struct acme *acme, const struct acme_call *call, const char *payload)
{
	g_autofree char *accept =
	    g_strconcat("Accept: ", call->accept != NULL ? call->accept : "application/json", NULL);
	const char *headers[] = { accept, NULL };

	if (!fetch_nonce(acme))
		return NULL;
	g_autoptr(GBytes) body = signed_body(acme, call, payload);
	/* A nonce is good for one request, whatever becomes of that. */
	g_clear_pointer(&acme->nonce, g_free);
	if (body == NULL)
		return NULL;
	struct http_request request = {
		.method = "POST",
		.url = call->url,
		.content_type = "application/jose+json",
		.body = body,
		.headers = headers,
	};
	return exchange(acme, &request, call->acts);
}

static struct acme_problem *
problem_of(const struct http_answer *got)
{
	json_t *json = got->status >= 400 ? peer_json(got, NULL) : NULL;
	struct acme_problem *problem = json != NULL ? acme_problem_read(json) : NULL;

	json_decref(json);
	return problem;
}

static void
note_retry_after(struct acme *acme, const struct http_answer *got)
{
	if (got->retry_after > 0)
		acme->answer->not_before = clock_now(acme->context->clock) + got->retry_after;
}

/* What a server says to a signature by a key that is the account's no more. */
static gboolean
may_be_the_key(struct acme *acme, const struct acme_call *call, const struct acme_problem *problem)
{
	return call->as == NULL &&
	       (acme_problem_is(problem, "unauthorized") || acme_problem_is(problem, "malformed") ||
		acme_problem_is(problem, "accountDoesNotExist")) &&
	       strcmp(call->url, acme->directory->key_change != NULL ? acme->directory->key_change
								     : "") != 0 &&
	       acme_rollover_is_under_way(acme);
}

/* badNonce is answered by the same request with the nonce that came along (section 6.5). */
struct http_answer *
acme_post(struct acme *acme, const struct acme_call *call, struct acme_problem **problem)
{
	g_autofree char *payload =
	    call->payload != NULL ? acme_json_text(call->payload) : g_strdup("");
	CLEANUP(http_answer) struct http_answer *got = NULL;
	CLEANUP(acme_problem) struct acme_problem *said = NULL;

	json_decref(call->payload);
	if (problem != NULL)
		*problem = NULL;
	for (guint i = 0; i < NONCE_TRIES; i++) {
		g_clear_pointer(&got, http_answer_free);
		g_clear_pointer(&said, acme_problem_free);
		got = post_once(acme, call, payload);
		if (got == NULL)
			return NULL;
		if (got->status >= 200 && got->status < 300)
			return g_steal_pointer(&got);
		said = problem_of(got);
		if (!acme_problem_is(said, "badNonce"))
			break;
	}
	note_retry_after(acme, got);
	if (said == NULL)
		peer_failure(acme->context, got, call->acts, NULL, NULL, acme->answer);
	else if (may_be_the_key(acme, call, said))
		acme_stop(acme, HANDLER_RETRY, HANDLER_ERROR_TRANSIENT, NULL,
			  "the key of the account is being changed");
	else if (acme_problem_is(said, "accountDoesNotExist") && call->as == NULL)
		acme_account_lost(acme);
	else if (problem != NULL)
		*problem = g_steal_pointer(&said);
	else
		acme_stop_problem(acme, NULL, said);
	return NULL;
}

static json_t *
json_of(struct acme *acme, const struct http_answer *got, gboolean acts)
{
	g_autoptr(GError) why = NULL;
	json_t *json = peer_json(got, &why);

	if (json == NULL)
		peer_failure(acme->context, got, acts, NULL, why->message, acme->answer);
	return json;
}

json_t *
acme_post_json(struct acme *acme, const struct acme_call *call, struct http_answer **got,
	       struct acme_problem **problem)
{
	CLEANUP(http_answer) struct http_answer *answer = acme_post(acme, call, problem);
	json_t *json = answer != NULL ? json_of(acme, answer, call->acts) : NULL;

	if (got != NULL)
		*got = json != NULL ? g_steal_pointer(&answer) : NULL;
	return json;
}

json_t *
acme_get_json(struct acme *acme, const char *url, struct http_answer **got)
{
	struct http_request request = { .method = "GET", .url = url, .headers = json_headers };
	CLEANUP(http_answer) struct http_answer *answer = exchange(acme, &request, FALSE);

	if (got != NULL)
		*got = NULL;
	if (answer == NULL)
		return NULL;
	if (answer->status != 200) {
		CLEANUP(acme_problem) struct acme_problem *problem = problem_of(answer);
		note_retry_after(acme, answer);
		if (problem != NULL)
			acme_stop_problem(acme, NULL, problem);
		else
			peer_failure(acme->context, answer, FALSE, NULL, NULL, acme->answer);
		return NULL;
	}
	json_t *json = json_of(acme, answer, FALSE);
	if (json != NULL && got != NULL)
		*got = g_steal_pointer(&answer);
	return json;
}

/* ---- the conversation ------------------------------------------------------------------------ */

static gboolean
read_directory(struct acme *acme)
{
	g_autoptr(GError) why = NULL;
	json_t *json = acme_get_json(acme, acme->directory_url, NULL);

	if (json == NULL)
		return FALSE;
	acme->directory = acme_directory_read(json, &why);
	json_decref(json);
	if (acme->directory == NULL)
		return acme_stop(acme, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL, "%s",
				 why->message);
	return TRUE;
}

struct acme *
acme_open(const struct handler_context *context, struct handler_answer *answer, GError **error)
{
	const struct peer_options options = {
		.timeout = handler_config_seconds(context->config, "timeout"),
		.bundle_key = "ca_bundle",
	};
	CLEANUP(acme) struct acme *acme = g_new0(struct acme, 1);

	acme->context = context;
	acme->answer = answer;
	acme->directory_url = g_strdup(handler_config_text(context->config, "directory_url"));
	acme->deadline_us =
	    clock_monotonic_us() + handler_config_seconds(context->config, "wait") * G_USEC_PER_SEC;
	acme->peer = peer_open(context, &options, error);
	if (acme->peer == NULL || !read_directory(acme))
		return NULL;
	return g_steal_pointer(&acme);
}

void
acme_free(struct acme *acme)
{
	if (acme == NULL)
		return;
	acme_directory_free(acme->directory);
	g_free(acme->directory_url);
	key_unref(acme->key);
	g_free(acme->kid);
	g_free(acme->thumbprint);
	peer_free(acme->peer);
	g_free(acme->nonce);
	g_clear_error(&acme->error);
	g_free(acme);
}
