/*
 * bundle_pkcs12 - PKCS#12 (RFC 7292): reading with limits, writing.
 *
 * Read bag by bag and not with PKCS12_parse: each derivation is counted before it is run, and
 * one bag that cannot be had does not take the others along.
 */
#include "pki/crypto/bundle.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <string.h>

#include "pki/crypto/bundle_internal.h"
#include "pki/crypto/bundle_salt.h"
#include "pki/crypto/der.h"
#include "store/base/background.h"

#define NESTING_MAX 4
#define SALT_BYTES BUNDLE_SALT_BYTES
#define IV_BYTES 16
#define KEY_BYTES 32
#define COMPATIBLE_ITERATIONS 2048 /* what such programs write themselves */

typedef STACK_OF(PKCS12_SAFEBAG) bag_stack;

/* The password as OpenSSL wants it; an empty one has two encodings, and this file uses one. */
struct password {
	const char *text;
	int length;
};

static void read_bag(struct bundle_reader *reader, const struct password *password,
		     PKCS12_SAFEBAG *bag, int depth);

static void
read_bags(struct bundle_reader *reader, const struct password *password, const bag_stack *bags,
	  int depth)
{
	for (int i = 0; i < sk_PKCS12_SAFEBAG_num(bags); i++)
		read_bag(reader, password, sk_PKCS12_SAFEBAG_value(bags, i), depth);
}

static void
read_shrouded_key(struct bundle_reader *reader, const struct password *password,
		  PKCS12_SAFEBAG *bag)
{
	const X509_ALGOR *algorithm = NULL;

	X509_SIG_get0(PKCS12_SAFEBAG_get0_pkcs8(bag), &algorithm, NULL);
	g_autofree char *fault = bundle_password_fault(reader, algorithm);
	if (fault != NULL) {
		bundle_reject(reader, "private key", "%s", fault);
		return;
	}
	OSSL_LIB_CTX *previous = legacy_enter();
	g_autoptr(PKCS8_PRIV_KEY_INFO) info =
	    PKCS12_decrypt_skey(bag, password->text, password->length);
	legacy_leave(previous);
	ERR_clear_error();
	if (info == NULL)
		bundle_reject(reader, "private key", "wrong password, or damaged");
	else
		bundle_add_pkey(reader, EVP_PKCS82PKEY(info));
}

static void
read_bag(struct bundle_reader *reader, const struct password *password, PKCS12_SAFEBAG *bag,
	 int depth)
{
	unsigned char *der = NULL;
	int length;

	switch (PKCS12_SAFEBAG_get_nid(bag)) {
	case NID_keyBag:
		bundle_add_pkey(reader, EVP_PKCS82PKEY(PKCS12_SAFEBAG_get0_p8inf(bag)));
		break;
	case NID_pkcs8ShroudedKeyBag:
		read_shrouded_key(reader, password, bag);
		break;
	case NID_certBag:
		if (PKCS12_SAFEBAG_get_bag_nid(bag) == NID_x509Certificate) {
			g_autoptr(X509) x509 = PKCS12_SAFEBAG_get1_cert(bag);

			length = x509 != NULL ? i2d_X509(x509, &der) : 0;
			bundle_add_cert_der(reader, der != NULL ? der : (const void *)"",
					    (gsize)MAX(length, 0));
			OPENSSL_free(der);
		}
		break;
	case NID_crlBag:
		if (PKCS12_SAFEBAG_get_bag_nid(bag) == NID_x509Crl) {
			g_autoptr(X509_CRL) crl = PKCS12_SAFEBAG_get1_crl(bag);

			length = crl != NULL ? i2d_X509_CRL(crl, &der) : 0;
			bundle_add_crl_der(reader, der != NULL ? der : (const void *)"",
					   (gsize)MAX(length, 0));
			OPENSSL_free(der);
		}
		break;
	case NID_safeContentsBag:
		if (depth < NESTING_MAX)
			read_bags(reader, password, PKCS12_SAFEBAG_get0_safes(bag), depth + 1);
		else
			bundle_reject(reader, "bag", "bags are nested too deep");
		break;
	default:
		bundle_reject(reader, "bag", "of a kind that is not supported");
	}
	ERR_clear_error();
}

static void
read_encrypted_safe(struct bundle_reader *reader, const struct password *password, PKCS7 *safe)
{
	const PKCS7_ENC_CONTENT *content =
	    safe->d.encrypted != NULL ? safe->d.encrypted->enc_data : NULL;

	if (content == NULL || content->algorithm == NULL) {
		bundle_reject(reader, "encrypted part", "it is broken");
		return;
	}
	g_autofree char *fault = bundle_password_fault(reader, content->algorithm);
	if (fault != NULL) {
		bundle_reject(reader, "encrypted part", "%s", fault);
		return;
	}
	OSSL_LIB_CTX *previous = legacy_enter();
	bag_stack *bags = PKCS12_unpack_p7encdata(safe, password->text, password->length);
	legacy_leave(previous);
	ERR_clear_error();
	if (bags == NULL) {
		bundle_reject(reader, "encrypted part", "wrong password, or damaged");
		return;
	}
	read_bags(reader, password, bags, 0);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
}

static void
read_safe(struct bundle_reader *reader, const struct password *password, PKCS7 *safe)
{
	int type = OBJ_obj2nid(safe->type);

	if (type == NID_pkcs7_encrypted) {
		read_encrypted_safe(reader, password, safe);
	} else if (type == NID_pkcs7_data) {
		bag_stack *bags = PKCS12_unpack_p7data(safe);

		if (bags == NULL)
			bundle_reject(reader, "part", "it is broken");
		else
			read_bags(reader, password, bags, 0);
		sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	} else {
		bundle_reject(reader, "part",
			      "it is sealed to a public key, which is not supported");
	}
	ERR_clear_error();
}

/* Finds the encoding of the password that fits. FALSE with *error when it cannot be told. */
static gboolean
check_mac(struct bundle_reader *reader, PKCS12 *p12, struct password *password, const char *name,
	  gboolean *fits, GError **error)
{
	const X509_ALGOR *algorithm = NULL;
	const ASN1_INTEGER *iterations = NULL;
	const ASN1_OBJECT *object = NULL;
	gint64 count = 1;

	if (PKCS12_mac_present(p12) != 1)
		return TRUE;
	PKCS12_get0_mac(NULL, &algorithm, NULL, &iterations, p12);
	X509_ALGOR_get0(&object, NULL, NULL, algorithm);
	g_autofree char *oid = object_dotted(object);
	if (EVP_get_digestbyobj(object) == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "%s: its integrity algorithm %s is not supported", name, oid);
	if (iterations != NULL && ASN1_INTEGER_get_int64(&count, iterations) != 1)
		count = G_MAXUINT32;
	if (count < 1 || !bundle_count_iterations(reader, (guint64)count))
		return fail_false(error, PS_ERROR_INVALID,
				  "%s: it asks for more than %d iterations of the password", name,
				  BUNDLE_ITERATIONS_MAX);
	OSSL_LIB_CTX *previous = legacy_enter();
	gboolean good = PKCS12_verify_mac(p12, password->text, password->length) == 1;
	if (!good && password->length == 0) {
		/* RFC 7292 B.1 leaves it open: nothing at all, or the two zero octets. */
		password->text = password->text == NULL ? "" : NULL;
		good = PKCS12_verify_mac(p12, password->text, password->length) == 1;
	}
	legacy_leave(previous);
	ERR_clear_error();
	*fits = good;
	if (!good && reader->password == NULL)
		return fail_false(error, PS_ERROR_INVALID, "%s: a password is needed", name);
	return TRUE;
}

/*
 * Some programs write an integrity value that nothing can check. Such a file is taken when
 * everything in it opens under the password: then this is the right one, and a certificate or
 * key that was changed would not have come out whole.
 */
static gboolean
accept_without_mac(struct bundle_reader *reader, const char *name, GError **error)
{
	if (reader->bundle->rejected->len > 0 || reader->bundle->keys->len == 0)
		return fail_false(error, PS_ERROR_INVALID, "%s: wrong password", name);
	bundle_reject(reader, "file",
		      "its integrity value does not fit; all of it could be opened and was taken");
	return TRUE;
}

gboolean
bundle_read_pkcs12(struct bundle_reader *reader, gconstpointer der, gsize length, const char *name,
		   GError **error)
{
	const unsigned char *p = der;
	g_autoptr(PKCS12) p12 = d2i_PKCS12(NULL, &p, (long)length);
	struct password password = { "", 0 };
	gboolean mac_fits = TRUE;

	if (p12 == NULL)
		return fail_openssl_false(error, PS_ERROR_INVALID,
					  "%s: the PKCS#12 file is damaged", name);
	if (p != (const unsigned char *)der + length)
		return fail_false(error, PS_ERROR_INVALID, "%s: bytes follow the PKCS#12 file",
				  name);
	if (reader->password != NULL && secret_length(reader->password) > 0) {
		password.text = secret_text(reader->password);
		password.length = (int)secret_length(reader->password);
	}
	if (!check_mac(reader, p12, &password, name, &mac_fits, error))
		return FALSE;
	OSSL_LIB_CTX *previous = legacy_enter();
	STACK_OF(PKCS7) *safes = PKCS12_unpack_authsafes(p12);
	legacy_leave(previous);
	if (safes == NULL)
		return fail_openssl_false(error, PS_ERROR_INVALID,
					  "%s: the PKCS#12 file is damaged", name);
	for (int i = 0; i < sk_PKCS7_num(safes) && !reader->full; i++)
		read_safe(reader, &password, sk_PKCS7_value(safes, i));
	sk_PKCS7_pop_free(safes, PKCS7_free);
	ERR_clear_error();
	if (!mac_fits)
		return accept_without_mac(reader, name, error);
	if (reader->objects == 0 && reader->bundle->rejected->len > 0) {
		const struct bundle_rejected *first = reader->bundle->rejected->pdata[0];

		return fail_false(error, PS_ERROR_INVALID, "%s: %s", name, first->why);
	}
	return TRUE;
}

/* Has it a MAC or an encrypted part? One without either is read without a password. */
gboolean
bundle_pkcs12_has_password(gconstpointer der, gsize length)
{
	const unsigned char *p = der;
	g_autoptr(PKCS12) p12 = d2i_PKCS12(NULL, &p, (long)length);
	gboolean wants = p12 != NULL && PKCS12_mac_present(p12) == 1;

	if (wants) {
		OSSL_LIB_CTX *previous = legacy_enter();
		wants = PKCS12_verify_mac(p12, "", 0) != 1 && PKCS12_verify_mac(p12, NULL, 0) != 1;
		legacy_leave(previous);
	}
	ERR_clear_error();
	return wants;
}

/* How a file is protected; the weak choice is for programs that read nothing else. */
struct protection {
	int nid;
	int iterations;
	const EVP_MD *mac;
	const struct secret *password;
	/* PBES2: one salt and key for all that the file encrypts, each with an IV of its own. To
	 * guess the password costs as much as with a key for each, to write the file less. */
	guint8 salt[SALT_BYTES];
	struct secret *key; /* NULL: another scheme */
};

static gboolean
protection_init(struct protection *protection, enum pkcs12_strength strength,
		const struct secret *password)
{
	guint8 key[KEY_BYTES];

	*protection = (struct protection){ .password = password };
	if (strength == PKCS12_COMPATIBLE) {
		protection->nid = NID_pbe_WithSHA1And3_Key_TripleDES_CBC;
		protection->iterations = COMPATIBLE_ITERATIONS;
		protection->mac = EVP_sha1();
		return TRUE;
	}
	protection->nid = NID_aes_256_cbc;
	protection->iterations = BUNDLE_PKCS12_ITERATIONS;
	protection->mac = EVP_sha256();
	gboolean good = RAND_bytes(protection->salt, SALT_BYTES) == 1 &&
			PKCS5_PBKDF2_HMAC(secret_text(password), (int)secret_length(password),
					  protection->salt, SALT_BYTES, protection->iterations,
					  EVP_sha256(), KEY_BYTES, key) == 1;
	if (good)
		protection->key = secret_new(key, sizeof(key));
	wipe(key, sizeof(key));
	return good;
}

/* AES-256-CBC under the key of the file; *algorithm is the caller's. */
static ASN1_OCTET_STRING *
encrypt(const struct protection *protection, const guint8 *bytes, gsize length,
	X509_ALGOR **algorithm)
{
	g_autofree guint8 *out = g_malloc(length + 2 * IV_BYTES);
	ASN1_OCTET_STRING *sealed = ASN1_OCTET_STRING_new();
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	guint8 iv[IV_BYTES];
	int first = 0, last = 0;

	gboolean good = context != NULL && sealed != NULL && RAND_bytes(iv, IV_BYTES) == 1 &&
			EVP_EncryptInit_ex2(context, EVP_aes_256_cbc(),
					    secret_bytes(protection->key), iv, NULL) == 1 &&
			EVP_EncryptUpdate(context, out, &first, bytes, (int)length) == 1 &&
			EVP_EncryptFinal_ex(context, out + first, &last) == 1 &&
			ASN1_OCTET_STRING_set(sealed, out, first + last) == 1;
	EVP_CIPHER_CTX_free(context);
	*algorithm = good ? PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), protection->iterations,
					      (unsigned char *)protection->salt, SALT_BYTES, iv,
					      NID_hmacWithSHA256)
			  : NULL;
	if (*algorithm != NULL)
		return sealed;
	ASN1_OCTET_STRING_free(sealed);
	return NULL;
}

static PKCS12_SAFEBAG *
shrouded_bag(PKCS8_PRIV_KEY_INFO *info, const struct protection *protection)
{
	X509_SIG *shrouded = X509_SIG_new();
	X509_ALGOR *algorithm = NULL, *made = NULL;
	ASN1_OCTET_STRING *digest = NULL, *sealed = NULL;
	unsigned char *der = NULL;
	PKCS12_SAFEBAG *bag = NULL;

	if (protection->key == NULL) {
		guint8 salt[BUNDLE_SALT_BYTES];

		X509_SIG_free(shrouded);
		if (!bundle_salt_make(salt, protection->password, protection->iterations))
			return NULL;
		return PKCS12_SAFEBAG_create_pkcs8_encrypt(
		    protection->nid, secret_text(protection->password),
		    (int)secret_length(protection->password), salt, sizeof(salt),
		    protection->iterations, info);
	}
	int length = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
	if (shrouded != NULL && length > 0)
		sealed = encrypt(protection, der, (gsize)length, &made);
	if (sealed != NULL) {
		X509_SIG_getm(shrouded, &algorithm, &digest);
		if (X509_ALGOR_copy(algorithm, made) == 1 &&
		    ASN1_OCTET_STRING_set(digest, ASN1_STRING_get0_data(sealed),
					  ASN1_STRING_length(sealed)) == 1)
			bag = PKCS12_SAFEBAG_create0_pkcs8(shrouded);
	}
	if (bag == NULL)
		X509_SIG_free(shrouded);
	if (der != NULL)
		OPENSSL_clear_free(der, (size_t)MAX(length, 0));
	X509_ALGOR_free(made);
	ASN1_OCTET_STRING_free(sealed);
	return bag;
}

static PKCS7 *
sealed_safe(bag_stack *bags, const struct protection *protection)
{
	PKCS7 *safe;
	X509_ALGOR *algorithm = NULL;
	unsigned char *der = NULL;

	if (protection->key == NULL) {
		guint8 salt[BUNDLE_SALT_BYTES];

		if (!bundle_salt_make(salt, protection->password, protection->iterations))
			return NULL;
		return PKCS12_pack_p7encdata(protection->nid, secret_text(protection->password),
					     (int)secret_length(protection->password), salt,
					     sizeof(salt), protection->iterations, bags);
	}
	int length = ASN1_item_i2d((ASN1_VALUE *)bags, &der, ASN1_ITEM_rptr(PKCS12_SAFEBAGS));
	ASN1_OCTET_STRING *sealed =
	    length > 0 ? encrypt(protection, der, (gsize)length, &algorithm) : NULL;
	OPENSSL_free(der);
	safe = sealed != NULL ? PKCS7_new() : NULL;
	if (safe == NULL || PKCS7_set_type(safe, NID_pkcs7_encrypted) != 1) {
		ASN1_OCTET_STRING_free(sealed);
		X509_ALGOR_free(algorithm);
		PKCS7_free(safe);
		return NULL;
	}
	PKCS7_ENC_CONTENT *content = safe->d.encrypted->enc_data;
	X509_ALGOR_free(content->algorithm);
	content->algorithm = algorithm;
	content->enc_data = sealed;
	return safe;
}

static gboolean
add_cert_bag(bag_stack *bags, const struct cert *cert, const char *label, gboolean with_key)
{
	PKCS12_SAFEBAG *bag = PKCS12_SAFEBAG_create_cert(cert_x509(cert));
	unsigned char id[20];
	gsize size = sizeof(id);
	gsize length;
	const guint8 *der = g_bytes_get_data(cert_der(cert), &length);

	if (bag == NULL || sk_PKCS12_SAFEBAG_push(bags, bag) <= 0) {
		PKCS12_SAFEBAG_free(bag);
		return FALSE;
	}
	if (label != NULL && PKCS12_add_friendlyname_utf8(bag, label, (int)strlen(label)) != 1)
		return FALSE;
	/* localKeyId ties the key's bag to this one: the SHA-1 of the certificate, by custom. */
	return !with_key || (EVP_Q_digest(NULL, "SHA1", NULL, der, length, id, &size) == 1 &&
			     PKCS12_add_localkeyid(bag, id, (int)size) == 1);
}

static gboolean
add_key_bag(bag_stack *bags, const struct pkcs12_entry *entry, const struct protection *protection)
{
	g_autoptr(PKCS8_PRIV_KEY_INFO) info = EVP_PKEY2PKCS8(key_pkey(entry->key));
	PKCS12_SAFEBAG *bag = info != NULL ? shrouded_bag(info, protection) : NULL;
	unsigned char id[20];
	gsize size = sizeof(id), length;
	const guint8 *der = g_bytes_get_data(cert_der(entry->cert), &length);

	if (bag == NULL || sk_PKCS12_SAFEBAG_push(bags, bag) <= 0) {
		PKCS12_SAFEBAG_free(bag);
		return FALSE;
	}
	return (entry->label == NULL ||
		PKCS12_add_friendlyname_utf8(bag, entry->label, (int)strlen(entry->label)) == 1) &&
	       EVP_Q_digest(NULL, "SHA1", NULL, der, length, id, &size) == 1 &&
	       PKCS12_add_localkeyid(bag, id, (int)size) == 1;
}

static gboolean
fill_bags(bag_stack *cert_bags, bag_stack *key_bags, const struct pkcs12_entry *entries,
	  gsize count, GPtrArray *chain, const struct protection *protection)
{
	for (gsize i = 0; i < count; i++)
		if (!add_cert_bag(cert_bags, entries[i].cert, entries[i].label,
				  entries[i].key != NULL) ||
		    (entries[i].key != NULL && !add_key_bag(key_bags, &entries[i], protection)))
			return FALSE;
	for (guint i = 0; chain != NULL && i < chain->len; i++)
		if (!add_cert_bag(cert_bags, chain->pdata[i], NULL, FALSE))
			return FALSE;
	return TRUE;
}

/* Takes over nothing; the file or NULL. */
static PKCS12 *
build_file(bag_stack *cert_bags, bag_stack *key_bags, const struct protection *protection)
{
	STACK_OF(PKCS7) *safes = sk_PKCS7_new_null();
	PKCS7 *sealed = sealed_safe(cert_bags, protection);
	PKCS7 *keys = sk_PKCS12_SAFEBAG_num(key_bags) > 0 ? PKCS12_pack_p7data(key_bags) : NULL;
	PKCS12 *p12 = NULL;

	if (sealed != NULL && sk_PKCS7_push(safes, sealed) > 0) {
		sealed = NULL;
		if (keys == NULL || sk_PKCS7_push(safes, keys) > 0) {
			keys = NULL;
			p12 = PKCS12_add_safes(safes, 0);
		}
	}
	PKCS7_free(sealed);
	PKCS7_free(keys);
	sk_PKCS7_pop_free(safes, PKCS7_free);
	if (p12 != NULL &&
	    PKCS12_set_mac(p12, secret_text(protection->password),
			   (int)secret_length(protection->password), NULL, SALT_BYTES,
			   protection->iterations, protection->mac) != 1) {
		PKCS12_free(p12);
		p12 = NULL;
	}
	return p12;
}

struct writing {
	const struct pkcs12_entry *entries;
	gsize count;
	GPtrArray *chain;
	const struct secret *password;
	enum pkcs12_strength strength;
	GError *error;
};

/* The file as GBytes. */
static gpointer
write_file(gpointer data)
{
	struct writing *writing = data;
	struct protection protection;
	unsigned char *der = NULL;
	bag_stack *cert_bags = sk_PKCS12_SAFEBAG_new_null();
	bag_stack *key_bags = sk_PKCS12_SAFEBAG_new_null();
	g_autoptr(PKCS12) p12 = NULL;

	if (protection_init(&protection, writing->strength, writing->password) &&
	    fill_bags(cert_bags, key_bags, writing->entries, writing->count, writing->chain,
		      &protection))
		p12 = build_file(cert_bags, key_bags, &protection);
	secret_unref(protection.key);
	sk_PKCS12_SAFEBAG_pop_free(cert_bags, PKCS12_SAFEBAG_free);
	sk_PKCS12_SAFEBAG_pop_free(key_bags, PKCS12_SAFEBAG_free);
	int length = p12 != NULL ? i2d_PKCS12(p12, &der) : -1;
	if (length <= 0)
		return fail_openssl(&writing->error, PS_ERROR_BUG,
				    "the PKCS#12 file could not be made");
	return bytes_take_openssl(der, length);
}

GBytes *
bundle_write_pkcs12(const struct pkcs12_entry *entries, gsize count, GPtrArray *chain,
		    const struct secret *password, enum pkcs12_strength strength, GError **error)
{
	struct writing writing = { entries, count, chain, password, strength, NULL };

	if (secret_length(password) == 0)
		return fail(error, PS_ERROR_INVALID, "a PKCS#12 file needs a password");
	for (gsize i = 0; i < count; i++)
		if (entries[i].key != NULL && !key_fits(entries[i].key, entries[i].cert))
			return fail(error, PS_ERROR_INVALID,
				    "the private key does not belong to the certificate of '%s'",
				    cert_subject(entries[i].cert));
	/* Half a second of derivations: mail comes first. */
	GBytes *bytes = background_call(BACKGROUND_LOW, write_file, &writing);
	if (bytes == NULL)
		g_propagate_error(error, writing.error);
	return bytes;
}
