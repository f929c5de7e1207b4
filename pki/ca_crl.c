/*
 * ca_crl - revocation lists of our own CAs (RFC 5280 section 5, S/MIME BR 4.9.7 and 7.2).
 */
#include <string.h>

#include "pki/ca_internal.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/crl.h"
#include "pki/crypto/issue.h"
#include "pki/crypto/key.h"
#include "pki/import.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/certs.h"
#include "store/crl_entries.h"
#include "store/db/tx.h"

/* The root's list speaks of one intermediate; it may live longer. */
#define ROOT_CRL_DAYS 90
#define CRL_DAYS_MAX 365
#define NAMED_MAX 10

GBytes *
ca_crl_make(const struct ca_context *context, const struct ca_crl_signer *signer, gint64 number,
	    const GPtrArray *revocations, struct tx *tx, GError **error)
{
	guint n = revocations != NULL ? revocations->len : 0;
	g_autofree struct issue_revoked *revoked = g_new0(struct issue_revoked, n + 1);
	gint64 now = clock_now(context->clock);
	gboolean is_new;

	for (guint i = 0; i < n; i++) {
		const struct revocation_row *row = g_ptr_array_index(revocations, i);
		revoked[i].serial_hex = row->serial;
		revoked[i].revoked_at = row->revoked_at;
		revoked[i].reason = (enum crl_reason)row->reason;
	}
	struct issue_crl_spec spec = {
		.this_update = now,
		.next_update = now + signer->days * 86400,
		.number = (guint64)number,
		.hash = signer->hash,
		.revoked = revoked,
		.revoked_count = n,
	};
	CLEANUP(crl) struct crl *crl = issue_crl(&spec, signer->cert, signer->key, error);
	if (crl == NULL || !import_crl(context->db, tx, crl, signer->cert, "ca", &is_new, error))
		return NULL;
	return g_bytes_ref(crl_der(crl));
}

/* Starting anew takes revoked certificates off the list: nobody does that by mistake. */
static gboolean
drop_revocations(struct tx *tx, const struct ca_row *ca, gboolean confirmed, GError **error)
{
	g_autoptr(GPtrArray) dropped = cas_revocations(tx, ca->id, error);
	g_autoptr(GString) names = g_string_new(NULL);

	if (dropped == NULL)
		return FALSE;
	if (dropped->len == 0)
		return TRUE;
	if (confirmed)
		return cas_forget_revocations(tx, ca->id, error);
	for (guint i = 0; i < dropped->len && i < NAMED_MAX; i++) {
		const struct revocation_row *row = g_ptr_array_index(dropped, i);
		g_string_append_printf(names, "%s%s", i > 0 ? ", " : "", row->serial);
	}
	return fail_false(error, PS_ERROR_DENIED,
			  "%u revoked certificates would drop out of the CRL of '%s': %s%s",
			  dropped->len, ca->name, names->str,
			  dropped->len > NAMED_MAX ? " ..." : "");
}

static gboolean
root_crl(const struct ca_context *context, const struct ca_row *ca, gint64 number, struct tx *tx,
	 GError **error)
{
	if (ca->root_thumbprint == NULL || ca->root_spki_sha256 == NULL)
		return TRUE;
	CLEANUP(cert) struct cert *root = ca_load_cert(context->db, ca->root_thumbprint, error);
	if (root == NULL)
		return FALSE;
	g_autoptr(GError) why = NULL;
	CLEANUP(key) struct key *key = keyring_find(context->keyring, ca->root_spki_sha256, &why);
	/* A root key that was taken away to a safe does not stop the intermediate's list. */
	if (key == NULL && g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND))
		return TRUE;
	if (key == NULL) {
		g_propagate_error(error, g_steal_pointer(&why));
		return FALSE;
	}
	struct ca_crl_signer signer = { root, key, ALGORITHM_UNKNOWN, ROOT_CRL_DAYS };
	g_autoptr(GBytes) der = ca_crl_make(context, &signer, number, NULL, tx, error);
	return der != NULL;
}

GBytes *
ca_make_crl(const struct ca_context *context, const char *ca_name, const struct ca_crl *options,
	    struct tx *tx, GError **error)
{
	struct ca_crl_signer signer = { .hash = ALGORITHM_UNKNOWN, .days = options->days };
	gint64 number;

	if (options->digest != NULL && !ca_digest_parse(options->digest, &signer.hash, error))
		return NULL;
	if (options->days < 0 || options->days > CRL_DAYS_MAX)
		return fail(error, PS_ERROR_INVALID, "the next CRL is due in 1 to %d days",
			    CRL_DAYS_MAX);
	CLEANUP(ca_row) struct ca_row *ca = cas_find_in_tx(tx, ca_name, error);
	if (ca == NULL)
		return NULL;
	if (ca->thumbprint == NULL)
		return fail(error, PS_ERROR_DENIED,
			    "CA '%s' waits for its certificate from the external root", ca->name);
	CLEANUP(ca_defaults) struct ca_defaults *defaults = ca_defaults_load(context->db, error);
	if (defaults == NULL)
		return NULL;
	if (signer.days == 0)
		signer.days = defaults->crl_days;
	/* The number is the lock: lists of one CA are made one after the other. */
	if (!cas_next_crl_number(tx, ca->id, &number, error) ||
	    (options->anew && !drop_revocations(tx, ca, options->confirmed, error)))
		return NULL;

	CLEANUP(cert) struct cert *cert = ca_load_cert(context->db, ca->thumbprint, error);
	CLEANUP(key)
	struct key *key =
	    cert != NULL ? keyring_find(context->keyring, ca->spki_sha256, error) : NULL;
	g_autoptr(GPtrArray) revocations = key != NULL ? cas_revocations(tx, ca->id, error) : NULL;
	if (revocations == NULL)
		return NULL;
	signer.cert = cert;
	signer.key = key;
	g_autoptr(GBytes) der = ca_crl_make(context, &signer, number, revocations, tx, error);
	if (der == NULL || !root_crl(context, ca, number, tx, error))
		return NULL;
	/* Whoever starts anew has been told what drops out, and means it. */
	if (options->anew && !crls_forget_past(tx, cert_subject_key(cert), ca->spki_sha256, error))
		return NULL;
	/* Made again after two thirds, so that a daemon that was away for days is in time. */
	if (!cas_set_crl_next(tx, ca->id, clock_now(context->clock) + signer.days * 86400 * 2 / 3,
			      error))
		return NULL;
	return g_steal_pointer(&der);
}

static gboolean
reason_parse(const char *name, enum crl_reason *reason, GError **error)
{
	*reason = REVOCATION_UNSPECIFIED;
	if (name == NULL || strcmp(name, "unspecified") == 0)
		return TRUE;
	/* removeFromCRL belongs to delta lists, aACompromise to attribute authorities. */
	if (crl_reason_by_name(name, reason) && *reason != REVOCATION_REMOVE_FROM_CRL &&
	    *reason != REVOCATION_AA_COMPROMISE)
		return TRUE;
	return fail_false(error, PS_ERROR_INVALID,
			  "'%.40s' is no reason: keyCompromise, cACompromise, affiliationChanged, "
			  "superseded, cessationOfOperation, certificateHold or privilegeWithdrawn",
			  name);
}

gboolean
ca_revoke(const struct ca_context *context, const char *ca_name, const char *serial,
	  const char *reason_name, gboolean even_if_unknown, struct tx *tx, GError **error)
{
	g_autofree char *normal = ca_serial_normalise(serial, error);
	enum crl_reason reason;
	gboolean is_new;

	if (normal == NULL || !reason_parse(reason_name, &reason, error))
		return FALSE;
	CLEANUP(ca_row) struct ca_row *ca = cas_find_in_tx(tx, ca_name, error);
	if (ca == NULL)
		return FALSE;
	g_autoptr(GPtrArray) issued =
	    certs_by_issuer_serial(context->db, ca->issuer_key, normal, error);
	if (issued == NULL)
		return FALSE;
	if (issued->len == 0 && !even_if_unknown)
		return fail_false(error, PS_ERROR_DENIED,
				  "CA '%s' never issued a certificate with serial %s", ca->name,
				  normal);
	struct revocation_row row = {
		.ca_id = ca->id,
		.serial = normal,
		.revoked_at = clock_now(context->clock),
		.reason = (gint)reason,
	};
	if (!cas_revoke(tx, &row, &is_new, error))
		return FALSE;
	if (!is_new)
		return fail_false(error, PS_ERROR_INVALID,
				  "serial %s of CA '%s' is revoked already", normal, ca->name);
	return TRUE;
}

gboolean
ca_release(const struct ca_context *context, const char *ca, const char *serial, struct tx *tx,
	   GError **error)
{
	(void)context;
	(void)tx;
	return fail_false(error, PS_ERROR_INVALID, "serial %s of CA '%s' is not on hold", serial,
			  ca != NULL ? ca : "");
}
