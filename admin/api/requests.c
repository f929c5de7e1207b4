/*
 * requests - the noun request (C3, C5).
 */
#include "admin/api/cert_text.h"
#include "admin/api/change.h"
#include "admin/api/delivering.h"
#include "admin/api/handlers.h"
#include "admin/api/numbers.h"
#include "admin/api/paging.h"
#include "admin/api/row_acts.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/crypto/bundle.h"
#include "pki/crypto/csr.h"
#include "pki/enroll.h"
#include "pki/renewal.h"
#include "pki/enroll_revoke.h"
#include "pki/handlers/handler.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/mailaddr.h"
#include "store/db/tx.h"
#include "store/renewals.h"
#include "store/requests.h"
#include "store/revocation_orders.h"
#include "store/scopes.h"

#define WAIT_US (G_USEC_PER_SEC / 10)
#define WAIT_TIMES 50 /* of these, for a CA elsewhere */

static char *
age_text(gint64 seconds)
{
	if (seconds < 120)
		return g_strdup_printf("%" G_GINT64_FORMAT " s", MAX(seconds, 0));
	if (seconds < 2 * 3600)
		return g_strdup_printf("%" G_GINT64_FORMAT " min", seconds / 60);
	if (seconds < 2 * 86400)
		return g_strdup_printf("%" G_GINT64_FORMAT " h", seconds / 3600);
	return g_strdup_printf("%" G_GINT64_FORMAT " d", seconds / 86400);
}

static gboolean
is_open(const struct request_row *row)
{
	return row->state == REQUEST_NEW || row->state == REQUEST_KEYED ||
	       row->state == REQUEST_PENDING;
}

/* Who has the next move. */
static const char *
waits_for(const struct call *call, const struct request_row *row)
{
	if (!is_open(row))
		return NULL;
	if (enroll_is_asked(row, clock_now(call->gateway->clock)))
		return "the CA: it is being asked";
	if (row->next_try != CLOCK_NEVER)
		return "its next try";
	return g_strcmp0(row->error_class, handler_error_class_name(HANDLER_ERROR_CONFIG)) == 0
		   ? "its handler's settings: handler config, or request retry"
		   : "a person";
}

static json_t *
request_object(const struct call *call, const struct request_row *row)
{
	json_t *object = json_object();
	g_autofree char *age = age_text(clock_now(call->gateway->clock) - row->created);
	g_autofree char *handler =
	    row->handler_config != NULL && strcmp(row->handler_config, "default") != 0
		? g_strdup_printf("%s/%s", row->handler, row->handler_config)
		: g_strdup(row->handler);

	json_object_set_new(object, "id", json_integer(row->id));
	json_object_set_new(object, "state", json_string(request_state_name(row->state)));
	json_object_set_new(object, "email", answer_text(row->email));
	json_object_set_new(object, "common_name", answer_text(row->common_name));
	json_object_set_new(object, "handler", answer_text(handler));
	json_object_set_new(object, "created", answer_time(row->created));
	json_object_set_new(object, "age", json_string(age));
	json_object_set_new(object, "attempts", json_integer(row->attempts));
	json_object_set_new(object, "next_try",
			    is_open(row) ? answer_time(row->next_try) : json_null());
	json_object_set_new(object, "waits_for", answer_text(waits_for(call, row)));
	if (row->pair != 0)
		json_object_set_new(object, "pair", json_integer(row->pair));
	json_object_set_new(object, "error", answer_text(row->error_text));
	json_object_set_new(object, "thumbprint", answer_text(row->thumbprint));
	return object;
}

json_t *
request_list(struct call *call, GError **error)
{
	struct page page;
	json_t *items;
	CLEANUP(mailaddr) struct mailaddr *address = NULL;

	if (!page_of(call, &page, error))
		return NULL;
	if (call_text(call, "email") != NULL) {
		address = call_address(call, "email", error);
		if (address == NULL)
			return NULL;
	}
	g_auto(GStrv) of = g_strsplit(
	    call_text(call, "handler") != NULL ? call_text(call, "handler") : "", "/", 2);
	const struct request_filter filter = {
		.only_open = call_flag(call, "open"),
		.state = call_text(call, "state"),
		.handler = of[0],
		.config = of[0] != NULL ? of[1] : NULL,
		.email = address != NULL ? mailaddr_key(address) : NULL,
		.text = call_text(call, "text"),
		.batch_id = call_int(call, "batch", 0),
		.before = page.after,
		.limit = page.limit,
	};
	g_autoptr(GPtrArray) rows = requests_list(call->gateway->db, &filter, error);
	if (rows == NULL)
		return NULL;
	items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct request_row *row = g_ptr_array_index(rows, i);

		json_array_append_new(items, request_object(call, row));
		page_seen(&page, row->id);
	}
	return page_answer(&page, items);
}

static json_t *
history_of(struct call *call, gint64 id, GError **error)
{
	g_autoptr(GPtrArray) events = requests_history(call->gateway->db, id, error);
	json_t *list = events != NULL ? json_array() : NULL;

	for (guint i = 0; events != NULL && i < events->len; i++) {
		const struct request_event *event = g_ptr_array_index(events, i);
		json_array_append_new(
		    list, json_pack("{s:o, s:o, s:o}", "at", answer_time(event->at), "state",
				    answer_text(event->state), "what", answer_text(event->text)));
	}
	return list;
}

/* What the checks refused: the facts that a person judges it by. */
static gboolean
add_returned(json_t *object, const struct request_row *row)
{
	CLEANUP(bundle)
	struct bundle *bundle =
	    row->returned != NULL ? bundle_read(row->returned, "", NULL, NULL) : NULL;
	json_t *list = json_array();

	for (guint i = 0; bundle != NULL && i < bundle->certs->len; i++) {
		const struct cert *cert = g_ptr_array_index(bundle->certs, i);
		json_array_append_new(
		    list, json_pack("{s:o, s:o, s:o, s:o, s:o, s:b}", "subject",
				    answer_text(cert_subject(cert)), "issuer",
				    answer_text(cert_issuer(cert)), "not_before",
				    answer_time(cert_not_before(cert)), "not_after",
				    answer_time(cert_not_after(cert)), "thumbprint",
				    answer_text(cert_thumbprint(cert)), "our_key",
				    g_strcmp0(cert_spki_sha256(cert), row->spki_sha256) == 0));
	}
	if (bundle != NULL)
		json_object_set_new(object, "returned", list);
	else
		json_decref(list);
	return TRUE;
}

static gboolean
add_revocation(struct call *call, json_t *object, const struct request_row *row, GError **error)
{
	CLEANUP(revocation_order) struct revocation_order *order = NULL;

	if (row->thumbprint == NULL)
		return TRUE;
	if (!revocation_orders_of(call->gateway->db, row->thumbprint, &order, error))
		return FALSE;
	if (order != NULL)
		json_object_set_new(
		    object, "revocation",
		    json_pack("{s:o, s:o, s:o, s:o}", "state", answer_text(order->state), "reason",
			      answer_text(order->reason), "next_try", answer_time(order->next_try),
			      "error", answer_text(order->error_text)));
	return TRUE;
}

/* Where its CA has said something about it. */
static gboolean
add_renewal(struct call *call, json_t *object, const struct request_row *row, GError **error)
{
	CLEANUP(renewal_advice) struct renewal_advice *advice = NULL;

	if (row->thumbprint == NULL)
		return TRUE;
	if (!renewal_advice_find(call->gateway->db, row->thumbprint, &advice, error))
		return FALSE;
	if (advice == NULL)
		return TRUE;
	json_object_set_new(object, "renewal",
			    json_pack("{s:o, s:o, s:o, s:o, s:o}", "ca_says_from",
				      answer_time(advice->window_start), "ca_says_until",
				      answer_time(advice->window_end), "renew_at",
				      answer_time(advice->renew_at), "asked_again",
				      answer_time(advice->next_ask), "error",
				      answer_text(*advice->error != '\0' ? advice->error : NULL)));
	return TRUE;
}

json_t *
request_show(struct call *call, GError **error)
{
	CLEANUP(request_row)
	struct request_row *row = requests_find(call->gateway->db, call_int(call, "id", 0), error);
	json_t *object;

	if (row == NULL)
		return NULL;
	object = request_object(call, row);
	json_object_set_new(object, "organisation", answer_text(row->organisation));
	json_object_set_new(object, "first_name", answer_text(row->first_name));
	json_object_set_new(object, "last_name", answer_text(row->last_name));
	json_object_set_new(object, "ca", answer_text(row->ca));
	json_object_set_new(object, "key", answer_text(row->key));
	json_object_set_new(object, "digest", answer_text(row->digest));
	json_object_set_new(object, "validity_days", json_integer(row->validity_days));
	json_object_set_new(object, "spki", answer_text(row->spki_sha256));
	json_object_set_new(object, "handle", answer_text(row->handle));
	json_object_set_new(object, "error_class", answer_text(row->error_class));
	json_object_set_new(object, "error_code", answer_text(row->error_code));
	json_object_set_new(object, "requester", answer_text(row->requester));
	json_object_set_new(object, "changed", answer_time(row->updated));
	json_object_set_new(object, "profile", answer_text(row->profile));
	json_object_set_new(object, "key_use", answer_text(row->key_use));
	json_object_set_new(object, "names", answer_texts((const char *const *)row->names));
	json_object_set_new(object, "renews", answer_text(row->renews));
	json_object_set_new(object, "given_up_after",
			    is_open(row) ? answer_time(row->give_up) : json_null());
	json_object_set_new(object, "lost_answers", json_integer(row->lost));
	if (row->batch_id != 0)
		json_object_set_new(object, "batch", json_integer(row->batch_id));
	json_t *history = history_of(call, row->id, error);
	if (history == NULL || !add_returned(object, row) ||
	    !add_revocation(call, object, row, error) || !add_renewal(call, object, row, error)) {
		json_decref(history);
		json_decref(object);
		return NULL;
	}
	json_object_set_new(object, "history", history);
	return object;
}

static GBytes *
csr_of(struct call *call, gint64 id, GError **error)
{
	CLEANUP(request_row)
	struct request_row *row = requests_find(call->gateway->db, id, error);
	const struct handler *handler = row != NULL ? handler_find(row->handler, error) : NULL;

	if (handler == NULL)
		return NULL;
	if (row->csr == NULL)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "request %" G_GINT64_FORMAT " has no CSR yet: its key is not made", id);
	if (!handler->capabilities.csr_download && is_open(row) && row->error_class == NULL)
		return fail(error, PS_ERROR_INVALID,
			    "the CSR of request %" G_GINT64_FORMAT " is not given out: handler "
			    "'%s' hands it in itself",
			    id, handler->name);
	return g_bytes_ref(row->csr);
}

/* PEM of all of them in one file, in the order asked for. */
json_t *
request_csr(struct call *call, GError **error)
{
	g_autoptr(GArray) ids = numbers_of(call, "ids", "request", error);
	gboolean der = g_strcmp0(call_text(call, "format"), "der") == 0;
	g_autoptr(GString) all = g_string_new(NULL);
	g_autoptr(GBytes) csr = NULL;

	if (ids == NULL)
		return NULL;
	if (der && ids->len > 1)
		return fail(error, PS_ERROR_USAGE, "der holds one CSR: name one request");
	for (guint i = 0; i < ids->len; i++) {
		g_clear_pointer(&csr, g_bytes_unref);
		csr = csr_of(call, g_array_index(ids, gint64, i), error);
		if (csr == NULL)
			return NULL;
		g_autofree char *pem = csr_to_pem(csr);
		g_string_append(all, pem);
	}
	g_autofree char *name =
	    ids->len > 1 ? g_strdup("requests.csr")
			 : g_strdup_printf("request-%" G_GINT64_FORMAT ".%s",
					   g_array_index(ids, gint64, 0), der ? "der" : "csr");
	g_autoptr(GBytes) pem = g_bytes_new(all->str, all->len);
	return json_pack("{s:[o]}", "files", answer_file(name, der ? csr : pem));
}

/* --- create --- */

static gboolean
add_user(struct change *change, struct tx *tx, const char *email, GError **error)
{
	CLEANUP(scope) struct scope *scope = NULL;
	gboolean is_new;

	if (!call_flag(change->call, "add-user"))
		return TRUE;
	scope = scope_parse(SCOPE_USER, email, error);
	return scope != NULL && scopes_add(tx, scope, NULL, &is_new, error);
}

/* The request is a row before anything is made: what dies later is finished by the daemon. */
static json_t *
create(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct enroll_order *order = data;
	struct enroll enroll = gateway_enroll(change->call->gateway);
	gint64 id;

	if (!enroll_create(&enroll, tx, order, &id, error) ||
	    !add_user(change, tx, order->email, error))
		return NULL;
	change->object = g_strdup_printf("request %" G_GINT64_FORMAT, id);
	change->detail = g_strdup(order->email);
	return json_pack("{s:I}", "id", (json_int_t)id);
}

/* A CA elsewhere is asked by the daemon's workers; it is waited for as long as a person would. */
static gboolean
wait_a_little(const struct enroll *enroll, gint64 id, struct request_row **row, GError **error)
{
	for (gint i = 0; i < WAIT_TIMES; i++) {
		if (!is_open(*row) || (*row)->tries > 0 || (*row)->next_try == CLOCK_NEVER ||
		    (*row)->state == REQUEST_PENDING)
			return TRUE;
		g_usleep(WAIT_US);
		request_row_free(*row);
		*row = requests_find(enroll->db, id, error);
		if (*row == NULL)
			return FALSE;
	}
	return TRUE;
}

static json_t *
created_answer(struct call *call, gint64 id, GError **error)
{
	struct enroll enroll = gateway_enroll(call->gateway);
	CLEANUP(request_row) struct request_row *row = NULL;

	if (!enroll_prepare(&enroll, id, &row, error) ||
	    (!call_flag(call, "no-wait") && !wait_a_little(&enroll, id, &row, error)))
		return NULL;
	/* The other half goes the same way by itself; what is issued at once is, here as well. */
	if (row->pair == id && !enroll_prepare(&enroll, id + 1, NULL, NULL))
		log_debug("the other half of a pair is left to the workers", "request", "pair");
	if (row->state == REQUEST_FAILED || row->state == REQUEST_REJECTED)
		call->exit_status = 1;
	return request_object(call, row);
}

static gboolean
is_given(const struct call *call, const char *const *names)
{
	for (; *names != NULL; names++)
		if (json_object_get(call->arguments, *names) != NULL)
			return TRUE;
	return FALSE;
}

/* What says how to deliver says nothing without --send; and a key is not sent without a password
 * that somebody knows (C3), which delivery_check sees to. */
static gboolean
read_delivery(struct call *call, struct enroll_order *order, struct delivery_options *options,
	      struct secret **password, GError **error)
{
	static const char *const names[] = { "to",
					     "password",
					     "sms",
					     "show-password",
					     "store-password",
					     "compatible",
					     "language",
					     "allow-mismatch",
					     NULL };

	if (!call_flag(call, "send"))
		return !is_given(call, names) ||
		       fail_false(error, PS_ERROR_USAGE,
				  "what says how to send the key needs --send");
	order->delivery = options;
	return delivering_options(call, options, password, error);
}

/* What was not given anew is as in the request that obtained the old one. */
static void
take_over(struct enroll_order *order, const struct enroll_order *old)
{
	const struct {
		const char **to;
		const char *from;
	} texts[] = {
		{ &order->email, old->email },
		{ &order->common_name, old->common_name },
		{ &order->organisation, old->organisation },
		{ &order->first_name, old->first_name },
		{ &order->last_name, old->last_name },
		{ &order->ca, old->ca },
		{ &order->key, old->key },
		{ &order->key_use, old->key_use },
		{ &order->digest, old->digest },
		{ &order->profile, old->profile },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
		if (*texts[i].to == NULL)
			*texts[i].to = texts[i].from;
	if (order->handler == NULL) {
		order->handler = old->handler;
		order->handler_config = old->handler_config;
		order->options = old->options;
	}
	if (order->dns_names == NULL)
		order->dns_names = old->dns_names;
	if (order->validity_days == 0)
		order->validity_days = old->validity_days;
	if (order->crl_url == ENROLL_AS_DEFAULT)
		order->crl_url = old->crl_url;
	order->renews = old->renews;
}

/* *plan NULL without *error: nothing is renewed. */
static gboolean
plan_renewal(struct call *call, struct enroll_order *order, struct renewal **plan, GError **error)
{
	const char *thumbprint = call_text(call, "renew");

	if (thumbprint == NULL)
		return order->common_name != NULL ||
		       fail_false(error, PS_ERROR_USAGE, "a request needs --common-name");
	CLEANUP(cert) struct cert *cert = cert_text_find(call, thumbprint, error);
	*plan = cert != NULL ? renewal_plan(call->gateway->db, cert_thumbprint(cert), error) : NULL;
	if (*plan == NULL)
		return FALSE;
	take_over(order, renewal_order(*plan));
	return TRUE;
}

json_t *
request_create(struct call *call, GError **error)
{
	const char *crl_url = call_text(call, "crl-url"), *handler = call_text(call, "handler");
	g_auto(GStrv) of = g_strsplit(handler != NULL ? handler : "", "/", 2);
	g_auto(GStrv) names = call_list(call, "dns-name");
	CLEANUP(secret) struct secret *password = NULL;
	struct delivery_options delivery;
	struct enroll_order order = {
		.email = call_text(call, "email"),
		.common_name = call_text(call, "common-name"),
		.organisation = call_text(call, "organisation"),
		.first_name = call_text(call, "first-name"),
		.last_name = call_text(call, "last-name"),
		.handler = of[0],
		.handler_config = of[0] != NULL ? of[1] : NULL,
		.ca = call_text(call, "ca"),
		.key = call_text(call, "key"),
		.key_use = call_text(call, "key-use"),
		.digest = call_text(call, "digest"),
		.profile = call_text(call, "profile"),
		.validity_days = call_int(call, "days", 0),
		.crl_url = crl_url == NULL               ? ENROLL_AS_DEFAULT
			   : strcmp(crl_url, "yes") == 0 ? ENROLL_YES
							 : ENROLL_NO,
		.dns_names = names[0] != NULL ? (const char *const *)names : NULL,
		.requester = call->actor,
	};
	CLEANUP(mailaddr) struct mailaddr *address = NULL;
	CLEANUP(renewal) struct renewal *plan = NULL;
	json_t *answer;

	if (call_text(call, "email") != NULL) {
		address = call_address(call, "email", error);
		if (address == NULL)
			return NULL;
	}
	if (address == NULL && call_flag(call, "add-user"))
		return fail(error, PS_ERROR_USAGE, "--add-user needs --email");
	if (!read_delivery(call, &order, &delivery, &password, error) ||
	    !plan_renewal(call, &order, &plan, error))
		return NULL;
	json_t *made = change_run(call, create, &order, error);
	if (made == NULL)
		return NULL;
	answer = created_answer(call, json_integer_value(json_object_get(made, "id")), error);
	json_decref(made);
	return answer;
}

/* --- retry, delete, upload --- */

static gboolean
retry_one(const struct call *call, struct tx *tx, gint64 id, GError **error)
{
	struct enroll enroll = gateway_enroll(call->gateway);

	return enroll_retry(&enroll, tx, id, call_flag(call, "anew"), error);
}

json_t *
request_retry(struct call *call, GError **error)
{
	static const struct row_act act = { "request", "due_now", NULL, retry_one };
	g_autoptr(GArray) ids = numbers_of(call, "ids", "request", error);
	struct enroll enroll = gateway_enroll(call->gateway);
	json_t *items;

	if (ids == NULL)
		return NULL;
	json_t *done = row_act_run(call, &act, error);
	if (done == NULL)
		return NULL;
	json_decref(done);
	items = json_array();
	for (guint i = 0; i < ids->len; i++) {
		g_autoptr(GError) problem = NULL;
		CLEANUP(request_row) struct request_row *row = NULL;

		if (enroll_prepare(&enroll, g_array_index(ids, gint64, i), &row, &problem))
			json_array_append_new(items, request_object(call, row));
		else
			json_array_append_new(
			    items, json_pack("{s:I, s:s, s:o}", "id",
					     (json_int_t)g_array_index(ids, gint64, i), "state",
					     "failed", "error", answer_text(problem->message)));
	}
	return answer_list(items, NULL);
}

static gboolean
ask_open(const struct call *call, gint64 id, char **question, GError **error)
{
	CLEANUP(request_row) struct request_row *row = requests_find(call->gateway->db, id, error);

	if (row != NULL && is_open(row))
		*question = g_strdup_printf("request %" G_GINT64_FORMAT " for %s is not finished",
					    id, row->email);
	return row != NULL;
}

static gboolean
delete_one(const struct call *call, struct tx *tx, gint64 id, GError **error)
{
	struct enroll enroll = gateway_enroll(call->gateway);

	return enroll_delete(&enroll, tx, id, error);
}

json_t *
request_delete(struct call *call, GError **error)
{
	static const struct row_act act = { "request", "deleted", ask_open, delete_one };

	return row_act_run(call, &act, error);
}
