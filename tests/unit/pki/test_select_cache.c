/*
 * What selection remembers: nothing is asked twice, every change is seen, by those it concerns and
 * as far as possible by nobody else, and memory stays within its bound.
 */
#include <glib.h>
#include <string.h>

#include "pki/import.h"
#include "store/base/error.h"
#include "store/cache.h"
#include "store/certs.h"
#include "store/db/changelog.h"
#include "store/keys.h"
#include "store/roots.h"
#include "tests/unit/pki/cert_fixture.h"
#include "tests/unit/pki/store_fixture.h"

static struct world world;
static struct node root, intermediate, other_root;
static struct node bob, bob_renewed, eve, stranger, archive;

/* A program of its own: reads with its own login; its change log has a connection apart, so that
 * what the rest asks can be counted. */
struct program {
	struct cache_limits limits;
	struct db *db, *log_db;
	struct changelog *changelog;
	struct preference_cache *preferences;
	struct trust *trust;
	struct select *select;
};

static void
program_open(struct program *program, enum db_role role, gsize memory_bytes)
{
	g_autoptr(GError) error = NULL;

	program->limits = (struct cache_limits){ 300, memory_bytes };
	program->db = scratch_pg_open(world.pg, role, world.clock);
	program->log_db = scratch_pg_open(world.pg, role, world.clock);
	program->changelog =
	    changelog_start(program->log_db, scratch_pg_settings(world.pg), &error);
	g_assert_no_error(error);
	program->preferences =
	    preference_cache_new(program->db, program->changelog, '+', &program->limits);
	program->trust = trust_new(program->db, program->changelog, world.clock,
				   program->preferences, &program->limits);
	program->select = select_new(program->db, program->changelog, world.clock, program->trust,
				     program->preferences, '+', &program->limits);
}

static void
program_close(struct program *program)
{
	select_free(program->select);
	trust_free(program->trust);
	preference_cache_free(program->preferences);
	changelog_stop(program->changelog);
	db_close(program->db);
	db_close(program->log_db);
}

static guint64
queries(const struct program *program)
{
	struct db_stats stats;

	db_stats(program->db, &stats);
	return stats.queries;
}

static struct selection *
ask(const struct program *program, const char *address, enum selection_kind kind)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(mailaddr) struct mailaddr *parsed = mailaddr_parse(address, NULL);
	struct selection *selection =
	    kind == SELECTION_SIGN      ? select_signing(program->select, parsed, &error)
	    : kind == SELECTION_ENCRYPT ? select_encryption(program->select, parsed, &error)
					: select_additional(program->select, parsed, &error);

	g_assert_no_error(error);
	return selection;
}

static guint
used(const struct program *program, const char *address)
{
	CLEANUP(selection)
	struct selection *selection = ask(program, address, SELECTION_ENCRYPT);

	return selection->used->len;
}

static gboolean
up(void)
{
	if (!world_up(&world))
		return FALSE;
	world_root(&world, root.cert);
	world_cert(&world, intermediate.cert);
	world_cert(&world, bob.cert);
	world_cert(&world, eve.cert);
	world_cert(&world, archive.cert);
	return TRUE;
}

/* ---- changes -------------------------------------------------------------------------------- */

enum act {
	NEW_CERT,
	DELETE_CERT,
	PENDING,
	DENY,
	DENY_ISSUER,
	REVOKE,
	ROOT_GONE,
	ISSUER_GONE,
	USER_PREFERENCE,
	DOMAIN_PREFERENCE,
	GLOBAL_PREFERENCE,
	ALIAS,
	CHOSEN,
	CHOSEN_FOR_DOMAIN,
	KEY,
	CERT_OF_STRANGER,
	CTL_OF_STRANGER,
};

struct change_row {
	const char *name;
	enum act act;
	int bob_before, bob_after; /* how many of his certificates are used */
	gboolean eve_untouched;    /* hers need not be made anew */
};

static const struct change_row change_rows[] = {
	{ "a renewed certificate", NEW_CERT, 1, 2, TRUE },
	{ "deleted", DELETE_CERT, 1, 0, TRUE },
	{ "made to wait", PENDING, 1, 0, TRUE },
	{ "denied", DENY, 1, 0, TRUE },
	{ "its issuer denied", DENY_ISSUER, 1, 0, FALSE },
	{ "revoked", REVOKE, 1, 0, FALSE },
	{ "the root is gone", ROOT_GONE, 1, 0, FALSE },
	{ "the issuer is gone", ISSUER_GONE, 1, 0, FALSE },
	{ "a preference of his", USER_PREFERENCE, 1, 0, TRUE },
	{ "a preference of his domain", DOMAIN_PREFERENCE, 1, 0, FALSE },
	{ "a preference of all", GLOBAL_PREFERENCE, 1, 0, FALSE },
	{ "he becomes an alias of one who wants none", ALIAS, 1, 0, TRUE },
	{ "chosen by hand", CHOSEN, 1, 2, TRUE },
	{ "chosen for his domain", CHOSEN_FOR_DOMAIN, 1, 2, FALSE },
	{ "a key came", KEY, 1, 1, TRUE },
	{ "somebody else's certificate", CERT_OF_STRANGER, 1, 1, TRUE },
	{ "somebody else's entry", CTL_OF_STRANGER, 1, 1, TRUE },
};

static gboolean
delete_cert(struct tx *tx, gpointer data, GError **error)
{
	return certs_delete(tx, data, error);
}

static gboolean
make_wait(struct tx *tx, gpointer data, GError **error)
{
	return certs_set_pending(tx, data, TRUE, error);
}

static gboolean
delete_root(struct tx *tx, gpointer data, GError **error)
{
	return roots_delete(tx, data, error);
}

static void
transact(tx_func func, const struct cert *cert)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(db_transaction(world.db, func, (gpointer)cert_thumbprint(cert), &error));
	g_assert_no_error(error);
}

static void
revoke_cert(const struct cert *cert)
{
	const char *serials[] = { cert_serial_hex(cert), NULL };
	struct crl *crl = pki_crl(&intermediate, PKI_NOW - PKI_DAY, PKI_NOW + PKI_DAY, 7, serials,
				  REVOCATION_KEY_COMPROMISE);

	world_crl(&world, crl, intermediate.cert);
	crl_unref(crl);
}

static void
act(enum act what)
{
	switch (what) {
	case NEW_CERT:
		world_cert(&world, bob_renewed.cert);
		break;
	case DELETE_CERT:
		transact(delete_cert, bob.cert);
		break;
	case PENDING:
		transact(make_wait, bob.cert);
		break;
	case DENY:
		world_ctl(&world, bob.cert, CTL_KIND_DENY, FALSE);
		break;
	case DENY_ISSUER:
		world_ctl(&world, intermediate.cert, CTL_KIND_DENY, FALSE);
		break;
	case REVOKE:
		revoke_cert(bob.cert);
		break;
	case ROOT_GONE:
		transact(delete_root, root.cert);
		break;
	case ISSUER_GONE:
		transact(delete_cert, intermediate.cert);
		break;
	case USER_PREFERENCE:
		world_preference(&world, SCOPE_USER, "bob@a.example", PREF_AUTO_SELECT_CERTIFICATES,
				 "off");
		break;
	case DOMAIN_PREFERENCE:
		world_preference(&world, SCOPE_DOMAIN, "a.example", PREF_AUTO_SELECT_CERTIFICATES,
				 "off");
		break;
	case GLOBAL_PREFERENCE:
		world_preference(&world, SCOPE_GLOBAL, "", PREF_AUTO_SELECT_CERTIFICATES, "off");
		break;
	case ALIAS:
		world_preference(&world, SCOPE_USER, "owner@a.example", PREF_ALIASES,
				 "bob@a.example");
		break;
	case CHOSEN:
		world_choose(&world, SCOPE_USER, "bob@a.example", SELECTION_ENCRYPT, archive.cert);
		break;
	case CHOSEN_FOR_DOMAIN:
		world_choose(&world, SCOPE_DOMAIN, "a.example", SELECTION_ENCRYPT, archive.cert);
		break;
	case KEY:
		world_key(&world, bob.key);
		break;
	case CERT_OF_STRANGER:
		world_cert(&world, stranger.cert);
		break;
	case CTL_OF_STRANGER:
		world_ctl(&world, stranger.cert, CTL_KIND_DENY, FALSE);
		break;
	}
}

static void
test_change(gconstpointer data)
{
	const struct change_row *row = data;
	g_autoptr(GError) error = NULL;
	struct program program;

	if (!up())
		return;
	if (row->act == ALIAS)
		world_preference(&world, SCOPE_USER, "owner@a.example",
				 PREF_AUTO_SELECT_CERTIFICATES, "off");
	program_open(&program, DB_ROLE_READONLY, 8 << 20);
	g_assert_cmpint((int)used(&program, "bob@a.example"), ==, row->bob_before);
	CLEANUP(selection)
	struct selection *hers = ask(&program, "eve@a.example", SELECTION_ENCRYPT);
	CLEANUP(selection)
	struct selection *signer = ask(&program, "bob@a.example", SELECTION_SIGN);
	g_assert_cmpuint(signer->used->len, ==, 0);
	act(row->act);
	g_assert_true(changelog_poll(program.changelog, &error));
	g_assert_cmpint((int)used(&program, "bob@a.example"), ==, row->bob_after);
	CLEANUP(selection)
	struct selection *again = ask(&program, "eve@a.example", SELECTION_ENCRYPT);
	g_assert_cmpint(again == hers, ==, row->eve_untouched);
	CLEANUP(selection)
	struct selection *signer_now = ask(&program, "bob@a.example", SELECTION_SIGN);
	g_assert_cmpuint(signer_now->used->len, ==, row->act == KEY ? 1 : 0);
	program_close(&program);
	world_down(&world);
}

/* ---- queries -------------------------------------------------------------------------------- */

static void
test_queries(void)
{
	struct program program;
	guint64 before;

	if (!up())
		return;
	world_choose(&world, SCOPE_GLOBAL, "", SELECTION_ADDITIONAL, archive.cert);
	program_open(&program, DB_ROLE_MILTER, 8 << 20);
	/* The first of all reads roots, CAs and lists as well. */
	CLEANUP(selection)
	struct selection *first = ask(&program, "eve@a.example", SELECTION_ENCRYPT);
	CLEANUP(selection)
	struct selection *escrow = ask(&program, "eve@a.example", SELECTION_ADDITIONAL);
	g_assert_cmpuint(escrow->used->len, ==, 1);
	before = queries(&program);
	g_assert_cmpuint(used(&program, "bob@a.example"), ==, 1);
	g_assert_cmpuint(queries(&program) - before, ==, 1);
	CLEANUP(selection)
	struct selection *more = ask(&program, "bob@a.example", SELECTION_ADDITIONAL);
	CLEANUP(selection)
	struct selection *none = ask(&program, "nobody@a.example", SELECTION_ENCRYPT);
	g_assert_cmpuint(queries(&program) - before, <=, 3); /* the goal was fewer than 6 for one */
	before = queries(&program);
	for (int i = 0; i < 100; i++) {
		CLEANUP(selection)
		struct selection *warm = ask(&program, "bob@a.example", SELECTION_ENCRYPT);
		CLEANUP(selection)
		struct selection *nothing = ask(&program, "nobody@a.example", SELECTION_ENCRYPT);
		CLEANUP(selection)
		struct selection *same = ask(&program, "bob@a.example", SELECTION_ADDITIONAL);
		g_assert_true(same == more && nothing == none);
	}
	g_assert_cmpuint(queries(&program), ==, before);
	program_close(&program);
	world_down(&world);
}

/* Two hundred recipients of one message. */
static void
test_ahead(void)
{
	struct select_question questions[200];
	struct mailaddr *addresses[100];
	struct program program;
	guint64 before;
	g_autoptr(GError) error = NULL;
	const char *keys[100];

	if (!up())
		return;
	program_open(&program, DB_ROLE_MILTER, 8 << 20);
	g_assert_cmpuint(used(&program, "eve@a.example"), ==, 1);
	for (int i = 0; i < 100; i++) {
		char text[40];
		g_snprintf(text, sizeof(text), "%s%d@a.example", i == 0 ? "x" : "user", i);
		addresses[i] = mailaddr_parse(i == 7 ? "bob@a.example" : text, NULL);
		keys[i] = mailaddr_key(addresses[i]);
		questions[2 * i] =
		    (struct select_question){ addresses[i], NULL, SELECTION_ENCRYPT };
		questions[2 * i + 1] =
		    (struct select_question){ addresses[i], NULL, SELECTION_ADDITIONAL };
	}
	before = queries(&program);
	g_assert_true(preferences_prefetch(program.preferences, keys, 100, &error));
	g_assert_cmpuint(queries(&program) - before, ==, 0); /* it is known who has some */
	select_prefetch(program.select, questions, 200);
	g_assert_cmpuint(queries(&program) - before, ==, 2); /* a hundred questions each */
	before = queries(&program);
	for (int i = 0; i < 100; i++)
		g_assert_cmpuint(used(&program, keys[i]), ==, i == 7 ? 1 : 0);
	g_assert_cmpuint(queries(&program), ==, before);
	for (int i = 0; i < 100; i++)
		mailaddr_unref(addresses[i]);
	program_close(&program);
	world_down(&world);
}

/* ---- memory, time --------------------------------------------------------------------------- */

/* A hundred thousand addresses, in memory for some thousands. */
static void
test_memory(void)
{
	struct select_question questions[100];
	struct cache_stats stats;
	struct program program;
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	program_open(&program, DB_ROLE_MILTER, 4 << 20);
	for (int n = 0; n < 1000; n++) {
		const char *keys[100];
		for (int i = 0; i < 100; i++) {
			char text[40];
			g_snprintf(text, sizeof(text), "user%d@a.example", n * 100 + i);
			struct mailaddr *address = mailaddr_parse(text, NULL);
			keys[i] = mailaddr_key(address);
			questions[i] = (struct select_question){ address, NULL, SELECTION_ENCRYPT };
		}
		g_assert_true(preferences_prefetch(program.preferences, keys, 100, &error));
		select_prefetch(program.select, questions, 100);
		for (int i = 0; i < 100; i++)
			mailaddr_unref((struct mailaddr *)questions[i].address);
	}
	select_stats(program.select, &stats);
	g_assert_cmpuint(stats.bytes, <=, stats.bytes_max);
	g_assert_cmpuint(stats.bytes_max, <=, 4 << 20);
	g_assert_cmpuint(stats.evictions, >, 10000);
	g_assert_cmpuint(stats.entries, >, 1000);
	program_close(&program);
	world_down(&world);
}

/* Set back to before the certificate began, the clock finds no remembered "valid". */
static void
test_set_back(void)
{
	struct program program;

	if (!up())
		return;
	program_open(&program, DB_ROLE_MILTER, 8 << 20);
	g_assert_cmpuint(used(&program, "bob@a.example"), ==, 1);
	clock_set(world.clock, cert_not_before(bob.cert) - PKI_DAY);
	g_assert_cmpuint(used(&program, "bob@a.example"), ==, 0);
	clock_set(world.clock, PKI_NOW);
	g_assert_cmpuint(used(&program, "bob@a.example"), ==, 1);
	clock_set(world.clock, cert_not_after(bob.cert) + 1);
	g_assert_cmpuint(used(&program, "bob@a.example"), ==, 0);
	clock_set(world.clock, PKI_NOW);
	g_assert_cmpuint(used(&program, "bob@a.example"), ==, 1);
	program_close(&program);
	world_down(&world);
}

static void
make_nodes(void)
{
	struct leaf leaf = { .common_name = "Bob", .email = "bob@a.example" };

	root = pki_root("Root");
	other_root = pki_root("Other Root");
	intermediate = pki_intermediate(&root, "Intermediate");
	bob = pki_leaf(&intermediate, &leaf);
	bob_renewed = pki_leaf(&intermediate, &leaf);
	leaf = (struct leaf){ .common_name = "Eve", .email = "eve@a.example" };
	eve = pki_leaf(&intermediate, &leaf);
	leaf = (struct leaf){ .common_name = "Stranger", .email = "stranger@b.example" };
	stranger = pki_leaf(&other_root, &leaf);
	leaf = (struct leaf){ .common_name = "Archive" };
	archive = pki_leaf(&intermediate, &leaf);
}

static void
clear_nodes(void)
{
	struct node *all[] = { &root,        &intermediate, &other_root, &bob,
			       &bob_renewed, &eve,          &stranger,   &archive };

	for (gsize i = 0; i < G_N_ELEMENTS(all); i++)
		node_clear(all[i]);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	world.pg = scratch_pg_start();
	make_nodes();
	for (gsize i = 0; i < G_N_ELEMENTS(change_rows); i++) {
		g_autofree char *path =
		    g_strconcat("/select-cache/change/", change_rows[i].name, NULL);
		g_test_add_data_func(path, &change_rows[i], test_change);
	}
	g_test_add_func("/select-cache/warm without a query, cold with few", test_queries);
	g_test_add_func("/select-cache/many recipients share a query", test_ahead);
	g_test_add_func("/select-cache/memory of many addresses", test_memory);
	g_test_add_func("/select-cache/the clock is set back", test_set_back);
	int status = g_test_run();
	clear_nodes();
	scratch_pg_stop(world.pg);
	return status;
}
