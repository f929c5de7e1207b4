/*
 * request_acts - what a person decides about requests and certificates: request accept and cancel,
 * cert revoke.
 */
#include "admin/api/cert_text.h"
#include "admin/api/change.h"
#include "admin/api/handlers.h"
#include "admin/api/numbers.h"
#include "milter/gateway.h"
#include "pki/enroll.h"
#include "pki/enroll_revoke.h"
#include "store/base/error.h"
#include "store/db/tx.h"
#include "store/requests.h"

static struct enroll
enroll_of(const struct call *call)
{
	return (struct enroll){ .db = call->gateway->db,
				.keyring = call->gateway->keyring,
				.clock = call->gateway->clock,
				.settings = gateway_settings(call->gateway) };
}

/* --- accept, cancel --- */

static json_t *
accept_all(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const GArray *ids = data;
	struct enroll enroll = enroll_of(change->call);

	for (guint i = 0; i < ids->len; i++)
		if (!enroll_accept(&enroll, tx, g_array_index(ids, gint64, i), error))
			return NULL;
	change->object = numbers_text("request", ids);
	return json_pack("{s:i}", "accepted", (int)ids->len);
}

json_t *
request_accept(struct call *call, GError **error)
{
	g_autoptr(GArray) ids = numbers_of(call, "ids", "request", error);
	json_t *answer = NULL;

	if (ids == NULL)
		return NULL;
	for (guint i = 0; i < ids->len; i++) {
		gint64 id = g_array_index(ids, gint64, i);
		CLEANUP(request_row)
		struct request_row *row = requests_find(call->gateway->db, id, error);

		if (row == NULL)
			return NULL;
		if (row->returned != NULL &&
		    !call_is_sure(call, &answer, "request %" G_GINT64_FORMAT " for %s: %s", id,
				  row->email, row->error_text != NULL ? row->error_text : ""))
			return answer;
	}
	return change_run(call, accept_all, ids, error);
}

static json_t *
cancel_all(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const GArray *ids = data;
	struct enroll enroll = enroll_of(change->call);

	for (guint i = 0; i < ids->len; i++)
		if (!enroll_cancel(&enroll, tx, g_array_index(ids, gint64, i), change->call->actor,
				   error))
			return NULL;
	change->object = numbers_text("request", ids);
	return json_pack("{s:i}", "cancelled", (int)ids->len);
}

json_t *
request_cancel(struct call *call, GError **error)
{
	g_autoptr(GArray) ids = numbers_of(call, "ids", "request", error);

	return ids != NULL ? change_run(call, cancel_all, ids, error) : NULL;
}

/* --- cert revoke --- */

static json_t *
revoke_all(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const GPtrArray *certs = data;
	struct enroll enroll = enroll_of(change->call);
	g_autoptr(GString) object = g_string_new(NULL);
	json_t *items = json_array();

	for (guint i = 0; i < certs->len; i++) {
		const struct cert *cert = g_ptr_array_index(certs, i);
		gint64 order;

		if (!enroll_revoke(&enroll, tx, cert_thumbprint(cert),
				   call_text(change->call, "reason"), change->call->actor, &order,
				   error)) {
			json_decref(items);
			return NULL;
		}
		json_array_append_new(
		    items,
		    json_pack("{s:o, s:o, s:s}", "thumbprint", answer_text(cert_thumbprint(cert)),
			      "subject", answer_text(cert_subject(cert)), "outcome",
			      order == 0 ? "revoked" : "its CA is asked: request show"));
		g_string_append_printf(object, "%s%s", i > 0 ? " " : "", cert_thumbprint(cert));
	}
	change->object = g_strdup(object->str);
	change->detail = g_strdup(call_text(change->call, "reason"));
	return answer_list(items, NULL);
}

json_t *
cert_revoke(struct call *call, GError **error)
{
	g_autoptr(GPtrArray) certs = cert_text_find_all(call, "certs", error);

	return certs != NULL ? change_run(call, revoke_all, certs, error) : NULL;
}
