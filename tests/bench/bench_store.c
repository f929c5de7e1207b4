/*
 * bench_store - a store of a million certificates on a scratch PostgreSQL of its own.
 *
 *     bench_store [--certs N] [--crl N] [--folder DIR]
 *     bench_store [--certs N] --pem FILE     writes the certificates alone
 *
 * Prints a line of JSON a figure. tests/bench/run --store makes a table of them.
 */
#include "tests/bench/bench_store.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "pki/import.h"
#include "pki/crypto/seal.h"
#include "store/db/tx.h"
#include "tests/support/scratch_pg.h"

void
bench_row(const char *name, double value, const char *unit)
{
	printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\"}\n", name, value, unit);
	fflush(stdout);
}

double
bench_seconds(void)
{
	return (double)g_get_monotonic_time() / G_USEC_PER_SEC;
}

double
bench_cpu_seconds(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static gint
compare_doubles(gconstpointer a, gconstpointer b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double
bench_quantile(GArray *doubles, double q)
{
	if (doubles->len == 0)
		return 0;
	g_array_sort(doubles, compare_doubles);
	return g_array_index(doubles, double, (guint)floor(q * (doubles->len - 1)));
}

/* What somebody who runs a store of this size sets. */
static void
tune(struct scratch_pg *pg)
{
	static const char *const settings[] = {
		"shared_buffers = '1GB'",       "max_wal_size = '8GB'",
		"checkpoint_timeout = '15min'", "effective_cache_size = '4GB'",
		"random_page_cost = 1.1",       "maintenance_work_mem = '256MB'",
	};

	for (gsize i = 0; i < G_N_ELEMENTS(settings); i++) {
		g_autofree char *sql = g_strdup_printf("ALTER SYSTEM SET %s", settings[i]);
		scratch_pg_sql(pg, sql);
	}
	scratch_pg_down(pg);
	scratch_pg_up(pg);
}

static gboolean
put_authorities(struct tx *tx, gpointer data, GError **error)
{
	const struct bench *bench = data;
	const struct import_options options = { .name = "sample" };
	gboolean is_new;

	if (!import_root(tx, store_sample_root(bench->sample), "import", &is_new, error))
		return FALSE;
	for (guint i = 0; i < SAMPLE_CAS; i++)
		if (!import_cert(tx, store_sample_ca(bench->sample, i), &options, &is_new, error))
			return FALSE;
	return TRUE;
}

static void
run(struct bench *bench, const char *program)
{
	g_autoptr(GError) error = NULL;

	if (!master_keys_create(bench->key_file, &error) ||
	    !db_transaction(bench->db, put_authorities, bench, &error))
		g_error("%s", error->message);
	bench_import(bench);
	scratch_pg_sql(bench->pg, "ANALYZE");
	bench_node_run(bench, program);
	bench_ctl(bench);
	bench_revocation(bench, program);
}

/* The process that bench_node_run starts: settings as words "name=value". */
static struct settings *
settings_of(char **words)
{
	struct settings *settings = settings_default();
	g_autoptr(GError) error = NULL;

	for (; words != NULL && *words != NULL; words++) {
		g_auto(GStrv) pair = g_strsplit(*words, "=", 2);

		if (!settings_set(settings, pair[0], pair[1], &error))
			g_error("%s", error->message);
	}
	return settings;
}

static int
write_pem(const char *path, guint certs)
{
	struct store_sample *sample = store_sample_new(MAX(certs / 10, 1));
	FILE *out = fopen(path, "we");
	gboolean good = out != NULL;

	for (guint i = 0; good && i < certs; i++) {
		g_autoptr(GBytes) der = store_sample_cert(sample, i);
		g_autoptr(GByteArray) pem = g_byte_array_new();

		bench_put_pem(pem, der);
		good = fwrite(pem->data, 1, pem->len, out) == pem->len;
	}
	good = (out == NULL || fclose(out) == 0) && good;
	store_sample_free(sample);
	if (!good)
		fprintf(stderr, "bench_store: %s: %s\n", path, g_strerror(errno));
	return good ? 0 : 1;
}

int
main(int argc, char **argv)
{
	gint certs = 50000, crl = 50000, as_node = 0;
	g_autofree char *folder = NULL;
	g_autofree char *pem = NULL, *way = NULL, *list = NULL;
	g_auto(GStrv) rest = NULL;
	g_autoptr(GError) error = NULL;
	GOptionEntry entries[] = {
		{ "certs", 0, 0, G_OPTION_ARG_INT, &certs, "certificates in the store", "N" },
		{ "crl", 0, 0, G_OPTION_ARG_INT, &crl, "entries of the revocation list", "N" },
		{ "folder", 0, 0, G_OPTION_ARG_FILENAME, &folder, "for the database", "DIR" },
		{ "pem", 0, 0, G_OPTION_ARG_FILENAME, &pem, "only write the sample", "FILE" },
		{ "node", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_INT, &as_node, NULL, NULL },
		{ "way", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING, &way, NULL, NULL },
		{ "list", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &list, NULL, NULL },
		{ G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &rest, NULL, NULL },
		{ NULL, 0, 0, 0, NULL, NULL, NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error) ||
	    certs < (pem != NULL ? 1 : 2000)) {
		fprintf(stderr, "bench_store: %s\n",
			error != NULL ? error->message : "at least 2,000 certificates");
		return 2;
	}
	if (as_node > 0)
		return bench_node(settings_of(rest), (guint)as_node);
	if (way != NULL)
		return bench_revocation_child(settings_of(rest), way, list);
	if (pem != NULL)
		return write_pem(pem, (guint)certs);

	struct bench bench = { .certs = (guint)certs,
			       .addresses = (guint)certs / 10,
			       .crl_entries = (guint)crl };
	bench.pg = scratch_pg_start_durable(folder != NULL ? folder : g_get_tmp_dir());
	if (bench.pg == NULL) {
		fprintf(stderr, "bench_store: no PostgreSQL here\n");
		return 77;
	}
	tune(bench.pg);
	bench.key_file = g_build_filename(scratch_pg_folder(bench.pg), "master.key", NULL);
	bench.sample = store_sample_new(bench.addresses);
	bench.db = scratch_pg_open(bench.pg, DB_ROLE_DAEMON, NULL);
	run(&bench, argv[0]);
	db_close(bench.db);
	store_sample_free(bench.sample);
	g_free(bench.key_file);
	scratch_pg_stop(bench.pg);
	return 0;
}
