/*
 * fetching - crl update and crl urls: what is fetched, now and how it went (T5).
 */
#include "admin/api/change.h"
#include "admin/api/fetching.h"
#include "admin/api/handlers.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/crypto/cert.h"
#include "pki/net/url.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/certs.h"
#include "store/db/tx.h"
#include "store/fetch_points.h"
#include "store/fetches.h"
#include "store/jobs.h"
#include "store/roots.h"

const char *
fetching_state(const struct fetch_row *row)
{
	if (row->under_way)
		return "fetching";
	if (row->next_try == CLOCK_NEVER)
		return "standby";
	return row->state == FETCH_NEVER ? "waiting" : fetch_state_name(row->state);
}

static json_t *
time_or_null(gint64 seconds)
{
	return answer_time(seconds != 0 ? seconds : CLOCK_NEVER);
}

json_t *
fetching_object(const struct fetch_row *row)
{
	return json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:o}", "url",
			 answer_text(row->url), "kind", fetch_kind_name(row->kind), "state",
			 fetching_state(row), "result", answer_text(row->result), "last_try",
			 time_or_null(row->last_try), "last_success",
			 time_or_null(row->last_success), "next_try", answer_time(row->next_try),
			 "failures", (json_int_t)row->failures, "certificates",
			 (json_int_t)row->certificates, "list", answer_text(row->yield));
}

/* --- crl list --- */

/* "unchanged", "failed: URL: the server answered with status 404", "fetching". */
static json_t *
fetched_text(const struct fetch_row *row)
{
	if (row->under_way || row->state == FETCH_NEVER)
		return json_string(fetching_state(row));
	g_autofree char *text =
	    g_strconcat(row->state == FETCH_FAILED ? "failed: " : "", row->result, NULL);
	return answer_text(text);
}

static json_t *
list_with(json_t *lists, const char *thumbprint)
{
	for (gsize i = 0; thumbprint != NULL && i < json_array_size(lists); i++) {
		json_t *list = json_array_get(lists, i);

		if (g_strcmp0(json_string_value(json_object_get(list, "thumbprint")), thumbprint) ==
		    0)
			return list;
	}
	return NULL;
}

gboolean
fetching_join(struct call *call, json_t *lists, const char *text, GError **error)
{
	g_autoptr(GPtrArray) rows = fetches_list(call->gateway->db, error);

	if (rows == NULL)
		return FALSE;
	for (guint i = 0; i < rows->len; i++) {
		const struct fetch_row *row = g_ptr_array_index(rows, i);
		json_t *list = list_with(lists, row->yield);

		if (row->kind != FETCH_CRL)
			continue;
		if (list != NULL)
			json_object_set_new(list, "fetched", fetched_text(row));
		/* One that gave a list which another has replaced since is no news. */
		else if ((row->yield == NULL || row->state != FETCH_GOOD) &&
			 row->next_try != CLOCK_NEVER &&
			 (text == NULL || strstr(row->url, text) != NULL))
			json_array_append_new(
			    lists, json_pack("{s:o, s:s, s:o}", "source", answer_text(row->url),
					     "verdict", "none", "fetched", fetched_text(row)));
	}
	return TRUE;
}

/* --- crl urls --- */

/* Does somebody who asked at this time still wait for it? */
static gboolean
is_open(const struct fetch_row *row, gint64 since, gint64 now)
{
	return row->under_way || row->next_try <= now ||
	       (row->last_try < since && row->next_try != CLOCK_NEVER);
}

static GPtrArray *
rows_asked_for(struct call *call, GError **error)
{
	g_auto(GStrv) urls = call_list(call, "urls");
	g_autoptr(GPtrArray) normal = g_ptr_array_new_with_free_func(g_free);

	if (*urls == NULL)
		return fetches_list(call->gateway->db, error);
	for (char **text = urls; *text != NULL; text++) {
		CLEANUP(url) struct url *url = url_parse(*text, error);

		if (url == NULL)
			return NULL;
		g_ptr_array_add(normal, g_strdup(url->text));
	}
	return fetches_by_urls(call->gateway->db, (const char *const *)normal->pdata, normal->len,
			       error);
}

json_t *
crl_urls(struct call *call, GError **error)
{
	gboolean failed = call_flag(call, "failed");
	g_autoptr(GPtrArray) rows = rows_asked_for(call, error);
	json_int_t open = 0;
	gint64 since = 0;

	if (rows == NULL)
		return NULL;
	gboolean timed = call_time(call, "since", &since);
	json_t *items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct fetch_row *row = g_ptr_array_index(rows, i);

		open += timed && is_open(row, since, clock_now(call->gateway->clock));
		if (!failed || row->state == FETCH_FAILED)
			json_array_append_new(items, fetching_object(row));
	}
	json_t *answer = answer_list(items, NULL);
	if (timed) {
		struct fetch_run run;

		if (!fetch_points_last_run(call->gateway->db, &run, error)) {
			json_decref(answer);
			return NULL;
		}
		json_object_set_new(answer, "open", json_integer(open));
		json_object_set_new(answer, "collected", time_or_null(run.finished));
	}
	return answer;
}

/* --- crl update --- */

struct update {
	struct call *call;
	char **urls; /* in one spelling; empty: all */
	const char *ca;
	gboolean forget;
	char *subject_key; /* of the CA, when it was named by a thumbprint */
	char **taken;      /* by ca */
};

static gboolean
take_of_ca(struct update *update, struct tx *tx, GError **error)
{
	g_strfreev(update->taken);
	update->taken = fetches_urls_of_ca(tx, update->ca, update->subject_key, error);
	if (update->taken == NULL)
		return FALSE;
	if (*update->taken == NULL)
		return fail_false(error, PS_ERROR_NOT_FOUND,
				  "no certificate that verifies names a list of '%s'", update->ca);
	return fetches_due_now(tx, (const char *const *)update->taken, g_strv_length(update->taken),
			       error);
}

static gboolean
make_due(struct update *update, struct tx *tx, GError **error)
{
	for (char **url = update->urls; *url != NULL; url++)
		if (!(update->forget ? fetches_forget(tx, *url, error)
				     : fetches_add(tx, FETCH_CRL, *url, error)))
			return FALSE;
	if (*update->urls != NULL)
		return TRUE;
	if (update->ca != NULL)
		return take_of_ca(update, tx, error);
	return fetches_due_now(tx, NULL, 0, error) &&
	       jobs_enqueue(tx, "crl-refresh", "all", NULL, tx_now(tx), error);
}

static json_t *
begin_update(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	struct update *update = data;
	gboolean all = *update->urls == NULL && update->ca == NULL;

	if (!make_due(update, tx, error) || !fetches_enqueue_due(tx, error))
		return NULL;
	char **urls = update->taken != NULL ? update->taken : update->urls;
	g_free(change->object);
	change->object = all ? g_strdup("all") : g_strjoinv(" ", urls);
	json_t *answer = json_pack("{s:o, s:b}", "since", answer_time(tx_now(tx)), "all", all);
	json_object_set_new(answer, "urls", answer_texts((const char *const *)urls));
	return answer;
}

/* Whose certificate is it, when a thumbprint was given? A name is looked for as it is. */
static char *
subject_key_of(struct call *call, const char *ca)
{
	CLEANUP(cert_row) struct cert_row *cert = NULL;
	CLEANUP(root_row) struct root_row *root = NULL;

	if (strlen(ca) < 8 || strspn(ca, "0123456789abcdefABCDEF") != strlen(ca))
		return NULL;
	cert = certs_find(call->gateway->db, ca, NULL);
	if (cert != NULL)
		return g_strdup(cert->subject_key);
	root = roots_find(call->gateway->db, ca, NULL);
	return root != NULL ? g_strdup(root->subject_key) : NULL;
}

static gboolean
normalise(char **urls, GError **error)
{
	for (char **text = urls; *text != NULL; text++) {
		CLEANUP(url) struct url *url = url_parse(*text, error);

		if (url == NULL)
			return FALSE;
		g_free(*text);
		*text = g_strdup(url->text);
	}
	return TRUE;
}

json_t *
crl_update(struct call *call, GError **error)
{
	g_auto(GStrv) urls = call_list(call, "url");
	struct update update = { .call = call,
				 .urls = urls,
				 .ca = call_text(call, "ca"),
				 .forget = call_flag(call, "forget") };

	if (*urls != NULL && update.ca != NULL)
		return fail(error, PS_ERROR_INVALID, "--url and --ca exclude each other");
	if (update.forget && *urls == NULL)
		return fail(error, PS_ERROR_INVALID, "--forget needs --url");
	if (!normalise(urls, error))
		return NULL;
	if (update.ca != NULL)
		update.subject_key = subject_key_of(call, update.ca);
	json_t *answer = change_run(call, begin_update, &update, error);
	g_free(update.subject_key);
	g_strfreev(update.taken);
	return answer;
}
