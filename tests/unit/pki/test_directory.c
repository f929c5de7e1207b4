/*
 * What is taken out of directories' answers, how servers are left alone, and what filters are told.
 */
#include "pki/directory.h"

#include <string.h>

#include "pki/crypto/bundle.h"
#include "pki/crypto/tlv.h"
#include "pki/directory_values.h"
#include "pki/directory_wait.h"
#include "pki/net/ldap.h"
#include "store/base/error.h"
#include "store/config/settings.h"
#include "store/db/tx.h"
#include "store/jobs.h"
#include "tests/unit/pki/cert_fixture.h"
#include "tests/unit/pki/store_fixture.h"

static struct world world;
static struct settings *settings;
static struct node root, bob, bob_newer, alice, expired, authority, signing;

/* ---- values ---------------------------------------------------------------------------------- */

static void
value_free(gpointer data)
{
	struct ldap_value *value = data;

	g_free(value->attribute);
	g_bytes_unref(value->bytes);
	g_free(value);
}

static void
add(GPtrArray *values, GBytes *bytes)
{
	struct ldap_value *value = g_new0(struct ldap_value, 1);

	value->attribute = g_strdup("usercertificate");
	value->bytes = g_bytes_ref(bytes);
	g_ptr_array_add(values, value);
}

static GBytes *
pair_of(const struct node *forward, const struct node *reverse)
{
	g_autoptr(GByteArray) out = g_byte_array_new();
	guint whole = tlv_open(out);
	const struct node *const nodes[] = { forward, reverse };

	for (guint i = 0; i < 2; i++) {
		guint place = tlv_open(out);
		gsize length;
		gconstpointer der;

		if (nodes[i] == NULL)
			continue;
		der = g_bytes_get_data(cert_der(nodes[i]->cert), &length);
		tlv_put_raw(out, der, length);
		tlv_close(out, place, (guint8)TLV_CONTEXT_CONSTRUCTED(i));
	}
	tlv_close(out, whole, TLV_SEQUENCE);
	return g_byte_array_free_to_bytes(g_steal_pointer(&out));
}

static void
test_forms(void)
{
	g_autoptr(GPtrArray) two = pki_certs(bob.cert, alice.cert, NULL);
	g_autoptr(GBytes) pkcs7 = bundle_write_pkcs7(two, FALSE, NULL);
	g_autoptr(GBytes) pair = pair_of(&bob, &alice);
	const struct {
		const char *what;
		GBytes *bytes;
		guint count;
	} rows[] = {
		{ "a certificate", cert_der(bob.cert), 1 },
		{ "PKCS#7 with two", pkcs7, 2 },
		{ "a pair", pair, 2 },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GPtrArray) certs = directory_value_certs(rows[i].bytes, &error);

		g_test_message("%s", rows[i].what);
		g_assert_no_error(error);
		g_assert_cmpuint(certs->len, ==, rows[i].count);
		/* One byte less or more is none of them. */
		gsize length = g_bytes_get_size(rows[i].bytes);
		g_autoptr(GBytes) shorter = g_bytes_new_from_bytes(rows[i].bytes, 0, length - 1);
		g_autofree guint8 *more = g_malloc0(length + 1);
		memcpy(more, g_bytes_get_data(rows[i].bytes, NULL), length);
		g_autoptr(GBytes) longer = g_bytes_new(more, length + 1);
		g_assert_null(directory_value_certs(shorter, NULL));
		g_assert_null(directory_value_certs(longer, NULL));
	}
}

static void
test_no_forms(void)
{
	static const struct {
		const char *what, *bytes;
		gsize length;
	} rows[] = {
		{ "nothing", "", 0 },
		{ "text", "-----BEGIN CERTIFICATE-----", 27 },
		{ "an empty sequence", "\x30\x00", 2 },
		{ "a sequence of a number", "\x30\x03\x02\x01\x01", 5 },
		{ "another content type", "\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03",
		  13 },
		{ "signed-data without content",
		  "\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", 13 },
		{ "indefinite and cut", "\x30\x80\x06\x09", 4 },
		{ "indefinite without end", "\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02",
		  13 },
		{ "an empty pair", "\x30\x02\xa0\x00", 4 },
		{ "a pair in the wrong order", "\x30\x04\xa1\x00\xa0\x00", 6 },
		{ "a length of 4 GiB", "\x30\x84\xff\xff\xff\xff", 6 },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GBytes) bytes = g_bytes_new(rows[i].bytes, rows[i].length);
		g_autoptr(GError) error = NULL;

		g_test_message("%s", rows[i].what);
		g_assert_null(directory_value_certs(bytes, &error));
		g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	}
}

static void
test_what_fits(void)
{
	g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(value_free);
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse("BOB@example.org", NULL);
	g_autoptr(GBytes) junk = g_bytes_new("junk", 4);

	add(values, junk);
	add(values, cert_der(alice.cert));     /* another address */
	add(values, cert_der(expired.cert));   /* over */
	add(values, cert_der(authority.cert)); /* a CA's */
	add(values, cert_der(signing.cert));   /* not for encryption */
	add(values, cert_der(bob.cert));
	add(values, cert_der(bob_newer.cert));
	add(values, cert_der(bob.cert)); /* twice */
	CLEANUP(directory_taken)
	struct directory_taken *taken = directory_values_take(values, address, PKI_NOW);
	g_assert_cmpuint(taken->certs->len, ==, 2);
	g_assert_true(cert_equal(taken->certs->pdata[0], bob_newer.cert));
	g_assert_true(cert_equal(taken->certs->pdata[1], bob.cert));
	g_assert_cmpuint(taken->refused, ==, 5);
	g_assert_nonnull(taken->why);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static gboolean
up(void)
{
	if (!world_up(&world))
		return FALSE;
	world_root(&world, root.cert);
	return TRUE;
}

struct put {
	const struct directory_row *row;
	const struct directory_answer_row *answer;
	gboolean put;
};

static gboolean
do_put(struct tx *tx, gpointer data, GError **error)
{
	struct put *put = data;

	if (put->row != NULL && !directories_put(tx, put->row, error))
		return FALSE;
	return put->answer == NULL || directories_save_answer(tx, put->answer, error);
}

static gboolean
put_server(const char *name, GError **error)
{
	static char *attributes[] = { (char *)"userCertificate", NULL };
	static char *domains[] = { (char *)"example.org", (char *)"*.example.net", NULL };
	const struct directory_row row = {
		.name = (char *)name,
		.host = (char *)"127.0.0.1",
		.port = 1, /* nobody listens there */
		.security = (char *)"none",
		.base = (char *)"o=x",
		.depth = (char *)"sub",
		.filter = (char *)DIRECTORY_FILTER_DEFAULT,
		.attributes = attributes,
		.domains = domains,
	};
	struct put put = { .row = &row };

	return db_transaction(world.db, do_put, &put, error);
}

static struct directory_answer_row *
ask(const char *text)
{
	const struct directory directory = { world.db,    world.clock,       world.keyring,
					     world.trust, world.preferences, settings };
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(text, NULL);
	struct directory_answer_row *answer = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(directory_ask(&directory, address, &answer, &error));
	g_assert_no_error(error);
	return answer;
}

static void
test_limit_of_servers(void)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
		g_assert_true(put_server(names[i], NULL));
	g_assert_true(put_server("d", NULL)); /* changed, not added */
	g_assert_false(put_server("e", &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	world_down(&world);
}

struct stamped {
	const char *stamp;
	gboolean unchanged;
};

static gboolean
look(struct tx *tx, gpointer data, GError **error)
{
	struct stamped *stamped = data;

	return directories_unchanged(tx, stamped->stamp, &stamped->unchanged, error);
}

/* An answer of the servers of before must not be written after a change. */
static void
test_stamp(void)
{
	if (!up())
		return;
	g_autofree char *none = directories_stamp(world.db, NULL);
	struct stamped stamped = { none, FALSE };
	g_assert_true(db_transaction(world.db, look, &stamped, NULL));
	g_assert_true(stamped.unchanged);
	g_assert_true(put_server("a", NULL));
	g_assert_true(db_transaction(world.db, look, &stamped, NULL));
	g_assert_false(stamped.unchanged);
	g_autofree char *one = directories_stamp(world.db, NULL);
	stamped.stamp = one;
	CLEANUP(directory_answer_row) struct directory_answer_row *asked = ask("bob@example.org");
	g_assert_true(db_transaction(world.db, look, &stamped, NULL));
	g_assert_true(stamped.unchanged); /* how it did is no change */
	g_assert_true(put_server("a", NULL));
	g_assert_true(db_transaction(world.db, look, &stamped, NULL));
	g_assert_false(stamped.unchanged);
	world_down(&world);
}

static void
test_covers(void)
{
	const char *const domains[] = { "example.org", "*.example.net", NULL };

	g_assert_true(directories_cover(domains, "example.org"));
	g_assert_false(directories_cover(domains, "sub.example.org"));
	g_assert_true(directories_cover(domains, "a.b.example.net"));
	g_assert_false(directories_cover(domains, "example.net"));
	g_assert_false(directories_cover(domains, "badexample.net"));
}

/* Refused connections: five open the breaker, which all nodes read from the row. */
static void
test_breaker(void)
{
	if (!up())
		return;
	g_assert_true(put_server("dead", NULL));
	for (guint i = 0; i < 5; i++) {
		CLEANUP(directory_answer_row)
		struct directory_answer_row *answer = ask("bob@example.org");
		g_assert_cmpint(answer->outcome, ==, DIRECTORY_FAILED);
		g_assert_cmpint(answer->good_until, ==, PKI_NOW + settings->directory_retry);
		g_assert_null(strstr(answer->note, "not asked"));
	}
	CLEANUP(directory_row) struct directory_row *row = directories_find(world.db, "dead", NULL);
	g_assert_cmpint(row->failures, ==, 5);
	g_assert_cmpint(row->open_until, ==, PKI_NOW + settings->directory_retry);
	CLEANUP(directory_answer_row) struct directory_answer_row *open = ask("bob@example.org");
	g_assert_cmpint(open->outcome, ==, DIRECTORY_FAILED);
	g_assert_nonnull(strstr(open->note, "not asked for a while"));
	clock_set(world.clock, PKI_NOW + settings->directory_retry);
	CLEANUP(directory_answer_row) struct directory_answer_row *probe = ask("bob@example.org");
	g_assert_null(strstr(probe->note, "not asked"));
	CLEANUP(directory_row)
	struct directory_row *after = directories_find(world.db, "dead", NULL);
	g_assert_cmpint(after->failures, ==, 6);
	g_assert_cmpint(after->open_until - row->open_until, ==, 2 * settings->directory_retry);
	/* An administrator who changes it wants it to be asked. */
	g_assert_true(put_server("dead", NULL));
	CLEANUP(directory_row)
	struct directory_row *changed = directories_find(world.db, "dead", NULL);
	g_assert_cmpint(changed->failures + changed->trips, ==, 0);
	world_down(&world);
}

static void
test_not_served(void)
{
	if (!up())
		return;
	g_assert_true(put_server("dead", NULL));
	CLEANUP(directory_answer_row)
	struct directory_answer_row *answer = ask("bob@elsewhere.org");
	g_assert_cmpint(answer->outcome, ==, DIRECTORY_NONE);
	world_down(&world);
}

/* ---- what filters are told ------------------------------------------------------------------- */

static enum directory_state
state_of(const char *text)
{
	struct directory_wait *wait = directory_wait_new(world.db, NULL, world.clock, 300);
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(text, NULL);
	struct directory_query query = { .address = address };

	directory_wait_ask(wait, &query, 1, 0);
	g_free(query.note);
	directory_wait_free(wait);
	return query.state;
}

static void
answer(enum directory_outcome outcome, gint64 good_until)
{
	const struct directory_answer_row row = {
		.email = (char *)"bob@example.org",
		.outcome = outcome,
		.note = (char *)"a note",
		.asked = PKI_NOW,
		.good_until = good_until,
	};
	struct put put = { .answer = &row };

	g_assert_true(db_transaction(world.db, do_put, &put, NULL));
}

static guint
jobs(void)
{
	g_autoptr(GPtrArray) rows = jobs_list(world.db, "directory", TRUE, 0, 10, NULL);

	return rows->len;
}

static void
test_told(void)
{
	static const struct {
		enum directory_outcome outcome;
		enum directory_state state;
	} rows[] = {
		{ DIRECTORY_FOUND, DIRECTORY_STORED },
		{ DIRECTORY_NONE, DIRECTORY_NOTHING },
		{ DIRECTORY_FAILED, DIRECTORY_OPEN },
	};

	if (!up())
		return;
	g_assert_cmpint(state_of("bob@example.org"), ==, DIRECTORY_NOT_SERVED);
	g_assert_true(put_server("dead", NULL));
	g_assert_cmpint(state_of("bob@elsewhere.org"), ==, DIRECTORY_NOT_SERVED);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		answer(rows[i].outcome, PKI_NOW + 1);
		g_assert_cmpint(state_of("bob@example.org"), ==, rows[i].state);
	}
	g_assert_cmpuint(jobs(), ==, 0); /* what is known is not asked again */
	answer(DIRECTORY_NONE, PKI_NOW);
	g_assert_cmpint(state_of("bob@example.org"), ==, DIRECTORY_OPEN); /* old answers are none */
	g_assert_cmpuint(jobs(), ==, 1);
	g_assert_cmpint(state_of("bob@example.org"), ==, DIRECTORY_OPEN);
	g_assert_cmpuint(jobs(), ==, 1); /* one question, however many ask */
	world_down(&world);
}

/* A change of the servers makes all answers void. */
static void
test_changed(void)
{
	if (!up())
		return;
	g_assert_true(put_server("dead", NULL));
	answer(DIRECTORY_NONE, PKI_NOW + 1000);
	g_assert_cmpint(state_of("bob@example.org"), ==, DIRECTORY_NOTHING);
	g_assert_true(put_server("another", NULL));
	g_assert_cmpint(state_of("bob@example.org"), ==, DIRECTORY_OPEN);
	world_down(&world);
}

static void
make(void)
{
	struct leaf leaf = { .common_name = "Bob", .email = "bob@example.org" };

	root = pki_root("Root");
	authority = pki_intermediate(&root, "CA");
	bob = pki_leaf(&root, &leaf);
	leaf.not_before = PKI_NOW - PKI_DAY;
	leaf.not_after = PKI_NOW + PKI_DAY;
	bob_newer = pki_leaf(&root, &leaf);
	leaf.not_before = PKI_NOW - 20 * PKI_DAY;
	leaf.not_after = PKI_NOW - 1;
	expired = pki_leaf(&root, &leaf);
	leaf = (struct leaf){ .common_name = "Bob",
			      .email = "bob@example.org",
			      .key_usage = KEY_USAGE_DIGITAL_SIGNATURE };
	signing = pki_leaf(&root, &leaf);
	leaf = (struct leaf){ .common_name = "Alice", .email = "alice@example.org" };
	alice = pki_leaf(&root, &leaf);
}

int
main(int argc, char **argv)
{
	struct node *const all[] = {
		&root, &bob, &bob_newer, &alice, &expired, &authority, &signing
	};
	int failed;

	g_test_init(&argc, &argv, NULL);
	world.pg = scratch_pg_start();
	settings = settings_default();
	make();
	g_test_add_func("/directory/values/three forms", test_forms);
	g_test_add_func("/directory/values/none of them", test_no_forms);
	g_test_add_func("/directory/values/what fits an address", test_what_fits);
	g_test_add_func("/directory/domains", test_covers);
	g_test_add_func("/directory/four servers", test_limit_of_servers);
	g_test_add_func("/directory/changed servers", test_stamp);
	g_test_add_func("/directory/breaker", test_breaker);
	g_test_add_func("/directory/another domain", test_not_served);
	g_test_add_func("/directory/wait/what is told", test_told);
	g_test_add_func("/directory/wait/servers change", test_changed);
	failed = g_test_run();
	for (gsize i = 0; i < G_N_ELEMENTS(all); i++)
		node_clear(all[i]);
	settings_unref(settings);
	scratch_pg_stop(world.pg);
	return failed;
}
