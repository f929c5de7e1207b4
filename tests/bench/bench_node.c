/*
 * bench_node - one filter's worth of caches over the large store, in a process of its own.
 */
#include "tests/bench/bench_store.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "milter/gateway.h"
#include "pki/crypto/cms_encrypt.h"
#include "pki/select.h"
#include "pki/trust.h"
#include "store/base/buffer.h"
#include "store/base/error.h"
#include "store/ctl.h"
#include "store/db/changelog.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "tests/support/scratch_pg.h"

#define COLD_MAX 2000
#define WARM_ROUNDS 20
#define ENCRYPT_MAX 2000
#define ENCRYPT_GROUP 100 /* divides all counts */
#define PIECES_MAX 300
#define MESSAGE_BYTES 2048
#define EFFECT_TRIES 10
#define EFFECT_SECONDS_MAX 10

static const struct statement point = {
	"bench_point",
	"SELECT certificate_id FROM certificate_email WHERE email = $1",
};

struct mailaddr *
bench_address(guint person)
{
	g_autofree char *text = store_sample_address(person);
	g_autoptr(GError) error = NULL;
	struct mailaddr *address = mailaddr_parse(text, &error);

	if (address == NULL)
		g_error("%s", error->message);
	return address;
}

static struct selection *
choose(struct gateway *gateway, const struct mailaddr *address)
{
	g_autoptr(GError) error = NULL;
	struct selection *selection = select_encryption(gateway->select, address, &error);

	if (selection == NULL)
		g_error("%s", error->message);
	if (selection->used->len == 0)
		g_error("nobody to encrypt to: %s", selection->why);
	return selection;
}

gsize
bench_resident(void)
{
	unsigned long pages = 0;
	g_autofree char *text = NULL;

	malloc_trim(0);
	if (g_file_get_contents("/proc/self/statm", &text, NULL, NULL)) {
		g_auto(GStrv) fields = g_strsplit(text, " ", 3);
		pages = (unsigned long)g_ascii_strtoull(fields[1], NULL, 10);
	}
	return pages * 4096;
}

static void
point_query(struct gateway *gateway, const struct mailaddr *address)
{
	g_autoptr(GError) error = NULL;
	struct params *params = params_new();

	params_text(params, mailaddr_key(address));
	CLEANUP(rows) struct rows *rows = db_query(gateway->db, &point, params, &error);
	if (rows == NULL || rows_count(rows) == 0)
		g_error("point query: %s", error != NULL ? error->message : "no row");
}

/* Somebody else for each look, from all over the table. */
static guint
scattered(guint n, guint addresses)
{
	return (guint)((guint64)n * 2654435761U % addresses);
}

static void
cold_selection(struct gateway *gateway, guint addresses)
{
	g_autoptr(GArray) points = g_array_new(FALSE, FALSE, sizeof(double));
	g_autoptr(GArray) cold = g_array_new(FALSE, FALSE, sizeof(double));
	struct db_stats before, after;
	guint count = MIN(COLD_MAX, addresses / 2);
	guint64 queries = 0;

	for (guint i = 0; i < count; i++) {
		CLEANUP(mailaddr)
		struct mailaddr *other = bench_address(scattered(i + count, addresses));
		CLEANUP(mailaddr) struct mailaddr *address = bench_address(scattered(i, addresses));
		double start = bench_seconds(), took;

		point_query(gateway, other);
		took = bench_seconds() - start;
		g_array_append_val(points, took);
		db_stats(gateway->db, &before);
		start = bench_seconds();
		selection_unref(choose(gateway, address));
		took = bench_seconds() - start;
		db_stats(gateway->db, &after);
		g_array_append_val(cold, took);
		queries += after.queries - before.queries;
	}
	double p50 = bench_quantile(points, 0.5), p99 = bench_quantile(points, 0.99);
	bench_row("point_p50", p50 * 1e6, "us");
	bench_row("point_p99", p99 * 1e6, "us");
	bench_row("select_cold_p50", bench_quantile(cold, 0.5) * 1e6, "us");
	bench_row("select_cold_p99", bench_quantile(cold, 0.99) * 1e6, "us");
	bench_row("select_cold_p50_ratio", bench_quantile(cold, 0.5) / p50, "point queries");
	bench_row("select_cold_p99_ratio", bench_quantile(cold, 0.99) / p99, "point queries");
	bench_row("select_cold_queries", (double)queries / count, "queries each");
}

static void
warm_selection(struct gateway *gateway, guint addresses)
{
	g_autoptr(GHashTable) table = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)mailaddr_unref);
	struct db_stats before, after;
	guint count = MIN(1000, addresses / 2), found = 0;

	for (guint i = 0; i < count; i++) {
		struct mailaddr *address = bench_address(scattered(i, addresses));

		g_ptr_array_add(list, address);
		g_hash_table_insert(table, (gpointer)mailaddr_key(address), address);
		selection_unref(choose(gateway, address));
	}
	db_stats(gateway->db, &before);
	double start = bench_seconds();
	for (guint round = 0; round < WARM_ROUNDS; round++)
		for (guint i = 0; i < count; i++)
			selection_unref(choose(gateway, list->pdata[i]));
	double warm = (bench_seconds() - start) / count / WARM_ROUNDS;
	db_stats(gateway->db, &after);
	start = bench_seconds();
	for (guint round = 0; round < WARM_ROUNDS * 10; round++)
		for (guint i = 0; i < count; i++)
			found += g_hash_table_contains(table, mailaddr_key(list->pdata[i])) ? 1 : 0;
	double lookup = (bench_seconds() - start) / found;
	bench_row("select_warm", warm * 1e6, "us");
	bench_row("select_warm_ratio", warm / lookup, "hash look-ups");
	bench_row("select_warm_queries", (double)(after.queries - before.queries),
		  "queries in all");
}

/* --- P9 --- */

static void
encrypt(struct gateway *gateway, const struct mailaddr *address)
{
	static const char text[MESSAGE_BYTES] = "body";
	CLEANUP(selection) struct selection *selection = choose(gateway, address);
	const struct cms_encrypt_options options = { .cipher = CMS_CIPHER_AES_256_CBC,
						     .content_size = sizeof text };
	g_autofree struct cms_recipient *recipients =
	    g_new0(struct cms_recipient, selection->used->len);
	g_autoptr(GError) error = NULL;
	struct buffer_sink out;

	for (guint i = 0; i < selection->used->len; i++)
		recipients[i].cert = selection->used->pdata[i];
	buffer_sink_init(&out, 1024 * 1024);
	CLEANUP(cms_encrypt)
	struct cms_encrypt *cms =
	    cms_encrypt_new(recipients, selection->used->len, &options, &out.sink, &error);
	if (cms == NULL || !sink_write(cms_encrypt_sink(cms), text, sizeof text, &error) ||
	    !cms_encrypt_finish(cms, &error))
		g_error("%s", error->message);
	buffer_sink_clear(&out);
}

/* The same people twice: nobody knows them the first time, as selections went to others. A few at
 * a time, so that all of them are still known the second time. */
static void
encryption(struct gateway *gateway, guint addresses)
{
	guint first = MIN(COLD_MAX, addresses / 2),
	      count = MIN(ENCRYPT_MAX, addresses / 2 / ENCRYPT_GROUP * ENCRYPT_GROUP);
	double took[2] = { 0, 0 }, cpu[2] = { 0, 0 };

	for (guint done = 0; done < count * 2; done++) {
		guint group = done / ENCRYPT_GROUP, round = group % 2;
		guint i = group / 2 * ENCRYPT_GROUP + done % ENCRYPT_GROUP;
		CLEANUP(mailaddr)
		struct mailaddr *address = bench_address(scattered(first + i, addresses));
		double start = bench_seconds(), cpu_start = bench_cpu_seconds();

		encrypt(gateway, address);
		took[round] += (bench_seconds() - start) / count;
		cpu[round] += (bench_cpu_seconds() - cpu_start) / count;
	}
	bench_row("encrypt_new", took[0] * 1e6, "us");
	bench_row("encrypt_cached", took[1] * 1e6, "us");
	bench_row("encrypt_ratio", took[1] / took[0], "of fully cached");
	bench_row("encrypt_new_cpu", cpu[0] * 1e6, "us of CPU of this process");
	bench_row("encrypt_cached_cpu", cpu[1] * 1e6, "us of CPU of this process");
}

/* What a selection of somebody new is made of on this side: each certificate read, and judged. */
static void
pieces(struct gateway *gateway, guint addresses)
{
	guint count = MIN(PIECES_MAX, addresses / 2);
	double parse = 0, judge = 0;

	for (guint i = 0; i < count; i++) {
		CLEANUP(mailaddr) struct mailaddr *address = bench_address(i);
		CLEANUP(selection) struct selection *selection = choose(gateway, address);
		g_autoptr(GError) error = NULL;
		double start = bench_cpu_seconds();
		CLEANUP(cert)
		struct cert *cert = cert_parse(cert_der(selection->used->pdata[0]), &error);

		parse += bench_cpu_seconds() - start;
		if (cert == NULL)
			g_error("%s", error->message);
		start = bench_cpu_seconds();
		CLEANUP(verdict)
		struct verdict *verdict = trust_judge_at(gateway->trust, cert, TRUST_ENCRYPT, NULL,
							 clock_now(gateway->clock), &error);
		judge += bench_cpu_seconds() - start;
		if (verdict == NULL)
			g_error("%s", error->message);
	}
	bench_row("cert_parse_cpu", parse / count * 1e6, "us of CPU");
	bench_row("cert_judge_cpu", judge / count * 1e6, "us of CPU");
}

static void
serve_all(struct gateway *gateway, guint addresses, gsize rest)
{
	double start = bench_seconds();

	for (guint i = 0; i < addresses; i++) {
		CLEANUP(mailaddr) struct mailaddr *address = bench_address(i);

		selection_unref(choose(gateway, address));
	}
	double seconds = bench_seconds() - start;
	gsize grown = bench_resident() - MIN(rest, bench_resident());
	bench_row("served_rate", addresses / seconds, "addresses/s");
	bench_row("served_memory", (double)grown / 1048576, "MiB");
	bench_row("served_memory_each", (double)grown / addresses, "bytes an address");
	bench_row("served_memory_ratio",
		  (double)grown / (double)gateway_settings(gateway)->cache_memory,
		  "of cache_memory");
}

int
bench_node(struct settings *settings, guint addresses)
{
	g_autoptr(GError) error = NULL;
	struct gateway *gateway = gateway_open(settings, GATEWAY_MILTER, &error);

	if (gateway == NULL)
		g_error("%s", error->message);
	CLEANUP(mailaddr) struct mailaddr *first = bench_address(addresses - 1);
	point_query(gateway, first);
	selection_unref(choose(gateway, first));
	gsize rest = bench_resident();
	cold_selection(gateway, addresses);
	warm_selection(gateway, addresses);
	encryption(gateway, addresses);
	pieces(gateway, addresses);
	serve_all(gateway, addresses, rest);
	gateway_close(gateway);
	return 0;
}

void
bench_node_run(const struct bench *bench, const char *program)
{
	const struct settings *settings = scratch_pg_settings(bench->pg);
	g_autofree char *count = g_strdup_printf("%u", bench->addresses);
	g_autofree char *state = g_strdup_printf("state_dir=%s", settings->state_dir);
	g_autofree char *run = g_strdup_printf("run_dir=%s", settings->run_dir);
	g_autofree char *key = g_strdup_printf("milter_master_key_file=%s", bench->key_file);
	const char *argv[] = { program, "--node", count, state, run, key, NULL };
	g_autoptr(GError) error = NULL;
	int status = 0;

	fflush(stdout);
	if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL, NULL,
			  NULL, &status, &error) ||
	    !g_spawn_check_wait_status(status, &error))
		g_error("%s: %s", program, error->message);
}

/* --- another node --- */

static gboolean
deny(struct tx *tx, gpointer data, GError **error)
{
	const struct ctl_row row = { .thumbprint = data, .kind = CTL_KIND_DENY };

	return ctl_put(tx, &row, error);
}

static gboolean
forgive(struct tx *tx, gpointer data, GError **error)
{
	return ctl_remove(tx, data, error);
}

struct settings *
bench_node_settings(const struct bench *bench)
{
	const struct settings *from = scratch_pg_settings(bench->pg);
	struct settings *settings = settings_default();

	if (!settings_set(settings, "state_dir", from->state_dir, NULL) ||
	    !settings_set(settings, "run_dir", from->run_dir, NULL) ||
	    !settings_set(settings, "milter_master_key_file", bench->key_file, NULL))
		g_error("settings of a node");
	return settings;
}

/* Until the node's answer for this address has changed. */
static double
effect(const struct bench *bench, struct gateway *node, const struct mailaddr *address,
       const char *thumbprint, tx_func act, guint expected)
{
	g_autoptr(GError) error = NULL;
	double start;

	if (!db_transaction(bench->db, act, (gpointer)thumbprint, &error))
		g_error("%s", error->message);
	start = bench_seconds();
	while (bench_seconds() - start < EFFECT_SECONDS_MAX) {
		CLEANUP(selection)
		struct selection *selection = select_encryption(node->select, address, &error);

		if (selection == NULL)
			g_error("%s", error->message);
		if (selection->used->len == expected)
			return bench_seconds() - start;
		g_usleep(100);
	}
	g_error("a change of the CTL has no effect on another node");
}

void
bench_ctl(const struct bench *bench)
{
	g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(double));
	g_autoptr(GError) error = NULL;
	struct gateway *node = gateway_open(bench_node_settings(bench), GATEWAY_MILTER, &error);

	if (node == NULL)
		g_error("%s", error->message);
	for (guint i = 0; i < EFFECT_TRIES; i++) {
		CLEANUP(mailaddr) struct mailaddr *address = bench_address(i);
		CLEANUP(selection) struct selection *selection = choose(node, address);
		guint usual = selection->used->len;
		g_autofree char *thumbprint = g_strdup(cert_thumbprint(selection->used->pdata[0]));
		double took = effect(bench, node, address, thumbprint, deny, usual - 1);

		g_array_append_val(times, took);
		took = effect(bench, node, address, thumbprint, forgive, usual);
		g_array_append_val(times, took);
	}
	bench_row("ctl_effect_p50", bench_quantile(times, 0.5) * 1e3, "ms");
	bench_row("ctl_effect_max", bench_quantile(times, 1) * 1e3, "ms");
	gateway_close(node);
}
