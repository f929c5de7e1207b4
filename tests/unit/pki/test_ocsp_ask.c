/*
 * Questions to responders: of whom, how often, what is written, what a judgement then takes.
 */
#include <glib.h>
#include <string.h>

#include "pki/ocsp.h"
#include "pki/ocsp_ask.h"
#include "store/base/error.h"
#include "store/db/changelog.h"
#include "store/db/tx.h"
#include "store/jobs.h"
#include "tests/unit/pki/ocsp_fixture.h"
#include "tests/unit/pki/store_fixture.h"

#define HOUR 3600
#define DAY 86400
#define URL "http://ocsp.example.org/a"
#define SECOND_URL "http://other.example.org:8080/"

static struct world world;
static struct node root, intermediate, stranger_ca, leaf, silent, expired, stranger;
static struct node responder, unchecked;

/* What the network does: one entry for each question in turn, the last one from then on. */
struct reply {
	struct answer answer;
	const char *failure; /* in place of an answer */
	gint64 retry_after;
};

struct wire {
	const struct reply *replies;
	guint count, asked;
	GString *urls;
};

static GBytes *
post(gpointer data, const char *url, GBytes *request, gint64 *retry_after, GError **error)
{
	struct wire *wire = data;
	const struct reply *reply = &wire->replies[MIN(wire->asked, wire->count - 1)];

	wire->asked++;
	g_string_append_printf(wire->urls, "%s ", url);
	g_assert_cmpuint(g_bytes_get_size(request), >, 40);
	*retry_after = reply->retry_after != 0 ? reply->retry_after : -1;
	if (reply->failure != NULL)
		return fail(error, PS_ERROR_TEMPORARY, "%s", reply->failure);
	return answer_make(&reply->answer);
}

static struct ocsp_ask
asker(struct wire *wire)
{
	return (struct ocsp_ask){ .db = world.db,
				  .clock = world.clock,
				  .trust = world.trust,
				  .per_minute = 60,
				  .post = post,
				  .data = wire };
}

static struct ocsp_report *
put_question(struct wire *wire, const struct node *node, enum ocsp_asking how)
{
	g_autoptr(GError) error = NULL;
	struct ocsp_ask ask = asker(wire);
	struct ocsp_report *report = ocsp_ask(&ask, node->cert, NULL, how, &error);

	g_assert_no_error(error);
	return report;
}

static gboolean
up(void)
{
	if (!world_up(&world))
		return FALSE;
	world_root(&world, root.cert);
	world_cert(&world, intermediate.cert);
	return TRUE;
}

#define ABOUT(node)                                                                                \
	{                                                                                          \
		.cert = &(node), .issuer = &intermediate                                           \
	}

static const struct row {
	const char *proves;
	const struct node *cert;
	struct reply replies[2];
	enum ocsp_asked asked;
	enum ocsp_row_status status;
	const char *why; /* part of the error, or of why nobody is asked */
	gint64 again;    /* seconds after PKI_NOW; 0: not looked at */
	const char *urls;
	gboolean responder_list; /* the issuer's CRL is in the store */
} rows[] = {
	{ .proves = "an answer is kept",
	  .cert = &leaf,
	  .replies = { { .answer = { .singles = { ABOUT(leaf) }, .signer = &intermediate } } },
	  .status = OCSP_ROW_GOOD,
	  .again = 16 * HOUR,
	  .urls = URL " " },
	{ .proves = "the second responder, when the first fails",
	  .cert = &leaf,
	  .replies = { { .failure = "it is down" },
		       { .answer = { .singles = { ABOUT(leaf) }, .signer = &intermediate } } },
	  .status = OCSP_ROW_GOOD,
	  .urls = URL " " SECOND_URL " " },
	{ .proves = "both fail: asked again in a minute",
	  .cert = &leaf,
	  .replies = { { .failure = "it is down" }, { .failure = "this one too" } },
	  .asked = OCSP_ASKED_FAILED,
	  .why = "this one too",
	  .again = 60,
	  .urls = URL " " SECOND_URL " " },
	{ .proves = "the server says when to come again",
	  .cert = &leaf,
	  .replies = { { .failure = "it is down", .retry_after = 1000 },
		       { .failure = "it is down", .retry_after = 1000 } },
	  .asked = OCSP_ASKED_FAILED,
	  .why = "down",
	  .again = 1000 },
	{ .proves = "and not that far away",
	  .cert = &leaf,
	  .replies = { { .failure = "it is down", .retry_after = 100 * DAY },
		       { .failure = "it is down", .retry_after = 100 * DAY } },
	  .asked = OCSP_ASKED_FAILED,
	  .why = "down",
	  .again = 6 * HOUR },
	{ .proves = "what is not believed is a failure",
	  .cert = &leaf,
	  .replies = { { .answer = { .singles = { ABOUT(silent) }, .signer = &intermediate } },
		       { .answer = { .singles = { ABOUT(leaf) },
				     .signer = &stranger_ca,
				     .certs = { &stranger_ca } } } },
	  .asked = OCSP_ASKED_FAILED,
	  .why = "was not certified by" },
	{ .proves = "revoked, and not asked again",
	  .cert = &leaf,
	  .replies = { { .answer = { .singles = { { .cert = &leaf,
						    .issuer = &intermediate,
						    .status = OCSP_REVOKED,
						    .reason = 1 } },
				     .signer = &intermediate } } },
	  .status = OCSP_ROW_REVOKED,
	  .again = 365 * DAY },
	{ .proves = "on hold, and asked again",
	  .cert = &leaf,
	  .replies = { { .answer = { .singles = { { .cert = &leaf,
						    .issuer = &intermediate,
						    .status = OCSP_REVOKED,
						    .reason = 6 } },
				     .signer = &intermediate } } },
	  .status = OCSP_ROW_REVOKED,
	  .again = 16 * HOUR },
	{ .proves = "unknown: asked again in an hour",
	  .cert = &leaf,
	  .replies = { { .answer = { .singles = { { .cert = &leaf,
						    .issuer = &intermediate,
						    .status = OCSP_UNKNOWN } },
				     .signer = &intermediate } } },
	  .status = OCSP_ROW_UNKNOWN,
	  .again = HOUR },
	{ .proves = "a responder of the issuer",
	  .cert = &leaf,
	  .replies = { { .answer = { .singles = { ABOUT(leaf) },
				     .signer = &responder,
				     .certs = { &responder } } } },
	  .status = OCSP_ROW_GOOD },
	{ .proves = "a responder that may be revoked itself, and no list says that it is not",
	  .cert = &leaf,
	  .replies = { { .answer = { .singles = { ABOUT(leaf) },
				     .signer = &unchecked,
				     .certs = { &unchecked } } } },
	  .asked = OCSP_ASKED_FAILED,
	  .why =
	      "its responder may be revoked itself: CRL of 'CN=Intermediate, O=Test' is missing" },
	{ .proves = "a responder that may be revoked itself, and is not",
	  .cert = &leaf,
	  .replies = { { .answer = { .singles = { ABOUT(leaf) },
				     .signer = &unchecked,
				     .certs = { &unchecked } } } },
	  .responder_list = TRUE,
	  .status = OCSP_ROW_GOOD },

	{ .proves = "one that leads to no root names nobody",
	  .cert = &stranger,
	  .asked = OCSP_ASKED_NOBODY,
	  .why = "nobody is asked: issuer 'CN=Stranger CA" },
	{ .proves = "nobody is asked about one that has expired",
	  .cert = &expired,
	  .asked = OCSP_ASKED_NOBODY,
	  .why = "nobody is asked: 'CN=Expired' expired" },
	{ .proves = "nobody is asked about a root",
	  .cert = &root,
	  .asked = OCSP_ASKED_NOBODY,
	  .why = "about a root" },
	{ .proves = "no responder is named",
	  .cert = &silent,
	  .asked = OCSP_ASKED_NOBODY,
	  .why = "names no OCSP responder" },
};

static void
test_row(gconstpointer data)
{
	const struct row *row = data;
	struct wire wire = { row->replies, 2, 0, g_string_new(NULL) };

	if (row->replies[1].failure == NULL && row->replies[1].answer.signer == NULL)
		wire.count = 1;
	if (up()) {
		if (row->responder_list) {
			CLEANUP(crl)
			struct crl *crl = pki_crl(&intermediate, PKI_NOW - 60, PKI_NOW + DAY, 1,
						  NULL, REVOCATION_UNSPECIFIED);
			CLEANUP(crl)
			struct crl *above = pki_crl(&root, PKI_NOW - 60, PKI_NOW + DAY, 1, NULL,
						    REVOCATION_UNSPECIFIED);
			world_crl(&world, crl, intermediate.cert);
			world_crl(&world, above, root.cert);
		}
		CLEANUP(ocsp_report)
		struct ocsp_report *report = put_question(&wire, row->cert, OCSP_ASKING_WANTED);
		g_test_message("%s %s", wire.urls->str,
			       report->why != NULL ? report->why
			       : report->row != NULL && report->row->error != NULL
				   ? report->row->error
				   : "");
		g_assert_cmpint(report->asked, ==, row->asked);
		if (row->asked == OCSP_ASKED_NOBODY) {
			g_assert_nonnull(strstr(report->why, row->why));
			g_assert_cmpuint(wire.asked, ==, 0);
		} else {
			g_assert_cmpint(report->row->status, ==, row->status);
			g_assert_cmpint(report->row->wanted, ==, PKI_NOW);
			g_assert_cmpint(report->row->next_try, ==, report->again);
			g_assert_true((report->row->error != NULL) == (row->why != NULL));
			if (row->why != NULL)
				g_assert_nonnull(strstr(report->row->error, row->why));
		}
		if (row->again != 0)
			g_assert_cmpint(report->again - PKI_NOW, ==, row->again);
		if (row->urls != NULL)
			g_assert_cmpstr(wire.urls->str, ==, row->urls);
		world_down(&world);
	}
	g_string_free(wire.urls, TRUE);
}

/* Tries grow apart, an answer ends that; nobody is asked before it is time, but by hand. */
static void
test_intervals(void)
{
	static const struct reply down = { .failure = "it is down" };
	static const struct reply good = { .answer = { .singles = { ABOUT(leaf) },
						       .signer = &intermediate } };
	static const gint64 gaps[] = { 60, 240, 960, 3840, 15360, 21600, 21600 };
	struct wire wire = { &down, 1, 0, g_string_new(NULL) };
	gint64 now = PKI_NOW;

	if (!up())
		return;
	for (gsize i = 0; i < G_N_ELEMENTS(gaps); i++) {
		CLEANUP(ocsp_report)
		struct ocsp_report *report = put_question(&wire, &leaf, OCSP_ASKING_DUE);
		g_assert_cmpint(report->asked, ==, OCSP_ASKED_FAILED);
		g_assert_cmpint(report->again - now, ==, gaps[i]);
		clock_set(world.clock, now + gaps[i] - 1);
		CLEANUP(ocsp_report)
		struct ocsp_report *early = put_question(&wire, &leaf, OCSP_ASKING_DUE);
		g_assert_cmpint(early->asked, ==, OCSP_ASKED_NOT_DUE);
		now += gaps[i];
		clock_set(world.clock, now);
	}
	clock_set(world.clock, PKI_NOW + 1);
	wire.replies = &good;
	CLEANUP(ocsp_report)
	struct ocsp_report *by_hand = put_question(&wire, &leaf, OCSP_ASKING_NOW);
	g_assert_cmpint(by_hand->asked, ==, OCSP_ASKED_ANSWERED);
	g_assert_cmpint(by_hand->row->attempts, ==, 0);
	g_assert_null(by_hand->row->error);
	g_string_free(wire.urls, TRUE);
	world_down(&world);
}

/* So many questions a minute; a host that fails has a rest, others do not. */
static void
test_limits(void)
{
	static const struct reply down = { .failure = "it is down" };
	struct wire wire = { &down, 1, 0, g_string_new(NULL) };
	struct node many[8];
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	for (gsize i = 0; i < G_N_ELEMENTS(many); i++)
		many[i] = pki_leaf(&intermediate,
				   &(struct leaf){ .common_name = "Many", .ocsp_url = URL });
	for (gsize i = 0; i < G_N_ELEMENTS(many); i++) {
		CLEANUP(ocsp_report)
		struct ocsp_report *report = put_question(&wire, &many[i], OCSP_ASKING_WANTED);
		g_assert_cmpint(report->asked, ==,
				i < OCSP_HOST_FAILURES_MAX ? OCSP_ASKED_FAILED
							   : OCSP_ASKED_LIMITED);
	}
	g_assert_cmpuint(wire.asked, ==, OCSP_HOST_FAILURES_MAX);
	/* The one with a second responder is asked about there. */
	CLEANUP(ocsp_report)
	struct ocsp_report *other = put_question(&wire, &leaf, OCSP_ASKING_WANTED);
	g_assert_cmpint(other->asked, ==, OCSP_ASKED_FAILED);
	g_assert_true(g_str_has_suffix(wire.urls->str, URL " " SECOND_URL " "));

	clock_set(world.clock, PKI_NOW + OCSP_HOST_REST_SECONDS + 1);
	struct ocsp_ask ask = asker(&wire);
	ask.per_minute = 2;
	for (gsize i = 5; i < 8; i++) {
		CLEANUP(ocsp_report)
		struct ocsp_report *report =
		    ocsp_ask(&ask, many[i].cert, NULL, OCSP_ASKING_WANTED, &error);
		g_assert_no_error(error);
		g_assert_cmpint(report->asked, ==, i < 7 ? OCSP_ASKED_FAILED : OCSP_ASKED_LIMITED);
		g_assert_cmpint(report->again, ==,
				i < 7 ? report->row->next_try : clock_now(world.clock) + 60);
	}
	CLEANUP(ocsp_report)
	struct ocsp_report *by_hand = ocsp_ask(&ask, many[7].cert, NULL, OCSP_ASKING_NOW, &error);
	g_assert_cmpint(by_hand->asked, ==, OCSP_ASKED_FAILED);
	for (gsize i = 0; i < G_N_ELEMENTS(many); i++)
		node_clear(&many[i]);
	g_string_free(wire.urls, TRUE);
	world_down(&world);
}

/* Rows become facts for the certificates that they are about, and for no others. */
static void
test_facts(void)
{
	static const struct reply good = { .answer = { .singles = { ABOUT(leaf) },
						       .signer = &intermediate } };
	struct wire wire = { &good, 1, 0, g_string_new(NULL) };
	g_autoptr(GPtrArray) certs = pki_certs(leaf.cert, silent.cert, intermediate.cert, NULL);
	g_autoptr(GArray) tags = change_tags_new();
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	CLEANUP(ocsp) struct ocsp *ocsp = ocsp_new(world.db, NULL, world.clock);
	CLEANUP(ocsp_facts) struct ocsp_facts *none = ocsp_facts(ocsp, certs, tags, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(none->statuses->len, ==, 0);
	g_assert_cmpuint(tags->len, ==, 1);
	CLEANUP(ocsp_report)
	struct ocsp_report *report = put_question(&wire, &leaf, OCSP_ASKING_DUE);
	CLEANUP(ocsp_facts) struct ocsp_facts *facts = ocsp_facts(ocsp, certs, NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(facts->statuses->len, ==, 1);
	const struct chain_status *status = facts->statuses->pdata[0];
	g_assert_cmpstr(status->thumbprint, ==, cert_thumbprint(leaf.cert));
	g_assert_cmpstr(status->issuer_spki, ==, cert_spki_sha256(intermediate.cert));
	g_assert_cmpint(status->kind, ==, CHAIN_STATUS_GOOD);
	g_assert_cmpint(status->this_update, ==, PKI_NOW - HOUR);
	g_assert_cmpstr(status->responder, ==, URL);
	g_assert_nonnull(ocsp_facts_find(facts, leaf.cert, intermediate.cert));
	g_assert_null(ocsp_facts_find(facts, leaf.cert, root.cert));
	g_string_free(wire.urls, TRUE);
	world_down(&world);
}

static guint
open_jobs(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) jobs = jobs_list(world.db, "ocsp", TRUE, 0, 2000, &error);

	g_assert_no_error(error);
	return jobs->len;
}

static guint
wait_for_jobs(guint count)
{
	for (guint i = 0; i < 6000 && open_jobs() < count; i++)
		g_usleep(10000);
	return open_jobs();
}

/* A judgement asks in the background, once, and never more than a number a minute. */
static void
test_wanting(void)
{
	g_autoptr(GPtrArray) path = pki_certs(leaf.cert, intermediate.cert, root.cert, NULL);
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	CLEANUP(ocsp) struct ocsp *ocsp = ocsp_new(world.db, NULL, world.clock);
	CLEANUP(ocsp_facts) struct ocsp_facts *facts = ocsp_facts(ocsp, path, NULL, &error);
	gboolean open = FALSE;
	g_assert_cmpint(ocsp_want(ocsp, facts, path, 0, PKI_NOW, &open), ==, CLOCK_NEVER);
	g_assert_cmpint(ocsp_want(ocsp, facts, path, 1, PKI_NOW, &open), ==, PKI_NOW + 60);
	g_assert_cmpint(ocsp_want(ocsp, facts, path, 1, PKI_NOW + 1, &open), ==, PKI_NOW + 61);
	g_assert_cmpuint(wait_for_jobs(1), ==, 1);
	g_autoptr(GPtrArray) jobs = jobs_list(world.db, "ocsp", TRUE, 0, 10, &error);
	const struct job_row *job = jobs->pdata[0];
	g_autoptr(GPtrArray) carried = ocsp_job_parse(job->payload, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(carried->len, ==, 2);
	g_assert_true(cert_equal(carried->pdata[0], leaf.cert));
	g_assert_true(cert_equal(carried->pdata[1], intermediate.cert));

	/* Bits beyond the path, and of its root, are of nobody. */
	g_assert_cmpint(ocsp_want(ocsp, facts, path, 0xfffffffcU, PKI_NOW, &open), ==, CLOCK_NEVER);

	static struct node flood[130];
	for (gsize i = 0; i < G_N_ELEMENTS(flood); i++) {
		flood[i] = pki_leaf(
		    &intermediate,
		    &(struct leaf){ .common_name = "Flood", .ocsp_url = URL, .key = leaf.key });
		g_autoptr(GPtrArray) one =
		    pki_certs(flood[i].cert, intermediate.cert, root.cert, NULL);
		(void)ocsp_want(ocsp, facts, one, 1, PKI_NOW + 60, &open);
	}
	g_assert_cmpuint(wait_for_jobs(121), ==, 121);
	g_usleep(100000);
	g_assert_cmpuint(open_jobs(), ==, 121);
	for (gsize i = 0; i < G_N_ELEMENTS(flood); i++)
		node_clear(&flood[i]);
	world_down(&world);
}

static void
test_refresh(void)
{
	static const struct {
		gint64 length, age, refresh;
	} cases[] = {
		{ 8 * HOUR, 0, 4 * HOUR },  { 15 * HOUR, HOUR, 27000 - HOUR },
		{ 16 * HOUR, 0, 8 * HOUR }, { DAY, 0, 16 * HOUR },
		{ 10 * DAY, 0, DAY },       { 10 * DAY, 3 * DAY, 300 },
		{ HOUR, HOUR - 1, 300 },    { 0, 0, 300 },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		gint64 this_update = PKI_NOW - cases[i].age;

		g_assert_cmpint(
		    ocsp_refresh_at(this_update, this_update + cases[i].length, PKI_NOW) - PKI_NOW,
		    ==, cases[i].refresh);
	}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	world.pg = scratch_pg_start();
	root = pki_root("Root");
	intermediate = pki_intermediate(&root, "Intermediate");
	stranger_ca = pki_root("Stranger CA");
	leaf = pki_leaf(&intermediate, &(struct leaf){ .common_name = "Leaf",
						       .serial = "0102030405",
						       .ocsp_url = URL,
						       .second_ocsp_url = SECOND_URL });
	silent = pki_leaf(&intermediate, &(struct leaf){ .common_name = "Silent" });
	expired = pki_leaf(&intermediate, &(struct leaf){ .common_name = "Expired",
							  .not_before = PKI_NOW - 20 * PKI_DAY,
							  .not_after = PKI_NOW - PKI_DAY,
							  .ocsp_url = URL });
	stranger =
	    pki_leaf(&stranger_ca, &(struct leaf){ .common_name = "Stranger", .ocsp_url = URL });
	responder = pki_leaf(&intermediate, &(struct leaf){ .common_name = "Responder",
							    .extended = "OCSPSigning",
							    .ocsp_nocheck = TRUE });
	unchecked = pki_leaf(
	    &intermediate, &(struct leaf){ .common_name = "Unchecked", .extended = "OCSPSigning" });
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *path = g_strdup_printf("/ocsp ask/%s", rows[i].proves);
		g_test_add_data_func(path, &rows[i], test_row);
	}
	g_test_add_func("/ocsp ask/intervals", test_intervals);
	g_test_add_func("/ocsp ask/limits", test_limits);
	g_test_add_func("/ocsp ask/facts", test_facts);
	g_test_add_func("/ocsp ask/wanting", test_wanting);
	g_test_add_func("/ocsp ask/refresh", test_refresh);
	int rc = g_test_run();
	scratch_pg_stop(world.pg);
	struct node *made[] = { &root,    &intermediate, &stranger_ca, &leaf,     &silent,
				&expired, &stranger,     &responder,   &unchecked };
	for (gsize i = 0; i < G_N_ELEMENTS(made); i++)
		node_clear(made[i]);
	return rc;
}
