/*
 * select_search - candidates from the store, verdicts from trust, and who of them is used.
 */
#include "pki/select_internal.h"

#include <string.h>

#include "pki/cert_cache.h"
#include "pki/crypto/capabilities.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/candidates.h"
#include "store/capabilities.h"
#include "store/preference_tags.h"
#include "store/scope_rows.h"

/* Of a candidate and its verdict, beside their texts. */
#define CANDIDATE_BYTES 768

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

struct search *
search_new(struct select *select, const struct mailaddr *address, GPtrArray *aliases,
	   enum selection_kind kind, const char *key)
{
	struct search *search = g_new0(struct search, 1);

	search->select = select;
	search->address = address;
	search->aliases = aliases;
	search->kind = kind;
	search->key = g_strdup(key);
	search->purpose = kind == SELECTION_SIGN ? TRUST_SIGN : TRUST_ENCRYPT;
	search->began = cache_moment(select->selections);
	search->chosen = g_ptr_array_new();
	search->emails = g_ptr_array_new_with_free_func(g_free);
	search->thumbprints = g_ptr_array_new();
	search->tags = change_tags_new();
	search->selection = selection_new();
	search->cost = sizeof(struct selection);
	return search;
}

void
search_free(struct search *search)
{
	if (search == NULL)
		return;
	g_free(search->key);
	preference_set_unref(search->preferences);
	g_clear_pointer(&search->scope_rows, g_hash_table_unref);
	g_ptr_array_unref(search->chosen);
	g_ptr_array_unref(search->emails);
	g_ptr_array_unref(search->thumbprints);
	g_array_unref(search->tags);
	selection_unref(search->selection);
	g_free(search);
}

/* What was chosen for the scopes of the address, nearest first. */
static gboolean
find_chosen(struct search *search, const char *untagged, GError **error)
{
	struct scope_cache *cache = preference_cache_scopes(search->select->preferences);
	g_autoptr(GPtrArray) scopes = scope_list(mailaddr_key(search->address), untagged);
	g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);

	for (guint i = 0; i < scopes->len; i++)
		g_ptr_array_add(keys, scope_key(scopes->pdata[i]));
	search->scope_rows =
	    scope_cache_load(cache, (const char *const *)keys->pdata, keys->len, error);
	if (search->scope_rows == NULL)
		return FALSE;
	for (guint i = 0; i < keys->len; i++) {
		const struct scope_rows *rows =
		    g_hash_table_lookup(search->scope_rows, keys->pdata[i]);
		change_tags_add(search->tags, CHANGE_SELECTION, keys->pdata[i]);
		for (guint k = 0; k < rows->selections->len; k++) {
			struct selection_row *row = rows->selections->pdata[k];
			if (row->kind == search->kind)
				g_ptr_array_add(search->chosen, row);
		}
	}
	return TRUE;
}

static void
want_email(struct search *search, const char *email_key)
{
	g_ptr_array_add(search->emails, g_strdup(email_key));
	change_tags_add(search->tags, CHANGE_ADDRESS, email_key);
}

gboolean
search_begin(struct search *search, GError **error)
{
	struct select *select = search->select;
	const char *key = mailaddr_key(search->address);
	g_autofree char *untagged = NULL;

	search->preferences =
	    preferences_resolve_tagged(select->preferences, key, search->tags, error);
	if (search->preferences == NULL)
		return FALSE;
	if (preference_choice(search->preferences, PREF_LOCALITY) == VALUE_LOCALITY_INTERNAL)
		untagged = scope_untagged(key, select->delimiter);
	if (!find_chosen(search, untagged, error))
		return FALSE;
	for (guint i = 0; i < search->chosen->len; i++) {
		const struct selection_row *row = search->chosen->pdata[i];
		g_ptr_array_add(search->thumbprints, row->thumbprint);
		change_tags_add(search->tags, CHANGE_CERT, row->thumbprint);
	}
	if (search->kind == SELECTION_ADDITIONAL)
		return TRUE;
	want_email(search, key);
	if (untagged != NULL && search->kind == SELECTION_ENCRYPT)
		want_email(search, untagged);
	for (guint i = 0; search->aliases != NULL && i < search->aliases->len; i++)
		want_email(search, mailaddr_key(search->aliases->pdata[i]));
	return TRUE;
}

static struct candidate *
find_candidate(const struct selection *selection, const char *thumbprint)
{
	for (guint i = 0; i < selection->candidates->len; i++) {
		struct candidate *candidate = selection->candidates->pdata[i];

		if (strcmp(cert_thumbprint(candidate->cert), thumbprint) == 0)
			return candidate;
	}
	return NULL;
}

/* What was chosen for more than one address is kept apart from their selections. */
static gboolean
is_shared(const struct scope *scope)
{
	return scope != NULL && scope->kind != SCOPE_USER;
}

/*
 * What stands beside the DER in a row was written by whoever has a filter's login; mail is
 * encrypted by what the certificate itself says.
 */
static gboolean
says_the_same(const struct cert *cert, const struct candidate_row *row)
{
	const GPtrArray *emails = cert_emails(cert);
	gboolean named = row->email == NULL;

	for (guint i = 0; i < emails->len && !named; i++)
		named = strcmp(mailaddr_key(emails->pdata[i]), row->email) == 0;
	return named && strcmp(cert_thumbprint(cert), row->thumbprint) == 0 &&
	       strcmp(cert_spki_sha256(cert), row->spki_sha256) == 0;
}

/* NULL: not to be used. */
static struct cert *
parse_candidate(struct search *search, const struct candidate_row *row, const struct scope *scope)
{
	CLEANUP(cert)
	struct cert *cert = is_shared(scope) ? cert_cache_get(search->select->certs,
							      row->thumbprint, row->der, NULL)
					     : cert_parse(row->der, NULL);

	if (cert == NULL)
		return NULL; /* import refuses such rows */
	if (!says_the_same(cert, row)) {
		log_warning("a certificate of the store is not what its row says and is not used",
			    "thumbprint", row->thumbprint, "address",
			    row->email != NULL ? row->email : "");
		return NULL;
	}
	if (!is_shared(scope))
		search->cost += cert_memory(cert);
	return g_steal_pointer(&cert);
}

/* The verdict, and the reason when it cannot be used. */
static gboolean
judge_candidate(struct search *search, struct candidate *candidate, const struct candidate_row *row,
		const struct scope *scope, GError **error)
{
	struct trust *trust = search->select->trust;
	struct trust_mode mode = trust_mode_of(search->preferences, search->purpose);

	if (is_shared(scope))
		candidate->verdict = trust_judge_tagged(trust, candidate->cert, search->purpose,
							mode, search->tags, error);
	else
		candidate->verdict = trust_judge_row(trust, candidate->cert, row->ctl,
						     search->purpose, mode, search->tags, error);
	if (candidate->verdict == NULL)
		return FALSE;
	search->selection->expires = MIN(search->selection->expires, candidate->verdict->expires);
	if (candidate->verdict->state != VERDICT_VALID)
		candidate->why = g_strdup(candidate->verdict->reason);
	return TRUE;
}

/* Adds a candidate unless it is there already; the more deliberate origin came first. chosen: by
 * hand, NULL when its address was enough. */
static gboolean
add_candidate(struct search *search, const struct candidate_row *row, enum candidate_origin origin,
	      const struct selection_row *chosen, GError **error)
{
	struct selection *selection = search->selection;
	const struct scope *scope = chosen != NULL ? chosen->scope : NULL;
	struct candidate *present = find_candidate(selection, row->thumbprint);

	if (present != NULL)
		present->decrypts |= chosen != NULL && chosen->decrypt;
	if (present != NULL || selection->candidates->len >= CANDIDATES_MAX)
		return TRUE;
	CLEANUP(cert) struct cert *cert = parse_candidate(search, row, scope);
	if (cert == NULL)
		return TRUE;
	struct candidate *candidate = g_new0(struct candidate, 1);
	candidate->cert = g_steal_pointer(&cert);
	candidate->origin = origin;
	candidate->scope = scope != NULL ? scope_text(scope) : NULL;
	candidate->decrypts = chosen != NULL && chosen->decrypt;
	candidate->by_itself = row->by_itself;
	candidate->has_key = row->has_key; /* of the row's query: no look-up of its own */
	search->cost += CANDIDATE_BYTES;
	change_tags_add(search->tags, CHANGE_KEY, row->spki_sha256);
	g_ptr_array_add(selection->candidates, candidate);
	if (!judge_candidate(search, candidate, row, scope, error))
		return FALSE;
	/* S1: a new key that came by itself waits; choosing it by hand is the answer to that. */
	if (row->pending && origin == CANDIDATE_AUTOMATIC && candidate->why == NULL)
		candidate->why = g_strdup("waits for an administrator: a new key for this address");
	return TRUE;
}

static gboolean
add_chosen(struct search *search, const GPtrArray *rows, GError **error)
{
	for (guint i = 0; i < search->chosen->len; i++) {
		const struct selection_row *chosen = search->chosen->pdata[i];
		enum candidate_origin origin =
		    search->kind == SELECTION_ADDITIONAL ? CANDIDATE_ADDITIONAL
		    : chosen->scope->kind == SCOPE_USER  ? CANDIDATE_MANUAL
							 : CANDIDATE_INHERITED;

		gboolean present = FALSE;

		for (guint k = 0; k < rows->len; k++) {
			const struct candidate_row *row = rows->pdata[k];

			if (row->email != NULL || strcmp(row->thumbprint, chosen->thumbprint) != 0)
				continue;
			present = TRUE;
			if (!add_candidate(search, row, origin, chosen, error))
				return FALSE;
		}
		search->selection->absent += !present;
	}
	return TRUE;
}

static gboolean
is_wanted(const struct search *search, const struct candidate_row *row)
{
	return row->email != NULL &&
	       g_ptr_array_find_with_equal_func(search->emails, row->email, g_str_equal, NULL);
}

static gboolean
add_matching(struct search *search, const GPtrArray *rows, GError **error)
{
	gboolean automatic = preference_on(search->preferences, PREF_AUTO_SELECT_CERTIFICATES);

	for (guint i = 0; i < rows->len; i++)
		if (is_wanted(search, rows->pdata[i]) &&
		    !add_candidate(search, rows->pdata[i], CANDIDATE_AUTOMATIC, NULL, error))
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

/* The newest announcement of any of his addresses. */
static const struct capability_row *
newest_announcement(const struct search *search, const GPtrArray *announced)
{
	const struct capability_row *newest = NULL;

	for (guint i = 0; i < announced->len; i++) {
		const struct capability_row *row = announced->pdata[i];

		if ((newest == NULL || row->signed_at > newest->signed_at) &&
		    g_ptr_array_find_with_equal_func(search->emails, row->email, g_str_equal, NULL))
			newest = row;
	}
	return newest;
}

/* One that says nothing of itself may stand for a program that reads no more than all do. */
static void
ask_certificates(struct selection *selection)
{
	struct capabilities all = { G_MAXUINT, G_MAXUINT };

	for (guint i = 0; i < selection->used->len; i++) {
		struct capabilities one;

		if (!capabilities_of_cert(selection->used->pdata[i], &one))
			return;
		all.ciphers &= one.ciphers;
		all.transports &= one.transports;
	}
	if (selection->used->len == 0)
		return;
	selection->announced = TRUE;
	selection->ciphers = all.ciphers;
	selection->transports = all.transports;
}

static void
take_announcements(struct search *search, const GPtrArray *announced)
{
	const struct capability_row *newest = newest_announcement(search, announced);

	if (newest == NULL) {
		ask_certificates(search->selection);
		return;
	}
	search->selection->announced = TRUE;
	search->selection->ciphers = newest->ciphers;
	search->selection->transports = newest->transports;
}

gboolean
search_finish(struct search *search, const struct candidates *found, GError **error)
{
	if (!add_chosen(search, found->certs, error) || !add_matching(search, found->certs, error))
		return FALSE;
	if (search->kind == SELECTION_SIGN)
		use_best_signer(search);
	else
		use_all(search);
	if (search->kind == SELECTION_ENCRYPT)
		take_announcements(search, found->announced);
	explain_nothing(search);
	return TRUE;
}
