/*
 * bundle_salt - salts of PKCS#12 files in the compatible form.
 */
#ifndef PKI_CRYPTO_BUNDLE_SALT_H
#define PKI_CRYPTO_BUNDLE_SALT_H

#include "store/base/secret.h"

#define BUNDLE_SALT_BYTES 16

/*
 * Can gpgsm derive the key of a 3DES file from this salt? Where the sum of RFC 7292 B.2 step 6 C
 * begins with a zero octet, gpgsm 2.2 and before drops the octet, derives another key and says
 * that the password is wrong: one salt in 128. FALSE also when the key cannot be derived.
 */
gboolean bundle_salt_fits(const guint8 salt[BUNDLE_SALT_BYTES], const struct secret *password,
			  int iterations);

/* Fills in a random salt that fits. FALSE when none can be had: OpenSSL's error queue says why. */
gboolean bundle_salt_make(guint8 salt[BUNDLE_SALT_BYTES], const struct secret *password,
			  int iterations) G_GNUC_WARN_UNUSED_RESULT;

#endif
