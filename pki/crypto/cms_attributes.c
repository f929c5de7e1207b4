#include "pki/crypto/cms_attributes.h"

#include <openssl/evp.h>
#include <string.h>
#include <time.h>

#include "pki/crypto/cms_id.h"
#include "pki/crypto/cms_oid.h"

#define UTC_TIME_BYTES 13
#define GENERALIZED_TIME_BYTES 15
#define TIME_MAX_BYTES 80

struct cms_attributes {
	GByteArray *constant; /* those that are the same each time */
	gsize digest_length;
	/* All of them as they are signed, with places for a UTCTime and the digest. */
	GByteArray *template;
	gsize time_at;
	gsize digest_at;
};

static void
put_oid(GByteArray *out, const struct tlv *oid)
{
	tlv_put(out, TLV_OID, oid->bytes, oid->length);
}

/* SMIMECapabilities (RFC 8551 section 2.5.2): what cms_decrypt reads, strongest first. */
static void
put_capabilities(GByteArray *out)
{
	const struct tlv *const readable[] = { &oid_aes256_gcm, &oid_aes128_gcm, &oid_aes256_cbc,
					       &oid_aes192_cbc, &oid_aes128_cbc };
	guint attribute = tlv_open(out), values, list;

	put_oid(out, &oid_smime_capabilities);
	values = tlv_open(out);
	list = tlv_open(out);
	for (guint i = 0; i < G_N_ELEMENTS(readable); i++) {
		guint one = tlv_open(out);

		put_oid(out, readable[i]);
		tlv_close(out, one, TLV_SEQUENCE);
	}
	tlv_close(out, list, TLV_SEQUENCE);
	tlv_close(out, values, TLV_SET);
	tlv_close(out, attribute, TLV_SEQUENCE);
}

/* SMIMEEncryptionKeyPreference (RFC 8551 section 2.5.3), issuerAndSerialNumber [0] IMPLICIT. */
static void
put_preference(GByteArray *out, const struct cert *encryption)
{
	guint attribute = tlv_open(out), values;

	put_oid(out, &oid_encryption_preference);
	values = tlv_open(out);
	cms_put_issuer_and_serial(out, TLV_CONTEXT_CONSTRUCTED(0), encryption);
	tlv_close(out, values, TLV_SET);
	tlv_close(out, attribute, TLV_SEQUENCE);
}

static void
put_content_type(GByteArray *out)
{
	guint attribute = tlv_open(out), values;

	put_oid(out, &oid_content_type);
	values = tlv_open(out);
	put_oid(out, &oid_data);
	tlv_close(out, values, TLV_SET);
	tlv_close(out, attribute, TLV_SEQUENCE);
}

/* UTCTime from 1950 until 2049, GeneralizedTime else (RFC 5652 section 11.3). */
static gboolean
time_text(gint64 now, char text[TIME_MAX_BYTES], gboolean *utc)
{
	time_t seconds = (time_t)now;
	struct tm tm;

	if (gmtime_r(&seconds, &tm) == NULL)
		return FALSE;
	*utc = tm.tm_year >= 50 && tm.tm_year < 150;
	g_snprintf(text, TIME_MAX_BYTES, "%02d%02d%02d%02d%02d%02dZ",
		   *utc ? tm.tm_year % 100 : tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		   tm.tm_hour, tm.tm_min, tm.tm_sec);
	return strlen(text) == (*utc ? UTC_TIME_BYTES : GENERALIZED_TIME_BYTES);
}

static void
put_signing_time(GByteArray *out, gint64 now)
{
	guint attribute = tlv_open(out), values;
	char text[TIME_MAX_BYTES];
	gboolean utc;

	if (!time_text(now, text, &utc))
		return;
	put_oid(out, &oid_signing_time);
	values = tlv_open(out);
	tlv_put(out, utc ? TLV_UTC_TIME : TLV_GENERALIZED_TIME, text,
		utc ? UTC_TIME_BYTES : GENERALIZED_TIME_BYTES);
	tlv_close(out, values, TLV_SET);
	tlv_close(out, attribute, TLV_SEQUENCE);
}

static void
put_message_digest(GByteArray *out, const guint8 *digest, gsize length)
{
	guint attribute = tlv_open(out), values;

	put_oid(out, &oid_message_digest);
	values = tlv_open(out);
	tlv_put(out, TLV_OCTET_STRING, digest, length);
	tlv_close(out, values, TLV_SET);
	tlv_close(out, attribute, TLV_SEQUENCE);
}

static GByteArray *
attributes_build(const struct cms_attributes *attributes, gint64 now, const guint8 *digest)
{
	GByteArray *set = g_byte_array_new();

	tlv_put_raw(set, attributes->constant->data, attributes->constant->len);
	put_signing_time(set, now);
	put_message_digest(set, digest, attributes->digest_length);
	tlv_close_set_of(set, 0, TLV_SET);
	return set;
}

/* The one value of that attribute in the template. */
static gsize
value_place(const GByteArray *template, const struct tlv *wanted)
{
	struct tlv in = { template->data, template->len }, list, attribute, oid, values, value;
	guint8 tag;

	if (!tlv_take(&in, TLV_SET, &list))
		return 0;
	while (tlv_take(&list, TLV_SEQUENCE, &attribute))
		if (tlv_take(&attribute, TLV_OID, &oid) && tlv_equal(&oid, wanted) &&
		    tlv_take(&attribute, TLV_SET, &values) && tlv_next(&values, &tag, &value, NULL))
			return (gsize)(value.bytes - template->data);
	return 0;
}

/* Attributes differ in length or OID before they differ in their values: the order of the SET OF
 * is the same for every message, and the template is in that order. */
struct cms_attributes *
cms_attributes_new(const struct cert *encryption, gsize digest_length)
{
	static const guint8 nothing[EVP_MAX_MD_SIZE];
	struct cms_attributes *attributes = g_new0(struct cms_attributes, 1);

	attributes->digest_length = digest_length;
	attributes->constant = g_byte_array_new();
	put_content_type(attributes->constant);
	put_capabilities(attributes->constant);
	if (encryption != NULL)
		put_preference(attributes->constant, encryption);
	attributes->template = attributes_build(attributes, 0, nothing);
	attributes->time_at = value_place(attributes->template, &oid_signing_time);
	attributes->digest_at = value_place(attributes->template, &oid_message_digest);
	return attributes;
}

void
cms_attributes_free(struct cms_attributes *attributes)
{
	if (attributes == NULL)
		return;
	g_byte_array_unref(attributes->constant);
	g_byte_array_unref(attributes->template);
	g_free(attributes);
}

GByteArray *
cms_attributes_make(const struct cms_attributes *attributes, gint64 now, const guint8 *digest)
{
	GByteArray *set;
	char text[TIME_MAX_BYTES];
	gboolean utc;

	if (!time_text(now, text, &utc) || !utc)
		return attributes_build(attributes, now, digest);
	set = g_byte_array_sized_new(attributes->template->len);
	tlv_put_raw(set, attributes->template->data, attributes->template->len);
	memcpy(set->data + attributes->time_at, text, UTC_TIME_BYTES);
	memcpy(set->data + attributes->digest_at, digest, attributes->digest_length);
	return set;
}

gsize
cms_attributes_size_max(const struct cms_attributes *attributes)
{
	return attributes->template->len + GENERALIZED_TIME_BYTES - UTC_TIME_BYTES;
}
