/*
 * Certificates: what is read out of them, usages, limits, damage.
 */
#include <glib.h>
#include <string.h>

#include "store/base/error.h"
#include "store/base/hex.h"
#include "tests/unit/pki/cert_fixture.h"

static struct node root, intermediate;

static const char *
fact_value(GPtrArray *facts, const char *name)
{
	for (guint i = 0; i < facts->len; i++) {
		const struct fact *fact = facts->pdata[i];
		if (strcmp(fact->name, name) == 0)
			return fact->value;
	}
	return NULL;
}

static void
test_addresses(void)
{
	static const struct {
		const char *proves;
		const char *email, *subject_email;
		const char *expected; /* keys, joined by a blank */
	} rows[] = {
		{ "rfc822Name", "Bob@Example.ORG", NULL, "bob@example.org" },
		{ "emailAddress of the subject", NULL, "bob@example.org", "bob@example.org" },
		{ "both, once each", "bob@example.org", "robert@example.org",
		  "bob@example.org robert@example.org" },
		{ "the same twice counts once", "bob@example.org", "BOB@example.org",
		  "bob@example.org" },
		{ "non-ASCII local part: SmtpUTF8Mailbox",
		  "b\xc3\xb6"
		  "b@example.org",
		  NULL,
		  "b\xc3\xb6"
		  "b@example.org" },
		{ "IDN domain: A-labels in rfc822Name",
		  "bob@b\xc3\xbc"
		  "cher.example",
		  NULL, "bob@xn--bcher-kva.example" },
		{ "never the common name", NULL, NULL, "" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct leaf leaf = { .common_name = "cn@example.org",
				     .email = rows[i].email,
				     .subject_email = rows[i].subject_email };
		struct node node = pki_leaf(&intermediate, &leaf);
		GString *found = g_string_new(NULL);

		for (guint k = 0; k < cert_emails(node.cert)->len; k++)
			g_string_append_printf(found, "%s%s", k > 0 ? " " : "",
					       mailaddr_key(cert_emails(node.cert)->pdata[k]));
		g_test_message("%s", rows[i].proves);
		g_assert_cmpstr(found->str, ==, rows[i].expected);
		g_string_free(found, TRUE);
		node_clear(&node);
	}
}

static void
test_usages(void)
{
	static const struct {
		const char *proves;
		unsigned int usage;
		const char *extended;
		gboolean encrypt, sign, digital, email;
	} rows[] = {
		{ "both", KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_KEY_AGREEMENT, NULL, TRUE, TRUE,
		  TRUE, TRUE },
		{ "signing only", KEY_USAGE_DIGITAL_SIGNATURE, NULL, FALSE, TRUE, TRUE, TRUE },
		{ "nonRepudiation signs, without digitalSignature", KEY_USAGE_NON_REPUDIATION, NULL,
		  FALSE, TRUE, FALSE, TRUE },
		{ "keyEncipherment is nothing for EC", KEY_USAGE_KEY_ENCIPHERMENT, NULL, FALSE,
		  FALSE, FALSE, TRUE },
		{ "no extended usage: any", KEY_USAGE_DIGITAL_SIGNATURE, "", FALSE, TRUE, TRUE,
		  TRUE },
		{ "anyExtendedKeyUsage", KEY_USAGE_DIGITAL_SIGNATURE, "2.5.29.37.0", FALSE, TRUE,
		  TRUE, TRUE },
		{ "clientAuth alone is not for mail", KEY_USAGE_DIGITAL_SIGNATURE, "clientAuth",
		  FALSE, TRUE, TRUE, FALSE },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct leaf leaf = { .common_name = "x",
				     .key_usage = rows[i].usage,
				     .extended = rows[i].extended };
		struct node node = pki_leaf(&intermediate, &leaf);

		g_test_message("%s", rows[i].proves);
		g_assert_cmpint(cert_may_encrypt(node.cert), ==, rows[i].encrypt);
		g_assert_cmpint(cert_may_sign(node.cert), ==, rows[i].sign);
		g_assert_cmpint(cert_has_digital_signature(node.cert), ==, rows[i].digital);
		g_assert_cmpint(cert_has_email_purpose(node.cert), ==, rows[i].email);
		node_clear(&node);
	}
}

static void
test_facts(void)
{
	struct leaf leaf = { .common_name = "Bob, \"the\" builder",
			     .email = "bob@example.org",
			     .serial = "0a1b",
			     .crl_url = "http://crl.example.org/a.crl" };
	struct node node = pki_leaf(&intermediate, &leaf);
	g_autoptr(GPtrArray) facts = cert_facts(node.cert);

	g_assert_cmpstr(cert_serial_hex(node.cert), ==, "a1b");
	g_assert_cmpstr(cert_key_text(node.cert), ==, "EC P-256");
	g_assert_cmpstr(cert_kind(node.cert), ==, "end user");
	g_assert_cmpstr(cert_kind(intermediate.cert), ==, "intermediate");
	g_assert_cmpstr(cert_kind(root.cert), ==, "root");
	g_assert_cmpuint(strlen(cert_thumbprint(node.cert)), ==, THUMBPRINT_DIGITS);
	g_assert_cmpstr(cert_crl_urls(node.cert)[0], ==, "http://crl.example.org/a.crl");
	g_assert_cmpstr(cert_aki(node.cert), ==, cert_ski(intermediate.cert));
	g_assert_cmpstr(fact_value(facts, "serial"), ==, "a1b");
	g_assert_cmpstr(fact_value(facts, "email"), ==, "bob@example.org");
	g_assert_cmpstr(fact_value(facts, "issuer"), ==, "CN=Intermediate, O=Test");
	g_assert_cmpstr(fact_value(facts, "subject"), ==, "CN=\"Bob, \\\\\"the\\\\\" builder\"");
	g_assert_cmpstr(fact_value(facts, "key-usage"), ==, "digitalSignature");
	g_assert_cmpstr(fact_value(facts, "extended-key-usage"), ==, "emailProtection");
	g_assert_cmpstr(fact_value(facts, "thumbprint"), ==, cert_thumbprint(node.cert));
	node_clear(&node);
}

static void
test_names_compare(void)
{
	struct node other = pki_root(" ROOT  ");
	struct node third = pki_root("Root 2");

	/* RFC 5280 section 7.1: case and runs of blanks do not matter. */
	g_assert_cmpstr(cert_subject_key(other.cert), ==, cert_subject_key(root.cert));
	g_assert_cmpstr(cert_subject_key(third.cert), !=, cert_subject_key(root.cert));
	g_assert_true(cert_is_issued_by(intermediate.cert, root.cert));
	g_assert_false(cert_is_issued_by(intermediate.cert, other.cert));
	g_assert_true(cert_is_self_signed(root.cert));
	g_assert_false(cert_is_self_signed(intermediate.cert));
	node_clear(&other);
	node_clear(&third);
}

/* Takes a good certificate apart: each way of damage is one clear line. */
static void
test_damage(void)
{
	gsize length;
	const guint8 *good = g_bytes_get_data(cert_der(root.cert), &length);
	static const struct {
		const char *proves;
		gssize cut; /* bytes off the end; negative: added */
		gsize flip; /* offset of a byte that is changed; 0: none */
		const char *text;
	} rows[] = {
		{ "empty", G_MAXINT32, 0, "not a certificate: empty" },
		{ "cut in the middle", 40, 0, "not a certificate, or damaged" },
		{ "one byte more", -1, 0, "1 bytes follow the certificate" },
		{ "a wrong tag", 0, 4, "not a certificate, or damaged" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		gsize size =
		    rows[i].cut > (gssize)length ? 0 : (gsize)((gssize)length - rows[i].cut);
		g_autofree guint8 *bytes = g_malloc0(size + 1);

		memcpy(bytes, good, MIN(size, length));
		if (rows[i].flip != 0)
			bytes[rows[i].flip] ^= 0xff;
		g_autoptr(GBytes) der = g_bytes_new(bytes, size);
		g_test_message("%s", rows[i].proves);
		g_assert_null(cert_parse(der, &error));
		g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
		g_assert_true(g_str_has_prefix(error->message, rows[i].text));
		g_assert_null(strchr(error->message, '\n'));
	}
}

static void
test_too_large(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree guint8 *bytes = g_malloc0(CERT_SIZE_MAX_BYTES + 1);
	g_autoptr(GBytes) der = g_bytes_new(bytes, CERT_SIZE_MAX_BYTES + 1);

	g_assert_null(cert_parse(der, &error));
	g_assert_nonnull(strstr(error->message, "too large"));
}

/* Foreign certificates: addresses from SAN and emailAddress, never from CN. */
static void
test_foreign(void)
{
	static const struct {
		const char *file;
		const char *email; /* of its first certificate; NULL: none */
	} rows[] = {
		{ "nextcloud-certs/user@imap.localhost.crt", "user@imap.localhost" },
		{ "nextcloud-certs/san-only@imap.localhost.crt", "san-only@imap.localhost" },
		{ "nextcloud-certs/cn-only@imap.localhost.crt", "cn-only@imap.localhost" },
		{ "gnupg/samplekeys/cert-with-117-akas.pem", NULL },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *path = pki_data(rows[i].file);
		g_autoptr(GError) error = NULL;

		if (path == NULL) {
			g_test_skip("the foreign test data is not here");
			return;
		}
		g_autofree char *text = NULL;
		g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
		char *begin = strstr(text, "-----BEGIN CERTIFICATE-----\n");
		g_assert_nonnull(begin);
		begin = strchr(begin, '\n') + 1;
		*strstr(begin, "-----END") = '\0';
		gsize length;
		guchar *bytes = g_base64_decode(begin, &length);
		g_autoptr(GBytes) der = g_bytes_new_take(bytes, length);
		CLEANUP(cert) struct cert *cert = cert_parse(der, &error);
		g_test_message("%s", rows[i].file);
		g_assert_no_error(error);
		if (rows[i].email == NULL)
			g_assert_cmpuint(cert_emails(cert)->len, ==, 0);
		else
			g_assert_cmpstr(mailaddr_key(cert_emails(cert)->pdata[0]), ==,
					rows[i].email);
	}
}

static void
test_algorithms(void)
{
	/* Every row can be found by its name, and by its OID unless another row came first. */
	for (int i = ALGORITHM_UNKNOWN + 1; i < ALGORITHM_COUNT; i++) {
		enum algorithm algorithm = (enum algorithm)i;

		g_assert_cmpint(algorithm_by_name(algorithm_name(algorithm)), ==, algorithm);
		if (algorithm_oid(algorithm) != NULL)
			g_assert_cmpint(algorithm_by_oid(algorithm_oid(algorithm)), !=,
					ALGORITHM_UNKNOWN);
	}
	g_assert_cmpint(algorithm_standing(ALGORITHM_UNKNOWN), ==, ALGORITHM_REFUSED);
	g_assert_cmpint(algorithm_standing((enum algorithm)9999), ==, ALGORITHM_REFUSED);
	g_assert_false(key_strength_allowed(KEY_KIND_RSA, 1024));
	g_assert_true(key_strength_allowed(KEY_KIND_RSA, 2048));
	g_assert_false(key_strength_allowed(KEY_KIND_OTHER, 100000));
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	root = pki_root("Root");
	intermediate = pki_intermediate(&root, "Intermediate");
	g_test_add_func("/cert/addresses", test_addresses);
	g_test_add_func("/cert/usages", test_usages);
	g_test_add_func("/cert/facts", test_facts);
	g_test_add_func("/cert/names-compare", test_names_compare);
	g_test_add_func("/cert/damage", test_damage);
	g_test_add_func("/cert/too-large", test_too_large);
	g_test_add_func("/cert/foreign", test_foreign);
	g_test_add_func("/algorithms/table", test_algorithms);
	int status = g_test_run();
	node_clear(&intermediate);
	node_clear(&root);
	return status;
}
