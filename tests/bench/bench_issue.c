/*
 * bench_issue - batches of the built-in CA against the work that cannot be spared: making the keys
 * and signing, in process, with as many threads, in turns.
 *
 *     bench_issue [--seconds S] [--rounds N] [--only TEXT] | --smoke
 *
 * Prints a line of JSON each, medians of the rounds: rates of both and their ratio; and the CPU
 * time of one in either, for us and for the database server, which says more on a machine that
 * others use.
 */
#include "tests/unit/pki/pki_fixture.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pki/bulk.h"
#include "pki/crypto/internal.h"
#include "store/base/background.h"

#define TBS_BYTES 900
#define ROUNDS_MAX 9
#define COUNT_MAX 4000

struct raw {
	enum key_kind kind;
	unsigned int bits;
	const struct key *signer;
	gint made; /* atomic */
	gint64 until_us;
};

static gpointer
make_raw(gpointer data)
{
	struct raw *raw = data;
	unsigned char tbs[TBS_BYTES] = { 0 }, signature[1024];

	background_thread(BACKGROUND_LOW); /* as the threads of a batch */
	while (g_get_monotonic_time() < raw->until_us) {
		CLEANUP(key) struct key *key = key_generate(raw->kind, raw->bits, NULL);
		g_autoptr(EVP_MD_CTX) digest = EVP_MD_CTX_new();
		gsize length = sizeof(signature);

		g_assert_nonnull(key);
		g_assert_cmpint(
		    EVP_DigestSignInit(digest, NULL, EVP_sha256(), NULL, key_pkey(raw->signer)), ==,
		    1);
		g_assert_cmpint(EVP_DigestSign(digest, signature, &length, tbs, sizeof(tbs)), ==,
				1);
		g_atomic_int_inc(&raw->made);
	}
	return NULL;
}

static guint
raw_made(const char *algorithm, const struct key *signer, double seconds, double *rate)
{
	struct raw raw = { .signer = signer };
	g_autoptr(GPtrArray) threads = g_ptr_array_new();
	gint64 began = g_get_monotonic_time();

	g_assert_true(key_algorithm_parse(algorithm, &raw.kind, &raw.bits, NULL));
	raw.until_us = began + (gint64)(seconds * G_USEC_PER_SEC);
	for (guint i = 0; i < g_get_num_processors(); i++)
		g_ptr_array_add(threads, g_thread_new("raw", make_raw, &raw));
	for (guint i = 0; i < threads->len; i++)
		g_thread_join(threads->pdata[i]);
	*rate = (double)raw.made * G_USEC_PER_SEC / (double)(g_get_monotonic_time() - began);
	return (guint)MAX(raw.made, 1);
}

struct insertion {
	const struct bulk_batch *batch;
	GPtrArray *rows;
	gint64 id;
};

static gboolean
insert(struct tx *tx, gpointer data, GError **error)
{
	struct insertion *insertion = data;

	return bulk_insert(tx, insertion->batch, insertion->rows, &insertion->id, error);
}

static double
batch_rate(struct fixture *f, const char *algorithm, guint count)
{
	static guint batches;
	struct enroll enroll = fixture_enroll(f);
	const struct bulk_work work = { .enroll = &enroll };
	const struct bulk_batch batch = { .file = (char *)"bench",
					  .handler = (char *)"builtin",
					  .key = (char *)algorithm };
	g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)bulk_row_free);
	g_autoptr(GError) error = NULL;
	gboolean finished = FALSE;

	batches++;
	for (guint i = 0; i < count; i++) {
		struct bulk_row *row = g_new0(struct bulk_row, 1);

		row->line = i + 2;
		row->email = g_strdup_printf("p%u-%u@bench.example", batches, i);
		row->common_name = g_strdup_printf("Person %u", i);
		g_ptr_array_add(rows, row);
	}
	struct insertion insertion = { &batch, rows, 0 };
	g_assert_true(db_transaction(f->db, insert, &insertion, &error));
	gint64 began = g_get_monotonic_time();
	g_assert_true(bulk_run(&work, insertion.id, &finished, &error));
	double seconds = (double)(g_get_monotonic_time() - began) / G_USEC_PER_SEC;
	struct bulk_counts counts;
	g_assert_true(finished);
	g_assert_true(bulk_count(f->db, insertion.id, &counts, &error));
	g_assert_cmpint(counts.issued, ==, count);
	return (double)count / seconds;
}

static double
cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* --- the server's CPU time: its processes descend from ours --- */

#define PROCESSES_MAX 65536

struct process {
	gint64 parent;
	gint64 ticks; /* its own, and of its children that have ended */
	gboolean server;
};

static gboolean
read_process(const char *pid, struct process *process)
{
	g_autofree char *path = g_build_filename("/proc", pid, "stat", NULL);
	g_autofree char *text = NULL;

	if (!g_ascii_isdigit(*pid) || !g_file_get_contents(path, &text, NULL, NULL))
		return FALSE;
	const char *after = strrchr(text, ')');
	if (after == NULL)
		return FALSE;
	g_auto(GStrv) words = g_strsplit(after + 2, " ", -1);
	if (g_strv_length(words) < 15)
		return FALSE;
	process->server = strstr(text, "(postgres") != NULL;
	process->parent = g_ascii_strtoll(words[1], NULL, 10);
	process->ticks = 0;
	for (int i = 11; i < 15; i++)
		process->ticks += g_ascii_strtoll(words[i], NULL, 10);
	return TRUE;
}

static gboolean
is_ours(GHashTable *all, const struct process *process)
{
	for (guint steps = 0; process != NULL && steps < PROCESSES_MAX; steps++) {
		if (process->parent == getpid())
			return TRUE;
		process = g_hash_table_lookup(all, GSIZE_TO_POINTER((gsize)process->parent));
	}
	return FALSE;
}

static double
server_us(void)
{
	g_autoptr(GHashTable) all = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	g_autoptr(GDir) folder = g_dir_open("/proc", 0, NULL);
	GHashTableIter iterator;
	gpointer value;
	const char *name;
	gint64 ticks = 0;

	while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
		struct process process;

		if (read_process(name, &process))
			g_hash_table_insert(
			    all, GSIZE_TO_POINTER((gsize)g_ascii_strtoull(name, NULL, 10)),
			    g_memdup2(&process, sizeof(process)));
	}
	g_hash_table_iter_init(&iterator, all);
	while (g_hash_table_iter_next(&iterator, NULL, &value)) {
		const struct process *process = value;

		if (process->server && is_ours(all, process))
			ticks += process->ticks;
	}
	return (double)ticks * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double
median(double *values, guint n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

static void
measure(const char *name, const char *algorithm, const char *ca, double seconds, guint rounds)
{
	double raw[ROUNDS_MAX], ours[ROUNDS_MAX], ratios[ROUNDS_MAX];
	double raw_cpu[ROUNDS_MAX], cpu[ROUNDS_MAX], server[ROUNDS_MAX], cpu_ratios[ROUNDS_MAX];
	struct fixture f = { 0 };

	if (!fixture_up(&f))
		return;
	struct ca_created created = fixture_ca(&f, ca);
	CLEANUP(key)
	struct key *signer = keyring_find(f.keyring, cert_spki_sha256(created.intermediate), NULL);
	for (guint i = 0; i < rounds; i++) {
		double began = cpu_us();
		guint made = raw_made(algorithm, signer, seconds, &raw[i]);
		raw_cpu[i] = (cpu_us() - began) / made;
		guint count = CLAMP(made, 8, COUNT_MAX);
		double server_began = server_us();
		began = cpu_us();
		ours[i] = batch_rate(&f, algorithm, count);
		cpu[i] = (cpu_us() - began) / count;
		server[i] = (server_us() - server_began) / count;
		ratios[i] = ours[i] / raw[i];
		cpu_ratios[i] = raw_cpu[i] / (cpu[i] + server[i]);
	}
	printf(
	    "{\"name\": \"%s\", \"raw\": %.1f, \"issued\": %.1f, \"ratio\": %.3f, "
	    "\"raw_cpu_us\": %.0f, \"cpu_us\": %.0f, \"server_us\": %.0f, \"cpu_ratio\": %.3f}\n",
	    name, median(raw, rounds), median(ours, rounds), median(ratios, rounds),
	    median(raw_cpu, rounds), median(cpu, rounds), median(server, rounds),
	    median(cpu_ratios, rounds));
	fflush(stdout);
	ca_created_clear(&created);
	fixture_down(&f);
}

int
main(int argc, char **argv)
{
	gboolean smoke = FALSE;
	double seconds = 4;
	gint rounds = 3;
	g_autofree char *only = NULL;
	const GOptionEntry entries[] = {
		{ "smoke", 0, 0, G_OPTION_ARG_NONE, &smoke, "does it work?", NULL },
		{ "seconds", 0, 0, G_OPTION_ARG_DOUBLE, &seconds, "of a slice", "S" },
		{ "rounds", 0, 0, G_OPTION_ARG_INT, &rounds, "of slices", "N" },
		{ "only", 0, 0, G_OPTION_ARG_STRING, &only, "rows with this in their name", "T" },
		{ NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, NULL))
		return 2;
	rounds = CLAMP(rounds, 1, ROUNDS_MAX);
	pg = scratch_pg_start();
	if (pg == NULL)
		return 77;
	if (smoke) {
		measure("smoke", "ec:P-256", "ec:P-256", 0.01, 1);
	} else {
		static const struct {
			const char *name, *key, *ca;
			double share;
		} rows[] = {
			{ "RSA-2048, CA RSA-2048", "rsa:2048", "rsa:2048", 1 },
			{ "P-256, CA RSA-3072", "ec:P-256", "rsa:3072", 0.5 },
			{ "P-256, CA P-256", "ec:P-256", "ec:P-256", 0.25 },
		};

		for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
			if (only == NULL || strstr(rows[i].name, only) != NULL)
				measure(rows[i].name, rows[i].key, rows[i].ca,
					seconds * rows[i].share, (guint)rounds);
	}
	scratch_pg_stop(pg);
	return 0;
}
