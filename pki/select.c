/*
 * select - candidates from the store, verdicts from trust, remembered by address.
 */
#include "pki/select.h"

#include <string.h>

#include "pki/cert_cache.h"
#include "store/base/error.h"
#include "store/certs.h"
#include "store/db/changelog.h"
#include "store/preferences.h"
#include "store/scopes.h"
#include "store/selections.h"

#define SELECTIONS_MAX 50000
#define CERTS_MAX_BYTES (64 * 1024 * 1024)
#define CANDIDATES_MAX 200

static const enum change_kind rests_on[] = {
	CHANGE_CERT, CHANGE_KEY,        CHANGE_ROOT,      CHANGE_CRL,
	CHANGE_CTL,  CHANGE_PREFERENCE, CHANGE_SELECTION, CHANGE_CA,
};

struct remembered {
	struct selection *selection;
	guint64 generations[G_N_ELEMENTS(rests_on)];
};

struct select {
	struct db *db;
	struct changelog *changelog;
	struct clock *clock;
	struct trust *trust;
	struct preference_cache *preferences;
	char delimiter;
	gint64 cache_grace;
	GMutex lock;
	GHashTable *selections; /* key -> struct remembered */
	struct cert_cache *certs;
	guint64 hits, misses;
};

/* One selection in the making. */
struct search {
	struct select *select;
	const struct mailaddr *address;
	GPtrArray *aliases; /* struct mailaddr, or NULL */
	struct preference_set *preferences;
	GPtrArray *scopes; /* struct scope, nearest first */
	GPtrArray *chosen; /* struct selection_row, of all kinds */
	enum selection_kind kind;
	enum trust_purpose purpose;
	struct selection *selection;
};

static void
remembered_free(gpointer p)
{
	struct remembered *remembered = p;

	selection_unref(remembered->selection);
	g_free(remembered);
}

struct select *
select_new(struct db *db, struct changelog *changelog, struct clock *clock, struct trust *trust,
	   struct preference_cache *preferences, char delimiter, gint64 cache_grace)
{
	struct select *select = g_new0(struct select, 1);

	select->db = db;
	select->changelog = changelog;
	select->clock = clock;
	select->trust = trust;
	select->preferences = preferences;
	select->delimiter = delimiter;
	select->cache_grace = cache_grace;
	g_mutex_init(&select->lock);
	select->selections =
	    g_hash_table_new_full(g_str_hash, g_str_equal, g_free, remembered_free);
	select->certs = cert_cache_new(CERTS_MAX_BYTES);
	return select;
}

void
select_free(struct select *select)
{
	if (select == NULL)
		return;
	g_hash_table_unref(select->selections);
	cert_cache_free(select->certs);
	g_mutex_clear(&select->lock);
	g_free(select);
}

static void
candidate_free(gpointer p)
{
	struct candidate *candidate = p;

	cert_unref(candidate->cert);
	verdict_unref(candidate->verdict);
	g_free(candidate->scope);
	g_free(candidate->why);
	g_free(candidate);
}

static struct selection *
selection_new(void)
{
	struct selection *selection = g_new0(struct selection, 1);

	selection->references = 1;
	selection->candidates = g_ptr_array_new_with_free_func(candidate_free);
	selection->used = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	selection->expires = CLOCK_NEVER;
	return selection;
}

struct selection *
selection_ref(struct selection *selection)
{
	g_atomic_int_inc(&selection->references);
	return selection;
}

void
selection_unref(struct selection *selection)
{
	if (selection == NULL || !g_atomic_int_dec_and_test(&selection->references))
		return;
	g_ptr_array_unref(selection->candidates);
	g_ptr_array_unref(selection->used);
	g_free(selection->why);
	g_free(selection);
}

const char *
candidate_origin_name(enum candidate_origin origin)
{
	switch (origin) {
	case CANDIDATE_AUTOMATIC:
		return "automatic";
	case CANDIDATE_MANUAL:
		return "by hand";
	case CANDIDATE_INHERITED:
		return "inherited";
	case CANDIDATE_ADDITIONAL:
		return "additional";
	}
	return "automatic";
}

static struct candidate *
find_candidate(const struct selection *selection, const struct cert *cert)
{
	for (guint i = 0; i < selection->candidates->len; i++) {
		struct candidate *candidate = selection->candidates->pdata[i];

		if (cert_equal(candidate->cert, cert))
			return candidate;
	}
	return NULL;
}

/* The verdict, and the reason when it cannot be used. */
static gboolean
judge_candidate(struct search *search, struct candidate *candidate, GError **error)
{
	struct select *select = search->select;

	candidate->verdict =
	    trust_judge_with(select->trust, candidate->cert, search->purpose,
			     trust_revocation(search->preferences, search->purpose), error);
	if (candidate->verdict == NULL)
		return FALSE;
	search->selection->expires = MIN(search->selection->expires, candidate->verdict->expires);
	if (candidate->verdict->state != VERDICT_VALID)
		candidate->why = g_strdup(candidate->verdict->reason);
	return TRUE;
}

/* Adds a candidate unless it is there already; the more deliberate origin came first. */
static gboolean
add_candidate(struct search *search, const struct cert_row *row, enum candidate_origin origin,
	      const struct scope *scope, GError **error)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(cert)
	struct cert *cert = cert_cache_get(search->select->certs, row->thumbprint, row->der, &why);

	if (cert == NULL || search->selection->candidates->len >= CANDIDATES_MAX ||
	    find_candidate(search->selection, cert) != NULL)
		return TRUE; /* what cannot be read cannot be used; import refuses such rows */
	struct candidate *candidate = g_new0(struct candidate, 1);
	candidate->cert = cert_ref(cert);
	candidate->origin = origin;
	candidate->scope = scope != NULL ? scope_text(scope) : NULL;
	candidate->has_key = row->has_key; /* of the row's query: no look-up of its own */
	g_ptr_array_add(search->selection->candidates, candidate);
	if (!judge_candidate(search, candidate, error))
		return FALSE;
	/* S1: a new key that came by itself waits; choosing it by hand is the answer to that. */
	if (row->pending && origin == CANDIDATE_AUTOMATIC && candidate->why == NULL)
		candidate->why = g_strdup("waits for an administrator: a new key for this address");
	return TRUE;
}

static gboolean
add_chosen(struct search *search, GError **error)
{
	g_autoptr(GPtrArray) thumbprints = g_ptr_array_new();
	g_autoptr(GPtrArray) rows = NULL;

	for (guint i = 0; i < search->chosen->len; i++) {
		const struct selection_row *chosen = search->chosen->pdata[i];

		if (chosen->kind == search->kind)
			g_ptr_array_add(thumbprints, chosen->thumbprint);
	}
	if (thumbprints->len == 0)
		return TRUE;
	rows = certs_by_thumbprints(search->select->db, (const char *const *)thumbprints->pdata,
				    thumbprints->len, error);
	if (rows == NULL)
		return FALSE;
	for (guint i = 0; i < search->chosen->len; i++) {
		const struct selection_row *chosen = search->chosen->pdata[i];
		enum candidate_origin origin =
		    search->kind == SELECTION_ADDITIONAL ? CANDIDATE_ADDITIONAL
		    : chosen->scope->kind == SCOPE_USER  ? CANDIDATE_MANUAL
							 : CANDIDATE_INHERITED;

		for (guint k = 0; chosen->kind == search->kind && k < rows->len; k++) {
			const struct cert_row *row = rows->pdata[k];

			if (strcmp(row->thumbprint, chosen->thumbprint) == 0 &&
			    !add_candidate(search, row, origin, chosen->scope, error))
				return FALSE;
		}
	}
	return TRUE;
}

static gboolean
add_matching(struct search *search, GError **error)
{
	g_autoptr(GPtrArray) keys = g_ptr_array_new();
	g_autofree char *untagged =
	    preference_choice(search->preferences, PREF_LOCALITY) == VALUE_LOCALITY_INTERNAL &&
		    search->kind == SELECTION_ENCRYPT
		? scope_untagged(mailaddr_key(search->address), search->select->delimiter)
		: NULL;
	gboolean automatic = preference_on(search->preferences, PREF_AUTO_SELECT_CERTIFICATES);

	g_ptr_array_add(keys, (gpointer)mailaddr_key(search->address));
	if (untagged != NULL)
		g_ptr_array_add(keys, untagged);
	for (guint i = 0; search->aliases != NULL && i < search->aliases->len; i++)
		g_ptr_array_add(keys, (gpointer)mailaddr_key(search->aliases->pdata[i]));
	g_autoptr(GPtrArray) rows =
	    certs_by_emails(search->select->db, (const char *const *)keys->pdata, keys->len, error);
	if (rows == NULL)
		return FALSE;
	for (guint i = 0; i < rows->len; i++)
		if (!add_candidate(search, rows->pdata[i], CANDIDATE_AUTOMATIC, NULL, error))
			return FALSE;
	for (guint i = 0; !automatic && i < search->selection->candidates->len; i++) {
		struct candidate *candidate = search->selection->candidates->pdata[i];

		if (candidate->origin != CANDIDATE_AUTOMATIC || candidate->why != NULL)
			continue;
		candidate->why = g_strdup_printf(
		    "automatic selection is off (%s)",
		    preference_scope(search->preferences, PREF_AUTO_SELECT_CERTIFICATES));
	}
	return TRUE;
}

static char *
why_used(const struct candidate *candidate)
{
	switch (candidate->origin) {
	case CANDIDATE_AUTOMATIC:
		return g_strdup("its address matches");
	case CANDIDATE_MANUAL:
	case CANDIDATE_INHERITED:
		return g_strdup_printf("chosen for %s", candidate->scope);
	case CANDIDATE_ADDITIONAL:
		return g_strdup_printf("additional certificate of %s", candidate->scope);
	}
	return g_strdup("");
}

static void
use(struct selection *selection, struct candidate *candidate)
{
	candidate->used = TRUE;
	candidate->why = why_used(candidate);
	g_ptr_array_add(selection->used, cert_ref(candidate->cert));
}

/* Encryption and additional: all that may be used are. */
static void
use_all(struct search *search)
{
	for (guint i = 0; i < search->selection->candidates->len; i++) {
		struct candidate *candidate = search->selection->candidates->pdata[i];

		if (candidate->why == NULL)
			use(search->selection, candidate);
	}
}

/* S3: the nearest choice by hand, then digitalSignature, latest notBefore, latest notAfter,
 * smallest thumbprint: the same on every host. Choices stand in the order of their scopes. */
static int
compare_signers(const struct candidate *a, const struct candidate *b)
{
	gboolean a_chosen = a->origin != CANDIDATE_AUTOMATIC;
	gboolean b_chosen = b->origin != CANDIDATE_AUTOMATIC;
	gint64 order;

	if (a_chosen != b_chosen)
		return a_chosen ? -1 : 1;
	if (a_chosen)
		return 0;
	order = (gint64)cert_has_digital_signature(b->cert) - cert_has_digital_signature(a->cert);
	if (order == 0)
		order = (cert_not_before(b->cert) > cert_not_before(a->cert)) -
			(cert_not_before(b->cert) < cert_not_before(a->cert));
	if (order == 0)
		order = (cert_not_after(b->cert) > cert_not_after(a->cert)) -
			(cert_not_after(b->cert) < cert_not_after(a->cert));
	if (order == 0)
		order = strcmp(cert_thumbprint(a->cert), cert_thumbprint(b->cert));
	return (int)order;
}

static void
refuse_signers(struct search *search)
{
	gboolean as_domain = preference_on(search->preferences, PREF_SIGN_AS_DOMAIN);

	for (guint i = 0; i < search->selection->candidates->len; i++) {
		struct candidate *candidate = search->selection->candidates->pdata[i];

		if (candidate->why != NULL)
			continue;
		if (!candidate->has_key)
			candidate->why = g_strdup("its private key is not held here");
		else if (candidate->origin == CANDIDATE_INHERITED && !as_domain &&
			 !cert_has_email(candidate->cert, search->address))
			candidate->why = g_strdup_printf(
			    "it does not name %s, and sign_as_domain is "
			    "off (%s)",
			    mailaddr_key(search->address),
			    preference_scope(search->preferences, PREF_SIGN_AS_DOMAIN));
	}
}

static void
use_best_signer(struct search *search)
{
	struct candidate *best = NULL;

	refuse_signers(search);
	for (guint i = 0; i < search->selection->candidates->len; i++) {
		struct candidate *candidate = search->selection->candidates->pdata[i];

		if (candidate->why == NULL &&
		    (best == NULL || compare_signers(candidate, best) < 0))
			best = candidate;
	}
	for (guint i = 0; i < search->selection->candidates->len; i++) {
		struct candidate *candidate = search->selection->candidates->pdata[i];

		if (candidate->why == NULL && candidate != best)
			candidate->why = g_strdup(best->origin != CANDIDATE_AUTOMATIC
						      ? "another one was chosen by hand"
						      : "another one is newer");
	}
	if (best != NULL)
		use(search->selection, best);
}

static void
explain_nothing(struct search *search)
{
	const struct selection *selection = search->selection;

	if (selection->used->len > 0)
		return;
	if (selection->candidates->len == 0) {
		search->selection->why =
		    g_strdup_printf("no certificate for %s", mailaddr_key(search->address));
		return;
	}
	const struct candidate *first = selection->candidates->pdata[0];
	search->selection->why = g_strdup_printf("no usable certificate for %s: %s",
						 mailaddr_key(search->address), first->why);
}

static gboolean
run_search(struct search *search, GError **error)
{
	struct select *select = search->select;
	const char *key = mailaddr_key(search->address);
	g_autofree char *untagged = NULL;

	search->preferences = preferences_resolve(select->preferences, key, error);
	if (search->preferences == NULL)
		return FALSE;
	if (preference_choice(search->preferences, PREF_LOCALITY) == VALUE_LOCALITY_INTERNAL)
		untagged = scope_untagged(key, select->delimiter);
	search->scopes = scope_list(key, untagged);
	search->chosen = selections_by_scopes(select->db, search->scopes, error);
	if (search->chosen == NULL || !add_chosen(search, error))
		return FALSE;
	if (search->kind != SELECTION_ADDITIONAL && !add_matching(search, error))
		return FALSE;
	if (search->kind == SELECTION_SIGN)
		use_best_signer(search);
	else
		use_all(search);
	explain_nothing(search);
	return TRUE;
}

static struct selection *
search_now(struct select *select, const struct mailaddr *address, GPtrArray *aliases,
	   enum selection_kind kind, GError **error)
{
	struct search search = {
		.select = select,
		.address = address,
		.aliases = aliases,
		.kind = kind,
		.purpose = kind == SELECTION_SIGN ? TRUST_SIGN : TRUST_ENCRYPT,
		.selection = selection_new(),
	};

	if (!run_search(&search, error)) {
		selection_unref(search.selection);
		search.selection = NULL;
	}
	preference_set_unref(search.preferences);
	g_clear_pointer(&search.scopes, g_ptr_array_unref);
	g_clear_pointer(&search.chosen, g_ptr_array_unref);
	return search.selection;
}

static struct selection *
recall(struct select *select, const char *key, const guint64 *generations)
{
	struct selection *selection = NULL;

	if (!changelog_fresh(select->changelog, select->cache_grace))
		return NULL;
	gint64 now = clock_now(select->clock);
	g_mutex_lock(&select->lock);
	const struct remembered *remembered = g_hash_table_lookup(select->selections, key);
	if (remembered != NULL && remembered->selection->expires >= now &&
	    memcmp(remembered->generations, generations, sizeof(remembered->generations)) == 0)
		selection = selection_ref(remembered->selection);
	*(selection != NULL ? &select->hits : &select->misses) += 1;
	g_mutex_unlock(&select->lock);
	return selection;
}

static void
remember(struct select *select, const char *key, const guint64 *generations,
	 struct selection *selection)
{
	struct remembered *remembered = g_new0(struct remembered, 1);

	remembered->selection = selection_ref(selection);
	memcpy(remembered->generations, generations, sizeof(remembered->generations));
	g_mutex_lock(&select->lock);
	if (g_hash_table_size(select->selections) >= SELECTIONS_MAX)
		g_hash_table_remove_all(select->selections);
	g_hash_table_replace(select->selections, g_strdup(key), remembered);
	g_mutex_unlock(&select->lock);
}

static struct selection *
select_any(struct select *select, const struct mailaddr *address, GPtrArray *aliases,
	   enum selection_kind kind, GError **error)
{
	GString *key = g_string_new(selection_kind_name(kind));
	guint64 generations[G_N_ELEMENTS(rests_on)];

	g_string_append_printf(key, " %s", mailaddr_key(address));
	for (guint i = 0; aliases != NULL && i < aliases->len; i++)
		g_string_append_printf(key, " %s", mailaddr_key(aliases->pdata[i]));
	g_autofree char *text = g_string_free(key, FALSE);
	for (gsize i = 0; i < G_N_ELEMENTS(rests_on); i++)
		generations[i] = changelog_generation(select->changelog, rests_on[i]);
	struct selection *selection = recall(select, text, generations);
	if (selection != NULL)
		return selection;
	selection = search_now(select, address, aliases, kind, error);
	/* Without a change log nothing would ever make it stale. */
	if (selection != NULL && select->changelog != NULL)
		remember(select, text, generations, selection);
	return selection;
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
select_stats(struct select *select, guint64 *hits, guint64 *misses)
{
	g_mutex_lock(&select->lock);
	*hits = select->hits;
	*misses = select->misses;
	g_mutex_unlock(&select->lock);
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
