/*
 * Our own OCSP responder: what it says of what, how long an answer stays, and who signs it.
 */
#include "tests/unit/pki/pki_fixture.h"

#include "pki/ca.h"
#include "pki/crypto/ocsp.h"
#include "pki/ocsp_ahead.h"
#include "pki/ocsp_delegate.h"
#include "pki/ocsp_issuers.h"
#include "pki/ocsp_responder.h"
#include "store/ocsp_answers.h"

#define HOUR 3600
#define DAY 86400

static const struct ocsp_policy policy = { 2 * DAY, FALSE };

struct site {
	struct fixture f;
	struct ca_created ca;
	struct cert *leaf;
	struct ocsp_responder *one, *two; /* two daemons */
};

static gboolean
site_up(struct site *site)
{
	memset(site, 0, sizeof *site);
	if (!fixture_up(&site->f))
		return FALSE;
	site->ca = fixture_ca(&site->f, "ec:P-256");
	const struct enroll_order order = { .email = "alice@example.org",
					    .common_name = "Alice",
					    .key = "ec:P-256" };
	site->leaf = fixture_issue(&site->f, &order);
	site->one = ocsp_responder_new(site->f.db, NULL, site->f.clock, site->f.keyring);
	site->two = ocsp_responder_new(site->f.db, NULL, site->f.clock, site->f.keyring);
	return TRUE;
}

static void
site_down(struct site *site)
{
	ocsp_responder_free(site->one);
	ocsp_responder_free(site->two);
	cert_unref(site->leaf);
	ca_created_clear(&site->ca);
	fixture_down(&site->f);
}

static struct ocsp_reply *
ask(struct site *site, struct ocsp_responder *responder, const struct cert *cert,
    const struct cert *issuer, const char *nonce, gboolean repeat)
{
	g_autoptr(GBytes) sent = nonce != NULL ? g_bytes_new_static(nonce, strlen(nonce)) : NULL;
	const struct ocsp_question question = {
		.cert = cert, .issuer = issuer, .nonce = sent, .at = clock_now(site->f.clock)
	};
	const struct ocsp_policy how = { policy.validity_seconds, repeat };
	g_autoptr(GBytes) request = ocsp_request(&question, NULL);
	struct ocsp_inquiry inquiry;
	gsize length;
	gconstpointer der = g_bytes_get_data(request, &length);

	g_assert_true(ocsp_inquiry_read(der, length, &inquiry, NULL));
	return ocsp_responder_answer(responder, &inquiry, &how);
}

/* What our own verifier makes of the answer; -1: there is none. */
static int
status_of(struct site *site, const struct cert *cert, const struct cert *issuer,
	  struct ocsp_finding *out)
{
	CLEANUP(ocsp_reply)
	struct ocsp_reply *reply = ask(site, site->one, cert, issuer, NULL, FALSE);
	const struct ocsp_question question = { .cert = cert,
						.issuer = issuer,
						.at = clock_now(site->f.clock) };
	g_autoptr(GError) error = NULL;
	CLEANUP(ocsp_finding)
	struct ocsp_finding *finding = ocsp_read(reply->der, &question, &error);

	if (finding == NULL) {
		g_test_message("%s", error->message);
		return -1;
	}
	g_assert_false(finding->signer_unchecked);
	if (out != NULL) {
		*out = *finding;
		out->signer = NULL;
	}
	return (int)finding->status;
}

struct revocation {
	struct site *site;
	const char *ca, *serial, *reason;
};

static gboolean
revoke_one(struct tx *tx, gpointer data, GError **error)
{
	const struct revocation *revocation = data;
	const struct ca_context context = fixture_ca_context(&revocation->site->f);

	return ca_revoke(&context, revocation->ca, revocation->serial, revocation->reason, TRUE, tx,
			 error);
}

static gboolean
release_one(struct tx *tx, gpointer data, GError **error)
{
	const struct revocation *revocation = data;
	const struct ca_context context = fixture_ca_context(&revocation->site->f);

	return ca_release(&context, revocation->ca, revocation->serial, tx, error);
}

static void
test_good(void)
{
	struct site site;

	if (!site_up(&site))
		return;
	struct ocsp_finding finding;
	g_assert_cmpint(status_of(&site, site.leaf, site.ca.intermediate, &finding), ==, OCSP_GOOD);
	g_assert_cmpint(finding.this_update, ==, FIXTURE_NOW);
	g_assert_cmpint(finding.next_update, ==, FIXTURE_NOW + 2 * DAY);
	g_assert_cmpint(status_of(&site, site.ca.intermediate, site.ca.root, NULL), ==, OCSP_GOOD);
	/* The root knows the intermediate alone, and nobody else's certificates are known. */
	g_assert_cmpint(status_of(&site, site.leaf, site.ca.root, NULL), ==, -1);
	g_assert_cmpint(status_of(&site, site.ca.root, site.ca.intermediate, NULL), ==, -1);
	g_assert_cmpint(status_of(&site, site.leaf, site.leaf, NULL), ==, -1);
	site_down(&site);
}

/* Two daemons give the same octets; after half of the validity there are new ones. */
static void
test_same(void)
{
	struct site site;

	if (!site_up(&site))
		return;
	CLEANUP(ocsp_reply)
	struct ocsp_reply *first =
	    ask(&site, site.one, site.leaf, site.ca.intermediate, NULL, FALSE);
	clock_set(site.f.clock, FIXTURE_NOW + 23 * HOUR);
	CLEANUP(ocsp_reply)
	struct ocsp_reply *second =
	    ask(&site, site.two, site.leaf, site.ca.intermediate, NULL, FALSE);
	g_assert_true(g_bytes_equal(first->der, second->der));
	g_assert_cmpint(first->refresh, ==, FIXTURE_NOW + DAY);
	clock_set(site.f.clock, FIXTURE_NOW + DAY);
	CLEANUP(ocsp_reply)
	struct ocsp_reply *third =
	    ask(&site, site.two, site.leaf, site.ca.intermediate, NULL, FALSE);
	g_assert_false(g_bytes_equal(first->der, third->der));
	g_assert_cmpint(third->this_update, ==, FIXTURE_NOW + DAY);
	CLEANUP(ocsp_reply)
	struct ocsp_reply *fourth =
	    ask(&site, site.one, site.leaf, site.ca.intermediate, NULL, FALSE);
	g_assert_true(g_bytes_equal(third->der, fourth->der));
	site_down(&site);
}

static void
test_revoked(void)
{
	static const struct {
		const char *reason;
		enum crl_reason says;
	} rows[] = {
		{ "keyCompromise", REVOCATION_KEY_COMPROMISE },
		{ NULL, REVOCATION_UNSPECIFIED },
		{ "superseded", REVOCATION_SUPERSEDED },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct site site;
		struct ocsp_finding finding;
		g_autoptr(GError) error = NULL;

		if (!site_up(&site))
			return;
		struct revocation revocation = { &site, NULL, cert_serial_hex(site.leaf),
						 rows[i].reason };
		g_assert_cmpint(status_of(&site, site.leaf, site.ca.intermediate, NULL), ==,
				OCSP_GOOD);
		clock_set(site.f.clock, FIXTURE_NOW + HOUR);
		g_assert_true(db_transaction(site.f.db, revoke_one, &revocation, &error));
		g_assert_no_error(error);
		/* At once: the answer of before has gone with the revocation. */
		g_assert_cmpint(status_of(&site, site.leaf, site.ca.intermediate, &finding), ==,
				OCSP_REVOKED);
		g_assert_cmpint(finding.reason, ==, rows[i].says);
		g_assert_cmpint(finding.revoked_at, ==, FIXTURE_NOW + HOUR);
		site_down(&site);
	}
}

static void
test_hold(void)
{
	struct site site;
	struct ocsp_finding finding;
	g_autoptr(GError) error = NULL;

	if (!site_up(&site))
		return;
	struct revocation revocation = { &site, NULL, cert_serial_hex(site.leaf),
					 "certificateHold" };
	g_assert_true(db_transaction(site.f.db, revoke_one, &revocation, &error));
	g_assert_no_error(error);
	g_assert_cmpint(status_of(&site, site.leaf, site.ca.intermediate, &finding), ==,
			OCSP_REVOKED);
	g_assert_cmpint(finding.reason, ==, REVOCATION_CERTIFICATE_HOLD);
	g_assert_true(db_transaction(site.f.db, release_one, &revocation, &error));
	g_assert_no_error(error);
	g_assert_cmpint(status_of(&site, site.leaf, site.ca.intermediate, NULL), ==, OCSP_GOOD);
	site_down(&site);
}

/* A CA that its root revokes is revoked, and where its key is known to others all below it is. */
static void
test_revoked_ca(void)
{
	static const struct {
		const char *reason;
		enum ocsp_status below;
	} rows[] = { { "cACompromise", OCSP_REVOKED }, { "superseded", OCSP_GOOD } };

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct site site;
		struct ocsp_finding finding;
		g_autoptr(GError) error = NULL;

		if (!site_up(&site))
			return;
		struct revocation revocation = { &site, cert_thumbprint(site.ca.root),
						 cert_serial_hex(site.ca.intermediate),
						 rows[i].reason };
		g_assert_cmpint(status_of(&site, site.leaf, site.ca.intermediate, NULL), ==,
				OCSP_GOOD);
		g_assert_true(db_transaction(site.f.db, revoke_one, &revocation, &error));
		g_assert_no_error(error);
		ocsp_responder_free(site.one); /* there is no change log to tell it */
		site.one = ocsp_responder_new(site.f.db, NULL, site.f.clock, site.f.keyring);
		g_assert_cmpint(status_of(&site, site.ca.intermediate, site.ca.root, &finding), ==,
				OCSP_REVOKED);
		g_assert_cmpint(finding.reason, !=, REVOCATION_UNSPECIFIED);
		g_assert_cmpint(status_of(&site, site.leaf, site.ca.intermediate, NULL), ==,
				rows[i].below);
		site_down(&site);
	}
}

static void
test_nonce(void)
{
	static const char nonce[] = "0123456789abcdef0123456789abcdef";
	struct site site;

	if (!site_up(&site))
		return;
	CLEANUP(ocsp_reply)
	struct ocsp_reply *ignored =
	    ask(&site, site.one, site.leaf, site.ca.intermediate, nonce, FALSE);
	CLEANUP(ocsp_reply)
	struct ocsp_reply *repeated =
	    ask(&site, site.one, site.leaf, site.ca.intermediate, nonce, TRUE);
	g_assert_cmpint(ignored->refresh, >, 0);
	g_assert_cmpint(repeated->refresh, ==, 0);
	g_autoptr(GBytes) sent = g_bytes_new_static(nonce, sizeof nonce - 1);
	const struct ocsp_question question = {
		.cert = site.leaf, .issuer = site.ca.intermediate, .nonce = sent, .at = FIXTURE_NOW
	};
	g_autoptr(GError) error = NULL;
	CLEANUP(ocsp_finding)
	struct ocsp_finding *finding = ocsp_read(repeated->der, &question, &error);
	g_assert_no_error(error);
	g_assert_cmpint(finding->status, ==, OCSP_GOOD);
	site_down(&site);
}

static guint
responders(struct site *site)
{
	g_autoptr(GPtrArray) rows = ocsp_responders_list(site->f.db, NULL);

	return rows->len;
}

/* The job renews responder certificates and answers ahead of time, and clears up. */
static void
test_work(void)
{
	struct site site;
	g_autoptr(GError) error = NULL;
	gboolean left;

	if (!site_up(&site))
		return;
	g_assert_true(ocsp_responder_work(site.one, &policy, 100, &left, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(responders(&site), ==, 2); /* of the CA and of its root */
	g_assert_true(ocsp_responder_work(site.two, &policy, 100, &left, &error));
	g_assert_cmpuint(responders(&site), ==, 2);
	CLEANUP(ocsp_reply)
	struct ocsp_reply *first =
	    ask(&site, site.one, site.leaf, site.ca.intermediate, NULL, FALSE);
	clock_set(site.f.clock, FIXTURE_NOW + DAY - OCSP_REFRESH_AHEAD_SECONDS);
	g_assert_true(ocsp_responder_work(site.one, &policy, 100, &left, &error));
	CLEANUP(ocsp_reply)
	struct ocsp_reply *second =
	    ask(&site, site.two, site.leaf, site.ca.intermediate, NULL, FALSE);
	g_assert_cmpint(second->this_update, ==, FIXTURE_NOW + DAY - OCSP_REFRESH_AHEAD_SECONDS);
	g_assert_cmpint(second->this_update, >, first->this_update);
	/* Two thirds of the responders' life. */
	clock_set(site.f.clock, FIXTURE_NOW + 21 * DAY);
	g_assert_true(ocsp_responder_work(site.one, &policy, 100, &left, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(responders(&site), ==, 4);
	/* And the old ones go a month after their end. */
	clock_set(site.f.clock, FIXTURE_NOW + 62 * DAY);
	g_assert_true(ocsp_responder_work(site.one, &policy, 100, &left, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(responders(&site), ==, 4);
	g_assert_cmpint(status_of(&site, site.leaf, site.ca.intermediate, NULL), ==, OCSP_GOOD);
	site_down(&site);
}

/* A round that is at its end, or as far as limit. */
static void
sign_ahead(struct ocsp_responder *responder, gint64 max, gint limit, gboolean is_left)
{
	CLEANUP(ocsp_ahead) struct ocsp_ahead *ahead = ocsp_ahead_new(responder, &policy, max);
	g_autoptr(GError) error = NULL;
	gboolean left;

	g_assert_true(ocsp_ahead_go_on(ahead, limit, &left, &error));
	g_assert_no_error(error);
	g_assert_cmpint(left, ==, is_left);
}

static void
assert_ready(struct site *site, gint64 max, gint64 wanted, gint64 ready)
{
	gint64 are_wanted, are_ready;
	g_autoptr(GError) error = NULL;

	g_assert_true(ocsp_ahead_count(site->f.db, clock_now(site->f.clock), max, &are_wanted,
				       &are_ready, &error));
	g_assert_no_error(error);
	g_assert_cmpint(are_wanted, ==, wanted);
	g_assert_cmpint(are_ready, ==, ready);
}

/* What stands in the books is answered before anybody asks, and nobody signs it twice. */
static void
test_ahead(void)
{
	struct site site;
	struct ocsp_finding finding;
	g_autoptr(GError) error = NULL;

	if (!site_up(&site))
		return;
	/* The responders' own certificates stand in no books; the intermediate is the root's. */
	assert_ready(&site, 100, 2, 0);
	sign_ahead(site.one, 100, 1, TRUE); /* killed after one */
	assert_ready(&site, 100, 2, 1);
	sign_ahead(site.two, 100, 100, FALSE);
	assert_ready(&site, 100, 2, 2);
	clock_set(site.f.clock, FIXTURE_NOW + HOUR);
	sign_ahead(site.one, 100, 100, FALSE);
	g_assert_cmpint(status_of(&site, site.leaf, site.ca.intermediate, &finding), ==, OCSP_GOOD);
	g_assert_cmpint(finding.this_update, ==, FIXTURE_NOW); /* the one of before */
	g_assert_cmpint(status_of(&site, site.ca.intermediate, site.ca.root, NULL), ==, OCSP_GOOD);
	/* A revocation drops it; what comes next says so. */
	struct revocation revocation = { &site, NULL, cert_serial_hex(site.leaf), "superseded" };
	g_assert_true(db_transaction(site.f.db, revoke_one, &revocation, &error));
	assert_ready(&site, 100, 2, 1);
	sign_ahead(site.one, 100, 100, FALSE);
	assert_ready(&site, 100, 2, 2);
	g_assert_cmpint(status_of(&site, site.leaf, site.ca.intermediate, &finding), ==,
			OCSP_REVOKED);
	g_assert_cmpint(finding.this_update, ==, FIXTURE_NOW + HOUR);
	/* Anew before half of the validity, though nobody asked about the root's. */
	clock_set(site.f.clock, FIXTURE_NOW + HOUR + DAY - OCSP_REFRESH_AHEAD_SECONDS);
	sign_ahead(site.two, 100, 100, FALSE);
	g_assert_cmpint(status_of(&site, site.leaf, site.ca.intermediate, &finding), ==,
			OCSP_REVOKED);
	g_assert_cmpint(finding.this_update, ==, clock_now(site.f.clock));
	site_down(&site);
}

static void
test_ahead_bounds(void)
{
	static const char *const names[] = { "bob", "carol", "dave" };
	struct site site;

	if (!site_up(&site))
		return;
	for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *email = g_strconcat(names[i], "@example.org", NULL);
		const struct enroll_order order = { .email = email,
						    .common_name = names[i],
						    .key = "ec:P-256" };
		CLEANUP(cert) struct cert *cert = fixture_issue(&site.f, &order);
	}
	sign_ahead(site.one, 2, 100, FALSE); /* of each issuer */
	assert_ready(&site, 2, 3, 3);
	assert_ready(&site, 100, 5, 3);
	sign_ahead(site.two, 2, 100, FALSE);
	assert_ready(&site, 100, 5, 3);
	/* In the last hour of a CA there is nothing to keep ready. */
	clock_set(site.f.clock, cert_not_after(site.ca.intermediate) - HOUR / 2);
	sign_ahead(site.one, 100, 100, FALSE);
	site_down(&site);
}

static void
test_refresh_at(void)
{
	static const struct {
		gint64 validity, refresh;
	} rows[] = {
		{ 8 * HOUR, 4 * HOUR },
		{ 16 * HOUR, 8 * HOUR },
		{ 2 * DAY, DAY },
		{ 10 * DAY, 4 * DAY - HOUR },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
		g_assert_cmpint(ocsp_answer_refresh_at(1000, 1000 + rows[i].validity), ==,
				1000 + rows[i].refresh);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/ocsp-responder/good", test_good);
	g_test_add_func("/ocsp-responder/same", test_same);
	g_test_add_func("/ocsp-responder/revoked", test_revoked);
	g_test_add_func("/ocsp-responder/hold", test_hold);
	g_test_add_func("/ocsp-responder/revoked ca", test_revoked_ca);
	g_test_add_func("/ocsp-responder/nonce", test_nonce);
	g_test_add_func("/ocsp-responder/work", test_work);
	g_test_add_func("/ocsp-responder/ahead", test_ahead);
	g_test_add_func("/ocsp-responder/ahead bounds", test_ahead_bounds);
	g_test_add_func("/ocsp-responder/refresh at", test_refresh_at);
	int rc = g_test_run();
	scratch_pg_stop(pg);
	return rc;
}
