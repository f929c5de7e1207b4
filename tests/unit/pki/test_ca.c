/*
 * The built-in CA: what it makes, what it refuses, what it revokes.
 */
#include "tests/unit/pki/pki_fixture.h"

#include "pki/crypto/chain.h"
#include "pki/crypto/crl.h"
#include "pki/crypto/csr.h"
#include "pki/crypto/issue.h"
#include "store/cas.h"
#include "store/crl_entries.h"
#include "store/roots.h"

static void
assert_fact(const struct cert *cert, const char *name, const char *part)
{
	g_autoptr(GPtrArray) facts = cert_facts(cert);
	gboolean found = FALSE;

	for (guint i = 0; i < facts->len; i++) {
		const struct fact *fact = g_ptr_array_index(facts, i);
		if (strcmp(fact->name, name) == 0 && strstr(fact->value, part) != NULL)
			found = TRUE;
	}
	if (!found)
		g_test_message("no fact %s with %s", name, part);
	g_assert_true(found);
}

static void
test_create(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	g_assert_true(cert_is_ca(ca.root));
	g_assert_true(cert_is_self_signed(ca.root));
	g_assert_true(cert_is_issued_by(ca.intermediate, ca.root));
	g_assert_cmpint(cert_path_length(ca.root), ==, -1);
	g_assert_cmpint(cert_path_length(ca.intermediate), ==, 0);
	g_assert_cmpint(cert_not_before(ca.root), ==, FIXTURE_NOW - 600);
	g_assert_cmpint(cert_not_after(ca.intermediate), <=, cert_not_after(ca.root));
	g_assert_cmpstr(cert_aki(ca.intermediate), ==, cert_ski(ca.root));
	g_assert_cmpstr(cert_common_name(ca.root), ==, "Postseal Root CA 2027-01-15-1");
	g_assert_cmpint(roots_count(f.db, &error), ==, 1);

	CLEANUP(ca_row) struct ca_row *row = cas_find(f.db, NULL, &error);
	g_assert_no_error(error);
	g_assert_true(row->is_default);
	g_assert_cmpstr(row->thumbprint, ==, cert_thumbprint(ca.intermediate));
	/* Empty lists of both are there at once. */
	g_autoptr(GPtrArray) lists = crls_list(f.db, &error);
	g_assert_cmpuint(lists->len, ==, 2);
	g_autoptr(GPtrArray) chain = ca_chain(f.db, row, &error);
	g_assert_cmpuint(chain->len, ==, 2);
	ca_created_clear(&ca);
	fixture_down(&f);
}

static void
test_create_refuses(void)
{
	static const struct {
		const char *what;
		struct ca_create options;
		const char *says;
	} rows[] = {
		{ "1024 bits", { .root = { .key = "rsa:1024" } }, "rsa:2048" },
		{ "SHA-1", { .root = { .digest = "sha1", .key = "ec:P-256" } }, "sha256" },
		{ "one name for both",
		  { .root = { .common_name = "Our CA" },
		    .intermediate = { .common_name = "our ca" } },
		  "different common names" },
		{ "an intermediate that outlives the root",
		  { .root = { .days = 100 }, .intermediate = { .days = 101 } },
		  "at most 100" },
		{ "a name that is taken",
		  { .root = { .common_name = "Taken", .key = "ec:P-256" },
		    .intermediate = { .common_name = "Fresh", .key = "ec:P-256" } },
		  "in the store already" },
	};
	struct fixture f = { 0 };
	struct ca_create taken = {
		.root = { .common_name = "Taken", .key = "ec:P-256" },
		.intermediate = { .key = "ec:P-256" },
	};
	struct ca_created created;
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	g_assert_true(fixture_ca_create(&f, &taken, &created, &error));
	ca_created_clear(&created);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) why = NULL;
		g_test_message("%s", rows[i].what);
		g_assert_false(fixture_ca_create(&f, &rows[i].options, &created, &why));
		g_assert_error(why, PS_ERROR, PS_ERROR_INVALID);
		g_test_message("%s", why->message);
		g_assert_nonnull(strstr(why->message, rows[i].says));
	}
	g_autoptr(GPtrArray) cas = cas_list(f.db, &error);
	g_assert_cmpuint(cas->len, ==, 1);
	/* The first is the default although nobody said so; its root was not trusted. */
	g_assert_cmpint(roots_count(f.db, &error), ==, 0);
	fixture_down(&f);
}

static void
test_issue(void)
{
	static const struct {
		const char *what, *ca_key, *key, *email, *cn, *org, *policy;
		unsigned int usage;
	} rows[] = {
		{ "RSA, dual use", "ec:P-256", "rsa:2048", "Bob@Example.com", "bob@example.com",
		  NULL, "2.23.140.1.5.1.2",
		  KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_KEY_ENCIPHERMENT },
		{ "EC, dual use", "rsa:2048", "ec:P-256", "eve@example.com", "Eve Example", NULL,
		  "2.23.140.1.5.4.2", KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_KEY_AGREEMENT },
		{ "a non-ASCII local part", "ec:P-384", "ec:P-384", "j\xc3\xb6rg@example.com",
		  "J\xc3\xb6rg", "Example", "2.23.140.1.5.3.2",
		  KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_KEY_AGREEMENT },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct fixture f = { 0 };
		g_autoptr(GError) error = NULL;
		if (!fixture_up(&f))
			return;
		g_test_message("%s", rows[i].what);
		struct ca_created ca = fixture_ca(&f, rows[i].ca_key);
		struct enroll_order order = { .email = rows[i].email,
					      .common_name = rows[i].cn,
					      .organisation = rows[i].org,
					      .key = rows[i].key };
		CLEANUP(cert) struct cert *cert = fixture_issue(&f, &order);
		g_assert_true(cert_is_issued_by(cert, ca.intermediate));
		g_assert_cmphex(cert_key_usage(cert), ==, rows[i].usage);
		g_assert_true(cert_has_email_purpose(cert));
		g_assert_cmpint(cert_not_before(cert), ==, FIXTURE_NOW - 600);
		g_assert_cmpint(cert_not_after(cert) - cert_not_before(cert) + 1, ==, 365 * 86400);
		g_assert_cmpuint(strlen(cert_serial_hex(cert)), >=, 24);
		g_assert_nonnull(cert_ski(cert));
		g_assert_cmpstr(cert_aki(cert), ==, cert_ski(ca.intermediate));
		assert_fact(cert, "policy", rows[i].policy);
		CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(rows[i].email, &error);
		g_assert_true(cert_has_email(cert, address));

		CLEANUP(cert_row)
		struct cert_row *row = certs_find(f.db, cert_thumbprint(cert), &error);
		g_assert_true(row->has_key);
		g_assert_cmpstr(row->own_ca, ==, cert_thumbprint(ca.intermediate));
		g_assert_cmpint(row->issued, ==, FIXTURE_NOW);

		g_autoptr(GPtrArray) anchors = g_ptr_array_new();
		g_autoptr(GPtrArray) others = g_ptr_array_new();
		g_ptr_array_add(anchors, ca.root);
		g_ptr_array_add(others, ca.intermediate);
		struct chain_options options = { .anchors = anchors,
						 .untrusted = others,
						 .at = FIXTURE_NOW,
						 .email = address,
						 .purpose = CHAIN_PURPOSE_ENCRYPT };
		CLEANUP(chain_report)
		struct chain_report *report = chain_check(cert, &options, &error);
		g_assert_cmpstr(report->reason, ==, "");
		g_assert_cmpint(report->verdict, ==, CHAIN_VALID);
		ca_created_clear(&ca);
		fixture_down(&f);
	}
}

struct act {
	struct fixture *f;
	const char *name, *value, *serial, *reason;
	gboolean unknown;
	struct ca_crl crl;
	GBytes *der;
};

static gboolean
set_tx(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return ca_defaults_set(tx, act->name, act->value, error);
}

static gboolean
revoke_tx(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	struct ca_context context = fixture_ca_context(act->f);

	return ca_revoke(&context, NULL, act->serial, act->reason, act->unknown, tx, error);
}

static gboolean
crl_tx(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	struct ca_context context = fixture_ca_context(act->f);

	act->der = ca_make_crl(&context, NULL, &act->crl, tx, error);
	return act->der != NULL;
}

static void
test_crl_url(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	struct act act = { .name = "crl_url", .value = "http://pki.example.com/%s.crl" };
	g_assert_true(db_transaction(f.db, set_tx, &act, &error));
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	struct enroll_order order = { .email = "bob@example.com",
				      .common_name = "Bob",
				      .key = "ec:P-256" };
	CLEANUP(cert) struct cert *with = fixture_issue(&f, &order);
	g_autofree char *url =
	    g_strdup_printf("http://pki.example.com/%s.crl", cert_ski(ca.intermediate));
	g_assert_cmpstr(cert_crl_urls(with)[0], ==, url);
	order.crl_url = ENROLL_NO;
	CLEANUP(cert) struct cert *refused = fixture_issue(&f, &order);
	g_assert_null(cert_crl_urls(refused)[0]);
	act = (struct act){ .name = "add_crl_url", .value = "off" };
	g_assert_true(db_transaction(f.db, set_tx, &act, &error));
	order.crl_url = ENROLL_AS_DEFAULT;
	CLEANUP(cert) struct cert *without = fixture_issue(&f, &order);
	g_assert_null(cert_crl_urls(without)[0]);
	order.crl_url = ENROLL_YES;
	CLEANUP(cert) struct cert *asked = fixture_issue(&f, &order);
	g_assert_cmpstr(cert_crl_urls(asked)[0], ==, url);
	ca_created_clear(&ca);
	fixture_down(&f);
}

static void
test_defaults(void)
{
	static const struct {
		const char *name, *value, *says;
	} rows[] = {
		{ "validity_dais", "10", "did you mean 'validity_days'" },
		{ "validity_days", "0", "1 to 3653" },
		{ "validity_days", "10x", "1 to 3653" },
		{ "validity_days", "+10", "1 to 3653" },
		{ "key", "rsa:1024", "rsa:2048" },
		{ "digest", "sha1", "sha256" },
		{ "crl_url", "https://x/", "http://" },
		{ "crl_url", "http://x/%s%n", "at most one %s" },
		{ "policy", "1..2", "object identifier" },
		{ "policy", "2.23.140.1.5.1.2", "follows from the profile" },
		{ "policy", "1.3.6.1.4.1.99999.1 2.5.29.32.0", "follows from the profile" },
		{ "store_password", "maybe", "on or off" },
		{ "country", "de", "capital letters" },
		{ "generation", "legacy", "multipurpose or strict" },
		{ "key_pair", "both", "pair" },
		{ "renew_days", "-1", "0 to 365" },
		{ "crl_partition_entries", "0", "1 to 5000000" },
		{ "mail_from", "nobody", "mail address" },
		{ "cps_url", "ldap://x/", "https://" },
		{ "organisation",
		  "a name that is longer than the sixty-four characters that it may have",
		  "64 characters" },
		{ "organisation_id", "Example", "schemes" },
		{ "organisation_id", "VATD-1", "registration such as" },
		{ "organisation_id", "VATDE", "behind a hyphen" },
		{ "organisation_id", "LEIXG-529900T8BM49AURSDO56", "LEI" },
		{ "organisation_id", "LEIDE-529900T8BM49AURSDO55", "LEI" },
		{ "organisation_id", "GOVUS-1", "country alone" },
		{ "organisation_id", "INTDE", "INTXG" },
		{ "organisation_id", "PSDBE+X-1", "subdivision" },
	};
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct act act = { .name = rows[i].name, .value = rows[i].value };
		g_autoptr(GError) why = NULL;
		g_assert_false(db_transaction(f.db, set_tx, &act, &why));
		g_assert_error(why, PS_ERROR, PS_ERROR_INVALID);
		g_test_message("%s", why->message);
		g_assert_nonnull(strstr(why->message, rows[i].says));
	}
	struct act act = { .name = "validity_days", .value = "90" };
	g_assert_true(db_transaction(f.db, set_tx, &act, &error));
	CLEANUP(ca_defaults) struct ca_defaults *defaults = ca_defaults_load(f.db, &error);
	g_assert_cmpint(defaults->validity_days, ==, 90);
	g_assert_cmpstr(defaults->key, ==, "rsa:3072");
	g_autoptr(GPtrArray) texts = ca_defaults_describe(defaults);
	g_assert_cmpuint(texts->len % 3, ==, 0);
	fixture_down(&f);
}

static void
test_serials(void)
{
	static const struct {
		const char *text, *serial;
	} rows[] = {
		{ "0A:bc", "abc" }, { "0xABC", "abc" }, { "ab c", "abc" }, { "00ab", "ab" },
		{ "", NULL },       { "0", NULL },      { "xyz", NULL },   { "-1-", "1" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *serial = ca_serial_normalise(rows[i].text, NULL);
		g_assert_cmpstr(serial, ==, rows[i].serial);
	}
}

static void
test_revoke(void)
{
	struct fixture f = { 0 };
	struct revoked_row entry;
	gboolean found;
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	struct enroll_order order = { .email = "bob@example.com",
				      .common_name = "Bob",
				      .key = "ec:P-256" };
	CLEANUP(cert) struct cert *cert = fixture_issue(&f, &order);
	g_autofree char *spelt = g_ascii_strup(cert_serial_hex(cert), -1);

	struct act act = { .f = &f, .serial = "1234" };
	g_assert_false(db_transaction(f.db, revoke_tx, &act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_DENIED);
	g_clear_error(&error);
	act = (struct act){ .f = &f, .serial = spelt, .reason = "stolen" };
	g_assert_false(db_transaction(f.db, revoke_tx, &act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_clear_error(&error);
	act.reason = "keyCompromise";
	g_assert_true(db_transaction(f.db, revoke_tx, &act, &error));
	g_assert_false(db_transaction(f.db, revoke_tx, &act, &error)); /* twice */
	g_clear_error(&error);

	clock_set(f.clock, FIXTURE_NOW + 3600);
	g_assert_true(db_transaction(f.db, crl_tx, &act, &error));
	g_assert_no_error(error);
	CLEANUP(crl) struct crl *crl = crl_parse(act.der, &error);
	g_bytes_unref(act.der);
	g_assert_true(crl_is_signed_by(crl, ca.intermediate));
	g_assert_cmpuint(crl_entry_count(crl), ==, 1);
	g_assert_cmpint(crl_next_update(crl), ==, FIXTURE_NOW + 3600 + 7 * 86400);
	g_assert_true(crls_revoked(f.db, cert_issuer_key(cert), cert_serial_hex(cert), &found,
				   &entry, &error));
	g_assert_true(found);
	g_assert_cmpint(entry.reason, ==, REVOCATION_KEY_COMPROMISE);
	g_assert_cmpint(entry.revoked_at, ==, FIXTURE_NOW);
	/* The newer list took the empty one's place. */
	g_autoptr(GPtrArray) lists = crls_list(f.db, &error);
	g_assert_cmpuint(lists->len, ==, 2);

	act.crl.anew = TRUE;
	g_assert_false(db_transaction(f.db, crl_tx, &act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_DENIED);
	g_assert_nonnull(strstr(error->message, cert_serial_hex(cert)));
	g_clear_error(&error);
	act.crl.confirmed = TRUE;
	g_assert_true(db_transaction(f.db, crl_tx, &act, &error));
	g_bytes_unref(act.der);
	g_assert_true(crls_revoked(f.db, cert_issuer_key(cert), cert_serial_hex(cert), &found,
				   &entry, &error));
	g_assert_false(found);
	ca_created_clear(&ca);
	fixture_down(&f);
}

static gboolean
set_back_tx(struct tx *tx, gpointer data, GError **error)
{
	static const struct statement set_back = { "test_set_back",
						   "UPDATE ca SET crl_number = 1" };

	(void)data;
	CLEANUP(rows) struct rows *rows = tx_query(tx, &set_back, params_new(), error);
	return rows != NULL;
}

static struct crl *
next_list(struct fixture *f, gint64 at)
{
	g_autoptr(GError) error = NULL;
	struct act act = { .f = f };

	clock_set(f->clock, at);
	g_assert_true(db_transaction(f->db, crl_tx, &act, &error));
	g_assert_no_error(error);
	struct crl *crl = crl_parse(act.der, &error);
	g_assert_no_error(error);
	g_bytes_unref(act.der);
	return crl;
}

/* Lists are numbered on, whatever a restore or a clock does: others take no smaller one. */
static void
test_numbers(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	CLEANUP(crl) struct crl *published = next_list(&f, FIXTURE_NOW + 3600);
	CLEANUP(crl) struct crl *same_time = next_list(&f, FIXTURE_NOW + 3600);
	g_assert_cmpint(crl_number_compare(crl_number(same_time), crl_number(published)), >, 0);
	CLEANUP(crl) struct crl *clock_back = next_list(&f, FIXTURE_NOW - 86400);
	g_assert_cmpint(crl_number_compare(crl_number(clock_back), crl_number(same_time)), >, 0);
	g_assert_true(db_transaction(f.db, set_back_tx, NULL, &error));
	CLEANUP(crl) struct crl *restored = next_list(&f, FIXTURE_NOW + 7200);
	g_assert_cmpint(crl_number_compare(crl_number(restored), crl_number(clock_back)), >, 0);
	ca_created_clear(&ca);
	fixture_down(&f);
}

struct external {
	struct fixture *f;
	struct ca_create options;
	GBytes *csr;
	gint64 id;
	struct cert *cert;
	char *name;
};

static gboolean
external_tx(struct tx *tx, gpointer data, GError **error)
{
	struct external *act = data;

	struct ca_context context = fixture_ca_context(act->f);

	act->csr = ca_create_external(&context, &act->options, &act->id, tx, error);
	return act->csr != NULL;
}

static gboolean
take_tx(struct tx *tx, gpointer data, GError **error)
{
	struct external *act = data;

	struct ca_context context = fixture_ca_context(act->f);

	return ca_take_cert(&context, act->cert, &act->name, tx, error);
}

/* Somebody else's root, which is not in our database. */
static struct cert *
foreign_intermediate(GBytes *csr_bytes, gboolean ca)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(key) struct key *key = key_generate(KEY_KIND_EC, 256, &error);
	CLEANUP(csr) struct csr *csr = csr_parse(csr_bytes, &error);
	struct issue_spec spec = { .names = { .common_name = "Foreign Root" },
				   .spki = key_spki(key),
				   .not_before = FIXTURE_NOW - 86400,
				   .not_after = FIXTURE_NOW + 5000 * 86400,
				   .ca = TRUE,
				   .path_length = -1,
				   .key_usage = KEY_USAGE_CERT_SIGN | KEY_USAGE_CRL_SIGN };
	CLEANUP(cert) struct cert *root = issue_cert(&spec, NULL, key, &error);
	g_assert_no_error(error);
	spec.names.common_name = "Example Mail CA";
	spec.spki = csr_spki(csr);
	spec.not_after -= 86400;
	spec.ca = ca;
	spec.key_usage = ca ? spec.key_usage : KEY_USAGE_DIGITAL_SIGNATURE;
	struct cert *cert = issue_cert(&spec, root, key, &error);
	g_assert_no_error(error);
	return cert;
}

static void
test_external_root(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;
	gint64 id;

	if (!fixture_up(&f))
		return;
	struct external act = { .f = &f,
				.options.intermediate = { .common_name = "Example Mail CA",
							  .key = "ec:P-256" } };
	g_assert_true(db_transaction(f.db, external_tx, &act, &error));
	g_autoptr(GBytes) again = ca_external_csr(f.db, "Example Mail CA", &error);
	g_assert_true(g_bytes_equal(again, act.csr));

	/* Until the certificate comes nothing is issued, and it is said why. */
	struct enroll enroll = fixture_enroll(&f);
	struct enroll_order order = { .email = "bob@example.com",
				      .common_name = "Bob",
				      .key = "ec:P-256" };
	g_assert_false(fixture_order(&enroll, &order, &id, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_assert_nonnull(strstr(error->message, "external root"));
	g_clear_error(&error);

	CLEANUP(cert) struct cert *wrong = foreign_intermediate(act.csr, FALSE);
	CLEANUP(cert) struct cert *right = foreign_intermediate(act.csr, TRUE);
	act.cert = wrong;
	g_assert_false(db_transaction(f.db, take_tx, &act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_clear_error(&error);
	act.cert = right;
	g_assert_true(db_transaction(f.db, take_tx, &act, &error));
	g_assert_no_error(error);
	g_assert_cmpstr(act.name, ==, "Example Mail CA");
	CLEANUP(cert) struct cert *cert = fixture_issue(&f, &order);
	g_assert_true(cert_is_issued_by(cert, right));
	g_autoptr(GPtrArray) lists = crls_list(f.db, &error);
	g_assert_cmpuint(lists->len, ==, 1);
	struct act crl = { .f = &f };
	g_assert_true(db_transaction(f.db, crl_tx, &crl, &error));
	g_bytes_unref(crl.der);
	/* Nobody waits for it a second time. */
	g_assert_false(db_transaction(f.db, take_tx, &act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	g_free(act.name);
	g_bytes_unref(act.csr);
	fixture_down(&f);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/ca/root and intermediate in one step", test_create);
	g_test_add_func("/ca/refuses what must not be made", test_create_refuses);
	g_test_add_func("/ca/issues to the profiles", test_issue);
	g_test_add_func("/ca/CRL distribution point", test_crl_url);
	g_test_add_func("/ca/defaults are checked", test_defaults);
	g_test_add_func("/ca/spellings of serials", test_serials);
	g_test_add_func("/ca/revokes and makes CRLs", test_revoke);
	g_test_add_func("/ca/numbers", test_numbers);
	g_test_add_func("/ca/under an external root", test_external_root);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
