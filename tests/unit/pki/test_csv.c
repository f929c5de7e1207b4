/* csv, bulk_file: how files are cut, decoded and understood. */
#include <glib.h>
#include <string.h>

#include "pki/bulk_file.h"
#include "pki/csv.h"
#include "store/base/error.h"
#include "store/bulk.h"

static const struct csv_limits limits = { .bytes = 1 << 20, .rows = 6, .characters = 8 };

/* "LINE:value|value" of good rows, "LINE!culprit" of broken ones. */
static char *
shown(GPtrArray *rows)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < rows->len; i++) {
		const struct csv_row *row = g_ptr_array_index(rows, i);

		g_string_append_printf(text, "%s%u%s", i > 0 ? " " : "", row->line,
				       row->why != NULL ? "!" : ":");
		if (row->why != NULL) {
			g_string_append_printf(text, "%u", row->culprit);
			continue;
		}
		for (guint k = 0; k < row->values->len; k++)
			g_string_append_printf(text, "%s%s", k > 0 ? "|" : "",
					       (char *)g_ptr_array_index(row->values, k));
	}
	return g_string_free(text, FALSE);
}

static const struct {
	const char *what, *bytes;
	gsize length; /* 0: text */
	const char *encoding, *shown;
} cuts[] = {
	{ "nothing", "", 0, NULL, "" },
	{ "one value", "a", 0, NULL, "1:a" },
	{ "LF", "a,b\nc,d\n", 0, NULL, "1:a|b 2:c|d" },
	{ "CRLF and LF", "a\r\nb\nc\r\n", 0, NULL, "1:a 2:b 3:c" },
	{ "CR alone", "a\rb\r", 0, NULL, "1:a 2:b" },
	{ "a CR among LF is of the value", "a\rb\nc\n", 0, NULL, "1:a\rb 2:c" },
	{ "blank lines have numbers", "a\n\n \t\nb", 0, NULL, "1:a 4:b" },
	{ "empty values", ",\n,a,\n", 0, NULL, "1:| 2:|a|" },
	{ "blanks", " a b ,\tc\t\n", 0, NULL, "1:a b|c" },
	{ "blanks inside of quotation marks stay", "\" a \"", 0, NULL, "1: a " },
	{ "blanks around quotation marks", " \"a\" , \"b\" \n", 0, NULL, "1:a|b" },
	{ "doubled", "\"a\"\"b\",\"\"\"\"", 0, NULL, "1:a\"b|\"" },
	{ "empty and quoted", "\"\",\"\"", 0, NULL, "1:|" },
	{ "comma inside", "\"a,b\",c", 0, NULL, "1:a,b|c" },
	{ "line end inside", "\"a\r\nb\",c\nd\n", 0, NULL, "1:a\r\nb|c 3:d" },
	{ "a mark inside", "a,b\"c\nd\n", 0, NULL, "1!2 2:d" },
	{ "behind the mark", "\"a\"b,c\nd\n", 0, NULL, "1!1 2:d" },
	{ "not closed", "x,\"a\nb\nc", 0, NULL, "1!2 2:b 3:c" },
	{ "not closed, and one that is", "\"a\nb,\"c\"\n", 0, NULL, "1!1 2:b|c" },
	{ "nothing but a mark", "\"", 0, NULL, "1!1" },
	{ "a trailing comma", "a,", 0, NULL, "1:a|" },
	{ "eight characters", "12345678", 0, NULL, "1:12345678" },
	{ "nine", "1,123456789", 0, NULL, "1!2" },
	{ "eight of two bytes", "ääääääää", 0, NULL, "1:ääääääää" },
	{ "a mark of UTF-8", "\xef\xbb\xbf\"a\"", 0, NULL, "1:a" },
	{ "only such a mark", "\xef\xbb\xbf", 0, NULL, "" },
	{ "such a mark decides", "\xef\xbb\xbf\xe4\nb", 0, "ISO-8859-1", "1!0 2:b" },
	{ "UTF-16",
	  "\xff\xfe"
	  "a\0,\0\xe4\0\n\0",
	  10, NULL, "1:a|ä" },
	{ "UTF-16, the other order", "\xfe\xff\0a\0\n\0b", 8, NULL, "1:a 2:b" },
	{ "UTF-16 by name", "a\0\n\0b\0", 6, "UTF-16LE", "1:a 2:b" },
	{ "Latin-1 unnamed", "\xe4\nb", 0, NULL, "1!0 2:b" },
	{ "Latin-1 by name, beside UTF-8", "\xe4\n\xc3\xa4", 0, "ISO-8859-1", "1:ä 2:ä" },
	{ "not what was named", "\x81\nb", 0, "ISO-8859-3", "1:\xc2\x81 2:b" },
	{ "a hole of what was named", "\xa5\nb", 0, "ISO-8859-3", "1!1 2:b" },
	{ "a byte 0", "a\0b\nc", 5, NULL, "1!0 2:c" },
	{ "stateful", "\x1b$B$\"\x1b(B,a", 0, "ISO-2022-JP", "1:あ|a" },
};

static void
test_cuts(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(cuts); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GBytes) bytes = g_bytes_new_static(
		    cuts[i].bytes, cuts[i].length != 0 ? cuts[i].length : strlen(cuts[i].bytes));
		g_autoptr(GPtrArray) rows = csv_read(bytes, cuts[i].encoding, &limits, &error);

		g_test_message("%s", cuts[i].what);
		g_assert_no_error(error);
		g_autofree char *got = shown(rows);
		g_assert_cmpstr(got, ==, cuts[i].shown);
	}
}

static void
test_refused(void)
{
	static const struct {
		const char *what, *text, *encoding;
		struct csv_limits limits;
	} rows[] = {
		{ "rows", "a\n1\n2\n3", NULL, { 100, 2, 8 } },
		{ "bytes", "123456", NULL, { 5, 2, 8 } },
		{ "unknown encoding", "a", "klingon", { 100, 2, 8 } },
		{ "no encoding", "a", "", { 100, 2, 8 } },
		{ "an encoding with a wish", "a", "ASCII//TRANSLIT", { 100, 2, 8 } },
		{ "half a character",
		  "\xff\xfe"
		  "a",
		  NULL,
		  { 100, 2, 8 } },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GBytes) bytes = g_bytes_new_static(rows[i].text, strlen(rows[i].text));

		g_test_message("%s", rows[i].what);
		g_assert_null(csv_read(bytes, rows[i].encoding, &rows[i].limits, &error));
		g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	}
}

/* A mark on each line does not make the file be read again for each. */
static void
test_marks(void)
{
	const struct csv_limits many = { 64 << 20, 200000, 256 };
	g_autoptr(GString) text = g_string_new(NULL);
	gint64 began = g_get_monotonic_time();

	for (guint i = 0; i < 20001; i++)
		g_string_append(text, "\"a\n");
	g_autoptr(GBytes) bytes = g_string_free_to_bytes(g_steal_pointer(&text));
	g_autoptr(GPtrArray) rows = csv_read(bytes, NULL, &many, NULL);
	g_assert_nonnull(rows);
	g_assert_cmpuint(rows->len, >, 1);
	g_assert_cmpint(g_get_monotonic_time() - began, <, 60 * G_USEC_PER_SEC);
}

static void
test_names(void)
{
	static const char text[] = "CN,fn,SN,O,Email\n"
				   "\"A\r\n B\",\"C \n\",D,,\"BOB@Example.COM\"\n"
				   ",,,,x@y.example\n"
				   "A,,,,bob@example.com\n";
	const struct csv_limits wide = { 1000, 10, 256 };
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) rows = bulk_file_read(bytes, NULL, &wide, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(rows->len, ==, 3);
	const struct bulk_row *first = rows->pdata[0], *second = rows->pdata[1],
			      *third = rows->pdata[2];
	g_assert_cmpstr(first->email, ==, "bob@example.com");
	g_assert_cmpstr(first->common_name, ==, "A B");
	g_assert_cmpstr(first->first_name, ==, "C");
	g_assert_cmpstr(first->last_name, ==, "D");
	g_assert_null(first->organisation);
	g_assert_cmpint(first->state, ==, BULK_ROW_WAITING);
	g_assert_cmpuint(second->line, ==, 5);
	g_assert_cmpint(second->state, ==, BULK_ROW_BROKEN);
	g_assert_cmpint(third->state, ==, BULK_ROW_DUPLICATE);
	g_assert_cmpstr(third->why, ==, "line 2 has the same address");
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/csv/cuts", test_cuts);
	g_test_add_func("/csv/refused", test_refused);
	g_test_add_func("/csv/marks", test_marks);
	g_test_add_func("/bulk_file/names", test_names);
	return g_test_run();
}
