/*
 * enroll_revoke - orders to revoke.
 */
#include "pki/enroll_revoke.h"

#include <string.h>

#include "pki/ca.h"
#include "pki/ca_crl.h"
#include "pki/crypto/cert.h"
#include "pki/enroll_internal.h"
#include "pki/enroll_schedule.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/printable.h"
#include "store/certs.h"
#include "store/config/settings.h"
#include "store/db/tx.h"
#include "store/jobs.h"
#include "store/revocation_orders.h"

static gboolean
revoke_here(const struct enroll *enroll, struct tx *tx, const struct cert_row *cert,
	    const char *reason, GError **error)
{
	const struct ca_context context = { enroll->db, enroll->keyring, enroll->clock,
					    enroll->settings != NULL ? enroll->settings->public_url
								     : NULL };
	const struct ca_crl options = { 0 };

	if (!ca_revoke(&context, cert->own_ca, cert->serial, reason, FALSE, tx, error))
		return FALSE;
	g_autoptr(GBytes) crl = ca_make_crl(&context, cert->own_ca, &options, tx, error);
	return crl != NULL;
}

/* The thumbprint of its issuer, where it is in the store. */
static char *
issuer_of(struct db *db, const struct cert_row *row)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(cert) struct cert *cert = cert_parse(row->der, &why);
	g_autoptr(GPtrArray) issuers =
	    certs_issuers(db, (const char *const *)&row->issuer_key, 1, &why);

	for (guint i = 0; cert != NULL && issuers != NULL && i < issuers->len; i++) {
		const struct cert_row *one = g_ptr_array_index(issuers, i);
		CLEANUP(cert) struct cert *issuer = cert_parse(one->der, NULL);

		if (issuer != NULL && cert_is_issued_by(cert, issuer))
			return g_strdup(one->thumbprint);
	}
	return NULL;
}

static gboolean
order_elsewhere(const struct enroll *enroll, struct tx *tx, const struct cert_row *cert,
		const char *reason, const char *requester, gint64 *id, GError **error)
{
	CLEANUP(request_row)
	struct request_row *request =
	    cert->request_id != 0 ? requests_find(enroll->db, cert->request_id, NULL) : NULL;

	if (request == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "certificate %.16s was not requested here: only its CA can "
				  "revoke it",
				  cert->thumbprint);
	const struct handler *handler = enroll_handler(enroll, request->handler, error);
	if (handler == NULL)
		return FALSE;
	if (handler->revoke == NULL || !handler->capabilities.revokes)
		return fail_false(error, PS_ERROR_INVALID,
				  "handler '%s' cannot revoke: ask the CA of certificate %.16s",
				  handler->name, cert->thumbprint);
	g_autofree char *issuer = issuer_of(enroll->db, cert);
	const struct revocation_order order = {
		.thumbprint = cert->thumbprint,
		.request_id = request->id,
		.handler = request->handler,
		.handler_config = request->handler_config,
		.handle = request->handle,
		.issuer_thumbprint = issuer,
		.serial = cert->serial,
		.reason = (char *)reason,
		.requester = (char *)requester,
		.next_try = tx_now(tx),
	};
	if (!revocation_orders_put(tx, &order, id, error))
		return FALSE;
	g_autofree char *key = g_strdup_printf("%" G_GINT64_FORMAT, *id);
	return jobs_enqueue(tx, ENROLL_REVOKE_JOB, key, NULL, tx_now(tx), error) &&
	       requests_note(tx, request->id, request->state, "to be revoked at its CA", error);
}

static gboolean
reason_check(const char *reason, GError **error)
{
	static const char *const reasons[] = { "unspecified",     "keyCompromise",
					       "cACompromise",    "affiliationChanged",
					       "superseded",      "cessationOfOperation",
					       "certificateHold", "privilegeWithdrawn",
					       "aACompromise",    NULL };

	return reason == NULL || g_strv_contains(reasons, reason) ||
	       fail_false(
		   error, PS_ERROR_INVALID,
		   "a reason is keyCompromise, affiliationChanged, superseded, "
		   "cessationOfOperation, certificateHold, privilegeWithdrawn or unspecified");
}

gboolean
enroll_revoke(const struct enroll *enroll, struct tx *tx, const char *thumbprint,
	      const char *reason, const char *requester, gint64 *order, GError **error)
{
	*order = 0;
	if (!reason_check(reason, error))
		return FALSE;
	CLEANUP(cert_row) struct cert_row *cert = certs_find(enroll->db, thumbprint, error);
	if (cert == NULL)
		return FALSE;
	return cert->own_ca != NULL
		   ? revoke_here(enroll, tx, cert, reason, error)
		   : order_elsewhere(enroll, tx, cert, reason, requester, order, error);
}

/* --- asking --- */

static void
set(char **member, const char *text)
{
	g_free(*member);
	*member = text != NULL ? printable(text) : NULL;
}

static void
take_answer(const struct enroll *enroll, struct revocation_order *order,
	    const struct handler_answer *answer)
{
	gboolean waits = answer->status == HANDLER_RETRY || answer->status == HANDLER_PENDING;
	gboolean config = answer->error_class == HANDLER_ERROR_CONFIG;

	set(&order->error_text, answer->text);
	set(&order->error_class, answer->error_class != HANDLER_ERROR_NONE
				     ? handler_error_class_name(answer->error_class)
				     : NULL);
	order->next_try = CLOCK_NEVER;
	g_free(order->state);
	order->state = g_strdup(answer->status == HANDLER_ISSUED ? "done"
				: waits || config                ? "open"
								 : "failed");
	if (waits || config)
		order->next_try = enroll_next_try(
		    clock_now(enroll->clock), config ? MAX(order->attempts, 11) : order->attempts,
		    g_random_int(), answer->not_before);
}

static gboolean
ask(const struct enroll *enroll, const struct revocation_order *order,
    struct handler_answer *answer, GError **error)
{
	const struct handler *handler = enroll_handler(enroll, order->handler, error);
	CLEANUP(handler_config)
	struct handler_config *config =
	    handler != NULL ? handler_config_load(enroll->db, enroll->keyring, handler,
						  order->handler_config, error)
			    : NULL;
	CLEANUP(cert_row)
	struct cert_row *row =
	    config != NULL ? certs_find(enroll->db, order->thumbprint, error) : NULL;
	CLEANUP(cert) struct cert *cert = row != NULL ? cert_parse(row->der, error) : NULL;
	g_autoptr(GError) why = NULL;

	if (cert == NULL)
		return FALSE;
	struct handler_context context = enroll_context(enroll, config);
	context.stopping = enroll->stopping;
	context.data = enroll->data;
	const struct handler_revocation revocation = {
		.cert = cert,
		.issuer_thumbprint = order->issuer_thumbprint,
		.serial = order->serial,
		.handle = order->handle,
		.reason = order->reason,
	};
	if (handler_is_ready(&context, handler, &why)) {
		gboolean good = handler->revoke(&context, NULL, &revocation, answer, error);

		handler_config_hide(config, answer->text);
		handler_config_hide(config, answer->code);
		return good;
	}
	handler_answer_set(answer, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL, "%s", why->message);
	return TRUE;
}

static gboolean
save(struct tx *tx, gpointer data, GError **error)
{
	const struct revocation_order *order = data;
	gboolean done = strcmp(order->state, "done") == 0;
	g_autofree char *text =
	    done ? g_strdup("its CA has revoked it")
		 : g_strdup_printf("revocation %s: %s", order->state,
				   order->error_text != NULL ? order->error_text : "no word why");

	if (!revocation_orders_update(tx, order, error))
		return FALSE;
	CLEANUP(request_row)
	struct request_row *request = requests_lock(tx, order->request_id, NULL);
	return request == NULL || requests_note(tx, request->id, request->state, text, error);
}

gboolean
enroll_revoke_work(const struct enroll *enroll, gint64 id, gint64 *next, GError **error)
{
	CLEANUP(revocation_order)
	struct revocation_order *order = revocation_orders_find(enroll->db, id, error);
	struct handler_answer answer = { 0 };
	g_autoptr(GError) why = NULL;

	*next = CLOCK_NEVER;
	if (order == NULL)
		return FALSE;
	if (strcmp(order->state, "open") != 0)
		return TRUE;
	order->attempts++;
	if (!ask(enroll, order, &answer, &why))
		handler_answer_set(&answer, HANDLER_RETRY, HANDLER_ERROR_TRANSIENT, NULL, "%s",
				   why->message);
	take_answer(enroll, order, &answer);
	handler_answer_clear(&answer);
	log_info("a CA was asked to revoke", "certificate", order->thumbprint, "handler",
		 order->handler, "state", order->state, "text", order->error_text);
	*next = order->next_try;
	return db_transaction(enroll->db, save, order, error);
}
