/*
 * cert_ocsp - cert ocsp: ask a responder now; and the answers that are kept.
 */
#include "admin/api/cert_ocsp.h"

#include "admin/api/cert_text.h"
#include "admin/api/handlers.h"
#include "admin/jobs/ocsp_post.h"
#include "milter/gateway.h"
#include "pki/crypto/crl.h"
#include "pki/ocsp_ask.h"
#include "store/base/error.h"

/* "revoked since 2026-… (keyCompromise)", "good", "no answer yet" */
static char *
status_text(const struct ocsp_row *row)
{
	if (row->status == OCSP_ROW_NONE)
		return g_strdup("no answer yet");
	if (row->status != OCSP_ROW_REVOKED)
		return g_strdup(ocsp_row_status_name(row->status));
	g_autofree char *when = clock_format(row->revoked_at);
	return g_strdup_printf("revoked since %s (%s)", when,
			       crl_reason_name((enum crl_reason)row->reason));
}

static char *
row_text(const struct ocsp_row *row)
{
	GString *text = g_string_new(NULL);
	g_autofree char *status = status_text(row);

	g_string_append(text, status);
	if (row->status != OCSP_ROW_NONE) {
		g_autofree char *from = clock_format(row->this_update);
		g_autofree char *until = clock_format(row->next_update);
		g_string_append_printf(text, ", of %s, until %s", from, until);
	}
	if (row->url != NULL)
		g_string_append_printf(text, ", from %s", row->url);
	if (row->error != NULL)
		g_string_append_printf(text, "; asked %d times without an answer since: %s",
				       row->attempts, row->error);
	return g_string_free(text, FALSE);
}

void
cert_ocsp_add(struct call *call, json_t *object, const struct cert *cert)
{
	const char *issuer = cert_issuer_key(cert), *serial = cert_serial_hex(cert);
	g_autoptr(GError) problem = NULL;
	g_autoptr(GPtrArray) rows = ocsp_by_certs(call->gateway->db, &issuer, &serial, 1, &problem);
	json_t *texts = json_array();

	if (rows == NULL)
		json_array_append_new(texts, answer_text(problem->message));
	for (guint i = 0; rows != NULL && i < rows->len; i++) {
		g_autofree char *text = row_text(rows->pdata[i]);

		json_array_append_new(texts, answer_text(text));
	}
	if (json_array_size(texts) > 0)
		json_object_set(object, "ocsp", texts);
	json_decref(texts);
}

static void
add_row(json_t *answer, const struct ocsp_row *row)
{
	json_object_set_new(answer, "status",
			    json_string(row->status != OCSP_ROW_NONE
					    ? ocsp_row_status_name(row->status)
					    : "no answer yet"));
	json_object_set_new(answer, "responder", answer_text(row->url));
	if (row->status != OCSP_ROW_NONE) {
		json_object_set_new(answer, "this_update", answer_time(row->this_update));
		json_object_set_new(answer, "next_update", answer_time(row->next_update));
	}
	if (row->status == OCSP_ROW_REVOKED) {
		json_object_set_new(answer, "revoked", answer_time(row->revoked_at));
		json_object_set_new(answer, "reason",
				    json_string(crl_reason_name((enum crl_reason)row->reason)));
	}
	if (row->error != NULL)
		json_object_set_new(answer, "error", answer_text(row->error));
	json_object_set_new(answer, "next_question", answer_time(row->next_try));
}

json_t *
cert_ocsp(struct call *call, GError **error)
{
	struct gateway *gateway = call->gateway;
	CLEANUP(cert) struct cert *cert = cert_text_find(call, call_text(call, "cert"), error);

	if (cert == NULL)
		return NULL;
	CLEANUP(ocsp_post)
	struct ocsp_post *post = ocsp_post_new(gateway_settings(gateway), NULL);
	struct ocsp_ask ask = {
		.db = gateway->db,
		.clock = gateway->clock,
		.trust = gateway->trust,
		.post = ocsp_post,
		.data = post,
	};
	CLEANUP(ocsp_report)
	struct ocsp_report *report = ocsp_ask(&ask, cert, NULL, OCSP_ASKING_NOW, error);
	if (report == NULL)
		return NULL;
	if (report->asked == OCSP_ASKED_NOBODY)
		return fail(error, PS_ERROR_INVALID, "%s", report->why);
	json_t *answer = json_object();
	json_object_set_new(answer, "subject", answer_text(cert_subject(cert)));
	json_object_set_new(answer, "answered", json_boolean(report->asked == OCSP_ASKED_ANSWERED));
	add_row(answer, report->row);
	if (report->asked != OCSP_ASKED_ANSWERED || report->row->status != OCSP_ROW_GOOD)
		call->exit_status = 1;
	return answer;
}
