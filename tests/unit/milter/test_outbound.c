/*
 * outbound: what openssl opens of the messages that were made, over formats, ciphers and bodies.
 */
#include <glib.h>
#include <string.h>

#include "milter/message/edits.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "milter/mime/scan.h"
#include "milter/outbound.h"
#include "milter/policy/groups.h"
#include "milter/structure.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/key.h"
#include "store/base/buffer.h"
#include "store/base/error.h"
#include "tests/unit/pki/cms_fixture.h"

#define NOW 1780000000

struct message {
	const char *name;
	const char *fields;
	const char *body;
	const char *inside; /* what is in the opened entity; NULL: cannot be signed */
	gboolean opaque_anyway;
};

static const struct message messages[] = {
	{ "plain text", "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n", "hello\r\n",
	  "Content-Type: text/plain\r\n\r\nhello\r\n", FALSE },
	{ "no MIME fields", "", "hello\r\n", "\r\n\r\nhello\r\n", FALSE },
	{ "empty body", "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n", "", "text/plain",
	  FALSE },
	{ "blank lines alone", "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n", "\r\n\r\n\r\n",
	  "\r\n\r\n\r\n\r\n", FALSE },
	{ "8-bit text",
	  "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
	  "Content-Transfer-Encoding: 8bit\r\n",
	  "Gr\xc3\xbc\xc3\x9f"
	  "e\r\n",
	  "R3LDvMOf", FALSE },
	{ "multipart with an epilogue",
	  "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n",
	  "--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\nbehind\r\n", "two\r\n--b--", FALSE },
	{ "leading dots", "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n", ".\r\n..\r\n.x\r\n",
	  ".\r\n..\r\n.x\r\n", FALSE },
	{ "8-bit message inside a signature",
	  "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n",
	  "--b\r\nContent-Type: multipart/signed; boundary=c; "
	  "protocol=\"application/pkcs7-signature\"\r\n\r\n"
	  "--c\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc3\xbc\r\n--c\r\n"
	  "Content-Type: application/pkcs7-signature\r\n\r\nAAAA\r\n--c--\r\n--b--\r\n",
	  "\xc3\xbc", TRUE },
};

struct treatment {
	const char *name;
	gboolean sign;
	gboolean encrypt;
	enum signing_format format;
	enum signature_scheme scheme;
	enum copy_digest digest;
	enum copy_cipher cipher;
	enum copy_transport transport;
	const char *signer;
	const char *reader;
	const char *type; /* of the outer message */
};

#define CBC CIPHER_AES_256_CBC
#define GCM CIPHER_AES_256_GCM

static const struct treatment treatments[] = {
	{ "clear RSA", TRUE, FALSE, FORMAT_CLEAR, SCHEME_PKCS1, DIGEST_SHA256, CBC, TRANSPORT_PKCS1,
	  "rsa1", NULL, "multipart/signed" },
	{ "clear PSS SHA-512", TRUE, FALSE, FORMAT_CLEAR, SCHEME_PSS, DIGEST_SHA512, CBC,
	  TRANSPORT_PKCS1, "rsa1", NULL, "multipart/signed" },
	{ "opaque EC", TRUE, FALSE, FORMAT_OPAQUE, SCHEME_PKCS1, DIGEST_SHA384, CBC,
	  TRANSPORT_PKCS1, "ec256", NULL, "application/pkcs7-mime" },
	{ "encrypted CBC", FALSE, TRUE, FORMAT_CLEAR, SCHEME_PKCS1, DIGEST_SHA256, CBC,
	  TRANSPORT_PKCS1, NULL, "rsa2", "application/pkcs7-mime" },
	{ "encrypted GCM OAEP", FALSE, TRUE, FORMAT_CLEAR, SCHEME_PKCS1, DIGEST_SHA256, GCM,
	  TRANSPORT_OAEP_SHA256, NULL, "rsa2", "application/pkcs7-mime" },
	{ "encrypted EC", FALSE, TRUE, FORMAT_CLEAR, SCHEME_PKCS1, DIGEST_SHA256,
	  CIPHER_AES_128_CBC, TRANSPORT_PKCS1, NULL, "ec256b", "application/pkcs7-mime" },
	{ "clear signed and encrypted", TRUE, TRUE, FORMAT_CLEAR, SCHEME_PKCS1, DIGEST_SHA256, CBC,
	  TRANSPORT_PKCS1, "rsa1", "rsa2", "application/pkcs7-mime" },
	{ "opaque signed and encrypted GCM", TRUE, TRUE, FORMAT_OPAQUE, SCHEME_PKCS1, DIGEST_SHA256,
	  GCM, TRANSPORT_PKCS1, "ec256", "rsa2", "application/pkcs7-mime" },
};

struct testcase {
	const struct message *message;
	const struct treatment *treatment;
};

static struct mime_tree *
tree_of(const struct message *message, struct spool_area *area)
{
	CLEANUP(headers) struct headers *headers = NULL;
	CLEANUP(spool) struct spool *body = NULL;
	CLEANUP(spool) struct spool *whole = NULL;
	g_autofree char *block =
	    g_strconcat("From: a@in.example\r\nSubject: x\r\nTo: b@out.example\r\n",
			message->fields, "\r\n", NULL);
	g_autoptr(GError) error = NULL;
	struct mime_tree *tree;
	guint64 start;

	whole = spool_from_bytes(area, block, strlen(block), &error);
	g_assert_no_error(error);
	headers = headers_parse(whole, 0, spool_size(whole), &start, &error);
	g_assert_no_error(error);
	body = spool_from_bytes(area, message->body, strlen(message->body), &error);
	g_assert_no_error(error);
	tree = scan_message(headers, body, 0, spool_size(body), &error);
	g_assert_no_error(error);
	return tree;
}

static void
group_init(struct group *group, const struct treatment *t)
{
	*group = (struct group){ .plan = { .outcome = OUTCOME_DO,
					   .sign = t->sign,
					   .encrypt = t->encrypt,
					   .format = t->format,
					   .scheme = t->scheme,
					   .digest = t->digest,
					   .cipher = t->cipher,
					   .transport = t->transport,
					   .include_chain = TRUE } };
	if (t->signer != NULL) {
		group->signer = fixture_identity(t->signer)->cert;
		group->signer_key = fixture_identity(t->signer)->key;
	}
	group->signer_chain = g_ptr_array_new();
	group->certificates = g_ptr_array_new();
	if (t->reader != NULL)
		g_ptr_array_add(group->certificates, fixture_identity(t->reader)->cert);
}

static char *
write_message(struct edits *edits, struct mime_tree *tree)
{
	struct buffer_sink sink;
	g_autoptr(GError) error = NULL;
	char *path;

	buffer_sink_init(&sink, 1 << 22);
	g_assert_true(
	    edits_apply_to_message(edits, tree->root->headers, tree->spool, &sink.sink, &error));
	g_assert_cmpuint(sink.bytes->len, ==,
			 edits_message_size(edits, tree->root->headers, tree->spool));
	path = fixture_write("message.eml", sink.bytes->data, sink.bytes->len);
	buffer_sink_clear(&sink);
	return path;
}

/* Opens with openssl what the treatment made; gives the innermost entity. */
static GBytes *
open_message(const struct treatment *t, const char *path)
{
	g_autofree char *decrypted = fixture_path("decrypted.eml");
	g_autofree char *opened = fixture_path("opened");
	const char *at = path;

	if (t->encrypt) {
		const struct identity *reader = fixture_identity(t->reader);

		g_assert_cmpint(fixture_openssl("cms", "-decrypt", "-in", at, "-recip",
						reader->cert_path, "-inkey", reader->key_path,
						"-out", decrypted, NULL),
				==, 0);
		at = decrypted;
	}
	if (t->sign) {
		g_assert_cmpint(fixture_openssl("cms", "-verify", "-in", at, "-noverify",
						"-certfile", fixture_identity(t->signer)->cert_path,
						"-out", opened, NULL),
				==, 0);
		at = opened;
	}
	return fixture_read(at);
}

static gboolean
holds(GBytes *bytes, const char *text)
{
	gsize length;
	const char *at = g_bytes_get_data(bytes, &length);

	return memmem(at, length, text, strlen(text)) != NULL;
}

static void
test_case(gconstpointer data)
{
	const struct testcase *row = data;
	const struct treatment *t = row->treatment;
	CLEANUP(spool_area) struct spool_area *area = spool_area_new_memory(1 << 22);
	CLEANUP(mime_tree) struct mime_tree *tree = tree_of(row->message, area);
	CLEANUP(edits) struct edits *edits = edits_new();
	CLEANUP(headers) struct headers *left = NULL;
	CLEANUP(outbound) struct outbound *outbound = outbound_new();
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) opened = NULL;
	g_autofree char *path = NULL;
	struct group group;
	struct outbound_request request = {
		.group = &group, .tree = tree, .area = area, .now = NOW
	};

	if (!fixture_has_openssl()) {
		g_test_skip("no openssl program");
		return;
	}
	group_init(&group, t);
	g_assert_true(outbound_carry_out(outbound, &request, edits, &error));
	g_assert_no_error(error);
	left = edits_apply_headers(edits, tree->root->headers, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(headers_count_of(left, "Content-Type"), ==, 1);
	g_assert_cmpuint(headers_count_of(left, "MIME-Version"), ==, 1);
	g_assert_cmpstr(headers_value(left, "Subject"), ==, " x");
	g_assert_nonnull(
	    strstr(headers_value(left, "Content-Type"),
		   row->message->opaque_anyway && t->sign ? "application/pkcs7-mime" : t->type));
	path = write_message(edits, tree);
	opened = open_message(t, path);
	if (!t->sign && strcmp(row->message->name, "8-bit text") == 0)
		g_assert_true(holds(opened, "Gr\xc3\xbc")); /* encryption alone changes no byte */
	else if (strcmp(row->message->name, "no MIME fields") != 0)
		g_assert_true(holds(opened, row->message->inside));
	g_assert_true(holds(opened, "hello") || strstr(row->message->body, "hello") == NULL);
	g_assert_true(!t->sign || !holds(opened, "behind"));
	g_ptr_array_unref(group.signer_chain);
	g_ptr_array_unref(group.certificates);
}

/* The same signer again is found; another digest is another one. */
static void
test_kept_signers(void)
{
	CLEANUP(spool_area) struct spool_area *area = spool_area_new_memory(1 << 22);
	CLEANUP(mime_tree) struct mime_tree *tree = tree_of(&messages[0], area);
	CLEANUP(outbound) struct outbound *outbound = outbound_new();
	guint64 hits, misses;

	for (guint i = 0; i < 6; i++) {
		CLEANUP(edits) struct edits *edits = edits_new();
		g_autoptr(GError) error = NULL;
		struct treatment treatment = treatments[0];
		struct group group;
		struct outbound_request request = {
			.group = &group, .tree = tree, .area = area, .now = NOW
		};

		treatment.digest = i % 2 == 0 ? DIGEST_SHA256 : DIGEST_SHA512;
		group_init(&group, &treatment);
		g_assert_true(outbound_carry_out(outbound, &request, edits, &error));
		g_ptr_array_unref(group.signer_chain);
		g_ptr_array_unref(group.certificates);
	}
	outbound_stats(outbound, &hits, &misses);
	g_assert_cmpuint(hits, ==, 4);
	g_assert_cmpuint(misses, ==, 2);
}

/* A key that is not the certificate's, a full spool: never INVALID, which could mean "go plain". */
static void
test_failures(void)
{
	CLEANUP(spool_area) struct spool_area *area = spool_area_new_memory(1 << 22);
	CLEANUP(spool_area) struct spool_area *small = spool_area_new_memory(64);
	CLEANUP(mime_tree) struct mime_tree *tree = tree_of(&messages[0], area);
	CLEANUP(outbound) struct outbound *outbound = outbound_new();
	struct group group;
	struct outbound_request request = {
		.group = &group, .tree = tree, .area = area, .now = NOW
	};

	for (guint i = 0; i < G_N_ELEMENTS(treatments); i++) {
		CLEANUP(edits) struct edits *edits = edits_new();
		g_autoptr(GError) error = NULL;

		group_init(&group, &treatments[i]);
		if (treatments[i].sign)
			group.signer_key = fixture_identity("rsa2")->key;
		else
			request.area = small;
		g_assert_false(outbound_carry_out(outbound, &request, edits, &error));
		g_assert_nonnull(error);
		g_assert_false(g_error_matches(error, PS_ERROR, PS_ERROR_INVALID));
		request.area = area;
		g_ptr_array_unref(group.signer_chain);
		g_ptr_array_unref(group.certificates);
	}
}

static enum arrived
arrived(struct headers *headers, const char *text, gsize length, struct spool_area *area)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(spool) struct spool *body = spool_from_bytes(area, text, length, &error);
	CLEANUP(structure) struct structure *structure = structure_read(headers, body, &error);

	g_assert_no_error(error);
	return structure->facts.arrived;
}

/* What counts as encrypted is the object alone and whole: not its head with text behind. */
static void
test_arrives_encrypted(void)
{
	CLEANUP(spool_area) struct spool_area *area = spool_area_new_memory(1 << 22);
	CLEANUP(outbound) struct outbound *outbound = outbound_new();

	for (gsize t = 3; t <= 5; t++) { /* CBC, GCM, EC */
		CLEANUP(mime_tree) struct mime_tree *tree = tree_of(&messages[0], area);
		CLEANUP(edits) struct edits *edits = edits_new();
		CLEANUP(headers) struct headers *headers = NULL;
		g_autoptr(GError) error = NULL;
		g_autoptr(GBytes) bytes = NULL;
		g_autofree char *body = NULL;
		g_autofree char *behind = NULL;
		g_autofree char *between = NULL;
		struct group group;
		struct outbound_request request = {
			.group = &group, .tree = tree, .area = area, .now = NOW
		};
		gsize length;

		group_init(&group, &treatments[t]);
		g_assert_true(outbound_carry_out(outbound, &request, edits, &error));
		headers = edits_apply_headers(edits, tree->root->headers, &error);
		bytes = spool_bytes(edits_body(edits), 0, spool_size(edits_body(edits)), 1 << 20,
				    &error);
		g_assert_no_error(error);
		body = g_strndup(g_bytes_get_data(bytes, &length), g_bytes_get_size(bytes));
		length = strlen(body);
		behind = g_strconcat(body, "\r\n\r\n-- secret --\r\n", NULL);
		between = g_strconcat("(secret)\r\n", body, NULL);
		g_test_message("%s", treatments[t].name);
		g_assert_cmpint(arrived(headers, body, length, area), ==, ARRIVED_ENCRYPTED);
		g_assert_cmpint(arrived(headers, body, length / 2, area), ==, ARRIVED_PLAIN);
		g_assert_cmpint(arrived(headers, behind, strlen(behind), area), ==, ARRIVED_PLAIN);
		g_assert_cmpint(arrived(headers, between, strlen(between), area), ==,
				ARRIVED_PLAIN);
		g_ptr_array_unref(group.signer_chain);
		g_ptr_array_unref(group.certificates);
	}
}

int
main(int argc, char **argv)
{
	static struct testcase cases[G_N_ELEMENTS(messages) * G_N_ELEMENTS(treatments)];
	gsize count = 0;
	int status;

	g_test_init(&argc, &argv, NULL);
	for (gsize t = 0; t < G_N_ELEMENTS(treatments); t++) {
		for (gsize m = 0; m < G_N_ELEMENTS(messages); m++) {
			g_autofree char *path = g_strconcat("/outbound/", treatments[t].name, "/",
							    messages[m].name, NULL);

			cases[count] = (struct testcase){ &messages[m], &treatments[t] };
			g_test_add_data_func(path, &cases[count++], test_case);
		}
	}
	g_test_add_func("/outbound/kept-signers", test_kept_signers);
	g_test_add_func("/outbound/arrives-encrypted", test_arrives_encrypted);
	g_test_add_func("/outbound/failures", test_failures);
	status = g_test_run();
	fixture_clear();
	return status;
}
