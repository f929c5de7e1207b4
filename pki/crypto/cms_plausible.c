#include "pki/crypto/cms_plausible.h"

#include <string.h>

#include "pki/crypto/cms_oid.h"

/* RSA keys of 512 to 16,384 bits. */
#define TRANSPORTED_MIN_BYTES 64
#define TRANSPORTED_MAX_BYTES 2048
#define WRAP_BYTES 8 /* RFC 3394, RFC 3217: what wrapping adds to an AES key */
/* Less tells nothing. Half of the octets of cipher text are above 127; with an eighth of them
 * one good message in ten thousand millions is taken for text at the shortest. */
#define TEXT_MIN_BYTES 64
#define HIGH_ONE_OF 8
#define HIGH_BITS G_GUINT64_CONSTANT(0x8080808080808080)

struct cipher_row {
	const struct tlv *oid;
	gsize key_bytes;
	gsize block_bytes; /* 0: a stream */
};

static const struct cipher_row ciphers[] = {
	{ &oid_aes128_cbc, 16, 16 },  { &oid_aes192_cbc, 24, 16 }, { &oid_aes256_cbc, 32, 16 },
	{ &oid_des_ede3_cbc, 24, 8 }, { &oid_aes128_gcm, 16, 0 },  { &oid_aes192_gcm, 24, 0 },
	{ &oid_aes256_gcm, 32, 0 },
};

static const struct cipher_row *
cipher_find(const struct tlv *oid)
{
	for (guint i = 0; i < G_N_ELEMENTS(ciphers); i++)
		if (tlv_equal(oid, ciphers[i].oid))
			return &ciphers[i];
	return NULL;
}

static gboolean
count(struct sink *self, gconstpointer bytes, gsize length, GError **error)
{
	struct cms_octets *octets = (struct cms_octets *)self;
	const guint8 *p = bytes;
	guint64 eight;

	(void)error;
	octets->total += length;
	for (; length >= sizeof eight; length -= sizeof eight, p += sizeof eight) {
		memcpy(&eight, p, sizeof eight);
		octets->high += (guint)__builtin_popcountll(eight & HIGH_BITS);
	}
	for (; length > 0; length--)
		octets->high += *p++ >> 7;
	return TRUE;
}

void
cms_octets_init(struct cms_octets *octets)
{
	*octets = (struct cms_octets){ .sink = { count } };
}

/* An AES key, or three DES keys with the eight octets that RFC 3217 puts before them. */
static gboolean
wrapped_fits(gsize length, const struct cipher_row *cipher)
{
	if (cipher == NULL)
		return length >= 2 * WRAP_BYTES && length % WRAP_BYTES == 0;
	return length == cipher->key_bytes + WRAP_BYTES ||
	       (cipher->block_bytes == 8 && length == cipher->key_bytes + 2 * WRAP_BYTES);
}

gboolean
cms_recipient_is_plausible(const struct cms_recipient_fields *fields, const struct tlv *cipher_oid)
{
	const struct cipher_row *cipher = cipher_find(cipher_oid);

	for (guint i = 0; i < fields->named->len; i++) {
		const struct cms_named_key *named =
		    &g_array_index(fields->named, struct cms_named_key, i);
		gsize length = named->encrypted_key.length;

		if (fields->kind == CMS_RECIPIENT_KEY_TRANSPORT &&
		    (length < TRANSPORTED_MIN_BYTES || length > TRANSPORTED_MAX_BYTES))
			return FALSE;
		if (fields->kind == CMS_RECIPIENT_KEY_AGREEMENT && !wrapped_fits(length, cipher))
			return FALSE;
	}
	return TRUE;
}

/* CBC: the IV, one block. The nonce of GCM stands in a SEQUENCE. */
static gboolean
parameters_fit(const struct cipher_row *cipher, struct tlv params)
{
	struct tlv content;

	if (cipher->block_bytes > 0)
		return tlv_take(&params, TLV_OCTET_STRING, &content) &&
		       content.length == cipher->block_bytes;
	return tlv_take(&params, TLV_SEQUENCE, &content) &&
	       tlv_take(&content, TLV_OCTET_STRING, &params) && params.length > 0;
}

gboolean
cms_content_is_plausible(const struct cms_enveloped *data, const struct cms_octets *octets)
{
	const struct cipher_row *cipher = cipher_find(&data->cipher_oid);

	if (octets->total == 0)
		return FALSE;
	if (octets->total >= TEXT_MIN_BYTES && octets->high < octets->total / HIGH_ONE_OF)
		return FALSE;
	if (cipher == NULL)
		return TRUE;
	return parameters_fit(cipher, data->cipher_params) &&
	       (cipher->block_bytes == 0 || octets->total % cipher->block_bytes == 0);
}
