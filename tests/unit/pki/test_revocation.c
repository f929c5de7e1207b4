/*
 * revocation: the index an issuer at a time, memory, lists of the store without their DER, and a
 * database of before there were states.
 */
#include <glib.h>
#include <string.h>

#include "pki/crl_load.h"
#include "pki/revocation.h"
#include "store/base/error.h"
#include "store/crl_entries.h"
#include "store/db/changelog.h"
#include "store/db/migrate.h"
#include "tests/unit/pki/crl_fixture.h"
#include "tests/unit/pki/store_fixture.h"

#define END (PKI_NOW + 10 * PKI_DAY)
#define LAST_OF_BEFORE 7

static struct world world;
static struct node root, other, of_root, of_other;
static struct crl_sample_entry entries[] = { { NULL, REVOCATION_KEY_COMPROMISE }, { NULL, 0 } };

static void
load(struct db *db, const struct node *issuer, gint64 number)
{
	struct crl_sample sample = { .issuer = issuer,
				     .this_update = PKI_NOW - PKI_DAY + number,
				     .next_update = END,
				     .number = number,
				     .entries = entries };
	g_autoptr(GBytes) der = crl_sample_make(&sample);
	CLEANUP(crl_loader) struct crl_loader *loader = crl_loader_new(db, NULL);
	g_autofree char *reason = NULL;
	g_autoptr(GError) error = NULL;
	enum crl_load_outcome outcome;

	g_assert_true(crl_load(loader, der, "x", &outcome, &reason, &error));
	g_assert_no_error(error);
	g_assert_cmpint(outcome, ==, CRL_LOAD_IN_FORCE);
}

/* The number of the one list of this certificate's issuer. */
static char *
number_for(struct revocation *revocation, const struct node *node)
{
	g_autoptr(GPtrArray) certs = pki_certs(node->cert, NULL);
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) lists = revocation_lists(revocation, certs, &error);

	g_assert_no_error(error);
	if (lists->len == 0)
		return g_strdup("none");
	g_assert_cmpuint(lists->len, ==, 1);
	return g_strdup(crl_number(lists->pdata[0]));
}

static void
assert_number(struct revocation *revocation, const struct node *node, const char *wanted)
{
	g_autofree char *number = number_for(revocation, node);

	g_assert_cmpstr(number, ==, wanted);
}

static guint64
loads(struct revocation *revocation)
{
	struct revocation_stats stats;

	revocation_stats(revocation, &stats);
	return stats.loads;
}

/* What changes for one issuer is read again for it alone. */
static void
test_by_issuer(void)
{
	g_autoptr(GError) error = NULL;

	if (!world_up(&world))
		return;
	world_root(&world, root.cert);
	world_root(&world, other.cert);
	struct changelog *changelog =
	    changelog_start(world.db, scratch_pg_settings(world.pg), &error);
	CLEANUP(revocation) struct revocation *revocation = revocation_new(world.db, changelog);
	assert_number(revocation, &of_root, "none");
	load(world.db, &root, 1);
	load(world.db, &other, 1);
	g_assert_true(changelog_poll(changelog, &error));
	assert_number(revocation, &of_root, "1");
	assert_number(revocation, &of_other, "1");
	g_assert_cmpuint(loads(revocation), ==, 2);
	assert_number(revocation, &of_root, "1");
	g_assert_cmpuint(loads(revocation), ==, 2);

	load(world.db, &other, 2);
	g_assert_true(changelog_poll(changelog, &error));
	assert_number(revocation, &of_root, "1");
	g_assert_cmpuint(loads(revocation), ==, 2);
	assert_number(revocation, &of_other, "2");
	g_assert_cmpuint(loads(revocation), ==, 3);
	/* What is not in force any more is not held any more. */
	struct revocation_stats stats;
	revocation_stats(revocation, &stats);
	g_assert_cmpuint(stats.lists, ==, 2);
	revocation_free(g_steal_pointer(&revocation));
	changelog_stop(changelog);
	world_down(&world);
}

/* One that was replaced between the reading of the index and its own: its successor is read. */
static void
test_replaced_meanwhile(void)
{
	g_autoptr(GError) error = NULL;

	if (!world_up(&world))
		return;
	world_root(&world, root.cert);
	world_root(&world, other.cert);
	load(world.db, &root, 1);
	load(world.db, &other, 1);
	struct changelog *changelog =
	    changelog_start(world.db, scratch_pg_settings(world.pg), &error);
	CLEANUP(revocation) struct revocation *revocation = revocation_new(world.db, changelog);
	revocation_set_memory(revocation, 1);
	assert_number(revocation, &of_root, "1");
	assert_number(revocation, &of_other, "1");
	/* Nobody is told of it. */
	scratch_pg_sql(world.pg, "UPDATE crl SET id = id + 1000");
	assert_number(revocation, &of_root, "1");
	revocation_free(g_steal_pointer(&revocation));
	changelog_stop(changelog);
	world_down(&world);
}

/* Too little memory: the list that is asked for is there all the same. */
static void
test_memory(void)
{
	struct revocation_stats stats;

	if (!world_up(&world))
		return;
	world_root(&world, root.cert);
	world_root(&world, other.cert);
	load(world.db, &root, 1);
	load(world.db, &other, 1);
	CLEANUP(revocation) struct revocation *revocation = revocation_new(world.db, NULL);
	revocation_set_memory(revocation, 1);
	for (int i = 0; i < 3; i++) {
		assert_number(revocation, &of_root, "1");
		assert_number(revocation, &of_other, "1");
		revocation_stats(revocation, &stats);
		g_assert_cmpuint(stats.lists, ==, 1);
	}
	g_assert_cmpuint(stats.loads, ==, 6);
	revocation_set_memory(revocation, 1 << 20);
	assert_number(revocation, &of_root, "1");
	assert_number(revocation, &of_other, "1");
	revocation_stats(revocation, &stats);
	g_assert_cmpuint(stats.lists, ==, 2);
	world_down(&world);
}

/* A list of the store answers without its DER, and believes the key that the row names. */
static void
test_restored(void)
{
	struct crl_sample sample = { .issuer = &root,
				     .this_update = PKI_NOW,
				     .next_update = END,
				     .number = 1,
				     .entries = entries };
	g_autoptr(GBytes) der = crl_sample_make(&sample);
	g_autoptr(GError) error = NULL;
	struct crl_item item = { .serial_hex = (char *)"abcdef", .revoked_at = 5, .reason = 1 };
	CLEANUP(crl)
	struct crl *crl = crl_restore(der, "thumbprint", cert_spki_sha256(root.cert), &error);

	g_assert_no_error(error);
	g_assert_null(crl_der(crl));
	g_assert_cmpstr(crl_thumbprint(crl), ==, "thumbprint");
	g_assert_true(crl_is_signed_by(crl, root.cert));
	g_assert_false(crl_is_signed_by(crl, other.cert));
	g_assert_cmpuint(crl_memory(crl), <, 4096);
	g_assert_false(crl_find(crl, NULL, "abcdef", &item));
	crl_add_past(crl, &item, 1);
	g_assert_true(crl_find(crl, NULL, "abcdef", &item));
	g_assert_cmpint(item.revoked_at, ==, 5);
	g_assert_true(crl_find(crl, NULL, cert_serial_hex(of_root.cert), &item));

	/* The wrong key: nobody has signed it then. */
	CLEANUP(crl)
	struct crl *foreign = crl_restore(der, "x", cert_spki_sha256(other.cert), &error);
	g_assert_false(crl_is_signed_by(foreign, root.cert));
	/* Not checked yet: it is looked at here. */
	CLEANUP(crl) struct crl *unchecked = crl_restore(der, "x", NULL, &error);
	g_assert_true(crl_is_signed_by(unchecked, root.cert));
	g_assert_false(crl_is_signed_by(unchecked, other.cert));
}

/* --- a database of before --- */

struct old_row {
	GBytes *der;
	const struct crl *crl;
};

static gboolean
put_old_rows(struct tx *tx, gpointer data, GError **error)
{
	static const struct statement put_list = {
		"put_list",
		"INSERT INTO crl (thumbprint, der, issuer, issuer_key, aki, number, this_update,"
		" next_update, source, entries) VALUES ($1, $2, $3, $4, $5, '1',"
		" to_timestamp($6::bigint), to_timestamp($7::bigint), 'x', 3) RETURNING id",
	};
	static const struct statement put_entry = {
		"put_entry",
		"INSERT INTO crl_entry (crl_id, issuer_key, serial, revoked_at, reason)"
		" SELECT $1, $2, s, now(), 1 FROM unnest($3::text[]) AS s",
	};
	const char *serials[] = { "f00", "80", cert_serial_hex(of_root.cert) };
	const struct old_row *old = data;
	struct params *params = params_new();

	params_text(params, crl_thumbprint(old->crl));
	params_bytes(params, old->der);
	params_text(params, crl_issuer(old->crl));
	params_text(params, crl_issuer_key(old->crl));
	params_text(params, crl_aki(old->crl));
	params_int(params, PKI_NOW);
	params_int(params, END);
	CLEANUP(rows) struct rows *list = tx_query(tx, &put_list, params, error);
	if (list == NULL)
		return FALSE;
	params = params_new();
	params_int(params, rows_int(list, 0, 0));
	params_text(params, crl_issuer_key(old->crl));
	params_text_array(params, serials, G_N_ELEMENTS(serials));
	CLEANUP(rows) struct rows *put = tx_query(tx, &put_entry, params, error);
	return put != NULL;
}

static void
assert_old_rows(struct db *db, const struct crl *crl)
{
	const char *serials[] = { "f00", "80", cert_serial_hex(of_root.cert) };
	g_autoptr(GError) error = NULL;
	struct revoked_row entry;
	gboolean found;

	CLEANUP(crl_row) struct crl_row *row = crls_find(db, crl_thumbprint(crl), &error);
	g_assert_no_error(error);
	g_assert_cmpint(row->state, ==, CRL_STATE_UNCHECKED);
	g_assert_cmpint(row->size, ==, (gint64)g_bytes_get_size(row->der));
	for (gsize i = 0; i < G_N_ELEMENTS(serials); i++) {
		g_assert_true(
		    crls_revoked(db, crl_issuer_key(crl), serials[i], &found, &entry, &error));
		g_assert_true(found);
	}
}

static void
test_migration(void)
{
	struct crl_sample sample = { .issuer = &root,
				     .this_update = PKI_NOW,
				     .next_update = END,
				     .number = 1,
				     .entries = entries };
	g_autoptr(GBytes) der = crl_sample_make(&sample);
	g_autoptr(GError) error = NULL;
	CLEANUP(crl) struct crl *crl = crl_parse(der, &error);
	struct old_row old = { der, crl };
	struct migration before[LAST_OF_BEFORE + 1] = { { 0 } };
	struct scratch_pg *pg = scratch_pg_start_unmigrated();

	if (scratch_pg_skip(pg))
		return;
	for (gsize i = 0; i < LAST_OF_BEFORE; i++)
		before[i] = schema_migrations[i];
	struct db *db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	g_assert_true(migrate_run_table(db, before, "0.1.0", NULL, NULL, &error));
	g_assert_no_error(error);
	g_assert_true(db_transaction(db, put_old_rows, &old, &error));
	g_assert_no_error(error);
	g_assert_true(migrate_run(db, NULL, NULL, &error));
	g_assert_no_error(error);
	/* In force as it was, entries and all; the node looks at the signature by itself. */
	assert_old_rows(db, crl);
	CLEANUP(revocation) struct revocation *revocation = revocation_new(db, NULL);
	assert_number(revocation, &of_root, "1");
	revocation_free(g_steal_pointer(&revocation));
	db_close(db);
	scratch_pg_stop(pg);
}

int
main(int argc, char **argv)
{
	struct node *const nodes[] = { &root, &other, &of_root, &of_other };

	g_test_init(&argc, &argv, NULL);
	world.pg = scratch_pg_start();
	root = pki_root("Root");
	other = pki_root("Other");
	struct leaf leaf = { .common_name = "Bob", .email = "bob@example.com" };
	of_root = pki_leaf(&root, &leaf);
	of_other = pki_leaf(&other, &leaf);
	entries[0].serial = cert_serial_hex(of_root.cert);
	g_test_add_func("/revocation/an issuer at a time", test_by_issuer);
	g_test_add_func("/revocation/replaced-meanwhile", test_replaced_meanwhile);
	g_test_add_func("/revocation/memory", test_memory);
	g_test_add_func("/revocation/without DER", test_restored);
	g_test_add_func("/revocation/a database of before", test_migration);
	int status = g_test_run();
	for (gsize i = 0; i < G_N_ELEMENTS(nodes); i++)
		node_clear(nodes[i]);
	scratch_pg_stop(world.pg);
	return status;
}
