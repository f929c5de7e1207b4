/*
 * acme_challenge - authorizations, and what is put up for them.
 */
#include "pki/handlers/acme_challenge.h"

#include <string.h>

#include "pki/crypto/jws.h"
#include "pki/handlers/acme_email.h"
#include "pki/handlers/program.h"
#include "pki/handlers/table.h"
#include "store/acme_orders.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/db/tx.h"
#include "store/requests.h"

/* What a server takes at most for its look; afterwards it is tidied away. */
#define STANDS_SECONDS (7 * 86400)
#define TIDY_BATCH 4
#define HOOK_TRIES_SECONDS 300

char *
acme_key_authorization(const char *token, const char *thumbprint)
{
	return g_strconcat(token, ".", thumbprint, NULL);
}

/* ---- the site's own program for records ------------------------------------------------------ */

static gboolean
goes_on(gpointer data)
{
	const struct handler_context *context = data;

	return context->stopping == NULL || !context->stopping(context->data);
}

/* add|remove NAME TEXT */
static gboolean
run_hook(const struct handler_context *context, const char *verb,
	 const struct acme_challenge_row *row, GError **error)
{
	const char *path = handler_config_text(context->config, "dns01_hook");
	g_autofree char *name = g_strconcat("_acme-challenge.", row->domain, NULL);
	const char *const argv[] = { path, verb, name, row->value, NULL };
	const struct program program = {
		.argv = argv,
		.timeout_seconds =
		    (unsigned int)handler_config_seconds(context->config, "dns01_timeout"),
		.waiting = goes_on,
		.waiting_data = (gpointer)(guintptr)context,
	};
	struct program_result result = { 0 };

	gboolean good = program_call(&program, &result, error);
	if (good && result.status != 0)
		good = fail_false(
		    error, PS_ERROR_TEMPORARY, "the hook '%s %s' has ended with status %d%s%s",
		    path, verb, result.status, *result.message != '\0' ? ": " : "", result.message);
	program_result_clear(&result);
	return good;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static gboolean
put_tx(struct tx *tx, gpointer data, GError **error)
{
	return acme_challenges_put(tx, data, error);
}

static gboolean
added_tx(struct tx *tx, gpointer data, GError **error)
{
	return acme_challenges_added(tx, data, error);
}

static gboolean
drop_tx(struct tx *tx, gpointer data, GError **error)
{
	return acme_challenges_drop(tx, data, error);
}

static struct acme_challenge_row *
row_at(struct acme_work *work, const char *url, GError **error)
{
	g_autoptr(GPtrArray) rows =
	    acme_challenges_of(work->acme->context->db, work->request->id, error);

	for (guint i = 0; rows != NULL && i < rows->len; i++) {
		struct acme_challenge_row *row = g_ptr_array_index(rows, i);
		if (strcmp(row->url, url) == 0)
			return g_ptr_array_steal_index(rows, i);
	}
	if (rows != NULL)
		fail(error, PS_ERROR_NOT_FOUND, "the challenge has another request");
	return NULL;
}

/* FALSE: it stands still, and will be tried again. */
static gboolean
take_away(const struct handler_context *context, const struct acme_challenge_row *row,
	  GError **error)
{
	if (strcmp(row->kind, "dns-01") == 0 && !run_hook(context, "remove", row, error))
		return FALSE;
	return db_transaction(context->db, drop_tx, row->url, error);
}

void
acme_challenges_clear(const struct handler_context *context, gint64 request_id)
{
	g_autoptr(GPtrArray) rows = acme_challenges_of(context->db, request_id, NULL);

	for (guint i = 0; rows != NULL && i < rows->len; i++) {
		g_autoptr(GError) why = NULL;
		if (!take_away(context, g_ptr_array_index(rows, i), &why))
			log_warning("the answer to a challenge still stands", "error",
				    why->message);
	}
}

static gboolean
tidy_one(const struct handler_context *context, const struct acme_challenge_row *row,
	 GError **error)
{
	CLEANUP(handler_config)
	struct handler_config *config =
	    handler_config_load(context->db, context->keyring, &handler_acme, row->config, error);
	struct handler_context own = *context;

	if (config == NULL)
		return FALSE;
	own.config = config;
	/* A hook that is no more takes nothing away. */
	if (strcmp(row->kind, "dns-01") == 0 && *handler_config_text(config, "dns01_hook") == '\0')
		return db_transaction(context->db, drop_tx, row->url, error);
	return take_away(&own, row, error);
}

gboolean
acme_challenges_tidy(const struct handler_context *context, GError **error)
{
	g_autoptr(GPtrArray) rows =
	    acme_challenges_stale(context->db, clock_now(context->clock), TIDY_BATCH, error);
	gboolean good = rows != NULL;

	for (guint i = 0; rows != NULL && i < rows->len; i++) {
		g_autoptr(GError) why = NULL;
		if (tidy_one(context, g_ptr_array_index(rows, i), &why))
			continue;
		if (good)
			g_propagate_error(error, g_steal_pointer(&why));
		good = FALSE;
	}
	return good;
}

/* ---- what is put up -------------------------------------------------------------------------- */

static gboolean
put_up(struct acme_work *work, const struct acme_authorization *authorization,
       const struct acme_challenge *challenge)
{
	const struct handler_context *context = work->acme->context;
	gint64 now = clock_now(context->clock);
	g_autofree char *answer = acme_key_authorization(challenge->token, work->acme->thumbprint);
	g_autofree char *digest = jws_digest(answer);
	gboolean dns = strcmp(challenge->type, "dns-01") == 0;
	struct acme_challenge_row row = {
		.url = challenge->url,
		.request_id = work->request->id,
		.config = (char *)handler_config_name(context->config),
		.kind = challenge->type,
		.domain = authorization->identifier.value,
		.token = challenge->token,
		.value = dns ? digest : answer,
		.expires = MIN(authorization->expires, now + STANDS_SECONDS),
	};
	GError *why = NULL;

	if (!db_transaction(context->db, put_tx, &row, &why))
		return acme_fail(work->acme, why);
	return TRUE;
}

/* Where it is there for certain it is not added again; otherwise the hook may be asked twice. */
static gboolean
add_record(struct acme_work *work, struct acme_challenge_row *row)
{
	const struct handler_context *context = work->acme->context;
	g_autoptr(GError) why = NULL;
	GError *failed = NULL;

	if (!run_hook(context, "add", row, &why)) {
		work->acme->answer->not_before = clock_now(context->clock) + HOOK_TRIES_SECONDS;
		return acme_stop(work->acme, HANDLER_RETRY,
				 g_error_matches(why, PS_ERROR, PS_ERROR_INVALID)
				     ? HANDLER_ERROR_CONFIG
				     : HANDLER_ERROR_TRANSIENT,
				 NULL, "%s", why->message);
	}
	if (!db_transaction(context->db, added_tx, row->url, &failed))
		return acme_fail(work->acme, failed);
	row->added = clock_now(context->clock);
	return TRUE;
}

/* Name servers need their time: *stands says whether it is over for this one. */
static gboolean
record_stands(struct acme_work *work, const struct acme_challenge *challenge, gboolean *stands)
{
	const struct handler_context *context = work->acme->context;
	GError *why = NULL;
	CLEANUP(acme_challenge_row)
	struct acme_challenge_row *row = row_at(work, challenge->url, &why);

	if (row == NULL)
		return acme_fail(work->acme, why);
	if (row->added == CLOCK_NEVER && !add_record(work, row))
		return FALSE;
	gint64 from = row->added + handler_config_seconds(context->config, "dns01_wait");
	*stands = from <= clock_now(context->clock);
	if (!*stands)
		work->stands_from = MAX(work->stands_from, from);
	return TRUE;
}

gboolean
acme_challenge_begin(struct acme_work *work, const struct acme_challenge *challenge)
{
	const struct acme_call call = { .url = challenge->url, .payload = json_object() };

	if (!g_hash_table_add(work->begun, g_strdup(challenge->url))) {
		json_decref(call.payload);
		return TRUE;
	}
	CLEANUP(http_answer) struct http_answer *got = acme_post(work->acme, &call, NULL);
	return got != NULL;
}

/* ---- authorizations -------------------------------------------------------------------------- */

static gboolean
is_ours(const struct acme_work *work, const struct acme_authorization *authorization)
{
	g_autofree char *value =
	    g_strconcat(authorization->wildcard ? "*." : "", authorization->identifier.value, NULL);
	g_autofree char *lower = g_ascii_strdown(value, -1);

	return strcmp(authorization->identifier.type, work->email ? "email" : "dns") == 0 &&
	       g_ptr_array_find_with_equal_func(work->names, lower, g_str_equal, NULL);
}

static char *
offered(const struct acme_authorization *authorization)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint i = 0; i < authorization->challenges->len; i++) {
		const struct acme_challenge *one = g_ptr_array_index(authorization->challenges, i);
		g_string_append_printf(text, "%s%s", i > 0 ? ", " : "", one->type);
	}
	return g_strdup(text->len > 0 ? text->str : "none");
}

static gboolean
prove(struct acme_work *work, const struct acme_authorization *authorization,
      const struct acme_challenge *challenge)
{
	if (strcmp(challenge->type, "email-reply-00") == 0)
		return acme_email_work(work, authorization, challenge);
	if (!put_up(work, authorization, challenge))
		return FALSE;
	gboolean stands = TRUE;
	if (strcmp(challenge->type, "dns-01") == 0 && !record_stands(work, challenge, &stands))
		return FALSE;
	return !stands || acme_challenge_begin(work, challenge);
}

static gboolean
pending(struct acme_work *work, const struct acme_authorization *authorization)
{
	const struct acme_meaning config = { HANDLER_REJECTED, HANDLER_ERROR_CONFIG };
	const struct acme_challenge *challenge = acme_challenge_of(authorization, work->kind);

	if (challenge == NULL || challenge->token == NULL) {
		g_autofree char *others = offered(authorization);
		return acme_order_failed(work, config, NULL,
					 "the CA offers no challenge '%s' for %s, but: %s",
					 work->kind, authorization->identifier.value, others);
	}
	/* One that is valid or invalid has its authorization follow. */
	if (challenge->status != ACME_PENDING)
		return TRUE;
	return prove(work, authorization, challenge);
}

static gboolean
failed(struct acme_work *work, const struct acme_authorization *authorization)
{
	const struct acme_challenge *said = NULL;

	for (guint i = 0; said == NULL && i < authorization->challenges->len; i++) {
		const struct acme_challenge *one = g_ptr_array_index(authorization->challenges, i);
		if (one->problem != NULL)
			said = one;
	}
	if (said != NULL)
		return acme_order_failed(work, acme_problem_of_challenge(said->problem),
					 said->problem->type, "%s of %s: %s", said->type,
					 authorization->identifier.value, said->problem->detail);
	return acme_order_failed(
	    work, (struct acme_meaning){ HANDLER_RETRY, HANDLER_ERROR_TRANSIENT }, NULL,
	    "the CA has given up on the proof for %s", authorization->identifier.value);
}

static gboolean
work_on(struct acme_work *work, const struct acme_order *order,
	const struct acme_authorization *authorization)
{
	if (!is_ours(work, authorization))
		return acme_order_failed(
		    work, (struct acme_meaning){ HANDLER_REJECTED, HANDLER_ERROR_CONFIG }, NULL,
		    "the CA asks for a proof of a name that was not ordered");
	switch (authorization->status) {
	case ACME_VALID:
		return TRUE;
	case ACME_PENDING:
		/* An order that has failed is asked for the reason alone. */
		return order->status != ACME_PENDING || pending(work, authorization);
	case ACME_READY:
	case ACME_PROCESSING:
		return TRUE;
	case ACME_INVALID:
	case ACME_DEACTIVATED:
	case ACME_EXPIRED:
	case ACME_REVOKED:
		break;
	}
	return failed(work, authorization);
}

static struct acme_authorization *
authorization_at(struct acme_work *work, const char *url)
{
	const struct acme_call call = { .url = url };
	CLEANUP(http_answer) struct http_answer *got = NULL;
	g_autoptr(GError) why = NULL;
	json_t *json = acme_post_json(work->acme, &call, &got, NULL);

	if (json == NULL)
		return NULL;
	struct acme_authorization *read = acme_authorization_read(json, &why);
	json_decref(json);
	if (read == NULL)
		acme_stop(work->acme, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL, "%s",
			  why->message);
	else if (got->retry_after > 0)
		work->acme->answer->not_before =
		    clock_now(work->acme->context->clock) + got->retry_after;
	return read;
}

gboolean
acme_challenges_work(struct acme_work *work, const struct acme_order *order)
{
	work->stands_from = 0;
	for (guint i = 0; order->authorizations[i] != NULL; i++) {
		CLEANUP(acme_authorization)
		struct acme_authorization *authorization =
		    authorization_at(work, order->authorizations[i]);
		if (authorization == NULL || !work_on(work, order, authorization))
			return FALSE;
	}
	gint64 rest = work->stands_from - clock_now(work->acme->context->clock);
	if (work->stands_from == 0 || rest <= 0 || acme_wait(work->acme, rest * 1000))
		return TRUE;
	return acme_order_pending(work, rest, "waits for the name servers");
}
