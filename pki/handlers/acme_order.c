/*
 * acme_order - an order, step by step.
 */
#include "pki/handlers/acme_order.h"

#include <string.h>

#include "pki/crypto/jws.h"
#include "pki/handlers/acme_account.h"
#include "pki/handlers/acme_cert.h"
#include "pki/handlers/acme_challenge.h"
#include "pki/handlers/acme_email.h"
#include "store/acme_orders.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/mailaddr.h"
#include "store/db/tx.h"
#include "store/requests.h"

#define FAILURES_MAX 5
#define LIST_PAGES_MAX 20
#define LIST_LOOKS_MAX 200
#define LOOKS_AT_A_TIME 20
#define PAUSE_FIRST_MS 250
#define PAUSE_MAX_MS 5000
#define POLL_SECONDS 30

/* ---- rows ------------------------------------------------------------------------------------ */

static gboolean
save_tx(struct tx *tx, gpointer data, GError **error)
{
	return acme_orders_save(tx, ((struct acme_work *)data)->row, error);
}

static gboolean
save(struct acme_work *work)
{
	GError *why = NULL;

	if (!db_transaction(work->acme->context->db, save_tx, work, &why))
		return acme_fail(work->acme, why);
	return TRUE;
}

/* The handle first: it is refused when the request is not ours to work on any more. */
static gboolean
take_url(struct acme_work *work, const char *url)
{
	struct acme *acme = work->acme;
	GError *why = NULL;

	if (g_strcmp0(work->request->handle, url) != 0 &&
	    !handler_save_handle(acme->context, url, &why))
		return acme_fail(acme, why);
	if (g_strcmp0(work->row->url, url) == 0 && work->row->asked == CLOCK_NEVER)
		return TRUE;
	char *copy = g_strdup(url); /* of the row's own, perhaps */
	g_free(work->row->url);
	work->row->url = copy;
	work->row->asked = CLOCK_NEVER;
	if (db_transaction(acme->context->db, save_tx, work, &why))
		return TRUE;
	if (!g_error_matches(why, PS_ERROR, PS_ERROR_INVALID))
		return acme_fail(acme, why);
	/* The server gives the order again that it has given for the same names. */
	g_clear_error(&why);
	g_clear_pointer(&work->row->url, g_free);
	g_free(acme->answer->handle);
	acme->answer->handle = g_strdup("");
	return save(work) && acme_stop(acme, HANDLER_RETRY, HANDLER_ERROR_TRANSIENT, NULL,
				       "another request for the same names is under way with the "
				       "same order");
}

gboolean
acme_order_failed(struct acme_work *work, struct acme_meaning meaning, const char *code,
		  const char *format, ...)
{
	struct acme_order_row *row = work->row;
	va_list arguments;

	va_start(arguments, format);
	g_autofree char *text = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	if (work->email)
		acme_email_close(work);
	acme_challenges_clear(work->acme->context, work->request->id);
	row->failures++;
	gboolean over = meaning.status == HANDLER_REJECTED || row->failures >= FAILURES_MAX;
	if (over)
		row->failures = 0;
	g_clear_pointer(&row->url, g_free);
	row->asked = CLOCK_NEVER;
	if (!save(work))
		return FALSE;
	g_free(work->acme->answer->handle);
	work->acme->answer->handle = g_strdup("");
	return acme_stop(work->acme, over ? HANDLER_REJECTED : HANDLER_RETRY, meaning.error_class,
			 code, "%s", text);
}

gboolean
acme_order_pending(struct acme_work *work, gint64 seconds, const char *format, ...)
{
	gint64 then = clock_now(work->acme->context->clock) + seconds;
	va_list arguments;

	va_start(arguments, format);
	g_autofree char *text = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	work->acme->answer->not_before = MAX(work->acme->answer->not_before, then);
	return acme_stop(work->acme, HANDLER_PENDING, HANDLER_ERROR_NONE, NULL, "%s", text);
}

static gboolean
failed_by(struct acme_work *work, const char *what, const struct acme_problem *problem)
{
	const struct acme_meaning unsaid = { HANDLER_RETRY, HANDLER_ERROR_TRANSIENT };

	return acme_order_failed(
	    work, problem != NULL ? acme_problem_of_challenge(problem) : unsaid,
	    problem != NULL ? problem->type : NULL, "%s%s%s", what, problem != NULL ? ": " : "",
	    problem != NULL ? problem->detail : "");
}

/* ---- what is asked for ----------------------------------------------------------------------- */

static void
add_name(GPtrArray *names, const char *name)
{
	char *lower = g_ascii_strdown(name, -1);

	if (g_ptr_array_find_with_equal_func(names, lower, g_str_equal, NULL))
		g_free(lower);
	else
		g_ptr_array_add(names, lower);
}

/* The CSR has the same: enroll makes it of these. */
static gboolean
names_of(struct acme_work *work)
{
	const struct request_row *request = work->request;
	const struct handler_config *config = work->acme->context->config;
	gboolean tls = request->profile != NULL && g_str_has_prefix(request->profile, "tls");

	work->names = g_ptr_array_new_with_free_func(g_free);
	work->email = !tls;
	work->kind = tls ? handler_config_text(config, "challenge") : "email-reply-00";
	if (!tls) {
		g_ptr_array_add(work->names, g_strdup(request->email));
		return TRUE;
	}
	for (guint i = 0; request->names != NULL && request->names[i] != NULL; i++)
		add_name(work->names, request->names[i]);
	if (work->names->len == 0 || work->names->len > ACME_IDENTIFIERS_MAX)
		return acme_stop(work->acme, HANDLER_REJECTED, HANDLER_ERROR_INPUT, NULL,
				 "a certificate for TLS needs DNS names, at most %d",
				 ACME_IDENTIFIERS_MAX);
	if (strcmp(work->kind, "email-reply-00") == 0)
		return acme_stop(work->acme, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL,
				 "a mail proves no DNS name: set challenge to http-01 or dns-01");
	return TRUE;
}

static gboolean
order_is_ours(const struct acme_work *work, const struct acme_order *order)
{
	if (order->identifiers->len != work->names->len)
		return FALSE;
	for (guint i = 0; i < order->identifiers->len; i++) {
		const struct acme_identifier *one = g_ptr_array_index(order->identifiers, i);
		g_autofree char *value = g_ascii_strdown(one->value, -1);
		if (strcmp(one->type, work->email ? "email" : "dns") != 0 ||
		    !g_ptr_array_find_with_equal_func(work->names, value, g_str_equal, NULL))
			return FALSE;
	}
	return TRUE;
}

/* ---- look before asking again ---------------------------------------------------------------- */

/* There is no such order, or it is nobody's of ours: other problems may pass. */
static gboolean
is_gone(const struct acme_problem *problem)
{
	return acme_problem_is(problem, "malformed") || acme_problem_is(problem, "unauthorized");
}

static struct acme_order *
order_at(struct acme_work *work, const char *url, struct acme_problem **problem)
{
	const struct acme_call call = { .url = url };
	CLEANUP(http_answer) struct http_answer *got = NULL;
	g_autoptr(GError) why = NULL;
	json_t *json = acme_post_json(work->acme, &call, &got, problem);

	if (json == NULL)
		return NULL;
	struct acme_order *order = acme_order_read(json, &why);
	json_decref(json);
	if (order == NULL)
		acme_stop(work->acme, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL, "%s",
			  why->message);
	else if (got->retry_after > 0)
		work->acme->answer->not_before =
		    clock_now(work->acme->context->clock) + got->retry_after;
	return order;
}

/* One that is open, for the same names, and no request's. */
static gboolean
is_lost_one(struct acme_work *work, const char *url, gboolean *is)
{
	GError *why = NULL;
	gboolean known;
	CLEANUP(acme_problem) struct acme_problem *problem = NULL;

	*is = FALSE;
	if (!acme_orders_known(work->acme->context->db, url, &known, &why))
		return acme_fail(work->acme, why);
	if (known)
		return TRUE;
	CLEANUP(acme_order) struct acme_order *order = order_at(work, url, &problem);
	if (order == NULL && problem != NULL)
		return is_gone(problem) || acme_stop_problem(work->acme, NULL, problem);
	if (order == NULL)
		return FALSE;
	*is = (order->status == ACME_PENDING || order->status == ACME_READY) &&
	      order_is_ours(work, order);
	return TRUE;
}

/* It begins anew with the next order that is lost. */
static void
forget_search(struct acme_order_row *row)
{
	g_clear_pointer(&row->look_page, g_free);
	row->look_at = row->looks = 0;
}

/* Enough for one act, with a server that takes its time: the worker has other work. */
static gboolean
is_enough(const struct acme_work *work, gint looked)
{
	return looked >= LOOKS_AT_A_TIME || clock_monotonic_us() > work->acme->deadline_us;
}

/* Of the page that the row names, from where the row says. TRUE: it is at its end, or *found. */
static gboolean
look_at_page(struct acme_work *work, const json_t *json, gint *looked, gboolean *found)
{
	struct acme_order_row *row = work->row;
	g_auto(GStrv) urls = acme_orders_read(json, NULL);
	gint count = urls != NULL ? (gint)g_strv_length(urls) : 0;

	while (row->look_at < count && row->looks < LIST_LOOKS_MAX) {
		if (is_enough(work, *looked)) {
			work->acme->answer->not_before = clock_now(work->acme->context->clock) + 1;
			return save(work) &&
			       acme_stop(
				   work->acme, HANDLER_RETRY, HANDLER_ERROR_TRANSIENT, NULL,
				   "looking for the order whose answer was lost: %d looked at",
				   row->looks);
		}
		if (!is_lost_one(work, urls[row->look_at], found))
			return FALSE;
		if (*found)
			return take_url(work, urls[row->look_at]);
		row->look_at++;
		row->looks++;
		(*looked)++;
	}
	return TRUE;
}

static gboolean
first_page(struct acme_work *work)
{
	if (work->row->look_page == NULL)
		work->row->look_page = acme_account_orders(work->acme);
	return work->row->look_page != NULL;
}

/* A server that lists no orders leaves an order behind that nobody finalizes: no certificate. */
static gboolean
look_for_lost(struct acme_work *work)
{
	struct acme_order_row *row = work->row;
	gboolean found = FALSE;
	gint looked = 0;

	if (!first_page(work))
		return work->acme->error == NULL && work->acme->answer->text == NULL;
	for (guint n = 0; row->look_page != NULL && n < LIST_PAGES_MAX; n++) {
		const struct acme_call call = { .url = row->look_page };
		CLEANUP(http_answer) struct http_answer *got = NULL;
		CLEANUP(acme_problem) struct acme_problem *problem = NULL;
		json_t *json = acme_post_json(work->acme, &call, &got, &problem);
		if (json == NULL)
			/* A page that is no more: who looks further finds nothing. */
			return problem != NULL &&
			       (is_gone(problem) || acme_stop_problem(work->acme, NULL, problem));
		gboolean good = look_at_page(work, json, &looked, &found);
		json_decref(json);
		if (!good || found)
			return good;
		g_auto(GStrv) next = acme_links(http_header(got, "link"), "next");
		g_free(row->look_page);
		row->look_page = row->looks < LIST_LOOKS_MAX ? g_strdup(next[0]) : NULL;
		row->look_at = 0;
	}
	return TRUE;
}

/* ---- a new one ------------------------------------------------------------------------------- */

static json_t *
order_payload(struct acme_work *work, gboolean replacing)
{
	const char *profile = handler_config_text(work->acme->context->config, "profile");
	g_autofree char *replaces = replacing ? acme_cert_replaced(work) : NULL;
	json_t *identifiers = json_array();
	json_t *payload = json_object();

	for (guint i = 0; i < work->names->len; i++)
		json_array_append_new(identifiers,
				      json_pack("{s:s, s:s}", "type", work->email ? "email" : "dns",
						"value",
						(const char *)g_ptr_array_index(work->names, i)));
	json_object_set_new(payload, "identifiers", identifiers);
	if (*profile != '\0')
		json_object_set_new(payload, "profile", json_string(profile));
	if (replaces != NULL)
		json_object_set_new(payload, "replaces", json_string(replaces));
	return payload;
}

/* "No" to the order: there is none, and what it means the problem says. */
static gboolean
order_refused(struct acme_work *work, const struct acme_problem *problem)
{
	work->row->asked = CLOCK_NEVER;
	if (work->email)
		acme_email_close(work);
	return save(work) && acme_stop_problem(work->acme, "the order was refused", problem);
}

static struct http_answer *
post_order(struct acme_work *work, gboolean replacing, struct acme_problem **problem)
{
	const struct acme_call call = {
		.url = work->acme->directory->new_order,
		.payload = order_payload(work, replacing),
		.acts = TRUE,
	};

	return acme_post(work->acme, &call, problem);
}

static gboolean
ask(struct acme_work *work)
{
	struct acme *acme = work->acme;
	CLEANUP(acme_problem) struct acme_problem *problem = NULL;

	work->row->asked = clock_now(acme->context->clock);
	forget_search(work->row);
	if (!save(work))
		return FALSE;
	CLEANUP(http_answer) struct http_answer *got = post_order(work, TRUE, &problem);
	if (acme_problem_is(problem, "alreadyReplaced")) {
		/* By an order whose certificate did not come to us, say: it is one more (RFC 9773
		 * section 5). */
		g_clear_pointer(&problem, acme_problem_free);
		got = post_order(work, FALSE, &problem);
	}
	if (problem != NULL)
		return order_refused(work, problem);
	if (got == NULL)
		return FALSE;
	const char *url = http_header(got, "location");
	if (url == NULL || !acme_url_is_good(url))
		return acme_stop(acme, HANDLER_RETRY, HANDLER_ERROR_CONFLICT, NULL,
				 "the server has not named the order's URL");
	return take_url(work, url);
}

static gboolean
begin_anew(struct acme_work *work)
{
	if (work->email)
		acme_email_close(work);
	acme_challenges_clear(work->acme->context, work->request->id);
	g_clear_pointer(&work->row->url, g_free);
	work->row->asked = CLOCK_NEVER;
	work->row->failures = 0;
	return work->acme->error == NULL && save(work);
}

static gboolean
have_order(struct acme_work *work)
{
	const char *handle = work->request->handle;
	gboolean has_handle = handle != NULL && acme_url_is_good(handle);

	if (work->row->url != NULL && has_handle)
		return take_url(work, work->row->url);
	/* The handle is kept first: one that is gone was forgotten on purpose (request retry
	 * --anew). */
	if (work->row->url != NULL && !begin_anew(work))
		return FALSE;
	/* Saved with the request, and then the program died. */
	if (work->row->asked != CLOCK_NEVER && has_handle)
		return take_url(work, handle);
	if (work->email && !acme_email_open(work))
		return FALSE;
	if (work->row->asked != CLOCK_NEVER && !look_for_lost(work))
		return FALSE;
	return work->row->url != NULL || ask(work);
}

/* ---- its way --------------------------------------------------------------------------------- */

static gboolean
finalize(struct acme_work *work, const struct acme_order *order)
{
	gsize length;
	const guint8 *der = g_bytes_get_data(work->request->csr, &length);
	g_autofree char *csr = jws_base64url(der, length);
	const struct acme_call call = {
		.url = order->finalize,
		.payload = json_pack("{s:s}", "csr", csr),
		.acts = TRUE,
	};
	CLEANUP(acme_problem) struct acme_problem *problem = NULL;
	CLEANUP(http_answer) struct http_answer *got = acme_post(work->acme, &call, &problem);

	if (got != NULL)
		return TRUE;
	if (problem == NULL)
		return FALSE;
	struct acme_meaning meaning = acme_problem_meaning(problem);
	if (meaning.status == HANDLER_REJECTED)
		return acme_order_failed(work, meaning, problem->type, "the CSR was refused: %s",
					 problem->detail);
	return acme_problem_is(problem, "orderNotReady") ||
	       acme_stop_problem(work->acme, "finalizing the order", problem);
}

static gboolean
finish(struct acme_work *work, const struct acme_order *order)
{
	if (!acme_cert_download(work->acme, order->certificate))
		return FALSE;
	if (work->email)
		acme_email_close(work);
	acme_challenges_clear(work->acme->context, work->request->id);
	return FALSE;
}

/* FALSE: nothing more to do in this act. */
static gboolean
step(struct acme_work *work, const struct acme_order *order)
{
	if (!order_is_ours(work, order))
		return acme_order_failed(
		    work, (struct acme_meaning){ HANDLER_REJECTED, HANDLER_ERROR_CONFIG }, NULL,
		    "the server's order is for other names than were asked for");
	switch (order->status) {
	case ACME_PENDING:
		return acme_challenges_work(work, order);
	case ACME_READY:
		return finalize(work, order);
	case ACME_PROCESSING:
		return TRUE;
	case ACME_VALID:
		return finish(work, order);
	case ACME_INVALID:
		/* Which challenge it was is told by the authorizations. */
		if (!acme_challenges_work(work, order))
			return FALSE;
		return failed_by(work, "the order has failed", order->problem);
	case ACME_DEACTIVATED:
	case ACME_EXPIRED:
	case ACME_REVOKED:
		break;
	}
	return failed_by(work, "the order is over", order->problem);
}

static gint64
pause_until(const struct acme_work *work, gint64 pause_ms)
{
	gint64 told = work->acme->answer->not_before - clock_now(work->acme->context->clock);

	return MAX(pause_ms, told * 1000);
}

static void
walk(struct acme_work *work)
{
	gint64 pause_ms = PAUSE_FIRST_MS;

	for (;;) {
		CLEANUP(acme_problem) struct acme_problem *problem = NULL;
		CLEANUP(acme_order)
		struct acme_order *order = order_at(work, work->row->url, &problem);

		if (problem != NULL) {
			(void)(is_gone(problem)
				   ? failed_by(work, "the server does not know the order any more",
					       NULL)
				   : acme_stop_problem(work->acme, NULL, problem));
			return;
		}
		if (order == NULL || !step(work, order))
			return;
		if (!acme_wait(work->acme, pause_until(work, pause_ms))) {
			(void)acme_order_pending(work, pause_ms >= PAUSE_MAX_MS ? POLL_SECONDS : 5,
						 "the CA is at work");
			return;
		}
		work->acme->answer->not_before = 0;
		pause_ms = MIN(pause_ms * 2, PAUSE_MAX_MS);
	}
}

void
acme_order_work(struct acme *acme, const struct request_row *request)
{
	struct acme_work work = { .acme = acme, .request = request };
	GError *why = NULL;

	if (!names_of(&work)) {
		g_ptr_array_unref(work.names);
		return;
	}
	work.begun = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	if (!acme_orders_load(acme->context->db, request->id, &work.row, &why))
		acme_fail(acme, why);
	else if (acme_account_ready(acme) && have_order(&work))
		walk(&work);
	acme_order_row_free(work.row);
	g_hash_table_unref(work.begun);
	g_ptr_array_unref(work.names);
}
