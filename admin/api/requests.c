/*
 * requests - the noun request (C3, C5).
 */
#include "admin/api/ca_context.h"
#include "admin/api/cert_text.h"
#include "admin/api/change.h"
#include "admin/api/handlers.h"
#include "admin/api/paging.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/ca.h"
#include "pki/crypto/bundle.h"
#include "pki/enroll.h"
#include "store/base/error.h"
#include "store/base/mailaddr.h"
#include "store/db/tx.h"
#include "store/requests.h"
#include "store/scopes.h"

static struct enroll
enroll_of(const struct call *call)
{
	return (struct enroll){ .db = call->gateway->db,
				.keyring = call->gateway->keyring,
				.clock = call->gateway->clock,
				.settings = gateway_settings(call->gateway) };
}

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
	json_object_set_new(object, "error", answer_text(row->error_text));
	json_object_set_new(object, "thumbprint", answer_text(row->thumbprint));
	return object;
}

json_t *
request_list(struct call *call, GError **error)
{
	struct page page;
	json_t *items;

	if (!page_of(call, &page, error))
		return NULL;
	const struct request_filter filter = {
		.only_open = call_flag(call, "open"),
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
	return object;
}

json_t *
request_csr(struct call *call, GError **error)
{
	gint64 id = call_int(call, "id", 0);
	CLEANUP(request_row)
	struct request_row *row = requests_find(call->gateway->db, id, error);

	if (row == NULL)
		return NULL;
	if (row->csr == NULL)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "request %" G_GINT64_FORMAT " has no CSR yet: its key is not made", id);
	gsize length;
	const guchar *der = g_bytes_get_data(row->csr, &length);
	g_autofree char *text = g_base64_encode(der, length);
	GString *pem = g_string_new("-----BEGIN CERTIFICATE REQUEST-----\n");
	for (gsize i = 0; text[i] != '\0'; i += MIN(64, strlen(text + i)))
		g_string_append_printf(pem, "%.64s\n", text + i);
	g_string_append(pem, "-----END CERTIFICATE REQUEST-----\n");
	g_autoptr(GBytes) bytes = g_string_free_to_bytes(pem);
	g_autofree char *name = g_strdup_printf("request-%" G_GINT64_FORMAT ".csr", id);
	return json_pack("{s:[o]}", "files", answer_file(name, bytes));
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
	struct enroll enroll = enroll_of(change->call);
	gint64 id;

	if (!enroll_create(&enroll, tx, order, &id, error) ||
	    !add_user(change, tx, order->email, error))
		return NULL;
	change->object = g_strdup_printf("request %" G_GINT64_FORMAT, id);
	change->detail = g_strdup(order->email);
	return json_pack("{s:I}", "id", (json_int_t)id);
}

static json_t *
created_answer(struct call *call, gint64 id, GError **error)
{
	struct enroll enroll = enroll_of(call);
	CLEANUP(request_row) struct request_row *row = NULL;

	if (!enroll_advance(&enroll, id, &row, error))
		return NULL;
	if (row->state == REQUEST_FAILED || row->state == REQUEST_REJECTED)
		call->exit_status = 1;
	return request_object(call, row);
}

json_t *
request_create(struct call *call, GError **error)
{
	const char *crl_url = call_text(call, "crl-url");
	struct enroll_order order = {
		.email = call_text(call, "email"),
		.common_name = call_text(call, "common-name"),
		.organisation = call_text(call, "organisation"),
		.first_name = call_text(call, "first-name"),
		.last_name = call_text(call, "last-name"),
		.handler = call_text(call, "handler"),
		.ca = call_text(call, "ca"),
		.key = call_text(call, "key"),
		.digest = call_text(call, "digest"),
		.validity_days = call_int(call, "days", 0),
		.crl_url = crl_url == NULL || strcmp(crl_url, "yes") == 0,
		.requester = call->actor,
	};
	CLEANUP(mailaddr) struct mailaddr *address = call_address(call, "email", error);
	json_t *made = address != NULL ? change_run(call, create, &order, error) : NULL;
	json_t *answer;

	if (made == NULL)
		return NULL;
	answer = created_answer(call, json_integer_value(json_object_get(made, "id")), error);
	json_decref(made);
	return answer;
}

/* --- retry, delete, upload --- */

static gboolean
ids_of(struct call *call, GArray *ids, GError **error)
{
	g_auto(GStrv) texts = call_list(call, "ids");

	for (char **text = texts; *text != NULL; text++) {
		gint64 id;

		if (!g_ascii_string_to_signed(*text, 10, 1, G_MAXINT64, &id, NULL))
			return fail_false(error, PS_ERROR_INVALID, "'%s' is no number of a request",
					  *text);
		g_array_append_val(ids, id);
	}
	return TRUE;
}

static json_t *
retry(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const GArray *ids = data;
	struct enroll enroll = enroll_of(change->call);
	g_auto(GStrv) texts = call_list(change->call, "ids");

	for (guint i = 0; i < ids->len; i++)
		if (!enroll_retry(&enroll, tx, g_array_index(ids, gint64, i), FALSE, error))
			return NULL;
	g_autofree char *list = g_strjoinv(" ", texts);
	change->object = g_strdup_printf("request %s", list);
	return json_object();
}

json_t *
request_retry(struct call *call, GError **error)
{
	g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(gint64));
	struct enroll enroll = enroll_of(call);
	json_t *items;

	if (!ids_of(call, ids, error))
		return NULL;
	json_t *done = change_run(call, retry, ids, error);
	if (done == NULL)
		return NULL;
	json_decref(done);
	items = json_array();
	for (guint i = 0; i < ids->len; i++) {
		g_autoptr(GError) problem = NULL;
		CLEANUP(request_row) struct request_row *row = NULL;

		if (enroll_advance(&enroll, g_array_index(ids, gint64, i), &row, &problem))
			json_array_append_new(items, request_object(call, row));
		else
			json_array_append_new(
			    items, json_pack("{s:I, s:s, s:o}", "id",
					     (json_int_t)g_array_index(ids, gint64, i), "state",
					     "failed", "error", answer_text(problem->message)));
	}
	return answer_list(items, NULL);
}

static json_t *
delete_requests(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const GArray *ids = data;
	struct enroll enroll = enroll_of(change->call);
	g_auto(GStrv) texts = call_list(change->call, "ids");

	for (guint i = 0; i < ids->len; i++)
		if (!enroll_delete(&enroll, tx, g_array_index(ids, gint64, i), error))
			return NULL;
	g_autofree char *list = g_strjoinv(" ", texts);
	change->object = g_strdup_printf("request %s", list);
	return json_pack("{s:i}", "deleted", (int)ids->len);
}

json_t *
request_delete(struct call *call, GError **error)
{
	g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(gint64));
	json_t *answer = NULL;

	if (!ids_of(call, ids, error))
		return NULL;
	for (guint i = 0; i < ids->len; i++) {
		gint64 id = g_array_index(ids, gint64, i);
		CLEANUP(request_row)
		struct request_row *row = requests_find(call->gateway->db, id, error);

		if (row == NULL)
			return NULL;
		if (is_open(row) &&
		    !call_is_sure(call, &answer,
				  "request %" G_GINT64_FORMAT " for %s is not finished", id,
				  row->email))
			return answer;
	}
	return change_run(call, delete_requests, ids, error);
}

struct upload {
	GPtrArray *certs; /* struct cert */
	GPtrArray *names; /* of their files */
	json_t *rejected;
};

/* A CA's own certificates come along in such files; one that a CA of ours waits for is taken. */
static gboolean
take_ca(struct change *change, struct tx *tx, struct cert *cert, json_t *items, const char *file,
	GString *object, GError **error)
{
	struct ca_context context = ca_context_of_gateway(change->call->gateway);
	g_autoptr(GError) problem = NULL;
	g_autofree char *name = NULL;

	gboolean taken = ca_take_cert(&context, cert, &name, tx, &problem);
	if (!taken && g_error_matches(problem, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		json_array_append_new(
		    items, json_pack("{s:o, s:s, s:o, s:s}", "file", answer_text(file), "outcome",
				     "passed over", "subject", answer_text(cert_subject(cert)),
				     "request", "no CA waits for this certificate"));
		return TRUE;
	}
	if (!taken && g_error_matches(problem, PS_ERROR, PS_ERROR_TEMPORARY)) {
		g_propagate_error(error, g_steal_pointer(&problem));
		return FALSE;
	}
	json_array_append_new(items, json_pack("{s:o, s:s, s:o, s:o}", "file", answer_text(file),
					       "outcome", taken ? "taken" : "rejected", "subject",
					       answer_text(cert_subject(cert)), "request",
					       answer_text(taken ? name : problem->message)));
	if (taken)
		g_string_append_printf(object, "CA %s ", name);
	return TRUE;
}

static json_t *
take_certs(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct upload *upload = data;
	struct enroll enroll = enroll_of(change->call);
	json_t *items = json_copy(upload->rejected);
	g_autoptr(GString) object = g_string_new(NULL);

	for (guint i = 0; i < upload->certs->len; i++) {
		struct cert *cert = g_ptr_array_index(upload->certs, i);
		g_autoptr(GError) problem = NULL;
		gint64 id = 0;
		if (cert_is_ca(cert)) {
			if (!take_ca(change, tx, cert, items, g_ptr_array_index(upload->names, i),
				     object, error)) {
				json_decref(items);
				return NULL;
			}
			continue;
		}
		gboolean taken =
		    enroll_take_cert(&enroll, tx, cert, upload->certs, &id, NULL, &problem);

		if (!taken && g_error_matches(problem, PS_ERROR, PS_ERROR_TEMPORARY)) {
			g_propagate_error(error, g_steal_pointer(&problem));
			json_decref(items);
			return NULL;
		}
		json_t *item = json_pack("{s:o, s:s, s:o, s:o}", "file",
					 answer_text(g_ptr_array_index(upload->names, i)),
					 "outcome", taken ? "taken" : "rejected", "subject",
					 answer_text(cert_subject(cert)), "request",
					 taken ? json_integer(id) : answer_text(problem->message));
		json_array_append_new(items, item);
		if (taken)
			g_string_append_printf(object, "request %" G_GINT64_FORMAT " ", id);
	}
	change->object = g_strdup(g_strchomp(object->str));
	return answer_list(items, NULL);
}

static gboolean
read_upload(struct call *call, struct upload *upload, GError **error)
{
	for (gsize i = 0; i < call_file_count(call, "files"); i++) {
		g_autoptr(GError) problem = NULL;
		const char *name;
		g_autoptr(GBytes) bytes = call_file(call, "files", i, &name, error);

		if (bytes == NULL)
			return FALSE;
		CLEANUP(bundle) struct bundle *bundle = bundle_read(bytes, name, NULL, &problem);
		if (bundle == NULL)
			json_array_append_new(upload->rejected,
					      json_pack("{s:o, s:s, s:s, s:o}", "file",
							answer_text(name), "outcome", "rejected",
							"subject", "", "request",
							answer_text(problem->message)));
		for (guint k = 0; bundle != NULL && k < bundle->certs->len; k++) {
			struct cert *cert = g_ptr_array_index(bundle->certs, k);

			g_ptr_array_add(upload->certs, cert_ref(cert));
			g_ptr_array_add(upload->names, g_strdup(name));
		}
	}
	return TRUE;
}

json_t *
request_upload(struct call *call, GError **error)
{
	g_autoptr(GPtrArray) certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	struct upload upload = { certs, names, json_array() };
	json_t *answer = NULL;

	if (read_upload(call, &upload, error))
		answer = change_run(call, take_certs, &upload, error);
	json_decref(upload.rejected);
	return answer;
}
