/*
 * cert_names - thumbprints of certificates in files.
 */
#include "admin/cli/cert_names.h"

#include <string.h>

#include "admin/cli/file_pieces.h"
#include "pki/crypto/bundle.h"
#include "pki/file_verify.h"
#include "store/base/error.h"
#include "store/base/hex.h"

#define THUMBPRINT_MIN_DIGITS 8

gboolean
cert_name_is_thumbprint(const char *text)
{
	g_autofree char *digits = hex_from_spelling(text);
	gsize length = digits != NULL ? strlen(digits) : 0;

	return length >= THUMBPRINT_MIN_DIGITS && length <= THUMBPRINT_DIGITS;
}

/* Part of a thumbprint, though too little of it. */
static gboolean
is_hex(const char *text)
{
	g_autofree char *digits = hex_from_spelling(text);

	return digits != NULL;
}

static char *
thumbprint_of_file(const char *path, GError **error)
{
	const char *const paths[] = { path, NULL };
	CLEANUP(file_pool)
	struct file_pool *pool = file_pool_read(paths, NULL, file_command_broken, NULL, error);

	if (pool == NULL)
		return NULL;
	if (pool->certs->len != 1)
		return fail(error, PS_ERROR_INVALID,
			    "%s: holds %u certificates, and one is wanted: give its thumbprint",
			    path, pool->certs->len);
	return g_strdup(cert_thumbprint(g_ptr_array_index(pool->certs, 0)));
}

static gboolean
resolve_all(GPtrArray *texts, GError **error)
{
	for (guint i = 0; i < texts->len; i++) {
		char *text = g_ptr_array_index(texts, i);
		char *found;

		if (cert_name_is_thumbprint(text))
			continue;
		if (!g_file_test(text, G_FILE_TEST_EXISTS) && !is_hex(text))
			return fail_false(error, PS_ERROR_NOT_FOUND,
					  "'%s' is neither a file nor a thumbprint", text);
		if (!g_file_test(text, G_FILE_TEST_IS_REGULAR))
			continue;
		found = thumbprint_of_file(text, error);
		if (found == NULL)
			return FALSE;
		texts->pdata[i] = found;
		g_free(text);
	}
	return TRUE;
}

gboolean
cert_names_resolve(struct command_line *line, GError **error)
{
	for (const struct argument *a = line->operation->arguments; a->name != NULL; a++) {
		GPtrArray *texts = g_hash_table_lookup(line->texts, a->name);

		if (texts != NULL && strcmp(a->meta, "CERT|FILE") == 0 &&
		    !resolve_all(texts, error))
			return FALSE;
	}
	return TRUE;
}
