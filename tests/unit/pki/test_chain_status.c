/*
 * OCSP answers beside revocation lists: which of them counts, when another is wanted, and what
 * is said of it.
 */
#include <glib.h>
#include <string.h>

#include "pki/crypto/chain.h"
#include "store/base/clock.h"
#include "tests/unit/pki/cert_fixture.h"

#define URL "http://ocsp.example.org/"

static struct node root, intermediate, leaf, silent, rekeyed;

enum list { LIST_NONE, LIST_GOOD, LIST_REVOKED, LIST_GRACE, LIST_OLD };
enum answer {
	NO_ANSWER,
	GOOD,
	REVOKED,
	HOLD,
	UNKNOWN,
	FAILED,
	OLD_GOOD,
	OLD_REVOKED,
	EARLY_GOOD,
	GOOD_OF_OTHER_KEY,
	REVOKED_OF_OTHER_KEY,
	TWO
};

static const struct row {
	const char *proves;
	enum chain_revocation revocation;
	enum chain_status_use use;
	enum list list;
	enum answer answer;
	gboolean no_root, no_url;
	enum chain_verdict verdict;
	const char *reason; /* part of it */
	guint32 wanted;
	const char *source; /* part of it */
	gboolean unchecked;
} rows[] = {
#define OFF CHAIN_STATUS_OFF
#define WHEN CHAIN_STATUS_WHEN_NO_CRL
#define PREFER CHAIN_STATUS_PREFER
#define SOFT CHAIN_REVOCATION_IF_AVAILABLE
#define HARD CHAIN_REVOCATION_REQUIRED
#define NEVER CHAIN_REVOCATION_OFF
#define VALID .verdict = CHAIN_VALID
	/* Availability of both, by preference. */
	{ .proves = "off, nothing there",
	  .revocation = SOFT,
	  .use = OFF,
	  .list = LIST_NONE,
	  .answer = NO_ANSWER,
	  VALID,
	  .unchecked = TRUE },
	{ .proves = "off: a good answer does not count",
	  .revocation = HARD,
	  .use = OFF,
	  .list = LIST_NONE,
	  .answer = GOOD,
	  .reason = "CRL of 'CN=Intermediate, O=Test' is missing",
	  .unchecked = TRUE },
	{ .proves = "off: revoked counts all the same",
	  .revocation = SOFT,
	  .use = OFF,
	  .list = LIST_NONE,
	  .answer = REVOKED,
	  .verdict = CHAIN_REVOKED,
	  .reason = "says the OCSP responder 'http://ocsp",
	  .source = "OCSP" },
	{ .proves = "off: nobody is asked about a hold",
	  .revocation = SOFT,
	  .use = OFF,
	  .list = LIST_NONE,
	  .answer = HOLD,
	  .verdict = CHAIN_REVOKED,
	  .reason = "certificateHold",
	  .source = "OCSP" },
	{ .proves = "revocation is not looked at: nor are answers",
	  .revocation = NEVER,
	  .use = PREFER,
	  .list = LIST_NONE,
	  .answer = REVOKED,
	  VALID },
	{ .proves = "when-no-crl, nothing there: asked",
	  .revocation = SOFT,
	  .use = WHEN,
	  .list = LIST_NONE,
	  .answer = NO_ANSWER,
	  VALID,
	  .wanted = 1,
	  .unchecked = TRUE },
	{ .proves = "when-no-crl, required, nothing there",
	  .revocation = HARD,
	  .use = WHEN,
	  .list = LIST_NONE,
	  .answer = NO_ANSWER,
	  .reason = "is missing, and no OCSP answer is there yet",
	  .wanted = 1,
	  .unchecked = TRUE },
	{ .proves = "when-no-crl: a good answer fills in",
	  .revocation = HARD,
	  .use = WHEN,
	  .list = LIST_NONE,
	  .answer = GOOD,
	  VALID,
	  .wanted = 1,
	  .source = "OCSP responder 'http://ocsp.example.org/' of 2027-01-15T07:00:00Z" },
	{ .proves = "when-no-crl: a list in date is enough",
	  .revocation = HARD,
	  .use = WHEN,
	  .list = LIST_GOOD,
	  .answer = NO_ANSWER,
	  VALID,
	  .source = "CRL of 'CN=Intermediate, O=Test' of 2027-01-05" },
	{ .proves = "when-no-crl: the list goes before the answer",
	  .revocation = HARD,
	  .use = WHEN,
	  .list = LIST_GOOD,
	  .answer = GOOD,
	  VALID,
	  .source = "CRL of" },
	{ .proves = "when-no-crl: a list in its grace asks",
	  .revocation = SOFT,
	  .use = WHEN,
	  .list = LIST_GRACE,
	  .answer = NO_ANSWER,
	  VALID,
	  .wanted = 1,
	  .source = "CRL of" },
	{ .proves = "when-no-crl: required has no grace",
	  .revocation = HARD,
	  .use = WHEN,
	  .list = LIST_GRACE,
	  .answer = NO_ANSWER,
	  .reason = "expired on 2027-01-12",
	  .wanted = 1,
	  .unchecked = TRUE },
	{ .proves = "when-no-crl: an answer for a list out of date",
	  .revocation = HARD,
	  .use = WHEN,
	  .list = LIST_OLD,
	  .answer = GOOD,
	  VALID,
	  .wanted = 1,
	  .source = "OCSP" },
	{ .proves = "prefer, nothing there: asked",
	  .revocation = SOFT,
	  .use = PREFER,
	  .list = LIST_NONE,
	  .answer = NO_ANSWER,
	  VALID,
	  .wanted = 1,
	  .unchecked = TRUE },
	{ .proves = "prefer: asked beside a list in date",
	  .revocation = HARD,
	  .use = PREFER,
	  .list = LIST_GOOD,
	  .answer = NO_ANSWER,
	  VALID,
	  .wanted = 1,
	  .source = "CRL of" },
	{ .proves = "prefer: the answer goes before the list",
	  .revocation = HARD,
	  .use = PREFER,
	  .list = LIST_GOOD,
	  .answer = GOOD,
	  VALID,
	  .wanted = 1,
	  .source = "OCSP" },
	{ .proves = "prefer: without a list",
	  .revocation = HARD,
	  .use = PREFER,
	  .list = LIST_NONE,
	  .answer = GOOD,
	  VALID,
	  .wanted = 1,
	  .source = "OCSP" },

	/* Revoked by either. */
	{ .proves = "revoked by the list, good by the answer",
	  .revocation = SOFT,
	  .use = PREFER,
	  .list = LIST_REVOKED,
	  .answer = GOOD,
	  .verdict = CHAIN_REVOKED,
	  .reason = "says the CRL of",
	  .source = "CRL of" },
	{ .proves = "good by the list, revoked by the answer",
	  .revocation = SOFT,
	  .use = WHEN,
	  .list = LIST_GOOD,
	  .answer = REVOKED,
	  .verdict = CHAIN_REVOKED,
	  .reason = "says the OCSP responder",
	  .source = "OCSP" },
	{ .proves = "revoked by an old answer: that is for ever",
	  .revocation = SOFT,
	  .use = PREFER,
	  .list = LIST_GOOD,
	  .answer = OLD_REVOKED,
	  .verdict = CHAIN_REVOKED,
	  .reason = "keyCompromise",
	  .source = "OCSP" },
	{ .proves = "revoked, without a path to a root",
	  .revocation = SOFT,
	  .use = PREFER,
	  .list = LIST_NONE,
	  .answer = REVOKED,
	  .no_root = TRUE,
	  .verdict = CHAIN_REVOKED,
	  .reason = "says the OCSP responder",
	  .unchecked = TRUE },
	{ .proves = "on hold: asked whether it still is",
	  .revocation = SOFT,
	  .use = PREFER,
	  .list = LIST_NONE,
	  .answer = HOLD,
	  .verdict = CHAIN_REVOKED,
	  .reason = "certificateHold",
	  .wanted = 1,
	  .source = "OCSP" },
	{ .proves = "two answers, one says revoked",
	  .revocation = SOFT,
	  .use = PREFER,
	  .list = LIST_NONE,
	  .answer = TWO,
	  .verdict = CHAIN_REVOKED,
	  .reason = "says the OCSP responder",
	  .source = "OCSP" },

	/* Answers that do not help. */
	{ .proves = "unknown: lists count",
	  .revocation = HARD,
	  .use = PREFER,
	  .list = LIST_GOOD,
	  .answer = UNKNOWN,
	  VALID,
	  .wanted = 1,
	  .source = "CRL of" },
	{ .proves = "unknown, without a list",
	  .revocation = HARD,
	  .use = PREFER,
	  .list = LIST_NONE,
	  .answer = UNKNOWN,
	  .reason = "does not know the certificate",
	  .wanted = 1,
	  .unchecked = TRUE },
	{ .proves = "unknown, without a list, soft",
	  .revocation = SOFT,
	  .use = PREFER,
	  .list = LIST_NONE,
	  .answer = UNKNOWN,
	  VALID,
	  .wanted = 1,
	  .unchecked = TRUE },
	{ .proves = "failed, hard",
	  .revocation = HARD,
	  .use = PREFER,
	  .list = LIST_NONE,
	  .answer = FAILED,
	  .reason = "and OCSP responder 'http://ocsp.example.org/' fails: it is down",
	  .wanted = 1,
	  .unchecked = TRUE },
	{ .proves = "failed, soft",
	  .revocation = SOFT,
	  .use = PREFER,
	  .list = LIST_NONE,
	  .answer = FAILED,
	  VALID,
	  .wanted = 1,
	  .unchecked = TRUE },
	{ .proves = "out of date",
	  .revocation = HARD,
	  .use = PREFER,
	  .list = LIST_NONE,
	  .answer = OLD_GOOD,
	  .reason = "is out of date",
	  .wanted = 1,
	  .unchecked = TRUE },
	{ .proves = "of time to come",
	  .revocation = HARD,
	  .use = PREFER,
	  .list = LIST_NONE,
	  .answer = EARLY_GOOD,
	  .reason = "is out of date",
	  .wanted = 1,
	  .unchecked = TRUE },
	{ .proves = "good for another key of the issuer",
	  .revocation = HARD,
	  .use = PREFER,
	  .list = LIST_NONE,
	  .answer = GOOD_OF_OTHER_KEY,
	  .reason = "no OCSP answer",
	  .wanted = 1,
	  .unchecked = TRUE },
	{ .proves = "revoked for another key of the issuer",
	  .revocation = SOFT,
	  .use = PREFER,
	  .list = LIST_GOOD,
	  .answer = REVOKED_OF_OTHER_KEY,
	  VALID,
	  .wanted = 1,
	  .source = "CRL of" },
	{ .proves = "nobody is named who could be asked",
	  .revocation = HARD,
	  .use = PREFER,
	  .list = LIST_NONE,
	  .answer = NO_ANSWER,
	  .no_url = TRUE,
	  .reason = "CRL of 'CN=Intermediate, O=Test' is missing; ",
	  .unchecked = TRUE },
	{ .proves = "nobody is asked about one that leads nowhere",
	  .revocation = SOFT,
	  .use = PREFER,
	  .list = LIST_NONE,
	  .answer = NO_ANSWER,
	  .no_root = TRUE,
	  .reason = "is not in the",
	  .unchecked = TRUE },
};

static void
add_status(GPtrArray *statuses, const struct row *row, enum answer answer)
{
	struct chain_status *status = g_new0(struct chain_status, 1);
	gboolean other = answer == GOOD_OF_OTHER_KEY || answer == REVOKED_OF_OTHER_KEY;

	*status = (struct chain_status){
		.thumbprint = cert_thumbprint(row->no_url ? silent.cert : leaf.cert),
		.issuer_spki = cert_spki_sha256(other ? rekeyed.cert : intermediate.cert),
		.this_update = PKI_NOW - 3600,
		.next_update = PKI_NOW + 3600,
		.revoked_at = PKI_NOW - PKI_DAY,
		.responder = URL,
	};
	if (answer == GOOD || answer == OLD_GOOD || answer == EARLY_GOOD ||
	    answer == GOOD_OF_OTHER_KEY)
		status->kind = CHAIN_STATUS_GOOD;
	else if (answer == UNKNOWN)
		status->kind = CHAIN_STATUS_UNKNOWN;
	else
		status->kind = answer == FAILED ? CHAIN_STATUS_NONE : CHAIN_STATUS_REVOKED;
	status->reason = answer == HOLD ? REVOCATION_CERTIFICATE_HOLD : REVOCATION_KEY_COMPROMISE;
	if (answer == FAILED)
		status->problem = "it is down";
	if (answer == OLD_GOOD || answer == OLD_REVOKED)
		status->next_update = PKI_NOW - 1;
	if (answer == EARLY_GOOD)
		status->this_update = PKI_NOW + 1;
	g_ptr_array_add(statuses, status);
}

static struct crl *
make_list(enum list list)
{
	static const char *const serials[] = { "0a0b", NULL };
	gint64 next = list == LIST_GRACE ? PKI_NOW - 3 * PKI_DAY
		      : list == LIST_OLD ? PKI_NOW - 8 * PKI_DAY
					 : PKI_NOW + PKI_DAY;

	return pki_crl(&intermediate, PKI_NOW - 10 * PKI_DAY, next, 1,
		       list == LIST_REVOKED ? serials : NULL, REVOCATION_KEY_COMPROMISE);
}

static void
test_row(gconstpointer data)
{
	const struct row *row = data;
	g_autoptr(GPtrArray) roots = pki_certs(row->no_root ? NULL : root.cert, NULL);
	g_autoptr(GPtrArray) untrusted = pki_certs(intermediate.cert, NULL);
	g_autoptr(GPtrArray) crls = g_ptr_array_new_with_free_func((GDestroyNotify)crl_unref);
	g_autoptr(GPtrArray) statuses = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;
	struct chain_options options = {
		.anchors = roots,
		.untrusted = untrusted,
		.crls = crls,
		.statuses = statuses,
		.status_use = row->use,
		.at = PKI_NOW,
		.revocation = row->revocation,
		.crl_grace = 7 * PKI_DAY,
	};

	if (row->list != LIST_NONE)
		g_ptr_array_add(crls, make_list(row->list));
	/* The intermediate is good in each case: this is about the end certificate. */
	g_ptr_array_add(crls, pki_crl(&root, PKI_NOW - PKI_DAY, PKI_NOW + PKI_DAY, 1, NULL,
				      REVOCATION_UNSPECIFIED));
	if (row->answer == TWO) {
		add_status(statuses, row, GOOD);
		add_status(statuses, row, OLD_REVOKED);
	} else if (row->answer != NO_ANSWER) {
		add_status(statuses, row, row->answer);
	}
	CLEANUP(chain_report)
	struct chain_report *report =
	    chain_check(row->no_url ? silent.cert : leaf.cert, &options, &error);
	g_assert_no_error(error);
	g_test_message("%s %s [%s]", chain_verdict_name(report->verdict), report->reason,
		       report->revocation != NULL ? report->revocation : "");
	g_assert_cmpstr(chain_verdict_name(report->verdict), ==, chain_verdict_name(row->verdict));
	g_assert_nonnull(strstr(report->reason, row->reason != NULL ? row->reason : ""));
	g_assert_cmpuint(report->status_wanted, ==, row->wanted);
	g_assert_cmpint(report->unchecked, ==, row->unchecked);
	g_assert_cmpint(report->unchecked_why != NULL, ==,
			row->unchecked && row->verdict == CHAIN_VALID);
	if (row->source == NULL)
		g_assert_cmpstr(report->revocation, ==, NULL);
	else
		g_assert_nonnull(strstr(report->revocation, row->source));
}

/* An answer that makes it valid ends with its nextUpdate. */
static void
test_valid_until(void)
{
	static const struct row hard = { .answer = GOOD };
	g_autoptr(GPtrArray) roots = pki_certs(intermediate.cert, NULL);
	g_autoptr(GPtrArray) statuses = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;
	struct chain_options options = {
		.anchors = roots,
		.statuses = statuses,
		.status_use = PREFER,
		.at = PKI_NOW,
		.revocation = HARD,
	};

	add_status(statuses, &hard, GOOD);
	CLEANUP(chain_report)
	struct chain_report *report = chain_check(leaf.cert, &options, &error);
	g_assert_no_error(error);
	g_assert_cmpint(report->verdict, ==, CHAIN_VALID);
	g_assert_cmpint(report->valid_until, ==, PKI_NOW + 3600);
	options.at = PKI_NOW + 3601;
	CLEANUP(chain_report)
	struct chain_report *later = chain_check(leaf.cert, &options, &error);
	g_assert_cmpint(later->verdict, ==, CHAIN_INVALID);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	root = pki_root("Root");
	intermediate = pki_intermediate(&root, "Intermediate");
	rekeyed = pki_intermediate(&root, "Intermediate");
	leaf = pki_leaf(&intermediate,
			&(struct leaf){ .common_name = "Leaf", .serial = "0a0b", .ocsp_url = URL });
	silent =
	    pki_leaf(&intermediate, &(struct leaf){ .common_name = "Silent", .serial = "0a0b" });
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *path = g_strdup_printf("/chain status/%s", rows[i].proves);
		g_test_add_data_func(path, &rows[i], test_row);
	}
	g_test_add_func("/chain status/valid until", test_valid_until);
	int rc = g_test_run();
	node_clear(&root);
	node_clear(&intermediate);
	node_clear(&rekeyed);
	node_clear(&leaf);
	node_clear(&silent);
	return rc;
}
