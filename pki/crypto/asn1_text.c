/*
 * asn1_text - the shared texts of internal.h: names, serials, times, digests, errors.
 */
#include "pki/crypto/internal.h"

#include <openssl/err.h>
#include <string.h>
#include <time.h>

#include "store/base/hex.h"
#include "store/base/printable.h"

#define NAME_TEXT_MAX_BYTES 1024

static void G_GNUC_PRINTF(3, 0)
    set_openssl_error(GError **error, enum ps_error code, const char *format, va_list arguments)
{
	g_autofree char *text = g_strdup_vprintf(format, arguments);
	unsigned long first = ERR_peek_error();
	const char *why = first != 0 ? ERR_reason_error_string(first) : NULL;

	if (why != NULL)
		fail_false(error, code, "%s: %s", text, why);
	else
		fail_false(error, code, "%s", text);
	ERR_clear_error();
}

void *
fail_openssl(GError **error, enum ps_error code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	set_openssl_error(error, code, format, arguments);
	va_end(arguments);
	return NULL;
}

gboolean
fail_openssl_false(GError **error, enum ps_error code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	set_openssl_error(error, code, format, arguments);
	va_end(arguments);
	return FALSE;
}

/* Looked up once for the life of the program: each look-up costs more than the digest. */
static const EVP_MD *
digest_named(const char *name)
{
	static struct {
		const char *name;
		EVP_MD *md;
	} known[] = { { "SHA256", NULL }, { "SHA512", NULL }, { "SHA1", NULL } };
	static gsize ready;

	if (g_once_init_enter(&ready)) {
		for (gsize i = 0; i < G_N_ELEMENTS(known); i++)
			known[i].md = EVP_MD_fetch(NULL, known[i].name, NULL);
		g_once_init_leave(&ready, 1);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(known); i++)
		if (strcmp(known[i].name, name) == 0)
			return known[i].md;
	return NULL;
}

char *
digest_hex(const char *digest, gconstpointer bytes, gsize length)
{
	guint8 value[EVP_MAX_MD_SIZE];
	unsigned int value_length = 0;
	const EVP_MD *md = digest_named(digest);

	if (md == NULL || EVP_Digest(bytes, length, value, &value_length, md, NULL) != 1)
		g_error("OpenSSL has no %s", digest);
	return hex_encode(value, value_length);
}

/* Most specific part first; a value with special characters stands in quotes, so that a comma
 * in it cannot look like the next part. */
char *
name_text(const X509_NAME *name)
{
	g_autoptr(BIO) out = BIO_new(BIO_s_mem());
	char *text = NULL;

	X509_NAME_print_ex(out, name, 0,
			   XN_FLAG_SEP_CPLUS_SPC | XN_FLAG_DN_REV | XN_FLAG_FN_SN |
			       ASN1_STRFLGS_ESC_2253 | ASN1_STRFLGS_ESC_QUOTE |
			       ASN1_STRFLGS_UTF8_CONVERT | ASN1_STRFLGS_DUMP_UNKNOWN |
			       ASN1_STRFLGS_DUMP_DER);
	long length = BIO_get_mem_data(out, &text);
	ERR_clear_error();
	return printable_bytes(text, length > 0 ? (gsize)length : 0, NAME_TEXT_MAX_BYTES);
}

/* One attribute as RFC 5280 section 7.1 compares it: text folded, blanks trimmed and joined. */
static char *
attribute_key(const X509_NAME_ENTRY *entry)
{
	const ASN1_STRING *data = X509_NAME_ENTRY_get_data(entry);
	g_autofree char *oid = object_dotted(X509_NAME_ENTRY_get_object(entry));
	unsigned char *utf8 = NULL;
	int length = ASN1_STRING_to_UTF8(&utf8, data);

	if (length < 0) {
		ERR_clear_error();
		g_autofree char *raw =
		    hex_encode(ASN1_STRING_get0_data(data), (gsize)ASN1_STRING_length(data));
		return g_strdup_printf("%s#%d#%s", oid, ASN1_STRING_type(data), raw);
	}
	GString *key = g_string_new(oid);
	gboolean blank = FALSE, any = FALSE;
	g_string_append_c(key, '=');
	for (int i = 0; i < length; i++) {
		if (utf8[i] < 0x80 && g_ascii_isspace(utf8[i])) {
			blank = TRUE;
			continue;
		}
		if (blank && any)
			g_string_append_c(key, ' ');
		blank = FALSE;
		any = TRUE;
		/* A NUL would end the text; the octet in its place is in no UTF-8. */
		g_string_append_c(key, utf8[i] == 0     ? '\xff'
				       : utf8[i] < 0x80 ? g_ascii_tolower((char)utf8[i])
							: (char)utf8[i]);
	}
	OPENSSL_free(utf8);
	return g_string_free(key, FALSE);
}

static int
compare_texts(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The attributes of each RDN as sorted comparable texts: GPtrArray of GPtrArray of char. */
static GPtrArray *
name_sets(const X509_NAME *name)
{
	GPtrArray *sets = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);
	GPtrArray *set = NULL;
	int current = -1;

	for (int i = 0; i < X509_NAME_entry_count(name); i++) {
		const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);

		if (set == NULL || X509_NAME_ENTRY_set(entry) != current) {
			set = g_ptr_array_new_with_free_func(g_free);
			g_ptr_array_add(sets, set);
		}
		current = X509_NAME_ENTRY_set(entry);
		g_ptr_array_add(set, attribute_key(entry));
	}
	for (guint i = 0; i < sets->len; i++)
		g_ptr_array_sort(sets->pdata[i], compare_texts);
	return sets;
}

/* Each attribute behind its length, so that no value can look like two. */
GPtrArray *
name_parts(const X509_NAME *name)
{
	g_autoptr(GPtrArray) sets = name_sets(name);
	GPtrArray *parts = g_ptr_array_new_with_free_func(g_free);

	for (guint i = 0; i < sets->len; i++) {
		const GPtrArray *set = sets->pdata[i];
		GString *part = g_string_new(NULL);

		for (guint k = 0; k < set->len; k++)
			g_string_append_printf(part, "%zu:%s", strlen(set->pdata[k]),
					       (const char *)set->pdata[k]);
		g_ptr_array_add(parts, g_string_free(part, FALSE));
	}
	return parts;
}

char *
name_key(const X509_NAME *name)
{
	g_autoptr(GPtrArray) sets = name_sets(name);
	GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);

	for (guint i = 0; i < sets->len; i++) {
		const GPtrArray *set = sets->pdata[i];

		for (guint k = 0; k < set->len; k++) {
			const char *text = set->pdata[k];
			guint32 length = GUINT32_TO_BE((guint32)strlen(text));

			g_checksum_update(sum, (const guchar *)&length, sizeof(length));
			g_checksum_update(sum, (const guchar *)text, -1);
		}
		g_checksum_update(sum, (const guchar *)"\xff\xff\xff\xff", 4);
	}
	char *key = g_strdup(g_checksum_get_string(sum));
	g_checksum_free(sum);
	return key;
}

char *
number_hex(gconstpointer bytes, gsize length)
{
	g_autofree char *hex = hex_encode(bytes, length);
	const char *p = hex;

	while (*p == '0' && p[1] != '\0')
		p++;
	return g_strdup(*p != '\0' ? p : "0");
}

char *
serial_hex(const ASN1_INTEGER *serial)
{
	const ASN1_STRING *text = serial;
	g_autofree char *hex =
	    number_hex(ASN1_STRING_get0_data(text), (gsize)ASN1_STRING_length(text));

	if (ASN1_STRING_type(text) == V_ASN1_NEG_INTEGER)
		return g_strconcat("-", hex, NULL);
	return g_steal_pointer(&hex);
}

char *
object_dotted(const ASN1_OBJECT *object)
{
	char text[256];
	int length = OBJ_obj2txt(text, sizeof(text), object, 1);

	ERR_clear_error();
	return g_strdup(length > 0 && (gsize)length < sizeof(text) ? text : "?");
}

gboolean
asn1_seconds(const ASN1_TIME *time, gint64 *seconds)
{
	struct tm tm;

	if (time == NULL || ASN1_TIME_to_tm(time, &tm) != 1) {
		ERR_clear_error();
		return FALSE;
	}
	*seconds = (gint64)timegm(&tm);
	return TRUE;
}

enum algorithm
algorithm_of(const X509_ALGOR *algorithm)
{
	const ASN1_OBJECT *object = NULL;

	X509_ALGOR_get0(&object, NULL, NULL, algorithm);
	if (object == NULL)
		return ALGORITHM_UNKNOWN;
	g_autofree char *dotted = object_dotted(object);
	return algorithm_by_oid(dotted);
}

static void
openssl_bytes_free(gpointer bytes)
{
	OPENSSL_free(bytes);
}

GBytes *
bytes_take_openssl(unsigned char *bytes, int length)
{
	return g_bytes_new_with_free_func(bytes, (gsize)MAX(length, 0), openssl_bytes_free, bytes);
}
