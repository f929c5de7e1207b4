/*
 * Hex digits: what is written, and what is taken for a thumbprint.
 */
#include "store/base/hex.h"

struct thumbprint_row {
	const char *name;
	char digit;
	gsize length;
	gboolean taken;
};

static const struct thumbprint_row thumbprint_rows[] = {
	{ "128 digits", 'a', 128, TRUE },
	{ "one digit is missing", 'a', 127, FALSE },
	{ "one digit too many", 'a', 129, FALSE },
	{ "upper case is not ours", 'A', 128, FALSE },
	{ "a letter that is no digit", 'g', 128, FALSE },
};

static void
test_thumbprint(gconstpointer data)
{
	const struct thumbprint_row *row = data;
	g_autofree char *text = g_strnfill(row->length, row->digit);

	g_assert_cmpint(hex_is_thumbprint(text), ==, row->taken);
}

struct spelling_row {
	const char *text, *digits;
};

static const struct spelling_row spelling_rows[] = {
	{ "abcdef01", "abcdef01" },
	{ "AB:CD:EF", "abcdef" },
	{ "0xABCD", "abcd" },
	{ "0XABCD", "abcd" },
	{ " ab cd-ef ", "abcdef" },
	{ "00:0A", "000a" },
	{ "", NULL },
	{ "0x", NULL },
	{ "::", NULL },
	{ "abcg", NULL },
	{ "ab%", NULL },
	{ "ab\xc3\xa4", NULL },
};

static void
test_spelling(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(spelling_rows); i++) {
		g_autofree char *digits = hex_from_spelling(spelling_rows[i].text);

		g_assert_cmpstr(digits, ==, spelling_rows[i].digits);
	}
}

static void
test_encode(void)
{
	static const guint8 bytes[] = { 0x00, 0x0f, 0xa0, 0xff };
	g_autofree char *text = hex_encode(bytes, sizeof bytes);
	g_autofree char *none = hex_encode(NULL, 0);

	g_assert_cmpstr(text, ==, "000fa0ff");
	g_assert_cmpstr(none, ==, "");
	g_assert_true(hex_is(text));
}

static void
test_append(void)
{
	g_autoptr(GString) out = g_string_new("x");

	hex_append(out, "\x01\xfe", 2);
	hex_append(out, "", 0);
	g_assert_cmpstr(out->str, ==, "x01fe");
	g_assert_false(hex_is(out->str));
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/hex/as people spell it", test_spelling);
	g_test_add_func("/hex/encode", test_encode);
	g_test_add_func("/hex/append", test_append);
	for (gsize i = 0; i < G_N_ELEMENTS(thumbprint_rows); i++) {
		g_autofree char *path =
		    g_strdup_printf("/hex/thumbprint/%s", thumbprint_rows[i].name);

		g_test_add_data_func(path, &thumbprint_rows[i], test_thumbprint);
	}
	return g_test_run();
}
