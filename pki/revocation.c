/*
 * revocation - the index of lists by issuer, and the parsed ones.
 */
#include "pki/revocation.h"

#include <string.h>

#include "pki/crypto/crl_check.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/crl_entries.h"
#include "store/db/changelog.h"

#define READINGS_MAX 5

/* What is known of one issuer's lists; never changed, only replaced. */
struct issuer {
	guint64 since;    /* the change log's moment before it was read */
	GPtrArray *lists; /* struct crl_row without DER */
};

struct parsed {
	struct crl *crl; /* NULL: somebody is at it */
	gsize bytes;
	guint64 used;
};

struct revocation {
	struct db *db;
	struct changelog *changelog;
	GMutex lock;
	GCond loaded;
	gboolean indexed;
	guint64 since;      /* of the first reading of the whole index */
	GHashTable *index;  /* issuer key -> struct issuer; a key that is not here had none then */
	GHashTable *parsed; /* list_key() -> struct parsed */
	gsize bytes, bytes_max;
	guint64 uses, loads;
};

static void
issuer_free(gpointer p)
{
	struct issuer *issuer = p;

	g_ptr_array_unref(issuer->lists);
	g_free(issuer);
}

static void
parsed_free(gpointer p)
{
	struct parsed *parsed = p;

	crl_unref(parsed->crl);
	g_free(parsed);
}

struct revocation *
revocation_new(struct db *db, struct changelog *changelog)
{
	struct revocation *revocation = g_new0(struct revocation, 1);

	revocation->db = db;
	revocation->changelog = changelog;
	revocation->bytes_max = REVOCATION_MEMORY_BYTES;
	g_mutex_init(&revocation->lock);
	g_cond_init(&revocation->loaded);
	revocation->index = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, issuer_free);
	revocation->parsed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, parsed_free);
	return revocation;
}

void
revocation_free(struct revocation *revocation)
{
	if (revocation == NULL)
		return;
	g_hash_table_unref(revocation->index);
	g_hash_table_unref(revocation->parsed);
	g_cond_clear(&revocation->loaded);
	g_mutex_clear(&revocation->lock);
	g_free(revocation);
}

/* --- parsed lists --- */

/* A list does not change, but what is known from before it may. */
static char *
list_key(const struct crl_row *row)
{
	return g_strdup_printf("%s:%" G_GINT64_FORMAT ":%s", row->thumbprint, row->past,
			       row->signer_key != NULL ? row->signer_key : "");
}

static void
drop_parsed(struct revocation *revocation, const char *key)
{
	const struct parsed *parsed = g_hash_table_lookup(revocation->parsed, key);

	/* Who is at it puts it in; it leaves for want of memory then. */
	if (parsed == NULL || parsed->crl == NULL)
		return;
	revocation->bytes -= parsed->bytes;
	g_hash_table_remove(revocation->parsed, key);
}

static void
make_room(struct revocation *revocation, const struct parsed *but)
{
	while (revocation->bytes > revocation->bytes_max) {
		GHashTableIter iter;
		gpointer key, value;
		const char *oldest = NULL;
		guint64 used = G_MAXUINT64;

		g_hash_table_iter_init(&iter, revocation->parsed);
		while (g_hash_table_iter_next(&iter, &key, &value)) {
			const struct parsed *parsed = value;

			if (parsed != but && parsed->crl != NULL && parsed->used < used) {
				used = parsed->used;
				oldest = key;
			}
		}
		if (oldest == NULL)
			return;
		drop_parsed(revocation, oldest);
	}
}

void
revocation_set_memory(struct revocation *revocation, gsize bytes_max)
{
	g_mutex_lock(&revocation->lock);
	revocation->bytes_max = bytes_max;
	make_room(revocation, NULL);
	g_mutex_unlock(&revocation->lock);
}

void
revocation_stats(struct revocation *revocation, struct revocation_stats *stats)
{
	g_mutex_lock(&revocation->lock);
	stats->lists = g_hash_table_size(revocation->parsed);
	stats->bytes = revocation->bytes;
	stats->loads = revocation->loads;
	g_mutex_unlock(&revocation->lock);
}

static gboolean
add_past(struct revocation *revocation, const struct crl_row *row, struct crl *crl, GError **error)
{
	g_autoptr(GPtrArray) past =
	    row->past > 0 ? crls_past(revocation->db, row->line, error) : NULL;
	g_autofree struct crl_item *items = NULL;

	if (row->past == 0)
		return TRUE;
	if (past == NULL)
		return FALSE;
	items = g_new0(struct crl_item, past->len);
	for (guint i = 0; i < past->len; i++) {
		const struct revoked_row *entry = past->pdata[i];

		items[i].serial_hex = entry->serial;
		items[i].issuer_key = entry->issuer_key;
		items[i].revoked_at = entry->revoked_at;
		items[i].reason = (enum crl_reason)entry->reason;
	}
	crl_add_past(crl, items, past->len);
	return TRUE;
}

/* NULL without *error: it left the store meanwhile (*gone), or is damaged. */
static struct crl *
read_list(struct revocation *revocation, const struct crl_row *row, gboolean *gone, GError **error)
{
	g_autoptr(GError) why = NULL;
	g_autoptr(GBytes) der = crls_der(revocation->db, row, &why);

	if (der == NULL) {
		*gone = g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND);
		if (!*gone)
			g_propagate_error(error, g_steal_pointer(&why));
		return NULL;
	}
	CLEANUP(crl) struct crl *crl = crl_restore(der, row->thumbprint, row->signer_key, &why);
	if (crl == NULL) {
		log_warning("a revocation list of the store cannot be read", "thumbprint",
			    row->thumbprint, "issuer", row->issuer, "reason", why->message);
		return NULL;
	}
	return add_past(revocation, row, crl, error) ? g_steal_pointer(&crl) : NULL;
}

/* A reference, or NULL: then the caller has to read it and to call publish. */
static struct crl *
take_or_begin(struct revocation *revocation, const char *key)
{
	struct crl *crl = NULL;
	struct parsed *parsed;

	g_mutex_lock(&revocation->lock);
	while ((parsed = g_hash_table_lookup(revocation->parsed, key)) != NULL &&
	       parsed->crl == NULL)
		g_cond_wait(&revocation->loaded, &revocation->lock);
	if (parsed != NULL) {
		parsed->used = ++revocation->uses;
		crl = crl_ref(parsed->crl);
	} else {
		g_hash_table_insert(revocation->parsed, g_strdup(key), g_new0(struct parsed, 1));
	}
	g_mutex_unlock(&revocation->lock);
	return crl;
}

static void
publish(struct revocation *revocation, const char *key, struct crl *crl_or_null)
{
	struct parsed *parsed;

	g_mutex_lock(&revocation->lock);
	parsed = g_hash_table_lookup(revocation->parsed, key);
	if (crl_or_null == NULL) {
		g_hash_table_remove(revocation->parsed, key);
	} else {
		parsed->crl = crl_ref(crl_or_null);
		parsed->bytes = crl_memory(crl_or_null);
		parsed->used = ++revocation->uses;
		revocation->bytes += parsed->bytes;
		revocation->loads++;
		make_room(revocation, parsed);
	}
	g_cond_broadcast(&revocation->loaded);
	g_mutex_unlock(&revocation->lock);
}

static struct crl *
load(struct revocation *revocation, const struct crl_row *row, gboolean *gone, GError **error)
{
	g_autofree char *key = list_key(row);
	struct crl *crl = take_or_begin(revocation, key);

	if (crl != NULL)
		return crl;
	crl = read_list(revocation, row, gone, error);
	publish(revocation, key, crl);
	return crl;
}

/* --- the index --- */

static struct issuer *
issuer_new(guint64 since)
{
	struct issuer *issuer = g_new0(struct issuer, 1);

	issuer->since = since;
	issuer->lists = g_ptr_array_new_with_free_func((GDestroyNotify)crl_row_free);
	return issuer;
}

/* Takes key and lists. What was parsed of those before and is not among them is let go. */
static void
replace_issuer(struct revocation *revocation, char *issuer_key, struct issuer *taken)
{
	const struct issuer *before = g_hash_table_lookup(revocation->index, issuer_key);
	g_autoptr(GHashTable) keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < taken->lists->len; i++)
		g_hash_table_add(keys, list_key(taken->lists->pdata[i]));
	for (guint i = 0; before != NULL && i < before->lists->len; i++) {
		g_autofree char *key = list_key(before->lists->pdata[i]);

		if (!g_hash_table_contains(keys, key))
			drop_parsed(revocation, key);
	}
	g_hash_table_replace(revocation->index, issuer_key, taken);
}

static struct issuer *
entry_for(GHashTable *issuers, const char *issuer_key, guint64 since)
{
	struct issuer *issuer = g_hash_table_lookup(issuers, issuer_key);

	if (issuer == NULL) {
		issuer = issuer_new(since);
		g_hash_table_insert(issuers, g_strdup(issuer_key), issuer);
	}
	return issuer;
}

/* stale: issuer keys to be read anew; NULL: all there are. */
static gboolean
read_index(struct revocation *revocation, GPtrArray *stale, GError **error)
{
	guint64 since = changelog_moment(revocation->changelog);
	g_autoptr(GHashTable) issuers =
	    g_hash_table_new_full(g_str_hash, g_str_equal, g_free, issuer_free);
	g_autoptr(GPtrArray) rows =
	    crls_held(revocation->db, stale != NULL ? (const char *const *)stale->pdata : NULL,
		      stale != NULL ? stale->len : 0, error);
	GHashTableIter iter;
	gpointer key, issuer;

	if (rows == NULL)
		return FALSE;
	for (guint i = 0; stale != NULL && i < stale->len; i++)
		(void)entry_for(issuers, stale->pdata[i], since);
	while (rows->len > 0) {
		struct crl_row *row = g_ptr_array_steal_index(rows, rows->len - 1);

		g_ptr_array_add(entry_for(issuers, row->issuer_key, since)->lists, row);
	}
	g_mutex_lock(&revocation->lock);
	g_hash_table_iter_init(&iter, issuers);
	while (g_hash_table_iter_next(&iter, &key, &issuer)) {
		g_hash_table_iter_steal(&iter);
		replace_issuer(revocation, key, issuer); /* takes both */
	}
	if (stale == NULL && !revocation->indexed) {
		revocation->indexed = TRUE;
		revocation->since = since;
	}
	g_mutex_unlock(&revocation->lock);
	return TRUE;
}

static gboolean
is_current(struct revocation *revocation, const char *issuer_key)
{
	const struct issuer *issuer = g_hash_table_lookup(revocation->index, issuer_key);
	change_tag tag = change_tag_of(CHANGE_CRL, issuer_key);

	return revocation->changelog != NULL &&
	       changelog_unchanged(revocation->changelog, &tag, 1,
				   issuer != NULL ? issuer->since : revocation->since);
}

static gboolean
refresh(struct revocation *revocation, GHashTable *keys, GError **error)
{
	g_autoptr(GPtrArray) stale = g_ptr_array_new();
	GHashTableIter iter;
	gpointer key;

	g_mutex_lock(&revocation->lock);
	gboolean indexed = revocation->indexed || revocation->changelog == NULL;
	g_mutex_unlock(&revocation->lock);
	if (!indexed && !read_index(revocation, NULL, error))
		return FALSE;
	g_mutex_lock(&revocation->lock);
	g_hash_table_iter_init(&iter, keys);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		if (!is_current(revocation, key))
			g_ptr_array_add(stale, key);
	g_mutex_unlock(&revocation->lock);
	return stale->len == 0 || read_index(revocation, stale, error);
}

static GPtrArray *
lists_of(struct revocation *revocation, const char *issuer_key)
{
	const struct issuer *issuer;
	GPtrArray *lists = NULL;

	g_mutex_lock(&revocation->lock);
	issuer = g_hash_table_lookup(revocation->index, issuer_key);
	if (issuer != NULL && issuer->lists->len > 0)
		lists = g_ptr_array_ref(issuer->lists);
	g_mutex_unlock(&revocation->lock);
	return lists;
}

static gboolean
add_lists(struct revocation *revocation, const char *issuer_key, GPtrArray *lists, gboolean *gone,
	  GError **error)
{
	g_autoptr(GPtrArray) rows = lists_of(revocation, issuer_key);

	for (guint i = 0; rows != NULL && i < rows->len; i++) {
		GError *why = NULL;
		struct crl *crl = load(revocation, rows->pdata[i], gone, &why);

		if (why != NULL) {
			g_propagate_error(error, why);
			return FALSE;
		}
		if (crl != NULL)
			g_ptr_array_add(lists, crl);
	}
	return TRUE;
}

/* stale: keys of which a list was replaced after the index was read. */
static gboolean
collect(struct revocation *revocation, GHashTable *issuer_keys, GPtrArray *lists, GPtrArray *stale,
	GError **error)
{
	GHashTableIter iter;
	gpointer key;

	g_hash_table_iter_init(&iter, issuer_keys);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		gboolean gone = FALSE;

		if (!add_lists(revocation, key, lists, &gone, error))
			return FALSE;
		if (gone)
			g_ptr_array_add(stale, key);
	}
	return TRUE;
}

GPtrArray *
revocation_lists_of(struct revocation *revocation, GHashTable *issuer_keys, GError **error)
{
	if (!refresh(revocation, issuer_keys, error))
		return NULL;
	/* One that went away has a successor: without it who is revoked would be good. */
	for (guint i = 0; i < READINGS_MAX; i++) {
		g_autoptr(GPtrArray) lists =
		    g_ptr_array_new_with_free_func((GDestroyNotify)crl_unref);
		g_autoptr(GPtrArray) stale = g_ptr_array_new();

		if (!collect(revocation, issuer_keys, lists, stale, error))
			return NULL;
		if (stale->len == 0)
			return g_steal_pointer(&lists);
		if (!read_index(revocation, stale, error))
			return NULL;
	}
	return fail(error, PS_ERROR_TEMPORARY,
		    "revocation lists are replaced faster than they can be read");
}

GPtrArray *
revocation_lists(struct revocation *revocation, GPtrArray *certs, GError **error)
{
	g_autoptr(GHashTable) keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < certs->len; i++)
		crl_check_issuer_keys(certs->pdata[i], keys);
	return revocation_lists_of(revocation, keys, error);
}
