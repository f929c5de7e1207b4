/*
 * cms_verify - SignedData: are the signatures good? Trust is another question (pki/trust.h).
 *
 * Input is BER as found in mail, read as a stream within limits. Every signerInfo gets its own
 * report: good, bad, or unknown (no certificate, algorithm not supported). Certificates and CRLs
 * of the message are handed out as DER and never believed. Of the certificates inside only a
 * signer's own is parsed, through options->parse, so that a cache can answer.
 * Errors: INVALID for what is no SignedData within the limits (the text says what), else what
 * source or sink failed with. A bad signature is a report, not an error.
 */
#ifndef PKI_CRYPTO_CMS_VERIFY_H
#define PKI_CRYPTO_CMS_VERIFY_H

#include <glib.h>

#include "pki/crypto/cms.h"
#include "store/base/cleanup.h"
#include "store/base/sink.h"
#include "store/base/source.h"

struct cert;

/* Who signed, as the message says it: issuer and serial, or the subject key identifier. */
struct cms_signer_id {
	GBytes *issuer;   /* DER Name, or NULL */
	char *serial_hex; /* lower case, as cert_serial_hex, or NULL */
	GBytes *key_id;   /* subject key identifier, or NULL */
};

enum cms_signature {
	CMS_SIGNATURE_GOOD,
	CMS_SIGNATURE_BAD,
	CMS_SIGNATURE_UNKNOWN,
};

struct cms_signer_report {
	enum cms_signature signature;
	char *reason;      /* one line; for good ones too ("signature is good") */
	struct cert *cert; /* NULL when not found */
	struct cms_signer_id id;
	char *digest;        /* "sha256", or the OID in dots */
	char *algorithm;     /* "rsaEncryption", "rsassaPss", "ecdsa-with-SHA256" … */
	gboolean legacy;     /* digest MD5 or SHA-1, RSA under 2048 bits, DSA */
	gint64 signing_time; /* CLOCK_NEVER when not given */
	/* Announced ciphers (1 << enum cms_cipher); valid only when has_capabilities. */
	guint capabilities;
	guint transports; /* likewise, 1 << enum cms_transport: OAEP with a SHA-2 digest */
	gboolean has_capabilities;
	/* The certificate that the signer wants to be encrypted to; NULL id fields when not given.
	 */
	struct cms_signer_id encryption;
};

struct cms_verify_report {
	GPtrArray *signers; /* struct cms_signer_report * */
	GPtrArray *certs;   /* GBytes *: DER as found, unparsed */
	GPtrArray *crls;    /* GBytes * */
	char *content_type; /* OID in dots */
	gboolean detached;  /* there was no content inside */
	guint64 content_size;
};

struct cms_verify_options {
	const struct cms_limits *limits; /* NULL: cms_limits_default */
	GPtrArray *certs;                /* struct cert *: candidates beside the message's own */
	/* Asked when neither names the signer; may be NULL. Returns a reference or NULL. */
	struct cert *(*find)(gpointer data, const struct cms_signer_id *id);
	/* Instead of cert_parse; may be NULL. Returns a reference, or NULL with *error set. */
	struct cert *(*parse)(gpointer data, GBytes *der, GError **error);
	gpointer data;
};

/* Opaque: the content goes to content_out (NULL: nowhere) before anything is known of the
 * signatures. With no content inside, the report says detached and each signature is unknown. */
struct cms_verify_report *cms_verify(struct source *object, struct sink *content_out,
				     const struct cms_verify_options *options,
				     GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Detached: exactly the bytes of content are what was signed. An object that has content of its
 * own is INVALID here: a reader would be shown something else than was verified. */
struct cms_verify_report *cms_verify_detached(struct source *object, struct source *content,
					      const struct cms_verify_options *options,
					      GError **error) G_GNUC_WARN_UNUSED_RESULT;

void cms_verify_report_free(struct cms_verify_report *report);
DEFINE_CLEANUP(cms_verify_report, cms_verify_report_free)

void cms_signer_id_clear(struct cms_signer_id *id);
/* To show: "CN=…, serial 0a1b", "key id 7afb…", or "nobody"; printable, owned by the caller. */
char *cms_signer_id_text(const struct cms_signer_id *id);
/* The names as the certificate store has them; NULL where the id has none. */
char *cms_signer_id_issuer_key(const struct cms_signer_id *id); /* as cert_issuer_key */
char *cms_signer_id_key_hex(const struct cms_signer_id *id);    /* as cert_ski */
/* Does the certificate carry this name? */
gboolean cms_signer_id_matches(const struct cms_signer_id *id, const struct cert *cert);

#endif
