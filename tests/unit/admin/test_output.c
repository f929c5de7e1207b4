/*
 * Answers as tables, documents, JSON and CSV; nothing foreign reaches a terminal as it is.
 */
#include <string.h>

#include "admin/cli/explain_text.h"
#include "admin/cli/output.h"
#include "admin/cli/output_list.h"

static const struct {
	const char *proves;
	const char *columns;
	const char *answer;
	enum output_format format;
	enum output_colour colour;
	const char *text;
} rows[] = {
	{ "a table is aligned", "a b",
	  "{\"items\":[{\"a\":\"long\",\"b\":1},{\"a\":\"x\",\"b\":22}]}", OUTPUT_TABLE,
	  OUTPUT_PLAIN, "A     B\nlong  1\nx     22\n" },
	{ "a column is cut in tables", "a:2 b", "{\"items\":[{\"a\":\"abcdef\",\"b\":\"c\"}]}",
	  OUTPUT_TABLE, OUTPUT_PLAIN, "A   B\nab  c\n" },
	{ "and not in CSV", "a:2 b", "{\"items\":[{\"a\":\"abcdef\",\"b\":\"c\"}]}", OUTPUT_CSV,
	  OUTPUT_PLAIN, "a,b\r\n\"abcdef\",\"c\"\r\n" },
	{ "a heading without rows", "first_name b", "{\"items\":[]}", OUTPUT_TABLE, OUTPUT_PLAIN,
	  "FIRST NAME  B\n" },
	{ "wide characters", "a b",
	  "{\"items\":[{\"a\":\"\\u6f22\\u5b57\",\"b\":1},{\"a\":\"xxxx\",\"b\":2}]}", OUTPUT_TABLE,
	  OUTPUT_PLAIN, "A     B\n\xe6\xbc\xa2\xe5\xad\x97  1\nxxxx  2\n" },
	{ "a formula in CSV is text", "a", "{\"items\":[{\"a\":\"=1+1\"}]}", OUTPUT_CSV,
	  OUTPUT_PLAIN, "a\r\n\"'=1+1\"\r\n" },
	{ "quotes in CSV are doubled", "a", "{\"items\":[{\"a\":\"x\\\"y\"}]}", OUTPUT_CSV,
	  OUTPUT_PLAIN, "a\r\n\"x\"\"y\"\r\n" },
	{ "control characters do not reach the terminal", "a",
	  "{\"items\":[{\"a\":\"x\\u001b[2J\\n\"}]}", OUTPUT_TABLE, OUTPUT_PLAIN,
	  "A\nx\\x1b[2J\\x0a\n" },
	{ "a verdict is coloured on a terminal", "a", "{\"items\":[{\"a\":\"revoked\"}]}",
	  OUTPUT_TABLE, OUTPUT_COLOURED, "A\n\033[31mrevoked\033[0m\n" },
	{ "lists, numbers, truths and nothing", "a b c d",
	  "{\"items\":[{\"a\":[\"x\",\"y\"],\"b\":1.5,\"c\":true,\"d\":null}]}", OUTPUT_TABLE,
	  OUTPUT_PLAIN, "A     B      C    D\nx, y  1.500  yes\n" },
	{ "what a list says beside its rows", "a",
	  "{\"items\":[{\"a\":1}],\"remedies\":[\"do this\",\"then that\"],\"next\":\"5\"}",
	  OUTPUT_TABLE, OUTPUT_PLAIN, "A\n1\n\nremedies:\n  1. do this\n  2. then that\n" },
	{ "a document", "", "{\"name\":\"x\",\"not_after\":\"y\",\"nested\":{\"a\":1}}",
	  OUTPUT_TABLE, OUTPUT_PLAIN, "name:      x\nnot after: y\nnested:\n  a: 1\n" },
	{ "a pattern is shown as it was written", "a", "{\"items\":[{\"a\":\"\\\\[x\\\\]\"}]}",
	  OUTPUT_TABLE, OUTPUT_PLAIN, "A\n\\[x\\]\n" },
	{ "and in CSV", "a", "{\"items\":[{\"a\":\"\\\\[x\\\\]\"}]}", OUTPUT_CSV, OUTPUT_PLAIN,
	  "a\r\n\"\\[x\\]\"\r\n" },
	{ "names parted by commas stand in lines of their own", "",
	  "{\"path\":[\"CN=a, O=b\",\"CN=c\"]}", OUTPUT_TABLE, OUTPUT_PLAIN,
	  "path:\n  CN=a, O=b\n  CN=c\n" },
	{ "PEM can be copied", "", "{\"csr\":\"-----BEGIN\\nx\\n\"}", OUTPUT_TABLE, OUTPUT_PLAIN,
	  "csr:\n-----BEGIN\nx\n" },
	{ "names of outcomes keep their dashes", "", "{\"a\":{\"refused.no-signer\":1}}",
	  OUTPUT_TABLE, OUTPUT_PLAIN, "a:\n  refused.no-signer: 1\n" },
	{ "text by nature", "", "{\"text\":\"# TYPE\\nx 1\\n\"}", OUTPUT_TABLE, OUTPUT_PLAIN,
	  "# TYPE\nx 1\n" },
	{ "JSON is the document", "a", "{\"items\":[]}", OUTPUT_JSON, OUTPUT_PLAIN,
	  "{\n  \"items\": []\n}\n" },
};

static void
test_rows(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		json_t *answer = json_loads(rows[i].answer, 0, NULL);
		g_autofree char *text = NULL;

		g_test_message("%s", rows[i].proves);
		g_assert_nonnull(answer);
		text = output_text(rows[i].columns, answer, rows[i].format, rows[i].colour);
		g_assert_cmpstr(text, ==, rows[i].text);
		json_decref(answer);
	}
}

/* A question: the deciding preferences and those that were set, never the ruling below. */
static void
test_explain_question(void)
{
	json_t *answer = json_loads(
	    "{\"origin\":\"trusted\",\"origin_why\":\"login\",\"outcome\":\"refuse\","
	    "\"reason\":\"refused.size\",\"sentence\":\"too large\","
	    "\"reply\":{\"code\":\"552\",\"status\":\"5.3.4\",\"lines\":[\"a\",\"b\"]},"
	    "\"ruling\":{\"secret\":1},\"sender\":{\"author\":\"a@x\",\"author_check\":"
	    "\"confirmed\",\"envelope_sender\":\"a@x\",\"encrypt_trigger\":true,"
	    "\"preferences\":[{\"name\":\"smime\",\"value\":\"on\",\"scope\":\"default\"},"
	    "{\"name\":\"digest\",\"value\":\"sha256\",\"scope\":\"default\"},"
	    "{\"name\":\"harvest\",\"value\":\"off\",\"scope\":\"global\"},"
	    "{\"name\":\"encrypt_trigger_subject\",\"value\":\"\\\\[x\\\\]\",\"scope\":\"global\"}]"
	    ","
	    "\"signing\":[{\"thumbprint\":\"0123456789abcdef01\",\"subject\":\"CN=A\",\"verdict\":"
	    "\"valid\",\"ctl\":\"allow\",\"used\":true,\"origin\":\"automatic\",\"why\":"
	    "\"matches\",\"revocation\":\"CRL of 'CN=C'\"}]},"
	    "\"recipients\":[{\"address\":\"b@y\",\"direction\":\"outbound\",\"reason\":"
	    "\"refused.size\",\"sentence\":\"too large\",\"row\":\"2: e\",\"plan\":{"
	    "\"encrypt_row\":\"2: e\",\"sign_row\":\"3: s\"}}]}",
	    0, NULL);
	g_autofree char *text = explain_text(answer, OUTPUT_PLAIN);

	g_assert_cmpstr(
	    text, ==,
	    "author:    a@x (confirmed), envelope sender <a@x>\n"
	    "origin:    trusted (login)\n"
	    "asked for: encrypt\n"
	    "outcome:   refuse\n"
	    "reason:    refused.size: too large\n"
	    "reply:     552 5.3.4 a; b\n"
	    "\n"
	    "OF      PREFERENCE               VALUE  SCOPE\n"
	    "author  smime                    on     default\n"
	    "author  encrypt_trigger_subject  \\[x\\]  global\n"
	    "\n"
	    "OF      TO    THUMBPRINT        SUBJECT  VERDICT  CTL    USED  ORIGIN     WHY      "
	    "REVOCATION\n"
	    "author  sign  0123456789abcdef  CN=A     valid    allow  yes   automatic  matches  "
	    "CRL of 'CN=C'\n"
	    "\n"
	    "RECIPIENT  ABOUT       DECIDED BY\n"
	    "b@y        encryption  2: e\n"
	    "b@y        signature   3: s\n"
	    "b@y        result      outbound, refused.size: too large\n");
	json_decref(answer);
}

/* A message of the record has another form: what says nothing is left out. */
static void
test_explain_record(void)
{
	json_t *answer = json_loads(
	    "{\"origin\":\"trusted\",\"reply\":null,\"detail\":{\"note\":\"\"}}", 0, NULL);
	g_autofree char *text = explain_text(answer, OUTPUT_PLAIN);

	g_assert_cmpstr(text, ==, "origin: trusted\n");
	json_decref(answer);
}

static const struct {
	const char *proves;
	enum output_format format;
	const char *pages[3]; /* JSON arrays */
	const char *text;
} page_rows[] = {
	{ "a table has one heading, later pages may be wider",
	  OUTPUT_TABLE,
	  { "[{\"a\":\"x\",\"b\":1}]", "[{\"a\":\"long\",\"b\":2}]", "[]" },
	  "A  B\nx  1\nlong  2\n" },
	{ "CSV has one heading, and columns of its own",
	  OUTPUT_CSV,
	  { "[{\"a\":\"x\",\"b\":1,\"c\":\"=1\"}]", "[{\"a\":\"y\",\"b\":2}]", "[]" },
	  "a,b,c\r\n\"x\",\"1\",\"'=1\"\r\n\"y\",\"2\",\"\"\r\n" },
	{ "JSON is one document",
	  OUTPUT_JSON,
	  { "[{\"a\":1}]", "[]", "[{\"a\":2},{\"a\":3}]" },
	  "{\"items\": [\n{\"a\": 1},\n{\"a\": 2},\n{\"a\": 3}\n]}\n" },
	{ "also an empty one", OUTPUT_JSON, { "[]", "[]", "[]" }, "{\"items\": [\n]}\n" },
};

static void
test_pages(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(page_rows); i++) {
		CLEANUP(output_list)
		struct output_list *list =
		    output_list_new("a:4 b +c", page_rows[i].format, OUTPUT_PLAIN);
		g_autoptr(GString) out = g_string_new(NULL);

		g_test_message("%s", page_rows[i].proves);
		for (gsize k = 0; k < G_N_ELEMENTS(page_rows[i].pages); k++) {
			json_t *page = json_loads(page_rows[i].pages[k], 0, NULL);
			output_list_page(list, page, out);
			json_decref(page);
		}
		output_list_end(list, NULL, out);
		g_assert_cmpstr(out->str, ==, page_rows[i].text);
	}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/output/rows", test_rows);
	g_test_add_func("/output/explain/question", test_explain_question);
	g_test_add_func("/output/lists page by page", test_pages);
	g_test_add_func("/output/explain/record", test_explain_record);
	return g_test_run();
}
