/*
 * issue_extensions - reading a site's own extensions.
 */
#include "pki/crypto/issue_extensions.h"

#include <openssl/conf.h>
#include <openssl/err.h>
#include <string.h>

#include "pki/crypto/issue_internal.h"
#include "store/base/error.h"
#include "store/base/printable.h"

#define ENCODED_MAX_BYTES 16384

static void
text_free(gpointer data)
{
	struct issue_extension_text *text = data;

	g_free(text->name);
	g_free(text->value);
	g_free(text);
}

/* OpenSSL's reader includes files and takes variables of the environment: not from here. */
static gboolean
is_plain(const char *text, gsize length, GError **error)
{
	g_autofree char *copy = g_strndup(text, length);
	g_auto(GStrv) lines = g_strsplit(copy, "\n", -1);

	if (strlen(copy) != length || !g_utf8_validate(copy, (gssize)length, NULL))
		return fail_false(error, PS_ERROR_INVALID, "the file is no UTF-8 text");
	for (char **line = lines; *line != NULL; line++) {
		const char *start = *line + strspn(*line, " \t\r");
		gboolean comment = *start == '#' || *start == ';';

		if (*start == '.' || (!comment && strchr(start, '$') != NULL))
			return fail_false(error, PS_ERROR_INVALID,
					  "'%.60s': directives and variables are not allowed",
					  start);
	}
	return TRUE;
}

static char *
encode(const X509_EXTENSION *extension, GError **error)
{
	const ASN1_OCTET_STRING *data = X509_EXTENSION_get_data((X509_EXTENSION *)extension);
	const unsigned char *bytes = ASN1_STRING_get0_data(data);
	int length = ASN1_STRING_length(data);
	GString *text =
	    g_string_new(X509_EXTENSION_get_critical(extension) ? "critical,DER:" : "DER:");

	if (length > ENCODED_MAX_BYTES) {
		g_string_free(text, TRUE);
		return fail(error, PS_ERROR_INVALID, "an extension of %d bytes is too large",
			    length);
	}
	for (int i = 0; i < length; i++)
		g_string_append_printf(text, "%s%02X", i > 0 ? ":" : "", bytes[i]);
	return g_string_free(text, FALSE);
}

static gboolean
add_one(GPtrArray *all, CONF *conf, const CONF_VALUE *value, GError **error)
{
	const struct issue_extension given = { value->name, value->value };
	g_autoptr(X509_EXTENSION) made = issue_extension_make(conf, &given, error);
	char name[128];

	if (made == NULL)
		return FALSE;
	const ASN1_OBJECT *object = X509_EXTENSION_get_object(made);
	int nid = OBJ_obj2nid(object);
	if (nid != NID_undef)
		g_strlcpy(name, OBJ_nid2sn(nid), sizeof(name));
	else if (OBJ_obj2txt(name, sizeof(name), object, 1) >= (int)sizeof(name))
		return fail_false(error, PS_ERROR_INVALID, "'%.40s' is too long", value->name);
	for (guint i = 0; i < all->len; i++)
		if (strcmp(((struct issue_extension_text *)all->pdata[i])->name, name) == 0)
			return fail_false(error, PS_ERROR_INVALID,
					  "extension '%s' stands there twice", name);
	g_autofree char *encoded = encode(made, error);
	if (encoded == NULL)
		return FALSE;
	struct issue_extension_text *text = g_new0(struct issue_extension_text, 1);
	text->name = g_strdup(name);
	text->value = g_steal_pointer(&encoded);
	g_ptr_array_add(all, text);
	return TRUE;
}

static GPtrArray *
read_all(CONF *conf, GError **error)
{
	const STACK_OF(CONF_VALUE) *values = NCONF_get_section(conf, "default");
	g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(text_free);

	ERR_clear_error();
	if (values == NULL || sk_CONF_VALUE_num(values) == 0)
		return fail(
		    error, PS_ERROR_INVALID,
		    "the file has no extension: one 'name = value' a line, before any [section]");
	if (sk_CONF_VALUE_num(values) > EXTENSIONS_MAX)
		return fail(error, PS_ERROR_INVALID, "the file has more than %d extensions",
			    EXTENSIONS_MAX);
	for (int i = 0; i < sk_CONF_VALUE_num(values); i++)
		if (!add_one(all, conf, sk_CONF_VALUE_value(values, i), error))
			return NULL;
	return g_steal_pointer(&all);
}

GPtrArray *
issue_extensions_parse(GBytes *file, GError **error)
{
	gsize length;
	const char *text = g_bytes_get_data(file, &length);
	long line = 0;

	if (length > EXTENSIONS_FILE_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "a file of %zu bytes is too large", length);
	if (length == 0 || !is_plain(text, length, error))
		return length == 0 ? fail(error, PS_ERROR_INVALID, "the file is empty") : NULL;
	CONF *conf = NCONF_new(NULL);
	BIO *bio = BIO_new_mem_buf(text, (int)length);
	GPtrArray *all = NULL;
	if (conf == NULL || bio == NULL || NCONF_load_bio(conf, bio, &line) <= 0)
		(void)fail_openssl(error, PS_ERROR_INVALID, "line %ld cannot be read", line);
	else
		all = read_all(conf, error);
	BIO_free(bio);
	NCONF_free(conf);
	return all;
}

char *
issue_extension_describe(const char *name, const char *value)
{
	const struct issue_extension given = { name, value };
	g_autoptr(X509_EXTENSION) made = issue_extension_make(NULL, &given, NULL);
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes = NULL;
	char *text = NULL;

	if (made != NULL && bio != NULL &&
	    X509V3_EXT_print(bio, made, X509V3_EXT_DUMP_UNKNOWN, 0)) {
		long length = BIO_get_mem_data(bio, &bytes);
		g_autofree char *raw = g_strndup(bytes, (gsize)length);
		g_auto(GStrv) words = g_strsplit_set(raw, " \n\t", -1);
		g_autoptr(GString) line = g_string_new(
		    made != NULL && X509_EXTENSION_get_critical(made) ? "critical," : "");
		for (char **word = words; *word != NULL; word++)
			if (**word != '\0')
				g_string_append_printf(line, "%s%s", line->len > 0 ? " " : "",
						       *word);
		text = printable(line->str);
	}
	BIO_free(bio);
	ERR_clear_error();
	return text != NULL ? text : g_strdup(value);
}
