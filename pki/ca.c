/*
 * ca - what the files of the built-in CA have in common.
 */
#include "pki/ca.h"

#include <string.h>

#include "pki/ca_internal.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/issue.h"
#include "store/base/error.h"
#include "store/base/printable.h"
#include "store/ca_issuing.h"
#include "store/certs.h"
#include "store/db/tx.h"
#include "store/roots.h"

#define KNOWN_MAX 64

gboolean
ca_digest_parse(const char *name, enum algorithm *hash, GError **error)
{
	*hash = name != NULL ? algorithm_by_name(name) : ALGORITHM_SHA256;
	if (*hash == ALGORITHM_SHA256 || *hash == ALGORITHM_SHA384 || *hash == ALGORITHM_SHA512)
		return TRUE;
	return fail_false(error, PS_ERROR_INVALID,
			  "'%.40s' is no digest that a CA signs with: sha256, sha384 or sha512",
			  name);
}

char *
ca_serial_normalise(const char *text, GError **error)
{
	g_autoptr(GString) hex = g_string_new(NULL);
	const char *p = text + strspn(text, " \t");
	gboolean good = TRUE;

	if (g_ascii_strncasecmp(p, "0x", 2) == 0)
		p += 2;
	for (; *p != '\0' && good; p++) {
		if (g_ascii_isxdigit(*p))
			g_string_append_c(hex, g_ascii_tolower(*p));
		else
			good = strchr(" :-\t", *p) != NULL;
	}
	gsize zeros = strspn(hex->str, "0");
	if (!good || hex->len == 0 || hex->len - zeros > 40 || zeros == hex->len) {
		g_autofree char *shown = printable(text);
		return fail(error, PS_ERROR_INVALID,
			    "'%s' is not a serial number: hex digits, also with colons", shown);
	}
	g_string_erase(hex, 0, (gssize)zeros);
	return g_string_free(g_steal_pointer(&hex), FALSE);
}

const char *
ca_key_id(const struct cert *cert)
{
	return cert_ski(cert) != NULL ? cert_ski(cert) : cert_sha1(cert);
}

/* "http://host/%s.crl" with the key identifier in it; a part stands before the file's ending. */
static char *
fill_url(const char *template, const char *id, gint64 partition)
{
	g_autofree char *part =
	    partition > 0 ? g_strdup_printf("-%" G_GINT64_FORMAT, partition) : g_strdup("");
	const char *mark = strstr(template, "%s");

	if (mark != NULL) {
		g_autofree char *head = g_strndup(template, (gsize)(mark - template));
		return g_strconcat(head, id, part, mark + 2, NULL);
	}
	const char *dot = strrchr(template, '.');
	if (dot == NULL || strchr(dot, '/') != NULL)
		dot = template + strlen(template);
	g_autofree char *head = g_strndup(template, (gsize)(dot - template));
	return g_strconcat(head, part, dot, NULL);
}

char *
ca_url_of(const struct ca_context *context, const struct ca_defaults *defaults, enum ca_url kind,
	  const struct cert *issuer, gint64 partition)
{
	static const char *const paths[] = { "/crl/%s.crl", "/ca/%s.cer", "/ocsp/%s" };
	const char *const own[] = { defaults->crl_url, defaults->aia_url, defaults->ocsp_url };

	if (*own[kind] != '\0')
		return fill_url(own[kind], ca_key_id(issuer), partition);
	if (context->public_url == NULL || *context->public_url == '\0')
		return NULL;
	g_autofree char *base = g_strdup(context->public_url);
	while (g_str_has_suffix(base, "/"))
		base[strlen(base) - 1] = '\0';
	g_autofree char *template = g_strconcat(base, paths[kind], NULL);
	return fill_url(template, ca_key_id(issuer), partition);
}

struct cert *
ca_load_cert(struct db *db, const char *thumbprint, GError **error)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(cert_row) struct cert_row *row = certs_find(db, thumbprint, &why);

	if (row != NULL)
		return cert_parse(row->der, error);
	if (!g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&why));
		return NULL;
	}
	CLEANUP(root_row) struct root_row *root = roots_find(db, thumbprint, NULL);
	if (root != NULL)
		return cert_parse(root->der, error);
	return fail(error, PS_ERROR_NOT_FOUND,
		    "the CA's certificate %.16s is no longer in the store; import it again",
		    thumbprint);
}

/*
 * Certificates that issue, by thumbprint: they never change, so nothing becomes stale. It spares a
 * query and a parse for each of thousands.
 */
static GMutex known_lock;
static GHashTable *known;

struct cert *
ca_known_cert(struct tx *tx, const char *thumbprint, GError **error)
{
	g_mutex_lock(&known_lock);
	struct cert *cert = known != NULL ? g_hash_table_lookup(known, thumbprint) : NULL;
	cert = cert != NULL ? cert_ref(cert) : NULL;
	g_mutex_unlock(&known_lock);
	if (cert != NULL)
		return cert;
	g_autoptr(GBytes) der = ca_issuing_cert(tx, thumbprint, error);
	cert = der != NULL ? cert_parse(der, error) : NULL;
	if (cert == NULL)
		return NULL;
	g_mutex_lock(&known_lock);
	if (known == NULL)
		known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
					      (GDestroyNotify)cert_unref);
	if (g_hash_table_size(known) >= KNOWN_MAX)
		g_hash_table_remove_all(known);
	g_hash_table_replace(known, g_strdup(thumbprint), cert_ref(cert));
	g_mutex_unlock(&known_lock);
	return cert;
}

GPtrArray *
ca_chain(struct db *db, const struct ca_row *ca, GError **error)
{
	g_autoptr(GPtrArray) chain = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	const char *const thumbprints[] = { ca->thumbprint, ca->root_thumbprint };

	for (gsize i = 0; i < G_N_ELEMENTS(thumbprints); i++) {
		if (thumbprints[i] == NULL)
			continue;
		struct cert *cert = ca_load_cert(db, thumbprints[i], error);
		if (cert == NULL)
			return NULL;
		g_ptr_array_add(chain, cert);
	}
	return g_steal_pointer(&chain);
}
