/*
 * select - selections remembered by address, made alone or for several addresses at once.
 */
#include "pki/select.h"

#include <string.h>

#include "pki/cert_cache.h"
#include "pki/select_internal.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/candidates.h"
#include "store/preferences.h"
#include "store/scopes.h"

/* Questions that share a query: the certificates of so many are in memory at once. */
#define AHEAD_MAX 100

static gpointer
ref(gpointer selection)
{
	return selection_ref(selection);
}

static void
unref(gpointer selection)
{
	selection_unref(selection);
}

struct select *
select_new(struct db *db, struct changelog *changelog, struct clock *clock, struct trust *trust,
	   struct preference_cache *preferences, char delimiter, const struct cache_limits *limits)
{
	struct select *select = g_new0(struct select, 1);

	select->db = db;
	select->changelog = changelog;
	select->clock = clock;
	select->trust = trust;
	select->preferences = preferences;
	select->delimiter = delimiter;
	select->selections = cache_new(changelog, clock, limits, CACHE_SELECTIONS, ref, unref);
	select->certs = cert_cache_new(limits, CACHE_CERTIFICATES);
	return select;
}

void
select_free(struct select *select)
{
	if (select == NULL)
		return;
	cache_free(select->selections);
	cert_cache_free(select->certs);
	g_free(select);
}

static char *
key_of(const struct mailaddr *address, const GPtrArray *aliases, enum selection_kind kind)
{
	GString *key = g_string_sized_new(128);

	g_string_append(key, selection_kind_name(kind));
	g_string_append_c(key, ' ');
	g_string_append(key, mailaddr_key(address));
	for (guint i = 0; aliases != NULL && i < aliases->len; i++) {
		g_string_append_c(key, ' ');
		g_string_append(key, mailaddr_key(aliases->pdata[i]));
	}
	return g_string_free(key, FALSE);
}

static void
remember(struct search *search)
{
	cache_put(search->select->selections, search->key, search->selection, search->cost,
		  search->selection->expires, (const change_tag *)(gpointer)search->tags->data,
		  search->tags->len, search->began);
}

static void
append_all(GPtrArray *to, const GPtrArray *from)
{
	for (guint i = 0; i < from->len; i++)
		if (!g_ptr_array_find_with_equal_func(to, from->pdata[i], g_str_equal, NULL))
			g_ptr_array_add(to, from->pdata[i]);
}

/* What these searches (struct search) want, in one query; none when they want nothing. */
static gboolean
find_rows(struct select *select, const GPtrArray *searches, struct candidates *found,
	  GError **error)
{
	g_autoptr(GPtrArray) emails = g_ptr_array_new();
	g_autoptr(GPtrArray) thumbprints = g_ptr_array_new();

	for (guint i = 0; i < searches->len; i++) {
		const struct search *search = searches->pdata[i];
		append_all(emails, search->emails);
		append_all(thumbprints, search->thumbprints);
	}
	if (emails->len == 0 && thumbprints->len == 0) {
		found->certs = g_ptr_array_new();
		found->announced = g_ptr_array_new();
		return TRUE;
	}
	return candidates_find(select->db, (const char *const *)emails->pdata, emails->len,
			       (const char *const *)thumbprints->pdata, thumbprints->len, found,
			       error);
}

/* Of searches that have begun. */
static gboolean
finish(struct select *select, const GPtrArray *searches, GError **error)
{
	struct candidates found = { NULL, NULL };
	gboolean good = find_rows(select, searches, &found, error);

	for (guint i = 0; good && i < searches->len; i++) {
		good = search_finish(searches->pdata[i], &found, error);
		if (good)
			remember(searches->pdata[i]);
	}
	candidates_clear(&found);
	return good;
}

static void
free_search(gpointer search)
{
	search_free(search);
}

static gboolean
prefetch(struct select *select, const struct select_question *questions, gsize n, GError **error)
{
	g_autoptr(GPtrArray) searches = g_ptr_array_new_with_free_func(free_search);

	for (gsize i = 0; i < n; i++) {
		const struct select_question *question = &questions[i];
		g_autofree char *key = key_of(question->address, question->aliases, question->kind);
		CLEANUP(selection)
		struct selection *known = cache_get(select->selections, key);
		if (known != NULL)
			continue;
		struct search *search =
		    search_new(select, question->address, question->aliases, question->kind, key);
		g_ptr_array_add(searches, search);
		if (!search_begin(search, error))
			return FALSE;
	}
	return searches->len == 0 || finish(select, searches, error);
}

void
select_prefetch(struct select *select, const struct select_question *questions, gsize n)
{
	g_autoptr(GError) error = NULL;
	gsize done = 0;

	/* Without a change log nothing would be kept. */
	if (select->changelog == NULL)
		return;
	while (done < n && error == NULL) {
		gsize count = MIN(n - done, (gsize)AHEAD_MAX);
		if (!prefetch(select, questions + done, count, &error))
			log_debug("selections were not made ahead", "reason", error->message);
		done += count;
	}
}

static struct selection *
select_any(struct select *select, const struct mailaddr *address, GPtrArray *aliases,
	   enum selection_kind kind, GError **error)
{
	g_autofree char *key = key_of(address, aliases, kind);
	struct selection *selection = cache_get(select->selections, key);

	if (selection != NULL)
		return selection;
	CLEANUP(search) struct search *search = search_new(select, address, aliases, kind, key);
	g_autoptr(GPtrArray) alone = g_ptr_array_new();
	g_ptr_array_add(alone, search);
	if (!search_begin(search, error) || !finish(select, alone, error))
		return NULL;
	return selection_ref(search->selection);
}

struct selection *
select_encryption(struct select *select, const struct mailaddr *recipient, GError **error)
{
	return select_any(select, recipient, NULL, SELECTION_ENCRYPT, error);
}

struct selection *
select_encryption_aliases(struct select *select, const struct mailaddr *recipient,
			  GPtrArray *aliases, GError **error)
{
	return select_any(select, recipient, aliases, SELECTION_ENCRYPT, error);
}

struct selection *
select_signing(struct select *select, const struct mailaddr *author, GError **error)
{
	return select_any(select, author, NULL, SELECTION_SIGN, error);
}

struct selection *
select_additional(struct select *select, const struct mailaddr *address, GError **error)
{
	return select_any(select, address, NULL, SELECTION_ADDITIONAL, error);
}

void
select_stats(struct select *select, struct cache_stats *stats)
{
	cache_stats(select->selections, stats);
}

/* What would mend a path that does not reach a root. */
static char *
path_advice(const struct verdict *verdict, const struct cert *cert)
{
	const struct cert *top =
	    verdict->path->len > 0 ? verdict->path->pdata[verdict->path->len - 1] : cert;

	if (!verdict->incomplete) {
		const char *remedy = verdict->reason + strlen(verdict->finding);

		return g_strdup_printf("%s, or add a CTL entry 'allow' for this certificate",
				       *remedy != '\0' ? remedy + strlen("; ")
						       : "get another certificate");
	}
	if (cert_is_self_signed(top))
		return g_strdup_printf(
		    "import the root '%s' into the root store, or add a CTL entry "
		    "'allow' for this certificate",
		    cert_subject(top));
	return g_strdup_printf(
	    "import the certificate of '%s', or add a CTL entry 'allow' for this "
	    "certificate",
	    cert_issuer(top));
}

char *
select_advice(const struct verdict *verdict, const struct cert *cert)
{
	g_autofree char *advice = NULL;

	if (verdict->state == VERDICT_VALID)
		return NULL;
	if (verdict->ctl == CTL_MARK_DENY || verdict->ctl == CTL_MARK_DENY_INHERITED) {
		advice = g_strdup_printf("remove the CTL entry on '%s'", verdict->ctl_subject);
	} else {
		switch (verdict->fault) {
		case CHAIN_FAULT_PATH:
			advice = path_advice(verdict, cert);
			break;
		case CHAIN_FAULT_EXPIRED:
			advice = g_strdup("get a new certificate, or add a CTL entry 'allow' with "
					  "'allow expired'");
			break;
		case CHAIN_FAULT_REVOCATION:
			advice = g_strdup("import or fetch the CRL, or add a CTL entry 'allow'");
			break;
		case CHAIN_FAULT_REVOKED:
		case CHAIN_FAULT_USAGE:
		case CHAIN_FAULT_ALGORITHM:
		case CHAIN_FAULT_OTHER:
		case CHAIN_FAULTS:
			advice = g_strdup("nothing makes it valid: choose another one");
			break;
		}
	}
	return g_strdup_printf("it will not be used: %s; to mend it: %s", verdict->finding, advice);
}
