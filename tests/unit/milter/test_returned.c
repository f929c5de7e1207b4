/*
 * returned: what is left of bounces, receipts and answers when their text must not leave.
 */
#include <glib.h>

#include "milter/mime/returned.h"
#include "tests/unit/milter/mime_sample.h"

static struct spool_area *area;

/* Whatever stands for text in a row holds this word. */
#define SECRET "s3cret"
#define REPORT "Content-Type: multipart/report; report-type=" SECRET "; boundary=b\r\n\r\n"
#define STATUS                                                                                     \
	"--b\r\nContent-Type: message/delivery-status\r\n\r\n"                                     \
	"Reporting-MTA: dns; mx.in.example\r\nX-Note: " SECRET "\r\n\r\n"                          \
	"Final-Recipient: rfc822; bob@out.example\r\nAction: failed\r\nRemark: " SECRET "\r\n"     \
	"Status: 5.1.1\r\n"

static const struct row {
	const char *name;
	const char *message;
	const char *type; /* beginning of the new Content-Type */
	const char *kept; /* words that must be there, separated by blanks */
} rows[] = {
	{ "text", "Subject: x\r\n\r\n" SECRET "\r\n", " text/plain", "" },
	{ "a vacation answer with parts",
	  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" SECRET "\r\n--b--\r\n",
	  " text/plain", "" },
	{ "a bounce: text, status, returned message",
	  REPORT SECRET "\r\n--b\r\n\r\n" SECRET "\r\n" STATUS
			"--b\r\nContent-Type: message/rfc822\r\n\r\n"
			"From: alice@in.example\r\nSubject: " SECRET "\r\nMessage-ID: <1@in>\r\n"
			"X-Note: " SECRET "\r\n\r\n" SECRET "\r\n--b--\r\n" SECRET,
	  " multipart/report; report-type=delivery-status;",
	  "mx.in.example bob@out.example 5.1.1 alice@in.example <1@in>" },
	{ "a bounce with header fields alone",
	  REPORT STATUS "--b\r\nContent-Type: text/rfc822-headers\r\n\r\n"
			"To: bob@out.example\r\nSubject: " SECRET "\r\n " SECRET "\r\n--b--\r\n",
	  " multipart/report; report-type=delivery-status;", "mx.in.example To:" },
	{ "a read receipt",
	  REPORT "--b\r\n\r\n" SECRET
		 "\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
		 "Disposition: manual-action/MDN-sent-manually; displayed\r\n\r\n--b--\r\n",
	  " multipart/report; report-type=disposition-notification;", "Disposition:" },
	{ "a status that is prose",
	  REPORT "--b\r\nContent-Type: message/delivery-status\r\n\r\n" SECRET
		 " and\r\nAction: " SECRET "\r\n--b--\r\n",
	  " multipart/report; report-type=delivery-status;", "" },
	{ "prose behind the fields of a status",
	  REPORT "--b\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n" SECRET
		 "\r\n--b--\r\n",
	  " multipart/report; report-type=delivery-status;", "Action:" },
	{ "an encoded status",
	  REPORT "--b\r\nContent-Type: message/delivery-status\r\n"
		 "Content-Transfer-Encoding: quoted-printable\r\n\r\nAction: " SECRET
		 "\r\n--b--\r\n",
	  " text/plain", "" },
	{ "a second status and a second message",
	  REPORT STATUS STATUS "--b\r\nContent-Type: text/rfc822-headers\r\n\r\nTo: a@b\r\n"
			       "--b\r\nContent-Type: text/rfc822-headers\r\n\r\nTo: " SECRET "\r\n"
			       "--b--\r\n",
	  " multipart/report; report-type=delivery-status;", "a@b" },
	{ "the label of a report alone", REPORT SECRET "\r\n", " text/plain", "" },
	{ "a report that does not end", REPORT "--b\r\n\r\n" SECRET "\r\n", " text/plain", "" },
	{ "several Content-Type fields",
	  "Content-Type: text/plain\r\n" REPORT "--b\r\n\r\n" SECRET "\r\n--b--\r\n", " text/plain",
	  "" },
	{ "8-bit and null bytes in fields",
	  REPORT "--b\r\nContent-Type: message/delivery-status\r\n\r\nAction: \xc3\xbc" SECRET
		 "\r\nStatus: 5.0.0\r\n--b--\r\n",
	  " multipart/report; report-type=delivery-status;", "5.0.0" },
};

static char *
cut(const char *message, struct headers **left)
{
	struct sample sample;
	CLEANUP(edits) struct edits *edits = edits_new();
	CLEANUP(wrapped) struct wrapped *wrapped = NULL;
	g_autoptr(GError) error = NULL;
	char *body;

	sample_init(&sample, area, message, strlen(message));
	wrapped = returned_cut(sample.tree, area, &error);
	g_assert_no_error(error);
	wrapped_edit(wrapped, sample.headers, edits);
	*left = edits_apply_headers(edits, sample.headers, &error);
	g_assert_no_error(error);
	body = spool_text(wrapped_body(wrapped), NULL);
	sample_clear(&sample);
	return body;
}

static void
test_row(gconstpointer data)
{
	const struct row *row = data;
	CLEANUP(headers) struct headers *left = NULL;
	g_autofree char *body = cut(row->message, &left);
	g_auto(GStrv) words = g_strsplit(row->kept, " ", -1);

	g_assert_null(strstr(body, SECRET));
	g_assert_nonnull(strstr(body, "The text of this message was removed"));
	g_assert_cmpuint(headers_count_of(left, "Content-Type"), ==, 1);
	g_assert_true(g_str_has_prefix(headers_value(left, "Content-Type"), row->type));
	g_assert_null(strstr(headers_value(left, "Content-Type"), SECRET));
	for (guint i = 0; words[i] != NULL; i++)
		g_assert_nonnull(strstr(body, words[i]));
}

/* The result is a message that the scanner itself can read. */
static void
test_whole(void)
{
	CLEANUP(headers) struct headers *left = NULL;
	g_autofree char *body = cut(rows[2].message, &left);
	g_autofree char *again = g_strconcat("Content-Type:", headers_value(left, "Content-Type"),
					     "\r\n\r\n", body, NULL);
	struct sample sample;

	sample_init(&sample, area, again, strlen(again));
	g_assert_cmpstr(sample.tree->malformed, ==, NULL);
	g_assert_cmpuint(sample.tree->root->children->len, ==, 3);
	g_assert_true(part_is(sample.tree->root->children->pdata[2], "text/rfc822-headers"));
	g_assert_true(sample.tree->root->closed);
	sample_clear(&sample);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	area = spool_area_new_memory(1 << 22);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *path = g_strconcat("/returned/", rows[i].name, NULL);

		g_test_add_data_func(path, &rows[i], test_row);
	}
	g_test_add_func("/returned/whole", test_whole);
	status = g_test_run();
	spool_area_unref(area);
	return status;
}
