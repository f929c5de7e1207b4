/*
 * Trust with OCSP answers of the store: preferences, availability, what is asked for meanwhile.
 */
#include <glib.h>
#include <string.h>

#include "pki/ocsp.h"
#include "store/db/tx.h"
#include "store/jobs.h"
#include "store/ocsp.h"
#include "tests/unit/pki/cert_fixture.h"
#include "tests/unit/pki/store_fixture.h"

#define HOUR 3600
#define URL "http://ocsp.example.org/"

static struct world world;
static struct node root, intermediate, leaf, silent;

enum kept { NONE, GOOD, DUE, OLD, REVOKED, HOLD, UNKNOWN, FAILED_ONCE, FAILED_OFTEN, OTHER_KEY };

static const struct row {
	const char *proves;
	const char *ocsp, *revocation; /* preferences; NULL: default */
	enum kept kept;
	enum trust_purpose purpose;
	gboolean no_url, no_root, own_ca, allow;
	enum verdict_state state;
	const char *reason; /* part of it */
	guint jobs;         /* that are asked for */
	gint64 expires;     /* after PKI_NOW; 0: not looked at */
	const char *source; /* part of it */
} rows[] = {
	{ .proves = "off: valid and nobody is asked" },
	{ .proves = "off: revoked all the same",
	  .kept = REVOKED,
	  .state = VERDICT_REVOKED,
	  .reason = "says the OCSP responder '" URL "'" },
	{ .proves = "revocation off: not even that", .revocation = "off", .kept = REVOKED },
	{ .proves = "soft: valid, and asked for", .ocsp = "prefer", .jobs = 1, .expires = 60 },
	{ .proves = "hard: unknown while it is asked for",
	  .ocsp = "prefer",
	  .revocation = "required",
	  .state = VERDICT_UNKNOWN,
	  .reason = "no OCSP answer is there yet",
	  .jobs = 1,
	  .expires = 60 },
	{ .proves = "hard, without a responder: unknown",
	  .ocsp = "prefer",
	  .revocation = "required",
	  .no_url = TRUE,
	  .state = VERDICT_UNKNOWN,
	  .reason = "is missing" },
	{ .proves = "hard, answered: valid until it is due",
	  .ocsp = "when-no-crl",
	  .revocation = "required",
	  .kept = GOOD,
	  .expires = 2 * HOUR,
	  .source = "OCSP responder '" URL "' of 2027-01-15T07:00:00Z" },
	{ .proves = "due for refreshing: valid, and asked for",
	  .ocsp = "prefer",
	  .revocation = "required",
	  .kept = DUE,
	  .jobs = 1,
	  .expires = 60,
	  .source = "OCSP" },
	{ .proves = "hard, run out: unknown while it is asked for",
	  .ocsp = "prefer",
	  .revocation = "required",
	  .kept = OLD,
	  .state = VERDICT_UNKNOWN,
	  .reason = "is out of date",
	  .jobs = 1 },
	{ .proves = "hard, not known to the responder: invalid",
	  .ocsp = "prefer",
	  .revocation = "required",
	  .kept = UNKNOWN,
	  .state = VERDICT_INVALID,
	  .reason = "does not know the certificate",
	  .expires = 2 * HOUR },
	{ .proves = "hard, failed once: unknown",
	  .ocsp = "prefer",
	  .revocation = "required",
	  .kept = FAILED_ONCE,
	  .state = VERDICT_UNKNOWN,
	  .reason = "fails: it is down",
	  .expires = 2 * HOUR },
	{ .proves = "hard, failed often: unknown, and no more jobs",
	  .ocsp = "prefer",
	  .revocation = "required",
	  .kept = FAILED_OFTEN,
	  .state = VERDICT_UNKNOWN,
	  .reason = "fails: it is down" },
	{ .proves = "soft, failed often: valid", .ocsp = "prefer", .kept = FAILED_OFTEN },
	{ .proves = "on hold: revoked, and asked again when due",
	  .ocsp = "prefer",
	  .kept = HOLD,
	  .state = VERDICT_REVOKED,
	  .reason = "certificateHold",
	  .expires = 2 * HOUR },
	{ .proves = "an answer for another key of the issuer is none",
	  .ocsp = "prefer",
	  .revocation = "required",
	  .kept = OTHER_KEY,
	  .state = VERDICT_UNKNOWN,
	  .reason = "no OCSP answer",
	  .jobs = 1 },
	{ .proves = "what our own CA issued is required to be known",
	  .ocsp = "prefer",
	  .own_ca = TRUE,
	  .state = VERDICT_UNKNOWN,
	  .reason = "no OCSP answer",
	  .jobs = 1 },
	{ .proves = "lists and tables ask nobody", .ocsp = "prefer", .purpose = TRUST_ANY },
	{ .proves = "a path that leads nowhere asks nobody",
	  .ocsp = "prefer",
	  .no_root = TRUE,
	  .state = VERDICT_INVALID,
	  .reason = "is not in the store" },
	{ .proves = "allowed: usable without an answer, and revoked all the same",
	  .ocsp = "prefer",
	  .revocation = "required",
	  .no_root = TRUE,
	  .allow = TRUE,
	  .kept = REVOKED,
	  .state = VERDICT_REVOKED,
	  .reason = "says the OCSP responder" },
	{ .proves = "allow stands in for an answer that is not there",
	  .ocsp = "prefer",
	  .revocation = "required",
	  .allow = TRUE,
	  .jobs = 1 },
};

struct act {
	struct ocsp_row row;
	guint failures;
};

static gboolean
put(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;
	enum ocsp_outcome outcome;

	for (guint i = 0; i < act->failures; i++)
		if (!ocsp_put_failure(tx, &act->row, error))
			return FALSE;
	return act->failures > 0 || ocsp_put_answer(tx, &act->row, &outcome, error);
}

static void
keep(enum kept kept)
{
	g_autoptr(GError) error = NULL;
	struct act act = {
		.row = {
			.issuer_key = (char *)cert_issuer_key(leaf.cert),
			.issuer_spki = (char *)cert_spki_sha256(
			    kept == OTHER_KEY ? root.cert : intermediate.cert),
			.serial = (char *)cert_serial_hex(leaf.cert),
			.status = kept == REVOKED || kept == HOLD ? OCSP_ROW_REVOKED
				  : kept == UNKNOWN               ? OCSP_ROW_UNKNOWN
								  : OCSP_ROW_GOOD,
			.this_update = PKI_NOW - HOUR,
			.next_update = kept == OLD ? PKI_NOW - 1 : PKI_NOW + 4 * HOUR,
			.revoked_at = PKI_NOW - PKI_DAY,
			.reason = kept == HOLD ? 6 : 1,
			.url = (char *)URL,
			.host = (char *)"http://ocsp.example.org:80",
			.answered = PKI_NOW - HOUR,
			.next_try = kept == DUE || kept == OLD ? PKI_NOW : PKI_NOW + 2 * HOUR,
			.error = (char *)"it is down",
			.wanted = CLOCK_NEVER,
		},
		.failures = kept == FAILED_ONCE ? 1 : kept == FAILED_OFTEN ? 5 : 0,
	};

	if (kept == NONE)
		return;
	if (!db_transaction(world.db, put, &act, &error))
		g_error("%s", error->message);
}

static guint
open_jobs(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) jobs = jobs_list(world.db, "ocsp", TRUE, 0, 100, &error);

	g_assert_no_error(error);
	return jobs->len;
}

static void
set_up(const struct row *row)
{
	if (!row->no_root)
		world_root(&world, root.cert);
	world_cert(&world, intermediate.cert);
	world_cert(&world, leaf.cert);
	if (row->own_ca)
		world_own_ca(&world, intermediate.cert, intermediate.key);
	if (row->allow)
		world_ctl(&world, leaf.cert, CTL_KIND_ALLOW, FALSE);
	/* What stands above is good by a list of its own. */
	CLEANUP(crl)
	struct crl *above = pki_crl(&root, PKI_NOW - PKI_DAY, PKI_NOW + 30 * PKI_DAY, 1, NULL,
				    REVOCATION_UNSPECIFIED);
	world_crl(&world, above, root.cert);
	if (row->ocsp != NULL)
		world_preference(&world, SCOPE_GLOBAL, "", PREF_OCSP_ENCRYPT, row->ocsp);
	if (row->revocation != NULL)
		world_preference(&world, SCOPE_GLOBAL, "", PREF_REVOCATION_ENCRYPT,
				 row->revocation);
	keep(row->kept);
}

static void
test_row(gconstpointer data)
{
	const struct row *row = data;
	const struct node *node = row->no_url ? &silent : &leaf;
	g_autoptr(GError) error = NULL;

	if (!world_up(&world))
		return;
	set_up(row);
	CLEANUP(verdict)
	struct verdict *verdict = trust_judge(world.trust, node->cert, row->purpose, &error);
	g_assert_no_error(error);
	g_test_message("%s: %s [%s]", verdict_state_name(verdict->state), verdict->reason,
		       verdict->revocation != NULL ? verdict->revocation : "");
	g_assert_cmpstr(verdict_state_name(verdict->state), ==, verdict_state_name(row->state));
	g_assert_nonnull(strstr(verdict->reason, row->reason != NULL ? row->reason : ""));
	if (row->expires != 0)
		g_assert_cmpint(verdict->expires - PKI_NOW, ==, row->expires);
	if (row->source != NULL)
		g_assert_nonnull(strstr(verdict->revocation, row->source));
	for (guint i = 0; i < 6000 && open_jobs() < row->jobs; i++)
		g_usleep(10000);
	if (row->jobs == 0)
		g_usleep(20000);
	g_assert_cmpuint(open_jobs(), ==, row->jobs);
	world_down(&world);
}

/* At another time what was known then counts, and nobody is asked. */
static void
test_looking_back(void)
{
	static const struct row hard = { .ocsp = "prefer", .revocation = "required", .kept = GOOD };
	static const struct {
		gint64 at;
		enum verdict_state state;
	} times[] = {
		{ PKI_NOW - HOUR, VERDICT_VALID },
		{ PKI_NOW - HOUR - 1, VERDICT_INVALID },
		{ PKI_NOW + 4 * HOUR, VERDICT_VALID },
		{ PKI_NOW + 4 * HOUR + 1, VERDICT_INVALID },
	};
	g_autoptr(GError) error = NULL;

	if (!world_up(&world))
		return;
	set_up(&hard);
	for (gsize i = 0; i < G_N_ELEMENTS(times); i++) {
		CLEANUP(verdict)
		struct verdict *verdict = trust_judge_at(world.trust, leaf.cert, TRUST_ENCRYPT,
							 NULL, times[i].at, &error);
		g_assert_no_error(error);
		g_assert_cmpstr(verdict_state_name(verdict->state), ==,
				verdict_state_name(times[i].state));
	}
	g_usleep(50000);
	g_assert_cmpuint(open_jobs(), ==, 0);
	world_down(&world);
}

/* The clock set back by a day: nobody who is revoked gets good, and what was good stays it. */
static void
test_clock_set_back(void)
{
	static const struct row hard[] = {
		{ .ocsp = "prefer", .revocation = "required", .kept = GOOD },
		{ .ocsp = "prefer", .kept = REVOKED, .state = VERDICT_REVOKED },
		{ .kept = REVOKED, .state = VERDICT_REVOKED },
	};
	g_autoptr(GError) error = NULL;

	for (gsize i = 0; i < G_N_ELEMENTS(hard); i++) {
		if (!world_up(&world))
			return;
		set_up(&hard[i]);
		clock_set(world.clock, PKI_NOW - PKI_DAY);
		CLEANUP(verdict)
		struct verdict *verdict =
		    trust_judge(world.trust, leaf.cert, TRUST_ENCRYPT, &error);
		g_assert_no_error(error);
		g_test_message("%s", verdict->reason);
		g_assert_cmpstr(verdict_state_name(verdict->state), ==,
				verdict_state_name(hard[i].state));
		world_down(&world);
	}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	world.pg = scratch_pg_start();
	root = pki_root("Root");
	intermediate = pki_intermediate(&root, "Intermediate");
	leaf = pki_leaf(&intermediate, &(struct leaf){ .common_name = "Leaf",
						       .email = "leaf@partner.example",
						       .ocsp_url = URL });
	silent = pki_leaf(&intermediate, &(struct leaf){ .common_name = "Silent" });
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *path = g_strdup_printf("/trust ocsp/%s", rows[i].proves);
		g_test_add_data_func(path, &rows[i], test_row);
	}
	g_test_add_func("/trust ocsp/looking back", test_looking_back);
	g_test_add_func("/trust ocsp/clock set back", test_clock_set_back);
	int rc = g_test_run();
	scratch_pg_stop(world.pg);
	node_clear(&root);
	node_clear(&intermediate);
	node_clear(&leaf);
	node_clear(&silent);
	return rc;
}
