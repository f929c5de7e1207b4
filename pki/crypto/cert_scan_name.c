/*
 * cert_scan_name - names of plain ASCII attributes read directly, all others by OpenSSL.
 */
#include "pki/crypto/cert_scan_internal.h"

#include <openssl/err.h>
#include <string.h>

#include "store/base/hex.h"

#define TEXT_MAX_BYTES 900 /* less than what name_text cuts at */
#define PARTS_MAX 32
#define EMAILS_MAX 16
#define ADDRESSES_MAX 200

struct attribute {
	const char *oid; /* DER content */
	const char *dotted;
	const char *shown; /* OpenSSL's short name */
};

/* A test holds each row against OpenSSL's own tables. */
static const struct attribute attributes[] = {
	{ "\x55\x04\x03", "2.5.4.3", "CN" },
	{ "\x55\x04\x04", "2.5.4.4", "SN" },
	{ "\x55\x04\x05", "2.5.4.5", "serialNumber" },
	{ "\x55\x04\x06", "2.5.4.6", "C" },
	{ "\x55\x04\x07", "2.5.4.7", "L" },
	{ "\x55\x04\x08", "2.5.4.8", "ST" },
	{ "\x55\x04\x0a", "2.5.4.10", "O" },
	{ "\x55\x04\x0b", "2.5.4.11", "OU" },
	{ "\x55\x04\x0c", "2.5.4.12", "title" },
	{ "\x55\x04\x2a", "2.5.4.42", "GN" },
	{ "\x55\x04\x61", "2.5.4.97", "organizationIdentifier" },
	{ "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", "1.2.840.113549.1.9.1", "emailAddress" },
	{ "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", "0.9.2342.19200300.100.1.1", "UID" },
	{ "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", "0.9.2342.19200300.100.1.25", "DC" },
};
#define EMAIL_ADDRESS "1.2.840.113549.1.9.1"

struct part {
	const struct attribute *attribute;
	struct tlv value;
};

gboolean
scan_take(struct tlv *in, guint8 tag, struct tlv *content)
{
	struct tlv whole;
	guint8 found;

	if (tlv_tag(in) != tag || !tlv_next(in, &found, content, &whole))
		return FALSE;
	return tlv_header_size(content->length) == whole.length - content->length;
}

gboolean
scan_take_whole(struct tlv *in, guint8 tag, struct tlv *whole)
{
	const guint8 *start = in->bytes;
	struct tlv content;

	if (!scan_take(in, tag, &content))
		return FALSE;
	whole->bytes = start;
	whole->length = (gsize)(in->bytes - start);
	return TRUE;
}

gboolean
scan_is_oid(const struct tlv *content)
{
	if (content->length == 0 || content->length > 64 ||
	    (content->bytes[content->length - 1] & 0x80) != 0)
		return FALSE;
	for (gsize i = 0; i < content->length; i++)
		if (content->bytes[i] == 0x80 && (i == 0 || (content->bytes[i - 1] & 0x80) == 0))
			return FALSE;
	return TRUE;
}

/* What stands as it is in every form that it is shown and compared in. */
static gboolean
is_plain(const struct tlv *value)
{
	if (value->length == 0 || value->length > TEXT_MAX_BYTES || value->bytes[0] == ' ' ||
	    value->bytes[value->length - 1] == ' ')
		return FALSE;
	for (gsize i = 0; i < value->length; i++) {
		guint8 c = value->bytes[i];

		if (g_ascii_isalnum(c) || c == ' ')
			continue;
		if (c < 0x20 || c > 0x7e || strchr(",+\"\\<>;#", c) != NULL)
			return FALSE;
	}
	return TRUE;
}

static const struct attribute *
attribute_find(const struct tlv *oid)
{
	for (gsize i = 0; i < G_N_ELEMENTS(attributes); i++)
		if (tlv_is(oid, attributes[i].oid, strlen(attributes[i].oid)))
			return &attributes[i];
	return NULL;
}

/* One attribute in each relative name, all of them known and plain; else FALSE. */
static gboolean
read_parts(const struct tlv *whole, struct part *parts, gsize *count, gsize *size)
{
	struct tlv in = *whole, name;

	*count = *size = 0;
	if (!scan_take(&in, TLV_SEQUENCE, &name) || in.length > 0)
		return FALSE;
	while (name.length > 0) {
		struct tlv set, pair, oid, value;
		guint8 tag;

		if (*count >= PARTS_MAX || !scan_take(&name, TLV_SET, &set) ||
		    !scan_take(&set, TLV_SEQUENCE, &pair) || set.length > 0 ||
		    !scan_take(&pair, TLV_OID, &oid))
			return FALSE;
		tag = tlv_tag(&pair);
		if ((tag != 0x0c && tag != 0x13 && tag != 0x16) || !scan_take(&pair, tag, &value) ||
		    pair.length > 0 || !is_plain(&value))
			return FALSE;
		parts[*count].attribute = attribute_find(&oid);
		parts[*count].value = value;
		if (parts[*count].attribute == NULL)
			return FALSE;
		*size += value.length + 32;
		(*count)++;
	}
	return *count > 0 && *size < TEXT_MAX_BYTES;
}

/* As name_text: the most specific part first. */
static char *
parts_text(const struct part *parts, gsize count, gsize size)
{
	GString *text = g_string_sized_new(size);

	for (gsize i = count; i > 0; i--) {
		const struct part *part = &parts[i - 1];

		if (i < count)
			g_string_append(text, ", ");
		g_string_append(text, part->attribute->shown);
		g_string_append_c(text, '=');
		g_string_append_len(text, (const char *)part->value.bytes,
				    (gssize)part->value.length);
	}
	return g_string_free(text, FALSE);
}

/* As name_key: per part its length, "oid=text" folded with single blanks, and a mark. */
static char *
parts_key(const struct part *parts, gsize count)
{
	g_autoptr(GByteArray) all = g_byte_array_sized_new(1024);

	for (gsize i = 0; i < count; i++) {
		const struct part *part = &parts[i];
		char text[TEXT_MAX_BYTES + 64];
		gsize n = strlen(part->attribute->dotted);

		memcpy(text, part->attribute->dotted, n);
		text[n++] = '=';
		for (gsize k = 0; k < part->value.length; k++) {
			char c = (char)part->value.bytes[k];

			if (c != ' ' || text[n - 1] != ' ')
				text[n++] = g_ascii_tolower(c);
		}
		guint32 size = GUINT32_TO_BE((guint32)n);
		g_byte_array_append(all, (const guint8 *)&size, sizeof size);
		g_byte_array_append(all, (const guint8 *)text, (guint)n);
		g_byte_array_append(all, (const guint8 *)"\xff\xff\xff\xff", 4);
	}
	return digest_hex("SHA256", all->data, all->len);
}

static GStrv
parts_emails(const struct part *parts, gsize count)
{
	g_autoptr(GStrvBuilder) emails = NULL;

	for (gsize i = 0; i < count; i++) {
		if (strcmp(parts[i].attribute->dotted, EMAIL_ADDRESS) != 0)
			continue;
		g_autofree char *text =
		    g_strndup((const char *)parts[i].value.bytes, parts[i].value.length);
		if (emails == NULL)
			emails = g_strv_builder_new();
		g_strv_builder_add(emails, text);
	}
	return emails != NULL ? g_strv_builder_end(emails) : NULL;
}

/* The texts of emailAddress as cert.c reads them. */
static gboolean
openssl_emails(const X509_NAME *name, GStrv *emails)
{
	g_autoptr(GStrvBuilder) found = g_strv_builder_new();
	guint count = 0;
	int at = -1;

	while ((at = X509_NAME_get_index_by_NID(name, NID_pkcs9_emailAddress, at)) >= 0) {
		unsigned char *utf8 = NULL;
		int length = ASN1_STRING_to_UTF8(
		    &utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));

		if (length < 0)
			continue;
		g_autofree char *text = g_strndup((const char *)utf8, (gsize)length);
		gboolean good = strlen(text) == (gsize)length && ++count <= EMAILS_MAX;
		OPENSSL_free(utf8);
		if (!good)
			return FALSE;
		g_strv_builder_add(found, text);
	}
	if (count > 0)
		*emails = g_strv_builder_end(found);
	return TRUE;
}

static gboolean
openssl_name(struct scan_name *name, const struct tlv *whole)
{
	const unsigned char *p = whole->bytes;
	g_autoptr(X509_NAME) read = d2i_X509_NAME(NULL, &p, (long)whole->length);
	gboolean good = read != NULL && p == whole->bytes + whole->length &&
			openssl_emails(read, &name->emails);

	if (good) {
		name->text = name_text(read);
		name->key = name_key(read);
	}
	ERR_clear_error();
	return good;
}

gboolean
scan_name_read(struct scan_name *name, const struct tlv *whole)
{
	struct part parts[PARTS_MAX];
	gsize count, size;

	memset(name, 0, sizeof *name);
	if (!read_parts(whole, parts, &count, &size))
		return openssl_name(name, whole);
	name->text = parts_text(parts, count, size);
	name->key = parts_key(parts, count);
	name->emails = parts_emails(parts, count);
	return TRUE;
}

void
scan_name_clear(struct scan_name *name)
{
	g_free(name->text);
	g_free(name->key);
	g_strfreev(name->emails);
	memset(name, 0, sizeof *name);
}

GPtrArray *
scan_addresses_new(void)
{
	return g_ptr_array_new_with_free_func((GDestroyNotify)mailaddr_unref);
}

static gboolean
add_address(GPtrArray *addresses, const char *text)
{
	struct mailaddr *address = mailaddr_parse(text, NULL);

	if (address == NULL)
		return TRUE; /* as from an X509: no address */
	for (guint i = 0; i < addresses->len; i++)
		if (mailaddr_equal(addresses->pdata[i], address)) {
			mailaddr_unref(address);
			return TRUE;
		}
	g_ptr_array_add(addresses, address);
	return addresses->len <= ADDRESSES_MAX;
}

static gboolean
add_text(gpointer data, const struct tlv *text)
{
	g_autofree char *copy = g_strndup((const char *)text->bytes, text->length);

	return add_address(data, copy);
}

gboolean
scan_addresses(GPtrArray *addresses, const struct cert_fields *fields, GStrv of_subject)
{
	if (!cert_fields_addresses(fields, add_text, addresses))
		return FALSE;
	for (char **text = of_subject; text != NULL && *text != NULL; text++)
		if (!add_address(addresses, *text))
			return FALSE;
	return TRUE;
}
