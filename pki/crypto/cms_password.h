/*
 * cms_password - a content key under a passphrase: PasswordRecipientInfo (RFC 5652 section 6.2.4).
 *
 * PBKDF2 with HMAC-SHA-256, key wrap of RFC 3211 (id-alg-PWRI-KEK) with AES-256-CBC; read is also
 * what OpenSSL writes (HMAC-SHA-1). Iterations of a stranger's file are bounded. Threads: any.
 */
#ifndef PKI_CRYPTO_CMS_PASSWORD_H
#define PKI_CRYPTO_CMS_PASSWORD_H

#include <glib.h>

#include "store/base/secret.h"

#define CMS_PASSWORD_ITERATIONS 600000
#define CMS_PASSWORD_ITERATIONS_MAX 10000000

/* Appends the RecipientInfo that holds key for this passphrase. */
gboolean cms_password_put(GByteArray *out, const struct secret *password, const guint8 *key,
			  gsize key_length, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* recipient_info: one whole element of recipientInfos, DER. FALSE: not of this kind, or the
 * passphrase is another one (key is not touched then). */
gboolean cms_password_take(GBytes *recipient_info, const struct secret *password, guint8 *key,
			   gsize key_length);
gboolean cms_password_is(GBytes *recipient_info);

#endif
