/*
 * chain - judges what chain_search finds: the certificate itself, policies, revocation
 * (path_revocation); and puts the faults into the order of judgement.
 *
 * OpenSSL verifies signatures and reads extensions; its own path builder takes the first issuer
 * that it meets and never another, which is why the path is ours.
 */
#include "pki/crypto/chain.h"

#include "pki/crypto/cert_rules.h"
#include "pki/crypto/chain_policy.h"
#include "pki/crypto/chain_report.h"
#include "pki/crypto/path_revocation.h"
#include "pki/crypto/chain_search.h"
#include "pki/crypto/internal.h"
#include "store/base/clock.h"

struct judgement {
	const struct chain_options *options;
	struct chain_report *report;
	struct chain_search *search;
	struct path_revocation *revocation;
	struct cert *cert;
};

/* ---- the certificate by itself ---- */

static void
check_dates(const struct judgement *judgement)
{
	const struct cert *cert = judgement->cert;
	gint64 at = judgement->options->at;
	gboolean early = at < cert_not_before(cert);
	enum sentence sentence = early ? SENTENCE_TOO_EARLY : SENTENCE_EXPIRED;

	if (!early && at <= cert_not_after(cert))
		return;
	g_autofree char *when = clock_format(early ? cert_not_before(cert) : cert_not_after(cert));
	chain_report_set_fault(judgement->report, CHAIN_FAULT_EXPIRED,
			       sentence_make(sentence, cert_subject(cert), when, NULL),
			       sentence_remedy(sentence));
}

static void
check_extensions(const struct judgement *judgement)
{
	const struct cert_rules *rules = cert_rules(judgement->cert);
	const char *what = rules->broken != NULL ? rules->broken : rules->unknown_critical;
	enum sentence sentence =
	    rules->broken != NULL ? SENTENCE_BROKEN_EXTENSION : SENTENCE_UNKNOWN_CRITICAL;

	if (what != NULL)
		chain_report_set_fault(
		    judgement->report, CHAIN_FAULT_OTHER,
		    sentence_make(sentence, cert_subject(judgement->cert), what, NULL),
		    sentence_remedy(sentence));
}

static void
check_usage(const struct judgement *judgement)
{
	const struct chain_options *options = judgement->options;
	const struct cert *cert = judgement->cert;
	const char *remedy = "";
	char *fault = chain_usage_fault(cert, options->purpose, &remedy);

	if (fault == NULL && options->email != NULL && !cert_has_email(cert, options->email)) {
		fault = sentence_make(SENTENCE_NOT_ADDRESS, mailaddr_key(options->email),
				      cert_subject(cert), NULL);
		remedy = sentence_remedy(SENTENCE_NOT_ADDRESS);
	}
	if (fault != NULL)
		chain_report_set_fault(judgement->report, CHAIN_FAULT_USAGE, fault, remedy);
}

static void
check_strength(const struct judgement *judgement)
{
	const struct chain_options *options = judgement->options;
	const char *remedy = "";
	char *fault = cert_is_among(judgement->cert, options->anchors)
			  ? chain_key_fault(judgement->cert, options->allow_legacy, &remedy)
			  : chain_strength_fault(judgement->cert, options->allow_legacy, &remedy);

	if (fault != NULL)
		chain_report_set_fault(judgement->report, CHAIN_FAULT_ALGORITHM, fault, remedy);
}

/* ---- paths ---- */

static gboolean
judge_path(struct chain_search *search, GPtrArray *path, gpointer data)
{
	struct judgement *judgement = data;
	const struct chain_options *options = judgement->options;
	g_auto(GStrv) policies = NULL;

	if (!chain_policies(path, options, &policies, &judgement->report->work.steps)) {
		chain_search_fail(
		    search, CHAIN_RANK_POLICY, path, CHAIN_FAULT_PATH,
		    sentence_make(SENTENCE_POLICY, cert_subject(judgement->cert), NULL),
		    sentence_remedy(SENTENCE_POLICY));
		return FALSE;
	}
	if (options->revocation != CHAIN_REVOCATION_OFF &&
	    !path_revocation_check(judgement->revocation, path))
		return FALSE;
	chain_report_set_path(judgement->report, path);
	g_strfreev(judgement->report->policies);
	judgement->report->policies = g_steal_pointer(&policies);
	return TRUE;
}

/* A list that begins to count later may change any answer. */
static void
lower_to_lists(const struct judgement *judgement)
{
	const struct chain_options *options = judgement->options;

	for (guint i = 0; options->crls != NULL && i < options->crls->len; i++) {
		gint64 begins = crl_this_update(options->crls->pdata[i]);

		if (begins > options->at)
			judgement->report->valid_until =
			    MIN(judgement->report->valid_until, begins - 1);
	}
}

/* No path was taken: the one that came farthest speaks. */
static void
take_best_attempt(struct judgement *judgement)
{
	const struct chain_attempt *best = chain_search_best(judgement->search);
	struct chain_report *report = judgement->report;

	if (best->path != NULL)
		chain_report_set_path(report, best->path);
	else
		g_ptr_array_add(report->path, cert_ref(judgement->cert));
	report->incomplete = best->rank == CHAIN_RANK_NO_ISSUER;
	if (best->rank == CHAIN_RANK_REVOKED || !report->work.exhausted)
		chain_report_set_fault(report, best->fault, g_strdup(best->text), best->remedy);
	else
		chain_report_set_fault(
		    report, CHAIN_FAULT_PATH,
		    sentence_make(SENTENCE_TOO_MANY, cert_subject(judgement->cert), NULL),
		    sentence_remedy(SENTENCE_TOO_MANY));
}

static void
conclude(const struct judgement *judgement)
{
	struct chain_report *report = judgement->report;

	report->verdict = CHAIN_VALID;
	report->reason = g_strdup("");
	for (int i = 0; i < CHAIN_FAULTS && report->verdict == CHAIN_VALID; i++) {
		if (report->faults[i] == NULL)
			continue;
		report->verdict = i == CHAIN_FAULT_REVOKED ? CHAIN_REVOKED : CHAIN_INVALID;
		g_free(report->reason);
		report->reason = chain_fault_sentence(report, (enum chain_fault)i);
		g_strfreev(report->policies);
		report->policies = g_new0(char *, 1);
		/* The commands on files have nothing that could be mended in a store. */
		if (judgement->options->where != NULL) {
			g_free(report->reason);
			report->reason = g_strdup(report->faults[i]);
		}
	}
}

static gboolean
policies_are_oids(const struct chain_options *options, GError **error)
{
	for (gsize i = 0; options->policies != NULL && options->policies[i] != NULL; i++) {
		g_autoptr(ASN1_OBJECT) policy =
		    i < CHAIN_POLICIES_MAX ? OBJ_txt2obj(options->policies[i], 1) : NULL;

		if (policy == NULL)
			return fail_openssl_false(error, PS_ERROR_INVALID,
						  "policy '%s' is not an OID",
						  options->policies[i]);
	}
	return TRUE;
}

struct chain_report *
chain_check(struct cert *cert, const struct chain_options *options, GError **error)
{
	if (!policies_are_oids(options, error))
		return NULL;
	CLEANUP(chain_report) struct chain_report *report = chain_report_new();
	CLEANUP(chain_search)
	struct chain_search *search = chain_search_new(cert, options, &report->work);
	CLEANUP(path_revocation)
	struct path_revocation *revocation = path_revocation_new(options, search, report);
	struct judgement judgement = {
		.options = options,
		.report = report,
		.search = search,
		.revocation = revocation,
		.cert = chain_search_cert(search),
	};

	check_dates(&judgement);
	check_extensions(&judgement);
	check_usage(&judgement);
	check_strength(&judgement);
	if (!chain_search_run(search, judge_path, &judgement)) {
		take_best_attempt(&judgement);
		if (options->revocation != CHAIN_REVOCATION_OFF)
			path_revocation_check_issuers(revocation);
		chain_search_dates(search, &report->valid_until);
	} else {
		for (guint i = 0; i < report->path->len; i++)
			if (cert_not_after(report->path->pdata[i]) >= options->at)
				report->valid_until = MIN(report->valid_until,
							  cert_not_after(report->path->pdata[i]));
	}
	if (cert_not_before(cert) > options->at)
		report->valid_until = MIN(report->valid_until, cert_not_before(cert) - 1);
	lower_to_lists(&judgement);
	path_revocation_report(revocation);
	conclude(&judgement);
	return g_steal_pointer(&report);
}
