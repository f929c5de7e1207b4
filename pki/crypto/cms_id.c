#include "pki/crypto/cms_id.h"

#include <openssl/err.h>
#include <string.h>

#include "pki/crypto/cms_oid.h"
#include "pki/crypto/internal.h"
#include "store/base/hex.h"

#define KEY_ID_MAX_BYTES 64 /* to be shown or looked up */

/* The fields of TBSCertificate before and with the issuer (RFC 5280 section 4.1). */
static gboolean
tbs_names(struct tlv *tbs, struct tlv *issuer, struct tlv *serial)
{
	struct tlv skipped;

	tlv_take(tbs, TLV_CONTEXT_CONSTRUCTED(0), &skipped);
	return tlv_take_whole(tbs, TLV_INTEGER, serial) && tlv_take(tbs, TLV_SEQUENCE, &skipped) &&
	       tlv_take_whole(tbs, TLV_SEQUENCE, issuer);
}

static gboolean
cert_tbs(GBytes *cert_der, struct tlv *tbs)
{
	struct tlv in = tlv_of_bytes(cert_der);
	struct tlv cert;

	return tlv_take(&in, TLV_SEQUENCE, &cert) && tlv_take(&cert, TLV_SEQUENCE, tbs);
}

gboolean
cms_cert_names(GBytes *cert_bytes, struct tlv *issuer, struct tlv *serial)
{
	struct tlv tbs;

	return cert_tbs(cert_bytes, &tbs) && tbs_names(&tbs, issuer, serial);
}

void
cms_put_issuer_and_serial(GByteArray *out, guint8 tag, const struct cert *cert)
{
	struct tlv issuer = { NULL, 0 }, serial = { NULL, 0 };
	guint place = tlv_open(out);

	/* A parsed certificate has both. */
	if (!cms_cert_names(cert_der(cert), &issuer, &serial))
		return;
	tlv_put_raw(out, issuer.bytes, issuer.length);
	tlv_put_raw(out, serial.bytes, serial.length);
	tlv_close(out, place, tag);
}

static char *
serial_text(const struct tlv *whole)
{
	const guint8 *p = whole->bytes;
	g_autoptr(ASN1_INTEGER) serial = d2i_ASN1_INTEGER(NULL, &p, (long)whole->length);

	if (serial == NULL) {
		ERR_clear_error();
		return NULL;
	}
	return serial_hex(serial);
}

gboolean
cms_signer_id_read(struct cms_signer_id *id, struct tlv in)
{
	struct tlv issuer, serial;

	if (!tlv_take_whole(&in, TLV_SEQUENCE, &issuer) ||
	    !tlv_take_whole(&in, TLV_INTEGER, &serial))
		return FALSE;
	id->serial_hex = serial_text(&serial);
	if (id->serial_hex == NULL)
		return FALSE;
	id->issuer = g_bytes_new(issuer.bytes, issuer.length);
	return TRUE;
}

void
cms_signer_id_read_key_id(struct cms_signer_id *id, const struct tlv *key_id)
{
	id->key_id = g_bytes_new(key_id->bytes, key_id->length);
}

void
cms_signer_id_clear(struct cms_signer_id *id)
{
	g_clear_pointer(&id->issuer, g_bytes_unref);
	g_clear_pointer(&id->serial_hex, g_free);
	g_clear_pointer(&id->key_id, g_bytes_unref);
}

char *
cms_signer_id_text(const struct cms_signer_id *id)
{
	g_autoptr(X509_NAME) name = NULL;
	g_autofree char *issuer = NULL;
	g_autofree char *key_id = NULL;
	const guint8 *p;
	gsize length;

	if (id->key_id != NULL) {
		p = g_bytes_get_data(id->key_id, &length);
		key_id = hex_encode(p, MIN(length, KEY_ID_MAX_BYTES));
		return g_strconcat("key id ", key_id, NULL);
	}
	if (id->issuer == NULL)
		return g_strdup("nobody");
	p = g_bytes_get_data(id->issuer, &length);
	name = d2i_X509_NAME(NULL, &p, (long)length);
	if (name == NULL)
		ERR_clear_error();
	issuer = name == NULL ? g_strdup("malformed issuer") : name_text(name);
	return g_strdup_printf("%s, serial %s", issuer, id->serial_hex);
}

char *
cms_signer_id_issuer_key(const struct cms_signer_id *id)
{
	g_autoptr(X509_NAME) name = NULL;
	const guint8 *p;
	gsize length;

	if (id->issuer == NULL)
		return NULL;
	p = g_bytes_get_data(id->issuer, &length);
	name = d2i_X509_NAME(NULL, &p, (long)length);
	if (name == NULL)
		ERR_clear_error();
	return name != NULL ? name_key(name) : NULL;
}

char *
cms_signer_id_key_hex(const struct cms_signer_id *id)
{
	const guint8 *p;
	gsize length;

	if (id->key_id == NULL)
		return NULL;
	p = g_bytes_get_data(id->key_id, &length);
	return length > 0 && length <= KEY_ID_MAX_BYTES ? hex_encode(p, length) : NULL;
}

/* Equal as bytes is the common case; else as RFC 5280 section 7.1 compares names. */
static gboolean
names_equal(const struct tlv *a, const struct tlv *b)
{
	const guint8 *pa = a->bytes, *pb = b->bytes;
	g_autoptr(X509_NAME) name_a = NULL;
	g_autoptr(X509_NAME) name_b = NULL;

	if (tlv_equal(a, b))
		return TRUE;
	name_a = d2i_X509_NAME(NULL, &pa, (long)a->length);
	name_b = d2i_X509_NAME(NULL, &pb, (long)b->length);
	if (name_a == NULL || name_b == NULL) {
		ERR_clear_error();
		return FALSE;
	}
	return X509_NAME_cmp(name_a, name_b) == 0;
}

static gboolean
extension_key_id(struct tlv extension, struct tlv *key_id)
{
	struct tlv oid, value, ignored;

	if (!tlv_take(&extension, TLV_OID, &oid) || !tlv_equal(&oid, &oid_subject_key_identifier))
		return FALSE;
	tlv_take(&extension, TLV_BOOLEAN, &ignored);
	return tlv_take(&extension, TLV_OCTET_STRING, &value) &&
	       tlv_take(&value, TLV_OCTET_STRING, key_id);
}

static gboolean
cert_key_id(GBytes *cert_bytes, struct tlv *key_id)
{
	struct tlv tbs, content, extensions, extension;
	guint8 tag;

	if (!cert_tbs(cert_bytes, &tbs))
		return FALSE;
	while (tlv_next(&tbs, &tag, &content, NULL)) {
		if (tag != TLV_CONTEXT_CONSTRUCTED(3))
			continue;
		if (!tlv_take(&content, TLV_SEQUENCE, &extensions))
			return FALSE;
		while (tlv_take(&extensions, TLV_SEQUENCE, &extension))
			if (extension_key_id(extension, key_id))
				return TRUE;
	}
	return FALSE;
}

gboolean
cms_signer_id_matches_der(const struct cms_signer_id *id, GBytes *cert_bytes)
{
	struct tlv issuer, serial, wanted;
	g_autofree char *text = NULL;

	if (id->issuer != NULL) {
		if (!cms_cert_names(cert_bytes, &issuer, &serial))
			return FALSE;
		text = serial_text(&serial);
		wanted = tlv_of_bytes(id->issuer);
		return text != NULL && strcmp(text, id->serial_hex) == 0 &&
		       names_equal(&wanted, &issuer);
	}
	if (id->key_id == NULL || !cert_key_id(cert_bytes, &issuer))
		return FALSE;
	wanted = tlv_of_bytes(id->key_id);
	return wanted.length > 0 && tlv_equal(&wanted, &issuer);
}

gboolean
cms_signer_id_matches(const struct cms_signer_id *id, const struct cert *cert)
{
	return cms_signer_id_matches_der(id, cert_der(cert));
}
