/*
 * frame and shown: what stands around a signed part, and what From and Date show, row by row.
 * tests/e2e/test_attacks.py has whole messages.
 */
#include <glib.h>

#include "milter/mime/author.h"
#include "milter/mime/frame.h"
#include "milter/mime/shown.h"
#include "milter/mime/verdict.h"
#include "store/base/clock.h"
#include "tests/unit/milter/mime_sample.h"

static struct spool_area *area;

/* --- Content-Type --- */

struct type_row {
	const char *value;
	const char *boundary;
	gboolean plain;
};

static const struct type_row type_rows[] = {
	{ " multipart/signed; boundary=\"b\"", "b", TRUE },
	{ " multipart/signed;\n\tprotocol=application/x-pkcs7-signature;\n\tboundary=b;", "b",
	  TRUE },
	{ " MULTIPART/SIGNED;;Boundary=\"--=_a (1)\" ; micalg=2.16", "--=_a (1)", TRUE },
	{ " application/pkcs7-mime; name*=utf-8''a%20b; name=\"a\"", NULL, TRUE },
	{ " multipart/signed", "b", FALSE },
	{ " multipart/signed; boundary=\"b\"", "c", FALSE },
	{ " multipart/signed; boundary=b; boundary=b", "b", FALSE },
	{ " multipart/signed; boundary=b; BOUNDARY=c", "b", FALSE },
	{ " multipart/signed; boundary*=us-ascii''b", "b", FALSE },
	{ " multipart/signed; boundary*0=b; boundary=b", "b", FALSE },
	{ " multipart/signed; protocol*=x; boundary=b", "b", FALSE },
	{ " multipart/signed; boundary=b (c)", "b", FALSE },
	{ " multipart/signed (c); boundary=b", "b", FALSE },
	{ " multipart/signed; boundary=\"b\" c", "b", FALSE },
	{ " multipart/signed; boundary=\"b\\c\"", "bc", FALSE },
	{ " multipart/signed; boundary='b'", "'b'", FALSE },
	{ " multipart/signed; boundary = b", "b", FALSE },
	{ " multipart/signed; boundary=\"b ", "b", FALSE },
	{ " multipart/signed; boundary=\"b \"", "b ", FALSE },
	{ " multipart/signed, text/plain; boundary=b", "b", FALSE },
	{ " multipart / signed; boundary=b", "b", FALSE },
	{ " multipart/signed; boundary=b\r", "b", FALSE },
	{ " multipart/signed; boundary=\"b\377\"", "b\377", FALSE },
	{ " text/plain; boundary=b", NULL, FALSE },
	{ "", NULL, FALSE },
	{ " text", NULL, FALSE },
};

static void
test_type(gconstpointer data)
{
	const struct type_row *row = data;

	g_assert_cmpint(frame_type_is_plain(row->value, row->boundary), ==, row->plain);
}

/* --- From --- */

struct from_row {
	const char *value;
	gboolean doubt;
};

static const struct from_row from_rows[] = {
	{ "Bob <bob@example.com>", FALSE },
	{ "bob@example.com <bob@example.com>", FALSE },
	{ "\"'BOB@Example.com'\" <bob@example.com>", FALSE },
	{ "\"Bob (Ltd., at home)\" <bob@example.com>", FALSE },
	{ "\"Bob @ Ltd.\" <bob@example.com>", FALSE },
	{ "\"Bob@Ltd\" <bob@example.com>", FALSE },
	{ "bob@example.com (Bob)", FALSE },
	{ "\"eve@evil.example\" <bob@example.com>", TRUE },
	{ "bob@example.com (eve@evil.example)", TRUE },
	{ "=?utf-8?q?eve=40evil.example?= <bob@example.com>", TRUE },
	{ "=?utf-8?q?eve?= =?utf-8?q?=40evil.example?= <bob@example.com>", TRUE },
	{ "=?utf-8?b?ZXZl77ygZXZpbC5leGFtcGxl?= <bob@example.com>", TRUE },
	{ "\"bob@example.com.evil.example\" <bob@example.com>", TRUE },
	{ "=?utf-8?b?4oCuYm9i?= <bob@example.com>", TRUE },
	{ "Team: bob@example.com;", TRUE },
	{ "Team:; bob@example.com", TRUE },
	{ "Bob <bob@example.com", TRUE },
	{ "\"Bob <bob@example.com>", TRUE },
	{ " \"alice\\@example.com\" <bob@example.com>", TRUE },
	{ " \"bob\\@example.com\" <bob@example.com>", FALSE },
	{ " \"alice @ example.com\" <bob@example.com>", TRUE },
	{ " \"Bob @ Work\" <bob@example.com>", FALSE },
	{ " =?utf-8?q?alice=E2=80=8A=40=E2=80=8Aexample.com?= <bob@example.com>", TRUE },
	{ " =?utf-8?q?alice=40example=E3=80=82com?= <bob@example.com>", TRUE },
	{ " =?utf-8?q?Bob=C2=A0B.?= <bob@example.com>", FALSE },
};

static void
test_from(gconstpointer data)
{
	const struct from_row *row = data;
	CLEANUP(headers) struct headers *headers = headers_new();
	CLEANUP(mailaddr) struct mailaddr *bob = mailaddr_parse("bob@example.com", NULL);

	g_assert_true(headers_add(headers, "From", row->value, strlen(row->value), NULL));
	g_assert_cmpint(shown_author_doubt(headers, bob) != NULL, ==, row->doubt);
}

/* --- Date --- */

/* A name that is the author's address so many times, and himself. */
static void
test_many_addresses(void)
{
	CLEANUP(mailaddr) struct mailaddr *bob = mailaddr_parse("bob@example.com", NULL);

	for (guint times = 49; times <= 50; times++) {
		g_autoptr(GString) from = g_string_new("\"");

		for (guint i = 0; i < times; i++)
			g_string_append(from, "bob@example.com ");
		g_string_append(from, "\" <bob@example.com>");
		g_assert_cmpint(shown_from_doubt(from->str, bob) != NULL, ==, times == 50);
	}
}

struct date_row {
	const char *fields;
	gint64 date;
	gboolean doubt;
};

static const struct date_row date_rows[] = {
	{ "", CLOCK_NEVER, FALSE },
	{ "Date: Thu, 01 Jan 2026 01:00:00 +0100\r\n", 1767225600, FALSE },
	{ "Date: 1 Jan 2026 00:00:00 GMT\r\n", 1767225600, FALSE },
	{ "Date: Thu, 1 Jan 2026 00:00:00 +0000 (UTC)\r\n", 1767225600, FALSE },
	{ "Date: today\r\n", CLOCK_NEVER, TRUE },
	{ "Date: (1 Jan 2025 00:00:00 GMT) 1 Jan 2026 00:00:00 GMT\r\n", CLOCK_NEVER, TRUE },
	{ "Date: 1 Jan 2026 00:00:00 GMT\r\ndate : 1 Jan 2026 00:00:00 GMT\r\n", CLOCK_NEVER,
	  TRUE },
};

static void
test_date(gconstpointer data)
{
	const struct date_row *row = data;
	g_autofree char *text = g_strconcat(row->fields, "\r\n", NULL);
	struct sample sample;
	const char *why = NULL;

	sample_init(&sample, area, text, strlen(text));
	g_assert_cmpint(shown_date(sample.headers, &why), ==, row->date);
	g_assert_cmpint(why != NULL, ==, row->doubt);
	sample_clear(&sample);
}

/* --- the verdict, one fact at a time --- */

#define T G_GINT64_CONSTANT(1767225600)
#define DAY 86400

struct verdict_row {
	const char *name;
	struct signer_finding signers[2];
	guint count;
	gboolean single_author;
	const char *author_doubt;
	gint64 date;
	const char *date_doubt, *partial, *undecryptable, *malformed;
	enum mail_verdict verdict;
};

#define GOOD_ONE                                                                                   \
	{                                                                                          \
		SIGNATURE_GOOD, SIGNER_VALID, TRUE, NULL, T                                        \
	}
#define OTHER_ONE                                                                                  \
	{                                                                                          \
		SIGNATURE_GOOD, SIGNER_VALID, FALSE, NULL, T                                       \
	}
#define BAD_ONE                                                                                    \
	{                                                                                          \
		SIGNATURE_BAD, SIGNER_INVALID, FALSE, "bad", CLOCK_NEVER                           \
	}
#define UNTRUSTED_ONE                                                                              \
	{                                                                                          \
		SIGNATURE_GOOD, SIGNER_INVALID, TRUE, "no root", T                                 \
	}
#define UNKNOWN_ONE                                                                                \
	{                                                                                          \
		SIGNATURE_UNKNOWN, SIGNER_INVALID, FALSE, "who", CLOCK_NEVER                       \
	}
#define TIMELESS_ONE                                                                               \
	{                                                                                          \
		SIGNATURE_GOOD, SIGNER_VALID, TRUE, NULL, CLOCK_NEVER                              \
	}

static const struct verdict_row verdict_rows[] = {
	{ "good", { GOOD_ONE }, 1, TRUE, NULL, T, NULL, NULL, NULL, NULL, MAIL_VALID },
	{ "good and unknown",
	  { GOOD_ONE, UNKNOWN_ONE },
	  2,
	  TRUE,
	  NULL,
	  T,
	  NULL,
	  NULL,
	  NULL,
	  NULL,
	  MAIL_VALID },
	{ "good and another's",
	  { OTHER_ONE, GOOD_ONE },
	  2,
	  TRUE,
	  NULL,
	  T,
	  NULL,
	  NULL,
	  NULL,
	  NULL,
	  MAIL_VALID },
	{ "good and bad",
	  { GOOD_ONE, BAD_ONE },
	  2,
	  TRUE,
	  NULL,
	  T,
	  NULL,
	  NULL,
	  NULL,
	  NULL,
	  MAIL_BAD },
	{ "another's", { OTHER_ONE }, 1, TRUE, NULL, T, NULL, NULL, NULL, NULL, MAIL_MISMATCH },
	{ "no single author",
	  { GOOD_ONE },
	  1,
	  FALSE,
	  NULL,
	  T,
	  NULL,
	  NULL,
	  NULL,
	  NULL,
	  MAIL_MISMATCH },
	{ "doubt in From", { GOOD_ONE }, 1, TRUE, "x", T, NULL, NULL, NULL, NULL, MAIL_MISMATCH },
	{ "untrusted, and doubt in From",
	  { UNTRUSTED_ONE },
	  1,
	  TRUE,
	  "x",
	  T,
	  NULL,
	  NULL,
	  NULL,
	  NULL,
	  MAIL_UNTRUSTED },
	{ "untrusted and another's",
	  { UNTRUSTED_ONE, OTHER_ONE },
	  2,
	  TRUE,
	  NULL,
	  T,
	  NULL,
	  NULL,
	  NULL,
	  NULL,
	  MAIL_MISMATCH },
	{ "signed a day before",
	  { GOOD_ONE },
	  1,
	  TRUE,
	  NULL,
	  T + DAY,
	  NULL,
	  NULL,
	  NULL,
	  NULL,
	  MAIL_VALID },
	{ "signed longer before",
	  { GOOD_ONE },
	  1,
	  TRUE,
	  NULL,
	  T + DAY + 1,
	  NULL,
	  NULL,
	  NULL,
	  NULL,
	  MAIL_PARTIAL },
	{ "signed long after",
	  { GOOD_ONE },
	  1,
	  TRUE,
	  NULL,
	  T - 9 * DAY,
	  NULL,
	  NULL,
	  NULL,
	  NULL,
	  MAIL_VALID },
	{ "no Date", { GOOD_ONE }, 1, TRUE, NULL, CLOCK_NEVER, NULL, NULL, NULL, NULL, MAIL_VALID },
	{ "doubt in Date",
	  { GOOD_ONE },
	  1,
	  TRUE,
	  NULL,
	  CLOCK_NEVER,
	  "x",
	  NULL,
	  NULL,
	  NULL,
	  MAIL_PARTIAL },
	{ "no time of signing",
	  { TIMELESS_ONE },
	  1,
	  TRUE,
	  NULL,
	  T + 99 * DAY,
	  "x",
	  NULL,
	  NULL,
	  NULL,
	  MAIL_VALID },
	{ "old, and one that is not",
	  { GOOD_ONE, TIMELESS_ONE },
	  2,
	  TRUE,
	  NULL,
	  T + 99 * DAY,
	  NULL,
	  NULL,
	  NULL,
	  NULL,
	  MAIL_VALID },
	{ "partial", { GOOD_ONE }, 1, TRUE, NULL, T, NULL, "x", NULL, NULL, MAIL_PARTIAL },
	{ "partial and bad", { BAD_ONE }, 1, TRUE, NULL, T, NULL, "x", NULL, NULL, MAIL_BAD },
	{ "undecryptable",
	  { GOOD_ONE },
	  1,
	  TRUE,
	  NULL,
	  T,
	  NULL,
	  NULL,
	  "x",
	  NULL,
	  MAIL_UNDECRYPTABLE },
	{ "malformed", { GOOD_ONE }, 1, TRUE, NULL, T, NULL, "x", "x", "x", MAIL_MALFORMED },
	{ "nobody", { GOOD_ONE }, 0, TRUE, NULL, T, NULL, NULL, NULL, NULL, MAIL_UNSIGNED },
};

static void
test_verdict(gconstpointer data)
{
	const struct verdict_row *row = data;
	struct verdict_input input = { 0 };
	const char *reason = NULL;

	input.malformed = row->malformed;
	input.undecryptable = row->undecryptable;
	input.partial = row->partial;
	input.is_signed = row->count > 0;
	input.single_author = row->single_author;
	input.author_doubt = row->author_doubt;
	input.date = row->date;
	input.date_doubt = row->date_doubt;
	input.signers = row->signers;
	input.signer_count = row->count;
	g_assert_cmpstr(mail_verdict_name(verdict_decide(&input, &reason)), ==,
			mail_verdict_name(row->verdict));
	g_assert_nonnull(reason);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	area = spool_area_new_memory(100000000);
	for (gsize i = 0; i < G_N_ELEMENTS(type_rows); i++) {
		g_autofree char *name = g_strdup_printf("/shown/type/%zu", i);
		g_test_add_data_func(name, &type_rows[i], test_type);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(from_rows); i++) {
		g_autofree char *name = g_strdup_printf("/shown/from/%zu", i);
		g_test_add_data_func(name, &from_rows[i], test_from);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(date_rows); i++) {
		g_autofree char *name = g_strdup_printf("/shown/date/%zu", i);
		g_test_add_data_func(name, &date_rows[i], test_date);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(verdict_rows); i++) {
		g_autofree char *name = g_strdup_printf("/shown/verdict/%s", verdict_rows[i].name);
		g_test_add_data_func(name, &verdict_rows[i], test_verdict);
	}
	g_test_add_func("/shown/from/many addresses", test_many_addresses);
	status = g_test_run();
	spool_area_unref(area);
	return status;
}
