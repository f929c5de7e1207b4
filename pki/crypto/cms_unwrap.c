#include "pki/crypto/cms_unwrap.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <string.h>

#include "pki/crypto/cms_enveloped.h"
#include "pki/crypto/cms_oid.h"
#include "pki/crypto/cms_recipient.h"
#include "pki/crypto/cms_password.h"
#include "store/base/secret.h"

/* Private key operations for one object: each costs a millisecond and more. */
/* Each costs a key derivation. */
#define PASSWORDS_MAX 4
#define ATTEMPTS_MAX 16
#define WRAPPED_MAX_BYTES 64

G_DEFINE_AUTOPTR_CLEANUP_FUNC(RSA_OAEP_PARAMS, RSA_OAEP_PARAMS_free)

/* ---- RSA ---- */

static const EVP_MD *
digest_of(const X509_ALGOR *algorithm)
{
	const ASN1_OBJECT *oid;

	if (algorithm == NULL)
		return EVP_sha1(); /* the default of RFC 4055 section 4.1 */
	X509_ALGOR_get0(&oid, NULL, NULL, algorithm);
	return EVP_get_digestbyobj(oid);
}

static gboolean
oaep_label(EVP_PKEY_CTX *context, const X509_ALGOR *source)
{
	const ASN1_OCTET_STRING *label;
	unsigned char *copy;

	if (source == NULL)
		return TRUE;
	if (OBJ_obj2nid(source->algorithm) != NID_pSpecified || source->parameter == NULL ||
	    source->parameter->type != V_ASN1_OCTET_STRING)
		return FALSE;
	label = source->parameter->value.octet_string;
	if (ASN1_STRING_length(label) == 0)
		return TRUE;
	copy = OPENSSL_memdup(ASN1_STRING_get0_data(label), (size_t)ASN1_STRING_length(label));
	if (copy != NULL &&
	    EVP_PKEY_CTX_set0_rsa_oaep_label(context, copy, ASN1_STRING_length(label)) > 0)
		return TRUE;
	OPENSSL_free(copy);
	return FALSE;
}

static gboolean
oaep_set(EVP_PKEY_CTX *context, const struct tlv *params, char **transport)
{
	const guint8 *p = params->bytes;
	g_autoptr(RSA_OAEP_PARAMS) oaep = d2i_RSA_OAEP_PARAMS(NULL, &p, (long)params->length);
	g_autoptr(X509_ALGOR) mask = NULL;
	const EVP_MD *md, *mask_md = EVP_sha1();
	g_autofree char *name = NULL;

	if (oaep == NULL)
		return FALSE;
	md = digest_of(oaep->hashFunc);
	if (oaep->maskGenFunc != NULL) {
		if (OBJ_obj2nid(oaep->maskGenFunc->algorithm) != NID_mgf1 ||
		    oaep->maskGenFunc->parameter == NULL)
			return FALSE;
		mask = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(X509_ALGOR),
						 oaep->maskGenFunc->parameter);
		mask_md = mask == NULL ? NULL : digest_of(mask);
	}
	if (md == NULL || mask_md == NULL)
		return FALSE;
	name = g_ascii_strdown(OBJ_nid2sn(EVP_MD_get_type(md)), -1);
	*transport = g_strconcat("oaep-", name, NULL);
	return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) > 0 &&
	       EVP_PKEY_CTX_set_rsa_oaep_md(context, md) > 0 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md(context, mask_md) > 0 &&
	       oaep_label(context, oaep->pSourceFunc);
}

static gboolean
rsa_unwrap(const struct cms_recipient_fields *fields, const struct tlv *encrypted, EVP_PKEY *pkey,
	   guint8 *key, gsize key_length, char **transport)
{
	g_autoptr(EVP_PKEY_CTX) context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	gsize size = (gsize)EVP_PKEY_get_size(pkey), length = size;
	g_autofree guint8 *plain = NULL;
	gboolean ok;

	if (context == NULL || !EVP_PKEY_is_a(pkey, "RSA") || EVP_PKEY_decrypt_init(context) <= 0)
		return FALSE;
	if (tlv_equal(&fields->algorithm_oid, &oid_rsaes_oaep)) {
		if (!oaep_set(context, &fields->algorithm_params, transport))
			return FALSE;
	} else if (tlv_equal(&fields->algorithm_oid, &oid_rsa_encryption)) {
		*transport = g_strdup("pkcs1");
		if (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) <= 0)
			return FALSE;
	} else {
		return FALSE;
	}
	plain = g_malloc0(size);
	ok = EVP_PKEY_decrypt(context, plain, &length, encrypted->bytes, encrypted->length) > 0 &&
	     length == key_length;
	if (ok)
		memcpy(key, plain, key_length);
	wipe(plain, size);
	return ok;
}

/* ---- EC ---- */

struct agreement_row {
	const struct tlv *oid;
	const char *digest;
	gboolean cofactor;
	const char *name;
};

static const struct agreement_row agreement_rows[] = {
	{ &oid_ecdh_sha1, "SHA1", FALSE, "ecdh-sha1" },
	{ &oid_ecdh_sha224, "SHA224", FALSE, "ecdh-sha224" },
	{ &oid_ecdh_sha256, "SHA256", FALSE, "ecdh-sha256" },
	{ &oid_ecdh_sha384, "SHA384", FALSE, "ecdh-sha384" },
	{ &oid_ecdh_sha512, "SHA512", FALSE, "ecdh-sha512" },
	{ &oid_ecdh_cofactor_sha1, "SHA1", TRUE, "ecdh-cofactor-sha1" },
	{ &oid_ecdh_cofactor_sha224, "SHA224", TRUE, "ecdh-cofactor-sha224" },
	{ &oid_ecdh_cofactor_sha256, "SHA256", TRUE, "ecdh-cofactor-sha256" },
	{ &oid_ecdh_cofactor_sha384, "SHA384", TRUE, "ecdh-cofactor-sha384" },
	{ &oid_ecdh_cofactor_sha512, "SHA512", TRUE, "ecdh-cofactor-sha512" },
};

struct wrap_row {
	const struct tlv *oid;
	const EVP_CIPHER *(*cipher)(void);
	gsize kek_length;
};

static const struct wrap_row wrap_rows[] = {
	{ &oid_aes128_wrap, EVP_aes_128_wrap, 16 },
	{ &oid_aes192_wrap, EVP_aes_192_wrap, 24 },
	{ &oid_aes256_wrap, EVP_aes_256_wrap, 32 },
	{ &oid_des3_wrap, EVP_des_ede3_wrap, 24 },
};

static const struct agreement_row *
agreement_find(const struct tlv *oid)
{
	for (guint i = 0; i < G_N_ELEMENTS(agreement_rows); i++)
		if (tlv_equal(oid, agreement_rows[i].oid))
			return &agreement_rows[i];
	return NULL;
}

static const struct wrap_row *
wrap_find(const struct tlv *whole)
{
	struct tlv in = *whole, algorithm, oid;

	if (!tlv_take(&in, TLV_SEQUENCE, &algorithm) || !tlv_take(&algorithm, TLV_OID, &oid))
		return NULL;
	for (guint i = 0; i < G_N_ELEMENTS(wrap_rows); i++)
		if (tlv_equal(&oid, wrap_rows[i].oid))
			return &wrap_rows[i];
	return NULL;
}

/* The originator's point on the curve of our key; OpenSSL checks that it is on it. */
static EVP_PKEY *
peer_key(const struct cms_recipient_fields *fields, EVP_PKEY *own)
{
	g_autoptr(EVP_PKEY) peer = EVP_PKEY_new();

	if (peer == NULL || fields->public_key.length < 2 || fields->public_key.bytes[0] != 0 ||
	    EVP_PKEY_copy_parameters(peer, own) <= 0 ||
	    EVP_PKEY_set1_encoded_public_key(peer, fields->public_key.bytes + 1,
					     fields->public_key.length - 1) <= 0)
		return NULL;
	return g_steal_pointer(&peer);
}

static gboolean
key_decrypt(const struct wrap_row *row, const guint8 *kek, const struct tlv *encrypted, guint8 *key,
	    gsize key_length)
{
	g_autoptr(EVP_CIPHER_CTX) context = EVP_CIPHER_CTX_new();
	guint8 plain[WRAPPED_MAX_BYTES];
	gboolean ok;
	int length = 0;

	if (context == NULL || encrypted->length > WRAPPED_MAX_BYTES)
		return FALSE;
	EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	ok = EVP_DecryptInit_ex(context, row->cipher(), NULL, kek, NULL) > 0 &&
	     EVP_DecryptUpdate(context, plain, &length, encrypted->bytes, (int)encrypted->length) >
		 0 &&
	     length == (int)key_length;
	if (ok)
		memcpy(key, plain, key_length);
	wipe(plain, sizeof plain);
	return ok;
}

static gboolean
ec_unwrap(const struct cms_recipient_fields *fields, const struct tlv *encrypted, EVP_PKEY *pkey,
	  guint8 *key, gsize key_length, char **transport)
{
	const struct agreement_row *row = agreement_find(&fields->algorithm_oid);
	struct tlv params = fields->algorithm_params;
	struct cms_agreement agreement = { .ukm = fields->has_ukm ? &fields->ukm : NULL };
	const struct wrap_row *wrap;
	g_autoptr(EVP_PKEY) peer = NULL;
	guint8 kek[CMS_KEY_MAX_BYTES];
	gboolean ok;

	if (row == NULL || !EVP_PKEY_is_a(pkey, "EC") ||
	    !tlv_take_whole(&params, TLV_SEQUENCE, &agreement.wrap))
		return FALSE;
	wrap = wrap_find(&agreement.wrap);
	peer = peer_key(fields, pkey);
	if (wrap == NULL || peer == NULL)
		return FALSE;
	*transport = g_strdup(row->name);
	agreement.digest = row->digest;
	agreement.cofactor = row->cofactor;
	ok = cms_agree(pkey, peer, &agreement, kek, wrap->kek_length) &&
	     key_decrypt(wrap, kek, encrypted, key, key_length);
	wipe(kek, sizeof kek);
	return ok;
}

/* ---- all of them ---- */

struct search {
	const struct cms_decrypt_key *keys;
	gsize n_keys;
	gsize key_length;
	guint attempts;
	struct cms_unwrapped *result;
};

static void
key_try(struct search *search, const struct cms_recipient_fields *fields,
	const struct tlv *encrypted, gsize index)
{
	struct cms_unwrapped *result = search->result;
	EVP_PKEY *pkey = key_pkey(search->keys[index].key);
	g_autofree char *transport = NULL;
	guint8 key[CMS_KEY_MAX_BYTES];
	gboolean ok;

	if (result->named++ == 0)
		result->key_index = index;
	if (search->attempts++ >= ATTEMPTS_MAX)
		return;
	if (fields->kind == CMS_RECIPIENT_KEY_TRANSPORT)
		ok = rsa_unwrap(fields, encrypted, pkey, key, search->key_length, &transport);
	else
		ok = ec_unwrap(fields, encrypted, pkey, key, search->key_length, &transport);
	if (ok && !result->ok) {
		memcpy(result->key, key, search->key_length);
		result->ok = TRUE;
		result->key_index = index;
		g_clear_pointer(&result->transport, g_free);
	}
	if (result->transport == NULL)
		result->transport = g_steal_pointer(&transport);
	wipe(key, sizeof key);
	ERR_clear_error();
}

static void
recipient_try(struct search *search, const struct cms_recipient_fields *fields)
{
	if (fields->kind != CMS_RECIPIENT_KEY_TRANSPORT &&
	    fields->kind != CMS_RECIPIENT_KEY_AGREEMENT)
		return;
	for (guint i = 0; i < fields->named->len; i++) {
		const struct cms_named_key *named =
		    &g_array_index(fields->named, struct cms_named_key, i);

		for (gsize k = 0; k < search->n_keys; k++)
			if (cms_signer_id_matches(&named->id, search->keys[k].cert))
				key_try(search, fields, &named->encrypted_key, k);
	}
}

gboolean
cms_unwrap(GPtrArray *recipients, guint named_max, const struct cms_decrypt_key *keys, gsize n_keys,
	   gsize key_length, struct cms_unwrapped *unwrapped)
{
	struct search search = {
		.keys = keys, .n_keys = n_keys, .key_length = key_length, .result = unwrapped
	};

	*unwrapped = (struct cms_unwrapped){ .reason = "no recipientInfo gave a content key" };
	if (RAND_priv_bytes(unwrapped->key, sizeof unwrapped->key) <= 0)
		return FALSE;
	for (guint i = 0; i < recipients->len; i++) {
		struct cms_recipient_fields fields;

		if (cms_recipient_fields_read(&fields, g_ptr_array_index(recipients, i), named_max))
			recipient_try(&search, &fields);
		cms_recipient_fields_clear(&fields);
	}
	return TRUE;
}

gboolean
cms_unwrap_password(GPtrArray *recipients, guint named_max, const struct cms_decrypt_key *keys,
		    gsize n_keys, const struct secret *password, gsize key_length,
		    struct cms_unwrapped *unwrapped)
{
	guint tried = 0;

	if (!cms_unwrap(recipients, named_max, keys, n_keys, key_length, unwrapped))
		return FALSE;
	for (guint i = 0; password != NULL && !unwrapped->ok && i < recipients->len; i++) {
		GBytes *info = g_ptr_array_index(recipients, i);

		if (!cms_password_is(info) || tried++ >= PASSWORDS_MAX)
			continue;
		unwrapped->named++;
		unwrapped->ok = cms_password_take(info, password, unwrapped->key, key_length);
		unwrapped->reason = "wrong passphrase";
	}
	return TRUE;
}

void
cms_unwrapped_clear(struct cms_unwrapped *unwrapped)
{
	wipe(unwrapped->key, sizeof unwrapped->key);
	g_clear_pointer(&unwrapped->transport, g_free);
}
