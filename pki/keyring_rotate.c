/*
 * keyring_rotate - sealed preferences, and what concerns all sealed rows: rotation, checking.
 */
#include <string.h>

#include "pki/crypto/key.h"
#include "pki/keyring.h"
#include "pki/keyring_internal.h"
#include "store/base/error.h"
#include "store/db/tx.h"
#include "store/ready_keys.h"
#include "store/sealed.h"

#define BATCH 100
#define PAGE 500

static char *
preference_row_name(const struct scope *scope, const char *preference_name)
{
	g_autofree char *key = scope_key(scope);

	return g_strconcat(key, "/", preference_name, NULL);
}

gboolean
keyring_set_preference(struct keyring *keyring, struct tx *tx, const struct scope *scope,
		       const char *preference_name, struct secret *secret, GError **error)
{
	g_autofree char *name = preference_row_name(scope, preference_name);
	gint64 generation;
	g_autoptr(GBytes) sealed =
	    keyring_seal(keyring, "preference", name, secret, &generation, error);

	if (sealed == NULL)
		return FALSE;
	struct sealed_row row = {
		.table = (char *)"preference",
		.row = name,
		.sealed = sealed,
		.generation = generation,
	};
	return sealed_put_preference(tx, &row, error);
}

struct secret *
keyring_preference(struct keyring *keyring, const struct scope *scope, const char *preference_name,
		   GError **error)
{
	g_autofree char *name = preference_row_name(scope, preference_name);
	CLEANUP(sealed_row)
	struct sealed_row *row = sealed_find(keyring_db(keyring), "preference", name, error);

	if (row == NULL)
		return NULL;
	return keyring_unseal(keyring, row->table, row->row, row->sealed, error);
}

struct rewrap {
	struct keyring *keyring;
	gint batch;
	gint64 done;
	GError *failure; /* the first row that did not open; the others go on */
};

static gboolean
rewrap_row(struct rewrap *rewrap, struct tx *tx, struct sealed_row *row, GError **error)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(secret)
	struct secret *secret =
	    keyring_unseal(rewrap->keyring, row->table, row->row, row->sealed, &why);

	if (secret == NULL) {
		if (rewrap->failure == NULL)
			rewrap->failure = g_steal_pointer(&why);
		return TRUE;
	}
	gint64 generation;
	g_autoptr(GBytes) sealed =
	    keyring_seal(rewrap->keyring, row->table, row->row, secret, &generation, error);
	if (sealed == NULL)
		return FALSE;
	struct sealed_row renewed = { row->table, row->row, sealed, generation };
	if (!sealed_replace(tx, &renewed, error))
		return FALSE;
	rewrap->done++;
	return TRUE;
}

static gboolean
rewrap_batch(struct tx *tx, gpointer data, GError **error)
{
	struct rewrap *rewrap = data;

	rewrap->done = 0;
	g_clear_error(&rewrap->failure);
	/* Keys that nobody has yet are not worth it: others are made. */
	if (!ready_keys_purge_older(tx, keyring_generation(rewrap->keyring), error))
		return FALSE;
	g_autoptr(GPtrArray) rows =
	    sealed_take_older(tx, keyring_generation(rewrap->keyring), rewrap->batch, error);
	if (rows == NULL)
		return FALSE;
	for (guint i = 0; i < rows->len; i++)
		if (!rewrap_row(rewrap, tx, g_ptr_array_index(rows, i), error))
			return FALSE;
	return TRUE;
}

gboolean
keyring_rewrap(struct keyring *keyring, gint batch, gint64 *done, gint64 *left, GError **error)
{
	struct rewrap rewrap = { .keyring = keyring, .batch = batch > 0 ? batch : BATCH };

	if (!db_transaction(keyring_db(keyring), rewrap_batch, &rewrap, error)) {
		g_clear_error(&rewrap.failure);
		return FALSE;
	}
	*done = rewrap.done;
	*left = sealed_count_older(keyring_db(keyring), keyring_generation(keyring), error);
	if (*left < 0) {
		g_clear_error(&rewrap.failure);
		return FALSE;
	}
	/* As long as anything moves the rest can wait for its turn. */
	if (rewrap.failure != NULL && rewrap.done == 0) {
		g_propagate_error(error, rewrap.failure);
		return FALSE;
	}
	g_clear_error(&rewrap.failure);
	return TRUE;
}

static gboolean
opens(struct keyring *keyring, const struct sealed_row *row, GError **error)
{
	if (strcmp(row->table, "private_key") == 0) {
		CLEANUP(key) struct key *key = keyring_open_row(keyring, row, error);
		return key != NULL;
	}
	CLEANUP(secret)
	struct secret *secret = keyring_unseal(keyring, row->table, row->row, row->sealed, error);
	return secret != NULL;
}

static gboolean
verify_table(struct keyring *keyring, const char *table, gint64 *checked, GError **error)
{
	g_autofree char *after = g_strdup("");

	for (;;) {
		g_autoptr(GPtrArray) page =
		    sealed_page(keyring_db(keyring), table, after, PAGE, error);
		if (page == NULL)
			return FALSE;
		for (guint i = 0; i < page->len; i++) {
			const struct sealed_row *row = g_ptr_array_index(page, i);
			if (!opens(keyring, row, error))
				return FALSE;
			(*checked)++;
			g_free(after);
			after = g_strdup(row->row);
		}
		if (page->len < PAGE)
			return TRUE;
	}
}

gboolean
keyring_verify_all(struct keyring *keyring, gint64 *checked, GError **error)
{
	*checked = 0;
	for (const char *const *table = sealed_tables; *table != NULL; table++)
		if (!verify_table(keyring, *table, checked, error))
			return FALSE;
	return TRUE;
}
