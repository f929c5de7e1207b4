/*
 * cert_internal - struct cert, for the files that make one.
 *
 * Light: its fields were read by cert_fields, and OpenSSL's objects are made when somebody asks
 * (an X509, the key, the extensions). Whole: cert_fields would not read it; OpenSSL did.
 */
#ifndef PKI_CRYPTO_CERT_INTERNAL_H
#define PKI_CRYPTO_CERT_INTERNAL_H

#include "pki/crypto/cert_fields.h"
#include "pki/crypto/cert_rules.h"
#include "pki/crypto/internal.h"

struct cert {
	gint references;
	GBytes *der;
	gboolean light;
	struct cert_fields fields; /* light: slices of der */
	char *thumbprint;
	char *subject, *issuer, *serial;
	char *subject_key, *issuer_key;
	char *ski, *aki;
	gint64 not_before, not_after;
	GPtrArray *emails;
	char *spki_sha256, *key_text;
	enum key_kind key_kind;
	unsigned int key_bits;
	enum algorithm signature;
	unsigned int key_usage;
	gboolean email_purpose, has_basic_constraints, ca, self_issued, self_signed, inherited;
	gboolean version_1, broken; /* broken: OpenSSL cannot read an extension that it knows */
	int path_length;
	X509 *original; /* of an inherited one: what its issuer signed; else NULL */
	gpointer slots[CERT_SLOTS];
};

struct cert *cert_new(GBytes *der);
/* FALSE: not of the common kind, and the certificate is as it was. */
gboolean cert_read_light(struct cert *cert) G_GNUC_WARN_UNUSED_RESULT;
/* Takes over x509 in every case. */
gboolean cert_read_whole(struct cert *cert, X509 *x509, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
