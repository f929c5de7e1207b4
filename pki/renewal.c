/*
 * renewal - what to order in place of a certificate, and the run over what is due.
 */
#include "pki/renewal.h"

#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/delivery.h"
#include "pki/enroll.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/mailaddr.h"
#include "store/cas.h"
#include "store/certs.h"
#include "store/crl_entries.h"
#include "store/db/tx.h"
#include "store/outbox.h"
#include "store/renewals.h"
#include "store/requests.h"

#define DAY_SECONDS 86400
#define PAUSE_MAX_DAYS 7

struct renewal {
	struct enroll_order order;
	struct delivery_options delivery;
	char *thumbprint;
	struct cert *cert;
	struct request_row *request; /* NULL: it came otherwise */
	struct outbox_row *sent;     /* how it went to its user; NULL: it did not */
	char *email;
};

void
renewal_free(struct renewal *renewal)
{
	if (renewal == NULL)
		return;
	g_free(renewal->thumbprint);
	g_free(renewal->email);
	cert_unref(renewal->cert);
	request_row_free(renewal->request);
	outbox_row_free(renewal->sent);
	g_free(renewal);
}

const struct enroll_order *
renewal_order(const struct renewal *renewal)
{
	return &renewal->order;
}

/* The same way to the user, under a password that is made anew. */
static gboolean
plan_delivery(struct db *db, struct renewal *renewal, GError **error)
{
	gint64 id = 0;

	if (!renewal->request->delivery)
		return TRUE;
	if (!outbox_of_request(db, renewal->request->id, &id, error))
		return FALSE;
	if (id == 0)
		return TRUE;
	renewal->sent = outbox_find(db, id, error);
	if (renewal->sent == NULL)
		return FALSE;
	renewal->delivery = (struct delivery_options){
		.to = renewal->sent->recipient,
		.sms = renewal->sent->sms != OUTBOX_SMS_NONE,
		.store_password = renewal->sent->store_password,
		.compatible = renewal->sent->compatible,
		.language = renewal->sent->language,
		.allow_mismatch = TRUE, /* somebody allowed it before, or it is none */
		.requester = "renew",
	};
	renewal->delivery.shown_once = !renewal->delivery.sms && !renewal->delivery.store_password;
	renewal->order.delivery = &renewal->delivery;
	return TRUE;
}

static void
plan_from_request(struct renewal *renewal)
{
	const struct request_row *row = renewal->request;

	renewal->order = (struct enroll_order){
		.email = row->email,
		.common_name = row->common_name,
		.organisation = row->organisation,
		.first_name = row->first_name,
		.last_name = row->last_name,
		.handler = row->handler,
		.handler_config = row->handler_config,
		.ca = row->ca,
		.key = row->key,
		.digest = row->digest,
		.profile = row->profile,
		.validity_days = row->validity_days,
		.crl_url = row->crl_url ? ENROLL_YES : ENROLL_NO,
		.options = row->options,
		.key_use = row->key_use,
		.dns_names = (const char *const *)row->names,
	};
}

/* Only the certificate speaks: its address, its name, what its key may do. */
static gboolean
plan_from_cert(struct renewal *renewal, GError **error)
{
	const struct cert *cert = renewal->cert;
	GPtrArray *emails = cert_emails(cert);
	gboolean signs = cert_may_sign(cert), encrypts = cert_may_encrypt(cert);

	if (emails->len == 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "'%s' has no mail address: request a new one by its data",
				  cert_subject(cert));
	renewal->email = g_strdup(mailaddr_key(g_ptr_array_index(emails, 0)));
	renewal->order = (struct enroll_order){
		.email = renewal->email,
		.common_name =
		    *cert_common_name(cert) != '\0' ? cert_common_name(cert) : renewal->email,
		.key_use = signs && encrypts ? "dual"
			   : signs           ? "sign"
					     : "encrypt",
		.crl_url = cert_crl_urls(cert)[0] != NULL ? ENROLL_YES : ENROLL_NO,
	};
	return TRUE;
}

struct renewal *
renewal_plan(struct db *db, const char *thumbprint, GError **error)
{
	CLEANUP(cert_row) struct cert_row *row = certs_find(db, thumbprint, error);
	CLEANUP(renewal) struct renewal *renewal = g_new0(struct renewal, 1);

	if (row == NULL)
		return NULL;
	renewal->thumbprint = g_strdup(row->thumbprint);
	renewal->cert = cert_parse(row->der, error);
	if (renewal->cert == NULL)
		return NULL;
	if (row->is_ca)
		return fail(error, PS_ERROR_INVALID,
			    "'%s' is a CA: make a new one with 'ca create'",
			    cert_subject(renewal->cert));
	g_autoptr(GError) why = NULL;
	if (row->request_id != 0)
		renewal->request = requests_find(db, row->request_id, &why);
	if (why != NULL && !g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&why));
		return NULL;
	}
	if (renewal->request != NULL) {
		plan_from_request(renewal);
		if (!plan_delivery(db, renewal, error))
			return NULL;
	} else if (!plan_from_cert(renewal, error)) {
		return NULL;
	}
	renewal->order.renews = renewal->thumbprint;
	return g_steal_pointer(&renewal);
}

/* Does another certificate of that address do what this one does, for longer? *covered. */
static gboolean
find_cover(struct db *db, const struct cert *cert, gboolean *covered, GError **error)
{
	GPtrArray *emails = cert_emails(cert);

	*covered = FALSE;
	if (emails->len == 0)
		return TRUE;
	const char *email = mailaddr_key(g_ptr_array_index(emails, 0));
	g_autoptr(GPtrArray) others = certs_by_emails(db, &email, 1, error);
	if (others == NULL)
		return FALSE;
	for (guint i = 0; i < others->len && !*covered; i++) {
		const struct cert_row *row = g_ptr_array_index(others, i);

		if (!row->has_key || row->pending || row->not_after <= cert_not_after(cert) ||
		    row->der == NULL)
			continue;
		CLEANUP(cert) struct cert *other = cert_parse(row->der, NULL);
		struct revoked_row entry;
		gboolean revoked;
		if (other == NULL || cert_may_sign(cert) > cert_may_sign(other) ||
		    cert_may_encrypt(cert) > cert_may_encrypt(other) ||
		    cert_has_email_purpose(cert) > cert_has_email_purpose(other))
			continue;
		if (!crls_revoked(db, cert_issuer_key(other), cert_serial_hex(other), &revoked,
				  &entry, error))
			return FALSE;
		*covered = !revoked;
	}
	return TRUE;
}

struct placing {
	const struct enroll *enroll;
	const char *thumbprint;
	const struct enroll_order *order; /* NULL: nothing is ordered */
	const char *note;
	gint64 next_try;
	gint64 id;
};

static gboolean
place(struct tx *tx, gpointer data, GError **error)
{
	struct placing *placing = data;

	placing->id = 0;
	if (placing->order != NULL &&
	    !enroll_create(placing->enroll, tx, placing->order, &placing->id, error))
		return FALSE;
	return renewals_note(tx, placing->thumbprint, placing->id, placing->next_try, placing->note,
			     error);
}

/* NULL: it is to be renewed; else why not. */
static const char *
reason_against(struct db *db, const struct cert *cert, GError **error)
{
	struct revoked_row entry;
	gboolean revoked, covered;

	if (!crls_revoked(db, cert_issuer_key(cert), cert_serial_hex(cert), &revoked, &entry,
			  error) ||
	    !find_cover(db, cert, &covered, error))
		return NULL;
	if (revoked)
		return "it is revoked";
	return covered ? "another certificate of this address lasts longer" : NULL;
}

/* A day, two, four, a week: whoever has to mend something is told each time. */
static gint64
pause_after(gint attempts)
{
	gint64 days = attempts < 3 ? 1 << attempts : PAUSE_MAX_DAYS;

	return MIN(days, PAUSE_MAX_DAYS) * DAY_SECONDS;
}

/* What goes wrong with one is kept with it, and does not stop the others. */
static gboolean
renew_one(const struct enroll *enroll, const struct renewal_row *due, guint *ordered,
	  GError **error)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(renewal)
	struct renewal *renewal = renewal_plan(enroll->db, due->thumbprint, &why);
	const char *against =
	    renewal != NULL ? reason_against(enroll->db, renewal->cert, &why) : NULL;
	struct enroll_order order = { 0 };
	struct placing placing = {
		.enroll = enroll,
		.thumbprint = due->thumbprint,
		.note = against != NULL ? against : "a new one was requested",
		.next_try = clock_now(enroll->clock) + pause_after(due->attempts),
	};

	if (why == NULL && against == NULL) {
		order = *renewal_order(renewal);
		order.requester = "renew";
		placing.order = &order;
	}
	if (why == NULL && db_transaction(enroll->db, place, &placing, &why)) {
		*ordered += placing.id != 0 ? 1 : 0;
		if (placing.id != 0)
			log_info("a certificate is about to end, a new one was requested",
				 "address", order.email, "thumbprint", due->thumbprint);
		return TRUE;
	}
	if (g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY)) {
		g_propagate_error(error, g_steal_pointer(&why));
		return FALSE;
	}
	log_warning("a certificate is about to end and cannot be renewed", "thumbprint",
		    due->thumbprint, "error", why->message);
	placing.order = NULL;
	placing.note = why->message;
	return db_transaction(enroll->db, place, &placing, error);
}

gboolean
renewal_run(const struct enroll *enroll, gint limit, guint *ordered, GError **error)
{
	CLEANUP(ca_defaults) struct ca_defaults *defaults = ca_defaults_load(enroll->db, error);

	*ordered = 0;
	if (defaults == NULL)
		return FALSE;
	if (defaults->renew_days == 0)
		return TRUE;
	g_autoptr(GPtrArray) due =
	    renewals_due(enroll->db, clock_now(enroll->clock), defaults->renew_days, limit, error);
	if (due == NULL)
		return FALSE;
	for (guint i = 0; i < due->len; i++)
		if (!renew_one(enroll, g_ptr_array_index(due, i), ordered, error))
			return FALSE;
	return TRUE;
}
