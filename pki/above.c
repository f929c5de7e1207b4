/*
 * above - gathers the issuers' side of a judgement once for all certificates of an issuer.
 */
#include "pki/above.h"

#include "pki/cert_cache.h"
#include "pki/crypto/chain.h"
#include "pki/crypto/crl_check.h"
#include "pki/issuer_pool.h"
#include "pki/revocation.h"
#include "store/cache.h"
#include "store/ctl.h"
#include "store/db/changelog.h"

#define CTL_ROW_BYTES 400
#define KEY_BYTES 120
/* Certificates that came with a message, for which the answer is kept all the same. */
#define HINTS_KEPT_MAX 8

struct aboves {
	struct db *db;
	struct issuer_pool *issuers;
	struct revocation *revocation;
	struct cache *kept; /* lists wanted, issuer key -> struct above */
};

struct above *
above_ref(struct above *above)
{
	g_atomic_int_inc(&above->references);
	return above;
}

void
above_unref(struct above *above)
{
	if (above == NULL || !g_atomic_int_dec_and_test(&above->references))
		return;
	g_clear_pointer(&above->anchors, g_ptr_array_unref);
	g_clear_pointer(&above->candidates, g_ptr_array_unref);
	g_clear_pointer(&above->ctl, g_ptr_array_unref);
	g_clear_pointer(&above->own, g_hash_table_unref);
	g_hash_table_unref(above->list_keys);
	g_array_unref(above->tags);
	g_free(above);
}

static gpointer
ref(gpointer above)
{
	return above_ref(above);
}

static void
unref(gpointer above)
{
	above_unref(above);
}

struct aboves *
aboves_new(struct db *db, struct changelog *changelog, struct revocation *revocation,
	   const struct cache_limits *limits)
{
	struct aboves *aboves = g_new0(struct aboves, 1);

	aboves->db = db;
	aboves->issuers = issuer_pool_new(db, changelog, limits);
	aboves->revocation = revocation;
	aboves->kept = cache_new(changelog, NULL, limits, CACHE_ABOVES, ref, unref);
	return aboves;
}

void
aboves_free(struct aboves *aboves)
{
	if (aboves == NULL)
		return;
	cache_free(aboves->kept);
	issuer_pool_free(aboves->issuers);
	g_free(aboves);
}

/* One in the making. */
struct gathering {
	struct aboves *aboves;
	struct above *above;
	GHashTable *asked; /* issuer keys that were followed; texts belong to the certificates */
};

static gboolean
climb(struct gathering *g, const char *issuer_key, GError **error)
{
	return issuer_pool_climb_from(g->aboves->issuers, issuer_key, g->asked,
				      g->above->candidates, error);
}

static void
add_list_keys(GHashTable *keys, const GPtrArray *certs, guint from)
{
	for (guint i = from; i < certs->len; i++)
		crl_check_issuer_keys(certs->pdata[i], keys);
}

/* Lists may be signed by somebody else than the issuer: those come along as candidates. */
static gboolean
add_list_signers(struct gathering *g, GError **error)
{
	struct above *above = g->above;
	g_autoptr(GHashTable) named = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GPtrArray) lists =
	    revocation_lists_of(g->aboves->revocation, above->list_keys, error);

	if (lists == NULL)
		return FALSE;
	for (guint i = 0; i < lists->len; i++) {
		const struct crl *crl = lists->pdata[i];
		gboolean signer_known = FALSE;

		for (guint k = 0; k < above->candidates->len && !signer_known; k++)
			signer_known = crl_is_signed_by(crl, above->candidates->pdata[k]);
		for (guint k = 0; k < above->anchors->len && !signer_known; k++)
			signer_known = crl_is_signed_by(crl, above->anchors->pdata[k]);
		if (signer_known || !g_hash_table_add(named, (gpointer)crl_issuer_key(crl)))
			continue;
		guint before = above->candidates->len;
		if (!issuer_pool_named(g->aboves->issuers, crl_issuer_key(crl), above->candidates,
				       error))
			return FALSE;
		change_tags_add(above->tags, CHANGE_CERT, NULL);
		for (guint k = before; k < above->candidates->len; k++)
			if (!climb(g, cert_issuer_key(above->candidates->pdata[k]), error))
				return FALSE;
		add_list_keys(above->list_keys, above->candidates, before);
	}
	return TRUE;
}

/* The roots by which one of these names, or a list, may be signed; all for one that is a root. */
static gboolean
take_anchors(struct gathering *g, const struct cert *cert, GError **error)
{
	struct above *above = g->above;
	g_autoptr(GPtrArray) roots = issuer_pool_roots(g->aboves->issuers, error);

	if (roots == NULL)
		return FALSE;
	g_clear_pointer(&above->anchors, g_ptr_array_unref);
	if (cert_is_among(cert, roots)) {
		above->anchors = g_steal_pointer(&roots);
		return TRUE;
	}
	above->anchors = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	for (guint i = 0; i < roots->len; i++) {
		const char *name = cert_subject_key(roots->pdata[i]);
		if (g_hash_table_contains(g->asked, name) ||
		    g_hash_table_contains(above->list_keys, name))
			g_ptr_array_add(above->anchors, cert_ref(roots->pdata[i]));
	}
	return TRUE;
}

static gboolean
read_ctl(struct gathering *g, GError **error)
{
	struct above *above = g->above;
	g_autoptr(GPtrArray) thumbprints = g_ptr_array_new();
	GPtrArray *const pools[] = { above->candidates, above->anchors };

	for (gsize p = 0; p < G_N_ELEMENTS(pools); p++)
		for (guint i = 0; i < pools[p]->len; i++) {
			const char *thumbprint = cert_thumbprint(pools[p]->pdata[i]);
			g_ptr_array_add(thumbprints, (gpointer)thumbprint);
			change_tags_add(above->tags, CHANGE_CTL, thumbprint);
		}
	if (thumbprints->len == 0)
		above->ctl = g_ptr_array_new();
	else
		above->ctl =
		    ctl_by_thumbprints(g->aboves->db, (const char *const *)thumbprints->pdata,
				       thumbprints->len, error);
	return above->ctl != NULL;
}

static void
tag_all(GArray *tags, enum change_kind kind, GHashTable *keys)
{
	GHashTableIter iterator;
	gpointer key;

	g_hash_table_iter_init(&iterator, keys);
	while (g_hash_table_iter_next(&iterator, &key, NULL))
		change_tags_add(tags, kind, key);
}

/* What stands above the certificate and the candidates so far, and who signs lists about those from
 * `from` on. */
static gboolean
extend(struct gathering *g, const struct cert *cert, enum above_lists lists, guint from,
       GError **error)
{
	if (!climb(g, cert_issuer_key(cert), error))
		return FALSE;
	if (lists != ABOVE_WITH_LISTS)
		return TRUE;
	add_list_keys(g->above->list_keys, g->above->candidates, from);
	return take_anchors(g, cert, error) && add_list_signers(g, error);
}

static gboolean
gather(struct gathering *g, const struct cert *cert, enum above_lists lists, GPtrArray *hints,
       GError **error)
{
	struct above *above = g->above;

	if ((above->own = issuer_pool_own(g->aboves->issuers, error)) == NULL)
		return FALSE;
	if (lists == ABOVE_WITH_LISTS)
		crl_check_issuer_keys(cert, above->list_keys);
	if (!extend(g, cert, lists, 0, error))
		return FALSE;
	/* Behind what the store has: who sends many must not take the places of who signs lists. */
	guint before = above->candidates->len;
	for (guint i = 0; hints != NULL && i < MIN(hints->len, CHAIN_CANDIDATES_MAX / 2); i++)
		if (!cert_is_among(hints->pdata[i], above->candidates))
			g_ptr_array_add(above->candidates, cert_ref(hints->pdata[i]));
	if (above->candidates->len > before && !extend(g, cert, lists, before, error))
		return FALSE;
	change_tags_add(above->tags, CHANGE_ROOT, NULL);
	change_tags_add(above->tags, CHANGE_CA, NULL);
	tag_all(above->tags, CHANGE_CRL, above->list_keys);
	tag_all(above->tags, CHANGE_ISSUER, g->asked);
	return take_anchors(g, cert, error) && read_ctl(g, error);
}

static struct above *
above_make(struct aboves *aboves, const struct cert *cert, enum above_lists lists, GPtrArray *hints,
	   GError **error)
{
	CLEANUP(above) struct above *above = g_new0(struct above, 1);
	g_autoptr(GHashTable) asked = g_hash_table_new(g_str_hash, g_str_equal);
	struct gathering g = { .aboves = aboves, .above = above, .asked = asked };

	above->references = 1;
	above->candidates = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	above->list_keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	above->tags = change_tags_new();
	return gather(&g, cert, lists, hints, error) ? g_steal_pointer(&above) : NULL;
}

/* Roots are kept, and counted, by the pool for good. */
static gsize
cost_of(const struct above *above)
{
	gsize cost = sizeof(*above) + 4 * 64 + above->tags->len * sizeof(change_tag);

	for (guint i = 0; i < above->candidates->len; i++)
		cost += cert_memory(above->candidates->pdata[i]);
	cost += above->anchors->len * sizeof(gpointer) + above->ctl->len * CTL_ROW_BYTES;
	return cost + g_hash_table_size(above->list_keys) * KEY_BYTES;
}

/* Does this certificate ask for nothing that another one of its issuer does not? */
static gboolean
is_ordinary(const struct above *above, const struct cert *cert, enum above_lists lists)
{
	g_autoptr(GHashTable) keys = NULL;
	GHashTableIter iterator;
	gpointer key;

	if (lists == ABOVE_WITHOUT_LISTS)
		return TRUE;
	keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	crl_check_issuer_keys(cert, keys);
	g_hash_table_iter_init(&iterator, keys);
	while (g_hash_table_iter_next(&iterator, &key, NULL))
		if (!g_hash_table_contains(above->list_keys, key))
			return FALSE;
	return TRUE;
}

/* NULL: not to be kept, the hints are too many. */
static char *
key_of(const struct cert *cert, enum above_lists lists, const GPtrArray *hints)
{
	GString *key = g_string_new(NULL);

	g_string_printf(key, "%d %s", (int)lists, cert_issuer_key(cert));
	for (guint i = 0; hints != NULL && i < hints->len; i++)
		g_string_append_printf(key, " %s", cert_thumbprint(hints->pdata[i]));
	return g_string_free(key, hints != NULL && hints->len > HINTS_KEPT_MAX);
}

/* One that is an anchor itself has others beside it than its brothers have. */
static gboolean
is_anchor(struct aboves *aboves, const struct cert *cert, gboolean *answer, GError **error)
{
	g_autoptr(GPtrArray) roots = issuer_pool_roots(aboves->issuers, error);

	*answer = roots != NULL && cert_is_among(cert, roots);
	return roots != NULL;
}

struct above *
above_find(struct aboves *aboves, const struct cert *cert, enum above_lists lists, GPtrArray *hints,
	   GError **error)
{
	struct cache_moment began = cache_moment(aboves->kept);
	g_autofree char *key = key_of(cert, lists, hints);
	struct above *above = NULL;
	gboolean anchor;

	if (!is_anchor(aboves, cert, &anchor, error))
		return NULL;
	if (anchor || key == NULL)
		return above_make(aboves, cert, lists, hints, error);
	above = cache_get(aboves->kept, key);
	if (above != NULL && is_ordinary(above, cert, lists))
		return above;
	above_unref(above);
	above = above_make(aboves, cert, lists, hints, error);
	if (above != NULL)
		cache_put(aboves->kept, key, above, cost_of(above), CLOCK_NEVER,
			  (const change_tag *)(gpointer)above->tags->data, above->tags->len, began);
	return above;
}
