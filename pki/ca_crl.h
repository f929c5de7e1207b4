/*
 * ca_crl - revoking what our CAs issued, and their revocation lists (C7).
 *
 * A CA keeps one list until it has crl_partition_entries entries; what it issues from then on names
 * the distribution point of the next part, and each part has a list of its own with a critical
 * issuingDistributionPoint. Roots keep lists of the intermediates below them. Lists enter the CRL
 * store at once. Threads: any. Sources: RFC 5280 section 5, S/MIME BR 4.9.7 and 7.2.2.
 */
#ifndef PKI_CA_CRL_H
#define PKI_CA_CRL_H

#include "pki/ca.h"

/* ca: name or thumbprint of a CA, or of a root of ours; NULL: the default CA. serial in any usual
   spelling (hex, colons, blanks, 0x). reason: RFC 5280 5.3.1 by name ("keyCompromise") or NULL.
   DENIED for one never issued unless even_if_unknown; INVALID for a reason that the rules forbid
   there, or one that is revoked already. The list comes with ca_make_crl. */
gboolean ca_revoke(const struct ca_context *context, const char *ca, const char *serial,
		   const char *reason, gboolean even_if_unknown, struct tx *tx,
		   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Takes a certificateHold back; INVALID for one that is revoked for good, or not at all. */
gboolean ca_release(const struct ca_context *context, const char *ca, const char *serial,
		    struct tx *tx, GError **error) G_GNUC_WARN_UNUSED_RESULT;

struct ca_crl {
	const char *digest; /* NULL: as the CA's */
	gint64 days;        /* next update from now; 0: the default */
	gboolean anew;      /* drops what is revoked so far; DENIED names them unless confirmed */
	gboolean confirmed;
};
/* Makes and stores the lists of all parts and returns the DER of the first. The list of a root of
 * ours above is made when it is due; where ca names a root, its list alone. */
GBytes *ca_make_crl(const struct ca_context *context, const char *ca, const struct ca_crl *options,
		    struct tx *tx, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What is wrong with the lists at the CA's distribution points, as of the last look: a sentence, or
 * NULL (nothing, or nobody looked yet). *looked: when that was; 0: never. */
gboolean ca_point_fault(const struct ca_context *context, const struct ca_row *ca, gint64 now,
			char **fault, gint64 *looked, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
