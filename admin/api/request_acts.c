/*
 * request_acts - what a person decides about requests and certificates: request accept and cancel,
 * cert revoke.
 */
#include "admin/api/cert_text.h"
#include "admin/api/change.h"
#include "admin/api/handlers.h"
#include "admin/api/row_acts.h"
#include "milter/gateway.h"
#include "pki/enroll.h"
#include "pki/enroll_revoke.h"
#include "store/base/error.h"
#include "store/db/tx.h"
#include "store/requests.h"

/* --- accept, cancel --- */

static gboolean
ask_returned(const struct call *call, gint64 id, char **question, GError **error)
{
	CLEANUP(request_row) struct request_row *row = requests_find(call->gateway->db, id, error);

	if (row != NULL && row->returned != NULL)
		*question =
		    g_strdup_printf("request %" G_GINT64_FORMAT " for %s: %s", id, row->email,
				    row->error_text != NULL ? row->error_text : "");
	return row != NULL;
}

static gboolean
accept_one(const struct call *call, struct tx *tx, gint64 id, GError **error)
{
	struct enroll enroll = gateway_enroll(call->gateway);

	return enroll_accept(&enroll, tx, id, error);
}

json_t *
request_accept(struct call *call, GError **error)
{
	static const struct row_act act = { "request", "accepted", ask_returned, accept_one };

	return row_act_run(call, &act, error);
}

static gboolean
cancel_one(const struct call *call, struct tx *tx, gint64 id, GError **error)
{
	struct enroll enroll = gateway_enroll(call->gateway);

	return enroll_cancel(&enroll, tx, id, call->actor, error);
}

json_t *
request_cancel(struct call *call, GError **error)
{
	static const struct row_act act = { "request", "cancelled", NULL, cancel_one };

	return row_act_run(call, &act, error);
}

/* --- cert revoke --- */

static json_t *
revoke_all(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const GPtrArray *certs = data;
	struct enroll enroll = gateway_enroll(change->call->gateway);
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
