/*
 * select_internal - one selection in the making, between select.c and select_search.c.
 *
 * A search begins with what hangs on the scopes of its address, says which rows of certificates it
 * wants, and is finished with them; so that several searches can share one query.
 */
#ifndef PKI_SELECT_INTERNAL_H
#define PKI_SELECT_INTERNAL_H

#include "pki/select.h"
#include "store/cache.h"
#include "store/selections.h"

struct candidates;
struct cert_cache;

struct select {
	struct db *db;
	struct changelog *changelog;
	struct clock *clock;
	struct trust *trust;
	struct preference_cache *preferences;
	char delimiter;
	struct cache *selections; /* key -> struct selection */
	struct cert_cache *certs;
};

struct search {
	struct select *select;
	const struct mailaddr *address;
	GPtrArray *aliases; /* struct mailaddr, or NULL */
	enum selection_kind kind;
	char *key; /* in select->selections */
	struct cache_moment began;
	enum trust_purpose purpose;
	struct preference_set *preferences;
	GHashTable *scope_rows; /* scope key -> struct scope_rows */
	GPtrArray *chosen; /* struct selection_row of this kind, nearest scope first; borrowed */
	GPtrArray *emails; /* of which certificates are wanted */
	GPtrArray *thumbprints; /* likewise */
	GArray *tags;           /* what the selection rests on */
	gsize cost;             /* of the selection, in bytes */
	struct selection *selection;
};

struct search *search_new(struct select *select, const struct mailaddr *address, GPtrArray *aliases,
			  enum selection_kind kind, const char *key);
void search_free(struct search *search);
gboolean search_begin(struct search *search, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What it did not want of these is passed over. */
gboolean search_finish(struct search *search, const struct candidates *found,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(search, search_free)

#endif
