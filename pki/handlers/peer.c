/*
 * peer - exchanges with a CA, and what their outcome means.
 */
#include "pki/handlers/peer.h"

#include <string.h>

#include "pki/crypto/bundle.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/key.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/printable.h"
#include "store/base/secret.h"
#include "store/config/settings.h"

#define TIMEOUT_SECONDS 30
#define SECRET_ANSWER_MAX_BYTES (64 * 1024)
#define DEEP_MAX 32

struct peer {
	const struct handler_context *context;
	struct http_client *client;
	struct http_tls tls;
	GBytes *anchors, *certs;
	struct secret *key;
	enum http_auth auth;
	char *user;
	struct secret *password;
	unsigned int timeout_ms;
};

static gboolean
load_identity(struct peer *peer, const struct peer_options *options, GError **error)
{
	const struct handler_config *config = peer->context->config;
	GPtrArray *certs = handler_config_certs(config, options->certs_key);
	struct key *key = handler_config_key(config, options->private_key);

	/* A key alone waits for its certificate. */
	if (certs == NULL || certs->len == 0)
		return TRUE;
	if (key == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "'%s' is set, but its private key '%s' is not",
				  options->certs_key, options->private_key);
	if (!key_fits(key, g_ptr_array_index(certs, 0)))
		return fail_false(error, PS_ERROR_INVALID,
				  "the private key '%s' does not belong to the certificate '%s'",
				  options->private_key, options->certs_key);
	peer->certs = bundle_write_pem(certs, error);
	peer->key = peer->certs != NULL ? key_to_pkcs8(key, error) : NULL;
	return peer->key != NULL;
}

static gboolean
load(struct peer *peer, const struct peer_options *options, GError **error)
{
	const struct handler_config *config = peer->context->config;
	GPtrArray *anchors =
	    options->bundle_key != NULL ? handler_config_certs(config, options->bundle_key) : NULL;

	if (anchors != NULL && anchors->len > 0) {
		peer->anchors = bundle_write_pem(anchors, error);
		if (peer->anchors == NULL)
			return FALSE;
	}
	if (options->certs_key != NULL && !load_identity(peer, options, error))
		return FALSE;
	peer_set_login(
	    peer, options->auth,
	    options->user_key != NULL ? handler_config_text(config, options->user_key) : NULL,
	    options->password_key != NULL ? handler_config_secret(config, options->password_key)
					  : NULL);
	return TRUE;
}

struct peer *
peer_open(const struct handler_context *context, const struct peer_options *options, GError **error)
{
	CLEANUP(peer) struct peer *peer = g_new0(struct peer, 1);

	peer->context = context;
	peer->client = http_client_new();
	peer->timeout_ms =
	    (unsigned int)(options->timeout != 0 ? options->timeout : TIMEOUT_SECONDS) * 1000;
	if (!load(peer, options, error))
		return NULL;
	peer->tls = (struct http_tls){ .anchors = peer->anchors,
				       .certs = peer->certs,
				       .key = peer->key,
				       .version_1_2 = options->version_1_2 };
	return g_steal_pointer(&peer);
}

void
peer_free(struct peer *peer)
{
	if (peer == NULL)
		return;
	http_client_free(peer->client);
	g_clear_pointer(&peer->anchors, g_bytes_unref);
	g_clear_pointer(&peer->certs, g_bytes_unref);
	secret_unref(peer->key);
	secret_unref(peer->password);
	g_free(peer->user);
	g_free(peer);
}

void
peer_set_login(struct peer *peer, enum http_auth auth, const char *user, struct secret *password)
{
	struct secret *before = peer->password;

	peer->auth = auth;
	peer->password = password != NULL ? secret_ref(password) : NULL;
	secret_unref(before);
	g_free(peer->user);
	peer->user = g_strdup(user);
}

void
peer_set_bearer(struct peer *peer, struct secret *token)
{
	peer_set_login(peer, token != NULL ? HTTP_AUTH_BEARER : HTTP_AUTH_NONE, NULL, token);
}

gboolean
peer_set_anchors(struct peer *peer, GPtrArray *certs, GError **error)
{
	GBytes *anchors = bundle_write_pem(certs, error);

	if (anchors == NULL)
		return FALSE;
	g_clear_pointer(&peer->anchors, g_bytes_unref);
	peer->anchors = peer->tls.anchors = anchors;
	return TRUE;
}

gboolean
peer_set_identity(struct peer *peer, struct cert *cert, const struct key *key, GError **error)
{
	g_autoptr(GPtrArray) certs = g_ptr_array_new();
	struct secret *der = key_to_pkcs8(key, error);

	if (der == NULL)
		return FALSE;
	g_ptr_array_add(certs, cert);
	GBytes *pem = bundle_write_pem(certs, error);
	if (pem == NULL) {
		secret_unref(der);
		return FALSE;
	}
	g_clear_pointer(&peer->certs, g_bytes_unref);
	secret_unref(peer->key);
	peer->certs = peer->tls.certs = pem;
	peer->key = der;
	peer->tls.key = der;
	return TRUE;
}

static gboolean
goes_on(gpointer data)
{
	const struct handler_context *context = data;

	return context->stopping == NULL || !context->stopping(context->data);
}

/* The proxy of the settings; what is to be reached without it is. */
static void
set_proxy(const struct peer *peer, struct http_request *request)
{
	const struct settings *settings = peer->context->settings;

	if (settings == NULL || *settings->fetch_proxy == '\0')
		return;
	request->proxy = settings->fetch_proxy;
	request->no_proxy = (const char *const *)settings->fetch_no_proxy;
}

struct http_answer *
peer_send(struct peer *peer, struct http_request *request, gboolean *sent, GError **error)
{
	gboolean unused;

	request->sent = sent != NULL ? sent : &unused;
	request->tls = &peer->tls;
	if (request->auth == HTTP_AUTH_NONE) {
		request->auth = peer->auth;
		request->user = peer->user;
		request->password = peer->password;
	}
	if (request->timeout_ms == 0)
		request->timeout_ms = peer->timeout_ms;
	if (request->answer_max_bytes == 0)
		request->answer_max_bytes =
		    request->answer_is_secret ? SECRET_ANSWER_MAX_BYTES : PEER_ANSWER_MAX_BYTES;
	set_proxy(peer, request);
	request->waiting = goes_on;
	request->waiting_data = (gpointer)(guintptr)peer->context;
	return http_send(peer->client, request, error);
}

/* --- what came, and what it means --- */

void
peer_lost(const GError *why, gboolean acts, gboolean sent, struct handler_answer *answer)
{
	enum handler_error_class error_class = acts && sent ? HANDLER_ERROR_CONFLICT
					       : g_error_matches(why, PS_ERROR, PS_ERROR_DENIED)
						   ? HANDLER_ERROR_CONFIG
						   : HANDLER_ERROR_TRANSIENT;

	handler_answer_set(answer, HANDLER_RETRY, error_class, NULL, "%s%s", why->message,
			   acts && sent ? "; the request may have arrived" : "");
}

static gboolean
is_html(const struct http_answer *got)
{
	return got->content_type != NULL &&
	       (g_ascii_strncasecmp(got->content_type, "text/html", 9) == 0 ||
		g_ascii_strncasecmp(got->content_type, "application/xhtml", 17) == 0);
}

char *
peer_describe(const struct http_answer *got)
{
	const char *kind = is_html(got)                       ? " with an HTML page"
			   : g_bytes_get_size(got->body) == 0 ? " without a body"
							      : "";

	return g_strdup_printf("HTTP status %u%s", got->status, kind);
}

/* 503 says that nothing was begun; the others leave it open. */
static enum handler_error_class
class_of_server_error(unsigned int status, gboolean acts)
{
	return acts && status != 503 ? HANDLER_ERROR_CONFLICT : HANDLER_ERROR_TRANSIENT;
}

static enum handler_error_class
class_of(unsigned int status, gboolean acts, enum handler_status *what)
{
	*what = HANDLER_RETRY;
	switch (status) {
	case 400:
	case 413:
	case 422:
		*what = HANDLER_REJECTED;
		return HANDLER_ERROR_INPUT;
	case 409:
		return HANDLER_ERROR_CONFLICT;
	case 408:
	case 425:
	case 429:
		return HANDLER_ERROR_TRANSIENT;
	default:
		/* A success that cannot be read may have been one. */
		return status < 300 || status >= 500 ? class_of_server_error(status, acts)
						     : HANDLER_ERROR_CONFIG;
	}
}

void
peer_failure(const struct handler_context *context, const struct http_answer *got, gboolean acts,
	     const char *code, const char *text, struct handler_answer *answer)
{
	enum handler_status what;
	enum handler_error_class error_class = class_of(got->status, acts, &what);
	g_autofree char *status = g_strdup_printf("%u", got->status);
	g_autofree char *described = peer_describe(got);

	if (got->retry_after > 0)
		answer->not_before = clock_now(context->clock) + got->retry_after;
	if (text != NULL && *text != '\0')
		handler_answer_set(answer, what, error_class, code != NULL ? code : status, "%.*s",
				   PEER_TEXT_MAX_BYTES, text);
	else
		handler_answer_set(answer, what, error_class, code != NULL ? code : status,
				   "the answer is %s", described);
}

void
peer_soften(struct handler_answer *answer)
{
	if (answer->status == HANDLER_REJECTED)
		answer->status = HANDLER_RETRY;
	if (answer->error_class == HANDLER_ERROR_INPUT)
		answer->error_class = HANDLER_ERROR_TRANSIENT;
}

void
peer_fail(const struct handler_answer *answer, GError **error)
{
	g_autofree char *text = printable(answer->text);

	fail(error,
	     answer->error_class == HANDLER_ERROR_TRANSIENT ||
		     answer->error_class == HANDLER_ERROR_CONFLICT
		 ? PS_ERROR_TEMPORARY
		 : PS_ERROR_INVALID,
	     "%s", text);
}

/* --- JSON and forms --- */

/* Deeper than any peer's answer: what walks one may recurse. */
static gboolean
is_deep(const json_t *value, guint depth)
{
	const char *name;
	json_t *member;
	size_t i;

	if (depth > DEEP_MAX)
		return TRUE;
	json_object_foreach((json_t *)value, name,
			    member) if (is_deep(member, depth + 1)) return TRUE;
	json_array_foreach(value, i, member) if (is_deep(member, depth + 1)) return TRUE;
	return FALSE;
}

json_t *
peer_json(const struct http_answer *got, GError **error)
{
	gsize length;
	const char *bytes = g_bytes_get_data(got->body, &length);
	g_autofree char *described = peer_describe(got);
	json_t *document =
	    length > 0 ? json_loadb(bytes, length, JSON_REJECT_DUPLICATES, NULL) : NULL;

	if (document == NULL)
		return fail(error, PS_ERROR_INVALID, "the answer is %s and not JSON", described);
	if (is_deep(document, 0)) {
		json_decref(document);
		return fail(error, PS_ERROR_INVALID, "the answer is JSON of more than %d levels",
			    DEEP_MAX);
	}
	return document;
}

const char *
peer_json_text(const json_t *object, const char *name, gsize max_bytes)
{
	const json_t *member = json_object_get(object, name);

	return json_is_string(member) && json_string_length(member) <= max_bytes
		   ? json_string_value(member)
		   : NULL;
}

GPtrArray *
peer_certs_from(GBytes *bytes, GError **error)
{
	CLEANUP(bundle) struct bundle *bundle = bundle_read(bytes, "the answer", NULL, error);

	if (bundle == NULL)
		return NULL;
	if (bundle->certs->len == 0)
		return fail(error, PS_ERROR_INVALID, "the answer is without a certificate");
	return g_ptr_array_ref(bundle->certs);
}

struct cert *
peer_cert_from_pem(const char *text, gsize length, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new(text, length);
	g_autoptr(GPtrArray) certs = peer_certs_from(bytes, error);

	return certs != NULL ? cert_ref(g_ptr_array_index(certs, 0)) : NULL;
}

static struct secret *
take_and_wipe(char *text, gsize length)
{
	struct secret *secret = secret_new(text, length);

	wipe(text, length);
	g_free(text);
	return secret;
}

struct secret *
peer_json_body(const json_t *document)
{
	gsize length = json_dumpb(document, NULL, 0, JSON_COMPACT);
	char *text = g_malloc(length + 1);

	json_dumpb(document, text, length, JSON_COMPACT);
	return take_and_wipe(text, length);
}

static void
form_append(GString *form, const char *value)
{
	for (const char *p = value; *p != '\0'; p++) {
		if (g_ascii_isalnum(*p) || strchr("-._~", *p) != NULL)
			g_string_append_c(form, *p);
		else
			g_string_append_printf(form, "%%%02X", (unsigned int)(guchar)*p);
	}
}

struct secret *
peer_form_body(const struct peer_field *fields)
{
	gsize room = 1;

	for (const struct peer_field *field = fields; field->name != NULL; field++)
		room +=
		    strlen(field->name) + 2 + 3 * (field->value != NULL ? strlen(field->value) : 0);
	/* Never grows: growing would leave copies behind. */
	GString *form = g_string_sized_new(room);
	for (const struct peer_field *field = fields; field->name != NULL; field++) {
		if (field->value == NULL)
			continue;
		g_string_append_printf(form, "%s%s=", form->len > 0 ? "&" : "", field->name);
		form_append(form, field->value);
	}
	gsize length = form->len;
	return take_and_wipe(g_string_free(form, FALSE), length);
}
