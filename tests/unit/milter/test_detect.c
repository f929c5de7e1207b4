/*
 * detect: what a message is, by structure and by the object, not by the label.
 */
#include <glib.h>

#include "milter/mime/detect.h"
#include "tests/unit/milter/mime_sample.h"

static struct spool_area *area;

enum flag {
	CALENDAR = 1,
	REPORT = 2,
	RECEIPT = 4,
	LIST = 8,
	AUTO = 16,
	RESENT = 32,
	DIFFER = 64,
	SIGNED_PART = 128,
};

struct row {
	const char *name;
	const char *message;
	enum protection protection;
	guint flags;
};

#define ALT "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n"
#define P7(type) "Content-Type: application/" type "\r\nContent-Transfer-Encoding: base64\r\n"
#define SIGNED(protocol)                                                                           \
	"Content-Type: multipart/signed; boundary=b; protocol=\"" protocol "\"\r\n\r\n"

#define PGP_LABEL                                                                                  \
	"Content-Type: multipart/encrypted; boundary=b; protocol=\"application/pgp-encrypted\""    \
	"\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\n"      \
	"Content-Type: application/octet-stream\r\n\r\n"
#define PGP(base64)                                                                                \
	"-----BEGIN PGP MESSAGE-----\r\nVersion: x\r\n\r\n" base64                                 \
	"\r\n-----END PGP MESSAGE-----\r\n"

static const struct row rows[] = {
	{ "plain text", "Subject: x\r\n\r\nhello\r\n", PROTECTION_NONE, 0 },
	{ "label without the thing", P7("pkcs7-mime") "\r\naGVsbG8=\r\n", PROTECTION_NONE, 0 },
	{ "enveloped without recipients",
	  P7("pkcs7-mime; smime-type=enveloped-data") "\r\nMCcGCSqGSIb3DQEHA6AaMBgCAQAxADARBgkqhkiG"
						      "9w0BBwEwBAYCKgM=\r\n",
	  PROTECTION_NONE, 0 },
	{ "PGP encrypted",
	  "Content-Type: multipart/encrypted; boundary=b; protocol=\"application/pgp-encrypted\""
	  "\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\n"
	  "Content-Type: application/octet-stream\r\n\r\n" PGP("hQEMA") "--b--\r\n",
	  PROTECTION_PGP_ENCRYPTED, 0 },
	{ "PGP label around text", PGP_LABEL "secret\r\n--b--\r\n", PROTECTION_NONE, 0 },
	{ "PGP armor around text", PGP_LABEL PGP("c2VjcmV0") "--b--\r\n", PROTECTION_NONE, 0 },
	{ "PGP armor and nothing else", PGP_LABEL "-----BEGIN PGP MESSAGE-----\r\n--b--\r\n",
	  PROTECTION_NONE, 0 },
	{ "PGP label with one part",
	  "Content-Type: multipart/encrypted; boundary=b\r\n\r\n--b\r\nContent-Type: "
	  "application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b--\r\n",
	  PROTECTION_NONE, 0 },
	{ "PGP signed",
	  SIGNED("application/pgp-signature") "--b\r\n\r\nx\r\n--b\r\nContent-Type: "
					      "application/pgp-signature\r\n\r\ny\r\n--b--\r\n",
	  PROTECTION_PGP_SIGNED, 0 },
	{ "signed label, signature is none",
	  SIGNED("application/pkcs7-signature") "--b\r\n\r\nx\r\n--b\r\n" P7(
	      "pkcs7-signature") "\r\naGVsbG8=\r\n--b--\r\n",
	  PROTECTION_NONE, 0 },
	{ "signed part inside",
	  "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n" SIGNED(
	      "application/pgp-signature") "--b\r\n\r\nx\r\n--b--\r\n--c--\r\n",
	  PROTECTION_NONE, SIGNED_PART },
	{ "inline PGP is text", "\r\n-----BEGIN PGP MESSAGE-----\r\n", PROTECTION_NONE, 0 },
	{ "calendar at the root", "Content-Type: text/calendar; method=REQUEST\r\n\r\nx",
	  PROTECTION_NONE, CALENDAR },
	{ "calendar in an alternative",
	  ALT "Content-Type: text/calendar; METHOD=reply\r\n\r\nx\r\n--b--\r\n", PROTECTION_NONE,
	  CALENDAR },
	{ "calendar in an alternative in a mixed",
	  "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n" ALT
	  "Content-Type: text/calendar; method=REQUEST\r\n\r\nx\r\n--b--\r\n--c--\r\n",
	  PROTECTION_NONE, CALENDAR },
	{ "calendar without a method", "Content-Type: text/calendar\r\n\r\nx", PROTECTION_NONE, 0 },
	{ "calendar as an attachment",
	  "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: text/calendar; "
	  "method=REQUEST\r\n\r\nx\r\n--c--\r\n",
	  PROTECTION_NONE, 0 },
	{ "report", "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
	  PROTECTION_NONE, REPORT },
	{ "read receipt",
	  "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: "
	  "message/disposition-notification\r\n\r\ny\r\n--b--\r\n",
	  PROTECTION_NONE, REPORT | RECEIPT },
	{ "list by id", "List-Id: <x.y>\r\n\r\nx", PROTECTION_NONE, LIST },
	{ "list by precedence", "Precedence: List\r\n\r\nx", PROTECTION_NONE, LIST },
	{ "bulk is no list", "Precedence: bulk\r\n\r\nx", PROTECTION_NONE, 0 },
	{ "auto-submitted", "Auto-Submitted: auto-replied; owner=x\r\n\r\nx", PROTECTION_NONE,
	  AUTO },
	{ "auto-submitted: no", "Auto-Submitted: no (really)\r\n\r\nx", PROTECTION_NONE, 0 },
	{ "resent", "Resent-From: a@b\r\n\r\nx", PROTECTION_NONE, RESENT },
	{ "types that differ", "Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx",
	  PROTECTION_NONE, DIFFER },
	{ "types that only look different",
	  "Content-Type: text/plain; charset=utf-8; format=flowed\r\n"
	  "content-type: TEXT/Plain;\r\n format=flowed; charset=\"utf-8\"\r\n\r\nx",
	  PROTECTION_NONE, 0 },
};

static guint
flags_of(const struct detection *found)
{
	return (found->calendar ? CALENDAR : 0u) | (found->report ? REPORT : 0u) |
	       (found->receipt ? RECEIPT : 0u) | (found->list_mail ? LIST : 0u) |
	       (found->auto_submitted ? AUTO : 0u) | (found->resent ? RESENT : 0u) |
	       (found->differing_types ? DIFFER : 0u) | (found->has_signed_part ? SIGNED_PART : 0u);
}

static void
test_row(gconstpointer data)
{
	const struct row *row = data;
	struct sample sample;
	GError *error = NULL;
	CLEANUP(detection) struct detection *found = NULL;

	sample_init(&sample, area, row->message, strlen(row->message));
	found = detect_message(sample.tree, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(protection_name(found->protection), ==, protection_name(row->protection));
	g_assert_cmpuint(flags_of(found), ==, row->flags);
	sample_clear(&sample);
}

/* Real objects, under labels that lie. */
struct file_row {
	const char *file, *header;
	enum protection protection;
};

#define OCTETS "Content-Type: application/octet-stream; name=smime.p7m\r\n"

static const struct file_row file_rows[] = {
	{ "rfc9216/binary-files/encryptedForBobRSAOaep.p7m",
	  P7("pkcs7-mime; smime-type=signed-data"), PROTECTION_ENCRYPTED },
	{ "rfc9216/binary-files/encryptedForBobRSAOaep.p7m",
	  OCTETS "Content-Transfer-Encoding: base64\r\n", PROTECTION_ENCRYPTED },
	{ "rfc9216/binary-files/encryptedForBobRSAOaep.p7m",
	  "Content-Type: application/octet-stream\r\nContent-Disposition: attachment; "
	  "filename=\"X.P7M\"\r\nContent-Transfer-Encoding: BASE64\r\n",
	  PROTECTION_ENCRYPTED },
	{ "rfc9216/binary-files/encryptedForBobRSAOaep.p7m",
	  "Content-Type: application/x-pkcs7-mime\r\n", PROTECTION_ENCRYPTED },
	{ "rfc9216/binary-files/encryptedForBobRSAOaep.p7m",
	  "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n",
	  PROTECTION_NONE },
	{ "rfc9216/binary-files/signedByAliceRSA.p7m", P7("pkcs7-mime; smime-type=enveloped-data"),
	  PROTECTION_OPAQUE },
	{ "cms-fixtures/rustcrypto/compressed_data.bin", P7("pkcs7-mime"), PROTECTION_COMPRESSED },
	{ "cms-fixtures/rustcrypto/pkits_ee.p7b", P7("pkcs7-mime"), PROTECTION_CERTS_ONLY },
};

static void
test_file(gconstpointer data)
{
	const struct file_row *row = data;
	const char *dir = g_getenv("PS_DATA");
	const char *top = g_getenv("top_srcdir");
	g_autofree char *root =
	    dir != NULL ? g_strdup(dir)
			: g_build_filename(top != NULL ? top : ".", "..", "shared", "data", NULL);
	g_autofree char *path = g_build_filename(root, row->file, NULL);
	g_autofree char *object = NULL;
	g_autofree char *base64 = NULL;
	g_autofree char *text = NULL;
	gsize length;
	struct sample sample;

	if (!g_file_get_contents(path, &object, &length, NULL)) {
		g_test_skip("no such file");
		return;
	}
	base64 = g_base64_encode((const guchar *)object, length);
	text = g_strconcat(row->header, "\r\n", base64, "\r\n", NULL);
	sample_init(&sample, area, text, strlen(text));
	CLEANUP(detection) struct detection *found = detect_message(sample.tree, NULL);
	g_assert_cmpstr(protection_name(found->protection), ==, protection_name(row->protection));
	sample_clear(&sample);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	area = spool_area_new_memory(10000000);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *path = g_strdup_printf("/detect/%s", rows[i].name);

		g_test_add_data_func(path, &rows[i], test_row);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(file_rows); i++) {
		g_autofree char *path = g_strdup_printf("/detect/object %zu is %s", i,
							protection_name(file_rows[i].protection));

		g_test_add_data_func(path, &file_rows[i], test_file);
	}
	status = g_test_run();
	spool_area_unref(area);
	return status;
}
