/*
 * chain - judges what chain_search finds: the certificate itself, policies, revocation; and puts
 * the faults into the order of judgement.
 *
 * OpenSSL verifies signatures and reads extensions; its own path builder takes the first issuer
 * that it meets and never another, which is why the path is ours.
 */
#include "pki/crypto/chain.h"

#include <string.h>

#include "pki/crypto/cert_rules.h"
#include "pki/crypto/chain_policy.h"
#include "pki/crypto/chain_search.h"
#include "pki/crypto/crl_check.h"
#include "pki/crypto/internal.h"
#include "store/base/clock.h"

struct judgement {
	const struct chain_options *options;
	struct chain_report *report;
	struct chain_search *search;
	struct cert *cert;
	GPtrArray *signers; /* struct cert that may sign lists */
	GHashTable
	    *signer_paths; /* "word signer anchor", thumbprints -> GPtrArray, or NULL for none */
	GPtrArray *asked;  /* struct asked, one a complete path */
};

static void
set_fault(struct chain_report *report, enum chain_fault fault, char *sentence, const char *remedy)
{
	if (report->faults[fault] != NULL) {
		g_free(sentence);
		return;
	}
	report->faults[fault] = sentence;
	report->remedies[fault] = remedy;
}

static struct chain_report *
report_new(void)
{
	struct chain_report *report = g_new0(struct chain_report, 1);

	report->verdict = CHAIN_INVALID;
	report->path = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	report->policies = g_new0(char *, 1);
	report->valid_until = CLOCK_NEVER;
	return report;
}

void
chain_report_free(struct chain_report *report)
{
	if (report == NULL)
		return;
	g_free(report->reason);
	g_free(report->revocation);
	g_free(report->unchecked_why);
	for (int i = 0; i < CHAIN_FAULTS; i++)
		g_free(report->faults[i]);
	g_ptr_array_unref(report->path);
	g_strfreev(report->policies);
	g_free(report);
}

const char *
chain_verdict_name(enum chain_verdict verdict)
{
	switch (verdict) {
	case CHAIN_VALID:
		return "valid";
	case CHAIN_REVOKED:
		return "revoked";
	case CHAIN_INVALID:
		return "invalid";
	}
	return "invalid";
}

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
	set_fault(judgement->report, CHAIN_FAULT_EXPIRED,
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
		set_fault(judgement->report, CHAIN_FAULT_OTHER,
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
		set_fault(judgement->report, CHAIN_FAULT_USAGE, fault, remedy);
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
		set_fault(judgement->report, CHAIN_FAULT_ALGORITHM, fault, remedy);
}

/* ---- revocation ---- */

static gboolean
take_any(struct chain_search *search, GPtrArray *path, gpointer data)
{
	GPtrArray **taken = data;

	(void)search;
	*taken = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	for (guint i = 0; i < path->len; i++)
		g_ptr_array_add(*taken, cert_ref(path->pdata[i]));
	return TRUE;
}

/* Who has expired still said in his time who was revoked (T6); that others are good nobody who has
 * expired says. */
static GPtrArray *
find_signer_path(struct judgement *judgement, struct cert *signer, const struct cert *anchor,
		 enum crl_word word)
{
	g_autoptr(GPtrArray) anchors = g_ptr_array_new();
	GPtrArray *path = NULL;
	struct chain_options options = {
		.anchors = anchors,
		.untrusted = judgement->options->untrusted,
		.at = judgement->options->at,
		.allow_legacy = judgement->options->allow_legacy,
	};
	const struct cert_rules *rules = cert_rules(signer);
	g_autofree char *weak =
	    chain_strength_fault(signer, judgement->options->allow_legacy, NULL);

	if (word == CRL_WORD_REVOKED)
		options.at = MIN(options.at, cert_not_after(signer));
	if (cert_not_before(signer) > options.at || cert_not_after(signer) < options.at ||
	    rules->broken != NULL || rules->unknown_critical != NULL || weak != NULL)
		return NULL;
	g_ptr_array_add(anchors, (gpointer)anchor);
	CLEANUP(chain_search)
	struct chain_search *search = chain_search_new(signer, &options, &judgement->report->work);
	(void)chain_search_run(search, take_any, &path);
	return path;
}

/* The path of a list's signer to the anchor of the path that is being judged. */
static GPtrArray *
signer_path(struct cert *signer, const struct cert *anchor, enum crl_word word, gpointer data)
{
	struct judgement *judgement = data;
	g_autofree char *key = g_strdup_printf("%d %s %s", (int)word, cert_thumbprint(signer),
					       cert_thumbprint(anchor));
	gpointer known = NULL;

	if (!g_hash_table_lookup_extended(judgement->signer_paths, key, NULL, &known)) {
		known = find_signer_path(judgement, signer, anchor, word);
		g_hash_table_insert(judgement->signer_paths, g_steal_pointer(&key), known);
	}
	return known != NULL ? g_ptr_array_ref(known) : NULL;
}

/* Certificates that may sign lists: all that are named as the issuer of one. */
static GPtrArray *
list_signers(const struct chain_options *options)
{
	GPtrArray *pools[] = { options->untrusted, options->anchors };
	g_autoptr(GHashTable) issuers = g_hash_table_new(g_str_hash, g_str_equal);
	GPtrArray *signers = g_ptr_array_new();

	for (guint i = 0; options->crls != NULL && i < options->crls->len; i++)
		g_hash_table_add(issuers, (gpointer)crl_issuer_key(options->crls->pdata[i]));
	for (gsize k = 0; g_hash_table_size(issuers) > 0 && k < G_N_ELEMENTS(pools); k++)
		for (guint i = 0; pools[k] != NULL && i < pools[k]->len; i++)
			if (g_hash_table_contains(issuers, cert_subject_key(pools[k]->pdata[i])))
				g_ptr_array_add(signers, pools[k]->pdata[i]);
	return signers;
}

static gboolean
is_required(const struct chain_options *options, const struct cert *issuer)
{
	return options->revocation == CHAIN_REVOCATION_REQUIRED ||
	       (options->strict_issuers != NULL &&
		g_hash_table_contains(options->strict_issuers, cert_thumbprint(issuer)));
}

/* What was found on the way along one complete path. */
struct asked {
	GPtrArray *path;
	guint32 wanted;
	char *source;
};

static void
asked_free(gpointer data)
{
	struct asked *asked = data;

	g_ptr_array_unref(asked->path);
	g_free(asked->source);
	g_free(asked);
}

/* Lists that are in date say good: a grace is none of OCSP's. */
static gboolean
is_listed(const struct crl_check *check, enum crl_answer answer, const struct crl_finding *finding)
{
	return answer == CRL_ANSWER_GOOD && (finding->valid_until == CLOCK_NEVER ||
					     finding->valid_until - check->grace >= check->at);
}

static char *
list_source(const struct crl *list)
{
	g_autofree char *when = clock_format(crl_this_update(list));

	return g_strdup_printf("CRL of '%s' of %s", crl_issuer(list), when);
}

/* Weighs what a responder says against what lists say: revoked by either is revoked. TRUE: it is
 * the responder that speaks. */
static gboolean
weigh_status(const struct chain_options *options, const struct chain_status_finding *status,
	     enum crl_answer *answer, struct crl_finding *finding)
{
	if (!status->counts || *answer == CRL_ANSWER_REVOKED)
		return FALSE;
	switch (status->status->kind) {
	case CHAIN_STATUS_REVOKED:
		*answer = CRL_ANSWER_REVOKED;
		finding->revoked_at = status->status->revoked_at;
		finding->reason = status->status->reason;
		finding->list_issuer = status->status->responder;
		return TRUE;
	case CHAIN_STATUS_GOOD:
		if (*answer == CRL_ANSWER_GOOD && options->status_use != CHAIN_STATUS_PREFER)
			return FALSE;
		*answer = CRL_ANSWER_GOOD;
		finding->valid_until = MIN(finding->valid_until, status->status->next_update);
		return TRUE;
	case CHAIN_STATUS_UNKNOWN:
	case CHAIN_STATUS_NONE:
		break;
	}
	return FALSE;
}

/* One certificate of a path, by lists and answers together; *text is why it is not good. asked
 * NULL: the path does not lead to an anchor. */
static enum crl_answer
ask(struct judgement *judgement, GPtrArray *path, guint index, struct asked *asked, char **text,
    const char **remedy)
{
	const struct chain_options *options = judgement->options;
	const struct cert *cert = path->pdata[index], *issuer = path->pdata[index + 1];
	struct chain_status_finding status = chain_status_find(options, cert, issuer);
	struct crl_finding finding = { .valid_until = CLOCK_NEVER };
	struct crl_check check = {
		.crls = options->crls,
		.signers = asked != NULL ? judgement->signers : NULL,
		.at = options->at,
		.grace = is_required(options, issuer) ? 0 : options->crl_grace,
		.early = options->crl_early,
		.signer_path = signer_path,
		.data = judgement,
		.steps = &judgement->report->work.list_steps,
	};
	enum crl_answer answer = crl_check_cert(&check, path, index, &finding);
	gboolean listed = is_listed(&check, answer, &finding);

	*text = NULL;
	if (asked != NULL && answer != CRL_ANSWER_REVOKED &&
	    chain_status_wanted(options, cert, &status, listed))
		asked->wanted |= (guint32)1 << index;
	gboolean by_status = weigh_status(options, &status, &answer, &finding);
	if (answer == CRL_ANSWER_REVOKED) {
		enum sentence sentence = by_status ? SENTENCE_REVOKED_STATUS : SENTENCE_REVOKED;
		g_autofree char *when = clock_format(finding.revoked_at);
		*text = sentence_make(sentence, cert_subject(cert), when,
				      crl_reason_name(finding.reason),
				      finding.list_issuer != NULL ? finding.list_issuer : "", NULL);
		*remedy = sentence_remedy(sentence);
	} else if (answer == CRL_ANSWER_UNKNOWN) {
		*text = chain_status_explain(options, cert, &status, g_steal_pointer(&finding.why));
		*remedy = finding.remedy;
	} else {
		judgement->report->valid_until =
		    MIN(judgement->report->valid_until, finding.valid_until);
	}
	if (asked != NULL && index == 0 && (by_status || finding.list != NULL))
		asked->source =
		    by_status ? chain_status_source(status.status) : list_source(finding.list);
	g_free(finding.why);
	return answer;
}

/* What comes above one that ended the look: would be asked about all the same. */
static void
want_rest(const struct judgement *judgement, struct asked *asked, guint from)
{
	const struct chain_status_finding none = { NULL, FALSE };

	for (guint i = from; i + 1 < asked->path->len; i++)
		if (chain_status_wanted(judgement->options, asked->path->pdata[i], &none, FALSE))
			asked->wanted |= (guint32)1 << i;
}

/* All of a complete path. FALSE: it fails, and the search knows why. TRUE for a certificate that
 * is revoked itself: the report says so. */
static gboolean
check_revocation(struct judgement *judgement, GPtrArray *path)
{
	gint64 before = judgement->report->valid_until;
	g_autofree char *unchecked_why = NULL;
	gboolean unchecked = FALSE;
	struct asked *asked = g_new0(struct asked, 1);

	asked->path = g_ptr_array_copy(path, NULL, NULL);
	g_ptr_array_add(judgement->asked, asked);
	for (guint i = 0; i + 1 < path->len; i++) {
		gboolean required = is_required(judgement->options, path->pdata[i + 1]);
		const char *remedy = "";
		char *text = NULL;
		enum crl_answer answer = ask(judgement, path, i, asked, &text, &remedy);

		/* What was not looked at may say anything, whatever the preference. */
		required |= judgement->report->work.list_steps > CRL_STEPS_MAX;
		gboolean cut_short = judgement->report->work.exhausted;

		if (answer == CRL_ANSWER_REVOKED && i == 0) {
			/* No other path makes that undone. */
			set_fault(judgement->report, CHAIN_FAULT_REVOKED, text, remedy);
			break;
		}
		if (answer == CRL_ANSWER_REVOKED) {
			chain_search_fail(judgement->search, CHAIN_RANK_REVOKED, path,
					  CHAIN_FAULT_REVOKED, text, remedy);
		} else if (cut_short || (answer == CRL_ANSWER_UNKNOWN && required)) {
			want_rest(judgement, asked, i + 1);
			chain_search_fail(judgement->search, CHAIN_RANK_REVOCATION, path,
					  CHAIN_FAULT_REVOCATION, text, remedy);
		} else {
			unchecked |= answer == CRL_ANSWER_UNKNOWN;
			if (unchecked_why == NULL)
				unchecked_why = g_steal_pointer(&text);
			g_free(text);
			continue;
		}
		judgement->report->valid_until = before;
		return FALSE;
	}
	judgement->report->unchecked = unchecked;
	g_free(judgement->report->unchecked_why);
	judgement->report->unchecked_why = g_steal_pointer(&unchecked_why);
	return TRUE;
}

/*
 * Without a path to an anchor nothing can be found good; but a list signed by the very issuer
 * that signed the certificate says revoked all the same (T3), and for ever (T6).
 */
static void
check_issuers_lists(struct judgement *judgement)
{
	const struct chain_attempt *best = chain_search_best(judgement->search);
	g_autoptr(GPtrArray) issuers = chain_search_issuers(judgement->search);
	gint64 before = judgement->report->valid_until;

	for (guint i = 0; i < issuers->len + 1; i++) {
		g_autoptr(GPtrArray) pair = g_ptr_array_new();
		GPtrArray *path = i < issuers->len ? pair : best->path;

		g_ptr_array_add(pair, judgement->cert);
		if (i < issuers->len)
			g_ptr_array_add(pair, issuers->pdata[i]);
		for (guint k = 0; path != NULL && k + 1 < path->len; k++) {
			const char *remedy = "";
			char *text = NULL;

			if (ask(judgement, path, k, NULL, &text, &remedy) == CRL_ANSWER_REVOKED)
				set_fault(judgement->report, CHAIN_FAULT_REVOKED,
					  g_steal_pointer(&text), remedy);
			g_free(text);
		}
	}
	judgement->report->valid_until = before;
	judgement->report->unchecked = TRUE;
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

/* ---- paths ---- */

static void
take_report_path(struct chain_report *report, GPtrArray *path)
{
	g_ptr_array_set_size(report->path, 0);
	for (guint i = 0; i < path->len; i++)
		g_ptr_array_add(report->path, cert_ref(path->pdata[i]));
}

/* What was noted of the path that the report shows. */
static void
take_asked(struct judgement *judgement)
{
	struct chain_report *report = judgement->report;

	for (guint i = 0; i < judgement->asked->len; i++) {
		struct asked *asked = judgement->asked->pdata[i];
		gboolean same = asked->path->len == report->path->len;

		for (guint k = 0; same && k < asked->path->len; k++)
			same = asked->path->pdata[k] == report->path->pdata[k];
		if (!same)
			continue;
		report->status_wanted = asked->wanted;
		g_free(report->revocation);
		report->revocation = g_steal_pointer(&asked->source);
	}
}

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
	if (options->revocation != CHAIN_REVOCATION_OFF && !check_revocation(judgement, path))
		return FALSE;
	take_report_path(judgement->report, path);
	g_strfreev(judgement->report->policies);
	judgement->report->policies = g_steal_pointer(&policies);
	return TRUE;
}

/* No path was taken: the one that came farthest speaks. */
static void
take_best_attempt(struct judgement *judgement)
{
	const struct chain_attempt *best = chain_search_best(judgement->search);
	struct chain_report *report = judgement->report;

	if (best->path != NULL)
		take_report_path(report, best->path);
	else
		g_ptr_array_add(report->path, cert_ref(judgement->cert));
	report->incomplete = best->rank == CHAIN_RANK_NO_ISSUER;
	if (best->rank == CHAIN_RANK_REVOKED || !report->work.exhausted)
		set_fault(report, best->fault, g_strdup(best->text), best->remedy);
	else
		set_fault(report, CHAIN_FAULT_PATH,
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

char *
chain_fault_sentence(const struct chain_report *report, enum chain_fault fault)
{
	const char *remedy = report->remedies[fault];

	return remedy != NULL && *remedy != '\0'
		   ? g_strdup_printf("%s; %s", report->faults[fault], remedy)
		   : g_strdup(report->faults[fault]);
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

static void
free_path(gpointer path)
{
	if (path != NULL)
		g_ptr_array_unref(path);
}

struct chain_report *
chain_check(struct cert *cert, const struct chain_options *options, GError **error)
{
	if (!policies_are_oids(options, error))
		return NULL;
	CLEANUP(chain_report) struct chain_report *report = report_new();
	CLEANUP(chain_search)
	struct chain_search *search = chain_search_new(cert, options, &report->work);
	g_autoptr(GPtrArray) signers = list_signers(options);
	g_autoptr(GHashTable) signer_paths =
	    g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_path);
	g_autoptr(GPtrArray) all_asked = g_ptr_array_new_with_free_func(asked_free);
	struct judgement judgement = {
		.options = options,
		.report = report,
		.search = search,
		.cert = chain_search_cert(search),
		.signers = signers,
		.signer_paths = signer_paths,
		.asked = all_asked,
	};

	check_dates(&judgement);
	check_extensions(&judgement);
	check_usage(&judgement);
	check_strength(&judgement);
	if (!chain_search_run(search, judge_path, &judgement)) {
		take_best_attempt(&judgement);
		if (options->revocation != CHAIN_REVOCATION_OFF)
			check_issuers_lists(&judgement);
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
	take_asked(&judgement);
	conclude(&judgement);
	return g_steal_pointer(&report);
}
