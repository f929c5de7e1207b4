/*
 * Issuing: what is made is what was asked for, what must not be made is refused; requests.
 */
#include <glib.h>
#include <string.h>

#include "pki/crypto/chain.h"
#include "pki/crypto/csr.h"
#include "store/base/error.h"
#include "tests/unit/pki/cert_fixture.h"

static struct node root;
static struct key *ec, *rsa;

/* A spec that is taken as it is; rows change one thing of it. */
static struct issue_spec
good_spec(const struct key *key)
{
	static const char *const emails[] = { "bob@example.org", NULL };
	static const char *const usages[] = { "emailProtection", NULL };
	static const char *const policies[] = { "2.23.140.1.5.1.3", NULL };
	static const char *const urls[] = { "http://crl.example.org/a.crl", NULL };

	return (struct issue_spec){
		.names = { .common_name = "bob@example.org", .emails = emails },
		.spki = key_spki(key),
		.not_before = PKI_NOW,
		.not_after = PKI_NOW + 365 * PKI_DAY,
		.path_length = -1,
		.key_usage = KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_KEY_AGREEMENT,
		.extended_usages = usages,
		.policies = policies,
		.crl_urls = urls,
	};
}

static gboolean
has_fact(const struct cert *cert, const char *name, const char *value)
{
	g_autoptr(GPtrArray) facts = cert_facts(cert);

	for (guint i = 0; i < facts->len; i++) {
		const struct fact *fact = facts->pdata[i];
		if (strcmp(fact->name, name) == 0 && strcmp(fact->value, value) == 0)
			return TRUE;
	}
	return FALSE;
}

static void
test_profile(void)
{
	g_autoptr(GError) error = NULL;
	struct issue_spec spec = good_spec(ec);
	static const char *const ocsp[] = { "http://ocsp.example.org", NULL };
	static const char *const issuers[] = { "http://ca.example.org/ca.cer", NULL };

	spec.ocsp_urls = ocsp;
	spec.ca_issuer_urls = issuers;
	spec.policy_cps = "http://example.org/cps";
	CLEANUP(cert) struct cert *cert = issue_cert(&spec, root.cert, root.key, &error);
	g_assert_no_error(error);
	g_assert_true(has_fact(cert, "email", "bob@example.org"));
	g_assert_true(has_fact(cert, "policy", "2.23.140.1.5.1.3"));
	g_assert_true(has_fact(cert, "validation-level", "mailbox validated, strict"));
	g_assert_true(has_fact(cert, "crl-url", "http://crl.example.org/a.crl"));
	g_assert_true(has_fact(cert, "ocsp-url", "http://ocsp.example.org"));
	g_assert_true(has_fact(cert, "ca-issuers-url", "http://ca.example.org/ca.cer"));
	g_assert_true(has_fact(cert, "signature-algorithm", "ecdsa-sha256"));
	g_assert_false(cert_is_ca(cert));
	g_assert_cmpstr(cert_aki(cert), ==, cert_ski(root.cert));
	g_assert_nonnull(cert_ski(cert));
	g_assert_cmpuint(strlen(cert_serial_hex(cert)), <=, 32);
	g_assert_cmpuint(strlen(cert_serial_hex(cert)), >=, 24);
	g_assert_true(key_fits(ec, cert));
	g_assert_true(cert_is_issued_by(cert, root.cert));
}

static void
test_signatures(void)
{
	static const struct {
		const char *proves;
		enum algorithm hash;
		gboolean pss, rsa;
		const char *algorithm; /* NULL: refused */
	} rows[] = {
		{ "EC picks its own", ALGORITHM_UNKNOWN, FALSE, FALSE, "ecdsa-sha256" },
		{ "EC with sha384", ALGORITHM_SHA384, FALSE, FALSE, "ecdsa-sha384" },
		{ "RSA picks sha256", ALGORITHM_UNKNOWN, FALSE, TRUE, "rsa-sha256" },
		{ "RSA with sha512", ALGORITHM_SHA512, FALSE, TRUE, "rsa-sha512" },
		{ "RSA-PSS", ALGORITHM_SHA256, TRUE, TRUE, "rsa-pss" },
		{ "SHA-1 refused", ALGORITHM_SHA1, FALSE, TRUE, NULL },
		{ "MD5 refused", ALGORITHM_MD5, FALSE, TRUE, NULL },
		{ "a cipher refused", ALGORITHM_AES_128_CBC, FALSE, TRUE, NULL },
		{ "PSS with EC refused", ALGORITHM_SHA256, TRUE, FALSE, NULL },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		const struct key *key = rows[i].rsa ? rsa : ec;
		struct issue_spec spec = good_spec(key);

		spec.hash = rows[i].hash;
		spec.pss = rows[i].pss;
		CLEANUP(cert) struct cert *cert = issue_cert(&spec, NULL, key, &error);
		g_test_message("%s", rows[i].proves);
		if (rows[i].algorithm == NULL) {
			g_assert_null(cert);
			g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
			continue;
		}
		g_assert_no_error(error);
		g_assert_cmpstr(algorithm_name(cert_signature_algorithm(cert)), ==,
				rows[i].algorithm);
		g_assert_true(cert_is_self_signed(cert));
		g_assert_null(chain_strength_fault(cert, FALSE, NULL));
	}
}

/* The same octets whether the key is handed over or its SubjectPublicKeyInfo; RSA signatures are
 * the same each time. */
static void
test_key_at_hand(void)
{
	g_autoptr(GError) error = NULL;
	struct issue_spec ca = good_spec(rsa);

	ca.ca = TRUE;
	ca.key_usage = KEY_USAGE_CERT_SIGN;
	ca.not_after = PKI_NOW + 3650 * PKI_DAY;
	ca.extended_usages = NULL;
	CLEANUP(cert) struct cert *issuer = issue_cert(&ca, NULL, rsa, &error);
	g_assert_no_error(error);
	g_autoptr(GBytes) serial = issue_random_serial(&error);
	CLEANUP(key) struct key *p384 = key_generate(KEY_KIND_EC, 384, NULL);
	CLEANUP(key) struct key *p521 = key_generate(KEY_KIND_EC, 521, NULL);
	const struct key *keys[] = { ec, rsa, p384, p521 };
	for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
		struct issue_spec spec = good_spec(keys[i]);

		spec.serial = serial;
		CLEANUP(cert) struct cert *decoded = issue_cert(&spec, issuer, rsa, &error);
		g_assert_no_error(error);
		spec.spki = NULL;
		spec.key = keys[i];
		CLEANUP(cert) struct cert *handed = issue_cert(&spec, issuer, rsa, &error);
		g_assert_no_error(error);
		g_assert_true(cert_equal(handed, decoded));
		g_assert_true(key_fits(keys[i], handed));
	}
	struct issue_spec self = good_spec(ec);
	self.spki = NULL;
	self.key = ec;
	g_assert_null(issue_cert(&self, NULL, rsa, &error));
	g_assert_nonnull(strstr(error->message, "signed with its own key"));
}

static void
test_refused(void)
{
	static const char *const no_address[] = { "bob", NULL };
	static const char *const no_usage[] = { "no such usage", NULL };
	static const char *const no_url[] = { "not a url", NULL };
	static const char *const no_policy[] = { "policy", NULL };
	static const struct issue_extension ours = { "basicConstraints", "CA:TRUE" };
	static const struct issue_extension unreadable = { "crlDistributionPoints", "nonsense" };
	static const char long_name[] = "12345678901234567890123456789012345678901234567890"
					"123456789012345";
	g_autoptr(GBytes) negative = g_bytes_new_static("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
							"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
							20);
	g_autoptr(GBytes) noise = g_bytes_new_static("noise", 5);
	struct issue_spec specs[12];
	static const char *const texts[] = {
		"ends before it begins",
		"not inside that of the issuer",
		"is longer than 64",
		"is not a mail address",
		"not an extended key usage",
		"is not a URL",
		"is not an OID",
		"cannot be set",
		"cannot be read",
		"1 to 159 bits",
		"public key cannot be read",
		"characters that no name",
	};

	for (gsize i = 0; i < G_N_ELEMENTS(specs); i++)
		specs[i] = good_spec(ec);
	specs[0].not_after = specs[0].not_before;
	specs[1].not_after = PKI_NOW + 4000 * PKI_DAY;
	specs[2].names.common_name = long_name;
	specs[3].names.emails = no_address;
	specs[4].extended_usages = no_usage;
	specs[5].crl_urls = no_url;
	specs[6].policies = no_policy;
	specs[7].extensions = &ours;
	specs[7].extension_count = 1;
	specs[8].extensions = &unreadable;
	specs[8].extension_count = 1;
	specs[9].serial = negative;
	specs[10].spki = noise;
	specs[11].names.common_name = "two\nlines";
	for (gsize i = 0; i < G_N_ELEMENTS(specs); i++) {
		g_autoptr(GError) error = NULL;

		g_test_message("%s", texts[i]);
		g_assert_null(issue_cert(&specs[i], root.cert, root.key, &error));
		g_assert_nonnull(strstr(error->message, texts[i]));
	}
}

static void
test_wrong_issuer(void)
{
	g_autoptr(GError) error = NULL;
	struct leaf leaf = { .common_name = "x" };
	struct node end_user = pki_leaf(&root, &leaf);
	struct issue_spec spec = good_spec(ec);

	g_assert_null(issue_cert(&spec, end_user.cert, end_user.key, &error));
	g_assert_nonnull(strstr(error->message, "is not a CA certificate"));
	g_clear_error(&error);
	g_assert_null(issue_cert(&spec, root.cert, end_user.key, &error));
	g_assert_nonnull(strstr(error->message, "does not belong to the issuer"));
	node_clear(&end_user);
}

static void
test_site_extensions(void)
{
	g_autoptr(GError) error = NULL;
	struct issue_spec spec = good_spec(ec);
	const struct issue_extension extensions[] = {
		{ "crlDistributionPoints", "URI:http://own.example.org/x.crl" },
		{ "1.2.3.4.5", "critical,ASN1:UTF8String:hello" },
	};

	spec.extensions = extensions;
	spec.extension_count = G_N_ELEMENTS(extensions);
	CLEANUP(cert) struct cert *cert = issue_cert(&spec, root.cert, root.key, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(cert_crl_urls(cert)[0], ==, "http://own.example.org/x.crl");
	g_assert_null(cert_crl_urls(cert)[1]);
	g_assert_true(has_fact(cert, "extension", "1.2.3.4.5 critical"));
}

static void
test_requests(void)
{
	g_autoptr(GError) error = NULL;
	static const char *const emails[] = { "bob@example.org",
					      "b\xc3\xb6"
					      "b@example.org",
					      NULL };
	struct issue_names names = { .common_name = "Bob", .emails = emails, .country = "DE" };
	const struct key *keys[] = { ec, rsa };

	for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
		g_autoptr(GBytes) der = csr_make(keys[i], &names, ALGORITHM_UNKNOWN, &error);
		g_assert_no_error(error);
		g_autofree char *pem = csr_to_pem(der);
		g_autoptr(GBytes) pem_bytes = g_bytes_new(pem, strlen(pem));
		CLEANUP(csr) struct csr *csr = csr_parse(pem_bytes, &error);
		g_assert_no_error(error);
		g_assert_cmpstr(csr_subject(csr), ==, "CN=Bob, C=DE");
		g_assert_cmpstr(csr_spki_sha256(csr), ==, key_spki_sha256(keys[i]));
		g_assert_true(g_bytes_equal(csr_spki(csr), key_spki(keys[i])));
		g_assert_true(g_bytes_equal(csr_der(csr), der));
		g_assert_cmpuint(csr_emails(csr)->len, ==, 2);
		/* A request that somebody changed is not signed by its key. */
		gsize length;
		const guint8 *bytes = g_bytes_get_data(der, &length);
		guint8 *copy = g_memdup2(bytes, length);
		char *name = memmem(copy, length, "Bob", 3);
		*name = 'R';
		g_autoptr(GBytes) changed = g_bytes_new_take(copy, length);
		g_assert_null(csr_parse(changed, &error));
		g_assert_nonnull(strstr(error->message, "is not signed by the key"));
		g_clear_error(&error);
	}
	names.country = "Germany";
	g_assert_null(csr_make(ec, &names, ALGORITHM_UNKNOWN, &error));
	g_assert_nonnull(strstr(error->message, "longer than 2"));
}

static void
test_keys(void)
{
	static const struct {
		enum key_kind kind;
		unsigned int bits;
		const char *text; /* NULL: refused */
	} rows[] = {
		{ KEY_KIND_EC, 256, "EC P-256" }, { KEY_KIND_EC, 384, "EC P-384" },
		{ KEY_KIND_EC, 521, "EC P-521" }, { KEY_KIND_EC, 224, NULL },
		{ KEY_KIND_RSA, 1024, NULL },     { KEY_KIND_RSA, 2048, "RSA 2048" },
		{ KEY_KIND_ED25519, 256, NULL },  { KEY_KIND_OTHER, 256, NULL },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		CLEANUP(key) struct key *key = key_generate(rows[i].kind, rows[i].bits, &error);

		if (rows[i].text == NULL) {
			g_assert_null(key);
			g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
			continue;
		}
		g_assert_no_error(error);
		g_assert_cmpstr(key_text(key), ==, rows[i].text);
		CLEANUP(secret) struct secret *der = key_to_pkcs8(key, &error);
		CLEANUP(key) struct key *back = key_parse_pkcs8(der, &error);
		g_assert_no_error(error);
		g_assert_cmpstr(key_spki_sha256(back), ==, key_spki_sha256(key));
		CLEANUP(secret)
		struct secret *cut = secret_new(secret_bytes(der), secret_length(der) - 1);
		g_assert_null(key_parse_pkcs8(cut, &error));
	}
}

static void
assert_same(struct secret *a, struct secret *b)
{
	g_assert_cmpmem(secret_bytes(a), secret_length(a), secret_bytes(b), secret_length(b));
}

/* What is written by hand is what OpenSSL writes of the same key, which it has read back. */
static void
test_key_forms(void)
{
	static const unsigned int bits[] = { 256, 384, 521 };

	for (gsize i = 0; i < G_N_ELEMENTS(bits); i++)
		for (int again = 0; again < 20; again++) {
			g_autoptr(GError) error = NULL;
			CLEANUP(key)
			struct key *key = key_generate(KEY_KIND_EC, bits[i], &error);
			CLEANUP(secret) struct secret *ours = key_to_pkcs8(key, &error);
			CLEANUP(key) struct key *read = key_parse_pkcs8(ours, &error);
			g_assert_no_error(error);
			CLEANUP(secret) struct secret *theirs = key_to_pkcs8(read, &error);
			assert_same(ours, theirs);
			g_assert_true(g_bytes_equal(key_spki(key), key_spki(read)));
			g_assert_cmpuint(key_bits(key), ==, bits[i]);
		}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	root = pki_root("Root");
	ec = key_generate(KEY_KIND_EC, 256, NULL);
	rsa = key_generate(KEY_KIND_RSA, 2048, NULL);
	g_test_add_func("/issue/profile", test_profile);
	g_test_add_func("/issue/signatures", test_signatures);
	g_test_add_func("/issue/key-at-hand", test_key_at_hand);
	g_test_add_func("/issue/refused", test_refused);
	g_test_add_func("/issue/wrong-issuer", test_wrong_issuer);
	g_test_add_func("/issue/site-extensions", test_site_extensions);
	g_test_add_func("/csr/requests", test_requests);
	g_test_add_func("/key/kinds", test_keys);
	g_test_add_func("/key/forms", test_key_forms);
	int status = g_test_run();
	key_unref(ec);
	key_unref(rsa);
	node_clear(&root);
	return status;
}
