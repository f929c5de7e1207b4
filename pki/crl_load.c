/*
 * crl_load - the frame of a load: read, lock, examine, put; and the same once more for what is
 * kept.
 */
#include "pki/crl_load.h"

#include <string.h>

#include "pki/crl_load_internal.h"
#include "pki/crypto/bundle.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/crl.h"
#include "pki/issuer_pool.h"
#include "store/base/error.h"
#include "store/crl_entries.h"
#include "store/db/db.h"
#include "store/db/tx.h"

struct crl_loader {
	struct db *db;
	struct changelog *changelog;
	struct issuer_pool *pool; /* without a change log: of one load */
};

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

struct issuer_pool *
crl_loader_pool(struct crl_loader *loader)
{
	if (loader->changelog == NULL)
		g_clear_pointer(&loader->pool, issuer_pool_free);
	if (loader->pool == NULL)
		loader->pool = issuer_pool_new(loader->db, loader->changelog, NULL);
	return loader->pool;
}

void
loading_set_state(struct loading *loading, enum crl_state state, char *taken_note)
{
	loading->row.state = state;
	g_free(loading->note);
	loading->note = taken_note;
	loading->row.note = taken_note;
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
	if (!loading_examine(loading, error) || !loading_put(loading, outcome, error))
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
	    tx_set_patience(tx, COPY_PATIENCE_SECONDS, error) && loading_examine(&loading, error);
	/* As it was: nothing is written, or every look would be a change. */
	if (good &&
	    (loading.row.state == CRL_STATE_USABLE || now->state == CRL_STATE_UNCHECKED ||
	     loading.row.state != now->state || g_strcmp0(loading.row.note, now->note) != 0))
		good = loading_put(&loading, &outcome, error);
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
