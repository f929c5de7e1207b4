/*
 * headers and edits: fields as they came, occurrences, limits, edits that stay right.
 */
#include <glib.h>
#include <string.h>

#include "milter/message/edits.h"
#include "milter/message/headers.h"
#include "store/base/error.h"

static struct spool_area *area;

static struct spool *
spool_of(const char *text, gsize length)
{
	GError *error = NULL;
	struct spool *spool = spool_from_bytes(area, text, length, &error);

	g_assert_no_error(error);
	return spool;
}

struct parse_row {
	const char *name;
	const char *text;
	guint fields;
	const char *first_value;
	const char *rest; /* what the body is */
};

static const struct parse_row parse_rows[] = {
	{ "CRLF, fold kept as LF", "A: x\r\n y\r\nB:z\r\n\r\nbody", 2, " x\n y", "body" },
	{ "LF alone", "A: x\n\ty\nB:z\n\nbody", 2, " x\n\ty", "body" },
	{ "three blanks and none", "A:   x\r\nB:tight\r\n\r\n", 2, "   x", "" },
	{ "no empty line", "A: x\r\nB: y\r\n", 2, " x", "" },
	{ "no line end at all", "A: x", 1, " x", "" },
	{ "a line that is no field ends the header", "A: x\r\nthis is text\r\n\r\nmore", 1, " x",
	  "this is text\r\n\r\nmore" },
	{ "mbox line is skipped", "From a@b Mon\nA: x\n\nbody", 1, " x", "body" },
	{ "empty header", "\r\nbody", 0, NULL, "body" },
	{ "nothing", "", 0, NULL, "" },
	{ "blank before the colon", "A : x\r\n\r\n", 1, " x", "" },
	{ "colon first is no field", ": x\r\n\r\nb", 0, NULL, ": x\r\n\r\nb" },
	{ "fold at the very start is body", " x\r\n\r\nb", 0, NULL, " x\r\n\r\nb" },
	{ "raw UTF-8 value", "A: \303\274\r\n\r\n", 1, " \303\274", "" },
};

static void
test_parse(gconstpointer data)
{
	const struct parse_row *row = data;
	CLEANUP(spool) struct spool *spool = spool_of(row->text, strlen(row->text));
	GError *error = NULL;
	guint64 body = 999;
	CLEANUP(headers)
	struct headers *headers = headers_parse(spool, 0, spool_size(spool), &body, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(headers_count(headers), ==, row->fields);
	if (row->first_value != NULL)
		g_assert_cmpstr(headers_value(headers, "a"), ==, row->first_value);
	g_assert_cmpstr(row->text + body, ==, row->rest);
}

static void
test_limits(void)
{
	CLEANUP(headers) struct headers *headers = headers_new();
	g_autofree char *big = g_malloc0(HEADERS_FIELD_MAX_BYTES + 2);
	g_autoptr(GError) error = NULL;
	gsize largest = HEADERS_FIELD_MAX_BYTES - 1;

	memset(big, 'x', HEADERS_FIELD_MAX_BYTES);
	g_assert_false(headers_add(headers, "A", big, largest + 1, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_clear_error(&error);
	for (int i = 0; i < 3; i++)
		g_assert_true(headers_add(headers, "A", big, largest, &error));
	g_assert_false(headers_add(headers, "A", big, largest, &error));
	g_assert_nonnull(strstr(error->message, "header block"));
	g_clear_error(&error);
	headers_unref(headers);

	headers = headers_new();
	for (int i = 0; i < HEADERS_COUNT_MAX; i++)
		g_assert_true(headers_add(headers, "A", " x", 2, &error));
	g_assert_cmpuint(headers_count_of(headers, "a"), ==, HEADERS_COUNT_MAX);
	g_assert_false(headers_add(headers, "B", " x", 2, &error));
	g_assert_nonnull(strstr(error->message, "header fields"));
}

/* A field of 2,000 addresses passes whole, with its folds. */
static void
test_long_to(void)
{
	g_autoptr(GString) text = g_string_new("To:");
	GError *error = NULL;
	guint64 body = 0;
	CLEANUP(spool) struct spool *spool = NULL;
	CLEANUP(headers) struct headers *headers = NULL;

	for (int i = 0; i < 2000; i++)
		g_string_append_printf(text, "%s \"Person %d\" <user%d@example.com>",
				       i > 0 ? ",\r\n" : "", i, i);
	g_string_append(text, "\r\n\r\n");
	g_assert_cmpuint(text->len, >, 65536);
	spool = spool_of(text->str, text->len);
	headers = headers_parse(spool, 0, spool_size(spool), &body, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(headers_count(headers), ==, 1);
	g_assert_cmpuint(headers_size(headers) + 2, ==, text->len);
	CLEANUP(spool) struct spool *out = spool_new(area);
	g_assert_true(headers_write(headers, spool_sink(out), &error));
	g_assert_true(spool_append_text(out, "\r\n", &error));
	g_assert_true(spool_seal(out, &error));
	g_autoptr(GBytes) bytes = spool_bytes(out, 0, spool_size(out), 1000000, &error);
	g_assert_cmpmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), text->str,
			text->len);
}

static struct headers *
sample(void)
{
	static const char text[] = "X: 1\r\nSubject: s\r\nx: 2\r\nTo: t\r\nX: 3\r\n\r\n";
	CLEANUP(spool) struct spool *spool = spool_of(text, sizeof text - 1);
	guint64 body;
	GError *error = NULL;
	struct headers *headers = headers_parse(spool, 0, spool_size(spool), &body, &error);

	g_assert_no_error(error);
	return headers;
}

static char *
text_of(const struct headers *headers)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < headers_count(headers); i++)
		g_string_append_printf(text, "%s:%s|", headers_at(headers, i)->name,
				       headers_at(headers, i)->value);
	return g_string_free(text, FALSE);
}

/* An MTA that renumbers after a deletion (Postfix) or does not (Sendmail). */
static char *
apply_as_mta(struct edits *edits, gboolean renumbers)
{
	CLEANUP(headers) struct headers *headers = sample();
	GPtrArray *names = g_ptr_array_new();
	GPtrArray *values = g_ptr_array_new();
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < headers_count(headers); i++) {
		g_ptr_array_add(names, headers_at(headers, i)->name);
		g_ptr_array_add(values, headers_at(headers, i)->value);
	}
	for (guint e = 0; e < edits_count(edits); e++) {
		const struct edit *edit = edits_at(edits, e);
		guint seen = 0;

		if (edit->kind == EDIT_TOP) {
			g_ptr_array_insert(names, 0, edit->name);
			g_ptr_array_insert(values, 0, edit->value);
		} else if (edit->kind == EDIT_APPEND) {
			g_ptr_array_add(names, edit->name);
			g_ptr_array_add(values, edit->value);
		} else {
			for (guint i = 0; i < names->len; i++) {
				if (g_ascii_strcasecmp(names->pdata[i], edit->name) != 0 ||
				    (renumbers && values->pdata[i] == NULL) ||
				    ++seen != edit->occurrence)
					continue;
				values->pdata[i] = edit->value;
				break;
			}
		}
	}
	for (guint i = 0; i < names->len; i++)
		if (values->pdata[i] != NULL)
			g_string_append_printf(text, "%s:%s|", (char *)names->pdata[i],
					       (char *)values->pdata[i]);
	g_ptr_array_unref(names);
	g_ptr_array_unref(values);
	return g_string_free(text, FALSE);
}

static void
test_edits(void)
{
	CLEANUP(edits) struct edits *edits = edits_new();
	CLEANUP(headers) struct headers *headers = sample();
	CLEANUP(headers) struct headers *result = NULL;
	CLEANUP(spool) struct spool *body = spool_of("body", 4);
	CLEANUP(spool) struct spool *out = spool_new(area);
	GError *error = NULL;

	g_assert_true(edits_empty(edits));
	edits_delete(edits, "X", 1);
	edits_change(edits, "x", 2, " two");
	edits_delete(edits, "X", 3);
	edits_replace(edits, headers, "subject", " new");
	edits_append(edits, "End", " e");
	edits_insert_top(edits, "Top1", " a");
	edits_insert_top(edits, "Top2", " b");

	result = edits_apply_headers(edits, headers, &error);
	g_assert_no_error(error);
	g_autofree char *ours = text_of(result);
	g_autofree char *postfix = apply_as_mta(edits, TRUE);
	g_autofree char *sendmail = apply_as_mta(edits, FALSE);
	g_assert_cmpstr(ours, ==, "Top2: b|Top1: a|Subject: new|x: two|To: t|End: e|");
	g_assert_cmpstr(postfix, ==, ours);
	g_assert_cmpstr(sendmail, ==, ours);

	g_assert_true(edits_apply_to_message(edits, headers, body, spool_sink(out), &error));
	g_assert_cmpuint(edits_message_size(edits, headers, body), ==, spool_size(out));
}

static void
test_edit_replaced(void)
{
	CLEANUP(edits) struct edits *edits = edits_new();
	CLEANUP(headers) struct headers *headers = sample();

	edits_delete_all(edits, headers, "X");
	g_assert_cmpuint(edits_count(edits), ==, 3);
	edits_change(edits, "X", 1, " back");
	g_assert_cmpuint(edits_count(edits), ==, 3);
	edits_replace(edits, headers, "New", " n");
	CLEANUP(headers) struct headers *result = edits_apply_headers(edits, headers, NULL);
	g_autofree char *text = text_of(result);
	g_assert_cmpstr(text, ==, "X: back|Subject: s|To: t|New: n|");
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	area = spool_area_new_memory(100000000);
	for (gsize i = 0; i < G_N_ELEMENTS(parse_rows); i++) {
		g_autofree char *path = g_strdup_printf("/headers/parse/%s", parse_rows[i].name);

		g_test_add_data_func(path, &parse_rows[i], test_parse);
	}
	g_test_add_func("/headers/limits one below and one above", test_limits);
	g_test_add_func("/headers/a To field of 2,000 addresses", test_long_to);
	g_test_add_func("/edits/any MTA comes to the same", test_edits);
	g_test_add_func("/edits/a later edit replaces the earlier", test_edit_replaced);
	status = g_test_run();
	spool_area_unref(area);
	return status;
}
