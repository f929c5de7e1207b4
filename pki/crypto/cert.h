/*
 * cert - one X.509 certificate, parsed once; immutable and shared.
 *
 * Everything that a look-up, a list or the mail path asks for is worked out when it is parsed;
 * strings belong to the certificate. The thumbprint (SHA-512 of the DER, lower-case hex) is its
 * identity everywhere. Text of names passed printable() already. Threads: any.
 * Addresses come from SAN rfc822Name, SAN SmtpUTF8Mailbox (RFC 9598) and the subject's
 * emailAddress, never from the common name (RFC 8550 section 3).
 */
#ifndef PKI_CRYPTO_CERT_H
#define PKI_CRYPTO_CERT_H

#include <glib.h>

#include "pki/crypto/algorithms.h"
#include "store/base/cleanup.h"
#include "store/base/mailaddr.h"

#define CERT_SIZE_MAX_BYTES (256 * 1024)
#define CERT_EMAILS_MAX 256

struct cert;

/* RFC 5280 section 4.2.1.3, as a mask; absent counts as every bit (K3). */
enum key_usage {
	KEY_USAGE_DIGITAL_SIGNATURE = 0x0080,
	KEY_USAGE_NON_REPUDIATION = 0x0040,
	KEY_USAGE_KEY_ENCIPHERMENT = 0x0020,
	KEY_USAGE_DATA_ENCIPHERMENT = 0x0010,
	KEY_USAGE_KEY_AGREEMENT = 0x0008,
	KEY_USAGE_CERT_SIGN = 0x0004,
	KEY_USAGE_CRL_SIGN = 0x0002,
	KEY_USAGE_ENCIPHER_ONLY = 0x0001,
	KEY_USAGE_DECIPHER_ONLY = 0x8000,
	KEY_USAGE_ALL = 0x80ff,
	KEY_USAGE_ABSENT = 0x10000, /* set together with KEY_USAGE_ALL */
};

/* Takes exactly one DER certificate; limits first, trailing bytes are an error. Refs der. */
struct cert *cert_parse(GBytes *der, GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *cert_thumbprint_of(GBytes *der); /* owned by the caller; der may be anything */
struct cert *cert_ref(struct cert *cert);
void cert_unref(struct cert *cert); /* NULL is fine */
/* What it holds, about: not less, unless an X509 was made of it later. */
gsize cert_memory(const struct cert *cert);
gboolean cert_equal(const struct cert *a, const struct cert *b);
gboolean cert_is_among(const struct cert *cert, const GPtrArray *certs_or_null);

GBytes *cert_der(const struct cert *cert);            /* borrowed */
const char *cert_thumbprint(const struct cert *cert); /* SHA-512 of the DER */
const char *cert_sha256(const struct cert *cert);     /* of the DER */
const char *cert_sha1(const struct cert *cert);       /* of the DER */
const char *cert_subject(const struct cert *cert);    /* RFC 4514 order reversed: "CN=…, O=…" */
const char *cert_issuer(const struct cert *cert);
const char *cert_common_name(const struct cert *cert); /* "" when there is none; to show only */
const char *cert_serial_hex(const struct cert *cert);  /* lower case, no leading zeros */
/* Lower-case hex SHA-256 of the name as RFC 5280 section 7.1 compares it: equal names, equal
 * keys. What an index of issuers and subjects is built on. */
const char *cert_subject_key(const struct cert *cert);
const char *cert_issuer_key(const struct cert *cert);
const char *cert_ski(const struct cert *cert); /* hex, NULL when absent */
const char *cert_aki(const struct cert *cert); /* hex of the key id, NULL when absent */
gint64 cert_not_before(const struct cert *cert);
gint64 cert_not_after(const struct cert *cert); /* inclusive */

/* struct mailaddr, without repeats, in the order of the certificate; borrowed. */
GPtrArray *cert_emails(const struct cert *cert);
gboolean cert_has_email(const struct cert *cert, const struct mailaddr *address);

const char *cert_spki_sha256(const struct cert *cert);
enum key_kind cert_key_kind(const struct cert *cert);
unsigned int cert_key_bits(const struct cert *cert);
const char *cert_key_text(const struct cert *cert); /* "RSA 2048", "EC P-256" */
enum algorithm cert_signature_algorithm(const struct cert *cert);
unsigned int cert_key_usage(const struct cert *cert);
/* K3: may the key, by key usage and kind, be used for this? Extended usage apart. */
gboolean cert_may_encrypt(const struct cert *cert);
gboolean cert_may_sign(const struct cert *cert); /* digitalSignature or nonRepudiation */
gboolean cert_has_digital_signature(const struct cert *cert);
gboolean cert_has_email_purpose(const struct cert *cert); /* K4 */
/* Extended key usage has this OID, or any, or is absent. */
gboolean cert_allows_purpose(const struct cert *cert, const char *oid);
/* RFC 5280 4.2.1.12, for TLS: is this purpose ("serverAuth", "clientAuth") named, or any? Without
 * the extension it is not. */
gboolean cert_names_purpose(const struct cert *cert, const char *purpose);
GStrv cert_dns_names(const struct cert *cert);         /* of the SAN, lower case; owned */
gboolean cert_is_tls_client(const struct cert *cert);  /* may say in TLS who we are */
gboolean cert_is_ca(const struct cert *cert);          /* basicConstraints cA */
int cert_path_length(const struct cert *cert);         /* -1 when there is no limit */
gboolean cert_is_self_issued(const struct cert *cert); /* subject and issuer are one name */
gboolean cert_is_self_signed(const struct cert *cert); /* and its own key verifies it */
const char *cert_kind(const struct cert *cert);        /* "end user", "intermediate", "root" */
GStrv cert_crl_urls(const struct cert *cert);          /* borrowed; http, https, ldap, ldaps */
GStrv cert_ocsp_urls(const struct cert *cert);         /* borrowed; http, https */
GStrv cert_ca_issuer_urls(const struct cert *cert);    /* borrowed; as cert_crl_urls */

/* Named as the issuer, and its key verifies. Key ids are hints (RFC 5280 4.2.1.1): a renewed CA may
 * have others. Whether it may issue, dates and paths are chain's questions. */
gboolean cert_is_issued_by(const struct cert *cert, const struct cert *issuer);

/* K1: everything there is to show, in order; a name that repeats is a list (many is set). */
struct fact {
	char *name; /* "subject", "email", "key-usage" … : stable, for JSON */
	char *value;
	gboolean many;
};
GPtrArray *cert_facts(const struct cert *cert); /* of struct fact; owned by the caller */
void fact_free(struct fact *fact);
/* Appends one row; for others that add theirs (CTL mark, origin, verdict). */
void fact_add(GPtrArray *facts, const char *name, const char *value);
void fact_add_many(GPtrArray *facts, const char *name, const char *value);

DEFINE_CLEANUP(cert, cert_unref)

#endif
