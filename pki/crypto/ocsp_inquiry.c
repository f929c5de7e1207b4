/*
 * ocsp_inquiry - reads OCSP requests (RFC 6960 section 4.1) and compares CertIDs.
 */
#include "pki/crypto/ocsp_answer.h"

#include <openssl/evp.h>
#include <string.h>

#include "pki/crypto/der.h"
#include "pki/crypto/internal.h"

static const guint8 oid_sha1[] = { 0x2b, 0x0e, 0x03, 0x02, 0x1a };
static const guint8 oid_sha256[] = { 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01 };
static const guint8 oid_nonce[] = { 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02 };
/* acceptable responses, preferred signature algorithms, service locator: hints that we may pass
 * over, also where somebody marks them critical. */
static const guint8 oid_response[] = { 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x04 };
static const guint8 oid_locator[] = { 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x07 };
static const guint8 oid_algorithms[] = { 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x08 };

#define EXTENSIONS_MAX 16
#define CONTEXT_2 0xa2

static gboolean
is_oid(const struct der_element *element, const guint8 *oid, gsize length)
{
	return der_length(element) == length && memcmp(element->value, oid, length) == 0;
}

static gboolean
malformed(GError **error, const char *what)
{
	return fail_false(error, PS_ERROR_INVALID, "the OCSP request is malformed: %s", what);
}

/* AlgorithmIdentifier; parameters NULL or absent. */
static gboolean
read_hash(const struct der_element *element, enum algorithm *hash)
{
	struct der at = der_inside(element);
	struct der_element oid, parameters;

	if (!der_take(&at, DER_OID, &oid) || der_length(&oid) == 0)
		return FALSE;
	if (at.p != at.end && (!der_next(&at, &parameters) || at.p != at.end))
		return FALSE;
	*hash = ALGORITHM_UNKNOWN;
	if (is_oid(&oid, oid_sha1, sizeof oid_sha1))
		*hash = ALGORITHM_SHA1;
	else if (is_oid(&oid, oid_sha256, sizeof oid_sha256))
		*hash = ALGORITHM_SHA256;
	return TRUE;
}

static gsize
hash_bytes(enum algorithm hash)
{
	return hash == ALGORITHM_SHA1 ? 20 : 32;
}

static gboolean
read_id(const struct der_element *element, struct ocsp_id *id, GError **error)
{
	struct der at = der_inside(element);
	struct der_element algorithm, name, key, serial;

	if (!der_take(&at, DER_SEQUENCE, &algorithm) || !read_hash(&algorithm, &id->hash) ||
	    !der_take(&at, DER_OCTET_STRING, &name) || !der_take(&at, DER_OCTET_STRING, &key) ||
	    !der_take(&at, DER_INTEGER, &serial) || at.p != at.end)
		return malformed(error, "no CertID");
	if (der_length(&name) != der_length(&key) ||
	    (id->hash != ALGORITHM_UNKNOWN && der_length(&name) != hash_bytes(id->hash)))
		return malformed(error, "the hashes of a CertID have another length");
	/* One octet more for the sign (RFC 5280 section 4.1.2.2). */
	if (der_length(&serial) == 0 || der_length(&serial) > OCSP_SERIAL_MAX_BYTES + 1)
		return malformed(error, "a serial number is too long");
	id->name_hash = name.value;
	id->key_hash = key.value;
	id->serial = serial.value;
	id->serial_length = der_length(&serial);
	return TRUE;
}

struct extension {
	struct der_element oid, value;
	gboolean critical;
};

static gboolean
read_extension(const struct der_element *element, struct extension *extension)
{
	struct der at = der_inside(element);
	struct der_element critical;

	if (!der_take(&at, DER_OID, &extension->oid))
		return FALSE;
	extension->critical = FALSE;
	if (der_take(&at, DER_BOOLEAN, &critical)) {
		if (der_length(&critical) != 1)
			return FALSE;
		extension->critical = critical.value[0] != 0;
	}
	return der_take(&at, DER_OCTET_STRING, &extension->value) && at.p == at.end;
}

/* RFC 8954 section 2.1: an OCTET STRING of 1 to 32 octets inside of the extension's. */
static gboolean
read_nonce(const struct extension *extension, struct ocsp_inquiry *inquiry, GError **error)
{
	struct der at = der_inside(&extension->value);
	struct der_element nonce;

	if (inquiry->nonce != NULL)
		return malformed(error, "it has two nonces");
	if (!der_take(&at, DER_OCTET_STRING, &nonce) || at.p != at.end || der_length(&nonce) < 1 ||
	    der_length(&nonce) > OCSP_NONCE_BYTES)
		return malformed(error, "a nonce has 1 to 32 octets");
	inquiry->nonce = nonce.value;
	inquiry->nonce_length = der_length(&nonce);
	return TRUE;
}

static gboolean
is_hint(const struct der_element *oid)
{
	return is_oid(oid, oid_response, sizeof oid_response) ||
	       is_oid(oid, oid_locator, sizeof oid_locator) ||
	       is_oid(oid, oid_algorithms, sizeof oid_algorithms);
}

/* The inside of an [n] EXPLICIT Extensions. inquiry NULL: those of a single request. */
static gboolean
read_extensions(const struct der_element *tagged, struct ocsp_inquiry *inquiry, GError **error)
{
	struct der at = der_inside(tagged);
	struct der_element list, element;
	gsize count = 0;

	if (!der_take(&at, DER_SEQUENCE, &list) || at.p != at.end)
		return malformed(error, "no list of extensions");
	at = der_inside(&list);
	while (at.p != at.end) {
		struct extension extension;

		if (++count > EXTENSIONS_MAX || !der_take(&at, DER_SEQUENCE, &element) ||
		    !read_extension(&element, &extension))
			return malformed(error, "no extension");
		gboolean is_nonce =
		    inquiry != NULL && is_oid(&extension.oid, oid_nonce, sizeof oid_nonce);
		if (is_nonce && !read_nonce(&extension, inquiry, error))
			return FALSE;
		if (extension.critical && !is_nonce && !is_hint(&extension.oid))
			return malformed(error, "a critical extension is not known");
	}
	return TRUE;
}

static gboolean
read_list(const struct der_element *list, struct ocsp_inquiry *inquiry, GError **error)
{
	struct der at = der_inside(list);
	struct der_element single, id, tagged;

	inquiry->count = 0;
	while (at.p != at.end) {
		if (inquiry->count == OCSP_ASKED_MAX)
			return malformed(error, "it asks about too many certificates");
		if (!der_take(&at, DER_SEQUENCE, &single))
			return malformed(error, "no single request");
		struct der inside = der_inside(&single);
		if (!der_take(&inside, DER_SEQUENCE, &id))
			return malformed(error, "no CertID");
		if (!read_id(&id, &inquiry->ids[inquiry->count], error))
			return FALSE;
		if (der_take(&inside, DER_CONTEXT_0, &tagged) &&
		    !read_extensions(&tagged, NULL, error))
			return FALSE;
		if (inside.p != inside.end)
			return malformed(error, "something follows a single request");
		inquiry->count++;
	}
	if (inquiry->count == 0)
		return malformed(error, "it asks about nothing");
	return TRUE;
}

gboolean
ocsp_inquiry_read(gconstpointer der, gsize length, struct ocsp_inquiry *inquiry, GError **error)
{
	struct der at = der_of(der, length);
	struct der_element outer, tbs, tagged, number, list;

	inquiry->nonce = NULL;
	inquiry->nonce_length = 0;
	inquiry->count = 0;
	if (length > OCSP_REQUEST_MAX_BYTES)
		return malformed(error, "it is too large");
	if (!der_take(&at, DER_SEQUENCE, &outer) || at.p != at.end)
		return malformed(error, "no sequence");
	at = der_inside(&outer);
	if (!der_take(&at, DER_SEQUENCE, &tbs))
		return malformed(error, "no request");
	/* A signature is allowed, and not looked at: everybody gets the same answer. */
	if (der_take(&at, DER_CONTEXT_0, &tagged))
		der_peek(&at);
	if (at.p != at.end)
		return malformed(error, "something follows the request");
	at = der_inside(&tbs);
	if (der_take(&at, DER_CONTEXT_0, &tagged)) {
		struct der version = der_inside(&tagged);
		if (!der_take(&version, DER_INTEGER, &number) || version.p != version.end ||
		    der_length(&number) != 1 || number.value[0] != 0)
			return malformed(error, "the version is another one");
	}
	if (der_take(&at, DER_CONTEXT_1, &tagged))
		der_peek(&at); /* requestorName */
	if (!der_take(&at, DER_SEQUENCE, &list))
		return malformed(error, "no list of requests");
	if (!read_list(&list, inquiry, error))
		return FALSE;
	if (der_take(&at, CONTEXT_2, &tagged) && !read_extensions(&tagged, inquiry, error))
		return FALSE;
	if (at.p != at.end)
		return malformed(error, "something follows its extensions");
	return TRUE;
}

char *
ocsp_id_serial(const struct ocsp_id *id)
{
	gsize zeros = 0;

	if ((id->serial[0] & 0x80) != 0)
		return NULL;
	while (zeros < id->serial_length && id->serial[zeros] == 0)
		zeros++;
	if (zeros == id->serial_length)
		return NULL;
	return number_hex(id->serial, id->serial_length);
}

/* --- issuers --- */

static void
hash_all(gconstpointer bytes, gsize length, guint8 *sha1, guint8 *sha256)
{
	unsigned int n = 0;

	if (EVP_Digest(bytes, length, sha1, &n, EVP_sha1(), NULL) != 1)
		memset(sha1, 0, 20);
	if (EVP_Digest(bytes, length, sha256, &n, EVP_sha256(), NULL) != 1)
		memset(sha256, 0, 32);
}

/* The name as it stands in the certificate, the key without tag, length and unused bits. */
void
ocsp_issuer_hash(const struct cert *issuer, struct ocsp_issuer_hashes *hashes)
{
	X509 *x509 = cert_x509(issuer);
	unsigned char *name = NULL;
	int length = i2d_X509_NAME(X509_get_subject_name(x509), &name);
	const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(x509);

	hash_all(name, length > 0 ? (gsize)length : 0, hashes->sha1_name, hashes->sha256_name);
	hash_all(ASN1_STRING_get0_data(key), (gsize)ASN1_STRING_length(key), hashes->sha1_key,
		 hashes->sha256_key);
	OPENSSL_free(name);
}

gboolean
ocsp_id_is_of(const struct ocsp_id *id, const struct ocsp_issuer_hashes *issuer)
{
	if (id->hash == ALGORITHM_SHA1)
		return memcmp(id->name_hash, issuer->sha1_name, 20) == 0 &&
		       memcmp(id->key_hash, issuer->sha1_key, 20) == 0;
	return id->hash == ALGORITHM_SHA256 &&
	       memcmp(id->name_hash, issuer->sha256_name, 32) == 0 &&
	       memcmp(id->key_hash, issuer->sha256_key, 32) == 0;
}
