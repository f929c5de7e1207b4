/*
 * bundle_password - encrypted keys: the cost of a password before it is tried, and the
 * algorithms of old files.
 */
#include "pki/crypto/bundle_internal.h"

#include <openssl/err.h>
#include <openssl/provider.h>
#include <string.h>

#define SCRYPT_COST_MAX (64ULL * 1024 * 1024) /* N * r * p */

/* The legacy algorithms, apart from everybody else's. */
static OSSL_LIB_CTX *legacy_context;
static OSSL_PROVIDER *legacy_provider;

static void
legacy_load(void)
{
	static gsize once;

	if (!g_once_init_enter(&once))
		return;
	legacy_context = OSSL_LIB_CTX_new();
	if (legacy_context != NULL && OSSL_PROVIDER_load(legacy_context, "default") != NULL)
		legacy_provider = OSSL_PROVIDER_load(legacy_context, "legacy");
	ERR_clear_error();
	g_once_init_leave(&once, 1);
}

gboolean
legacy_available(void)
{
	legacy_load();
	return legacy_provider != NULL;
}

EVP_CIPHER *
legacy_cipher(const char *name)
{
	return legacy_available() ? EVP_CIPHER_fetch(legacy_context, name, NULL) : NULL;
}

OSSL_LIB_CTX *
legacy_enter(void)
{
	return legacy_available() ? OSSL_LIB_CTX_set0_default(legacy_context) : NULL;
}

void
legacy_leave(OSSL_LIB_CTX *previous)
{
	if (previous != NULL)
		OSSL_LIB_CTX_set0_default(previous);
}

gboolean
bundle_count_iterations(struct bundle_reader *reader, guint64 iterations)
{
	reader->iterations += MIN(iterations, G_MAXUINT32);
	return reader->iterations <= BUNDLE_ITERATIONS_MAX;
}

static guint64
integer_or_zero(const ASN1_INTEGER *number)
{
	guint64 value = 0;

	if (number == NULL)
		return 0;
	if (ASN1_INTEGER_get_uint64(&value, number) != 1) {
		ERR_clear_error();
		return G_MAXUINT32; /* negative or enormous: beyond every limit */
	}
	return value;
}

/* RFC 8018 appendix A.4: the key derivation and the cipher inside PBES2. */
static char *
pbes2_fault(struct bundle_reader *reader, const X509_ALGOR *algorithm)
{
	const void *value = NULL;
	int type = V_ASN1_UNDEF;
	guint64 cost = 0;
	char *fault = NULL;

	X509_ALGOR_get0(NULL, &type, &value, algorithm);
	PBE2PARAM *pbes2 =
	    type == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, ASN1_ITEM_rptr(PBE2PARAM)) : NULL;
	if (pbes2 == NULL || pbes2->keyfunc->parameter == NULL ||
	    pbes2->keyfunc->parameter->type != V_ASN1_SEQUENCE) {
		fault = g_strdup("the parameters of the encryption are broken");
	} else if (OBJ_obj2nid(pbes2->keyfunc->algorithm) == NID_id_pbkdf2) {
		PBKDF2PARAM *pbkdf2 = ASN1_item_unpack(pbes2->keyfunc->parameter->value.sequence,
						       ASN1_ITEM_rptr(PBKDF2PARAM));
		cost = pbkdf2 != NULL ? integer_or_zero(pbkdf2->iter) : 0;
		PBKDF2PARAM_free(pbkdf2);
	} else if (OBJ_obj2nid(pbes2->keyfunc->algorithm) == NID_id_scrypt) {
		SCRYPT_PARAMS *scrypt = ASN1_item_unpack(pbes2->keyfunc->parameter->value.sequence,
							 ASN1_ITEM_rptr(SCRYPT_PARAMS));
		guint64 n = scrypt != NULL ? integer_or_zero(scrypt->costParameter) : 0;
		guint64 r = scrypt != NULL ? integer_or_zero(scrypt->blockSize) : 0;
		guint64 p = scrypt != NULL ? integer_or_zero(scrypt->parallelizationParameter) : 0;

		if (n > SCRYPT_COST_MAX || r > SCRYPT_COST_MAX || p > SCRYPT_COST_MAX ||
		    (n * r > SCRYPT_COST_MAX) || n * r * p > SCRYPT_COST_MAX)
			cost = G_MAXUINT32;
		SCRYPT_PARAMS_free(scrypt);
	}
	PBE2PARAM_free(pbes2);
	ERR_clear_error();
	if (fault == NULL && !bundle_count_iterations(reader, cost))
		fault = g_strdup_printf("it asks for more than %d iterations of the password",
					BUNDLE_ITERATIONS_MAX);
	return fault;
}

char *
bundle_password_fault(struct bundle_reader *reader, const X509_ALGOR *algorithm)
{
	const ASN1_OBJECT *object = NULL;
	const void *value = NULL;
	int type = V_ASN1_UNDEF;

	X509_ALGOR_get0(&object, &type, &value, algorithm);
	int nid = OBJ_obj2nid(object);
	if (nid == NID_pbes2)
		return pbes2_fault(reader, algorithm);
	if (nid == NID_undef || EVP_PBE_find(EVP_PBE_TYPE_OUTER, nid, NULL, NULL, NULL) != 1) {
		g_autofree char *oid = object_dotted(object);
		return g_strdup_printf("its password encryption %s is not supported", oid);
	}
	PBEPARAM *parameters =
	    type == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, ASN1_ITEM_rptr(PBEPARAM)) : NULL;
	guint64 iterations = parameters != NULL ? integer_or_zero(parameters->iter) : 0;
	PBEPARAM_free(parameters);
	ERR_clear_error();
	if (!bundle_count_iterations(reader, iterations))
		return g_strdup_printf("it asks for more than %d iterations of the password",
				       BUNDLE_ITERATIONS_MAX);
	gboolean modern = nid == NID_pbe_WithSHA1And3_Key_TripleDES_CBC ||
			  nid == NID_pbe_WithSHA1And2_Key_TripleDES_CBC;
	if (!modern && !legacy_available())
		return g_strdup_printf(
		    "its encryption %s needs OpenSSL's legacy provider, which is "
		    "not installed",
		    OBJ_nid2ln(nid));
	return NULL;
}

void
bundle_add_encrypted_key_der(struct bundle_reader *reader, gconstpointer der, gsize length)
{
	const unsigned char *p = der;
	const X509_ALGOR *algorithm = NULL;
	const ASN1_OCTET_STRING *octets = NULL;
	g_autoptr(X509_SIG) sealed =
	    length <= KEY_SIZE_MAX_BYTES ? d2i_X509_SIG(NULL, &p, (long)length) : NULL;

	if (sealed == NULL || p != (const unsigned char *)der + length) {
		ERR_clear_error();
		if (bundle_count_object(reader))
			bundle_reject(reader, "private key",
				      "not an encrypted private key, or damaged");
		return;
	}
	X509_SIG_get0(sealed, &algorithm, &octets);
	if (reader->password == NULL) {
		if (bundle_count_object(reader))
			bundle_reject(reader, "private key", "a password is needed");
		return;
	}
	g_autofree char *fault = bundle_password_fault(reader, algorithm);
	if (fault != NULL) {
		if (bundle_count_object(reader))
			bundle_reject(reader, "private key", "%s", fault);
		return;
	}
	OSSL_LIB_CTX *previous = legacy_enter();
	g_autoptr(PKCS8_PRIV_KEY_INFO) info = PKCS8_decrypt(sealed, secret_text(reader->password),
							    (int)secret_length(reader->password));
	legacy_leave(previous);
	ERR_clear_error();
	if (info == NULL) {
		if (bundle_count_object(reader))
			bundle_reject(reader, "private key", "wrong password");
		return;
	}
	bundle_add_pkey(reader, EVP_PKCS82PKEY(info));
}
