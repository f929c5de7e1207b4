/*
 * NIST PKITS: order and company of the certificates and lists change no verdict; the same through
 * the store. The rows with separate files, as `cert verify` reads them, are in test_file_verify.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <string.h>

#include "pki/crypto/chain.h"
#include "pki/import.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "tests/unit/pki/cert_fixture.h"
#include "tests/unit/pki/store_fixture.h"

#define SHUFFLES 20
#define STRANGERS 50

static char *base;
static json_t *suite;
static gint64 at;
static GHashTable *certs, *lists; /* file name -> object */
static GPtrArray *strangers;      /* struct cert */
static struct world world;

static const char *
text_of(const json_t *row, const char *name)
{
	return json_string_value(json_object_get(row, name));
}

static GBytes *
read_object(const char *folder, const char *name)
{
	g_autofree char *path = g_build_filename(base, folder, name, NULL);
	char *bytes = NULL;
	gsize length = 0;

	g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
	return g_bytes_new_take(bytes, length);
}

static void
read_folder(const char *name)
{
	g_autofree char *path = g_build_filename(base, name, NULL);
	g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
	gboolean is_cert = strcmp(name, "certs") == 0;
	const char *file;

	while ((file = g_dir_read_name(folder)) != NULL) {
		g_autoptr(GBytes) bytes = read_object(name, file);

		if (is_cert)
			g_hash_table_insert(certs, g_strdup(file), cert_parse(bytes, NULL));
		else
			g_hash_table_insert(lists, g_strdup(file), crl_parse(bytes, NULL));
	}
}

static GPtrArray *
objects_of(const json_t *names, GHashTable *from)
{
	GPtrArray *objects = g_ptr_array_new();
	gsize i;
	json_t *name;

	json_array_foreach(names, i, name)
	{
		gpointer object = g_hash_table_lookup(from, json_string_value(name));
		if (object != NULL)
			g_ptr_array_add(objects, object);
	}
	return objects;
}

static GPtrArray *
all_of(GHashTable *from)
{
	GPtrArray *objects = g_ptr_array_new();
	GHashTableIter iter;
	gpointer object;

	g_hash_table_iter_init(&iter, from);
	while (g_hash_table_iter_next(&iter, NULL, &object))
		if (object != NULL)
			g_ptr_array_add(objects, object);
	return objects;
}

static GPtrArray *
policies_of(const json_t *row)
{
	GPtrArray *texts = g_ptr_array_new();
	gsize i;
	json_t *policy;

	json_array_foreach(json_object_get(row, "initial_policy_set"), i, policy)
	    g_ptr_array_add(texts, (gpointer)json_string_value(policy));
	g_ptr_array_add(texts, NULL);
	return texts;
}

static void
shuffle(GPtrArray *array, GRand *dice)
{
	for (guint i = array->len; i > 1; i--) {
		guint k = (guint)g_rand_int_range(dice, 0, (gint32)i);
		gpointer kept = array->pdata[k];

		array->pdata[k] = array->pdata[i - 1];
		array->pdata[i - 1] = kept;
	}
}

static struct chain_options
options_of(const json_t *row, GPtrArray *anchors, const GPtrArray *policies)
{
	return (struct chain_options){
		.anchors = anchors,
		.at = at,
		.revocation = CHAIN_REVOCATION_REQUIRED,
		.policies = (const char *const *)policies->pdata,
		.explicit_policy = json_is_true(json_object_get(row, "initial_explicit_policy")),
		.inhibit_policy_mapping =
		    json_is_true(json_object_get(row, "initial_policy_mapping_inhibit")),
		.inhibit_any_policy =
		    json_is_true(json_object_get(row, "initial_inhibit_any_policy")),
		.allow_legacy = TRUE,
	};
}

static gboolean
is_right(const json_t *row, const char *how, enum chain_verdict verdict, const char *reason)
{
	gboolean wanted = strcmp(text_of(row, "expected"), "valid") == 0;
	gboolean right = (verdict == CHAIN_VALID) == wanted;

	if (!right)
		g_test_message("%s %s, %s: %s %s", text_of(row, "id"), text_of(row, "name"), how,
			       chain_verdict_name(verdict), reason);
	return right;
}

/* What the row needs, strangers beside it, in SHUFFLES orders; the reason is always the same. */
static gboolean
shuffled_row(const json_t *row, GRand *dice)
{
	struct cert *cert = g_hash_table_lookup(certs, text_of(row, "end_cert"));
	g_autoptr(GPtrArray) anchors =
	    pki_certs(g_hash_table_lookup(certs, text_of(row, "trust_anchor")), NULL);
	g_autoptr(GPtrArray) policies = policies_of(row);
	g_autoptr(GPtrArray) untrusted = objects_of(json_object_get(row, "intermediates"), certs);
	g_autoptr(GPtrArray) crls = objects_of(json_object_get(row, "crls"), lists);
	g_autofree char *first = NULL;

	for (guint i = 0; i < strangers->len; i++)
		g_ptr_array_add(untrusted, strangers->pdata[i]);
	for (int i = 0; i < SHUFFLES; i++) {
		struct chain_options options = options_of(row, anchors, policies);

		shuffle(untrusted, dice);
		shuffle(crls, dice);
		options.untrusted = untrusted;
		options.crls = crls;
		CLEANUP(chain_report)
		struct chain_report *report = chain_check(cert, &options, NULL);
		if (!is_right(row, "shuffled", report->verdict, report->reason))
			return FALSE;
		if (first == NULL)
			first = g_strdup(report->reason);
		g_assert_cmpstr(first, ==, report->reason);
	}
	return TRUE;
}

static void
test_shuffled(void)
{
	g_autoptr(GRand) dice = g_rand_new_with_seed(4711);
	guint right = 0;
	gsize i;
	json_t *row;

	json_array_foreach(suite, i, row) right += (guint)shuffled_row(row, dice);
	g_test_message("%u of %zu rows, %d orders, %d strangers", right, json_array_size(suite),
		       SHUFFLES, STRANGERS);
	g_assert_cmpuint(right, ==, json_array_size(suite));
}

/* Everything of the suite at once, as in a store. */
static void
test_together(void)
{
	g_autoptr(GPtrArray) untrusted = all_of(certs);
	g_autoptr(GPtrArray) crls = all_of(lists);
	g_autoptr(GRand) dice = g_rand_new_with_seed(42);
	guint right = 0;
	gsize i;
	json_t *row;

	json_array_foreach(suite, i, row)
	{
		g_autoptr(GPtrArray) anchors =
		    pki_certs(g_hash_table_lookup(certs, text_of(row, "trust_anchor")), NULL);
		g_autoptr(GPtrArray) policies = policies_of(row);
		struct chain_options options = options_of(row, anchors, policies);

		shuffle(untrusted, dice);
		shuffle(crls, dice);
		options.untrusted = untrusted;
		options.crls = crls;
		CLEANUP(chain_report)
		struct chain_report *report = chain_check(
		    g_hash_table_lookup(certs, text_of(row, "end_cert")), &options, NULL);
		right += (guint)is_right(row, "together", report->verdict, report->reason);
	}
	g_test_message("%u of %zu rows among %u certificates and %u lists", right,
		       json_array_size(suite), untrusted->len, crls->len);
	g_assert_cmpuint(right, ==, json_array_size(suite));
}

/* As an administrator would: every file imported, the anchor as a root. */
static void
import_folder(const char *name, GHashTable *objects, const char *anchor)
{
	GHashTableIter iter;
	gpointer file;

	g_hash_table_iter_init(&iter, objects);
	while (g_hash_table_iter_next(&iter, &file, NULL)) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GBytes) bytes = read_object(name, file);
		struct import_options options = {
			.name = file,
			.as_roots = strcmp(file, anchor) == 0,
		};
		CLEANUP(import_report)
		struct import_report *report =
		    import_bytes(world.db, world.keyring, bytes, &options, &error);
		g_assert_no_error(error);
		g_assert_cmpuint(report->added + report->present + report->rejected, >, 0);
	}
}

static gboolean
stored_row(const json_t *row)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) policies = policies_of(row);
	struct chain_options options = options_of(row, NULL, policies);
	struct trust_question question = {
		.purpose = TRUST_ANY,
		.revocation = options.revocation,
		.at = at,
		.policies = options.policies,
		.explicit_policy = options.explicit_policy,
		.inhibit_policy_mapping = options.inhibit_policy_mapping,
		.inhibit_any_policy = options.inhibit_any_policy,
		.allow_legacy = TRUE,
	};
	CLEANUP(verdict)
	struct verdict *verdict = trust_ask(
	    world.trust, g_hash_table_lookup(certs, text_of(row, "end_cert")), &question, &error);

	g_assert_no_error(error);
	return is_right(row, "stored",
			verdict->state == VERDICT_VALID     ? CHAIN_VALID
			: verdict->state == VERDICT_REVOKED ? CHAIN_REVOKED
							    : CHAIN_INVALID,
			verdict->reason);
}

static void
test_stored(void)
{
	const char *anchor = text_of(json_array_get(suite, 0), "trust_anchor");
	guint right = 0;
	gsize i;
	json_t *row;

	if (!world_up(&world))
		return;
	import_folder("certs", certs, anchor);
	import_folder("crls", lists, anchor);
	for (guint k = 0; k < strangers->len; k++)
		world_cert(&world, strangers->pdata[k]);
	json_array_foreach(suite, i, row)
	{
		g_assert_cmpstr(text_of(row, "trust_anchor"), ==, anchor);
		right += (guint)stored_row(row);
	}
	g_test_message("%u of %zu rows through the store", right, json_array_size(suite));
	g_assert_cmpuint(right, ==, json_array_size(suite));
	world_down(&world);
}

static void
make_strangers(void)
{
	struct node root = pki_root("Stranger Root");
	struct node ca = pki_intermediate(&root, "Stranger CA");

	strangers = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	for (int i = 0; i < STRANGERS; i++) {
		g_autofree char *name = g_strdup_printf("Stranger %d", i);
		struct node node = i % 5 == 0
				       ? pki_intermediate(&root, name)
				       : pki_leaf(&ca, &(struct leaf){ .common_name = name });
		g_ptr_array_add(strangers, cert_ref(node.cert));
		node_clear(&node);
	}
	node_clear(&ca);
	node_clear(&root);
}

static void
test_absent(void)
{
	g_test_skip("the NIST PKITS data is not here");
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	base = pki_data("pkits");
	if (base == NULL) {
		g_test_add_func("/pkits/absent", test_absent);
		return g_test_run();
	}
	g_autofree char *path = g_build_filename(base, "expected.json", NULL);
	suite = json_load_file(path, 0, NULL);
	g_assert_true(clock_parse("2011-04-15T00:00:00Z", &at, NULL));
	certs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)cert_unref);
	lists = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)crl_unref);
	read_folder("certs");
	read_folder("crls");
	make_strangers();
	world.pg = scratch_pg_start();
	g_test_add_func("/pkits/shuffled among strangers", test_shuffled);
	g_test_add_func("/pkits/all together", test_together);
	g_test_add_func("/pkits/through the store", test_stored);
	int status = g_test_run();
	scratch_pg_stop(world.pg);
	g_ptr_array_unref(strangers);
	g_hash_table_unref(certs);
	g_hash_table_unref(lists);
	json_decref(suite);
	g_free(base);
	return status;
}
