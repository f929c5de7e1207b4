#include "pki/crypto/cms_sign.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "pki/crypto/cms_attributes.h"
#include "pki/crypto/cms_id.h"
#include "pki/crypto/cms_oid.h"
#include "pki/crypto/internal.h"

/* Everything around content, attributes and signature: headers, OIDs, version numbers. */
#define FRAMING_MAX_BYTES 256

struct cms_signer {
	gatomicrefcount refs;
	enum cms_digest digest;
	EVP_MD *md;
	EVP_MD_CTX *prepared; /* copied for each signature */
	gsize signature_size;
	gboolean signature_fixed;
	GByteArray *digest_algorithm;
	GByteArray *signature_algorithm;
	GByteArray *issuer_and_serial;
	GByteArray *certs;
	struct cms_attributes *attributes;
};

struct cms_sign {
	struct sink sink;
	struct cms_signer *signer;
	EVP_MD_CTX *md;
	struct sink *out; /* NULL: detached */
	guint64 content_size;
	guint64 content_seen;
	gint64 now;
	gboolean head_written;
};

static const struct tlv *
digest_oid(enum cms_digest digest)
{
	switch (digest) {
	case CMS_DIGEST_SHA384:
		return &oid_sha384;
	case CMS_DIGEST_SHA512:
		return &oid_sha512;
	case CMS_DIGEST_SHA256:
		break;
	}
	return &oid_sha256;
}

static const struct tlv *
ecdsa_oid(enum cms_digest digest)
{
	switch (digest) {
	case CMS_DIGEST_SHA384:
		return &oid_ecdsa_sha384;
	case CMS_DIGEST_SHA512:
		return &oid_ecdsa_sha512;
	case CMS_DIGEST_SHA256:
		break;
	}
	return &oid_ecdsa_sha256;
}

static void
put_oid(GByteArray *out, const struct tlv *oid)
{
	tlv_put(out, TLV_OID, oid->bytes, oid->length);
}

static void
put_digest_algorithm(GByteArray *out, enum cms_digest digest)
{
	guint place = tlv_open(out);

	put_oid(out, digest_oid(digest)); /* no parameters: RFC 5754 section 2 */
	tlv_close(out, place, TLV_SEQUENCE);
}

/* PSS: as OpenSSL spells the parameters, which all readers were seen to take. */
static gboolean
put_pss_algorithm(GByteArray *out, EVP_PKEY_CTX *context)
{
	guint8 der[256];
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, der, sizeof der),
		OSSL_PARAM_END,
	};

	if (EVP_PKEY_CTX_get_params(context, params) <= 0 || !OSSL_PARAM_modified(params))
		return FALSE;
	tlv_put_raw(out, der, params[0].return_size);
	return TRUE;
}

static void
put_signature_algorithm(GByteArray *out, enum cms_digest digest, gboolean rsa)
{
	guint place = tlv_open(out);

	put_oid(out, rsa ? &oid_rsa_encryption : ecdsa_oid(digest));
	if (rsa)
		tlv_put(out, TLV_NULL, NULL, 0);
	tlv_close(out, place, TLV_SEQUENCE);
}

/* The context that every signature starts from: digest, key, padding. */
static gboolean
signer_prepare(struct cms_signer *signer, EVP_PKEY *pkey, enum key_kind kind,
	       enum cms_scheme scheme)
{
	gboolean pss =
	    kind == KEY_KIND_RSA_PSS || (kind == KEY_KIND_RSA && scheme == CMS_SCHEME_PSS);
	EVP_PKEY_CTX *context; /* belongs to prepared */

	signer->prepared = EVP_MD_CTX_new();
	signer->md = EVP_MD_fetch(NULL, cms_digest_name(signer->digest), NULL);
	if (signer->prepared == NULL || signer->md == NULL ||
	    EVP_DigestSignInit_ex(signer->prepared, &context, cms_digest_name(signer->digest), NULL,
				  NULL, pkey, NULL) <= 0)
		return FALSE;
	signer->signature_size = (gsize)EVP_PKEY_get_size(pkey);
	signer->signature_fixed = kind != KEY_KIND_EC;
	if (!pss) {
		put_signature_algorithm(signer->signature_algorithm, signer->digest,
					kind != KEY_KIND_EC);
		return TRUE;
	}
	return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0 &&
	       put_pss_algorithm(signer->signature_algorithm, context);
}

static void
signer_put_certs(struct cms_signer *signer, const struct cert *cert, GPtrArray *chain)
{
	guint place = tlv_open(signer->certs);
	struct tlv der = tlv_of_bytes(cert_der(cert));

	tlv_put_raw(signer->certs, der.bytes, der.length);
	for (guint i = 0; chain != NULL && i < chain->len; i++) {
		const struct cert *one = g_ptr_array_index(chain, i);

		if (cert_equal(one, cert))
			continue;
		der = tlv_of_bytes(cert_der(one));
		tlv_put_raw(signer->certs, der.bytes, der.length);
	}
	tlv_close_set_of(signer->certs, place, TLV_CONTEXT_CONSTRUCTED(0));
}

struct cms_signer *
cms_signer_new(const struct cert *cert, const struct key *key,
	       const struct cms_signer_options *options, GError **error)
{
	enum key_kind kind = key_kind(key);
	struct cms_signer *signer;

	if (kind != KEY_KIND_RSA && kind != KEY_KIND_RSA_PSS && kind != KEY_KIND_EC)
		return fail(error, PS_ERROR_INVALID, "cannot sign mail with a key of kind %s",
			    key_kind_name(kind));
	if (!key_fits(key, cert))
		return fail(error, PS_ERROR_INVALID, "the key is not that of the certificate %s",
			    cert_subject(cert));
	signer = g_new0(struct cms_signer, 1);
	g_atomic_ref_count_init(&signer->refs);
	signer->digest = options->digest;
	signer->digest_algorithm = g_byte_array_new();
	signer->signature_algorithm = g_byte_array_new();
	signer->issuer_and_serial = g_byte_array_new();
	signer->certs = g_byte_array_new();
	if (!signer_prepare(signer, key_pkey(key), kind, options->scheme)) {
		cms_signer_unref(signer);
		return fail_openssl(error, PS_ERROR_INVALID, "cannot sign with the key of %s",
				    cert_subject(cert));
	}
	put_digest_algorithm(signer->digest_algorithm, signer->digest);
	cms_put_issuer_and_serial(signer->issuer_and_serial, TLV_SEQUENCE, cert);
	signer_put_certs(signer, cert, options->chain);
	signer->attributes =
	    cms_attributes_new(options->encryption != NULL && !cert_equal(options->encryption, cert)
				   ? options->encryption
				   : NULL,
			       (gsize)EVP_MD_get_size(signer->md));
	return signer;
}

struct cms_signer *
cms_signer_ref(struct cms_signer *signer)
{
	g_atomic_ref_count_inc(&signer->refs);
	return signer;
}

void
cms_signer_unref(struct cms_signer *signer)
{
	if (signer == NULL || !g_atomic_ref_count_dec(&signer->refs))
		return;
	EVP_MD_CTX_free(signer->prepared);
	EVP_MD_free(signer->md);
	g_byte_array_unref(signer->digest_algorithm);
	g_byte_array_unref(signer->signature_algorithm);
	g_byte_array_unref(signer->issuer_and_serial);
	g_byte_array_unref(signer->certs);
	cms_attributes_free(signer->attributes);
	g_free(signer);
}

enum cms_digest
cms_signer_digest(const struct cms_signer *signer)
{
	return signer->digest;
}

guint64
cms_signer_size_max(const struct cms_signer *signer, guint64 content_size)
{
	return content_size + signer->certs->len + cms_attributes_size_max(signer->attributes) +
	       signer->issuer_and_serial->len + signer->signature_algorithm->len +
	       signer->signature_size + FRAMING_MAX_BYTES;
}

/* SET OF SignerInfo with the one that is ours (RFC 5652 section 5.3). */
static GByteArray *
infos_make(const struct cms_signer *signer, const GByteArray *attributes, const guint8 *signature,
	   gsize signature_length)
{
	GByteArray *infos = g_byte_array_new();
	guint set = tlv_open(infos), info = tlv_open(infos), place;

	tlv_put(infos, TLV_INTEGER, "\x01", 1);
	tlv_put_raw(infos, signer->issuer_and_serial->data, signer->issuer_and_serial->len);
	tlv_put_raw(infos, signer->digest_algorithm->data, signer->digest_algorithm->len);
	place = tlv_open(infos);
	tlv_put_raw(infos, attributes->data, attributes->len);
	infos->data[place] = TLV_CONTEXT_CONSTRUCTED(0);
	tlv_put_raw(infos, signer->signature_algorithm->data, signer->signature_algorithm->len);
	tlv_put(infos, TLV_OCTET_STRING, signature, signature_length);
	tlv_close(infos, info, TLV_SEQUENCE);
	tlv_close(infos, set, TLV_SET);
	return infos;
}

/* The signature is over the attributes under their own tag, not [0] (RFC 5652 section 5.4). */
static GByteArray *
infos_sign(struct cms_sign *sign, GError **error)
{
	const struct cms_signer *signer = sign->signer;
	g_autoptr(EVP_MD_CTX) context = EVP_MD_CTX_new();
	g_autoptr(GByteArray) attributes = NULL;
	guint8 digest[EVP_MAX_MD_SIZE];
	gsize length = signer->signature_size;
	g_autofree guint8 *signature = g_malloc(length);

	if (EVP_DigestFinal_ex(sign->md, digest, NULL) <= 0)
		return fail_openssl(error, PS_ERROR_TEMPORARY, "could not digest the content");
	attributes = cms_attributes_make(signer->attributes, sign->now, digest);
	if (context == NULL || EVP_MD_CTX_copy_ex(context, signer->prepared) <= 0 ||
	    EVP_DigestSign(context, signature, &length, attributes->data, attributes->len) <= 0)
		return fail_openssl(error, PS_ERROR_TEMPORARY, "could not sign");
	return infos_make(signer, attributes, signature, length);
}

/* As long as infos_sign will be; for keys whose signatures have one length. */
static gsize
infos_size(const struct cms_sign *sign)
{
	static const guint8 nothing[EVP_MAX_MD_SIZE];
	const struct cms_signer *signer = sign->signer;
	g_autoptr(GByteArray) attributes =
	    cms_attributes_make(signer->attributes, sign->now, nothing);
	g_autofree guint8 *signature = g_malloc0(signer->signature_size);
	g_autoptr(GByteArray) infos =
	    infos_make(signer, attributes, signature, signer->signature_size);

	return infos->len;
}

/* Version and digestAlgorithms: what comes before the content in SignedData. */
static void
put_start(GByteArray *out, const struct cms_signer *signer)
{
	tlv_put(out, TLV_INTEGER, "\x01", 1);
	tlv_put(out, TLV_SET, signer->digest_algorithm->data, signer->digest_algorithm->len);
}

static guint64
with_header(guint64 size)
{
	return tlv_header_size(size) + size;
}

static gboolean
is_definite(const struct cms_sign *sign)
{
	return sign->content_size != CMS_SIZE_UNKNOWN && sign->signer->signature_fixed;
}

static void
put_head_definite(GByteArray *head, const struct cms_sign *sign)
{
	g_autoptr(GByteArray) start = g_byte_array_new();
	guint64 octets = with_header(sign->content_size);
	guint64 encap = with_header(oid_data.length) + with_header(octets);
	guint64 data, whole;

	put_start(start, sign->signer);
	data = start->len + with_header(encap) + sign->signer->certs->len + infos_size(sign);
	whole = with_header(oid_signed_data.length) + with_header(with_header(data));
	tlv_put_header(head, TLV_SEQUENCE, whole);
	put_oid(head, &oid_signed_data);
	tlv_put_header(head, TLV_CONTEXT_CONSTRUCTED(0), with_header(data));
	tlv_put_header(head, TLV_SEQUENCE, data);
	tlv_put_raw(head, start->data, start->len);
	tlv_put_header(head, TLV_SEQUENCE, encap);
	put_oid(head, &oid_data);
	tlv_put_header(head, TLV_CONTEXT_CONSTRUCTED(0), octets);
	tlv_put_header(head, TLV_OCTET_STRING, sign->content_size);
}

static void
put_open(GByteArray *head, guint8 tag)
{
	const guint8 open[] = { tag, 0x80 };

	tlv_put_raw(head, open, sizeof open);
}

static void
put_head_indefinite(GByteArray *head, const struct cms_sign *sign)
{
	put_open(head, TLV_SEQUENCE);
	put_oid(head, &oid_signed_data);
	put_open(head, TLV_CONTEXT_CONSTRUCTED(0));
	put_open(head, TLV_SEQUENCE);
	put_start(head, sign->signer);
	put_open(head, TLV_SEQUENCE);
	put_oid(head, &oid_data);
	put_open(head, TLV_CONTEXT_CONSTRUCTED(0));
	if (sign->content_size == CMS_SIZE_UNKNOWN)
		put_open(head, TLV_OCTET_STRING | TLV_CONSTRUCTED);
	else
		tlv_put_header(head, TLV_OCTET_STRING, sign->content_size);
}

static gboolean
head_write(struct cms_sign *sign, GError **error)
{
	g_autoptr(GByteArray) head = g_byte_array_new();

	sign->head_written = TRUE;
	if (is_definite(sign))
		put_head_definite(head, sign);
	else
		put_head_indefinite(head, sign);
	return sink_write(sign->out, head->data, head->len, error);
}

static gboolean
content_write(struct sink *self, gconstpointer bytes, gsize length, GError **error)
{
	struct cms_sign *sign = (struct cms_sign *)self;
	g_autoptr(GByteArray) header = NULL;

	sign->content_seen += length;
	if (EVP_DigestUpdate(sign->md, bytes, length) <= 0)
		return fail_openssl_false(error, PS_ERROR_TEMPORARY, "could not digest");
	if (sign->out == NULL || length == 0)
		return TRUE;
	if (!sign->head_written && !head_write(sign, error))
		return FALSE;
	if (sign->content_size == CMS_SIZE_UNKNOWN) {
		header = g_byte_array_new();
		tlv_put_header(header, TLV_OCTET_STRING, length);
		if (!sink_write(sign->out, header->data, header->len, error))
			return FALSE;
	}
	return sink_write(sign->out, bytes, length, error);
}

static struct cms_sign *
sign_new(struct cms_signer *signer, gint64 now, guint64 content_size, struct sink *out)
{
	struct cms_sign *sign = g_new0(struct cms_sign, 1);

	sign->sink.write = content_write;
	sign->signer = cms_signer_ref(signer);
	sign->md = EVP_MD_CTX_new();
	sign->out = out;
	sign->now = now;
	sign->content_size = content_size;
	if (sign->md == NULL || EVP_DigestInit_ex2(sign->md, signer->md, NULL) <= 0)
		g_error("cannot set up a digest");
	return sign;
}

struct cms_sign *
cms_sign_detached(struct cms_signer *signer, gint64 now)
{
	return sign_new(signer, now, 0, NULL);
}

struct cms_sign *
cms_sign_opaque(struct cms_signer *signer, gint64 now, guint64 content_size, struct sink *out)
{
	return sign_new(signer, now, content_size, out);
}

GBytes *
cms_sign_finish_detached(struct cms_sign *sign, GError **error)
{
	g_autoptr(GByteArray) infos = infos_sign(sign, error);
	g_autoptr(GByteArray) out = NULL;
	guint whole, explicit_tag, data, encap;

	if (infos == NULL)
		return NULL;
	out = g_byte_array_sized_new(infos->len + sign->signer->certs->len + FRAMING_MAX_BYTES);
	whole = tlv_open(out);
	put_oid(out, &oid_signed_data);
	explicit_tag = tlv_open(out);
	data = tlv_open(out);
	put_start(out, sign->signer);
	encap = tlv_open(out);
	put_oid(out, &oid_data);
	tlv_close(out, encap, TLV_SEQUENCE);
	tlv_put_raw(out, sign->signer->certs->data, sign->signer->certs->len);
	tlv_put_raw(out, infos->data, infos->len);
	tlv_close(out, data, TLV_SEQUENCE);
	tlv_close(out, explicit_tag, TLV_CONTEXT_CONSTRUCTED(0));
	tlv_close(out, whole, TLV_SEQUENCE);
	return g_byte_array_free_to_bytes(g_steal_pointer(&out));
}

gboolean
cms_sign_finish_opaque(struct cms_sign *sign, GError **error)
{
	static const guint8 ends[12];
	const GByteArray *certs = sign->signer->certs;
	g_autoptr(GByteArray) infos = NULL;
	gsize before = 0, after = 0;

	if (!sign->head_written && !head_write(sign, error))
		return FALSE;
	if (sign->content_size != CMS_SIZE_UNKNOWN && sign->content_size != sign->content_seen)
		return fail_false(error, PS_ERROR_BUG, "content is not as long as announced");
	infos = infos_sign(sign, error);
	if (infos == NULL)
		return FALSE;
	if (!is_definite(sign)) {
		/* [0] and EncapsulatedContentInfo, with the cut octet string before them. */
		before = sign->content_size == CMS_SIZE_UNKNOWN ? 6 : 4;
		after = 6; /* SignedData, [0], ContentInfo */
	}
	return sink_write(sign->out, ends, before, error) &&
	       sink_write(sign->out, certs->data, certs->len, error) &&
	       sink_write(sign->out, infos->data, infos->len, error) &&
	       sink_write(sign->out, ends, after, error);
}

struct sink *
cms_sign_sink(struct cms_sign *sign)
{
	return &sign->sink;
}

void
cms_sign_free(struct cms_sign *sign)
{
	if (sign == NULL)
		return;
	EVP_MD_CTX_free(sign->md);
	cms_signer_unref(sign->signer);
	g_free(sign);
}
