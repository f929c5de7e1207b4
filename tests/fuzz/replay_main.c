/*
 * replay_main - feeds files to a fuzz target without a fuzzer, as a test.
 *
 * Arguments are files or folders; without any, tests/fuzz/corpus/NAME-OF-THE-PROGRAM, and what
 * others collected of that kind where the data of that is at hand (PS_DATA). Each
 * input is given whole, then cut short and with flipped bytes in a few hundred ways that are
 * the same in every run. The proof is that nothing crashes and no sanitizer speaks up.
 * With --enable-fuzz the same targets are linked with libFuzzer instead of this file.
 */
#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define MUTATIONS_PER_INPUT 200
#define SECONDS_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static guint inputs;
static guint runs;
static gint64 deadline_us;

static void
mutate_and_run(const guint8 *bytes, gsize size)
{
	g_autoptr(GRand) dice = g_rand_new_with_seed((guint32)size + 1);

	for (guint i = 0; i < MUTATIONS_PER_INPUT && g_get_monotonic_time() < deadline_us; i++) {
		gsize length = size;
		if (i % 3 == 0)
			length = (gsize)g_rand_int_range(dice, 0, (gint32)MIN(size, 1 << 24));
		/* An allocation of the exact size, so that a sanitizer sees a read past the end. */
		g_autofree guint8 *copy = g_memdup2(bytes, length);
		for (guint flips = i % 4; flips > 0 && length > 0; flips--)
			copy[g_rand_int_range(dice, 0, (gint32)MIN(length, 1 << 24))] =
			    (guint8)g_rand_int_range(dice, 0, 256);
		LLVMFuzzerTestOneInput(copy, length);
		runs++;
	}
}

static void
run_file(const char *path)
{
	g_autofree char *text = NULL;
	gsize size = 0;

	if (!g_file_get_contents(path, &text, &size, NULL)) {
		printf("# cannot read %s\n", path);
		return;
	}
	g_autofree guint8 *copy = g_memdup2(text, size);
	LLVMFuzzerTestOneInput(copy, size);
	inputs++;
	runs++;
	if (size > 0)
		mutate_and_run((const guint8 *)text, size);
}

static void
run_path(const char *path)
{
	g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
	const char *name;

	if (folder == NULL) {
		run_file(path);
		return;
	}
	while ((name = g_dir_read_name(folder)) != NULL) {
		g_autofree char *child = g_build_filename(path, name, NULL);
		run_path(child);
	}
}

/* What openssl/fuzz-corpora has for the target, each input as it is. */
static const struct {
	const char *program, *folder;
} collected[] = {
	{ "fuzz_cert", "x509" },      { "fuzz_cert", "acert" },      { "fuzz_crl", "crl" },
	{ "fuzz_cms_verify", "cms" }, { "fuzz_cms_decrypt", "cms" }, { "fuzz_bundle", "asn1" },
	{ "fuzz_chain", "x509" },     { "fuzz_chain", "crl" },       { "fuzz_bundle", "x509" },
};

static void
run_collected(const char *program, const char *top)
{
	const char *data = g_getenv("PS_DATA");
	g_autofree char *folder =
	    data != NULL ? g_strdup(data)
			 : g_build_filename(top != NULL ? top : ".", "..", "shared", "data", NULL);

	for (gsize i = 0; i < G_N_ELEMENTS(collected); i++) {
		g_autofree char *path =
		    g_build_filename(folder, "fuzz-corpora", collected[i].folder, NULL);
		if (strcmp(collected[i].program, program) == 0 &&
		    g_file_test(path, G_FILE_TEST_IS_DIR))
			run_path(path);
	}
}

int
main(int argc, char **argv)
{
	g_autofree char *program = g_path_get_basename(argv[0]);
	const char *top = g_getenv("top_srcdir");
	gboolean named = FALSE;

	deadline_us = g_get_monotonic_time() + SECONDS_MAX * G_USEC_PER_SEC;
	puts("1..1");
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--tap") != 0) {
			run_path(argv[i]);
			named = TRUE;
		}
	if (!named) {
		g_autofree char *corpus = g_build_filename(top != NULL ? top : ".", "tests", "fuzz",
							   "corpus", program, NULL);
		run_path(corpus);
		run_collected(program, top);
	}
	if (inputs == 0) {
		printf("not ok 1 - %s has no inputs\n", program);
		return 1;
	}
	printf("ok 1 - %s: %u inputs, %u runs\n", program, inputs, runs);
	return 0;
}
