/*
 * cms_inspect - what a CMS object is, without keys and without trust.
 *
 * For detection (the first bytes are enough) and for `message show`. Bounded by the limits;
 * the type comes from the OID, never from a label. Errors: INVALID for what is no CMS object;
 * the text says where it stopped making sense.
 */
#ifndef PKI_CRYPTO_CMS_INSPECT_H
#define PKI_CRYPTO_CMS_INSPECT_H

#include <glib.h>

#include "pki/crypto/cms.h"
#include "pki/crypto/cms_verify.h"
#include "store/base/cleanup.h"
#include "store/base/sink.h"
#include "store/base/source.h"

struct cert;

enum cms_type {
	CMS_TYPE_UNKNOWN, /* a ContentInfo, but of another type: see type_oid */
	CMS_TYPE_DATA,
	CMS_TYPE_SIGNED,
	CMS_TYPE_CERTS_ONLY, /* SignedData without content and signers */
	CMS_TYPE_ENVELOPED,
	CMS_TYPE_AUTH_ENVELOPED,
	CMS_TYPE_COMPRESSED,
	CMS_TYPE_DIGESTED,
	CMS_TYPE_ENCRYPTED,
	CMS_TYPE_AUTHENTICATED,
};

enum cms_recipient_kind {
	CMS_RECIPIENT_KEY_TRANSPORT,
	CMS_RECIPIENT_KEY_AGREEMENT,
	CMS_RECIPIENT_KEK,
	CMS_RECIPIENT_PASSWORD,
	CMS_RECIPIENT_OTHER,
};

struct cms_recipient_info {
	enum cms_recipient_kind kind;
	struct cms_signer_id id; /* empty for those that are not named by a certificate */
	char *algorithm; /* "rsaEncryption", "rsaesOaep", "dhSinglePass-stdDH-sha256kdf-scheme" */
};

struct cms_signer_info {
	struct cms_signer_id id;
	char *digest;
	char *algorithm;
	gint64 signing_time; /* CLOCK_NEVER when not given */
};

struct cms_info {
	enum cms_type type;
	char *type_oid;        /* of the ContentInfo */
	char *content_type;    /* OID of what is inside, or NULL */
	char *cipher;          /* enveloped, encrypted */
	GPtrArray *recipients; /* struct cms_recipient_info * */
	GPtrArray *digests;    /* char *: digestAlgorithms of SignedData */
	GPtrArray *signers;    /* struct cms_signer_info *; only when complete */
	GPtrArray *certs;      /* GBytes * DER; only when complete */
	GPtrArray *crls;       /* GBytes * DER; only when complete */
	gboolean has_content;
	gboolean complete; /* read to the end; else the head alone */
	/* Enveloped and complete: what is in it could be cipher text and encrypted keys
	 * (cms_plausible.h). */
	gboolean plausible;
};

enum cms_inspect_depth {
	CMS_INSPECT_HEAD, /* up to the content: type, recipients, cipher; CERTS_ONLY is told too */
	CMS_INSPECT_ALL,  /* through the content (which is skipped) to the signers */
};

struct cms_info *cms_inspect(struct source *object, enum cms_inspect_depth depth,
			     const struct cms_limits *limits_or_null,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
void cms_info_free(struct cms_info *info);
DEFINE_CLEANUP(cms_info, cms_info_free)
const char *cms_type_name(enum cms_type type); /* "signed", "encrypted", "certs-only" … */
const char *cms_recipient_kind_name(enum cms_recipient_kind kind);
gboolean cms_info_names(const struct cms_info *info, const struct cert *cert);

/* CompressedData (RFC 3274): the content to content_out, within inflate_bytes and inflate_factor;
 * more is INVALID and names the limit. *content_type (may be NULL) is the OID of what is inside. */
gboolean cms_inflate(struct source *object, struct sink *content_out,
		     const struct cms_limits *limits_or_null, char **content_type,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
