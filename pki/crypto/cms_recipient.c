#include "pki/crypto/cms_recipient.h"

#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "pki/crypto/cms_id.h"
#include "pki/crypto/cms_oid.h"
#include "store/base/secret.h"

#define KEK_MAX_BYTES 32

static void
put_oid(GByteArray *out, const struct tlv *oid)
{
	tlv_put(out, TLV_OID, oid->bytes, oid->length);
}

static void
put_hash(GByteArray *out, const struct tlv *oid)
{
	guint place = tlv_open(out);

	put_oid(out, oid);
	tlv_put(out, TLV_NULL, NULL, 0); /* as RFC 4055 section 2.1 wants it here */
	tlv_close(out, place, TLV_SEQUENCE);
}

/* RSAES-OAEP-params (RFC 4055 section 4.1); SHA-1 is the default and left out. */
static void
put_oaep(GByteArray *out, const struct tlv *digest)
{
	guint algorithm = tlv_open(out), params, tagged, mask;

	put_oid(out, &oid_rsaes_oaep);
	params = tlv_open(out);
	if (digest != &oid_sha1) {
		tagged = tlv_open(out);
		put_hash(out, digest);
		tlv_close(out, tagged, TLV_CONTEXT_CONSTRUCTED(0));
		tagged = tlv_open(out);
		mask = tlv_open(out);
		put_oid(out, &oid_mgf1);
		put_hash(out, digest);
		tlv_close(out, mask, TLV_SEQUENCE);
		tlv_close(out, tagged, TLV_CONTEXT_CONSTRUCTED(1));
	}
	tlv_close(out, params, TLV_SEQUENCE);
	tlv_close(out, algorithm, TLV_SEQUENCE);
}

static gboolean
oaep_digest(enum cms_transport transport, const char **name, const struct tlv **oid)
{
	switch (transport) {
	case CMS_TRANSPORT_PKCS1:
		return FALSE;
	case CMS_TRANSPORT_OAEP_SHA1:
		*name = "SHA1";
		*oid = &oid_sha1;
		return TRUE;
	case CMS_TRANSPORT_OAEP_SHA256:
		*name = "SHA256";
		*oid = &oid_sha256;
		return TRUE;
	case CMS_TRANSPORT_OAEP_SHA384:
		*name = "SHA384";
		*oid = &oid_sha384;
		return TRUE;
	case CMS_TRANSPORT_OAEP_SHA512:
		*name = "SHA512";
		*oid = &oid_sha512;
		return TRUE;
	}
	return FALSE;
}

static gboolean
rsa_encrypt(EVP_PKEY *pkey, const char *oaep, const guint8 *key, gsize key_length,
	    guint8 *encrypted, gsize *encrypted_length)
{
	g_autoptr(EVP_PKEY_CTX) context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);

	if (context == NULL || EVP_PKEY_encrypt_init(context) <= 0)
		return FALSE;
	if (oaep == NULL) {
		if (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) <= 0)
			return FALSE;
	} else if (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) <= 0 ||
		   EVP_PKEY_CTX_set_rsa_oaep_md_name(context, oaep, NULL) <= 0 ||
		   EVP_PKEY_CTX_set_rsa_mgf1_md_name(context, oaep, NULL) <= 0) {
		return FALSE;
	}
	return EVP_PKEY_encrypt(context, encrypted, encrypted_length, key, key_length) > 0;
}

static gboolean
put_key_transport(GByteArray *out, const struct cms_recipient *recipient, EVP_PKEY *pkey,
		  const guint8 *key, gsize key_length)
{
	const char *oaep = NULL;
	const struct tlv *digest;
	gsize length = (gsize)EVP_PKEY_get_size(pkey);
	g_autofree guint8 *encrypted = g_malloc(length);
	guint info = tlv_open(out), place;

	tlv_put(out, TLV_INTEGER, "", 1);
	cms_put_issuer_and_serial(out, TLV_SEQUENCE, recipient->cert);
	if (oaep_digest(recipient->transport, &oaep, &digest)) {
		put_oaep(out, digest);
	} else {
		place = tlv_open(out);
		put_oid(out, &oid_rsa_encryption);
		tlv_put(out, TLV_NULL, NULL, 0);
		tlv_close(out, place, TLV_SEQUENCE);
	}
	if (!rsa_encrypt(pkey, oaep, key, key_length, encrypted, &length))
		return FALSE;
	tlv_put(out, TLV_OCTET_STRING, encrypted, length);
	tlv_close(out, info, TLV_SEQUENCE);
	return TRUE;
}

/* ECC-CMS-SharedInfo (RFC 5753 section 7.2). */
static GByteArray *
shared_info(const struct cms_agreement *agreement, gsize kek_length)
{
	GByteArray *info = g_byte_array_new();
	guint32 bits = g_htonl((guint32)kek_length * 8);
	guint place;

	tlv_put_raw(info, agreement->wrap.bytes, agreement->wrap.length);
	if (agreement->ukm != NULL) {
		place = tlv_open(info);
		tlv_put(info, TLV_OCTET_STRING, agreement->ukm->bytes, agreement->ukm->length);
		tlv_close(info, place, TLV_CONTEXT_CONSTRUCTED(0));
	}
	place = tlv_open(info);
	tlv_put(info, TLV_OCTET_STRING, &bits, sizeof bits);
	tlv_close(info, place, TLV_CONTEXT_CONSTRUCTED(2));
	tlv_close(info, 0, TLV_SEQUENCE);
	return info;
}

gboolean
cms_agree(EVP_PKEY *own, EVP_PKEY *peer, const struct cms_agreement *agreement, guint8 *kek,
	  gsize kek_length)
{
	g_autoptr(EVP_PKEY_CTX) context = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
	const EVP_MD *md = EVP_get_digestbyname(agreement->digest);
	g_autoptr(GByteArray) info = shared_info(agreement, kek_length);
	unsigned char *ukm = OPENSSL_memdup(info->data, info->len);
	gsize length = kek_length;

	if (context == NULL || md == NULL || ukm == NULL || EVP_PKEY_derive_init(context) <= 0 ||
	    EVP_PKEY_derive_set_peer(context, peer) <= 0 ||
	    EVP_PKEY_CTX_set_ecdh_cofactor_mode(context, agreement->cofactor ? 1 : 0) <= 0 ||
	    EVP_PKEY_CTX_set_ecdh_kdf_type(context, EVP_PKEY_ECDH_KDF_X9_63) <= 0 ||
	    EVP_PKEY_CTX_set_ecdh_kdf_md(context, md) <= 0 ||
	    EVP_PKEY_CTX_set_ecdh_kdf_outlen(context, (int)kek_length) <= 0 ||
	    EVP_PKEY_CTX_set0_ecdh_kdf_ukm(context, ukm, (int)info->len) <= 0) {
		OPENSSL_free(ukm);
		return FALSE;
	}
	return EVP_PKEY_derive(context, kek, &length) > 0 && length == kek_length;
}

static EVP_PKEY *
ephemeral_key(EVP_PKEY *like)
{
	g_autoptr(EVP_PKEY_CTX) context = EVP_PKEY_CTX_new_from_pkey(NULL, like, NULL);
	EVP_PKEY *key = NULL;

	if (context == NULL || EVP_PKEY_keygen_init(context) <= 0 ||
	    EVP_PKEY_keygen(context, &key) <= 0)
		return NULL;
	return key;
}

static gboolean
aes_wrap(const guint8 *kek, gsize kek_length, const guint8 *key, gsize key_length, guint8 *wrapped,
	 int *wrapped_length)
{
	g_autoptr(EVP_CIPHER_CTX) context = EVP_CIPHER_CTX_new();
	const EVP_CIPHER *cipher = kek_length == 16 ? EVP_aes_128_wrap() : EVP_aes_256_wrap();

	if (context == NULL)
		return FALSE;
	EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	return EVP_EncryptInit_ex(context, cipher, NULL, kek, NULL) > 0 &&
	       EVP_EncryptUpdate(context, wrapped, wrapped_length, key, (int)key_length) > 0;
}

/* originator [0] EXPLICIT, as originatorKey [1]: the ephemeral public key. */
static gboolean
put_originator(GByteArray *out, EVP_PKEY *ephemeral)
{
	unsigned char *point = NULL;
	gsize length = EVP_PKEY_get1_encoded_public_key(ephemeral, &point);
	guint originator = tlv_open(out), choice = tlv_open(out), place;

	if (length == 0)
		return FALSE;
	place = tlv_open(out);
	put_oid(out, &oid_ec_public_key);
	tlv_close(out, place, TLV_SEQUENCE);
	place = tlv_open(out);
	tlv_put_raw(out, "", 1); /* no unused bits */
	tlv_put_raw(out, point, length);
	tlv_close(out, place, TLV_BIT_STRING);
	tlv_close(out, choice, TLV_CONTEXT_CONSTRUCTED(1));
	tlv_close(out, originator, TLV_CONTEXT_CONSTRUCTED(0));
	OPENSSL_free(point);
	return TRUE;
}

/* The wrap is as strong as the content key is long. */
static GByteArray *
wrap_algorithm(gsize key_length)
{
	GByteArray *wrap = g_byte_array_new();

	put_oid(wrap, key_length == 16 ? &oid_aes128_wrap : &oid_aes256_wrap);
	tlv_close(wrap, 0, TLV_SEQUENCE);
	return wrap;
}

static gboolean
put_agreed_key(GByteArray *out, const struct cms_recipient *recipient, EVP_PKEY *pkey,
	       EVP_PKEY *ephemeral, const GByteArray *wrap, const guint8 *key, gsize key_length)
{
	struct cms_agreement agreement = { .digest = "SHA256", .wrap = { wrap->data, wrap->len } };
	gsize kek_length = key_length == 16 ? 16 : 32;
	guint8 kek[KEK_MAX_BYTES], wrapped[KEK_MAX_BYTES + 8];
	int wrapped_length = 0;
	gboolean ok = cms_agree(ephemeral, pkey, &agreement, kek, kek_length) &&
		      aes_wrap(kek, kek_length, key, key_length, wrapped, &wrapped_length);
	guint keys = tlv_open(out), one = tlv_open(out);

	wipe(kek, sizeof kek);
	cms_put_issuer_and_serial(out, TLV_SEQUENCE, recipient->cert);
	tlv_put(out, TLV_OCTET_STRING, wrapped, (gsize)wrapped_length);
	tlv_close(out, one, TLV_SEQUENCE);
	tlv_close(out, keys, TLV_SEQUENCE);
	return ok;
}

static gboolean
put_key_agreement(GByteArray *out, const struct cms_recipient *recipient, EVP_PKEY *pkey,
		  const guint8 *key, gsize key_length)
{
	g_autoptr(EVP_PKEY) ephemeral = ephemeral_key(pkey);
	g_autoptr(GByteArray) wrap = wrap_algorithm(key_length);
	guint info = tlv_open(out), place;

	if (ephemeral == NULL)
		return FALSE;
	tlv_put(out, TLV_INTEGER, "\x03", 1);
	if (!put_originator(out, ephemeral))
		return FALSE;
	place = tlv_open(out);
	put_oid(out, &oid_ecdh_sha256);
	tlv_put_raw(out, wrap->data, wrap->len);
	tlv_close(out, place, TLV_SEQUENCE);
	if (!put_agreed_key(out, recipient, pkey, ephemeral, wrap, key, key_length))
		return FALSE;
	tlv_close(out, info, TLV_CONTEXT_CONSTRUCTED(1));
	return TRUE;
}

gboolean
cms_encrypt_usable(const struct cert *cert, GError **error)
{
	EVP_PKEY *pkey = cert_pkey(cert);
	enum key_kind kind = cert_key_kind(cert);

	if (pkey == NULL)
		return fail_false(error, PS_ERROR_INVALID, "the public key of %s cannot be read",
				  cert_subject(cert));
	if (kind != KEY_KIND_RSA && kind != KEY_KIND_EC)
		return fail_false(
		    error, PS_ERROR_INVALID,
		    "cannot encrypt to %s: a key of kind %s is for signing or unknown",
		    cert_subject(cert), key_kind_name(kind));
	if (cert_key_weakness(cert) != NULL)
		return fail_false(error, PS_ERROR_INVALID, "the key of %s %s", cert_subject(cert),
				  cert_key_weakness(cert));
	if (kind == KEY_KIND_RSA && EVP_PKEY_get_size(pkey) < 64)
		return fail_false(error, PS_ERROR_INVALID, "the RSA key of %s is too short",
				  cert_subject(cert));
	return TRUE;
}

gboolean
cms_put_recipient(GByteArray *out, const struct cms_recipient *recipient, const guint8 *key,
		  gsize key_length, GError **error)
{
	EVP_PKEY *pkey = cert_pkey(recipient->cert);
	gboolean ok;

	if (!cms_encrypt_usable(recipient->cert, error))
		return FALSE;
	if (cert_key_kind(recipient->cert) == KEY_KIND_EC)
		ok = put_key_agreement(out, recipient, pkey, key, key_length);
	else
		ok = put_key_transport(out, recipient, pkey, key, key_length);
	return ok || fail_openssl_false(error, PS_ERROR_INVALID, "cannot encrypt to %s",
					cert_subject(recipient->cert));
}
