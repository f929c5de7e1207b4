/*
 * author and ours: whose mail it is, and which fields nobody else may write.
 */
#include <glib.h>
#include <string.h>

#include "milter/mime/author.h"
#include "milter/mime/ours.h"
#include "tests/unit/milter/mime_sample.h"

static struct spool_area *area;

struct author_row {
	const char *name;
	const char *header;
	const char *address; /* NULL: nobody */
};

static const struct author_row author_rows[] = {
	{ "plain", "From: bob@example.com\r\n", "bob@example.com" },
	{ "display name", "From: Bob B <Bob@Example.com>\r\n", "bob@example.com" },
	{ "quoted name with an address in it", "From: \"eve@evil.example\" <bob@example.com>\r\n",
	  "bob@example.com" },
	{ "encoded name", "From: =?utf-8?Q?B=C3=B6b?= <bob@example.com>\r\n", "bob@example.com" },
	{ "encoded name that decodes to an address",
	  "From: =?utf-8?Q?eve=40evil.example=2C?= <bob@example.com>\r\n", "bob@example.com" },
	{ "comment", "From: bob@example.com (Bob, eve@evil.example)\r\n", "bob@example.com" },
	{ "folded", "From: Bob\r\n <bob@example.com>\r\n", "bob@example.com" },
	{ "group of one", "From: team: bob@example.com;\r\n", "bob@example.com" },
	{ "the address as its own name", "From: bob@example.com <bob@example.com>\r\n",
	  "bob@example.com" },
	{ "almost its own name", "From: bob@example.com <bob@example.com.evil.example>\r\n", NULL },
	{ "no blank before the bracket", "From: Bob<bob@example.com>\r\n", "bob@example.com" },
	{ "dot in the name", "From: Bob. B <bob@example.com>\r\n", "bob@example.com" },
	{ "UTF-8", "From: J\303\266rg <j\303\266rg@ex\303\244mple.com>\r\n",
	  "j\303\266rg@xn--exmple-cua.com" },
	{ "quoted local part with an at sign", "From: \"a@b\"@example.com\r\n",
	  "\"a@b\"@example.com" },
	{ "quoted address without brackets, then another",
	  "From: \"bob@example.com\" eve@evil.example\r\n", NULL },
	{ "none", "To: bob@example.com\r\n", NULL },
	{ "two fields", "From: bob@example.com\r\nfrom: eve@evil.example\r\n", NULL },
	{ "the same twice", "From: bob@example.com\r\nFrom: bob@example.com\r\n", NULL },
	{ "two mailboxes", "From: bob@example.com, eve@evil.example\r\n", NULL },
	{ "group of two", "From: team: bob@example.com, eve@evil.example;\r\n", NULL },
	{ "empty group", "From: undisclosed:;\r\n", NULL },
	{ "empty", "From: \r\n", NULL },
	{ "no domain", "From: bob\r\n", NULL },
	{ "two addresses without a comma", "From: bob@example.com eve@evil.example\r\n", NULL },
	{ "two pairs of brackets", "From: <bob@example.com> <eve@evil.example>\r\n", NULL },
	{ "unquoted address before the brackets", "From: eve@evil.example <bob@example.com>\r\n",
	  NULL },
	{ "separated by a semicolon", "From: bob@example.com; eve@evil.example\r\n", NULL },
	{ "two at signs", "From: <bob@example.com@evil.example>\r\n", NULL },
	{ "source route", "From: <@evil.example:bob@example.com>\r\n", NULL },
};

static void
test_author(gconstpointer data)
{
	const struct author_row *row = data;
	g_autofree char *text = g_strconcat(row->header, "\r\n", NULL);
	struct sample sample;
	const char *why = NULL;

	sample_init(&sample, area, text, strlen(text));
	CLEANUP(mailaddr) struct mailaddr *author = author_find(sample.headers, &why);
	if (row->address == NULL) {
		g_assert_null(author);
		g_assert_nonnull(why);
	} else {
		g_assert_nonnull(author);
		g_assert_cmpstr(mailaddr_key(author), ==, row->address);
	}
	sample_clear(&sample);
}

static void
test_null_byte(void)
{
	CLEANUP(headers) struct headers *headers = headers_new();
	const char *why = NULL;

	g_assert_true(headers_add(headers, "From", " bob@example.com\0.evil.example", 30, NULL));
	g_assert_null(author_find(headers, &why));
	g_assert_nonnull(strstr(why, "null"));
}

static void
test_mailboxes(void)
{
	GString *text =
	    g_string_new("Cc: x@example.com\r\nTo: a@example.com, team: b@example.com, "
			 "c@example.com;\r\nto: \"d, e\" <f@example.com>, broken\r\nTo:");
	struct sample sample;
	g_autoptr(GPtrArray) to = NULL;

	for (int i = 0; i < 2000; i++)
		g_string_append_printf(text, "%s\r\n Person %d <user%d@example.com>",
				       i > 0 ? "," : "", i, i);
	g_string_append(text, "\r\nResent-From: x@y\r\n\r\n");
	sample_init(&sample, area, text->str, text->len);
	to = author_mailboxes(sample.headers, "To");
	g_assert_cmpuint(to->len, ==, 2004);
	g_assert_cmpstr(mailaddr_key(to->pdata[3]), ==, "f@example.com");
	g_assert_true(author_is_resent(sample.headers));
	sample_clear(&sample);
	g_string_free(text, TRUE);
}

/* --- ours --- */

static const char *const ids[] = { "mx.example.com", "gw2.example.com", NULL };

struct ours_row {
	const char *name;
	const char *value;
	gboolean goes;
};

static const struct ours_row ours_rows[] = {
	{ "smime result of ours", " mx.example.com; smime=pass", TRUE },
	{ "of a peer", " GW2.example.com; smime=pass body.smime-part=1", TRUE },
	{ "of somebody else", " other.example; smime=pass", FALSE },
	{ "ours without smime", " mx.example.com; spf=pass smtp.mailfrom=x; dkim=pass", FALSE },
	{ "ours, no result", " mx.example.com; none", FALSE },
	{ "ours, nothing at all", " mx.example.com", FALSE },
	{ "second result", " mx.example.com; spf=pass; smime=fail", TRUE },
	{ "with a version", " mx.example.com 1; smime=pass", TRUE },
	{ "version of the method", " mx.example.com; smime/1=pass", TRUE },
	{ "comments and folds", " (a (b) c)\n mx.example.com\n (x) 1\n ; (y) smime (z) = pass",
	  TRUE },
	{ "quoted id", " \"mx.example.com\"; smime=pass", TRUE },
	{ "quoted id with an escape", " \"mx.exam\\ple.com\"; smime=pass", TRUE },
	{ "upper case method", " mx.example.com; SMIME=pass", TRUE },
	{ "smime in a comment only", " mx.example.com; spf=pass (smime=pass)", FALSE },
	{ "smime in a quoted string only", " mx.example.com; spf=pass reason=\"; smime=pass\"",
	  FALSE },
	{ "our id in a comment only", " other.example (mx.example.com); smime=pass", FALSE },
	{ "trailing dot", " mx.example.com.; smime=pass", TRUE },
	{ "longer name", " mx.example.com.evil.example; smime=pass", FALSE },
	{ "broken behind our id", " mx.example.com; =pass; spf=pass", TRUE },
	{ "comment that never ends", " mx.example.com; spf=pass (smime=pass", TRUE },
	{ "string that never ends", " mx.example.com; spf=pass reason=\"x", TRUE },
	{ "broken before our id", " (x mx.example.com; smime=pass", TRUE },
	{ "broken version", " mx.example.com x; smime=pass", TRUE },
	{ "our id with a comment inside", " mx(x).example(y).com; smime=pass", TRUE },
	{ "our id folded inside", " mx.\n example.com; smime=pass", TRUE },
	{ "our id half in quotes", " mx.\"example\".com; smime=pass", TRUE },
	{ "broken, not ours", " (other.example; smime=pass", FALSE },
	{ "wide letters", " \xef\xbd\x8d\xef\xbd\x98.example.com; smime=pass", TRUE },
	{ "an invisible letter", " mx.exam\xe2\x80\x8bple.com; smime=pass", TRUE },
	{ "octets that are no text", " mx.example.com\xff; smime=pass", FALSE },
	{ "no id", " smime=pass body.smime-identifier=x@y", TRUE },
	{ "no id, with a version", " smime/1 = pass", TRUE },
	{ "no id, quoted method", " \"smime\"=pass", TRUE },
	{ "without the semicolon", " mx.example.com smime=pass", TRUE },
	{ "behind another result", " mx.example.com; dkim=pass smime=pass", TRUE },
	{ "the same with blanks", " mx.example.com; dkim=pass\n smime (x)\t= pass", TRUE },
	{ "a value that ends so", " mx.example.com; dkim=pass header.i=smime", FALSE },
	{ "somebody else, without the semicolon", " other.example smime=pass", FALSE },
	{ "last semicolon", " mx.example.com; spf=pass;", FALSE },
	{ "empty", "", FALSE },
};

static void
test_ours(gconstpointer data)
{
	const struct ours_row *row = data;

	g_assert_cmpint(ours_is_smime_result(row->value, strlen(row->value), ids), ==, row->goes);
}

static void
test_remove(void)
{
	static const char text[] = "X-Postseal-Encrypt: yes\r\nSubject: x\r\n"
				   "Authentication-Results: mx.example.com; spf=pass\r\n"
				   "authentication-results: mx.example.com; smime=pass\r\n"
				   "x-postseal-anything: y\r\nX-Postsealed: z\r\n\r\n";
	struct sample sample;
	CLEANUP(edits) struct edits *edits = edits_new();

	sample_init(&sample, area, text, sizeof text - 1);
	g_assert_cmpuint(ours_remove(sample.headers, ids, edits), ==, 3);
	CLEANUP(headers)
	struct headers *rest = edits_apply_headers(edits, sample.headers, NULL);
	g_assert_cmpuint(headers_count(rest), ==, 3);
	g_assert_cmpstr(headers_value(rest, "Authentication-Results"), ==,
			" mx.example.com; spf=pass");
	g_assert_nonnull(headers_value(rest, "X-Postsealed"));
	sample_clear(&sample);
}

/* GMime would take seconds for a thousand of these. */
static void
test_encoded_words(void)
{
	g_autoptr(GString) text = g_string_new(NULL);
	const char *why = NULL;

	while (text->len < 250000)
		g_string_append(text, "=?utf-8?q?,?=");
	g_string_append(text, " <boss@corp.example>");
	g_assert_null(author_parse(text->str, text->len, &why));
	g_assert_cmpstr(why, ==, "From cannot be told apart from several mailboxes");
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	area = spool_area_new_memory(10000000);
	for (gsize i = 0; i < G_N_ELEMENTS(author_rows); i++) {
		g_autofree char *path = g_strdup_printf("/author/%s", author_rows[i].name);

		g_test_add_data_func(path, &author_rows[i], test_author);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(ours_rows); i++) {
		g_autofree char *path = g_strdup_printf("/ours/%s", ours_rows[i].name);

		g_test_add_data_func(path, &ours_rows[i], test_ours);
	}
	g_test_add_func("/author/null byte", test_null_byte);
	g_test_add_func("/author/all mailboxes of all fields", test_mailboxes);
	g_test_add_func("/ours/removal", test_remove);
	g_test_add_func("/author/encoded words without number", test_encoded_words);
	status = g_test_run();
	spool_area_unref(area);
	return status;
}
