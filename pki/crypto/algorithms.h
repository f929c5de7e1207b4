/*
 * algorithms - one table of what there is: names, OIDs, strengths, what is allowed.
 *
 * A row is used by parsers, by preferences, by the mail path and to show. What is not in the
 * table is ALGORITHM_UNKNOWN and never allowed. Static data; threads: any.
 */
#ifndef PKI_CRYPTO_ALGORITHMS_H
#define PKI_CRYPTO_ALGORITHMS_H

#include <glib.h>

enum key_kind {
	KEY_KIND_OTHER,
	KEY_KIND_RSA,
	KEY_KIND_RSA_PSS,
	KEY_KIND_EC,
	KEY_KIND_ED25519,
	KEY_KIND_ED448,
	KEY_KIND_X25519,
	KEY_KIND_X448,
	KEY_KIND_DSA,
};

enum algorithm_class {
	ALGORITHM_CLASS_DIGEST,
	ALGORITHM_CLASS_CIPHER,
	ALGORITHM_CLASS_SIGNATURE,
	ALGORITHM_CLASS_KEY_TRANSPORT,
	ALGORITHM_CLASS_KEY_AGREEMENT,
	ALGORITHM_CLASS_PASSWORD, /* PKCS#12 and PKCS#8 encryption */
};

enum algorithm_standing {
	ALGORITHM_MODERN,  /* made and accepted */
	ALGORITHM_LEGACY,  /* accepted where a preference says so, never made by default */
	ALGORITHM_REFUSED, /* known by name only */
};

enum algorithm {
	ALGORITHM_UNKNOWN,
#define ALGORITHM(id, class, name, oid, openssl, standing) ALGORITHM_##id,
#include "pki/crypto/algorithms.def"
#undef ALGORITHM
	ALGORITHM_COUNT
};

const char *algorithm_name(enum algorithm algorithm);    /* "aes-256-gcm"; "unknown" */
const char *algorithm_oid(enum algorithm algorithm);     /* dotted; NULL where it has none */
const char *algorithm_openssl(enum algorithm algorithm); /* OpenSSL's name, NULL for none */
enum algorithm_class algorithm_class(enum algorithm algorithm);
enum algorithm_standing algorithm_standing(enum algorithm algorithm); /* REFUSED for unknown */
enum algorithm algorithm_by_name(const char *name);
enum algorithm algorithm_by_oid(const char *dotted);

const char *key_kind_name(enum key_kind kind); /* "RSA", "EC", "Ed25519" */
/* May a key of this kind and length be used at all (RSA 2048, named curves of 256 bits …)? */
gboolean key_strength_allowed(enum key_kind kind, unsigned int bits);
/* … or at least where old signatures are accepted (RSA 1024, curves of 192 bits)? */
gboolean key_strength_legacy(enum key_kind kind, unsigned int bits);

#endif
