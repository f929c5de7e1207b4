/*
 * bench_cms - CMS work inside one process: stock calls, by hand, and our modules.
 *
 *     bench_cms [-v VECTORS] [-i SIGNER] [-w WORK] [-s SIZE] [-r RECIPIENTS] [-t THREADS]
 *               [-W WAY[,WAY]] [-d SECONDS] [-n ROUNDS] [-j]
 *
 * The ways take turns, round by round, and only ratios within a round count: the table shows the
 * median of a way's rate to the first way's in the same round. Every way's result is checked.
 * Without -w the whole table of works and sizes. -j: one JSON line for each row.
 */
#include <glib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/bench/reference.h"

#define ROUNDS_MAX 64
#define WAYS_MAX 3

static char *vectors;
static char *signer;
static char *work_name;
static int size_bytes;
static int n_recipients = 1;
static int n_threads = 1;
static char *way_list;
static double slice_seconds = 0.15;
static int n_rounds = 5;
static gboolean as_json;

static const GOptionEntry entries[] = {
	{ "vectors", 'v', 0, G_OPTION_ARG_STRING, &vectors, "folder of identities", "DIR" },
	{ "signer", 'i', 0, G_OPTION_ARG_STRING, &signer, "identity (rsa1)", "NAME" },
	{ "work", 'w', 0, G_OPTION_ARG_STRING, &work_name, "sign, encrypt-cbc, …", "WORK" },
	{ "size", 's', 0, G_OPTION_ARG_INT, &size_bytes, "of the content", "BYTES" },
	{ "recipients", 'r', 0, G_OPTION_ARG_INT, &n_recipients, "of an encryption", "N" },
	{ "threads", 't', 0, G_OPTION_ARG_INT, &n_threads, "at once", "N" },
	{ "ways", 'W', 0, G_OPTION_ARG_STRING, &way_list, "stock,hand,ours", "WAYS" },
	{ "seconds", 'd', 0, G_OPTION_ARG_DOUBLE, &slice_seconds, "of a slice", "SECONDS" },
	{ "rounds", 'n', 0, G_OPTION_ARG_INT, &n_rounds, "of slices", "N" },
	{ "json", 'j', 0, G_OPTION_ARG_NONE, &as_json, "one line for each row", NULL },
	{ 0 },
};

/* Orders: enum reference_work, enum reference_way. */
static const char *const work_names[] = { "sign",         "encrypt-cbc", "encrypt-gcm",
					  "sign-encrypt", "decrypt-cbc", "decrypt-gcm",
					  "verify" };
static const char *const way_names[] = { "stock", "hand", "ours" };

struct slice {
	struct reference *reference;
	enum reference_work work;
	enum reference_way way;
	GBytes *input;
	gint64 until_us;
	guint64 done;
};

static gpointer
slice_run(gpointer data)
{
	struct slice *slice = data;

	do {
		GByteArray *result =
		    reference_do(slice->reference, slice->work, slice->way, slice->input);

		if (result == NULL)
			g_error("%s by %s failed", work_names[slice->work], way_names[slice->way]);
		g_byte_array_unref(result);
		slice->done++;
	} while (g_get_monotonic_time() < slice->until_us);
	return NULL;
}

static double
cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

struct measure {
	double rate[ROUNDS_MAX];
	double cpu_us[ROUNDS_MAX];
};

static void
measure_round(struct slice like, struct measure *measure, int round)
{
	struct slice slices[64];
	GThread *threads[64];
	gint64 start = g_get_monotonic_time();
	double cpu = cpu_seconds(), seconds;
	guint64 done = 0;
	int n = CLAMP(n_threads, 1, 64);

	like.until_us = start + (gint64)(slice_seconds * 1e6);
	for (int i = 0; i < n; i++) {
		slices[i] = like;
		threads[i] = g_thread_new("bench", slice_run, &slices[i]);
	}
	for (int i = 0; i < n; i++) {
		g_thread_join(threads[i]);
		done += slices[i].done;
	}
	seconds = (double)(g_get_monotonic_time() - start) / 1e6;
	measure->rate[round] = (double)done / seconds;
	measure->cpu_us[round] = (cpu_seconds() - cpu) * 1e6 / (double)done;
}

static int
double_compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double
median(const double *values, int n)
{
	double sorted[ROUNDS_MAX];

	memcpy(sorted, values, (size_t)n * sizeof *values);
	qsort(sorted, (size_t)n, sizeof *sorted, double_compare);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* Lines that look like mail: an entity with its header, CRLF, of about that size. */
static GBytes *
entity_make(gsize size)
{
	GString *text = g_string_sized_new(size + 100);

	g_string_append(text, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
	for (guint line = 0; text->len + 74 < size; line++)
		g_string_append_printf(
		    text,
		    "%06u the quick brown fox jumps over the lazy dog again and again, so\r\n",
		    line);
	while (text->len + 2 < size)
		g_string_append_c(text, 'x');
	g_string_append(text, "\r\n");
	return g_string_free_to_bytes(text);
}

static void
row_print(enum reference_work work, gsize size, const enum reference_way *ways, guint n_ways,
	  const struct measure *measures)
{
	for (guint i = 0; i < n_ways; i++) {
		double ratios[ROUNDS_MAX];

		for (int r = 0; r < n_rounds; r++)
			ratios[r] = measures[i].rate[r] / measures[0].rate[r];
		if (as_json)
			printf("{\"work\": \"%s\", \"size\": %zu, \"recipients\": %d, "
			       "\"threads\": %d, \"way\": \"%s\", \"rate\": %.1f, "
			       "\"cpu_us\": %.1f, \"ratio\": %.3f}\n",
			       work_names[work], size, n_recipients, n_threads, way_names[ways[i]],
			       median(measures[i].rate, n_rounds),
			       median(measures[i].cpu_us, n_rounds), median(ratios, n_rounds));
		else
			printf("%-13s %9zu %2d %2d  %-5s %10.0f/s %9.1f us  %6.2f\n",
			       work_names[work], size, n_recipients, n_threads, way_names[ways[i]],
			       median(measures[i].rate, n_rounds),
			       median(measures[i].cpu_us, n_rounds), median(ratios, n_rounds));
	}
	fflush(stdout);
}

static gboolean
row_run(struct reference *reference, enum reference_work work, gsize size,
	const enum reference_way *ways, guint n_ways)
{
	g_autoptr(GBytes) entity = entity_make(size);
	g_autoptr(GBytes) input = reference_input(reference, work, entity);
	struct measure measures[WAYS_MAX];

	for (guint i = 0; i < n_ways; i++) {
		g_autoptr(GByteArray) result = reference_do(reference, work, ways[i], input);

		if (result == NULL || !reference_check(reference, work, entity, result)) {
			g_printerr("bench_cms: %s by %s gives a wrong result\n", work_names[work],
				   way_names[ways[i]]);
			return FALSE;
		}
	}
	for (int round = 0; round < n_rounds; round++)
		for (guint i = 0; i < n_ways; i++)
			measure_round((struct slice){ .reference = reference,
						      .work = work,
						      .way = ways[i],
						      .input = input },
				      &measures[i], round);
	row_print(work, size, ways, n_ways, measures);
	return TRUE;
}

static gboolean
table_run(struct reference *reference, const enum reference_way *ways, guint n_ways)
{
	static const gsize sizes[] = { 2048, 51200, 1048576 };

	if (!as_json)
		printf("%-13s %9s %2s %2s  %-5s %12s %12s  ratio to %s\n", "work", "size", "to",
		       "th", "way", "rate", "cpu", way_names[ways[0]]);
	for (guint work = 0; work < G_N_ELEMENTS(work_names); work++)
		for (guint i = 0; i < G_N_ELEMENTS(sizes); i++)
			if (!row_run(reference, work, sizes[i], ways, n_ways))
				return FALSE;
	return TRUE;
}

static guint
ways_read(enum reference_way ways[WAYS_MAX])
{
	g_auto(GStrv) names = g_strsplit(way_list == NULL ? "stock,hand,ours" : way_list, ",", 0);
	guint n = 0;

	for (guint i = 0; names[i] != NULL && n < WAYS_MAX; i++)
		for (guint way = 0; way < WAYS_MAX; way++)
			if (strcmp(names[i], way_names[way]) == 0)
				ways[n++] = way;
	return n;
}

int
main(int argc, char **argv)
{
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	g_autoptr(GError) error = NULL;
	enum reference_way ways[WAYS_MAX];
	struct reference *reference;
	gboolean ok = FALSE;
	guint n_ways;

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error)) {
		g_printerr("bench_cms: %s\n", error->message);
		return 2;
	}
	n_ways = ways_read(ways);
	n_rounds = CLAMP(n_rounds, 1, ROUNDS_MAX);
	reference = reference_new(vectors == NULL ? "tests/vectors/cms" : vectors,
				  signer == NULL ? "rsa1" : signer, (guint)n_recipients, &error);
	if (reference == NULL || n_ways == 0) {
		g_printerr("bench_cms: %s\n", error == NULL ? "no ways" : error->message);
		return 2;
	}
	if (work_name == NULL)
		ok = table_run(reference, ways, n_ways);
	for (guint work = 0; work_name != NULL && work < G_N_ELEMENTS(work_names); work++)
		if (strcmp(work_name, work_names[work]) == 0)
			ok = row_run(reference, work, (gsize)MAX(size_bytes, 64), ways, n_ways);
	reference_free(reference);
	return ok ? 0 : 1;
}
