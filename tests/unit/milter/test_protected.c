/*
 * protected: what counts, what was hidden, what is shown outside; and everything that somebody
 * might write to make it count, look hidden, or be shown.
 */
#include <glib.h>

#include "milter/mime/author.h"
#include "milter/mime/protected.h"
#include "milter/mime/subject.h"
#include "tests/unit/milter/mime_sample.h"

static struct spool_area *area;

#define OUTSIDE                                                                                    \
	"From: A <a@b.example>\r\nTo: b@c.example\r\nSubject: [...]\r\nMessage-ID: <1@x>\r\n"
#define HP "Content-Type: text/plain; hp=\"cipher\"\r\n"
#define CLEAR_HP "Content-Type: text/plain; hp=\"clear\"\r\n"
#define V1 "Content-Type: text/plain; protected-headers=\"v1\"\r\n"
#define SIGN 1
#define CRYPT 2

struct row {
	const char *name;
	guint covered;
	const char *payload;
	const char *text;    /* "scheme: Name=state ..."; NULL: nothing is inside */
	const char *outside; /* the Subject that is delivered after decryption; NULL: as it was */
	gboolean differs;    /* the author */
};

static const struct row rows[] = {
	{ "signed and encrypted", SIGN | CRYPT,
	  "From: A <a@b.example>\r\nSubject: x\r\nHP-Outer: From: A <a@b.example>\r\n"
	  "HP-Outer: Subject: [...]\r\n" HP "\r\n",
	  "hp: From=signed Subject=signed-and-encrypted", " x", FALSE },
	{ "encrypted alone", CRYPT, "Subject: x\r\nHP-Outer: Subject: [...]\r\n" HP "\r\n",
	  "hp: Subject=encrypted", " x", FALSE },
	{ "signed alone", SIGN, "Subject: x\r\n" CLEAR_HP "\r\n", "hp: Subject=signed", NULL,
	  FALSE },
	{ "signed alone, and opened on the way", SIGN,
	  "Subject: x\r\nHP-Outer: Subject: [...]\r\n" HP "\r\n", "hp: Subject=signed", NULL,
	  FALSE },
	{ "signed, encrypted by somebody on the way", SIGN | CRYPT,
	  "Subject: x\r\n" CLEAR_HP "\r\n", "hp: Subject=signed", " x", FALSE },
	{ "nobody covers it", 0, "Subject: x\r\n" HP "\r\n", NULL, NULL, FALSE },
	{ "no claim", SIGN | CRYPT, "Subject: x\r\nContent-Type: text/plain\r\n\r\n", NULL, NULL,
	  FALSE },
	{ "a claim that is empty", SIGN | CRYPT,
	  "Subject: x\r\nContent-Type: text/plain; hp=\"\"\r\n\r\n", "hp: Subject=signed", " x",
	  FALSE },
	{ "not at the root", SIGN | CRYPT,
	  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nSubject: x\r\n" HP
	  "\r\n--b--\r\n",
	  NULL, NULL, FALSE },
	{ "no HP-Outer at all: hidden", SIGN | CRYPT, "Subject: x\r\nX-A: 1\r\n" HP "\r\n",
	  "hp: Subject=signed-and-encrypted X-A=signed-and-encrypted", " x", FALSE },
	{ "HP-Outer says that it was visible", SIGN | CRYPT,
	  "Subject: x\r\nhp-outer:\r\n SUBJECT:\r\n x\r\n" HP "\r\n", "hp: Subject=signed", " x",
	  FALSE },
	{ "HP-Outer says hidden, and it was not", SIGN | CRYPT,
	  "To: b@c.example\r\nHP-Outer: To: z@z.example\r\n" HP "\r\n", "hp: To=signed", NULL,
	  FALSE },
	{ "the Subject was really that", SIGN | CRYPT, "Subject: [...]\r\n" HP "\r\n",
	  "hp: Subject=signed", NULL, FALSE },
	{ "two Subjects", SIGN | CRYPT, "Subject: x\r\nSubject: y\r\n" HP "\r\n",
	  "hp! Subject=signed-and-encrypted Subject=signed-and-encrypted", NULL, FALSE },
	{ "two Froms", SIGN | CRYPT, "From: A <a@b.example>\r\nFrom: z@z.example\r\n" HP "\r\n",
	  "hp! From=signed From=signed-and-encrypted", NULL, TRUE },
	{ "another From", SIGN | CRYPT, "From: A <z@z.example>\r\n" HP "\r\n",
	  "hp: From=signed-and-encrypted", NULL, TRUE },
	{ "another From that HP-Outer denies", SIGN | CRYPT,
	  "From: z@z.example\r\nHP-Outer: From: A <a@b.example>\r\n" HP "\r\n",
	  "hp: From=signed-and-encrypted", NULL, TRUE },
	{ "a From of two", SIGN, "From: a@b.example, z@z.example\r\n" CLEAR_HP "\r\n",
	  "hp: From=signed", NULL, TRUE },
	{ "an empty From", SIGN, "From:\r\n" CLEAR_HP "\r\n", "hp: From=signed", NULL, TRUE },
	{ "another name, the same mailbox", SIGN, "From: \"z@z\" <A@B.example>\r\n" CLEAR_HP "\r\n",
	  "hp: From=signed", NULL, FALSE },
	{ "fields that describe the part", SIGN | CRYPT,
	  "Content-Description: x\r\nMIME-Version: 1.0\r\n" HP "\r\n", "hp:", NULL, FALSE },
	{ "encoded line ends", SIGN | CRYPT,
	  "Subject: =?utf-8?q?a=0D=0ABcc:_z@z.example?=\r\n" HP "\r\n",
	  "hp: Subject=signed-and-encrypted", " a  Bcc: z@z.example", FALSE },
	{ "encoded line ends in HP-Outer", SIGN | CRYPT,
	  "Subject: x\r\nHP-Outer: Subject: =?utf-8?q?a=0D=0ASubject:_x?=\r\n" HP "\r\n",
	  "hp: Subject=signed-and-encrypted", " x", FALSE },
	{ "a CR alone", SIGN | CRYPT, "Subject: x\ry\r\n" HP "\r\n",
	  "hp: Subject=signed-and-encrypted", " xy", FALSE },
	{ "a tag of ours inside", SIGN | CRYPT, "Subject: [signed] x\r\n" HP "\r\n",
	  "hp: Subject=signed-and-encrypted", " x", FALSE },
	{ "an encoded tag of ours inside", SIGN | CRYPT,
	  "Subject: =?utf-8?b?W3NpZ25lZF0=?= x\r\n" HP "\r\n", "hp: Subject=signed-and-encrypted",
	  " x", FALSE },
	{ "8-bit becomes encoded", SIGN | CRYPT, "Subject: \303\274\r\n" HP "\r\n",
	  "hp: Subject=signed-and-encrypted", " =?UTF-8?B?w7w=?=", FALSE },
	{ "a fold stays", SIGN | CRYPT, "Subject: x\r\n\ty\r\n" HP "\r\n",
	  "hp: Subject=signed-and-encrypted", " x\n\ty", FALSE },
	{ "an empty Subject", SIGN | CRYPT, "Subject:\r\n" HP "\r\n",
	  "hp: Subject=signed-and-encrypted", " ", FALSE },
	{ "protected-headers", SIGN | CRYPT, "Subject: x\r\nTo: b@c.example\r\n" V1 "\r\n",
	  "protected-headers: Subject=signed-and-encrypted To=signed", " x", FALSE },
	{ "protected-headers, signed", SIGN, "Subject: x\r\n" V1 "\r\n",
	  "protected-headers: Subject=signed", NULL, FALSE },
	{ "protected-headers of another kind", SIGN | CRYPT,
	  "Subject: x\r\nContent-Type: text/plain; protected-headers=\"v2\"\r\n\r\n", NULL, NULL,
	  FALSE },
	{ "hp before protected-headers", SIGN | CRYPT,
	  "Subject: x\r\nContent-Type: text/plain; protected-headers=v1; hp=clear\r\n\r\n",
	  "hp: Subject=signed", " x", FALSE },
	{ "wrapped", SIGN | CRYPT,
	  "Content-Type: message/rfc822; forwarded=no\r\n\r\nFrom: A <a@b.example>\r\nSubject: "
	  "x\r\n\r\nhi",
	  "wrapped: From=signed Subject=signed-and-encrypted", " x", FALSE },
	{ "wrapped without saying so", SIGN | CRYPT,
	  "Content-Type: message/rfc822\r\n\r\nFrom: a@b.example\r\nMessage-ID: <1@x>\r\n\r\nhi",
	  "wrapped: From=signed-and-encrypted Message-ID=signed", NULL, FALSE },
	{ "wrapped by somebody else", SIGN | CRYPT,
	  "Content-Type: message/rfc822; forwarded=no\r\n\r\nFrom: z@z.example\r\n\r\nhi",
	  "wrapped: From=signed-and-encrypted", NULL, TRUE },
	{ "forwarded", SIGN | CRYPT,
	  "Content-Type: message/rfc822\r\n\r\nFrom: z@z.example\r\nSubject: x\r\n\r\nhi", NULL,
	  NULL, FALSE },
	{ "forwarded, and it says so", SIGN | CRYPT,
	  "Content-Type: message/rfc822; forwarded=yes\r\n\r\nFrom: a@b.example\r\n"
	  "Message-ID: <1@x>\r\n\r\nhi",
	  NULL, NULL, FALSE },
};

static char *
as_text(const struct protected_fields *inside)
{
	GString *text = g_string_new(protected_scheme_name(inside->scheme));

	g_string_append_c(text, inside->ambiguous ? '!' : ':');
	for (guint i = 0; i < inside->fields->len; i++) {
		const struct protected_field *field = inside->fields->pdata[i];

		g_string_append_printf(text, " %s=%s", field->name,
				       protected_state_name(field->state));
	}
	return g_string_free(text, FALSE);
}

static struct words *
our_words(void)
{
	struct words *words = words_new();

	g_assert_true(words_add_text(words, "[signed]", NULL));
	return words;
}

static void
test_row(gconstpointer data)
{
	const struct row *row = data;
	struct sample outer, payload;
	CLEANUP(protected_fields) struct protected_fields *inside = NULL;
	CLEANUP(edits) struct edits *edits = edits_new();
	CLEANUP(headers) struct headers *left = NULL;
	CLEANUP(mailaddr) struct mailaddr *author = NULL;
	CLEANUP(words) struct words *words = our_words();
	g_autofree char *text = NULL;

	sample_init(&outer, area, OUTSIDE "\r\n", strlen(OUTSIDE "\r\n"));
	sample_init(&payload, area, row->payload, strlen(row->payload));
	author = author_find(outer.headers, NULL);
	inside = protected_read(payload.tree, outer.headers, (row->covered & SIGN) != 0,
				(row->covered & CRYPT) != 0);
	if (inside != NULL) {
		text = as_text(inside);
		g_assert_cmpint(protected_author_differs(inside, author), ==, row->differs);
		protected_show(inside, outer.headers, words, edits);
	}
	g_assert_cmpstr(text, ==, row->text);
	left = edits_apply_headers(edits, outer.headers, NULL);
	g_assert_cmpstr(headers_value(left, "Subject"), ==,
			row->outside != NULL ? row->outside : " [...]");
	g_assert_cmpuint(headers_count_of(left, "Subject"), ==, 1);
	g_assert_cmpstr(headers_value(left, "From"), ==, " A <a@b.example>");
	g_assert_cmpuint(headers_count_of(left, "From"), ==, 1);
	g_assert_cmpuint(headers_count_of(left, "Bcc"), ==, 0);
	sample_clear(&payload);
	sample_clear(&outer);
}

/* What else a policy may hide comes back; what programs go by does not. */
static void
test_other_fields(void)
{
	static const char outside[] = "From: a@b.example\r\nTo: b@c.example\r\nSubject: [...]\r\n"
				      "Sender: a@b.example\r\n\r\n";
	static const char within[] =
	    "From: a@b.example\r\nTo: B <b@c.example>\r\nSubject: x\r\nComments: c\r\nComments: "
	    "d\r\n"
	    "Keywords: =?utf-8?q?k=0D=0Al?=\r\nSender: z@z.example\r\nReply-To: r@b.example\r\n"
	    "Return-Path: <z@z.example>\r\nReceived: lie\r\nX-Postseal-Signature: valid\r\n"
	    "Authentication-Results: mx; smime=pass\r\nDKIM-Signature: z\r\nBcc: z@z.example\r\n"
	    "Date: \303\274\r\nList-Id: z\r\nResent-From: z@z.example\r\n" HP "\r\n";
	struct sample outer, payload;
	CLEANUP(protected_fields) struct protected_fields *inside = NULL;
	CLEANUP(edits) struct edits *edits = edits_new();
	CLEANUP(headers) struct headers *left = NULL;

	sample_init(&outer, area, outside, strlen(outside));
	sample_init(&payload, area, within, strlen(within));
	inside = protected_read(payload.tree, outer.headers, TRUE, TRUE);
	g_assert_true(protected_show(inside, outer.headers, NULL, edits));
	left = edits_apply_headers(edits, outer.headers, NULL);
	g_assert_cmpuint(headers_count(left), ==, 8);
	g_assert_cmpstr(headers_value(left, "To"), ==, " B <b@c.example>");
	g_assert_cmpstr(headers_value(left, "Sender"), ==, " a@b.example");
	g_assert_cmpstr(headers_value(left, "Reply-To"), ==, " r@b.example");
	g_assert_cmpstr(headers_value(left, "Keywords"), ==, " k  l");
	g_assert_cmpuint(headers_count_of(left, "Comments"), ==, 2);
	g_assert_cmpuint(headers_count_of(left, "Bcc"), ==, 0);
	sample_clear(&payload);
	sample_clear(&outer);
}

#define MIXED_V1 "Content-Type: multipart/mixed; boundary=b; protected-headers=\"v1\"\r\n\r\n"
#define MIXED "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
#define MARKED "Content-Type: text/plain; hp-legacy-display=1"

/* The parts that exist for programs of before, and whole messages that were wrapped. */
static void
test_content(void)
{
	static const struct {
		const char *payload;
		gboolean encrypted;
		const char *shown; /* NULL: as it is */
	} cases[] = {
		{ MIXED_V1
		  "--b\r\n" V1
		  "Content-Disposition: inline\r\n\r\nSubject: x\r\n--b\r\n\r\nhi\r\n--b--\r\n",
		  TRUE, MIXED "--b\r\n\r\nhi\r\n--b--\r\n" },
		{ MIXED_V1 "--b\r\n" V1 "\r\nSubject: x\r\n--b\r\n\r\nhi\r\n--b--\r\n", FALSE,
		  MIXED "--b\r\n" V1 "\r\nSubject: x\r\n--b\r\n\r\nhi\r\n--b--\r\n" },
		{ MIXED_V1 "--b\r\n" V1 "\r\nSubject: x\r\n--b--\r\n", TRUE,
		  MIXED "--b\r\n" V1 "\r\nSubject: x\r\n--b--\r\n" },
		{ MIXED_V1 "--b\r\n\r\nSubject: x\r\n--b\r\n\r\nhi\r\n--b--\r\n", TRUE,
		  MIXED "--b\r\n\r\nSubject: x\r\n--b\r\n\r\nhi\r\n--b--\r\n" },
		{ "Content-Type: message/rfc822; forwarded=no\r\n\r\nSubject: x\r\n\r\nhi\r\n",
		  TRUE, "Subject: x\r\n\r\nhi\r\n" },
		{ MARKED "; hp=clear\r\n\r\nSubject: x\r\n\r\nhi", TRUE,
		  MARKED "\r\n\r\nSubject: x\r\n\r\nhi" },
		{ MARKED "; hp=cipher\r\n\r\nSubject: x\r\n\r\nhi", FALSE,
		  MARKED "\r\n\r\nSubject: x\r\n\r\nhi" },
		{ "Subject: x\r\n" MARKED "; hp=cipher\r\n\r\nSubject: x\r\n\r\nhi", TRUE,
		  "Subject: x\r\nContent-Type: text/plain\r\n\r\nhi" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct sample outer, payload;
		CLEANUP(protected_fields) struct protected_fields *inside = NULL;
		CLEANUP(entity) struct entity *content = NULL;
		CLEANUP(entity) struct entity *shown = NULL;
		g_autofree char *text = NULL;
		GError *error = NULL;

		sample_init(&outer, area, OUTSIDE "\r\n", strlen(OUTSIDE "\r\n"));
		sample_init(&payload, area, cases[i].payload, strlen(cases[i].payload));
		inside = protected_read(payload.tree, outer.headers, TRUE, cases[i].encrypted);
		g_assert_nonnull(inside);
		content = entity_new(payload.headers, payload.spool, 0, payload.body,
				     spool_size(payload.spool));
		g_assert_true(protected_content(inside, content, area, &shown, &error));
		g_assert_no_error(error);
		text = shown != NULL ? spool_text(shown->spool, NULL) : NULL;
		g_assert_cmpstr(text, ==, cases[i].shown);
		sample_clear(&payload);
		sample_clear(&outer);
	}
}

/* A thousand fields outside, a thousand inside, all of one name: no million comparisons. */
static void
test_many(void)
{
	g_autoptr(GString) outside = g_string_new(OUTSIDE);
	g_autoptr(GString) payload = g_string_new(HP);
	struct sample out, in;
	struct protected_fields *inside;
	gint64 began_us;

	for (guint i = 0; i < 990; i++) {
		g_string_append_printf(outside, "X-A: =?utf-8?q?%0400u?= a%u\r\n", i, i);
		g_string_append_printf(payload, "X-A: =?utf-8?q?%0400u?= b%u\r\n", i, i);
		g_string_append_printf(payload, "HP-Outer: X-A: =?utf-8?q?%0400u?= c%u\r\n", i, i);
	}
	g_string_append(outside, "\r\n");
	g_string_append(payload, "\r\nx\r\n");
	sample_init(&out, area, outside->str, outside->len);
	sample_init(&in, area, payload->str, payload->len);
	began_us = g_get_monotonic_time();
	inside = protected_read(in.tree, out.headers, TRUE, TRUE);
	g_test_message("%" G_GINT64_FORMAT " ms", (g_get_monotonic_time() - began_us) / 1000);
	g_assert_cmpint(g_get_monotonic_time() - began_us, <, 60 * G_USEC_PER_SEC);
	g_assert_nonnull(inside);
	g_assert_cmpuint(inside->fields->len, ==, 990);
	protected_unref(inside);
	sample_clear(&out);
	sample_clear(&in);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	area = spool_area_new_memory(1 << 28);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *path = g_strdup_printf("/protected/%s", rows[i].name);

		g_test_add_data_func(path, &rows[i], test_row);
	}
	g_test_add_func("/protected/other fields", test_other_fields);
	g_test_add_func("/protected/many fields", test_many);
	g_test_add_func("/protected/content", test_content);
	status = g_test_run();
	spool_area_unref(area);
	return status;
}
