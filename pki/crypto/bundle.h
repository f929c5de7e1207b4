/*
 * bundle - what a file may hold: certificates, keys, CRLs, in any format of K6 and K7.
 *
 * Reads PEM (one or many), DER, PKCS#7 (PEM or DER), PKCS#12, PEM keys plain or encrypted
 * (PKCS#1, PKCS#8, SEC1); the format is found by looking. One bad object does not stop the
 * rest: it is in `rejected` with the reason. Limits come before memory: size, objects,
 * iterations of a password derivation. Threads: any; results belong to the caller.
 */
#ifndef PKI_CRYPTO_BUNDLE_H
#define PKI_CRYPTO_BUNDLE_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/crl.h"
#include "pki/crypto/key.h"
#include "store/base/cleanup.h"
#include "store/base/secret.h"

#define BUNDLE_SIZE_MAX_BYTES (64 * 1024 * 1024)
#define BUNDLE_OBJECTS_MAX 100000
#define BUNDLE_ITERATIONS_MAX 5000000   /* of all derivations of one file together */
#define BUNDLE_PKCS12_ITERATIONS 600000 /* what we write; OWASP's figure for PBKDF2-SHA256 */

struct bundle_rejected {
	char *what; /* "certificate 3", "private key 1" */
	char *why;  /* one line that says what to do */
};

struct bundle {
	GPtrArray *certs;    /* struct cert, in the order of the file, no repeats */
	GPtrArray *keys;     /* struct key */
	GPtrArray *crls;     /* struct crl */
	GPtrArray *rejected; /* struct bundle_rejected */
};

/*
 * name is for the texts only ("bob.p12"). A password is tried where one is needed. For a PKCS#12
 * the error is then PS_ERROR_INVALID "bob.p12: wrong password" or "bob.p12: a password is
 * needed"; for a key among other objects that is a row in rejected. An error also when nothing
 * in the file is recognised.
 */
struct bundle *bundle_read(GBytes *bytes, const char *name, const struct secret *password,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Does reading it all need a password? For a program that wants to ask. */
gboolean bundle_wants_password(GBytes *bytes);
void bundle_free(struct bundle *bundle);

/* certs: of struct cert, the first being the one meant where that matters. */
GBytes *bundle_write_pem(GPtrArray *certs, GError **error) G_GNUC_WARN_UNUSED_RESULT;
GBytes *bundle_write_pkcs7(GPtrArray *certs, gboolean pem,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* PKCS#8, encrypted with PBES2 AES-256 under the password; in the clear only with NULL. */
struct secret *bundle_write_key_pem(const struct key *key, const struct secret *password,
				    GError **error) G_GNUC_WARN_UNUSED_RESULT;

enum pkcs12_strength {
	PKCS12_MODERN,     /* PBES2 AES-256-CBC, HMAC-SHA-256 */
	PKCS12_COMPATIBLE, /* weak: PBE-SHA1-3DES, for programs that read nothing else (gpgsm) */
};
struct pkcs12_entry {
	const struct cert *cert;
	const struct key *key; /* fits cert */
	const char *label;     /* friendlyName in UTF-8, or NULL */
};
/* chain: certificates without keys that go along (struct cert), or NULL. */
GBytes *bundle_write_pkcs12(const struct pkcs12_entry *entries, gsize count, GPtrArray *chain,
			    const struct secret *password, enum pkcs12_strength strength,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(bundle, bundle_free)

#endif
