/*
 * cms_unwrap - the content key out of the recipientInfos, with the keys that are given.
 */
#ifndef PKI_CRYPTO_CMS_UNWRAP_H
#define PKI_CRYPTO_CMS_UNWRAP_H

#include "pki/crypto/cms_decrypt.h"

#define CMS_KEY_MAX_BYTES 32

struct cms_unwrapped {
	guint8 key[CMS_KEY_MAX_BYTES];
	gsize key_index;    /* of the key that fits, or was tried first */
	char *transport;    /* owned */
	guint named;        /* recipientInfos that name one of the keys */
	gboolean ok;        /* else key is random */
	const char *reason; /* when not ok, for the log */
};

/* Tries every recipientInfo that names one of the keys. When none gives a key of that length
 * the key is a random one, so that the failure shows only where a wrong key would show.
 * FALSE when there was no randomness. */
gboolean cms_unwrap(GPtrArray *recipients, guint named_max, const struct cms_decrypt_key *keys,
		    gsize n_keys, gsize key_length, struct cms_unwrapped *unwrapped);
/* The same with a passphrase beside, which may be NULL. */
gboolean cms_unwrap_password(GPtrArray *recipients, guint named_max,
			     const struct cms_decrypt_key *keys, gsize n_keys,
			     const struct secret *password, gsize key_length,
			     struct cms_unwrapped *unwrapped);
void cms_unwrapped_clear(struct cms_unwrapped *unwrapped); /* wipes */

#endif
