/*
 * token - a table of tokens, and how OAuth 2.0 gives one.
 */
#include "pki/handlers/token.h"

#include <string.h>

#include "pki/handlers/peer.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/secret.h"

#define TOKEN_MAX_BYTES (32 * 1024)
#define TOKEN_SECONDS_MAX (24 * 3600)
#define TOKEN_SECONDS 300 /* where the server does not say (RFC 6749 section 5.1) */
#define EARLY_SECONDS 30

struct held {
	struct secret *token;
	gint64 until_us;
};

static GMutex lock;
static GHashTable *tokens;

static void
held_free(gpointer data)
{
	struct held *held = data;

	secret_unref(held->token);
	g_free(held);
}

struct secret *
token_find(const char *owner)
{
	struct secret *found = NULL;

	g_mutex_lock(&lock);
	const struct held *held = tokens != NULL ? g_hash_table_lookup(tokens, owner) : NULL;
	if (held != NULL && held->until_us > clock_monotonic_us())
		found = secret_ref(held->token);
	else if (held != NULL)
		g_hash_table_remove(tokens, owner);
	g_mutex_unlock(&lock);
	return found;
}

void
token_keep(const char *owner, struct secret *token, gint64 seconds)
{
	gint64 good_for = CLAMP(seconds, 0, TOKEN_SECONDS_MAX) - EARLY_SECONDS;
	struct held *held = g_new0(struct held, 1);

	held->token = secret_ref(token);
	held->until_us = clock_monotonic_us() + MAX(good_for, 0) * G_USEC_PER_SEC;
	g_mutex_lock(&lock);
	if (tokens == NULL)
		tokens = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, held_free);
	g_hash_table_replace(tokens, g_strdup(owner), held);
	g_mutex_unlock(&lock);
}

void
token_drop(const char *owner, const struct secret *token)
{
	g_mutex_lock(&lock);
	const struct held *held = tokens != NULL ? g_hash_table_lookup(tokens, owner) : NULL;
	if (held != NULL && (token == NULL || held->token == token))
		g_hash_table_remove(tokens, owner);
	g_mutex_unlock(&lock);
}

static const char *
text_or_null(const struct handler_config *config, const char *name)
{
	const char *text = handler_config_text(config, name);

	return *text != '\0' ? text : NULL;
}

static struct secret *
read_token(const struct handler_context *context, const struct http_answer *got, gint64 *seconds,
	   struct handler_answer *answer)
{
	g_autoptr(GError) why = NULL;
	json_t *document = peer_json(got, &why);
	const char *token = peer_json_text(document, "access_token", TOKEN_MAX_BYTES);
	const json_t *expires = json_object_get(document, "expires_in");
	struct secret *found = NULL;

	*seconds = json_is_integer(expires) ? (gint64)json_integer_value(expires) : TOKEN_SECONDS;
	if (got->status == 200 && token != NULL) {
		found = secret_new_text(token);
	} else {
		peer_failure(context, got, FALSE, peer_json_text(document, "error", 100),
			     peer_json_text(document, "error_description", PEER_TEXT_MAX_BYTES),
			     answer);
		/* What a token server refuses is never the fault of a certificate request. */
		if (answer->error_class == HANDLER_ERROR_INPUT) {
			answer->status = HANDLER_RETRY;
			answer->error_class = HANDLER_ERROR_CONFIG;
		}
	}
	json_decref(document);
	return found;
}

struct secret *
token_by_client_credentials(struct peer *peer, const struct handler_context *context,
			    gint64 *seconds, struct handler_answer *answer, GError **error)
{
	const struct handler_config *config = context->config;
	struct secret *secret = handler_config_secret(config, "oauth.client_secret");
	const struct peer_field fields[] = {
		{ "grant_type", "client_credentials" },
		{ "client_id", text_or_null(config, "oauth.client_id") },
		{ "client_secret", secret != NULL ? secret_text(secret) : NULL },
		{ "audience", text_or_null(config, "oauth.audience") },
		{ "scope", text_or_null(config, "oauth.scope") },
		{ NULL, NULL },
	};
	CLEANUP(secret) struct secret *body = peer_form_body(fields);
	const char *const headers[] = { "Accept: application/json", NULL };
	struct http_request request = {
		.method = "POST",
		.url = handler_config_text(config, "oauth.token_url"),
		.content_type = "application/x-www-form-urlencoded",
		.secret_body = body,
		.headers = headers,
		.answer_is_secret = TRUE,
	};
	g_autoptr(GError) why = NULL;

	if (*request.url == '\0')
		return fail(error, PS_ERROR_INVALID, "oauth.token_url is not set");
	CLEANUP(http_answer) struct http_answer *got = peer_send(peer, &request, NULL, &why);
	if (got == NULL) {
		peer_lost(why, FALSE, FALSE, answer);
		return NULL;
	}
	return read_token(context, got, seconds, answer);
}
