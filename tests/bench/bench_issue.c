/*
 * bench_issue - batches of the built-in CA against the work that cannot be spared: making the keys
 * and signing, in process, with as many threads, in turns.
 *
 *     bench_issue [--seconds S] [--rounds N] [--only TEXT] | --smoke
 *
 * Prints a line of JSON each: rates of both, and the ratio, the median of the rounds.
 */
#include "tests/unit/pki/pki_fixture.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <time.h>

#include "pki/bulk.h"
#include "pki/crypto/internal.h"
#include "store/base/background.h"

#define TBS_BYTES 900
#define ROUNDS_MAX 9

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

static double
raw_rate(const char *algorithm, const struct key *signer, double seconds)
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
	return (double)raw.made * G_USEC_PER_SEC / (double)(g_get_monotonic_time() - began);
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
	double raw[ROUNDS_MAX], ours[ROUNDS_MAX], ratios[ROUNDS_MAX], cpu[ROUNDS_MAX];
	struct fixture f = { 0 };

	if (!fixture_up(&f))
		return;
	struct ca_created created = fixture_ca(&f, ca);
	CLEANUP(key)
	struct key *signer = keyring_find(f.keyring, cert_spki_sha256(created.intermediate), NULL);
	for (guint i = 0; i < rounds; i++) {
		raw[i] = raw_rate(algorithm, signer, seconds);
		guint count = CLAMP((guint)(raw[i] * seconds), 8, 4000);
		double began = cpu_us();
		ours[i] = batch_rate(&f, algorithm, count);
		cpu[i] = (cpu_us() - began) / count;
		ratios[i] = ours[i] / raw[i];
	}
	printf("{\"name\": \"%s\", \"raw\": %.1f, \"issued\": %.1f, \"ratio\": %.3f, "
	       "\"cpu_us\": %.0f}\n",
	       name, median(raw, rounds), median(ours, rounds), median(ratios, rounds),
	       median(cpu, rounds));
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
