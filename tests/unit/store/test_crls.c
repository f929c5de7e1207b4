/*
 * crls: rows, entries by COPY, what stays when a list leaves, pages, deletion, bounds.
 */
#include <glib.h>
#include <string.h>

#include "store/base/error.h"
#include "store/crl_entries.h"
#include "store/db/query.h"
#include "tests/support/scratch_pg.h"

#define NOW G_GINT64_CONSTANT(1800000000)

static struct scratch_pg *pg;

/* Serial, reason; the issuer of an indirect entry. */
struct entry {
	const char *octets;
	gint reason;
	const char *issuer;
};

struct act {
	struct db *db;
	gboolean (*run)(struct tx *tx, struct act *act, GError **error);
	struct crl_row row;
	const struct entry *entries;
	gsize n;
	const struct crl_row *old;
	gint64 beside[2];
	const char *text;
};

static gboolean
act_tx(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return act->run(tx, act, error);
}

static gboolean
acts(struct act *act, GError **error)
{
	return db_transaction(act->db, act_tx, act, error);
}

static gboolean
put(struct tx *tx, struct act *act, GError **error)
{
	if (!crls_lock(tx, act->row.issuer_key, error) || !crls_line(tx, &act->row, error) ||
	    !crls_insert(tx, &act->row, error))
		return FALSE;
	struct copy *copy = crls_entries_begin(tx, error);
	if (copy == NULL)
		return FALSE;
	for (gsize i = 0; i < act->n; i++)
		crls_entries_add(copy, act->row.id, (const guint8 *)act->entries[i].octets,
				 strlen(act->entries[i].octets), act->entries[i].issuer, NOW,
				 act->entries[i].reason);
	return copy_end(copy, NULL, error);
}

static gboolean
retire(struct tx *tx, struct act *act, GError **error)
{
	return crls_retire(tx, act->old, act->beside, act->beside[1] != 0 ? 2 : 1, error);
}

static gboolean
prune(struct tx *tx, struct act *act, GError **error)
{
	return crls_insert(tx, &act->row, error) && crls_prune(tx, &act->row, error);
}

static gboolean
drop(struct tx *tx, struct act *act, GError **error)
{
	return crls_delete(tx, act->text, error);
}

static struct crl_row
row_of(guint n, const char *number, enum crl_state state)
{
	struct crl_row row = {
		.thumbprint = g_strdup_printf("%0128x", n),
		.der = g_bytes_new_static("\x30\x00", 2),
		.issuer = (char *)"CN=CA",
		.issuer_key = (char *)"issuer",
		.aki = (char *)"aki",
		.number = (char *)number,
		.this_update = NOW + n,
		.next_update = NOW + 86400,
		.scope = (char *)"",
		.source = (char *)"http://x/",
		.state = state,
		.signer = (char *)"ab",
		.signer_key = (char *)"key",
	};

	return row;
}

static void
row_done(struct crl_row *row)
{
	g_free(row->thumbprint);
	g_bytes_unref(row->der);
}

static gboolean
is_revoked(struct db *db, const char *issuer, const char *serial)
{
	g_autoptr(GError) error = NULL;
	struct revoked_row entry;
	gboolean found;

	g_assert_true(crls_revoked(db, issuer, serial, &found, &entry, &error));
	g_assert_no_error(error);
	return found;
}

static struct db *
fresh(void)
{
	scratch_pg_empty(pg);
	return scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
}

/* Serials as text: no leading zeros, negative ones too. */
static void
test_entries(void)
{
	static const struct entry entries[] = {
		{ "\x01", 1, NULL },         { "\x7f\x01", 0, NULL },       { "\x80", 4, NULL },
		{ "\xa1\xb2\xc3", 0, NULL }, { "\x05\x05", 3, "indirect" },
	};
	static const char *const texts[] = { "1", "505", "7f01", "-80", "-5e4d3d" };
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	CLEANUP(db) struct db *db = fresh();
	struct act act = { .db = db,
			   .run = put,
			   .row = row_of(1, "5", CRL_STATE_USABLE),
			   .entries = entries,
			   .n = G_N_ELEMENTS(entries) };
	g_assert_true(acts(&act, &error));
	g_assert_no_error(error);
	g_autoptr(GPtrArray) all = crls_entries(db, act.row.id, NULL, 100, &error);
	g_assert_cmpuint(all->len, ==, 5);
	for (guint i = 0; i < all->len; i++) {
		const struct revoked_row *entry = all->pdata[i];
		g_assert_cmpstr(entry->serial, ==, texts[i]);
		g_assert_cmpint(entry->revoked_at, ==, NOW);
	}
	/* Pages of two. */
	g_autoptr(GPtrArray) page = crls_entries(db, act.row.id, "505", 2, &error);
	g_assert_cmpuint(page->len, ==, 2);
	g_assert_cmpstr(((struct revoked_row *)page->pdata[0])->serial, ==, "7f01");
	g_autoptr(GPtrArray) one = crls_entries_of(db, &act.row, "505", &error);
	g_assert_cmpuint(one->len, ==, 1);
	g_assert_cmpstr(((struct revoked_row *)one->pdata[0])->issuer_key, ==, "indirect");
	g_assert_null(crls_entries_of(db, &act.row, "zz", &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_clear_error(&error);
	g_assert_true(is_revoked(db, "issuer", "1"));
	g_assert_true(is_revoked(db, "issuer", "-80"));
	g_assert_false(is_revoked(db, "issuer", "80"));
	g_assert_false(is_revoked(db, "issuer", "505"));
	g_assert_false(is_revoked(db, "other", "1"));
	g_assert_false(is_revoked(db, "issuer", "no number"));
	CLEANUP(crl_row) struct crl_row *found = crls_find(db, act.row.thumbprint, &error);
	g_autoptr(GBytes) der = crls_der(db, found, &error);
	g_assert_true(g_bytes_equal(der, act.row.der));
	/* A slip of the hand names no list, were it the only one. */
	g_assert_null(crls_find(db, "0000", &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_clear_error(&error);
	g_assert_null(crls_find(db, "", &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_clear_error(&error);
	row_done(&act.row);
}

/* What leaves a line stays known, but for hold; what beside it names need not be kept. */
static void
test_retire(void)
{
	static const struct entry old[] = { { "\x01", 1, NULL }, { "\x02", 0, NULL },
					    { "\x03", 6, NULL }, { "\x04", 8, NULL },
					    { "\x05", 1, NULL }, { "\x06", 1, "indirect" } };
	static const struct entry new[] = { { "\x01", 1, NULL }, { "\x05", 6, NULL } };
	static const struct {
		const char *what, *serial;
		gboolean revoked, past;
	} rows[] = {
		{ "named by both", "1", TRUE, FALSE },
		{ "not named any more", "2", TRUE, TRUE },
		{ "was on hold", "3", FALSE, FALSE },
		{ "was removed", "4", FALSE, FALSE },
		{ "revoked, then on hold: revoked for ever", "5", TRUE, TRUE },
	};
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	CLEANUP(db) struct db *db = fresh();
	struct act first = { .db = db,
			     .run = put,
			     .row = row_of(1, "5", CRL_STATE_USABLE),
			     .entries = old,
			     .n = G_N_ELEMENTS(old) };
	g_assert_true(acts(&first, &error));
	struct act second = { .db = db,
			      .run = put,
			      .row = row_of(2, "6", CRL_STATE_EARLY),
			      .entries = new,
			      .n = G_N_ELEMENTS(new) };
	g_assert_true(acts(&second, &error));
	g_assert_cmpint(second.row.line, ==, first.row.line);
	/* One in force in a line, whatever a program does. */
	struct act third = { .db = db, .run = put, .row = row_of(3, "7", CRL_STATE_USABLE) };
	g_assert_false(acts(&third, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_clear_error(&error);

	struct act leave = {
		.db = db, .run = retire, .old = &first.row, .beside = { second.row.id, 0 }
	};
	g_assert_true(acts(&leave, &error));
	g_assert_no_error(error);
	scratch_pg_sql(pg, "UPDATE crl SET state = 'usable'");
	CLEANUP(crl_row) struct crl_row *now = crls_find(db, second.row.thumbprint, &error);
	g_assert_cmpint(now->past, ==, 3); /* 2, 5 and the indirect one */
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("%s", rows[i].what);
		g_assert_cmpint(is_revoked(db, "issuer", rows[i].serial), ==, rows[i].revoked);
		g_autoptr(GPtrArray) said = crls_entries_of(db, now, rows[i].serial, &error);
		gboolean past = FALSE;
		for (guint k = 0; k < said->len; k++)
			past |= ((struct revoked_row *)said->pdata[k])->past;
		g_assert_cmpint(past, ==, rows[i].past);
	}
	/* Deleted, it takes with it what its line knew. */
	struct act gone = { .db = db, .run = drop, .text = second.row.thumbprint };
	g_assert_true(acts(&gone, &error));
	g_assert_false(is_revoked(db, "issuer", "1"));
	g_assert_false(is_revoked(db, "issuer", "2"));
	g_assert_false(acts(&gone, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	row_done(&first.row);
	row_done(&second.row);
	row_done(&third.row);
}

static gint64
count_rows(struct db *db)
{
	g_autoptr(GPtrArray) rows = crls_list(db, NULL);

	return rows->len;
}

/* Bad ones do not fill the store: one for each source and fault, eight an issuer. */
static void
test_bounds(void)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return;
	CLEANUP(db) struct db *db = fresh();
	for (guint i = 0; i < 30; i++) {
		struct act act = { .db = db,
				   .run = prune,
				   .row = row_of(i + 1, "5", CRL_STATE_BAD_SIGNATURE) };
		g_autofree char *source = g_strdup_printf("http://x/%u", i % 15);
		act.row.source = source;
		g_assert_true(acts(&act, &error));
		g_assert_no_error(error);
		row_done(&act.row);
	}
	g_assert_cmpint(count_rows(db), ==, 8);
	g_autoptr(GPtrArray) kept = crls_not_in_force(db, "issuer", &error);
	g_assert_cmpuint(kept->len, ==, 8);
	g_autoptr(GPtrArray) held = crls_held(db, NULL, 0, &error);
	g_assert_cmpuint(held->len, ==, 0);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/crls/entries", test_entries);
	g_test_add_func("/crls/what leaves stays known", test_retire);
	g_test_add_func("/crls/bounds of what has no effect", test_bounds);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
