/*
 * Sealing: what opens, what must not, and the master key's file.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pki/crypto/seal.h"
#include "store/base/error.h"

static struct master_keys *
keys_of(const char *text)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(secret) struct secret *secret = secret_new_text(text);
	struct master_keys *keys = master_keys_parse(secret, &error);

	g_assert_no_error(error);
	return keys;
}

#define KEY_A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY_B "//////////////////////////////////////////8="

static void
test_opens_or_says_why(void)
{
	static const struct {
		const char *proves;
		const char *keys, *table, *row;
		gssize flip;      /* byte to damage; -1: none; -2: cut short */
		const char *text; /* NULL: it opens */
	} rows[] = {
		{ "the same row", "1 " KEY_A, "key", "7", -1, NULL },
		{ "a later generation is there too", "1 " KEY_A "\n2 " KEY_B, "key", "7", -1,
		  NULL },
		{ "another row", "1 " KEY_A, "key", "8", -1, "copied from another row" },
		{ "another table", "1 " KEY_A, "sealed", "7", -1, "copied from another row" },
		{ "another master key", "1 " KEY_B, "key", "7", -1, "another master key" },
		{ "an unknown generation", "2 " KEY_A, "key", "7", -1, "generation 1" },
		{ "a changed byte of the text", "1 " KEY_A, "key", "7", 62, "damaged" },
		{ "a changed byte of the salt", "1 " KEY_A, "key", "7", 20, "damaged" },
		{ "a changed tag", "1 " KEY_A, "key", "7", 70, "damaged" },
		{ "cut short", "1 " KEY_A, "key", "7", -2, "not a sealed secret" },
		{ "another format", "1 " KEY_A, "key", "7", 0, "not a sealed secret" },
	};
	CLEANUP(master_keys) struct master_keys *sealer = keys_of("1 " KEY_A);
	CLEANUP(secret) struct secret *plain = secret_new_text("hello");

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GBytes) blob = seal(sealer, "key", "7", plain, &error);
		gsize length;
		g_assert_no_error(error);
		g_assert_cmpuint(seal_generation(blob), ==, 1);
		const guint8 *bytes = g_bytes_get_data(blob, &length);
		g_assert_null(memmem(bytes, length, "hello", 5));
		g_autofree guint8 *copy = g_memdup2(bytes, length);
		if (rows[i].flip >= 0)
			copy[rows[i].flip] ^= 1;
		g_autoptr(GBytes) changed = g_bytes_new(copy, rows[i].flip == -2 ? 30 : length);
		CLEANUP(master_keys) struct master_keys *opener = keys_of(rows[i].keys);
		CLEANUP(secret)
		struct secret *back = unseal(opener, rows[i].table, rows[i].row, changed, &error);
		g_test_message("%s", rows[i].proves);
		if (rows[i].text == NULL) {
			g_assert_no_error(error);
			g_assert_cmpstr(secret_text(back), ==, "hello");
		} else {
			g_assert_null(back);
			g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
			g_assert_nonnull(strstr(error->message, rows[i].text));
		}
	}
}

static void
test_same_text_differs(void)
{
	CLEANUP(master_keys) struct master_keys *keys = keys_of("1 " KEY_A);
	CLEANUP(secret) struct secret *plain = secret_new_text("hello");
	g_autoptr(GBytes) a = seal(keys, "key", "7", plain, NULL);
	g_autoptr(GBytes) b = seal(keys, "key", "7", plain, NULL);

	g_assert_false(g_bytes_equal(a, b));
}

static void
test_bad_files(void)
{
	static const struct {
		const char *proves;
		const char *text;
		const char *says;
	} rows[] = {
		{ "empty", "", "no key" },
		{ "comments alone", "# nothing\n", "no key" },
		{ "no generation", KEY_A, "line 1" },
		{ "generation 0", "0 " KEY_A, "line 1" },
		{ "short key", "1 AAAA", "3 bytes instead of 32" },
		{ "not base64", "1 !!!!", "0 bytes instead of 32" },
		{ "a generation twice", "1 " KEY_A "\n1 " KEY_B, "repeats" },
		{ "not in order", "2 " KEY_A "\n1 " KEY_B, "ascending" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		CLEANUP(secret) struct secret *text = secret_new_text(rows[i].text);

		g_test_message("%s", rows[i].proves);
		g_assert_null(master_keys_parse(text, &error));
		g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
		g_assert_nonnull(strstr(error->message, rows[i].says));
	}
}

static void
test_file_life(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *folder = g_dir_make_tmp("seal-XXXXXX", &error);
	g_autofree char *path = g_build_filename(folder, "master.key", NULL);
	g_autofree char *copy = g_build_filename(folder, "copy.key", NULL);
	CLEANUP(secret) struct secret *plain = secret_new_text("hello");
	unsigned int generation = 0;
	struct stat status;

	g_assert_true(master_keys_create(path, &error));
	g_assert_no_error(error);
	g_assert_cmpint(stat(path, &status), ==, 0);
	g_assert_cmpuint(status.st_mode & 07777, ==, 0600);
	g_assert_false(master_keys_create(path, &error));
	g_assert_nonnull(strstr(error->message, "exists already"));
	g_clear_error(&error);

	CLEANUP(master_keys) struct master_keys *first = master_keys_load(path, &error);
	g_assert_no_error(error);
	g_autoptr(GBytes) blob = seal(first, "key", "1", plain, &error);
	g_assert_cmpint(chmod(path, 0400), ==, 0);
	g_assert_true(master_keys_add_generation(path, &generation, &error));
	g_assert_cmpuint(generation, ==, 2);
	g_assert_cmpint(stat(path, &status), ==, 0);
	g_assert_cmpuint(status.st_mode & 07777, ==, 0400);

	CLEANUP(master_keys) struct master_keys *second = master_keys_load(path, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(master_keys_current(second), ==, 2);
	CLEANUP(secret) struct secret *back = unseal(second, "key", "1", blob, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(secret_text(back), ==, "hello");
	g_autoptr(GBytes) newer = seal(second, "key", "1", plain, &error);
	g_assert_cmpuint(seal_generation(newer), ==, 2);

	g_assert_true(master_keys_copy(path, copy, 0600, &error));
	CLEANUP(master_keys) struct master_keys *copied = master_keys_load(copy, &error);
	g_assert_no_error(error);
	g_autofree char *id = master_keys_id(second, 2);
	g_autofree char *copied_id = master_keys_id(copied, 2);
	g_assert_cmpstr(id, ==, copied_id);

	g_assert_false(master_keys_drop_generation(path, 2, &error));
	g_clear_error(&error);
	g_assert_true(master_keys_drop_generation(path, 1, &error));
	CLEANUP(master_keys) struct master_keys *third = master_keys_load(path, &error);
	g_assert_null(unseal(third, "key", "1", blob, &error));
	g_assert_nonnull(strstr(error->message, "generation 1"));
	g_clear_error(&error);

	g_assert_cmpint(chmod(path, 0644), ==, 0);
	g_assert_null(master_keys_load(path, &error));
	g_assert_nonnull(error);
	g_assert_cmpint(g_unlink(path), ==, 0);
	g_assert_cmpint(g_unlink(copy), ==, 0);
	g_assert_cmpint(g_rmdir(folder), ==, 0);
}

static void
test_derive(void)
{
	CLEANUP(master_keys) struct master_keys *keys = keys_of("1 " KEY_A "\n2 " KEY_B);
	CLEANUP(secret) struct secret *a = master_keys_derive(keys, 0, "marker", 32, NULL);
	CLEANUP(secret) struct secret *b = master_keys_derive(keys, 2, "marker", 32, NULL);
	CLEANUP(secret) struct secret *c = master_keys_derive(keys, 1, "marker", 32, NULL);
	CLEANUP(secret) struct secret *d = master_keys_derive(keys, 0, "audit", 32, NULL);

	g_assert_cmpmem(secret_bytes(a), 32, secret_bytes(b), 32);
	g_assert_cmpint(memcmp(secret_bytes(a), secret_bytes(c), 32), !=, 0);
	g_assert_cmpint(memcmp(secret_bytes(a), secret_bytes(d), 32), !=, 0);
	g_assert_null(master_keys_derive(keys, 3, "marker", 32, NULL));
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/seal/opens-or-says-why", test_opens_or_says_why);
	g_test_add_func("/seal/same-text-differs", test_same_text_differs);
	g_test_add_func("/seal/bad-files", test_bad_files);
	g_test_add_func("/seal/file-life", test_file_life);
	g_test_add_func("/seal/derive", test_derive);
	return g_test_run();
}
