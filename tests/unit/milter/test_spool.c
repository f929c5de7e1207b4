/*
 * spool: memory, files plain and encrypted, shared ranges, ceilings.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "milter/message/spool.h"
#include "store/base/error.h"

static char *scratch;

struct place {
	const char *name;
	const char *dir; /* NULL: memory; "": the scratch folder on disk */
	gsize memory_max_bytes;
};

static const struct place places[] = {
	{ "memory alone", NULL, 0 },
	{ "tmpfs, small memory", "/dev/shm", 1000 },
	{ "folder, no memory at all", "", 0 },
	{ "folder, small memory", "", 100000 },
};

static struct spool_area *
open_area(const struct place *place, guint64 total)
{
	GError *error = NULL;
	struct spool_area *area;

	if (place->dir == NULL)
		return spool_area_new_memory(total);
	area = spool_area_new(place->dir[0] != '\0' ? place->dir : scratch, place->memory_max_bytes,
			      total, &error);
	g_assert_no_error(error);
	return area;
}

static guint8 *
pattern(gsize length)
{
	guint8 *bytes = g_malloc(length + 1);

	for (gsize i = 0; i < length; i++)
		bytes[i] = (guint8)(i * 31 + i / 251);
	return bytes;
}

static void
assert_range(struct spool *spool, guint64 start, guint64 end, const guint8 *expected)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = spool_bytes(spool, start, end, 10000000, &error);
	gsize length;
	const void *data;

	g_assert_no_error(error);
	data = g_bytes_get_data(bytes, &length);
	g_assert_cmpmem(data, length, expected, end - start);
}

static void
test_round_trip(gconstpointer data)
{
	static const gsize sizes[] = { 0,     1,     999,    1000,   1001,  65535,
				       65536, 65537, 131072, 200001, 900000 };
	static const gsize pieces[] = { 1000, 65536, 70000, 1000000 };

	for (gsize s = 0; s < G_N_ELEMENTS(sizes); s++) {
		for (gsize p = 0; p < G_N_ELEMENTS(pieces); p++) {
			CLEANUP(spool_area)
			struct spool_area *area = open_area(data, 10000000);
			CLEANUP(spool) struct spool *spool = spool_new(area);
			g_autofree guint8 *bytes = pattern(sizes[s]);
			GError *error = NULL;

			for (gsize i = 0; i < sizes[s]; i += pieces[p])
				g_assert_true(spool_append(spool, bytes + i,
							   MIN(pieces[p], sizes[s] - i), &error));
			g_assert_true(spool_seal(spool, &error));
			g_assert_cmpuint(spool_size(spool), ==, sizes[s]);
			g_assert_cmpuint(spool_area_used(area), ==, sizes[s]);
			assert_range(spool, 0, sizes[s], bytes);
			if (sizes[s] > 70000)
				assert_range(spool, 65530, 65550, bytes + 65530);
			if (sizes[s] > 10)
				assert_range(spool, sizes[s] - 3, sizes[s], bytes + sizes[s] - 3);
		}
	}
}

static void
test_shared_ranges(gconstpointer data)
{
	CLEANUP(spool_area) struct spool_area *area = open_area(data, 10000000);
	CLEANUP(spool) struct spool *first = spool_new(area);
	CLEANUP(spool) struct spool *second = spool_new(area);
	CLEANUP(spool) struct spool *third = spool_new(area);
	g_autofree guint8 *bytes = pattern(150000);
	g_autofree guint8 *expected = g_malloc(400000);
	GError *error = NULL;
	guint64 used;

	g_assert_true(spool_append(first, bytes, 150000, &error));
	g_assert_true(spool_seal(first, &error));
	used = spool_area_used(area);
	g_assert_true(spool_append_text(second, "begin", &error));
	g_assert_true(spool_append_range(second, first, 10, 149990, &error));
	g_assert_true(spool_append_text(second, "end", &error));
	g_assert_true(spool_seal(second, &error));
	g_assert_cmpuint(spool_area_used(area), ==, used + 8);
	memcpy(expected, "begin", 5);
	memcpy(expected + 5, bytes + 10, 149980);
	memcpy(expected + 149985, "end", 3);
	assert_range(second, 0, 149988, expected);

	g_assert_true(spool_append_range(third, second, 3, 149987, &error));
	g_assert_true(spool_append_range(third, second, 149980, 149988, &error));
	g_assert_true(spool_seal(third, &error));
	spool_unref(g_steal_pointer(&first));
	spool_unref(g_steal_pointer(&second));
	assert_range(third, 0, 149984, expected + 3);
	assert_range(third, 149984, 149992, expected + 149980);
	spool_unref(g_steal_pointer(&third));
	g_assert_cmpuint(spool_area_used(area), ==, 0);
}

static void
test_ceiling(gconstpointer data)
{
	CLEANUP(spool_area) struct spool_area *area = open_area(data, 2000);
	CLEANUP(spool) struct spool *first = spool_new(area);
	CLEANUP(spool) struct spool *second = spool_new(area);
	g_autofree guint8 *bytes = pattern(2000);
	g_autoptr(GError) error = NULL;

	g_assert_true(spool_append(first, bytes, 1500, &error));
	g_assert_true(spool_append(second, bytes, 500, &error));
	g_assert_false(spool_append(second, bytes, 1, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_FULL);
	g_clear_error(&error);
	spool_unref(g_steal_pointer(&first));
	g_assert_true(spool_append(second, bytes, 1500, &error));
	g_assert_true(spool_seal(second, &error));
}

static void
test_encrypted_on_disk(void)
{
	struct place place = { "disk", "", 100 };
	CLEANUP(spool_area) struct spool_area *area = open_area(&place, 10000000);
	CLEANUP(spool) struct spool *spool = spool_new(area);
	GError *error = NULL;
	gboolean seen = FALSE;
	gboolean found = FALSE;
	g_autofree char *text = g_malloc0(200001);

	for (gsize i = 0; i < 200000; i += 10)
		memcpy(text + i, "secretword", 10);
	g_assert_true(spool_append(spool, text, 200000, &error));
	g_assert_true(spool_seal(spool, &error));
	assert_range(spool, 0, 200000, (const guint8 *)text);
	g_assert_cmpuint(g_rmdir(scratch), ==, 0); /* nothing has a name there */
	g_assert_cmpint(g_mkdir(scratch, 0700), ==, 0);
	for (int fd = 3; fd < 64; fd++) { /* our own open file, read past the module */
		g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
		g_autofree char *target = g_file_read_link(path, NULL);
		guint8 block[4096];

		if (target == NULL || strstr(target, scratch) == NULL)
			continue;
		seen = TRUE;
		for (off_t at = 0; pread(fd, block, sizeof block, at) > 0; at += sizeof block)
			found |= memmem(block, sizeof block, "secret", 6) != NULL;
	}
	if (!seen)
		g_test_skip("the scratch folder is on tmpfs");
	else
		g_assert_false(found);
}

static void
test_bad_folder(void)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(spool_area_new("/nonexistent/place", 1000, 1000, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_assert_nonnull(strstr(error->message, "/nonexistent/place"));
}

static void
test_misuse(void)
{
	CLEANUP(spool_area) struct spool_area *area = spool_area_new_memory(1000);
	CLEANUP(spool) struct spool *spool = spool_new(area);
	g_autoptr(GError) error = NULL;

	g_assert_true(spool_append_text(spool, "x", &error));
	g_assert_true(spool_seal(spool, &error));
	g_assert_false(spool_append_text(spool, "y", &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_BUG);
	g_clear_error(&error);
	g_assert_null(spool_bytes(spool, 0, 1, 0, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	scratch = g_strdup("/var/tmp/postseal-test-XXXXXX");
	if (g_mkdtemp(scratch) == NULL)
		return 99;
	for (gsize i = 0; i < G_N_ELEMENTS(places); i++) {
		g_autofree char *round = g_strdup_printf("/spool/round trip/%s", places[i].name);
		g_autofree char *share = g_strdup_printf("/spool/shared ranges/%s", places[i].name);
		g_autofree char *full = g_strdup_printf("/spool/ceiling/%s", places[i].name);

		g_test_add_data_func(round, &places[i], test_round_trip);
		g_test_add_data_func(share, &places[i], test_shared_ranges);
		g_test_add_data_func(full, &places[i], test_ceiling);
	}
	g_test_add_func("/spool/on disk nothing is readable", test_encrypted_on_disk);
	g_test_add_func("/spool/a folder that is not there is named", test_bad_folder);
	g_test_add_func("/spool/misuse is refused", test_misuse);
	status = g_test_run();
	g_rmdir(scratch);
	g_free(scratch);
	return status;
}
