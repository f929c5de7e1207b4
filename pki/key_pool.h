/*
 * key_pool - RSA keys made ahead, so that a single request is answered in milliseconds.
 *
 * Rows of their own beside the key store, sealed as it seals them. keyring_generate takes one in
 * the transaction of the request: it is that request's for ever, and if the transaction fails it
 * is as if it had not been touched. Sealed under another master key than the newest, or of a kind
 * that the settings no longer name, they are not taken but thrown away; a backup does not hold
 * them, since a key that was handed out after it would come back with it. Threads: any.
 */
#ifndef PKI_KEY_POOL_H
#define PKI_KEY_POOL_H

#include <glib.h>

struct db;
struct key;
struct keyring;
struct settings;
struct tx;

/* One that is ready, moved into the key store for this request; *key NULL: there is none. */
gboolean key_pool_take(struct keyring *keyring, struct tx *tx, const char *algorithm,
		       gint64 request_id, struct key **key,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Throws away what may not be taken (any more), and says what kind is wanted next ("rsa:3072",
 * owned), NULL: the pool is full. */
gboolean key_pool_tend(struct keyring *keyring, struct db *db, const struct settings *settings,
		       char **wanted, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Makes one and stores it. Takes its time: for a thread that may be kept waiting. */
gboolean key_pool_add(struct keyring *keyring, struct db *db, const char *algorithm,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
