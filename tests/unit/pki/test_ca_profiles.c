/*
 * Every certificate profile with every kind of key and use: field by field what the rules want.
 * With PS_CERTS=FOLDER each certificate is also written there, for a linter.
 */
#include "tests/unit/pki/pki_fixture.h"

#include "pki/ca_profile.h"
#include "pki/crypto/csr.h"
#include "pki/crypto/issue.h"
#include "pki/crypto/issue_extensions.h"
#include "store/ca_issuing.h"
#include "store/cas.h"

#define DS KEY_USAGE_DIGITAL_SIGNATURE
#define KE KEY_USAGE_KEY_ENCIPHERMENT
#define KA KEY_USAGE_KEY_AGREEMENT

struct wish {
	struct fixture *f;
	const char *public_url;
	GBytes *csr;
	struct ca_subject subject;
	struct ca_issue options;
	struct cert *cert;
};

static gboolean
issue_tx(struct tx *tx, gpointer data, GError **error)
{
	struct wish *wish = data;
	struct ca_context context = fixture_ca_context(wish->f);

	context.public_url = wish->public_url;
	wish->cert = ca_issue(&context, wish->csr, &wish->subject, &wish->options, 0, tx, error);
	return wish->cert != NULL;
}

struct setting {
	const char *name, *value;
};

static gboolean
set_tx(struct tx *tx, gpointer data, GError **error)
{
	const struct setting *setting = data;

	return ca_defaults_set(tx, setting->name, setting->value, error);
}

static void
set(struct fixture *f, const char *name, const char *value)
{
	struct setting setting = { name, value };
	g_autoptr(GError) error = NULL;

	g_assert_true(db_transaction(f->db, set_tx, &setting, &error));
	g_assert_no_error(error);
}

static void
set_organisation(struct fixture *f)
{
	set(f, "organisation", "Example GmbH");
	set(f, "organisation_id", "NTRDE-DER3306.HRB12345");
	set(f, "country", "DE");
	set(f, "policy", "1.3.6.1.4.1.99999.1");
	set(f, "cps_url", "https://pki.example.com/cps");
}

static GBytes *
csr_of(const struct key *key)
{
	const struct issue_names names = { .common_name = "somebody" };
	g_autoptr(GError) error = NULL;
	GBytes *csr = csr_make(key, &names, ALGORITHM_UNKNOWN, &error);

	g_assert_no_error(error);
	return csr;
}

static char *
facts_of(const struct cert *cert, const char *name)
{
	g_autoptr(GPtrArray) facts = cert_facts(cert);
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < facts->len; i++) {
		const struct fact *fact = g_ptr_array_index(facts, i);
		if (strcmp(fact->name, name) == 0)
			g_string_append_printf(text, "%s|", fact->value);
	}
	return g_string_free(text, FALSE);
}

static void
write_out(const struct cert *cert, const char *what)
{
	const char *folder = g_getenv("PS_CERTS");

	if (folder == NULL)
		return;
	gsize length;
	const char *bytes = g_bytes_get_data(cert_der(cert), &length);
	g_autofree char *path = g_strdup_printf("%s/%s.der", folder, what);
	g_assert_true(g_file_set_contents(path, bytes, (gssize)length, NULL));
}

static const struct {
	const char *key;
	enum key_kind kind;
	unsigned int bits;
} kinds[] = {
	{ "rsa2048", KEY_KIND_RSA, 2048 },
	{ "p256", KEY_KIND_EC, 256 },
	{ "p384", KEY_KIND_EC, 384 },
};
static const char *const uses[] = { "dual", "sign", "encrypt" };

static unsigned int
wanted_usage(const struct ca_profile *profile, gboolean rsa, gsize use)
{
	static const unsigned int smime[2][3] = { { DS | KA, DS, KA }, { DS | KE, DS, KE } };

	if (profile->smime)
		return smime[rsa ? 1 : 0][use];
	if (profile->kind == CA_KIND_TLS_SERVER && rsa && use == 0)
		return DS | KE;
	return DS;
}

static void
check_subject(const struct cert *cert, const struct ca_profile *profile)
{
	static const char *const wanted[] = {
		[CA_KIND_MAILBOX] = "CN=erika@example.com",
		[CA_KIND_ORGANISATION] =
		    "CN=Example GmbH, organizationIdentifier=NTRDE-DER3306.HRB12345, O=Example "
		    "GmbH, C=DE",
		[CA_KIND_SPONSOR] =
		    "SN=Muster, GN=Erika, CN=Erika Muster, "
		    "organizationIdentifier=NTRDE-DER3306.HRB12345, O=Example GmbH, C=DE",
		[CA_KIND_INDIVIDUAL] = "SN=Muster, GN=Erika, CN=Erika Muster",
		[CA_KIND_TLS_SERVER] = "CN=www.example.com",
		[CA_KIND_TLS_CLIENT] = "CN=Erika Muster, O=Example GmbH",
		[CA_KIND_OCSP] = "CN=Erika Muster, O=Example GmbH",
	};

	g_assert_cmpstr(cert_subject(cert), ==, wanted[profile->kind]);
}

static void
check(const struct cert *cert, const struct ca_profile *profile, const struct cert *issuer,
      gsize kind, gsize use)
{
	g_autofree char *policies = facts_of(cert, "policy");
	g_autofree char *purposes = facts_of(cert, "extended-key-usage");
	gint64 seconds = cert_not_after(cert) - cert_not_before(cert) + 1;

	g_assert_true(cert_is_issued_by(cert, issuer));
	g_assert_false(cert_is_ca(cert));
	g_assert_cmphex(cert_key_usage(cert), ==,
			wanted_usage(profile, kinds[kind].kind == KEY_KIND_RSA, use));
	for (gsize i = 0; profile->usages[i] != NULL; i++)
		g_assert_true(cert_allows_purpose(cert, profile->usages[i]));
	g_assert_cmpint((int)g_strv_length((GStrv)profile->usages), ==, 1);
	g_assert_false(cert_allows_purpose(cert, "2.5.29.37.0"));
	g_assert_nonnull(purposes);
	g_assert_cmpint(seconds % 86400, ==, 0);
	g_assert_cmpint(seconds / 86400, <=, profile->days_max);
	g_assert_cmpint(cert_not_before(cert), ==, FIXTURE_NOW - 600);
	g_assert_cmpuint(strlen(cert_serial_hex(cert)), >=, 20);
	g_assert_cmpuint(strlen(cert_serial_hex(cert)), <=, 32);
	g_assert_cmpstr(cert_aki(cert), ==, cert_ski(issuer));
	g_assert_nonnull(cert_ski(cert));
	if (profile->policy != NULL)
		g_assert_nonnull(strstr(policies, profile->policy));
	if (profile->kind == CA_KIND_OCSP) {
		g_assert_null(cert_crl_urls(cert)[0]);
		g_assert_null(cert_ocsp_urls(cert)[0]);
		g_assert_cmpstr(policies, ==, "");
	} else {
		g_assert_nonnull(strstr(policies, "1.3.6.1.4.1.99999.1"));
		g_assert_true(
		    g_str_has_prefix(cert_crl_urls(cert)[0], "http://pki.example.com/crl/"));
		g_assert_true(
		    g_str_has_prefix(cert_ocsp_urls(cert)[0], "http://pki.example.com/ocsp/"));
		g_assert_true(
		    g_str_has_prefix(cert_ca_issuer_urls(cert)[0], "http://pki.example.com/ca/"));
	}
	check_subject(cert, profile);
	g_assert_cmpint(cert_emails(cert)->len, ==,
			profile->smime || profile->kind == CA_KIND_TLS_CLIENT ||
				profile->kind == CA_KIND_OCSP
			    ? 1
			    : 0);
}

static void
test_profiles(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;
	gsize n;
	const struct ca_profile *profiles = ca_profiles(&n);
	const char *const dns_names[] = { "WWW.Example.com", "example.com", NULL };

	if (!fixture_up(&f))
		return;
	set_organisation(&f);
	struct ca_created mail = fixture_ca(&f, "ec:P-256");
	struct ca_create options = { .use = "tls",
				     .under = cert_common_name(mail.root),
				     .intermediate.key = "ec:P-384" };
	struct ca_created tls;
	g_assert_true(fixture_ca_create(&f, &options, &tls, &error));
	g_assert_no_error(error);
	write_out(mail.root, "root");
	write_out(mail.intermediate, "intermediate");
	write_out(tls.intermediate, "tls-intermediate");
	for (gsize k = 0; k < G_N_ELEMENTS(kinds); k++) {
		CLEANUP(key) struct key *key = key_generate(kinds[k].kind, kinds[k].bits, &error);
		g_autoptr(GBytes) csr = csr_of(key);
		for (gsize i = 0; i < n * G_N_ELEMENTS(uses); i++) {
			const struct ca_profile *profile = &profiles[i / G_N_ELEMENTS(uses)];
			gsize use = i % G_N_ELEMENTS(uses);
			gboolean server = profile->kind == CA_KIND_TLS_SERVER;
			gboolean for_tls = server || profile->kind == CA_KIND_TLS_CLIENT;
			g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
			struct wish wish = {
				.f = &f,
				.public_url = "http://pki.example.com/",
				.csr = csr,
				.subject = { "erika@example.com", "Erika Muster", "Example GmbH",
					     "Erika", "Muster", server ? dns_names : NULL },
				.options = { .crl_url = TRUE,
					     .profile = profile->name,
					     .key_use = uses[use],
					     .warnings = warnings },
			};
			g_autofree char *what =
			    g_strdup_printf("%s_%s_%s", profile->name, kinds[k].key, uses[use]);
			g_test_message("%s", what);
			gboolean good = db_transaction(f.db, issue_tx, &wish, &error);
			if (!profile->smime && use == 2) {
				g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
				g_clear_error(&error);
				continue;
			}
			g_assert_no_error(error);
			g_assert_true(good);
			check(wish.cert, profile, for_tls ? tls.intermediate : mail.intermediate, k,
			      use);
			/* Only the name that a mailbox or an organisation does not take is said. */
			g_assert_cmpuint(warnings->len, ==,
					 profile->kind == CA_KIND_MAILBOX ||
						 profile->kind == CA_KIND_ORGANISATION
					     ? 1
					     : 0);
			write_out(wish.cert, what);
			cert_unref(wish.cert);
		}
	}
	ca_created_clear(&tls);
	ca_created_clear(&mail);
	fixture_down(&f);
}

/* "smime": the names choose the profile, and what is missing is made up or said. */
static void
test_names_choose(void)
{
	static const struct {
		const char *what, *email, *cn, *org, *first, *last, *subject, *policy, *warns;
		gboolean no_id;
	} rows[] = {
		{ "the address alone: mailbox", "bob@example.com", "Bob@Example.com", NULL, NULL,
		  NULL, "CN=bob@example.com", "5.1.2", NULL, FALSE },
		{ "two words: a person", "bob@example.com", "Bob van Example", NULL, NULL, NULL,
		  "SN=Example, GN=Bob van, CN=Bob van Example", "5.4.2", NULL, FALSE },
		{ "the other way round", "bob@example.com", "Example, Bob", NULL, NULL, NULL,
		  "SN=Example, GN=Bob, CN=\"Example, Bob\"", "5.4.2", NULL, FALSE },
		{ "one word: a surname", "bob@example.com", "Bob", NULL, NULL, NULL,
		  "SN=Bob, CN=Bob", "5.4.2", NULL, FALSE },
		{ "an organisation's person", "bob@example.com", "Bob Example", "Example GmbH",
		  NULL, NULL,
		  "SN=Example, GN=Bob, CN=Bob Example, "
		  "organizationIdentifier=NTRDE-DER3306.HRB12345, O=Example GmbH, C=DE",
		  "5.3.2", NULL, FALSE },
		{ "the organisation itself", "info@example.com", "Example GmbH", "Example GmbH",
		  NULL, NULL,
		  "CN=Example GmbH, organizationIdentifier=NTRDE-DER3306.HRB12345, O=Example GmbH, "
		  "C=DE",
		  "5.2.2", NULL, FALSE },
		{ "another organisation: nothing is known of its registration", "bob@example.com",
		  "Bob Example", "Other Ltd", NULL, NULL,
		  "SN=Example, GN=Bob, CN=Bob Example, O=Other Ltd", "5.3.2", "7.1.4.2.2 d",
		  FALSE },
		{ "no registration is set", "bob@example.com", "Bob Example", "Example GmbH", NULL,
		  NULL, "SN=Example, GN=Bob, CN=Bob Example, O=Example GmbH", "5.3.2",
		  "organisation_id", TRUE },
		{ "another address as name is none", "bob@example.com", "eve@example.com", NULL,
		  NULL, NULL, "CN=bob@example.com", "5.1.2", "7.1.4.2.2 a", FALSE },
	};
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	set_organisation(&f);
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	CLEANUP(key) struct key *key = key_generate(KEY_KIND_EC, 256, &error);
	g_autoptr(GBytes) csr = csr_of(key);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
		struct wish wish = { .f = &f,
				     .public_url = "http://pki.example.com",
				     .csr = csr,
				     .subject = { rows[i].email, rows[i].cn, rows[i].org,
						  rows[i].first, rows[i].last, NULL },
				     .options = { .crl_url = TRUE, .warnings = warnings } };

		g_test_message("%s", rows[i].what);
		set(&f, "organisation_id", rows[i].no_id ? "" : "NTRDE-DER3306.HRB12345");
		g_assert_true(db_transaction(f.db, issue_tx, &wish, &error));
		g_assert_no_error(error);
		g_assert_cmpstr(cert_subject(wish.cert), ==, rows[i].subject);
		g_autofree char *policies = facts_of(wish.cert, "policy");
		g_assert_nonnull(strstr(policies, rows[i].policy));
		g_assert_cmpuint(warnings->len, ==, rows[i].warns != NULL ? 1 : 0);
		if (rows[i].warns != NULL)
			g_assert_nonnull(strstr(g_ptr_array_index(warnings, 0), rows[i].warns));
		cert_unref(wish.cert);
	}
	ca_created_clear(&ca);
	fixture_down(&f);
}

static void
test_refuses(void)
{
	static const struct {
		const char *what, *email, *cn, *org, *profile, *use, *says;
		gint64 days;
	} rows[] = {
		{ "an unknown profile", "bob@example.com", "Bob", NULL, "mailbox-strickt", NULL,
		  "did you mean 'mailbox-strict'", 0 },
		{ "an unknown use", "bob@example.com", "Bob", NULL, NULL, "both", "dual, sign", 0 },
		{ "sponsor without organisation", "bob@example.com", "Bob", NULL, "sponsor-strict",
		  NULL, "needs an organisation", 0 },
		{ "sponsor without registration", "bob@example.com", "Bob", "Example GmbH",
		  "sponsor", NULL, "organisation_id", 0 },
		{ "organisation without registration", "bob@example.com", "Bob", "Example GmbH",
		  "organisation-strict", NULL, "organisation_id", 0 },
		{ "a person without a name", "bob@example.com", "bob@example.com", NULL,
		  "individual-strict", NULL, "first or last name", 0 },
		{ "no address", NULL, "Bob", NULL, "mailbox", NULL, "needs a mail address", 0 },
		{ "a name that says nothing", "bob@example.com", "- -", NULL, NULL, NULL,
		  "says nothing", 0 },
		{ "a name read backwards", "bob@example.com",
		  "Bob \xe2\x80\xae"
		  "eliB",
		  NULL, NULL, NULL, "no name may have", 0 },
		{ "a name of two lines", "bob@example.com",
		  "Bob\xe2\x80\xa8"
		  "Boss",
		  NULL, NULL, NULL, "no name may have", 0 },
		{ "TLS by a CA for mail", "bob@example.com", "Bob", NULL, "tls-client", NULL,
		  "--use tls", 0 },
		{ "TLS without names", "bob@example.com", "Bob", NULL, "tls-server", NULL,
		  "DNS name", 0 },
		{ "longer than the CA", "bob@example.com", "Bob", NULL, NULL, NULL, "ends on",
		  3653 },
		{ "no time at all", "bob@example.com", "Bob", NULL, NULL, NULL, "1 to 3653", -1 },
	};
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	CLEANUP(key) struct key *key = key_generate(KEY_KIND_EC, 256, &error);
	g_autoptr(GBytes) csr = csr_of(key);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) why = NULL;
		struct wish wish = { .f = &f,
				     .csr = csr,
				     .subject = { rows[i].email, rows[i].cn, rows[i].org, NULL,
						  NULL, NULL },
				     .options = { .profile = rows[i].profile,
						  .key_use = rows[i].use,
						  .days = rows[i].days } };

		g_test_message("%s", rows[i].what);
		g_assert_false(db_transaction(f.db, issue_tx, &wish, &why));
		g_test_message("%s", why->message);
		g_assert_nonnull(strstr(why->message, rows[i].says));
	}
	ca_created_clear(&ca);
	fixture_down(&f);
}

struct extend {
	gint64 ca_id;
	const char *profile;
	GPtrArray *rows;
};

static gboolean
extend_tx(struct tx *tx, gpointer data, GError **error)
{
	const struct extend *extend = data;

	return ca_extensions_replace(tx, extend->ca_id, extend->profile, extend->rows, error);
}

static void
test_extensions(void)
{
	static const struct {
		const char *what, *text, *says; /* says NULL: good */
	} rows[] = {
		{ "policies in a section",
		  "# ours\ncertificatePolicies = 2.23.140.1.5.1.2, @more\n[more]\npolicyIdentifier "
		  "= "
		  "1.3.6.1.4.1.99999.9\nCPS.1 = http://pki.example.com/cps\n",
		  NULL },
		{ "an OID of one's own", "1.3.6.1.4.1.99999.7 = critical,ASN1:UTF8String:text\n",
		  NULL },
		{ "basic constraints", "basicConstraints = CA:TRUE\n", "cannot be set" },
		{ "by OID", "2.5.29.19 = DER:30:03:01:01:FF\n", "cannot be set" },
		{ "usages", "keyUsage = keyCertSign\n", "cannot be set" },
		{ "names", "subjectAltName = email:eve@example.com\n", "cannot be set" },
		{ "another file", ".include /etc/passwd\n", "directives" },
		{ "a variable", "nsComment = $ENV::HOME\n", "variables" },
		{ "twice", "nsComment = a\n2.16.840.1.113730.1.13 = DER:16:01:61\n", "twice" },
		{ "no such extension", "certificatePolicy = 1.2.3\n", "neither" },
		{ "a broken value", "crlDistributionPoints = URI\n", "cannot be read" },
		{ "nothing", "# nothing\n", "no extension" },
	};
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	CLEANUP(key) struct key *key = key_generate(KEY_KIND_EC, 256, &error);
	g_autoptr(GBytes) csr = csr_of(key);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) why = NULL;
		g_autoptr(GBytes) file = g_bytes_new_static(rows[i].text, strlen(rows[i].text));
		g_autoptr(GPtrArray) texts = issue_extensions_parse(file, &why);

		g_test_message("%s", rows[i].what);
		if (rows[i].says != NULL) {
			g_assert_null(texts);
			g_test_message("%s", why->message);
			g_assert_nonnull(strstr(why->message, rows[i].says));
			continue;
		}
		g_assert_no_error(why);
		const struct issue_extension_text *text = g_ptr_array_index(texts, 0);
		struct ca_extension_row row = { (char *)"mailbox-multipurpose", text->name,
						text->value };
		g_autoptr(GPtrArray) all = g_ptr_array_new();
		g_ptr_array_add(all, &row);
		struct extend extend = { ca.id, row.profile, all };
		g_assert_true(db_transaction(f.db, extend_tx, &extend, &error));
		struct wish wish = { .f = &f,
				     .csr = csr,
				     .subject = { .email = "bob@example.com" } };
		g_assert_true(db_transaction(f.db, issue_tx, &wish, &error));
		g_assert_no_error(error);
		g_autofree char *says = issue_extension_describe(text->name, text->value);
		g_test_message("%s", says);
		g_autofree char *policies = facts_of(wish.cert, "policy");
		g_assert_true((strstr(policies, "99999.9") != NULL) == (i == 0));
		cert_unref(wish.cert);
	}
	ca_created_clear(&ca);
	fixture_down(&f);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/ca/every profile, key and use", test_profiles);
	g_test_add_func("/ca/names choose the profile", test_names_choose);
	g_test_add_func("/ca/refuses, and says what is missing", test_refuses);
	g_test_add_func("/ca/extensions of a site's own", test_extensions);
	int result = g_test_run();
	scratch_pg_stop(pg);
	return result;
}
