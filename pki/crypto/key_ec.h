/*
 * key_ec - EC keys on the curves that are made here: generated, and written by hand.
 *
 * OpenSSL 3.0 looks among all encoders of all providers for each key that it writes, and for the
 * key generator at each key: four times what the key itself costs. The forms are fixed to the last
 * octet (RFC 5480 section 2, RFC 5915 section 3, RFC 5958 section 2), and the same as OpenSSL's.
 * Threads: any; the generator is kept by thread.
 */
#ifndef PKI_CRYPTO_KEY_EC_H
#define PKI_CRYPTO_KEY_EC_H

#include "pki/crypto/internal.h"
#include "store/base/secret.h"

struct ec_curve;

/* NULL: no curve of this size is made here. */
const struct ec_curve *ec_curve_of_bits(unsigned int bits);
int ec_curve_nid(const struct ec_curve *curve);

EVP_PKEY *ec_generate(const struct ec_curve *curve, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* For what ec_generate made, and nothing else: keys from elsewhere have other forms too. */
GBytes *ec_spki(const struct ec_curve *curve, const EVP_PKEY *pkey,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct secret *ec_pkcs8(const struct ec_curve *curve, const EVP_PKEY *pkey,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
