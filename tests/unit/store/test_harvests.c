/*
 * What the filter collects from mail: taken within the limits, noted as used, dropped when unused.
 */
#include <glib.h>
#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/certs.h"
#include "store/db/tx.h"
#include "store/harvests.h"
#include "tests/support/scratch_pg.h"

static struct scratch_pg *pg;

/* The digit stands for the whole certificate. */
static char *
thumbprint_of(char digit)
{
	return g_compute_checksum_for_data(G_CHECKSUM_SHA512, (const guchar *)&digit, 1);
}

static struct cert_row *
row_new(char digit)
{
	struct cert_row *row = g_new0(struct cert_row, 1);
	gint64 now = clock_now(clock_system());

	row->thumbprint = thumbprint_of(digit);
	row->der = g_bytes_new(&digit, 1);
	row->subject = g_strdup("CN=Bob");
	row->issuer = g_strdup("CN=Their CA");
	row->subject_key = g_strdup("subject");
	row->issuer_key = g_strdup("issuer");
	row->serial = g_strnfill(2, digit);
	row->not_before = now - 60;
	row->not_after = now + 60;
	row->spki_sha256 = g_strnfill(64, digit);
	row->key_kind = g_strdup("RSA");
	row->key_bits = 2048;
	return row;
}

static enum harvest_outcome
add(struct db *db, char digit, const char *sender)
{
	CLEANUP(cert_row) struct cert_row *row = row_new(digit);
	enum harvest_outcome outcome = HARVEST_LIMIT;
	g_autoptr(GError) error = NULL;

	row->emails = g_strdupv((char *[]){ (char *)sender, NULL });
	g_assert_true(harvests_add(db, row, sender, &outcome, &error));
	g_assert_no_error(error);
	return outcome;
}

static gboolean
expire(struct tx *tx, gpointer data, GError **error)
{
	gint64 *dropped = data;

	return harvests_expire(tx, tx_now(tx) - 365 * 86400, dropped, error);
}

static gboolean
is_there(struct db *db, char digit)
{
	g_autofree char *thumbprint = thumbprint_of(digit);
	CLEANUP(cert_row) struct cert_row *row = certs_find(db, thumbprint, NULL);

	return row != NULL;
}

static void
test_taken_within_limits(void)
{
	struct db *db;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	db = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	for (char digit = '1'; digit <= '5'; digit++)
		g_assert_cmpint(add(db, digit, "bob@example.com"), ==, HARVEST_NEW);
	g_assert_cmpint(add(db, '1', "bob@example.com"), ==, HARVEST_PRESENT);
	g_assert_cmpint(add(db, '6', "bob@example.com"), ==, HARVEST_LIMIT);
	g_assert_cmpint(add(db, '6', "carol@example.com"), ==, HARVEST_NEW);
	db_close(db);
}

/* What a filter's login may not do, whoever has it: refused as INVALID. */
static void
test_lies_are_refused(void)
{
	static const struct {
		const char *name, *sender, *email;
		char thumbprint; /* of this digit's certificate, for that of '1' */
	} rows[] = {
		{ "another thumbprint", "bob@example.com", "bob@example.com", '2' },
		{ "a sender whom it does not name", "bob@example.com", "carol@example.com", '1' },
	};
	struct db *db;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	db = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		CLEANUP(cert_row) struct cert_row *row = row_new('1');
		g_autoptr(GError) error = NULL;
		enum harvest_outcome outcome;

		g_test_message("%s", rows[i].name);
		g_free(row->thumbprint);
		row->thumbprint = thumbprint_of(rows[i].thumbprint);
		row->emails = g_strdupv((char *[]){ (char *)rows[i].email, NULL });
		g_assert_false(harvests_add(db, row, rows[i].sender, &outcome, &error));
		g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	}
	db_close(db);
}

static void
test_unused_ones_expire(void)
{
	/* 1 unused, 2 used, 3 chosen, 4 in the CTL, 5 with a key, 6 new, 7 imported */
	static const struct {
		char digit;
		gboolean stays;
	} rows[] = { { '1', FALSE }, { '2', TRUE }, { '3', TRUE }, { '4', TRUE },
		     { '5', TRUE },  { '6', TRUE }, { '7', TRUE } };
	g_autofree char *two = thumbprint_of('2');
	g_autofree char *seven = thumbprint_of('7');
	const char *used[] = { two, seven };
	g_autoptr(GError) error = NULL;
	gint64 dropped = 0;
	struct db *db, *daemon;

	if (scratch_pg_skip(pg))
		return;
	scratch_pg_empty(pg);
	db = scratch_pg_open(pg, DB_ROLE_MILTER, NULL);
	daemon = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		char sender[] = "x@example.com";

		sender[0] = rows[i].digit;
		g_assert_cmpint(add(db, rows[i].digit, sender), ==, HARVEST_NEW);
	}
	g_assert_true(harvests_used(db, used, G_N_ELEMENTS(used), &error));
	g_assert_no_error(error);
	scratch_pg_sql(pg, "UPDATE certificate SET created = now() - interval '366 days'"
			   " WHERE serial <> '66'");
	scratch_pg_sql(pg, "UPDATE certificate SET origin = 'import', used = NULL"
			   " WHERE serial = '77'");
	scratch_pg_sql(pg, "INSERT INTO scope (key, kind, name)"
			   " VALUES ('u:a@example.com', 'user', 'a@example.com')");
	scratch_pg_sql(pg, "INSERT INTO selection (scope, kind, thumbprint)"
			   " SELECT 'u:a@example.com', 'encrypt', thumbprint FROM certificate "
			   "WHERE serial = '33'");
	scratch_pg_sql(pg, "INSERT INTO ctl_entry (thumbprint, kind)"
			   " SELECT thumbprint, 'deny' FROM certificate WHERE serial = '44'");
	scratch_pg_sql(pg, "INSERT INTO private_key (spki_sha256, sealed, generation, kind, bits,"
			   " origin, made) VALUES (repeat('5', 64), '\\x00', 1, 'RSA', 2048,"
			   " 'imported', now())");
	g_assert_true(db_transaction(daemon, expire, &dropped, &error));
	g_assert_no_error(error);
	g_assert_cmpint(dropped, ==, 1);
	for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
		g_assert_cmpint(is_there(daemon, rows[i].digit), ==, rows[i].stays);
	db_close(daemon);
	db_close(db);
}

static void
test_use_is_the_filters_to_note(void)
{
	g_autofree char *thumbprint = thumbprint_of('1');
	const char *used[] = { thumbprint };
	g_autoptr(GError) error = NULL;
	struct db *db;

	if (scratch_pg_skip(pg))
		return;
	db = scratch_pg_open(pg, DB_ROLE_READONLY, NULL);
	g_assert_false(harvests_used(db, used, 1, &error));
	g_assert_nonnull(error);
	db_close(db);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/harvests/taken within the limits", test_taken_within_limits);
	g_test_add_func("/harvests/lies are refused", test_lies_are_refused);
	g_test_add_func("/harvests/unused ones expire", test_unused_ones_expire);
	g_test_add_func("/harvests/a reader may not note use", test_use_is_the_filters_to_note);
	status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
