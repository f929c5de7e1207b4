/*
 * crl_load - examine (who signed, is he trusted), decide (is it newer), put (rows).
 */
#include "pki/crl_load.h"

#include <string.h>

#include "pki/crypto/bundle.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/chain.h"
#include "pki/crypto/crl.h"
#include "pki/issuer_pool.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/crl_entries.h"
#include "store/db/db.h"
#include "store/db/tx.h"

#define SIGNERS_TRIED_MAX 64

struct crl_loader {
	struct db *db;
	struct changelog *changelog;
	struct issuer_pool *pool; /* without a change log: of one load */
};

/* One list on its way into the store, or looked at again. */
struct loading {
	struct crl_loader *loader;
	struct tx *tx;
	const struct crl *crl;
	const struct cert *own; /* certificate of our own CA, or NULL */
	gint64 now;
	struct crl_row row;        /* texts borrowed, but for note */
	const struct crl_row *was; /* as it stands in the store, or NULL */
	struct cert *signer;       /* or NULL */
	char *note;
};

enum order { ORDER_NEWER, ORDER_OLDER, ORDER_CONFLICT };

const char *
crl_load_outcome_name(enum crl_load_outcome outcome)
{
	switch (outcome) {
	case CRL_LOAD_IN_FORCE:
		return "in force";
	case CRL_LOAD_KEPT:
		return "kept without effect";
	case CRL_LOAD_PRESENT:
		return "already there";
	case CRL_LOAD_OLDER:
		return "older";
	case CRL_LOAD_BROKEN:
		return "broken";
	}
	return "broken";
}

struct crl_loader *
crl_loader_new(struct db *db, struct changelog *changelog)
{
	struct crl_loader *loader = g_new0(struct crl_loader, 1);

	loader->db = db;
	loader->changelog = changelog;
	return loader;
}

void
crl_loader_free(struct crl_loader *loader)
{
	if (loader == NULL)
		return;
	issuer_pool_free(loader->pool);
	g_free(loader);
}

static struct issuer_pool *
pool_of(struct crl_loader *loader)
{
	if (loader->changelog == NULL)
		g_clear_pointer(&loader->pool, issuer_pool_free);
	if (loader->pool == NULL)
		loader->pool = issuer_pool_new(loader->db, loader->changelog, NULL);
	return loader->pool;
}

/* --- examine --- */

static void
set_state(struct loading *loading, enum crl_state state, char *taken_note)
{
	loading->row.state = state;
	g_free(loading->note);
	loading->note = taken_note;
	loading->row.note = taken_note;
}

static void
set_signer(struct loading *loading, const struct cert *cert)
{
	if (loading->signer != NULL)
		cert_unref(loading->signer);
	loading->signer = cert_ref((struct cert *)cert);
	loading->row.signer = (char *)cert_thumbprint(cert);
	loading->row.signer_key = (char *)cert_spki_sha256(cert);
}

/* Everybody of that name, roots first: theirs is the word that counts. */
static GPtrArray *
named_issuers(struct issuer_pool *pool, GPtrArray *roots, const char *subject_key, GError **error)
{
	g_autoptr(GPtrArray) named = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);

	for (guint i = 0; i < roots->len; i++)
		if (strcmp(cert_subject_key(roots->pdata[i]), subject_key) == 0)
			g_ptr_array_add(named, cert_ref(roots->pdata[i]));
	if (!issuer_pool_named(pool, subject_key, named, error))
		return NULL;
	g_autoptr(GPtrArray) above = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	for (guint i = 0; i < named->len; i++)
		if (cert_key_kind(named->pdata[i]) == KEY_KIND_DSA &&
		    !issuer_pool_climb(pool, named->pdata[i], above, error))
			return NULL;
	chain_complete_keys(named, above, roots);
	return g_steal_pointer(&named);
}

/* *why NULL: there is a path to a root, whatever the dates of the signer itself. */
static gboolean
find_distrust(struct loading *loading, struct issuer_pool *pool, GPtrArray *roots,
	      struct cert *signer, char **why, GError **error)
{
	g_autoptr(GPtrArray) above = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	struct chain_options options = {
		.anchors = roots,
		.untrusted = above,
		.at = loading->now,
		.purpose = CHAIN_PURPOSE_ANY,
		.revocation = CHAIN_REVOCATION_OFF,
		.allow_legacy = TRUE,
	};

	if (!issuer_pool_climb(pool, signer, above, error))
		return FALSE;
	CLEANUP(chain_report) struct chain_report *report = chain_check(signer, &options, error);
	if (report == NULL)
		return FALSE;
	*why = g_strdup(report->faults[CHAIN_FAULT_PATH]);
	return TRUE;
}

static void
say_unsigned(struct loading *loading, GPtrArray *named)
{
	const struct crl *crl = loading->crl;
	gboolean may_sign = FALSE, fits = FALSE;

	for (guint i = 0; i < named->len; i++) {
		const struct cert *cert = named->pdata[i];
		gboolean meant = crl_aki(crl) == NULL || cert_ski(cert) == NULL ||
				 strcmp(crl_aki(crl), cert_ski(cert)) == 0;

		fits |= meant;
		may_sign |= meant && (cert_key_usage(cert) & KEY_USAGE_CRL_SIGN) != 0;
	}
	if (named->len == 0)
		set_state(loading, CRL_STATE_NO_ISSUER,
			  g_strdup_printf("no certificate of '%s' is in the store: import the CA "
					  "that issued it",
					  crl_issuer(crl)));
	else if (!fits)
		set_state(loading, CRL_STATE_NO_ISSUER,
			  g_strdup_printf("no certificate of '%s' in the store has the key %s that "
					  "it names: import the one that has",
					  crl_issuer(crl), crl_aki(crl)));
	else if (!may_sign)
		set_state(loading, CRL_STATE_NO_ISSUER,
			  g_strdup_printf("the certificate of '%s' must not sign revocation lists: "
					  "its key usage lacks cRLSign",
					  crl_issuer(crl)));
	else
		set_state(loading, CRL_STATE_BAD_SIGNATURE,
			  g_strdup_printf("its signature fits no certificate of '%s' in the store: "
					  "it is damaged, forged, or of another key",
					  crl_issuer(crl)));
}

static gboolean
find_signer(struct loading *loading, GError **error)
{
	struct issuer_pool *pool = pool_of(loading->loader);
	g_autoptr(GPtrArray) roots = issuer_pool_roots(pool, error);
	g_autoptr(GPtrArray) named =
	    roots != NULL ? named_issuers(pool, roots, crl_issuer_key(loading->crl), error) : NULL;

	if (named == NULL)
		return FALSE;
	for (guint i = 0; i < MIN(named->len, SIGNERS_TRIED_MAX); i++) {
		struct cert *cert = named->pdata[i];
		g_autofree char *why = NULL;

		if (!crl_is_signed_by(loading->crl, cert))
			continue;
		if (!find_distrust(loading, pool, roots, cert, &why, error))
			return FALSE;
		set_signer(loading, cert);
		if (why == NULL) {
			set_state(loading, CRL_STATE_USABLE, g_strdup(""));
			return TRUE;
		}
		set_state(
		    loading, CRL_STATE_UNTRUSTED,
		    g_strdup_printf("its issuer '%s' is not trusted: %s", cert_subject(cert), why));
	}
	if (loading->signer == NULL)
		say_unsigned(loading, named);
	return TRUE;
}

static gboolean
examine(struct loading *loading, GError **error)
{
	if (loading->own != NULL && crl_is_signed_by(loading->crl, loading->own)) {
		set_signer(loading, loading->own);
		set_state(loading, CRL_STATE_USABLE, g_strdup(""));
	} else if (!find_signer(loading, error)) {
		return FALSE;
	}
	if (loading->row.state == CRL_STATE_USABLE && crl_has_unknown_critical(loading->crl))
		set_state(loading, CRL_STATE_UNSUPPORTED,
			  g_strdup("it has a critical extension that is not known: what it names "
				   "is revoked, for the rest it says nothing"));
	return TRUE;
}

/* --- decide --- */

static enum order
compare(const struct crl_row *new, const struct crl_row *current)
{
	int date =
	    (new->this_update > current->this_update) - (new->this_update < current->this_update);
	int number = new->number != NULL && current->number != NULL
			 ? crl_number_compare(new->number, current->number)
			 : 0;

	if (date <= 0 && number <= 0)
		return ORDER_OLDER;
	return date >= 0 && number >= 0 ? ORDER_NEWER : ORDER_CONFLICT;
}

static gboolean
is_early(const struct crl_row *row, gint64 now)
{
	return row->this_update > now + CRL_EARLY_SECONDS;
}

static gboolean
is_over(const struct crl_row *row, gint64 now)
{
	return row->next_update != CLOCK_NEVER && row->next_update < now;
}

static char *
name_list(const struct crl_row *row)
{
	g_autofree char *when = clock_format(row->this_update);

	return row->number != NULL ? g_strdup_printf("number %s of %s", row->number, when)
				   : g_strdup_printf("the one of %s", when);
}

static void
say_conflict(struct loading *loading, const struct crl_row *current)
{
	g_autofree char *that = name_list(current);

	set_state(
	    loading, CRL_STATE_BACKWARDS,
	    g_strdup_printf("against the one in force, %s, its %s: it is used when that one is "
			    "out of date",
			    that,
			    loading->row.this_update > current->this_update
				? "date is later and its number is smaller"
				: "number is greater and its date is earlier"));
}

/* May the list take the place of the one in force? FALSE: *outcome, or its state, says why. */
static gboolean
may_replace(struct loading *loading, const struct crl_row *current, enum crl_load_outcome *outcome)
{
	const struct crl_row *new = &loading->row;
	gint64 now = loading->now;
	gboolean current_counts = !is_early(current, now) && !is_over(current, now);
	g_autofree char *that = name_list(current);

	*outcome = CRL_LOAD_KEPT;
	/* Our own CA counts its lists in the database; its clock may have been set back. */
	if (loading->own != NULL && current->number != NULL &&
	    crl_number_compare(new->number, current->number) > 0)
		return TRUE;
	switch (compare(new, current)) {
	case ORDER_OLDER:
		*outcome = CRL_LOAD_OLDER;
		set_state(loading, CRL_STATE_BACKWARDS,
			  g_strdup_printf("the store has a newer one: %s", that));
		return FALSE;
	case ORDER_CONFLICT:
		if (!current_counts && !is_early(new, now) &&
		    (is_early(current, now) || new->next_update > current->next_update))
			return TRUE;
		say_conflict(loading, current);
		return FALSE;
	case ORDER_NEWER:
		break;
	}
	if (current_counts && is_early(new, now)) {
		set_state(loading, CRL_STATE_EARLY,
			  g_strdup_printf("it is dated in the future: %s stays in force until then",
					  that));
		return FALSE;
	}
	if (current_counts && is_over(new, now)) {
		set_state(loading, CRL_STATE_EXPIRED,
			  g_strdup_printf("it is out of date, and %s is not", that));
		return FALSE;
	}
	return TRUE;
}

/* --- put --- */

struct writing {
	struct copy *copy;
	gint64 crl_id;
};

static gboolean
write_entry(const guint8 *serial, gsize length, const struct crl_item *item, gpointer data)
{
	struct writing *writing = data;

	crls_entries_add(writing->copy, writing->crl_id, serial, length, item->issuer_key,
			 item->revoked_at, (gint)item->reason);
	return !copy_failed(writing->copy);
}

static gboolean
write_entries(struct loading *loading, GError **error)
{
	struct writing writing = { .crl_id = loading->row.id };

	if (crl_entry_count(loading->crl) == 0)
		return TRUE;
	writing.copy = crls_entries_begin(loading->tx, error);
	if (writing.copy == NULL)
		return FALSE;
	crl_foreach_octets(loading->crl, write_entry, &writing);
	return copy_end(writing.copy, NULL, error);
}

/* A delta that the new list includes has done its work. */
static gboolean
is_included(const struct crl_row *delta, const struct crl_row *complete)
{
	return delta->number == NULL || complete->number == NULL ||
	       crl_number_compare(delta->number, complete->number) <= 0;
}

static gboolean
retire(struct loading *loading, const struct crl_row *current, GError **error)
{
	const struct crl_row *row = &loading->row;
	gboolean is_delta = row->base_number != NULL;
	gint64 beside[2] = { row->id, 0 };
	CLEANUP(crl_row) struct crl_row *other = NULL;

	if (!crls_current(loading->tx, row->line, !is_delta, &other, error))
		return FALSE;
	gboolean included = !is_delta && other != NULL && is_included(other, row);
	if (other != NULL && !included)
		beside[1] = other->id;
	if (included && !crls_retire(loading->tx, other, beside, 1, error))
		return FALSE;
	return current == NULL ||
	       crls_retire(loading->tx, current, beside, beside[1] != 0 ? 2 : 1, error);
}

/* All of it, and last the word that it counts: there is one in force in a line. */
static gboolean
put_in_force(struct loading *loading, const struct crl_row *current, GError **error)
{
	struct crl_row *row = &loading->row;

	row->state = CRL_STATE_EARLY;
	if (row->id == 0 ? !crls_insert(loading->tx, row, error)
			 : !crls_entries_drop(loading->tx, row->id, error))
		return FALSE;
	if (!write_entries(loading, error) || !retire(loading, current, error))
		return FALSE;
	set_state(loading, CRL_STATE_USABLE, g_strdup(""));
	return crls_update(loading->tx, row, error);
}

static gboolean
put_kept(struct loading *loading, GError **error)
{
	struct crl_row *row = &loading->row;

	if (row->id == 0)
		return crls_insert(loading->tx, row, error) && crls_prune(loading->tx, row, error);
	/* As it was: nothing is written, or every look would be a change. */
	if (loading->was->state == row->state && loading->was->line == row->line &&
	    strcmp(loading->was->note, row->note) == 0)
		return TRUE;
	return crls_entries_drop(loading->tx, row->id, error) &&
	       crls_update(loading->tx, row, error);
}

/* An older one that is in the store already (of a version before): what it said stays known. */
static gboolean
put_aside(struct loading *loading, const struct crl_row *current, GError **error)
{
	gint64 beside[1] = { current->id };

	return loading->row.id == 0 || crls_retire(loading->tx, &loading->row, beside, 1, error);
}

static gboolean
decide_and_put(struct loading *loading, enum crl_load_outcome *outcome, GError **error)
{
	struct crl_row *row = &loading->row;
	CLEANUP(crl_row) struct crl_row *current = NULL;

	row->line = 0;
	*outcome = CRL_LOAD_KEPT;
	if (loading->signer != NULL && !crls_line(loading->tx, row, error))
		return FALSE;
	if (row->state != CRL_STATE_USABLE)
		return put_kept(loading, error);
	if (!crls_current(loading->tx, row->line, row->base_number != NULL, &current, error))
		return FALSE;
	if (current == NULL || may_replace(loading, current, outcome)) {
		*outcome = CRL_LOAD_IN_FORCE;
		return put_in_force(loading, current, error);
	}
	return *outcome == CRL_LOAD_OLDER ? put_aside(loading, current, error)
					  : put_kept(loading, error);
}

static void
fill_row(struct loading *loading, const char *source)
{
	const struct crl *crl = loading->crl;

	loading->row = (struct crl_row){
		.thumbprint = (char *)crl_thumbprint(crl),
		.der = crl_der(crl),
		.issuer = (char *)crl_issuer(crl),
		.issuer_key = (char *)crl_issuer_key(crl),
		.aki = (char *)crl_aki(crl),
		.number = (char *)crl_number(crl),
		.base_number = (char *)crl_base_number(crl),
		.this_update = crl_this_update(crl),
		.next_update = crl_next_update(crl),
		.scope = (char *)crl_scope_digest(crl),
		.scope_text = crl_scope_text(crl),
		.source = (char *)source,
		.entries = (gint64)crl_entry_count(crl),
	};
}

static void
loading_clear(struct loading *loading)
{
	g_free(loading->note);
	g_free(loading->row.scope_text);
	if (loading->signer != NULL)
		cert_unref(loading->signer);
}

/* Lists of before there were states find their line first: they may be what is in force. */
static gboolean adopt_unchecked(struct crl_loader *loader, struct tx *tx, const char *issuer_key,
				const char *but, GError **error);

static gboolean
run_loading(struct loading *loading, const char *source, enum crl_load_outcome *outcome,
	    char **reason, GError **error)
{
	CLEANUP(crl_row) struct crl_row *present = NULL;

	fill_row(loading, source);
	if (!crls_lock(loading->tx, loading->row.issuer_key, error) ||
	    !crls_present(loading->tx, loading->row.thumbprint, &present, error) ||
	    !adopt_unchecked(loading->loader, loading->tx, loading->row.issuer_key,
			     loading->row.thumbprint, error))
		return FALSE;
	if (present != NULL && present->state == CRL_STATE_USABLE) {
		*outcome = CRL_LOAD_PRESENT;
		*reason = g_strdup("");
		return TRUE;
	}
	loading->row.id = present != NULL ? present->id : 0;
	loading->was = present;
	if (!examine(loading, error) || !decide_and_put(loading, outcome, error))
		return FALSE;
	if (present != NULL && *outcome != CRL_LOAD_IN_FORCE)
		*outcome = CRL_LOAD_PRESENT;
	*reason = g_strdup(*outcome == CRL_LOAD_IN_FORCE ? "" : loading->row.note);
	return TRUE;
}

gboolean
crl_load_in(struct crl_loader *loader, struct tx *tx, const struct crl *crl,
	    const struct cert *issuer, const char *source, enum crl_load_outcome *outcome,
	    char **reason, GError **error)
{
	struct loading loading = {
		.loader = loader,
		.tx = tx,
		.crl = crl,
		.own = issuer,
		.now = tx_now(tx),
	};
	gboolean good;

	*reason = NULL;
	good = tx_set_patience(tx, COPY_PATIENCE_SECONDS, error) &&
	       run_loading(&loading, source, outcome, reason, error);
	loading_clear(&loading);
	return good;
}

/* --- by itself --- */

struct single {
	struct crl_loader *loader;
	const struct crl *crl;
	const char *source;
	enum crl_load_outcome outcome;
	char *reason;
};

static gboolean
load_single(struct tx *tx, gpointer data, GError **error)
{
	struct single *single = data;

	g_clear_pointer(&single->reason, g_free); /* a transaction can run twice */
	return crl_load_in(single->loader, tx, single->crl, NULL, single->source, &single->outcome,
			   &single->reason, error);
}

static struct crl *
read_list(GBytes *bytes, GError **error)
{
	gsize length;
	const guint8 *data = g_bytes_get_data(bytes, &length);

	if (length > 0 && data[0] == 0x30)
		return crl_parse(bytes, error);
	CLEANUP(bundle) struct bundle *bundle = bundle_read(bytes, NULL, NULL, error);
	if (bundle == NULL)
		return NULL;
	if (bundle->crls->len != 1)
		return fail(error, PS_ERROR_INVALID, "no revocation list");
	return crl_ref(bundle->crls->pdata[0]);
}

gboolean
crl_load(struct crl_loader *loader, GBytes *bytes, const char *source,
	 enum crl_load_outcome *outcome, char **reason, GError **error)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(crl) struct crl *crl = read_list(bytes, &why);
	struct single single = { .loader = loader, .crl = crl, .source = source };

	*reason = NULL;
	if (crl == NULL) {
		*outcome = CRL_LOAD_BROKEN;
		*reason = g_strdup(why->message);
		return TRUE;
	}
	if (!db_transaction(loader->db, load_single, &single, error)) {
		g_free(single.reason);
		return FALSE;
	}
	*outcome = single.outcome;
	*reason = single.reason;
	return TRUE;
}

/* --- once more --- */

static gboolean
look_again(struct crl_loader *loader, struct tx *tx, const struct crl_row *seen, gboolean *changed,
	   GError **error)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(crl_row) struct crl_row *now = NULL;
	enum crl_load_outcome outcome;

	if (!crls_lock(tx, seen->issuer_key, error) ||
	    !crls_present(tx, seen->thumbprint, &now, error))
		return FALSE;
	if (now == NULL || now->state == CRL_STATE_USABLE)
		return TRUE;
	CLEANUP(crl_row) struct crl_row *whole = crls_find(loader->db, seen->thumbprint, &why);
	CLEANUP(crl) struct crl *crl = whole != NULL ? crl_parse(whole->der, &why) : NULL;
	if (crl == NULL) {
		if (whole == NULL && !g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND)) {
			g_propagate_error(error, g_steal_pointer(&why));
			return FALSE;
		}
		return TRUE;
	}
	struct loading loading = { .loader = loader, .tx = tx, .crl = crl, .now = tx_now(tx) };
	fill_row(&loading, whole->source);
	loading.row.id = now->id;
	loading.was = now;
	gboolean good =
	    tx_set_patience(tx, COPY_PATIENCE_SECONDS, error) && examine(&loading, error);
	/* As it was: nothing is written, or every look would be a change. */
	if (good &&
	    (loading.row.state == CRL_STATE_USABLE || now->state == CRL_STATE_UNCHECKED ||
	     loading.row.state != now->state || g_strcmp0(loading.row.note, now->note) != 0))
		good = decide_and_put(&loading, &outcome, error);
	*changed = good && loading.row.state != now->state;
	loading_clear(&loading);
	return good;
}

static gboolean
adopt_unchecked(struct crl_loader *loader, struct tx *tx, const char *issuer_key, const char *but,
		GError **error)
{
	g_autoptr(GPtrArray) rows = crls_not_in_force(loader->db, issuer_key, error);
	gboolean changed;

	if (rows == NULL)
		return FALSE;
	for (guint i = 0; i < rows->len; i++) {
		const struct crl_row *row = rows->pdata[i];

		if (row->state == CRL_STATE_UNCHECKED && strcmp(row->thumbprint, but) != 0 &&
		    !look_again(loader, tx, row, &changed, error))
			return FALSE;
	}
	return TRUE;
}

struct again {
	struct crl_loader *loader;
	const struct crl_row *row;
	gboolean changed;
};

static gboolean
again_in_tx(struct tx *tx, gpointer data, GError **error)
{
	struct again *again = data;

	again->changed = FALSE;
	return look_again(again->loader, tx, again->row, &again->changed, error);
}

gboolean
crl_reexamine(struct crl_loader *loader, const char *issuer_key, guint *changed, GError **error)
{
	g_autoptr(GPtrArray) rows = crls_not_in_force(loader->db, issuer_key, error);

	*changed = 0;
	if (rows == NULL)
		return FALSE;
	for (guint i = 0; i < rows->len; i++) {
		struct again again = { .loader = loader, .row = rows->pdata[i] };

		if (!db_transaction(loader->db, again_in_tx, &again, error))
			return FALSE;
		*changed += again.changed;
	}
	return TRUE;
}
