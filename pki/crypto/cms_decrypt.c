#include "pki/crypto/cms_decrypt.h"

#include <openssl/err.h>
#include <string.h>

#include "pki/crypto/bundle_internal.h"
#include "pki/crypto/cms_enveloped.h"
#include "pki/crypto/cms_oid.h"
#include "pki/crypto/cms_signed.h"
#include "pki/crypto/cms_unwrap.h"
#include "pki/crypto/internal.h"
#include "store/base/secret.h"

#define PIECE_BYTES (32 * 1024)
#define BLOCK_MAX_BYTES 16
#define IV_MAX_BYTES 16
#define NONCE_BYTES 12
#define TAG_MIN_BYTES 12
#define TAG_MAX_BYTES 16

struct cipher_row {
	const struct tlv *oid;
	const EVP_CIPHER *(*cipher)(void);
	gsize key_length;
	gsize iv_length;
	gboolean aead;
	gboolean legacy;
};

static const struct cipher_row cipher_rows[] = {
	{ &oid_aes128_cbc, EVP_aes_128_cbc, 16, 16, FALSE, FALSE },
	{ &oid_aes192_cbc, EVP_aes_192_cbc, 24, 16, FALSE, FALSE },
	{ &oid_aes256_cbc, EVP_aes_256_cbc, 32, 16, FALSE, FALSE },
	{ &oid_aes128_gcm, EVP_aes_128_gcm, 16, NONCE_BYTES, TRUE, FALSE },
	{ &oid_aes192_gcm, EVP_aes_192_gcm, 24, NONCE_BYTES, TRUE, FALSE },
	{ &oid_aes256_gcm, EVP_aes_256_gcm, 32, NONCE_BYTES, TRUE, FALSE },
	{ &oid_des_ede3_cbc, EVP_des_ede3_cbc, 24, 8, FALSE, TRUE },
	{ &oid_rc2_cbc, NULL, 0, 8, FALSE, TRUE },
};

/* RC2CBCParameter (RFC 2268 section 6): the version says how many bits count. */
struct rc2_row {
	guint8 version;
	const char *cipher;
	gsize key_length;
};

static const struct rc2_row rc2_rows[] = {
	{ 160, "RC2-40-CBC", 5 },
	{ 120, "RC2-64-CBC", 8 },
	{ 58, "RC2-CBC", 16 },
};

struct decrypt {
	struct ber ber;
	struct cms_enveloped data;
	const struct cms_limits *limits;
	const struct cipher_row *row;
	EVP_CIPHER *fetched; /* owned; NULL: the row's own */
	gsize key_length;
	gboolean authenticated_type;
	guint8 iv[IV_MAX_BYTES];
	gsize tag_length;
};

/* ---- what may be decrypted at all ---- */

/* GCMParameters (RFC 5084 section 3.2); aes-ICVlen is 12 when left out. */
static const char *
gcm_params_read(struct decrypt *decrypt)
{
	struct tlv in = decrypt->data.cipher_params, params, nonce, length;

	if (!tlv_take(&in, TLV_SEQUENCE, &params) || !tlv_take(&params, TLV_OCTET_STRING, &nonce))
		return "malformed parameters of the cipher";
	if (nonce.length != NONCE_BYTES)
		return "nonce is not 12 bytes";
	memcpy(decrypt->iv, nonce.bytes, NONCE_BYTES);
	decrypt->tag_length = TAG_MIN_BYTES;
	if (tlv_take(&params, TLV_INTEGER, &length)) {
		if (length.length != 1)
			return "malformed parameters of the cipher";
		decrypt->tag_length = length.bytes[0];
	}
	if (decrypt->tag_length > TAG_MAX_BYTES ||
	    decrypt->tag_length < MAX(decrypt->limits->tag_min_bytes, TAG_MIN_BYTES))
		return "authentication tag is too short";
	return NULL;
}

static const char *
cbc_params_read(struct decrypt *decrypt)
{
	struct tlv in = decrypt->data.cipher_params, iv;

	if (!tlv_take(&in, TLV_OCTET_STRING, &iv) || iv.length != decrypt->row->iv_length)
		return "malformed parameters of the cipher";
	memcpy(decrypt->iv, iv.bytes, iv.length);
	return NULL;
}

static const char *
rc2_params_read(struct decrypt *decrypt)
{
	struct tlv in = decrypt->data.cipher_params, params, version, iv;

	if (!tlv_take(&in, TLV_SEQUENCE, &params) || !tlv_take(&params, TLV_INTEGER, &version) ||
	    version.length == 0 || version.length > 2 ||
	    !tlv_take(&params, TLV_OCTET_STRING, &iv) || iv.length != decrypt->row->iv_length)
		return "malformed parameters of the cipher";
	memcpy(decrypt->iv, iv.bytes, iv.length);
	for (guint i = 0; i < G_N_ELEMENTS(rc2_rows) && decrypt->fetched == NULL; i++) {
		if (version.bytes[version.length - 1] != rc2_rows[i].version)
			continue;
		decrypt->key_length = rc2_rows[i].key_length;
		decrypt->fetched = legacy_cipher(rc2_rows[i].cipher);
	}
	return decrypt->fetched != NULL ? NULL : "cipher is not supported";
}

/* NULL, or why this is not decrypted whatever the key. */
static const char *
cipher_choose(struct decrypt *decrypt, gboolean legacy)
{
	for (guint i = 0; i < G_N_ELEMENTS(cipher_rows) && decrypt->row == NULL; i++)
		if (tlv_equal(&decrypt->data.cipher_oid, cipher_rows[i].oid))
			decrypt->row = &cipher_rows[i];
	if (decrypt->row == NULL)
		return "cipher is not supported";
	if (decrypt->row->legacy && !legacy)
		return "cipher is a legacy one";
	/* Outside of its type nobody checks the tag, or there is none. */
	if (decrypt->row->aead && !decrypt->authenticated_type)
		return "AEAD cipher in EnvelopedData";
	if (!decrypt->row->aead && decrypt->authenticated_type)
		return "cipher without authentication in AuthEnvelopedData";
	decrypt->key_length = decrypt->row->key_length;
	if (decrypt->row->cipher == NULL)
		return rc2_params_read(decrypt);
	return decrypt->row->aead ? gcm_params_read(decrypt) : cbc_params_read(decrypt);
}

/* ---- content ---- */

struct plain_sink {
	struct sink sink;
	EVP_CIPHER_CTX *context;
	struct sink *out;
	guint64 size;
	gboolean out_failed;
	guint8 piece[PIECE_BYTES + BLOCK_MAX_BYTES];
};

static gboolean
plain_put(struct plain_sink *plain, gsize length, GError **error)
{
	plain->size += length;
	if (length == 0 || sink_write(plain->out, plain->piece, length, error))
		return TRUE;
	plain->out_failed = TRUE;
	return FALSE;
}

static gboolean
plain_sink_write(struct sink *self, gconstpointer bytes, gsize length, GError **error)
{
	struct plain_sink *plain = (struct plain_sink *)self;
	const guint8 *in = bytes;

	while (length > 0) {
		gsize n = MIN(length, PIECE_BYTES);
		int made;

		if (EVP_DecryptUpdate(plain->context, plain->piece, &made, in, (int)n) <= 0)
			return fail_openssl_false(error, PS_ERROR_INVALID, "could not decrypt");
		if (!plain_put(plain, (gsize)made, error))
			return FALSE;
		in += n;
		length -= n;
	}
	return TRUE;
}

/* What follows the cipher text, up to the end of the object (RFC 5083 section 2.1). */
static gboolean
tail_read(struct decrypt *decrypt, struct plain_sink *plain, GError **error)
{
	struct ber *ber = &decrypt->ber;
	g_autoptr(GBytes) mac = NULL;
	g_autoptr(GBytes) attributes = NULL;
	struct tlv in, tag_bytes;
	guint8 tag;

	if (!ber_leave(ber, error) || !ber_peek(ber, &tag, error))
		return FALSE;
	if (decrypt->authenticated_type) {
		if (tag == TLV_CONTEXT_CONSTRUCTED(1))
			return fail_false(error, PS_ERROR_INVALID,
					  "authenticated attributes are not supported");
		mac = ber_take(ber, TLV_OCTET_STRING, "the authentication tag", error);
		if (mac == NULL)
			return FALSE;
		in = tlv_of_bytes(mac);
		if (!tlv_take(&in, TLV_OCTET_STRING, &tag_bytes) ||
		    tag_bytes.length != decrypt->tag_length)
			return fail_false(error, PS_ERROR_INVALID,
					  "authentication tag is not as long as announced");
		if (EVP_CIPHER_CTX_ctrl(plain->context, EVP_CTRL_AEAD_SET_TAG,
					(int)tag_bytes.length, (void *)tag_bytes.bytes) <= 0)
			return fail_openssl_false(error, PS_ERROR_INVALID, "could not decrypt");
		if (!ber_peek(ber, &tag, error))
			return FALSE;
	}
	if (tag == TLV_CONTEXT_CONSTRUCTED(1) || tag == TLV_CONTEXT_CONSTRUCTED(2)) {
		attributes = ber_element(ber, error);
		if (attributes == NULL)
			return FALSE;
	}
	return ber_leave(ber, error) && ber_leave(ber, error) && ber_leave(ber, error) &&
	       ber_finish(ber, error);
}

static gboolean
content_read(struct decrypt *decrypt, struct plain_sink *plain, GError **error)
{
	guint64 size = 0;
	int made;

	if (!ber_stream(&decrypt->ber, TLV_CONTEXT(0), &plain->sink, &size, error) ||
	    !tail_read(decrypt, plain, error))
		return FALSE;
	if (EVP_DecryptFinal_ex(plain->context, plain->piece, &made) <= 0)
		return fail_openssl_false(error, PS_ERROR_INVALID,
					  decrypt->row->aead ? "authentication tag is wrong"
							     : "padding is wrong");
	return plain_put(plain, (gsize)made, error);
}

/* ---- the whole ---- */

static gboolean
head_read(struct decrypt *decrypt, GError **error)
{
	g_autoptr(GBytes) type = cms_content_info_open(&decrypt->ber, error);
	guint8 tag;

	if (type == NULL)
		return FALSE;
	decrypt->authenticated_type = cms_oid_is(type, &oid_auth_enveloped_data);
	if (!decrypt->authenticated_type && !cms_oid_is(type, &oid_enveloped_data))
		return fail_false(error, PS_ERROR_INVALID, "not an encrypted object");
	if (!cms_enveloped_head(&decrypt->data, error) || !ber_peek(&decrypt->ber, &tag, error))
		return FALSE;
	if ((tag & ~TLV_CONSTRUCTED) != TLV_CONTEXT(0))
		return fail_false(error, PS_ERROR_INVALID, "no encrypted content inside");
	return TRUE;
}

/* From here on a key was used: what goes wrong with the object has one outcome. */
static gboolean
content_decrypt(struct decrypt *decrypt, const struct cms_unwrapped *unwrapped,
		struct sink *content_out, struct cms_decrypt_report *report, GError **error)
{
	g_autofree struct plain_sink *plain = g_new(struct plain_sink, 1);
	g_autoptr(EVP_CIPHER_CTX) context = EVP_CIPHER_CTX_new();
	GError *why = NULL;
	gboolean ok, ours;

	plain->sink.write = plain_sink_write;
	plain->context = context;
	plain->out = content_out;
	plain->size = 0;
	plain->out_failed = FALSE;
	if (context == NULL ||
	    EVP_DecryptInit_ex2(
		context, decrypt->fetched != NULL ? decrypt->fetched : decrypt->row->cipher(),
		unwrapped->key, decrypt->iv, NULL) <= 0)
		return fail_openssl_false(error, PS_ERROR_TEMPORARY, "could not set up a cipher");
	ok = content_read(decrypt, plain, &why);
	wipe(plain->piece, sizeof plain->piece);
	ours = !ok && (plain->out_failed || !g_error_matches(why, PS_ERROR, PS_ERROR_INVALID));
	if (ours) {
		g_propagate_error(error, why);
		return FALSE;
	}
	report->outcome = ok && unwrapped->ok ? CMS_DECRYPTED : CMS_UNDECRYPTABLE;
	report->authenticated = report->outcome == CMS_DECRYPTED && decrypt->row->aead;
	report->content_size = plain->size;
	if (!unwrapped->ok)
		report->reason = g_strdup(unwrapped->reason);
	else
		report->reason = g_strdup(ok ? "decrypted" : why->message);
	g_clear_error(&why);
	return TRUE;
}

static gboolean
decrypt_run(struct decrypt *decrypt, const struct cms_decrypt_key *keys, gsize n_keys,
	    const struct cms_decrypt_options *options, struct sink *content_out,
	    struct cms_decrypt_report *report, GError **error)
{
	struct cms_unwrapped unwrapped;
	const char *unsupported;
	gboolean ok = TRUE;

	if (!head_read(decrypt, error))
		return FALSE;
	report->cipher = oid_algorithm_name(&decrypt->data.cipher_oid);
	report->content_type = tlv_oid_text(&decrypt->data.content_oid);
	unsupported = cipher_choose(decrypt, options != NULL && options->legacy_ciphers);
	report->legacy = decrypt->row == NULL || decrypt->row->legacy;
	if (unsupported != NULL) {
		report->outcome = CMS_UNSUPPORTED;
		report->reason = g_strdup(unsupported);
		return TRUE;
	}
	if (!cms_unwrap_password(decrypt->data.recipients, decrypt->limits->recipients, keys,
				 n_keys, options != NULL ? options->password : NULL,
				 decrypt->key_length, &unwrapped))
		return fail_openssl_false(error, PS_ERROR_TEMPORARY, "no random bytes");
	report->key_index = unwrapped.key_index;
	report->transport = g_steal_pointer(&unwrapped.transport);
	if (unwrapped.named == 0) {
		report->outcome = CMS_NO_KEY;
		report->reason = g_strdup("encrypted to nobody whose key is here");
	} else {
		ok = content_decrypt(decrypt, &unwrapped, content_out, report, error);
	}
	cms_unwrapped_clear(&unwrapped);
	return ok;
}

struct cms_decrypt_report *
cms_decrypt(struct source *object, const struct cms_decrypt_key *keys, gsize n_keys,
	    const struct cms_decrypt_options *options, struct sink *content_out, GError **error)
{
	g_autofree struct decrypt *decrypt = g_new0(struct decrypt, 1);
	CLEANUP(cms_decrypt_report)
	struct cms_decrypt_report *report = g_new0(struct cms_decrypt_report, 1);
	gboolean ok;

	decrypt->limits =
	    options == NULL || options->limits == NULL ? &cms_limits_default : options->limits;
	ber_init(&decrypt->ber, object, decrypt->limits->head_bytes, decrypt->limits->depth);
	cms_enveloped_init(&decrypt->data, &decrypt->ber, decrypt->limits);
	ok = decrypt_run(decrypt, keys, n_keys, options, content_out, report, error);
	cms_enveloped_clear(&decrypt->data);
	EVP_CIPHER_free(decrypt->fetched);
	ERR_clear_error();
	return ok ? g_steal_pointer(&report) : NULL;
}

void
cms_decrypt_report_free(struct cms_decrypt_report *report)
{
	if (report == NULL)
		return;
	g_free(report->reason);
	g_free(report->cipher);
	g_free(report->transport);
	g_free(report->content_type);
	g_free(report);
}
