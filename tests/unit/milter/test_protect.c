/*
 * protect and legacy_display: the payload of a message, byte for byte, over types, encodings and
 * charsets; what is put in is found again, and taken away again without a trace.
 */
#include <glib.h>

#include "milter/mime/canonical.h"
#include "milter/mime/leaf.h"
#include "milter/mime/legacy_display.h"
#include "milter/mime/protect.h"
#include "milter/mime/protected.h"
#include "milter/mime/subject.h"
#include "milter/mime/type_edit.h"
#include "tests/unit/milter/mime_sample.h"

static struct spool_area *area;

enum mode { CLEAR, CIPHER, HIDE, HIDE_ALONE /* encrypted, not signed */ };

struct row {
	const char *name;
	enum mode mode;
	const char *message;
	const char *payload;
};

#define UE "\303\274"
#define FROM "From: A <a@b.example>\r\n"
#define VERSION "MIME-Version: 1.0\r\n"

static const struct row rows[] = {
	{ "signed text", CLEAR,
	  FROM "Subject: x y\r\n folded\r\nContent-Type: text/plain\r\n\r\nhi\r\n",
	  VERSION FROM "Subject: x y\r\n folded\r\nContent-Type: text/plain;\r\n hp=\"clear\"\r\n"
		       "\r\nhi\r\n" },
	{ "no type", CLEAR, FROM "\r\nhi\r\n",
	  VERSION FROM
	  "Content-Type: text/plain; charset=us-ascii;\r\n hp=\"clear\"\r\n\r\nhi\r\n" },
	{ "encrypted, nothing hidden", CIPHER, FROM "Subject: x\r\n\r\nhi\r\n",
	  VERSION FROM
	  "Subject: x\r\nHP-Outer: From: A <a@b.example>\r\nHP-Outer: Subject: x\r\n"
	  "Content-Type: text/plain; charset=us-ascii;\r\n hp=\"cipher\"\r\n\r\nhi\r\n" },
	{ "the baseline policy", HIDE,
	  FROM
	  "Subject: x\r\nComments: c\r\nKeywords: k\r\nThread-Topic: x\r\nX-Y: z\r\n\r\nhi\r\n",
	  VERSION FROM
	  "Subject: x\r\nComments: c\r\nKeywords: k\r\nThread-Topic: x\r\nX-Y: z\r\n"
	  "HP-Outer: From: A <a@b.example>\r\nHP-Outer: Subject: [...]\r\n"
	  "HP-Outer: X-Y: z\r\n"
	  "Content-Type: text/plain; charset=us-ascii;\r\n hp-legacy-display=\"1\";\r\n"
	  " hp=\"cipher\"\r\n\r\nSubject: x\r\n\r\nhi\r\n" },
	{ "no Subject, nothing to show", HIDE, FROM "\r\nhi\r\n",
	  VERSION FROM
	  "HP-Outer: From: A <a@b.example>\r\n"
	  "Content-Type: text/plain; charset=us-ascii;\r\n hp=\"cipher\"\r\n\r\nhi\r\n" },
	{ "an empty Subject is hidden, and not shown", HIDE, "Subject:\r\n\r\nhi\r\n",
	  VERSION "Subject:\r\nHP-Outer: Subject: [...]\r\n"
		  "Content-Type: text/plain; charset=us-ascii;\r\n hp=\"cipher\"\r\n\r\nhi\r\n" },
	{ "what stays outside", CLEAR,
	  "Received: from x\r\nReturn-Path: <>\r\nDKIM-Signature: v=1\r\nARC-Seal: i=1\r\n"
	  "Authentication-Results: x; none\r\nBcc: secret@b.example\r\nResent-Bcc: s@b.example\r\n"
	  "X-Postseal-Encrypt: yes\r\nDelivered-To: x\r\nHP-Outer: Subject: lie\r\n"
	  "Content-Language: en\r\nMIME-Version: 1.0 (x)\r\nTo: b@c.example\r\n\r\nhi\r\n",
	  VERSION "To: b@c.example\r\nContent-Language: en\r\n"
		  "Content-Type: text/plain; charset=us-ascii;\r\n hp=\"clear\"\r\n\r\nhi\r\n" },
	{ "a semicolon at the end", CLEAR, "Content-Type: text/plain; format=flowed;\r\n\r\nhi\r\n",
	  VERSION "Content-Type: text/plain; format=flowed;\r\n hp=\"clear\"\r\n\r\nhi\r\n" },
	{ "hp that it brought", CLEAR, "Content-Type: text/plain; hp=\"cipher\"\r\n\r\nhi\r\n",
	  VERSION "Content-Type: text/plain; hp=clear\r\n\r\nhi\r\n" },
	{ "UTF-8 in a Subject is encoded", CLEAR, "Subject: " UE "\r\n\r\nhi\r\n",
	  VERSION "Subject: =?UTF-8?B?w7w=?=\r\n"
		  "Content-Type: text/plain; charset=us-ascii;\r\n hp=\"clear\"\r\n\r\nhi\r\n" },
	{ "UTF-8 in a name is encoded", CLEAR, "From: " UE " <a@b.example>\r\n\r\nhi\r\n",
	  VERSION "From: =?iso-8859-1?b?/A==?= <a@b.example>\r\n"
		  "Content-Type: text/plain; charset=us-ascii;\r\n hp=\"clear\"\r\n\r\nhi\r\n" },
	{ "ASCII text becomes UTF-8 for its Subject", HIDE,
	  "Subject: =?utf-8?q?=C3=BC?=\r\n\r\nhi\r\n",
	  VERSION
	  "Subject: =?utf-8?q?=C3=BC?=\r\nHP-Outer: Subject: [...]\r\n"
	  "Content-Type: text/plain; charset=utf-8;\r\n hp-legacy-display=\"1\";\r\n"
	  " hp=\"cipher\"\r\n"
	  "Content-Transfer-Encoding: quoted-printable\r\n\r\nSubject: =C3=BC\r\n\r\nhi\r\n" },
	{ "Latin 1 in its charset", HIDE,
	  "Subject: =?utf-8?q?=C3=BC?=\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
	  "Content-Transfer-Encoding: quoted-printable\r\n\r\nh=E4\r\n",
	  VERSION "Subject: =?utf-8?q?=C3=BC?=\r\nHP-Outer: Subject: [...]\r\n"
		  "Content-Type: text/plain; charset=iso-8859-1;\r\n hp-legacy-display=\"1\";\r\n"
		  " hp=\"cipher\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
		  "Subject: =FC\r\n\r\nh=E4\r\n" },
	{ "base64", HIDE,
	  "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n"
	  "Content-Transfer-Encoding: base64\r\n\r\naGkNCg==\r\n",
	  VERSION "Subject: x\r\nHP-Outer: Subject: [...]\r\n"
		  "Content-Type: text/plain; charset=utf-8;\r\n hp-legacy-display=\"1\";\r\n"
		  " hp=\"cipher\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
		  "U3ViamVjdDogeA0KDQpoaQ0K\r\n" },
	{ "HTML", HIDE,
	  "Subject: a <b> =?utf-8?q?=C3=BC?=\r\nContent-Type: text/html\r\n\r\n"
	  "<!-- <body> --><html><head><title><body></title></head><BODY "
	  "class=\">\">\r\nhi</body></html>",
	  VERSION "Subject: a <b> =?utf-8?q?=C3=BC?=\r\nHP-Outer: Subject: [...]\r\n"
		  "Content-Type: text/html;\r\n hp-legacy-display=\"1\";\r\n hp=\"cipher\"\r\n\r\n"
		  "<!-- <body> --><html><head><title><body></title></head><BODY class=\">\">"
		  "<div class=\"header-protection-legacy-display\">\r\n"
		  "<pre>Subject: a &#60;b&#62; &#252;</pre>\r\n</div>\r\n\r\nhi</body></html>" },
	{ "HTML without anything", HIDE, "Subject: x\r\nContent-Type: text/html\r\n\r\nhi",
	  VERSION "Subject: x\r\nHP-Outer: Subject: [...]\r\n"
		  "Content-Type: text/html;\r\n hp-legacy-display=\"1\";\r\n hp=\"cipher\"\r\n\r\n"
		  "<div class=\"header-protection-legacy-display\">\r\n"
		  "<pre>Subject: x</pre>\r\n</div>\r\nhi" },
	{ "an attachment alone", HIDE,
	  "Subject: x\r\nContent-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nhi\r\n",
	  VERSION
	  "Subject: x\r\nHP-Outer: Subject: [...]\r\n"
	  "Content-Type: text/plain;\r\n hp=\"cipher\"\r\nContent-Disposition: attachment\r\n"
	  "\r\nhi\r\n" },
	{ "a picture alone", HIDE, "Subject: x\r\nContent-Type: image/x\r\n\r\nhi\r\n",
	  VERSION "Subject: x\r\nHP-Outer: Subject: [...]\r\n"
		  "Content-Type: image/x;\r\n hp=\"cipher\"\r\n\r\nhi\r\n" },
	{ "an alternative in a mixed one", HIDE,
	  "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	  "--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\nt\r\n"
	  "--c\r\nContent-Type: text/html\r\n\r\nh\r\n--c--\r\n--b\r\n\r\nu\r\n--b--\r\n",
	  VERSION
	  "Subject: x\r\nHP-Outer: Subject: [...]\r\n"
	  "Content-Type: multipart/mixed; boundary=b;\r\n hp=\"cipher\"\r\n\r\n"
	  "--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n"
	  "--c\r\nContent-Type: text/plain; charset=us-ascii;\r\n hp-legacy-display=\"1\"\r\n\r\n"
	  "Subject: x\r\n\r\nt\r\n"
	  "--c\r\nContent-Type: text/html;\r\n hp-legacy-display=\"1\"\r\n\r\n"
	  "<div class=\"header-protection-legacy-display\">\r\n<pre>Subject: "
	  "x</pre>\r\n</div>\r\nh\r\n"
	  "--c--\r\n--b\r\n\r\nu\r\n--b--\r\n" },
	{ "what is signed inside stays", HIDE,
	  "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
	  "Content-Type: multipart/signed; "
	  "boundary=c\r\n\r\n--c\r\n\r\nt\r\n--c\r\n\r\ns\r\n--c--\r\n"
	  "--b--\r\n",
	  VERSION
	  "Subject: x\r\nHP-Outer: Subject: [...]\r\n"
	  "Content-Type: multipart/mixed; boundary=b;\r\n hp=\"cipher\"\r\n\r\n--b\r\n"
	  "Content-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\nt\r\n--c\r\n\r\ns\r\n"
	  "--c--\r\n--b--\r\n" },
	{ "8-bit stays where nobody signs", HIDE_ALONE,
	  "Subject: =?utf-8?q?=C3=BC?=\r\nContent-Type: text/plain; charset=utf-8\r\n"
	  "Content-Transfer-Encoding: 8bit\r\n\r\n" UE "\r\n",
	  VERSION "Subject: =?utf-8?q?=C3=BC?=\r\nHP-Outer: Subject: [...]\r\n"
		  "Content-Type: text/plain; charset=utf-8;\r\n hp-legacy-display=\"1\";\r\n"
		  " hp=\"cipher\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
		  "Subject: " UE "\r\n\r\n" UE "\r\n" },
	{ "fields are 7-bit even there, or stay outside", HIDE_ALONE,
	  "From: " UE "@b.example\r\nSubject: " UE
	  "\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
	  "hi\r\n",
	  VERSION "Subject: =?UTF-8?B?w7w=?=\r\nHP-Outer: Subject: [...]\r\n"
		  "Content-Type: text/plain; charset=utf-8;\r\n hp-legacy-display=\"1\";\r\n"
		  " hp=\"cipher\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
		  "Subject: " UE "\r\n\r\nhi\r\n" },
	{ "controls in a Subject do not end the element", HIDE,
	  "Subject: =?utf-8?q?a=0D=0A=0D=0Ab?=\r\n\r\nhi\r\n",
	  VERSION "Subject: =?utf-8?q?a=0D=0A=0D=0Ab?=\r\nHP-Outer: Subject: [...]\r\n"
		  "Content-Type: text/plain; charset=us-ascii;\r\n hp-legacy-display=\"1\";\r\n"
		  " hp=\"cipher\"\r\n\r\nSubject: a b\r\n\r\nhi\r\n" },
	{ "two Subjects", HIDE, "Subject: x\r\nSubject: y\r\n\r\nhi\r\n",
	  VERSION "Subject: x\r\nSubject: y\r\nHP-Outer: Subject: [...]\r\n"
		  "Content-Type: text/plain; charset=us-ascii;\r\n hp-legacy-display=\"1\";\r\n"
		  " hp=\"cipher\"\r\n\r\nSubject: x\r\n\r\nhi\r\n" },
};

static struct spool *
payload_of(const struct sample *sample, enum mode mode, gboolean *needs_opaque)
{
	struct protect_request request = {
		.headers = sample->headers,
		.area = area,
		.encrypted = mode != CLEAR,
		.hide = mode >= HIDE,
		.is_signed = mode != HIDE_ALONE,
	};
	GError *error = NULL;
	CLEANUP(canonical)
	struct canonical *canonical = mode == HIDE_ALONE
					  ? canonical_for_encryption(sample->tree, area, &error)
					  : canonical_for_signing(sample->tree, area, &error);
	struct spool *payload;

	g_assert_no_error(error);
	*needs_opaque = canonical->needs_opaque;
	payload = protect_entity(canonical->entity, &request, needs_opaque, &error);
	g_assert_no_error(error);
	return payload;
}

/* The text of the first leaf, decoded. */
static char *
first_text(const struct mime_tree *tree)
{
	const struct part *part = tree->root;
	CLEANUP(spool) struct spool *text = spool_new(area);
	GError *error = NULL;

	while (part->children != NULL && part->children->len > 0)
		part = part->children->pdata[0];
	g_assert_true(leaf_write(tree, part, spool_sink(text), &error));
	g_assert_true(spool_seal(text, &error));
	return spool_text(text, NULL);
}

/* Read back: the Subject as it was, and the text without what was put in front. */
static void
check_round_trip(const struct sample *sample, const char *payload, gsize length, enum mode mode)
{
	struct sample inner;
	CLEANUP(protected_fields) struct protected_fields *inside = NULL;
	const struct protected_field *subject;
	CLEANUP(entity) struct entity *content = NULL;
	CLEANUP(entity) struct entity *shown = NULL;
	g_autofree char *before = first_text(sample->tree);
	g_autofree char *after = NULL;
	GError *error = NULL;

	sample_init(&inner, area, payload, length);
	inside = protected_read(inner.tree, sample->headers, mode != HIDE_ALONE, mode != CLEAR);
	g_assert_nonnull(inside);
	g_assert_cmpint(inside->scheme, ==, PROTECTED_HP);
	subject = protected_find(inside, "Subject");
	if (subject != NULL) {
		g_autofree char *was = subject_decode(headers_value(sample->headers, "Subject"));
		g_autofree char *is = subject_decode(subject->value);

		g_assert_cmpstr(is, ==, was);
	} else {
		g_assert_cmpuint(headers_count_of(sample->headers, "Subject"), !=, 1);
	}
	g_assert_null(protected_find(inside, "Bcc"));
	content = entity_new(inner.headers, inner.spool, 0, inner.body, length);
	g_assert_true(protected_content(inside, content, area, &shown, &error));
	g_assert_no_error(error);
	if (shown != NULL) {
		g_autofree char *text = spool_text(shown->spool, &length);
		struct sample again;

		sample_init(&again, area, text, length);
		after = first_text(again.tree);
		g_assert_null(part_parameter(again.tree->root, "hp-legacy-display"));
		g_assert_null(part_parameter(again.tree->root, "hp"));
		sample_clear(&again);
	} else {
		after = first_text(inner.tree);
	}
	g_assert_cmpstr(after, ==, before);
	sample_clear(&inner);
}

static void
test_row(gconstpointer data)
{
	const struct row *row = data;
	struct sample sample;
	gboolean needs_opaque;
	CLEANUP(spool) struct spool *payload = NULL;
	g_autofree char *text = NULL;
	gsize length;

	sample_init(&sample, area, row->message, strlen(row->message));
	payload = payload_of(&sample, row->mode, &needs_opaque);
	text = spool_text(payload, &length);
	g_assert_cmpstr(text, ==, row->payload);
	g_assert_false(needs_opaque);
	check_round_trip(&sample, text, length, row->mode);
	sample_clear(&sample);
}

/* A type that takes no parameter has a multipart around it, with the part as it was. */
static void
test_broken_type(void)
{
	static const char *const types[] = { "Content-Type: garbage\r\n", "Content-Type:\r\n",
					     "Content-Type: text/plain; name=\"open\r\n",
					     "Content-Type: text/plain (open\r\n" };

	for (gsize i = 0; i < G_N_ELEMENTS(types); i++) {
		g_autofree char *message =
		    g_strconcat("Subject: x\r\n", types[i], "\r\nhi\r\n", NULL);
		struct sample sample, inner;
		gboolean needs_opaque;
		CLEANUP(spool) struct spool *payload = NULL;
		g_autofree char *text = NULL;
		gsize length;

		sample_init(&sample, area, message, strlen(message));
		payload = payload_of(&sample, HIDE, &needs_opaque);
		text = spool_text(payload, &length);
		sample_init(&inner, area, text, length);
		g_assert_cmpstr(part_parameter(inner.tree->root, "hp"), ==, "cipher");
		g_assert_nonnull(strstr(text, "\r\nHP-Outer: Subject: [...]\r\n"));
		g_assert_nonnull(strstr(text, "hi\r\n"));
		g_assert_null(inner.tree->malformed);
		sample_clear(&inner);
		sample_clear(&sample);
	}
}

/* Long ones, ones that cannot be encoded, too many. */
static void
test_long_subject(void)
{
	for (gsize length = 900; length <= 60000; length *= 3) {
		for (enum mode mode = CLEAR; mode <= HIDE_ALONE; mode++) {
			g_autofree char *word = g_strnfill(length, 'x');
			g_autofree char *message =
			    g_strconcat("Subject: a ", word, " b\r\n\r\nhi\r\n", NULL);
			struct sample sample;
			gboolean needs_opaque;
			CLEANUP(spool) struct spool *payload = NULL;
			g_autofree char *text = NULL;
			gsize size;

			sample_init(&sample, area, message, strlen(message));
			payload = payload_of(&sample, mode, &needs_opaque);
			text = spool_text(payload, &size);
			g_assert_false(needs_opaque);
			g_assert_cmpuint(
			    size, <=,
			    strlen(message) +
				protect_growth(headers_size(sample.headers), strlen(message)));
			check_round_trip(&sample, text, size, mode);
			sample_clear(&sample);
		}
	}
}

static void
test_opaque(void)
{
	static const char message[] =
	    "From: " UE "@b.example\r\nMessage-ID: <" UE "@x>\r\n\r\nhi\r\n";
	struct sample sample;
	gboolean needs_opaque;
	CLEANUP(spool) struct spool *payload = NULL;

	sample_init(&sample, area, message, strlen(message));
	payload = payload_of(&sample, CLEAR, &needs_opaque);
	g_assert_true(needs_opaque);
	sample_clear(&sample);
}

/* The payload of a message at its limits can still be read. */
static void
test_many_fields(void)
{
	g_autoptr(GString) message = g_string_new("From: a@b.example\r\nSubject: s\r\n");
	struct sample sample;
	gboolean needs_opaque;
	CLEANUP(spool) struct spool *payload = NULL;
	g_autofree char *text = NULL;
	gsize length;

	for (guint i = 0; i < 1900; i++)
		g_string_append_printf(message, "X-%u: value\r\n", i);
	g_string_append(message, "\r\nhi\r\n");
	sample_init(&sample, area, message->str, message->len);
	payload = payload_of(&sample, HIDE, &needs_opaque);
	text = spool_text(payload, &length);
	check_round_trip(&sample, text, length, HIDE);
	g_assert_null(strstr(text, "X-7:"));
	sample_clear(&sample);
}

/* Outside: Subject says nothing, the others go; without a Subject none is made. */
static void
test_hide(void)
{
	static const char message[] = "Subject: a\r\nSubject: b\r\nKeywords: k\r\nComments: c\r\n"
				      "comments: d\r\nTo: x\r\n\r\n";
	static const char without[] = "To: x\r\n\r\n";
	struct sample sample;
	CLEANUP(edits) struct edits *edits = edits_new();
	CLEANUP(edits) struct edits *none = edits_new();
	CLEANUP(headers) struct headers *left = NULL;

	sample_init(&sample, area, message, strlen(message));
	protect_hide(sample.headers, edits);
	left = edits_apply_headers(edits, sample.headers, NULL);
	g_assert_cmpuint(headers_count(left), ==, 2);
	g_assert_cmpstr(headers_value(left, "Subject"), ==, " [...]");
	g_assert_cmpstr(headers_value(left, "To"), ==, " x");
	sample_clear(&sample);
	sample_init(&sample, area, without, strlen(without));
	protect_hide(sample.headers, none);
	g_assert_true(edits_empty(none));
	sample_clear(&sample);
}

/* Text that only looks as if, or hides more than fields: stays. */
static void
test_not_removed(void)
{
#define MARKED "Content-Type: text/plain; hp-legacy-display=\"1\"; hp=cipher\r\n"
#define MARKED_HTML "Content-Type: text/html; hp-legacy-display=\"1\"; hp=cipher\r\n"
#define DIV "<div class=\"header-protection-legacy-display\">"
	static const struct {
		const char *message;
		gboolean removed;
	} cases[] = {
		{ MARKED "\r\nSubject: x\r\n\r\nhi\r\n", TRUE },
		{ MARKED "\r\nSubject: x\r\n y\r\nTo: z\r\n\r\nhi\r\n", TRUE },
		{ MARKED "\r\nDear all\r\n\r\nhi\r\n", FALSE },
		{ MARKED "\r\n\r\nhi\r\n", FALSE },
		{ MARKED "\r\nSubject: x\r\n", FALSE },
		{ MARKED "\r\n folded\r\n\r\nhi\r\n", FALSE },
		{ "Content-Type: text/plain; hp=cipher\r\n\r\nSubject: x\r\n\r\nhi\r\n", FALSE },
		{ "Content-Type: text/plain; hp-legacy-display=2; hp=cipher\r\n\r\nSubject: "
		  "x\r\n\r\n"
		  "hi\r\n",
		  FALSE },
		{ MARKED "Content-Disposition: attachment\r\n\r\nSubject: x\r\n\r\nhi\r\n", FALSE },
		{ "Content-Type: text/plain; hp-legacy-display=1\r\n" MARKED
		  "\r\nSubject: x\r\n\r\nhi\r\n",
		  FALSE },
		{ MARKED_HTML "\r\n<body>" DIV "<div>a</div></div>b", TRUE },
		{ MARKED_HTML "\r\n<body>text" DIV "a</div>b", FALSE },
		{ MARKED_HTML "\r\n<body>" DIV "never closed", FALSE },
		{ MARKED_HTML "\r\n<body><div class=x>a</div>b", FALSE },
		{ "Content-Type: multipart/signed; boundary=b; hp=cipher\r\n\r\n--b\r\n" MARKED
		  "\r\nSubject: x\r\n\r\nhi\r\n--b\r\n\r\nx\r\n--b--\r\n",
		  FALSE },
		{ "Content-Type: message/rfc822; hp=cipher\r\n\r\n" MARKED
		  "\r\nSubject: x\r\n\r\nhi",
		  FALSE },
		{ "Content-Type: multipart/mixed; boundary=b; hp=cipher\r\n\r\n--b\r\n\r\na\r\n"
		  "--b\r\n" MARKED "\r\nSubject: x\r\n\r\nhi\r\n--b--\r\n",
		  FALSE },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct sample sample;
		CLEANUP(spool) struct spool *shown = NULL;
		GError *error = NULL;

		sample_init(&sample, area, cases[i].message, strlen(cases[i].message));
		g_assert_true(legacy_display_remove(sample.tree, FALSE, area, &shown, &error));
		g_assert_no_error(error);
		if ((shown != NULL) != cases[i].removed)
			g_error("case %zu: %s", i, cases[i].message);
		sample_clear(&sample);
	}
}

/* A parameter more or less; what cannot be relied on is NULL. */
static void
test_type_edit(void)
{
	static const struct {
		const char *before;
		const char *name;
		const char *value; /* NULL: without */
		const char *after;
	} cases[] = {
		{ " text/plain", "hp", "clear", " text/plain;\n hp=\"clear\"" },
		{ " text/plain ; ", "hp", "clear", " text/plain;\n hp=\"clear\"" },
		{ " text/plain; hp=x", "hp", "clear", " text/plain; hp=clear" },
		{ " text/plain; HP=x; a=b", "hp", NULL, " text/plain; a=b" },
		{ " text/plain; hp=x; hp=y", "hp", NULL, " text/plain" },
		{ " garbage", "hp", "clear", NULL },
		{ "", "hp", "clear", NULL },
		{ " text/plain; name=\"open", "hp", "clear",
		  " text/plain; name=\"\\\"open\"; hp=clear" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *after =
		    cases[i].value != NULL
			? type_with(cases[i].before, cases[i].name, cases[i].value)
			: type_without(cases[i].before, cases[i].name);

		g_assert_cmpstr(after, ==, cases[i].after);
	}
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	area = spool_area_new_memory(1 << 30);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *path = g_strdup_printf("/protect/%s", rows[i].name);

		g_test_add_data_func(path, &rows[i], test_row);
	}
	g_test_add_func("/protect/broken type", test_broken_type);
	g_test_add_func("/protect/long subject", test_long_subject);
	g_test_add_func("/protect/opaque", test_opaque);
	g_test_add_func("/protect/many fields", test_many_fields);
	g_test_add_func("/protect/hide", test_hide);
	g_test_add_func("/protect/not removed", test_not_removed);
	g_test_add_func("/protect/type edit", test_type_edit);
	status = g_test_run();
	spool_area_unref(area);
	return status;
}
