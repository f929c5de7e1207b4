/*
 * ca_revoke - revoking what a CA of ours issued, and taking a hold back (S/MIME BR 4.9, 7.2.2).
 */
#include <string.h>

#include "pki/ca_crl.h"
#include "pki/ca_internal.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/crl.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/ca_issuing.h"
#include "store/ca_revocations.h"
#include "store/certs.h"
#include "store/db/tx.h"

#define REASONS                                                                                    \
	"keyCompromise, cACompromise, affiliationChanged, superseded, cessationOfOperation, "      \
	"certificateHold or privilegeWithdrawn"

struct revoking {
	const struct ca_context *context;
	const char *serial; /* normal */
	enum crl_reason reason;
	gboolean even_if_unknown;
	struct revocation_row row;
};

static gboolean
reason_parse(const char *name, enum crl_reason *reason, GError **error)
{
	*reason = REVOCATION_UNSPECIFIED;
	if (name == NULL || *name == '\0' || strcmp(name, "unspecified") == 0)
		return TRUE;
	/* removeFromCRL belongs to delta lists, aACompromise to attribute authorities. */
	if (crl_reason_by_name(name, reason) && *reason != REVOCATION_REMOVE_FROM_CRL &&
	    *reason != REVOCATION_AA_COMPROMISE)
		return TRUE;
	return fail_false(error, PS_ERROR_INVALID, "'%.40s' is no reason: " REASONS, name);
}

/* What the list has to know beyond the serial: from the books, and from the store. */
static gboolean
look_up(struct revoking *revoking, const struct ca_row *ca, struct tx *tx, char **profile,
	GError **error)
{
	CLEANUP(ca_issued_row) struct ca_issued_row *issued = NULL;

	if (!ca_issued_find_in_tx(tx, ca->id, revoking->serial, &issued, error))
		return FALSE;
	g_autoptr(GPtrArray) certs =
	    certs_by_issuer_serial(revoking->context->db, ca->issuer_key, revoking->serial, error);
	if (certs == NULL)
		return FALSE;
	if (certs->len > 0) {
		const struct cert_row *cert = g_ptr_array_index(certs, 0);
		revoking->row.spki_sha256 = g_strdup(cert->spki_sha256);
		revoking->row.not_after = cert->not_after;
	}
	if (issued != NULL) {
		revoking->row.partition = issued->partition;
		revoking->row.not_after = issued->not_after;
		*profile = g_strdup(issued->profile);
	}
	if (issued == NULL && certs->len == 0 && !revoking->even_if_unknown)
		return fail_false(error, PS_ERROR_DENIED,
				  "CA '%s' never issued a certificate with serial %s", ca->name,
				  revoking->serial);
	return TRUE;
}

/* S/MIME BR 7.2.2: a hold is for multipurpose certificates alone. */
static gboolean
reason_fits(const struct revoking *revoking, const char *profile, GError **error)
{
	if (revoking->reason == REVOCATION_CA_COMPROMISE)
		return fail_false(error, PS_ERROR_INVALID,
				  "cACompromise is for a CA's certificate: serial %s is a user's, "
				  "take keyCompromise",
				  revoking->serial);
	if (revoking->reason == REVOCATION_CERTIFICATE_HOLD && profile != NULL &&
	    g_str_has_suffix(profile, "-strict"))
		return fail_false(error, PS_ERROR_INVALID,
				  "serial %s is of profile %s, which cannot be on hold (S/MIME BR "
				  "7.2.2): revoke it for good",
				  revoking->serial, profile);
	return TRUE;
}

/* From a hold to for good; everything else is revoked already. */
static gboolean
change_hold(const struct revoking *revoking, const struct ca_row *ca, struct tx *tx, GError **error)
{
	CLEANUP(revocation_row) struct revocation_row *before = NULL;

	if (!cas_revocation(tx, ca->id, revoking->serial, &before, error))
		return FALSE;
	if (before != NULL && before->reason == REVOCATION_CERTIFICATE_HOLD &&
	    revoking->reason != REVOCATION_CERTIFICATE_HOLD)
		return cas_revocation_set_reason(tx, ca->id, revoking->serial,
						 (gint)revoking->reason, error);
	return fail_false(error, PS_ERROR_INVALID, "serial %s of CA '%s' is revoked already",
			  revoking->serial, ca->name);
}

static gboolean
revoke_issued(struct revoking *revoking, const struct ca_row *ca, struct tx *tx, GError **error)
{
	g_autofree char *profile = NULL;
	gboolean is_new = FALSE;

	if (ca->thumbprint == NULL)
		return fail_false(error, PS_ERROR_DENIED,
				  "CA '%s' waits for its certificate from the external root",
				  ca->name);
	CLEANUP(cert) struct cert *own = ca_known_cert(tx, ca->thumbprint, error);
	if (own == NULL)
		return FALSE;
	if (strcmp(cert_serial_hex(own), revoking->serial) == 0 && ca->root_thumbprint != NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "serial %s is CA '%s' itself: its root revokes it, ca revoke "
				  "%s --ca ROOT --reason cessationOfOperation",
				  revoking->serial, ca->name, revoking->serial);
	if (!look_up(revoking, ca, tx, &profile, error) || !reason_fits(revoking, profile, error))
		return FALSE;
	revoking->row.ca_id = ca->id;
	if (!cas_revoke(tx, &revoking->row, &is_new, error))
		return FALSE;
	return is_new || change_hold(revoking, ca, tx, error);
}

/* An intermediate below a root of ours; its users' certificates fall with it. */
static gboolean
revoke_intermediate(struct revoking *revoking, const struct ca_root_row *root, struct tx *tx,
		    GError **error)
{
	gboolean is_new = FALSE;

	if (revoking->reason == REVOCATION_UNSPECIFIED ||
	    revoking->reason == REVOCATION_CERTIFICATE_HOLD)
		return fail_false(error, PS_ERROR_INVALID,
				  "a CA is revoked for a reason, and for good (S/MIME BR 7.2.2): "
				  "--reason cACompromise, superseded, cessationOfOperation, "
				  "affiliationChanged or privilegeWithdrawn");
	CLEANUP(cert) struct cert *cert = ca_known_cert(tx, root->thumbprint, error);
	if (cert == NULL)
		return FALSE;
	g_autoptr(GPtrArray) certs = certs_by_issuer_serial(
	    revoking->context->db, cert_subject_key(cert), revoking->serial, error);
	if (certs == NULL)
		return FALSE;
	if (certs->len == 0 && !revoking->even_if_unknown)
		return fail_false(error, PS_ERROR_DENIED,
				  "root '%s' never issued a certificate with serial %s",
				  cert_common_name(cert), revoking->serial);
	if (certs->len > 0)
		revoking->row.not_after =
		    ((const struct cert_row *)g_ptr_array_index(certs, 0))->not_after;
	if (!ca_roots_revoke(tx, root->thumbprint, &revoking->row, &is_new, error))
		return FALSE;
	if (!is_new)
		return fail_false(error, PS_ERROR_INVALID,
				  "serial %s of root '%s' is revoked already", revoking->serial,
				  cert_common_name(cert));
	return TRUE;
}

gboolean
ca_revoke(const struct ca_context *context, const char *name, const char *serial,
	  const char *reason, gboolean even_if_unknown, struct tx *tx, GError **error)
{
	g_autofree char *normal = ca_serial_normalise(serial, error);
	struct revoking revoking = {
		.context = context,
		.serial = normal,
		.even_if_unknown = even_if_unknown,
		.row = { .serial = normal,
			 .revoked_at = clock_now(context->clock),
			 .not_after = CLOCK_NEVER },
	};

	if (normal == NULL || !reason_parse(reason, &revoking.reason, error))
		return FALSE;
	revoking.row.reason = (gint)revoking.reason;
	CLEANUP(ca_root_row) struct ca_root_row *root = ca_named_root(tx, name);
	if (root != NULL)
		return revoke_intermediate(&revoking, root, tx, error);
	CLEANUP(ca_row) struct ca_row *ca = cas_find_in_tx(tx, name, error);
	gboolean good = ca != NULL && revoke_issued(&revoking, ca, tx, error);
	g_free(revoking.row.spki_sha256);
	return good;
}

gboolean
ca_release(const struct ca_context *context, const char *name, const char *serial, struct tx *tx,
	   GError **error)
{
	g_autofree char *normal = ca_serial_normalise(serial, error);
	CLEANUP(revocation_row) struct revocation_row *row = NULL;

	(void)context;
	if (normal == NULL)
		return FALSE;
	CLEANUP(ca_row) struct ca_row *ca = cas_find_in_tx(tx, name, error);
	if (ca == NULL || !cas_revocation(tx, ca->id, normal, &row, error))
		return FALSE;
	if (row == NULL)
		return fail_false(error, PS_ERROR_INVALID, "serial %s of CA '%s' is not revoked",
				  normal, ca->name);
	if (row->reason != REVOCATION_CERTIFICATE_HOLD)
		return fail_false(error, PS_ERROR_INVALID,
				  "serial %s of CA '%s' is revoked for good (%s): only a hold can "
				  "be taken back",
				  normal, ca->name, crl_reason_name((enum crl_reason)row->reason));
	return cas_revocation_remove(tx, ca->id, normal, error);
}
