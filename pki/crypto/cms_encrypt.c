#include "pki/crypto/cms_encrypt.h"

#include <openssl/rand.h>

#include "pki/crypto/cms_id.h"
#include "pki/crypto/cms_oid.h"
#include "pki/crypto/cms_password.h"
#include "pki/crypto/cms_recipient.h"
#include "pki/crypto/internal.h"
#include "store/base/secret.h"

#define KEY_MAX_BYTES 32
#define BLOCK_BYTES 16
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define PIECE_BYTES (32 * 1024)
/* Around one recipientInfo beside names and key, and around the whole object. */
#define RECIPIENT_FRAMING_MAX_BYTES 256
#define FRAMING_MAX_BYTES 256

struct cms_encrypt {
	struct sink sink;
	struct sink *out;
	enum cms_cipher cipher;
	const struct secret *password; /* until the head is written */
	guint64 content_size;
	guint64 content_seen;
	EVP_CIPHER_CTX *context;
	gsize held; /* bytes of cipher text in piece */
	guint8 piece[PIECE_BYTES + 2 * BLOCK_BYTES];
};

struct cipher_row {
	const EVP_CIPHER *(*openssl)(void);
	const struct tlv *oid;
	gsize key_length;
};

/* Order: enum cms_cipher. */
static const struct cipher_row cipher_rows[CMS_N_CIPHERS] = {
	{ EVP_aes_128_cbc, &oid_aes128_cbc, 16 }, { EVP_aes_192_cbc, &oid_aes192_cbc, 24 },
	{ EVP_aes_256_cbc, &oid_aes256_cbc, 32 }, { EVP_aes_128_gcm, &oid_aes128_gcm, 16 },
	{ EVP_aes_256_gcm, &oid_aes256_gcm, 32 },
};

static void
put_oid(GByteArray *out, const struct tlv *oid)
{
	tlv_put(out, TLV_OID, oid->bytes, oid->length);
}

static gboolean
piece_flush(struct cms_encrypt *encrypt, GError **error)
{
	g_autoptr(GByteArray) header = NULL;
	gsize length = encrypt->held;

	encrypt->held = 0;
	if (length == 0)
		return TRUE;
	if (encrypt->content_size == CMS_SIZE_UNKNOWN) {
		header = g_byte_array_new();
		tlv_put_header(header, TLV_OCTET_STRING, length);
		if (!sink_write(encrypt->out, header->data, header->len, error))
			return FALSE;
	}
	return sink_write(encrypt->out, encrypt->piece, length, error);
}

static gboolean
content_write(struct sink *self, gconstpointer bytes, gsize length, GError **error)
{
	struct cms_encrypt *encrypt = (struct cms_encrypt *)self;
	const guint8 *in = bytes;

	encrypt->content_seen += length;
	while (length > 0) {
		gsize n = MIN(length, PIECE_BYTES - encrypt->held);
		int made;

		if (EVP_EncryptUpdate(encrypt->context, encrypt->piece + encrypt->held, &made, in,
				      (int)n) <= 0)
			return fail_openssl_false(error, PS_ERROR_TEMPORARY, "could not encrypt");
		encrypt->held += (gsize)made;
		in += n;
		length -= n;
		if (encrypt->held + BLOCK_BYTES > PIECE_BYTES && !piece_flush(encrypt, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean
recipients_check(const struct cms_recipient *recipients, gsize n,
		 const struct cms_encrypt_options *options, GError **error)
{
	gboolean mixed = options->mixed_kinds;
	guint rsa = 0, ec = 0;

	if (n == 0 && options->password == NULL)
		return fail_false(error, PS_ERROR_INVALID, "nobody to encrypt to");
	for (gsize i = 0; i < n; i++) {
		if (!cms_encrypt_usable(recipients[i].cert, error))
			return FALSE;
		if (cert_key_kind(recipients[i].cert) == KEY_KIND_EC)
			ec++;
		else
			rsa++;
	}
	if (rsa > 0 && ec > 0 && !mixed)
		return fail_false(error, PS_ERROR_INVALID,
				  "RSA and EC recipients do not share one object");
	return TRUE;
}

/* SET OF RecipientInfo; has_agreement asks for version 2 of EnvelopedData. */
static gboolean
put_recipients(GByteArray *out, const struct cms_recipient *recipients, gsize n,
	       const struct secret *password, const guint8 *key, gsize key_length,
	       gboolean *has_agreement, GError **error)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
	guint place = tlv_open(out);

	*has_agreement = FALSE;
	for (gsize i = 0; i < n; i++) {
		const struct cert *cert = recipients[i].cert;

		if (!g_hash_table_add(seen, (gpointer)cert_thumbprint(cert)))
			continue;
		if (cert_key_kind(cert) == KEY_KIND_EC)
			*has_agreement = TRUE;
		if (!cms_put_recipient(out, &recipients[i], key, key_length, error))
			return FALSE;
	}
	if (password != NULL && !cms_password_put(out, password, key, key_length, error))
		return FALSE;
	tlv_close_set_of(out, place, TLV_SET);
	return TRUE;
}

/* contentEncryptionAlgorithm: RFC 3565 section 4.1 (CBC), RFC 5084 section 3.2 (GCM). */
static void
put_content_algorithm(GByteArray *out, enum cms_cipher cipher, const guint8 *iv)
{
	guint algorithm = tlv_open(out), params;

	put_oid(out, cipher_rows[cipher].oid);
	if (cms_cipher_is_aead(cipher)) {
		params = tlv_open(out);
		tlv_put(out, TLV_OCTET_STRING, iv, NONCE_BYTES);
		tlv_put(out, TLV_INTEGER, "\x10", 1);
		tlv_close(out, params, TLV_SEQUENCE);
	} else {
		tlv_put(out, TLV_OCTET_STRING, iv, BLOCK_BYTES);
	}
	tlv_close(out, algorithm, TLV_SEQUENCE);
}

static guint64
with_header(guint64 size)
{
	return tlv_header_size(size) + size;
}

static guint64
cipher_text_size(enum cms_cipher cipher, guint64 content_size)
{
	if (cms_cipher_is_aead(cipher))
		return content_size;
	return (content_size / BLOCK_BYTES + 1) * BLOCK_BYTES;
}

/* lead: version and recipientInfos; info: contentType and algorithm of EncryptedContentInfo. */
static void
put_head_definite(GByteArray *head, const struct cms_encrypt *encrypt, const GByteArray *lead,
		  const GByteArray *info)
{
	gboolean aead = cms_cipher_is_aead(encrypt->cipher);
	const struct tlv *type = aead ? &oid_auth_enveloped_data : &oid_enveloped_data;
	guint64 text = cipher_text_size(encrypt->cipher, encrypt->content_size);
	guint64 content_info = info->len + with_header(text);
	guint64 data = lead->len + with_header(content_info) + (aead ? 2 + TAG_BYTES : 0);

	tlv_put_header(head, TLV_SEQUENCE,
		       with_header(type->length) + with_header(with_header(data)));
	put_oid(head, type);
	tlv_put_header(head, TLV_CONTEXT_CONSTRUCTED(0), with_header(data));
	tlv_put_header(head, TLV_SEQUENCE, data);
	tlv_put_raw(head, lead->data, lead->len);
	tlv_put_header(head, TLV_SEQUENCE, content_info);
	tlv_put_raw(head, info->data, info->len);
	tlv_put_header(head, TLV_CONTEXT(0), text);
}

static void
put_open(GByteArray *head, guint8 tag)
{
	const guint8 open[] = { tag, 0x80 };

	tlv_put_raw(head, open, sizeof open);
}

static void
put_head_indefinite(GByteArray *head, const struct cms_encrypt *encrypt, const GByteArray *lead,
		    const GByteArray *info)
{
	put_open(head, TLV_SEQUENCE);
	put_oid(head, cms_cipher_is_aead(encrypt->cipher) ? &oid_auth_enveloped_data
							  : &oid_enveloped_data);
	put_open(head, TLV_CONTEXT_CONSTRUCTED(0));
	put_open(head, TLV_SEQUENCE);
	tlv_put_raw(head, lead->data, lead->len);
	put_open(head, TLV_SEQUENCE);
	tlv_put_raw(head, info->data, info->len);
	put_open(head, TLV_CONTEXT_CONSTRUCTED(0));
}

static gboolean
head_write(struct cms_encrypt *encrypt, const struct cms_recipient *recipients, gsize n,
	   const guint8 *key, const guint8 *iv, GError **error)
{
	g_autoptr(GByteArray) infos = g_byte_array_new();
	g_autoptr(GByteArray) lead = g_byte_array_new();
	g_autoptr(GByteArray) info = g_byte_array_new();
	g_autoptr(GByteArray) head = g_byte_array_new();
	gboolean has_agreement;
	guint8 version;

	if (!put_recipients(infos, recipients, n, encrypt->password, key,
			    cipher_rows[encrypt->cipher].key_length, &has_agreement, error))
		return FALSE;
	/* RFC 5652 section 6.1; AuthEnvelopedData is always 0 (RFC 5083 section 2.1) */
	version = encrypt->password != NULL ? 3 : has_agreement ? 2 : 0;
	if (cms_cipher_is_aead(encrypt->cipher))
		version = 0;
	tlv_put(lead, TLV_INTEGER, &version, 1);
	tlv_put_raw(lead, infos->data, infos->len);
	put_oid(info, &oid_data);
	put_content_algorithm(info, encrypt->cipher, iv);
	if (encrypt->content_size != CMS_SIZE_UNKNOWN)
		put_head_definite(head, encrypt, lead, info);
	else
		put_head_indefinite(head, encrypt, lead, info);
	return sink_write(encrypt->out, head->data, head->len, error);
}

static gboolean
encrypt_start(struct cms_encrypt *encrypt, const struct cms_recipient *recipients, gsize n,
	      GError **error)
{
	const struct cipher_row *row = &cipher_rows[encrypt->cipher];
	guint8 key[KEY_MAX_BYTES], iv[BLOCK_BYTES];
	gboolean ok;

	encrypt->context = EVP_CIPHER_CTX_new();
	if (encrypt->context == NULL || RAND_priv_bytes(key, (int)row->key_length) <= 0 ||
	    RAND_bytes(iv, sizeof iv) <= 0 ||
	    EVP_EncryptInit_ex2(encrypt->context, row->openssl(), key, iv, NULL) <= 0)
		ok = fail_openssl_false(error, PS_ERROR_TEMPORARY, "could not set up %s",
					cms_cipher_name(encrypt->cipher));
	else
		ok = head_write(encrypt, recipients, n, key, iv, error);
	wipe(key, sizeof key);
	return ok;
}

struct cms_encrypt *
cms_encrypt_new(const struct cms_recipient *recipients, gsize n_recipients,
		const struct cms_encrypt_options *options, struct sink *out, GError **error)
{
	struct cms_encrypt *encrypt;

	if (!recipients_check(recipients, n_recipients, options, error))
		return NULL;
	encrypt = g_new(struct cms_encrypt, 1);
	encrypt->sink.write = content_write;
	encrypt->out = out;
	encrypt->cipher = options->cipher;
	encrypt->password = options->password;
	encrypt->content_size = options->content_size;
	encrypt->content_seen = 0;
	encrypt->held = 0;
	if (!encrypt_start(encrypt, recipients, n_recipients, error)) {
		cms_encrypt_free(encrypt);
		return NULL;
	}
	return encrypt;
}

struct sink *
cms_encrypt_sink(struct cms_encrypt *encrypt)
{
	return &encrypt->sink;
}

gboolean
cms_encrypt_finish(struct cms_encrypt *encrypt, GError **error)
{
	gboolean indefinite = encrypt->content_size == CMS_SIZE_UNKNOWN;
	g_autoptr(GByteArray) tail = g_byte_array_new();
	static const guint8 ends[6];
	guint8 tag[TAG_BYTES];
	int made;

	if (!indefinite && encrypt->content_seen != encrypt->content_size)
		return fail_false(error, PS_ERROR_BUG, "content is not as long as announced");
	if (EVP_EncryptFinal_ex(encrypt->context, encrypt->piece + encrypt->held, &made) <= 0)
		return fail_openssl_false(error, PS_ERROR_TEMPORARY, "could not encrypt");
	encrypt->held += (gsize)made;
	if (!piece_flush(encrypt, error))
		return FALSE;
	if (indefinite)
		tlv_put_raw(tail, ends, 4); /* the cipher text and EncryptedContentInfo */
	if (cms_cipher_is_aead(encrypt->cipher)) {
		if (EVP_CIPHER_CTX_ctrl(encrypt->context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) <=
		    0)
			return fail_openssl_false(error, PS_ERROR_TEMPORARY, "could not encrypt");
		tlv_put(tail, TLV_OCTET_STRING, tag, sizeof tag);
	}
	if (indefinite)
		tlv_put_raw(tail, ends, 6); /* EnvelopedData, [0], ContentInfo */
	return tail->len == 0 || sink_write(encrypt->out, tail->data, tail->len, error);
}

void
cms_encrypt_free(struct cms_encrypt *encrypt)
{
	if (encrypt == NULL)
		return;
	EVP_CIPHER_CTX_free(encrypt->context); /* wipes its key */
	g_free(encrypt);
}

guint64
cms_encrypt_size_max(const struct cms_recipient *recipients, gsize n_recipients,
		     enum cms_cipher cipher, guint64 content_size)
{
	guint64 text = cipher_text_size(cipher, content_size);
	guint64 size = FRAMING_MAX_BYTES + text;
	struct tlv issuer, serial;

	for (gsize i = 0; i < n_recipients; i++) {
		EVP_PKEY *pkey = cert_pkey(recipients[i].cert);

		if (cms_cert_names(cert_der(recipients[i].cert), &issuer, &serial))
			size += issuer.length + serial.length;
		size += RECIPIENT_FRAMING_MAX_BYTES;
		size += pkey == NULL ? 0 : (guint64)EVP_PKEY_get_size(pkey) * 2;
	}
	return size;
}
