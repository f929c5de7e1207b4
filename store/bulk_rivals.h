/*
 * bulk_rivals - what speaks against a new certificate for an address: one that is there, or a
 * request that is under way. Threads: any.
 */
#ifndef STORE_BULK_RIVALS_H
#define STORE_BULK_RIVALS_H

#include <glib.h>

struct db;
struct tx;

struct bulk_rival {
	char *email;
	GBytes *der;       /* of a certificate whose key is held, within its dates; or NULL */
	char *ctl;         /* its CTL entry, see certs.h */
	char *thumbprint;  /* or NULL */
	gint64 request_id; /* of an unfinished request; 0: none */
};
/* For these addresses (mailaddr_key); struct bulk_rival *, by address. now: which dates count. */
GPtrArray *bulk_rivals(struct db *db, const char *const *emails, gsize n, gint64 now,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same within the transaction that is about to make requests, without the certificates
 * themselves: those that came into the store since then (or shortly before) and were not revoked
 * here. Other batches wait for its end. */
GPtrArray *bulk_rivals_since(struct tx *tx, const char *const *emails, gsize n, gint64 since,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
void bulk_rival_free(struct bulk_rival *rival);

#endif
