/*
 * est_reader - base64, PKCS#7 and CsrAttrs.
 */
#include "pki/handlers/est_reader.h"

#include <string.h>

#include "pki/crypto/bundle.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/der.h"
#include "store/base/error.h"

#define BODY_MAX_BYTES (1024 * 1024)
#define LINE_LENGTH 64
#define ATTRIBUTES_MAX 64
#define OID_MAX_BYTES 32

GBytes *
est_decode(GBytes *body, GError **error)
{
	gsize length, out = 0, padding = 0;
	const char *bytes = g_bytes_get_data(body, &length);

	if (length > BODY_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "an answer of %zu bytes is too large", length);
	g_autofree char *text = g_malloc(length + 1);
	for (gsize i = 0; i < length; i++) {
		if (bytes[i] == '=')
			padding++;
		else if (g_ascii_isspace(bytes[i]))
			continue;
		else if (padding > 0 ||
			 (!g_ascii_isalnum(bytes[i]) && bytes[i] != '+' && bytes[i] != '/'))
			return fail(error, PS_ERROR_INVALID, "the answer is not base64");
		text[out++] = bytes[i];
	}
	if (out % 4 != 0 || padding > 2 || out == 0)
		return fail(error, PS_ERROR_INVALID, "the answer is not base64, or not whole");
	text[out] = '\0';
	guchar *der = g_base64_decode(text, &out);
	return g_bytes_new_take(der, out);
}

GBytes *
est_encode(GBytes *der)
{
	gsize length;
	const guint8 *bytes = g_bytes_get_data(der, &length);
	g_autofree char *text = g_base64_encode(bytes, length);
	GString *lines = g_string_new(NULL);

	for (const char *p = text; *p != '\0';) {
		gsize room = MIN(strlen(p), LINE_LENGTH);

		g_string_append_len(lines, p, (gssize)room);
		g_string_append(lines, "\r\n");
		p += room;
	}
	return g_string_free_to_bytes(lines);
}

GPtrArray *
certs_only_read(GBytes *der, GError **error)
{
	gsize length;
	gconstpointer bytes = g_bytes_get_data(der, &length);
	struct der all = der_of(bytes, length);
	struct der_element outer, type;

	/* ContentInfo: a sequence that begins with a type; a file of another kind is no answer. */
	if (!der_take(&all, DER_SEQUENCE, &outer))
		return fail(error, PS_ERROR_INVALID, "the answer is not PKCS#7");
	struct der inside = der_inside(&outer);
	if (!der_take(&inside, DER_OID, &type) || all.p != all.end)
		return fail(error, PS_ERROR_INVALID, "the answer is not PKCS#7");
	CLEANUP(bundle) struct bundle *bundle = bundle_read(der, "the answer", NULL, error);
	if (bundle == NULL)
		return NULL;
	if (bundle->certs->len == 0 || bundle->certs->len > EST_CERTS_MAX)
		return fail(error, PS_ERROR_INVALID, "%u certificates came", bundle->certs->len);
	return g_ptr_array_ref(bundle->certs);
}

/* --- attributes --- */

static char *
oid_text(const struct der_element *element)
{
	GString *text = g_string_new(NULL);
	guint64 arc = 0;

	for (const guint8 *p = element->value; p < element->end; p++) {
		if (arc > G_MAXUINT32)
			break;
		arc = arc << 7 | (*p & 0x7f);
		if ((*p & 0x80) != 0)
			continue;
		if (text->len == 0) {
			guint64 first = MIN(arc / 40, 2);
			g_string_printf(text, "%" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT, first,
					arc - 40 * first);
		} else {
			g_string_append_printf(text, ".%" G_GUINT64_FORMAT, arc);
		}
		arc = 0;
	}
	return g_string_free(text, FALSE);
}

/* What an OID, alone or as the value of an attribute, says about the key. */
static void
take_oid(struct est_attributes *attributes, const char *oid)
{
	static const struct {
		const char *oid;
		enum key_kind kind;
		guint bits;
	} keys[] = {
		{ "1.2.840.113549.1.1.1", KEY_KIND_RSA, 0 },
		{ "1.2.840.10045.2.1", KEY_KIND_EC, 0 },
		{ "1.2.840.10045.3.1.7", KEY_KIND_EC, 256 },
		{ "1.3.132.0.34", KEY_KIND_EC, 384 },
		{ "1.3.132.0.35", KEY_KIND_EC, 521 },
	};

	if (strcmp(oid, "1.2.840.113549.1.9.7") == 0)
		attributes->challenge = TRUE;
	for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
		if (strcmp(oid, keys[i].oid) != 0)
			continue;
		attributes->kind = keys[i].kind;
		attributes->bits = keys[i].bits != 0 ? keys[i].bits : attributes->bits;
	}
}

static void
take_value(struct est_attributes *attributes, const struct der_element *value, gboolean rsa)
{
	if (value->tag == DER_OID && der_length(value) <= OID_MAX_BYTES) {
		g_autofree char *oid = oid_text(value);

		take_oid(attributes, oid);
	} else if (value->tag == DER_INTEGER && rsa && der_length(value) <= 3) {
		attributes->bits = 0;
		for (const guint8 *p = value->value; p < value->end; p++)
			attributes->bits = attributes->bits << 8 | *p;
	}
}

static gboolean
take_entry(struct est_attributes *attributes, const struct der_element *element, GString *text)
{
	struct der inside = der_inside(element);
	struct der_element type = *element, set, value;

	if (element->tag == DER_SEQUENCE && !der_take(&inside, DER_OID, &type))
		return FALSE;
	if (type.tag != DER_OID || der_length(&type) > OID_MAX_BYTES || der_length(&type) == 0)
		return FALSE;
	g_autofree char *oid = oid_text(&type);
	g_string_append_printf(text, "%s%s", text->len > 0 ? " " : "", oid);
	take_oid(attributes, oid);
	if (element->tag != DER_SEQUENCE)
		return TRUE;
	if (!der_take(&inside, DER_SET, &set) || inside.p != inside.end)
		return FALSE;
	struct der values = der_inside(&set);
	while (der_next(&values, &value))
		take_value(attributes, &value, strcmp(oid, "1.2.840.113549.1.1.1") == 0);
	return TRUE;
}

struct est_attributes *
est_attributes_read(GBytes *der, GError **error)
{
	gsize length;
	gconstpointer bytes = g_bytes_get_data(der, &length);
	struct der all = der_of(bytes, length);
	struct der_element outer, element;
	CLEANUP(est_attributes) struct est_attributes *found = g_new0(struct est_attributes, 1);
	g_autoptr(GString) text = g_string_new(NULL);

	found->kind = KEY_KIND_OTHER;
	if (!der_take(&all, DER_SEQUENCE, &outer) || all.p != all.end)
		return fail(error, PS_ERROR_INVALID, "the attributes cannot be read");
	struct der inside = der_inside(&outer);
	for (guint n = 0; inside.p != inside.end; n++)
		if (n == ATTRIBUTES_MAX || !der_next(&inside, &element) ||
		    !take_entry(found, &element, text))
			return fail(error, PS_ERROR_INVALID, "attribute %u cannot be read", n + 1);
	found->text = g_strdup(text->str);
	return g_steal_pointer(&found);
}

void
est_attributes_free(struct est_attributes *attributes)
{
	if (attributes == NULL)
		return;
	g_free(attributes->text);
	g_free(attributes);
}
