/*
 * bundle_format - what a DER object is, from its first elements alone.
 */
#include "pki/crypto/bundle_internal.h"
#include "pki/crypto/der.h"

/* Certificate, CRL and request all begin with a SEQUENCE that is to be signed. */
static enum bundle_content
content_of_tbs(struct der tbs)
{
	struct der_element element;

	if (der_peek(&tbs) == DER_CONTEXT_0)
		return CONTENT_CERT;
	if (der_peek(&tbs) == DER_OID)
		return CONTENT_ENCRYPTED_KEY; /* an AlgorithmIdentifier */
	if (der_peek(&tbs) == DER_SEQUENCE) { /* CRL without version */
		return CONTENT_CRL;
	}
	if (!der_take(&tbs, DER_INTEGER, &element) || !der_take(&tbs, DER_SEQUENCE, &element) ||
	    !der_take(&tbs, DER_SEQUENCE, &element))
		return CONTENT_UNKNOWN;
	switch (der_peek(&tbs)) {
	case DER_UTC_TIME:
	case DER_GENERALIZED_TIME:
		return CONTENT_CRL;
	case DER_SEQUENCE:
		return CONTENT_CERT; /* version 1 */
	case DER_CONTEXT_0:
		return CONTENT_REQUEST;
	default:
		return CONTENT_UNKNOWN;
	}
}

/* Behind a version number: PFX, PKCS#8, PKCS#1 or SEC1. */
static enum bundle_content
content_of_versioned(struct der inside)
{
	struct der_element version;

	if (!der_take(&inside, DER_INTEGER, &version) || der_length(&version) != 1)
		return CONTENT_UNKNOWN;
	if (der_peek(&inside) == DER_SEQUENCE)
		return version.value[0] == 3 ? CONTENT_PKCS12 : CONTENT_KEY;
	if (der_peek(&inside) == DER_INTEGER || der_peek(&inside) == DER_OCTET_STRING)
		return CONTENT_KEY;
	return CONTENT_UNKNOWN;
}

enum bundle_content
bundle_content_of(const guint8 *bytes, gsize length)
{
	struct der all = der_of(bytes, length);
	struct der_element outer, first;

	if (length < 4 || bytes[0] != DER_SEQUENCE)
		return CONTENT_UNKNOWN;
	if (!der_take(&all, DER_SEQUENCE, &outer)) {
		/* BER of indefinite length: CMS and PKCS#12 only. */
		if (bytes[1] != 0x80)
			return CONTENT_UNKNOWN;
		outer.value = bytes + 2;
		outer.end = bytes + length;
	}
	struct der inside = der_inside(&outer);
	switch (der_peek(&inside)) {
	case DER_OID:
		return CONTENT_CMS;
	case DER_INTEGER:
		return content_of_versioned(inside);
	case DER_SEQUENCE:
		if (!der_take(&inside, DER_SEQUENCE, &first))
			return CONTENT_UNKNOWN;
		return content_of_tbs(der_inside(&first));
	default:
		return CONTENT_UNKNOWN;
	}
}
