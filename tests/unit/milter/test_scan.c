/*
 * scan: byte ranges of parts, limits one below and one above, traits.
 */
#include <glib.h>

#include "tests/unit/milter/mime_sample.h"

static struct spool_area *area;

/* "type start-end" of each part, and what the body of it is */
static void
describe(const struct part *part, const char *text, GString *out)
{
	if (part->parent != NULL) {
		g_assert_cmpuint(part->start, >=, part->parent->start);
		g_assert_cmpuint(part->end, <=, part->parent->end);
	}
	g_string_append_printf(out, "%s{", part->type);
	for (guint i = 0; part->children != NULL && i < part->children->len; i++)
		describe(part->children->pdata[i], text, out);
	if (part->kind == PART_LEAF)
		g_string_append_len(out, text + part->body_start,
				    (gssize)(part->end - part->body_start));
	g_string_append_c(out, '}');
}

struct scan_row {
	const char *name;
	const char *text;
	const char *expected;
};

#define MULTI "Content-Type: multipart/mixed; boundary=b\r\n"

static const struct scan_row scan_rows[] = {
	{ "no MIME at all", "A: b\r\n\r\nhello\r\n", "text/plain{hello\r\n}" },
	{ "empty body", "A: b\r\n\r\n", "text/plain{}" },
	{ "body of only CRLFs", "A: b\r\n\r\n\r\n\r\n", "text/plain{\r\n\r\n}" },
	{ "two parts",
	  MULTI
	  "\r\npre\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\ntwo\r\n--b--\r\nepi",
	  "multipart/mixed{text/plain{one}text/html{two}}" },
	{ "the line end before the delimiter is not of the part",
	  MULTI "\r\n--b\r\n\r\none\r\n\r\n--b--\r\n", "multipart/mixed{text/plain{one\r\n}}" },
	{ "LF line ends",
	  "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b--\n",
	  "multipart/mixed{text/plain{one}text/plain{two}}" },
	{ "blanks behind the delimiter", MULTI "\r\n--b \t\r\n\r\none\r\n--b-- \r\n",
	  "multipart/mixed{text/plain{one}}" },
	{ "a longer line is no delimiter", MULTI "\r\n--b\r\n\r\none\r\n--bb\r\n--b--\r\n",
	  "multipart/mixed{text/plain{one\r\n--bb}}" },
	{ "not closed", MULTI "\r\n--b\r\n\r\none", "multipart/mixed{text/plain{one}}" },
	{ "delimiter directly behind the header",
	  MULTI "\r\n--b\r\nContent-Type: text/html\r\n\r\n--b--", "multipart/mixed{text/html{}}" },
	{ "delimiter inside of the header", MULTI "\r\n--b\r\nContent-Type: text/html\r\n--b--\r\n",
	  "multipart/mixed{text/html{}}" },
	{ "part without header or blank line", MULTI "\r\n--b\r\njust text\r\n--b--\r\n",
	  "multipart/mixed{text/plain{just text}}" },
	{ "nested, inner not closed",
	  MULTI
	  "\r\n--b\r\nContent-Type: multipart/alternative; boundary=\"c d\"\r\n\r\n--c d\r\n\r\n"
	  "x\r\n--b\r\n\r\ny\r\n--b--\r\n",
	  "multipart/mixed{multipart/alternative{text/plain{x}}text/plain{y}}" },
	{ "message inside",
	  MULTI "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: s\r\nContent-Type: "
		"text/html\r\n\r\nin\r\n--b--\r\n",
	  "multipart/mixed{message/rfc822{text/html{in}}}" },
	{ "message inside without a header or a body",
	  MULTI "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n--b--\r\n",
	  "multipart/mixed{message/rfc822{text/plain{}}}" },
	{ "digest has messages by default",
	  "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nFrom: "
	  "x\r\n\r\nin\r\n--b--\r\n",
	  "multipart/digest{message/rfc822{text/plain{in}}}" },
	{ "a message in base64 is a leaf",
	  MULTI
	  "\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	  "QTogYg==\r\n--b--\r\n",
	  "multipart/mixed{message/rfc822{QTogYg==}}" },
	{ "boundary in other notation",
	  "Content-Type: multipart/mixed; boundary*=us-ascii''b%20c\r\n\r\n--b c\r\n\r\none\r\n--b "
	  "c--",
	  "multipart/mixed{text/plain{one}}" },
	{ "behind the closing delimiter all is epilogue",
	  MULTI "\r\n--b\r\n\r\none\r\n--b--\r\n--b\r\n\r\ntwo\r\n--b--\r\n",
	  "multipart/mixed{text/plain{one}}" },
};

static void
test_structure(gconstpointer data)
{
	const struct scan_row *row = data;
	struct sample sample;
	g_autoptr(GString) found = g_string_new(NULL);

	sample_init(&sample, area, row->text, strlen(row->text));
	g_assert_cmpstr(sample.tree->malformed, ==, NULL);
	describe(sample.tree->root, row->text, found);
	g_assert_cmpstr(found->str, ==, row->expected);
	sample_clear(&sample);
}

/* The same bytes in pieces of all sizes must give the same tree: lines cross the blocks. */
static void
test_blocks(void)
{
	const struct scan_row *row = &scan_rows[12];
	gsize length = strlen(row->text);
	GError *error = NULL;

	for (gsize piece = 1; piece < 20; piece++) {
		CLEANUP(spool) struct spool *spool = spool_new(area);
		CLEANUP(headers) struct headers *headers = NULL;
		CLEANUP(mime_tree) struct mime_tree *tree = NULL;
		g_autoptr(GString) found = g_string_new(NULL);
		guint64 body;

		for (gsize i = 0; i < length; i += piece) {
			CLEANUP(spool)
			struct spool *one =
			    spool_from_bytes(area, row->text + i, MIN(piece, length - i), &error);

			g_assert_true(spool_append_range(spool, one, 0, spool_size(one), &error));
		}
		g_assert_true(spool_seal(spool, &error));
		headers = headers_parse(spool, 0, length, &body, &error);
		tree = scan_message(headers, spool, body, length, &error);
		g_assert_no_error(error);
		g_assert_cmpuint(tree->traits, ==, 0);
		describe(tree->root, row->text, found);
		g_assert_cmpstr(found->str, ==, row->expected);
	}
}

struct trait_row {
	const char *name;
	const char *body;
	guint traits;
};

static const struct trait_row trait_rows[] = {
	{ "clean", "line one is long enough for lanes\r\nline two as well, it is\r\n", 0 },
	{ "8-bit", "a line with \303\274 in the middle of it\r\n", TRAIT_8BIT },
	{ "bare CR", "a line with \r in the middle of it, longer\r\n", TRAIT_BARE_CR },
	{ "bare CR at the end", "a line that ends in a carriage return\r", TRAIT_BARE_CR },
	{ "bare LF", "a line with LF alone\nand another one behind it\r\n", TRAIT_BARE_LF },
};

static void
test_traits(gconstpointer data)
{
	const struct trait_row *row = data;
	g_autofree char *text = g_strconcat("A: b\r\n\r\n", row->body, NULL);
	struct sample sample;

	sample_init(&sample, area, text, strlen(text));
	g_assert_cmpuint(sample.tree->traits, ==, row->traits);
	g_assert_cmpuint(sample.tree->root->traits, ==, row->traits);
	sample_clear(&sample);
}

static void
test_long_lines(void)
{
	for (guint length = 997; length <= 2100; length += length < 1000 ? 1 : 1099) {
		g_autofree char *line = g_strnfill(length, 'x');
		g_autofree char *text = g_strconcat("A: b\r\n\r\n", line, "\r\nend\r\n", NULL);
		struct sample sample;

		sample_init(&sample, area, text, strlen(text));
		g_assert_cmpuint(sample.tree->traits, ==, length > 998 ? TRAIT_LONG_LINE : 0);
		sample_clear(&sample);
	}
}

static char *
nested(guint depth)
{
	GString *text = g_string_new("Content-Type: multipart/mixed; boundary=b0\r\n\r\n");

	for (guint i = 1; i < depth - 1; i++)
		g_string_append_printf(
		    text, "--b%u\r\nContent-Type: multipart/mixed; boundary=b%u\r\n\r\n", i - 1, i);
	g_string_append_printf(text, "--b%u\r\n\r\nleaf\r\n", depth - 2);
	return g_string_free(text, FALSE);
}

static char *
many(guint parts)
{
	GString *text = g_string_new("Content-Type: multipart/mixed; boundary=b\r\n\r\n");

	for (guint i = 1; i < parts; i++)
		g_string_append(text, "--b\r\n\r\nx\r\n");
	g_string_append(text, "--b--\r\n");
	return g_string_free(text, FALSE);
}

static char *
with_boundary(guint length)
{
	g_autofree char *boundary = g_strnfill(length, 'x');

	return g_strdup_printf("Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s\r\n\r\nx\r\n"
			       "--%s--\r\n",
			       boundary, boundary, boundary);
}

static void
assert_limit(char *text, const char *limit)
{
	struct sample sample;

	sample_init(&sample, area, text, strlen(text));
	if (limit == NULL)
		g_assert_cmpstr(sample.tree->malformed, ==, NULL);
	else
		g_assert_nonnull(strstr(sample.tree->malformed, limit));
	g_assert_cmpint(sample.tree->limit_exceeded, ==, limit != NULL);
	sample_clear(&sample);
	g_free(text);
}

static void
test_limits(void)
{
	assert_limit(nested(32), NULL);
	assert_limit(nested(33), "limit of depth");
	assert_limit(many(2000), NULL);
	assert_limit(many(2001), "limit of parts");
	assert_limit(with_boundary(70), NULL);
	assert_limit(with_boundary(71), "limit of boundaries");
	assert_limit(many(300000), "limit of parts");
	assert_limit(nested(300000), "limit of depth");
}

/* The fast ways over clean blocks and the careful one over single octets see the same. */
static void
describe_all(const struct part *part, GString *out)
{
	g_string_append_printf(
	    out, "{%s %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %u %u",
	    part->type, part->start, part->body_start, part->end, part->traits,
	    part->header_traits);
	for (guint i = 0; part->children != NULL && i < part->children->len; i++)
		describe_all(part->children->pdata[i], out);
	g_string_append_c(out, '}');
}

static char *
scan_in_pieces(const GString *text, gsize piece)
{
	CLEANUP(spool) struct spool *spool = spool_new(area);
	CLEANUP(headers) struct headers *headers = NULL;
	CLEANUP(mime_tree) struct mime_tree *tree = NULL;
	GString *out = g_string_new(NULL);
	GError *error = NULL;
	guint64 body;

	for (gsize i = 0; i < text->len; i += piece) {
		CLEANUP(spool)
		struct spool *one =
		    spool_from_bytes(area, text->str + i, MIN(piece, text->len - i), &error);

		g_assert_true(spool_append_range(spool, one, 0, spool_size(one), &error));
	}
	g_assert_true(spool_seal(spool, &error));
	headers = headers_parse(spool, 0, text->len, &body, &error);
	tree = scan_message(headers, spool, body, text->len, &error);
	g_assert_no_error(error);
	describe_all(tree->root, out);
	g_string_append_printf(out, " %u %s", tree->traits, tree->malformed);
	return g_string_free(out, FALSE);
}

static void
test_fast_and_careful(void)
{
	static const char *const words[] = {
		"--b",  "--b--",       "\r\n",        "\r\n",
		"\r\n", "\r\n--b\r\n", "-",           "some more text to fill a lane or two",
		"x",    "\r\n\r\n",    "\r\n--c\r\n", "\r\n--c--\r\n"
	};
	static const char *const odd[] = { "\n", "\r", "\303\274", "\001" };
	g_autoptr(GRand) dice = g_rand_new_with_seed(7);

	for (int round = 0; round < 400; round++) {
		g_autoptr(GString) text = g_string_new(
		    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: "
		    "multipart/mixed; boundary=c\r\n\r\n");
		g_autofree char *fast = NULL;
		g_autofree char *careful = NULL;
		int count = g_rand_int_range(dice, 1, 60);

		for (int i = 0; i < count; i++) {
			g_string_append(text,
					words[g_rand_int_range(dice, 0, G_N_ELEMENTS(words))]);
			if (round % 4 == 0 && g_rand_int_range(dice, 0, 20) == 0)
				g_string_append(text,
						odd[g_rand_int_range(dice, 0, G_N_ELEMENTS(odd))]);
			if (round % 4 == 1 && g_rand_int_range(dice, 0, 20) == 0) {
				g_autofree char *line =
				    g_strnfill((gsize)g_rand_int_range(dice, 990, 1010), 'y');

				g_string_append(text, line);
			}
		}
		fast = scan_in_pieces(text, text->len);
		careful = scan_in_pieces(text, 1 + (gsize)g_rand_int_range(dice, 0, 40));
		g_assert_cmpstr(fast, ==, careful);
	}
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	area = spool_area_new_memory(400000000);
	for (gsize i = 0; i < G_N_ELEMENTS(scan_rows); i++) {
		g_autofree char *path = g_strdup_printf("/scan/structure/%s", scan_rows[i].name);

		g_test_add_data_func(path, &scan_rows[i], test_structure);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(trait_rows); i++) {
		g_autofree char *path = g_strdup_printf("/scan/traits/%s", trait_rows[i].name);

		g_test_add_data_func(path, &trait_rows[i], test_traits);
	}
	g_test_add_func("/scan/lines across blocks", test_blocks);
	g_test_add_func("/scan/fast and careful see the same", test_fast_and_careful);
	g_test_add_func("/scan/lines of 998 octets and more", test_long_lines);
	g_test_add_func("/scan/limits one below and one above", test_limits);
	status = g_test_run();
	spool_area_unref(area);
	return status;
}
