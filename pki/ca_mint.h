/*
 * ca_mint - certificates of the built-in CA by the hundred: for pki/bulk.
 *
 * What issuing needs is read once; certificates are made without the database, by any number of
 * threads, from keys that the caller made himself; and stored together. What a mint has read may
 * be out of date when they are stored: then that fails with TEMPORARY, and a new mint makes
 * others. The serials of those that were never stored were never given.
 */
#ifndef PKI_CA_MINT_H
#define PKI_CA_MINT_H

#include "pki/ca.h"

struct ca_mint;
struct cert_row;

struct ca_minted {
	struct cert *cert;
	const struct ca_row *ca; /* the mint's, as is profile */
	const char *profile;     /* in full */
	gint64 partition;
	gint64 now; /* the real time of issue (C13) */
};

/* Options are kept; their warnings are not asked for. Errors as of ca_issue. */
struct ca_mint *ca_mint_open(const struct ca_context *context, const struct ca_issue *options,
			     struct tx *tx, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ca_mint_unref(struct ca_mint *mint);

gboolean ca_mint_make(struct ca_mint *mint, const struct key *key, const struct ca_subject *subject,
		      struct ca_minted *minted, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The row of the certificate store, for this request. */
struct cert_row *ca_mint_row(const struct ca_minted *minted, gint64 request_id);
/* The books: serials, and the distribution point. The rows themselves are the caller's to store. */
gboolean ca_mint_store(struct ca_mint *mint, struct tx *tx, const struct ca_minted *const *minted,
		       gsize n, GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(ca_mint, ca_mint_unref)

#endif
