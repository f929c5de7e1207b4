/*
 * revocation - the index of lists by issuer, and the parsed ones.
 */
#include "pki/revocation.h"

#include "pki/crypto/crl_check.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/crls.h"
#include "store/db/changelog.h"

struct revocation {
	struct db *db;
	struct changelog *changelog;
	GMutex lock;
	guint64 generation;
	GHashTable *index;  /* issuer key -> GPtrArray of thumbprints; NULL: not read yet */
	GHashTable *parsed; /* thumbprint -> struct crl */
};

struct revocation *
revocation_new(struct db *db, struct changelog *changelog)
{
	struct revocation *revocation = g_new0(struct revocation, 1);

	revocation->db = db;
	revocation->changelog = changelog;
	g_mutex_init(&revocation->lock);
	revocation->parsed =
	    g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)crl_unref);
	return revocation;
}

void
revocation_free(struct revocation *revocation)
{
	if (revocation == NULL)
		return;
	g_clear_pointer(&revocation->index, g_hash_table_unref);
	g_hash_table_unref(revocation->parsed);
	g_mutex_clear(&revocation->lock);
	g_free(revocation);
}

static void
index_add(GHashTable *index, const char *issuer_key, const char *thumbprint)
{
	GPtrArray *list = g_hash_table_lookup(index, issuer_key);

	if (list == NULL) {
		list = g_ptr_array_new_with_free_func(g_free);
		g_hash_table_insert(index, g_strdup(issuer_key), list);
	}
	g_ptr_array_add(list, g_strdup(thumbprint));
}

static gboolean
is_gone(gpointer thumbprint, gpointer crl, gpointer listed)
{
	(void)crl;
	return !g_hash_table_contains(listed, thumbprint);
}

/* The index of now, owned by the caller; parsed lists that left the store are let go. */
static GHashTable *
current_index(struct revocation *revocation, GError **error)
{
	guint64 now = changelog_generation(revocation->changelog, CHANGE_CRL);
	GHashTable *index = NULL;

	g_mutex_lock(&revocation->lock);
	if (revocation->index != NULL && revocation->generation == now &&
	    revocation->changelog != NULL)
		index = g_hash_table_ref(revocation->index);
	g_mutex_unlock(&revocation->lock);
	if (index != NULL)
		return index;

	g_autoptr(GPtrArray) rows = crls_list(revocation->db, error);
	g_autoptr(GHashTable) listed = g_hash_table_new(g_str_hash, g_str_equal);
	if (rows == NULL)
		return NULL;
	index = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
				      (GDestroyNotify)g_ptr_array_unref);
	for (guint i = 0; i < rows->len; i++) {
		const struct crl_row *row = rows->pdata[i];

		index_add(index, row->issuer_key, row->thumbprint);
		g_hash_table_add(listed, row->thumbprint);
	}
	g_mutex_lock(&revocation->lock);
	g_clear_pointer(&revocation->index, g_hash_table_unref);
	revocation->index = g_hash_table_ref(index);
	revocation->generation = now;
	g_hash_table_foreach_remove(revocation->parsed, is_gone, listed);
	g_mutex_unlock(&revocation->lock);
	return index;
}

/* One list by thumbprint. NULL without *error: it left the store meanwhile, or is damaged. */
static struct crl *
load(struct revocation *revocation, const char *thumbprint, GError **error)
{
	g_autoptr(GError) why = NULL;
	struct crl *crl;

	g_mutex_lock(&revocation->lock);
	crl = g_hash_table_lookup(revocation->parsed, thumbprint);
	if (crl != NULL)
		crl_ref(crl);
	g_mutex_unlock(&revocation->lock);
	if (crl != NULL)
		return crl;
	CLEANUP(crl_row) struct crl_row *row = crls_find(revocation->db, thumbprint, &why);
	if (row == NULL && !g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&why));
		return NULL;
	}
	if (row == NULL)
		return NULL;
	crl = crl_parse(row->der, &why);
	if (crl == NULL) {
		log_warning("a revocation list of the store cannot be read", "thumbprint",
			    thumbprint, "issuer", row->issuer, "reason", why->message);
		return NULL;
	}
	g_mutex_lock(&revocation->lock);
	g_hash_table_replace(revocation->parsed, g_strdup(thumbprint), crl_ref(crl));
	g_mutex_unlock(&revocation->lock);
	return crl;
}

static gboolean
add_lists(struct revocation *revocation, GHashTable *index, const char *issuer_key,
	  GPtrArray *lists, GError **error)
{
	GPtrArray *thumbprints = g_hash_table_lookup(index, issuer_key);

	for (guint i = 0; thumbprints != NULL && i < thumbprints->len; i++) {
		GError *why = NULL;
		struct crl *crl = load(revocation, thumbprints->pdata[i], &why);

		if (why != NULL) {
			g_propagate_error(error, why);
			return FALSE;
		}
		if (crl != NULL)
			g_ptr_array_add(lists, crl);
	}
	return TRUE;
}

GPtrArray *
revocation_lists(struct revocation *revocation, GPtrArray *certs, GError **error)
{
	g_autoptr(GHashTable) index = current_index(revocation, error);
	g_autoptr(GHashTable) keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GPtrArray) lists = g_ptr_array_new_with_free_func((GDestroyNotify)crl_unref);
	GHashTableIter iter;
	gpointer key;

	if (index == NULL)
		return NULL;
	for (guint i = 0; i < certs->len; i++)
		crl_check_issuer_keys(certs->pdata[i], keys);
	g_hash_table_iter_init(&iter, keys);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		if (!add_lists(revocation, index, key, lists, error))
			return NULL;
	return g_steal_pointer(&lists);
}
