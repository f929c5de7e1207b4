/*
 * file_message: what is signed and encrypted here is verified and decrypted here; what was
 * changed, wrapped or forged gets the right word; other makers' messages too.
 */
#include <glib.h>
#include <jansson.h>
#include <string.h>

#include "milter/file_message.h"
#include "pki/crypto/chain.h"
#include "pki/crypto/issue.h"
#include "pki/file_verify.h"
#include "store/base/clock.h"
#include "store/base/error.h"

#define NOW G_GINT64_CONSTANT(1800000000)

static struct spool_area *area;

struct person {
	struct key *key;
	struct cert *cert;
};
static struct person root, other_root, alice, carol, bob, stranger;
static struct chain_options chain;
static GPtrArray *keys, *certs;

static void
make_person(struct person *person, const char *name, const char *email, const struct person *issuer,
	    enum key_kind kind, unsigned int bits)
{
	const char *emails[] = { email, NULL };
	struct issue_spec spec = { .names = { .common_name = name,
					      .emails = email != NULL ? emails : NULL },
				   .not_before = NOW - 86400,
				   .not_after = NOW + 86400,
				   .ca = email == NULL,
				   .path_length = -1 };
	GError *error = NULL;

	spec.key_usage = email == NULL ? KEY_USAGE_CERT_SIGN | KEY_USAGE_CRL_SIGN
				       : KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_KEY_ENCIPHERMENT;
	person->key = key_generate(kind, bits, &error);
	g_assert_no_error(error);
	spec.spki = key_spki(person->key);
	person->cert = issue_cert(&spec, issuer != NULL ? issuer->cert : NULL,
				  issuer != NULL ? issuer->key : person->key, &error);
	g_assert_no_error(error);
}

static void
make_people(void)
{
	make_person(&root, "Root", NULL, NULL, KEY_KIND_EC, 256);
	make_person(&other_root, "Other Root", NULL, NULL, KEY_KIND_EC, 256);
	make_person(&alice, "Alice", "alice@example.com", &root, KEY_KIND_EC, 256);
	make_person(&carol, "Carol", "carol@example.com", &root, KEY_KIND_EC, 256);
	make_person(&bob, "Bob", "bob@example.com", &root, KEY_KIND_RSA, 2048);
	make_person(&stranger, "Alice", "alice@example.com", &other_root, KEY_KIND_EC, 256);
	chain.anchors = g_ptr_array_new();
	g_ptr_array_add(chain.anchors, root.cert);
	chain.at = NOW;
	chain.revocation = CHAIN_REVOCATION_IF_AVAILABLE;
	keys = g_ptr_array_new();
	certs = g_ptr_array_new();
	g_ptr_array_add(keys, bob.key);
	g_ptr_array_add(certs, bob.cert);
}

static void
free_people(void)
{
	struct person *people[] = { &root, &other_root, &alice, &carol, &bob, &stranger };

	for (gsize i = 0; i < G_N_ELEMENTS(people); i++) {
		key_unref(people[i]->key);
		cert_unref(people[i]->cert);
	}
	g_ptr_array_unref(chain.anchors);
	g_ptr_array_unref(keys);
	g_ptr_array_unref(certs);
}

static struct spool *
mail(const char *text)
{
	GError *error = NULL;
	struct spool *spool = message_from_bytes(area, text, strlen(text), &error);

	g_assert_no_error(error);
	return spool;
}

static char *
text_of(struct spool *spool)
{
	g_autoptr(GBytes) bytes = spool_bytes(spool, 0, spool_size(spool), 100000000, NULL);

	return g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
}

static struct spool *
signed_by(const struct person *person, struct spool *message, gboolean opaque)
{
	struct message_sign_options options = {
		.cert = person->cert, .key = person->key, .opaque = opaque, .signing_time = NOW
	};
	GError *error = NULL;
	struct spool *out = message_sign(area, message, &options, &error);

	g_assert_no_error(error);
	return out;
}

static struct spool *
encrypted_to_bob(struct spool *message, const char *cipher)
{
	g_autoptr(GPtrArray) to = g_ptr_array_new();
	struct message_encrypt_options options = { .recipients = to, .cipher = cipher };
	GError *error = NULL;
	struct spool *out;

	g_ptr_array_add(to, bob.cert);
	out = message_encrypt(area, message, &options, &error);
	g_assert_no_error(error);
	return out;
}

static struct message_report *
verify(struct spool *message)
{
	struct message_options options = { .chain = &chain, .keys = keys, .certs = certs };
	GError *error = NULL;
	struct message_report *report = message_verify(area, message, &options, &error);

	g_assert_no_error(error);
	return report;
}

static void
assert_verdict(struct spool *message, const char *verdict)
{
	CLEANUP(message_report) struct message_report *report = verify(message);

	if (strcmp(mail_verdict_name(report->verdict), verdict) != 0)
		g_test_message("%s", report->reason);
	g_assert_cmpstr(mail_verdict_name(report->verdict), ==, verdict);
}

/* --- bodies --- */

#define FROM "From: Alice <alice@example.com>\r\nTo: bob@example.com\r\nSubject: s\r\n"
#define UE "\303\274"
#define LINE_99                                                                                    \
	"9"                                                                                        \
	"aaaaaaaaaaaaaabbbbbbbbbbbbbbccccccccccccccddddddddddddddeeeeeeeeeeeeeeffffffffffffffgggg" \
	"gggggggggg"

/* Of these the transfer encoding does not hold: not released from CBC without a signature. */
#define UNDECLARED "attached"

struct body_row {
	const char *name;
	const char *message;
};

static const struct body_row bodies[] = {
	{ "plain", FROM "Content-Type: text/plain\r\n\r\nhello\r\n" },
	{ "no MIME fields", FROM "\r\nhello\r\n" },
	{ "no line end", FROM "\r\nhello" },
	{ "empty", FROM "\r\n" },
	{ "only CRLFs", FROM "\r\n\r\n\r\n\r\n" },
	{ "leading dots", FROM "\r\n.\r\n..\r\n.x\r\n" },
	{ "boundaries of others", FROM "\r\n--\r\n--x--\r\n" },
	{ "998 octets", FROM
	  "\r\n" LINE_99 LINE_99 LINE_99 LINE_99 LINE_99 LINE_99 LINE_99 LINE_99 LINE_99 LINE_99
	  "12345678\r\n" },
	{ "999 octets", FROM
	  "\r\n" LINE_99 LINE_99 LINE_99 LINE_99 LINE_99 LINE_99 LINE_99 LINE_99 LINE_99 LINE_99
	  "123456789\r\n" },
	{ "8-bit", FROM "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
			"8bit\r\n\r\n" UE "\r\n" },
	{ "nested, preamble, epilogue", FROM
	  "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n"
	  "Content-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\none\r\n--c\r\n"
	  "Content-Type: text/html\r\n\r\n<b>\r\n--c--\r\n\r\n--b\r\n\r\ntwo\r\n--b--\r\nepi\r\n" },
	{ "8-bit message attached",
	  FROM "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: "
	       "message/rfc822\r\n\r\nSubject: x\r\n\r\n" UE "\r\n--b--\r\n" },
	{ "8-bit signed part attached",
	  FROM "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: "
	       "multipart/signed; boundary=c\r\n\r\n--c\r\n\r\n" UE "\r\n--c\r\n\r\ns\r\n--c--\r\n"
	       "--b--\r\n" },
	{ "several equal types",
	  FROM "Content-Type: text/plain\r\nContent-Type: text/plain\r\n\r\nhello\r\n" },
	{ "LF file",
	  "From: alice@example.com\nTo: b@c\nContent-Type: multipart/mixed; boundary=b\n\n"
	  "--b\n\none\n--b\n\ntwo\n--b--\n" },
};

static void
test_body(gconstpointer data)
{
	const struct body_row *row = data;
	CLEANUP(spool) struct spool *message = mail(row->message);

	for (int opaque = 0; opaque <= 1; opaque++) {
		CLEANUP(spool) struct spool *out = signed_by(&alice, message, opaque);
		CLEANUP(spool) struct spool *both = encrypted_to_bob(out, "aes-256-gcm");
		CLEANUP(message_report) struct message_report *report = verify(out);

		g_assert_cmpstr(report->reason, ==, "signed by the author");
		g_assert_cmpint(report->verdict, ==, MAIL_VALID);
		g_assert_cmpuint(report->layers->len, ==, 1);
		assert_verdict(both, "valid");
	}
}

static void
test_encrypted(gconstpointer data)
{
	const struct body_row *row = data;
	static const char *const ciphers[] = { "aes-256-cbc", "aes-128-gcm" };
	CLEANUP(spool) struct spool *message = mail(row->message);

	for (gsize i = 0; i < G_N_ELEMENTS(ciphers); i++) {
		CLEANUP(spool) struct spool *out = encrypted_to_bob(message, ciphers[i]);
		CLEANUP(message_report) struct message_report *shown = NULL;
		CLEANUP(message_report) struct message_report *opened = NULL;
		struct message_options options = { .chain = &chain, .keys = keys, .certs = certs };
		struct reading_layer *layer;
		g_autofree char *plain = text_of(message);
		g_autofree char *content = NULL;

		shown = message_show(area, out, NULL);
		g_assert_cmpint(shown->verdict, ==, MAIL_UNDECRYPTABLE);
		g_assert_true(shown->is_encrypted);
		layer = shown->layers->pdata[0];
		g_assert_cmpstr(layer->algorithm, ==, ciphers[i]);
		g_assert_cmpuint(layer->recipients->len, ==, 1);
		opened = message_decrypt(area, out, &options, NULL);
		if (g_str_has_suffix(row->name, UNDECLARED) && strstr(ciphers[i], "cbc") != NULL) {
			g_assert_cmpint(opened->verdict, ==, MAIL_UNDECRYPTABLE);
			g_assert_null(opened->content);
			continue;
		}
		g_assert_cmpstr(opened->reason, ==, "the message is not signed");
		g_assert_cmpint(opened->verdict, ==, MAIL_UNSIGNED);
		content = text_of(opened->content);
		g_assert_cmpstr(strstr(content, "\r\n\r\n"), ==, strstr(plain, "\r\n\r\n"));
	}
}

/* --- what is wrong with it --- */

static char *
replaced(const char *text, const char *what, const char *with)
{
	g_auto(GStrv) pieces = g_strsplit(text, what, 2);

	g_assert_nonnull(pieces[1]);
	return g_strjoinv(with, pieces);
}

struct forged_row {
	const char *name;
	const char *what, *with;
	const char *verdict;
};

static const struct forged_row forged_rows[] = {
	{ "as it was", "Subject: s", "Subject: s", "valid" },
	{ "another Subject", "Subject: s", "Subject: t", "valid" },
	{ "changed content", "hello", "hullo", "bad" },
	{ "another From", "alice@example.com", "carol@example.com", "mismatch" },
	{ "two From fields", "To: bob", "From: carol@example.com\r\nTo: bob", "mismatch" },
	{ "two mailboxes", "alice@example.com>", "alice@example.com>, carol@example.com",
	  "mismatch" },
	{ "Sender does not count", "To: bob", "Sender: carol@example.com\r\nTo: bob", "valid" },
	{ "a second Content-Type", "To: bob", "Content-Type: text/html\r\nTo: bob", "malformed" },
	{ "a signature without its encoding",
	  "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; "
	  "filename=\"smime.p7s\"",
	  "X: y", "valid" },
	{ "a signature that is none",
	  "Content-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n", "\r\nAAAA",
	  "unsigned" },
	{ "a boundary that is too long", "boundary=\"",
	  "boundary=\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	  "malformed" },
};

static void
test_forged(gconstpointer data)
{
	const struct forged_row *row = data;
	CLEANUP(spool) struct spool *message = mail(FROM "\r\nhello\r\n");
	CLEANUP(spool) struct spool *out = signed_by(&alice, message, FALSE);
	g_autofree char *text = text_of(out);
	g_autofree char *changed = replaced(text, row->what, row->with);
	CLEANUP(spool) struct spool *forged = mail(changed);

	assert_verdict(forged, row->verdict);
}

static void
test_signers(void)
{
	CLEANUP(spool) struct spool *message = mail(FROM "\r\nhello\r\n");
	CLEANUP(spool) struct spool *by_carol = signed_by(&carol, message, FALSE);
	CLEANUP(spool) struct spool *by_stranger = signed_by(&stranger, message, TRUE);
	CLEANUP(spool) struct spool *unsigned_one = mail(FROM "\r\nhello\r\n");

	assert_verdict(by_carol, "mismatch");
	assert_verdict(by_stranger, "untrusted");
	assert_verdict(unsigned_one, "unsigned");
	chain.at = NOW + 90000;
	CLEANUP(spool) struct spool *by_alice = signed_by(&alice, message, FALSE);
	assert_verdict(by_alice, "untrusted");
	struct message_options options = { .chain = &chain, .at_signing_time = TRUE };
	CLEANUP(message_report)
	struct message_report *report = message_verify(area, by_alice, &options, NULL);
	g_assert_cmpint(report->verdict, ==, MAIL_VALID);
	chain.at = NOW;
}

/* A mailing list's footer around a signed message; and the same around a changed one. */
static void
test_partial(void)
{
	for (int opaque = 0; opaque <= 1; opaque++) {
		CLEANUP(spool) struct spool *message = mail(FROM "\r\nhello\r\n");
		CLEANUP(spool) struct spool *out = signed_by(&alice, message, opaque);
		g_autofree char *text = text_of(out);
		const char *inner = strstr(text, "Content-Type:");
		g_autofree char *list = g_strconcat(
		    FROM "Content-Type: multipart/mixed; boundary=list\r\n\r\n--list\r\n", inner,
		    "\r\n--list\r\n\r\nfooter\r\n--list--\r\n", NULL);
		CLEANUP(spool) struct spool *wrapped = mail(list);
		CLEANUP(spool) struct spool *covered = signed_by(&carol, wrapped, FALSE);

		assert_verdict(wrapped, "partial");
		/* the outer signature is the one that counts, and it is not the author's */
		assert_verdict(covered, "mismatch");
		if (!opaque) {
			g_autofree char *changed = replaced(list, "hello", "hullo");
			CLEANUP(spool) struct spool *forged = mail(changed);

			assert_verdict(forged, "bad");
		}
	}
}

static void
test_depth(void)
{
	CLEANUP(spool) struct spool *message = mail(FROM "\r\nhello\r\n");

	for (int i = 1; i <= 7; i++) {
		struct spool *out = signed_by(&alice, message, i % 2);

		spool_unref(message);
		message = out;
		assert_verdict(message, i <= 6 ? "valid" : "malformed");
	}
}

/* --- other makers' --- */

static char *
data_path(const char *name)
{
	const char *data = g_getenv("PS_DATA");
	const char *top = g_getenv("top_srcdir");

	if (data != NULL)
		return g_build_filename(data, name, NULL);
	return g_build_filename(top != NULL ? top : ".", "..", "shared", "data", name, NULL);
}

struct foreign_row {
	const char *file;
	const char *anchor; /* NULL: none */
	const char *at;
	const char *verdict;
};

static const struct foreign_row foreign_rows[] = {
	{ "bluemind/eml/valid.eml", "bluemind/certificates/basicCA.crt", NULL, "valid" },
	{ "bluemind/eml/valid.eml", NULL, NULL, "untrusted" },
	{ "bluemind/eml/invalid_signature.eml", "bluemind/certificates/basicCA.crt", NULL,
	  "untrusted" },
	{ "bluemind/eml/corrupted.eml", "bluemind/certificates/basicCA.crt", NULL, "bad" },
	{ "protected-headers/notmuch/corpora/protected-headers/smime-multipart-signed.eml",
	  "protected-headers/autocrypt-draft/sample-ca.pem", NULL, "valid" },
	{ "protected-headers/notmuch/corpora/protected-headers/smime-onepart-signed.eml",
	  "protected-headers/autocrypt-draft/sample-ca.pem", NULL, "valid" },
	{ "protected-headers/notmuch/corpora/protected-headers/smime-sign+enc.eml",
	  "protected-headers/autocrypt-draft/sample-ca.pem", NULL, "undecryptable" },
	{ "protected-headers/notmuch/corpora/crypto/basic-encrypted.eml", NULL, NULL, "unsigned" },
	{ "rfc9216/binary-files/signedByAliceRSA.p7m",
	  "rfc9216/all-certs/Sample_LAMPS_RSA_Certification_Authority.selfsigned.pem", NULL,
	  "mismatch" },
	{ "rfc4134/4.8.eml", "rfc4134/CarlDSSSelf.cer", "1999-11-30", "untrusted" },
};

static void
test_foreign(gconstpointer data)
{
	const struct foreign_row *row = data;
	g_autofree char *path = data_path(row->file);
	g_autofree char *anchor = row->anchor != NULL ? data_path(row->anchor) : NULL;
	const char *anchors[] = { anchor, NULL };
	CLEANUP(file_pool) struct file_pool *pool = file_pool_read(anchors, NULL, NULL, NULL, NULL);
	CLEANUP(spool) struct spool *message = message_open(area, path, NULL);
	g_autoptr(GPtrArray) none = g_ptr_array_new();
	struct chain_options here = { .anchors = pool != NULL ? pool->certs : none,
				      .revocation = CHAIN_REVOCATION_IF_AVAILABLE };
	struct message_options options = { .chain = &here, .at_signing_time = TRUE };
	CLEANUP(message_report) struct message_report *report = NULL;
	GError *error = NULL;

	if (message == NULL) {
		g_test_skip("no such file");
		return;
	}
	here.at = NOW;
	if (row->at != NULL)
		g_assert_true(clock_parse(row->at, &here.at, NULL));
	report = message_verify(area, message, &options, &error);
	g_assert_no_error(error);
	if (strcmp(mail_verdict_name(report->verdict), row->verdict) != 0)
		g_test_message("%s: %s", row->file, report->reason);
	g_assert_cmpstr(mail_verdict_name(report->verdict), ==, row->verdict);
}

/* One row of NIST's suite; FALSE when it has no message or other settings than the default. */
static gboolean
check_pkits_row(json_t *row)
{
	const char *file = json_string_value(json_object_get(row, "smime_eml"));
	const char *root_file = json_string_value(json_object_get(row, "trust_anchor"));
	const char *policies =
	    json_string_value(json_array_get(json_object_get(row, "initial_policy_set"), 0));
	gboolean valid = strcmp(json_string_value(json_object_get(row, "expected")), "valid") == 0;
	g_autofree char *path = NULL;
	g_autofree char *anchor = NULL;
	const struct reading_signer *signer;

	if (file == NULL || (policies != NULL && strcmp(policies, "2.5.29.32.0") != 0) ||
	    json_is_true(json_object_get(row, "initial_explicit_policy")) ||
	    json_is_true(json_object_get(row, "initial_policy_mapping_inhibit")) ||
	    json_is_true(json_object_get(row, "initial_inhibit_any_policy")))
		return FALSE;
	g_autofree char *name = g_strconcat("pkits/smime/", file, NULL);
	g_autofree char *anchor_name = g_strconcat("pkits/certs/", root_file, NULL);
	path = data_path(name);
	anchor = data_path(anchor_name);
	const char *anchors[] = { anchor, NULL };
	CLEANUP(file_pool) struct file_pool *pool = file_pool_read(anchors, NULL, NULL, NULL, NULL);
	CLEANUP(spool) struct spool *message = message_open(area, path, NULL);
	g_assert_nonnull(pool);
	g_assert_nonnull(message);
	struct chain_options here = { .anchors = pool->certs,
				      .at = G_GINT64_CONSTANT(1302825600), /* 2011-04-15 */
				      .revocation = CHAIN_REVOCATION_IF_AVAILABLE,
				      .allow_legacy = TRUE };
	struct message_options options = { .chain = &here, .crls_require = TRUE };
	CLEANUP(message_report)
	struct message_report *report = message_verify(area, message, &options, NULL);
	g_assert_nonnull(report);
	g_assert_cmpuint(report->signers->len, ==, 1);
	signer = report->signers->pdata[0];
	if ((signer->signature == SIGNATURE_GOOD && signer->trust == SIGNER_VALID) != valid)
		g_test_message("%s: %s", file, signer->reason);
	g_assert_cmpint(signer->signature == SIGNATURE_GOOD && signer->trust == SIGNER_VALID, ==,
			valid);
	return TRUE;
}

static void
test_pkits(void)
{
	g_autofree char *path = data_path("pkits/expected.json");
	json_t *expected = json_load_file(path, 0, NULL);
	json_t *rows = json_is_array(expected) ? expected : json_object_get(expected, "tests");
	guint count = 0;
	json_t *row;
	gsize i;

	if (expected == NULL) {
		g_test_skip("no pkits folder");
		return;
	}
	json_array_foreach(rows, i, row) count += check_pkits_row(row) ? 1 : 0;
	g_test_message("%u messages", count);
	g_assert_cmpuint(count, >, 0);
	json_decref(expected);
}

static guint
show_folder(const char *dir)
{
	g_autoptr(GDir) open = g_dir_open(dir, 0, NULL);
	const char *name;
	guint count = 0;

	while (open != NULL && (name = g_dir_read_name(open)) != NULL) {
		g_autofree char *path = g_build_filename(dir, name, NULL);
		struct message_options options = { .chain = &chain, .keys = keys, .certs = certs };
		CLEANUP(spool) struct spool *message = NULL;
		CLEANUP(message_report) struct message_report *report = NULL;
		GError *error = NULL;

		if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
			count += show_folder(path);
			continue;
		}
		message = message_open(area, path, NULL);
		if (message == NULL)
			continue;
		report = message_verify(area, message, &options, &error);
		g_assert_no_error(error);
		g_assert_cmpint(report->verdict, !=, MAIL_VALID);
		count++;
	}
	return count;
}

static void
test_all_files(void)
{
	static const char *const folders[] = { "cms-fixtures",      "rfc4134",
					       "rfc9216",           "bluemind",
					       "protected-headers", "mime-torture",
					       "openssl/smime-eml", "openssl/cms_data" };
	guint count = 0;

	for (gsize i = 0; i < G_N_ELEMENTS(folders); i++) {
		g_autofree char *dir = data_path(folders[i]);

		count += show_folder(dir);
	}
	if (count == 0)
		g_test_skip("no data");
	else
		g_test_message("%u files", count);
}

static void
test_open_errors(void)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(message_open(area, "/nonexistent/file", &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	area = spool_area_new_memory(1000000000);
	make_people();
	for (gsize i = 0; i < G_N_ELEMENTS(bodies); i++) {
		g_autofree char *sign = g_strdup_printf("/message/sign/%s", bodies[i].name);
		g_autofree char *encrypt = g_strdup_printf("/message/encrypt/%s", bodies[i].name);

		g_test_add_data_func(sign, &bodies[i], test_body);
		g_test_add_data_func(encrypt, &bodies[i], test_encrypted);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(forged_rows); i++) {
		g_autofree char *path = g_strdup_printf("/message/forged/%s", forged_rows[i].name);

		g_test_add_data_func(path, &forged_rows[i], test_forged);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(foreign_rows); i++) {
		g_autofree char *path =
		    g_strdup_printf("/message/foreign/%zu %s", i, foreign_rows[i].verdict);

		g_test_add_data_func(path, &foreign_rows[i], test_foreign);
	}
	g_test_add_func("/message/signers", test_signers);
	g_test_add_func("/message/a signed part does not speak for all", test_partial);
	g_test_add_func("/message/six layers and no more", test_depth);
	g_test_add_func("/message/NIST's messages", test_pkits);
	g_test_add_func("/message/every file of the data", test_all_files);
	g_test_add_func("/message/a file that is not there is named", test_open_errors);
	status = g_test_run();
	free_people();
	spool_area_unref(area);
	return status;
}
