/*
 * trust - gathers what a judgement needs, judges in the order of T4, remembers.
 */
#include "pki/trust.h"

#include <string.h>

#include "pki/above.h"
#include "pki/cert_cache.h"
#include "pki/crl_load.h"
#include "pki/crypto/chain.h"
#include "pki/crypto/sentences.h"
#include "pki/judge.h"
#include "pki/ocsp.h"
#include "pki/revocation.h"
#include "store/base/error.h"
#include "store/cache.h"
#include "store/ctl.h"
#include "store/preferences.h"

/* Certificates beside the one judged for which the verdict is still remembered. */
#define HINTS_KEPT_MAX 8
/* Of a verdict beside its texts. */
#define VERDICT_BYTES 512

struct trust {
	struct db *db;
	struct changelog *changelog;
	struct clock *clock;
	struct aboves *aboves;
	struct revocation *revocation;
	struct ocsp *ocsp;
	struct preference_cache *preferences;
	struct cache *verdicts; /* key_of() -> struct verdict */
};

static gpointer
ref(gpointer verdict)
{
	return verdict_ref(verdict);
}

static void
unref(gpointer verdict)
{
	verdict_unref(verdict);
}

struct trust *
trust_new(struct db *db, struct changelog *changelog, struct clock *clock,
	  struct preference_cache *preferences, const struct cache_limits *limits)
{
	struct trust *trust = g_new0(struct trust, 1);

	trust->db = db;
	trust->changelog = changelog;
	trust->clock = clock;
	trust->revocation = revocation_new(db, changelog);
	trust->ocsp = ocsp_new(db, changelog, clock);
	trust->aboves = aboves_new(db, changelog, trust->revocation, limits);
	trust->preferences = preferences;
	trust->verdicts = cache_new(changelog, clock, limits, CACHE_VERDICTS, ref, unref);
	return trust;
}

void
trust_set_crl_memory(struct trust *trust, gsize bytes_max)
{
	revocation_set_memory(trust->revocation, bytes_max);
}

void
trust_free(struct trust *trust)
{
	if (trust == NULL)
		return;
	cache_free(trust->verdicts);
	aboves_free(trust->aboves);
	revocation_free(trust->revocation);
	ocsp_free(trust->ocsp);
	g_free(trust);
}

static enum chain_purpose
chain_purpose_of(enum trust_purpose purpose)
{
	switch (purpose) {
	case TRUST_ENCRYPT:
		return CHAIN_PURPOSE_ENCRYPT;
	case TRUST_SIGN:
	case TRUST_VERIFY:
		return CHAIN_PURPOSE_SIGN;
	case TRUST_ANY:
		return CHAIN_PURPOSE_ANY;
	}
	return CHAIN_PURPOSE_SIGN;
}

/* All that one judgement looks at. */
struct judgement {
	struct trust *trust;
	struct cert *cert;
	struct above *above;
	GPtrArray *lists;           /* struct crl; NULL: none are wanted */
	struct ocsp_facts *answers; /* NULL: none are wanted */
	GPtrArray *ctl;             /* struct ctl_row of the certificate itself: one or none */
	GArray *tags;               /* what the verdict rests on */
	gint64 at;
	enum trust_purpose purpose;
	struct trust_mode mode;
	gboolean asks; /* for OCSP answers that are missing: somebody is about to use it now */
	const struct trust_question *question; /* or NULL */
};

static void
judgement_clear(struct judgement *judgement)
{
	g_clear_pointer(&judgement->above, above_unref);
	g_clear_pointer(&judgement->lists, g_ptr_array_unref);
	g_clear_pointer(&judgement->answers, ocsp_facts_free);
	g_clear_pointer(&judgement->ctl, g_ptr_array_unref);
}

/* The certificate's own CTL entry: known from its row (mark), or NULL to be looked up. */
static gboolean
read_ctl(struct judgement *judgement, const char *mark, GError **error)
{
	const char *thumbprint = cert_thumbprint(judgement->cert);
	struct ctl_row *row;

	change_tags_add(judgement->tags, CHANGE_CTL, thumbprint);
	if (mark == NULL) {
		judgement->ctl = ctl_by_thumbprints(judgement->trust->db, &thumbprint, 1, error);
		return judgement->ctl != NULL;
	}
	judgement->ctl = g_ptr_array_new_with_free_func((GDestroyNotify)ctl_row_free);
	if (*mark == '\0')
		return TRUE;
	row = g_new0(struct ctl_row, 1);
	row->thumbprint = g_strdup(thumbprint);
	row->kind = g_str_has_prefix(mark, "allow") ? CTL_KIND_ALLOW : CTL_KIND_DENY;
	row->allow_expired = strcmp(mark, "allow-expired") == 0;
	g_ptr_array_add(judgement->ctl, row);
	return TRUE;
}

/* Of the certificate and of all that may stand above it. */
static gboolean
read_answers(struct judgement *judgement, GError **error)
{
	g_autoptr(GPtrArray) all = g_ptr_array_new();

	g_ptr_array_add(all, judgement->cert);
	g_ptr_array_extend(all, judgement->above->candidates, NULL, NULL);
	judgement->answers = ocsp_facts(judgement->trust->ocsp, all, judgement->tags, error);
	return judgement->answers != NULL;
}

static gboolean
gather(struct judgement *judgement, GPtrArray *hints, const char *ctl_mark, GError **error)
{
	struct trust *trust = judgement->trust;
	gboolean listed = judgement->mode.revocation != CHAIN_REVOCATION_OFF;

	judgement->above =
	    above_find(trust->aboves, judgement->cert,
		       listed ? ABOVE_WITH_LISTS : ABOVE_WITHOUT_LISTS, hints, error);
	if (judgement->above == NULL)
		return FALSE;
	change_tags_join(judgement->tags, judgement->above->tags);
	if (listed) {
		judgement->lists =
		    revocation_lists_of(trust->revocation, judgement->above->list_keys, error);
		if (judgement->lists == NULL || !read_answers(judgement, error))
			return FALSE;
	}
	return read_ctl(judgement, ctl_mark, error);
}

static const struct ctl_row *
find_ctl_in(const GPtrArray *rows, const struct cert *cert)
{
	for (guint i = 0; i < rows->len; i++) {
		const struct ctl_row *row = rows->pdata[i];

		if (strcmp(row->thumbprint, cert_thumbprint(cert)) == 0)
			return row;
	}
	return NULL;
}

static const struct ctl_row *
find_ctl(const struct judgement *judgement, const struct cert *cert)
{
	const struct ctl_row *row = find_ctl_in(judgement->ctl, cert);

	return row != NULL ? row : find_ctl_in(judgement->above->ctl, cert);
}

/* The nearest denied issuer on any candidate path whose key really verifies the one below. */
static const struct cert *
find_denied_issuer(const struct judgement *judgement)
{
	GPtrArray *pools[] = { judgement->above->candidates, judgement->above->anchors };
	g_autoptr(GPtrArray) above = chain_candidates(judgement->cert, pools, G_N_ELEMENTS(pools));
	g_autoptr(GPtrArray) reached = g_ptr_array_new();

	g_ptr_array_add(reached, judgement->cert);
	for (guint i = 0; i < reached->len; i++)
		for (guint k = 0; k < above->len; k++) {
			struct cert *issuer = above->pdata[k];

			if (g_ptr_array_find(reached, issuer, NULL) ||
			    !cert_is_issued_by(reached->pdata[i], issuer))
				continue;
			const struct ctl_row *row = find_ctl(judgement, issuer);
			if (row != NULL && row->kind == CTL_KIND_DENY &&
			    !cert_equal(issuer, judgement->cert))
				return cert_ref(issuer);
			g_ptr_array_add(reached, issuer);
		}
	return NULL;
}

static enum ctl_mark
mark_of(const struct ctl_row *row)
{
	if (row == NULL)
		return CTL_MARK_NONE;
	if (row->kind == CTL_KIND_DENY)
		return CTL_MARK_DENY;
	return row->allow_expired ? CTL_MARK_ALLOW_EXPIRED : CTL_MARK_ALLOW;
}

/* A search that hostile hints bring to its limit still knows the path that was taken. */
static struct cert *
find_denied(const struct judgement *judgement, const struct chain_report *report)
{
	struct cert *issuer = (struct cert *)find_denied_issuer(judgement);

	for (guint i = 1; issuer == NULL && i < report->path->len; i++)
		if (mark_of(find_ctl(judgement, report->path->pdata[i])) == CTL_MARK_DENY)
			issuer = cert_ref(report->path->pdata[i]);
	return issuer;
}

/* The order is judge.c's; here its answer gets names and sentences. */
static void
pronounce(const struct judgement *judgement, const struct chain_report *report,
	  struct verdict *verdict)
{
	const struct ctl_row *own = find_ctl(judgement, judgement->cert);
	CLEANUP(cert) struct cert *denied = find_denied(judgement, report);
	struct judge_facts facts = { .own = mark_of(own), .issuer_denied = denied != NULL };

	for (int i = 0; i < CHAIN_FAULTS; i++)
		facts.faults[i] = report->faults[i] != NULL;
	struct judge_answer answer = judge_facts(&facts);
	const struct cert *marked =
	    answer.mark == CTL_MARK_DENY_INHERITED ? denied : judgement->cert;
	verdict->state = answer.state;
	verdict->ctl = answer.mark;
	verdict->fault = answer.fault;
	verdict->by_ctl_allow = answer.by_ctl_allow;
	verdict->unchecked = report->unchecked;
	verdict->incomplete = report->incomplete;
	if (answer.mark != CTL_MARK_NONE) {
		verdict->ctl_thumbprint = g_strdup(cert_thumbprint(marked));
		verdict->ctl_subject = g_strdup(cert_subject(marked));
	}
	if (answer.mark == CTL_MARK_DENY || answer.mark == CTL_MARK_DENY_INHERITED) {
		enum sentence sentence =
		    answer.mark == CTL_MARK_DENY ? SENTENCE_DENIED : SENTENCE_DENIED_ISSUER;
		verdict->finding = sentence_make(sentence, cert_subject(marked), NULL);
		verdict->reason = sentence_with_remedy(sentence, cert_subject(marked), NULL);
	} else if (answer.fault != CHAIN_FAULTS) {
		verdict->finding = g_strdup(report->faults[answer.fault]);
		verdict->reason = chain_fault_sentence(report, answer.fault);
	} else {
		verdict->finding = g_strdup("");
		verdict->reason = g_strdup("");
	}
}

static void
take_question(struct chain_options *options, const struct trust_question *question)
{
	options->policies = question->policies;
	options->explicit_policy = question->explicit_policy;
	options->inhibit_policy_mapping = question->inhibit_policy_mapping;
	options->inhibit_any_policy = question->inhibit_any_policy;
	options->allow_legacy = question->allow_legacy;
}

/* What is missing is shown even where it is not fatal. */
static char *
revocation_text(const struct chain_options *options, const struct chain_report *report)
{
	const char *source = report->revocation;

	if (report->unchecked_why != NULL)
		return g_strdup_printf("%s%snot checked: %s", source != NULL ? source : "",
				       source != NULL ? "; " : "", report->unchecked_why);
	if (options->revocation == CHAIN_REVOCATION_OFF && source == NULL)
		return g_strdup("not checked: the preference says off");
	return g_strdup(source);
}

/* Else somebody looks back. */
static gboolean
is_present(const struct judgement *judgement)
{
	return ABS(judgement->at - clock_now(judgement->trust->clock)) <= 60;
}

/* A responder was asked, and has said that it does not know a certificate of the path. */
static gboolean
is_disowned(const struct judgement *judgement, const struct chain_report *report)
{
	const GPtrArray *statuses =
	    judgement->answers != NULL ? judgement->answers->statuses : NULL;

	for (guint i = 0; statuses != NULL && i < statuses->len; i++) {
		const struct chain_status *status = statuses->pdata[i];

		if (status->kind != CHAIN_STATUS_UNKNOWN || status->next_update < judgement->at)
			continue;
		for (guint n = 0; n < report->path->len; n++)
			if (strcmp(cert_thumbprint(report->path->pdata[n]), status->thumbprint) ==
			    0)
				return TRUE;
	}
	return FALSE;
}

/* Whoever is about to encrypt or sign with it must not take "nobody knows" for "no": who can keep
 * a list or an answer away could turn encryption off. A signature that comes in is just not
 * believed. */
static gboolean
waits_for_lists(const struct judgement *judgement, const struct chain_report *report)
{
	return judgement->asks &&
	       (judgement->purpose == TRUST_ENCRYPT || judgement->purpose == TRUST_SIGN) &&
	       !is_disowned(judgement, report);
}

/* Asks for what would count, in the background. While the first answer is on its way, what needs
 * one is not invalid: nobody knows yet. */
static void
want_answers(const struct judgement *judgement, const struct chain_report *report,
	     struct verdict *verdict)
{
	gboolean open = waits_for_lists(judgement, report);

	if (judgement->answers != NULL && judgement->asks) {
		gboolean asked = FALSE;
		gint64 again = ocsp_want(judgement->trust->ocsp, judgement->answers, report->path,
					 report->status_wanted, judgement->at, &asked);

		verdict->expires = MIN(verdict->expires, again);
		open |= asked;
	}
	if (open && verdict->state == VERDICT_INVALID && verdict->fault == CHAIN_FAULT_REVOCATION)
		verdict->state = VERDICT_UNKNOWN;
}

static struct verdict *
judge(struct judgement *judgement, GError **error)
{
	CLEANUP(verdict) struct verdict *verdict = verdict_new();
	struct chain_options options = {
		.anchors = judgement->above->anchors,
		.untrusted = judgement->above->candidates,
		.crls = judgement->lists,
		.at = judgement->at,
		.purpose = chain_purpose_of(judgement->purpose),
		.revocation = judgement->mode.revocation,
		.statuses = judgement->answers != NULL ? judgement->answers->statuses : NULL,
		.status_use = judgement->mode.ocsp,
		.strict_issuers = judgement->above->own,
		.crl_grace = REVOCATION_GRACE_SECONDS,
		.crl_early = is_present(judgement) ? CRL_EARLY_SECONDS : 0,
	};
	if (judgement->question != NULL)
		take_question(&options, judgement->question);
	CLEANUP(chain_report)
	struct chain_report *report = chain_check(judgement->cert, &options, error);

	verdict->path = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	if (report == NULL)
		return NULL;
	for (guint i = 0; i < report->path->len; i++)
		g_ptr_array_add(verdict->path, cert_ref(report->path->pdata[i]));
	verdict->expires = report->valid_until;
	verdict->revocation = revocation_text(&options, report);
	pronounce(judgement, report, verdict);
	want_answers(judgement, report, verdict);
	return g_steal_pointer(&verdict);
}

/* What it rests on is joined to the tags. ctl_mark: see trust_judge_row. at 0: now. */
static struct verdict *
judge_now(struct trust *trust, struct cert *cert, enum trust_purpose purpose,
	  struct trust_mode mode, GPtrArray *hints, const char *ctl_mark, gint64 at, GArray *tags,
	  GError **error)
{
	struct judgement judgement = { .trust = trust,
				       .cert = cert,
				       .at = at != 0 ? at : clock_now(trust->clock),
				       .purpose = purpose,
				       .mode = mode,
				       .asks = at == 0 && purpose != TRUST_ANY,
				       .tags = tags };
	struct verdict *verdict = NULL;

	if (gather(&judgement, hints, ctl_mark, error))
		verdict = judge(&judgement, error);
	judgement_clear(&judgement);
	return verdict;
}

/* NULL: not to be remembered, the hints are too many. */
static char *
key_of(const struct cert *cert, enum trust_purpose purpose, struct trust_mode mode,
       const GPtrArray *hints)
{
	GString *key = g_string_new(NULL);

	g_string_printf(key, "%d:%d:%d:%s", (int)purpose, (int)mode.revocation, (int)mode.ocsp,
			cert_thumbprint(cert));
	for (guint i = 0; hints != NULL && i < hints->len; i++)
		g_string_append_printf(key, " %s", cert_thumbprint(hints->pdata[i]));
	return g_string_free(key, hints != NULL && hints->len > HINTS_KEPT_MAX);
}

/* Issuers are counted where they are kept; the certificate itself may be kept by this alone. */
static gsize
cost_of(const struct verdict *verdict, const struct cert *cert)
{
	return VERDICT_BYTES + strlen(verdict->reason) + strlen(verdict->finding) +
	       verdict->path->len * sizeof(gpointer) + cert_memory(cert);
}

static struct verdict *
judge_remembered(struct trust *trust, struct cert *cert, enum trust_purpose purpose,
		 struct trust_mode mode, GPtrArray *hints, GArray *tags_or_null, GError **error)
{
	struct cache_moment began = cache_moment(trust->verdicts);
	g_autofree char *key = key_of(cert, purpose, mode, hints);
	struct verdict *verdict =
	    key != NULL ? cache_get_tagged(trust->verdicts, key, tags_or_null) : NULL;
	g_autoptr(GArray) tags = NULL;

	if (verdict != NULL)
		return verdict;
	tags = change_tags_new();
	verdict = judge_now(trust, cert, purpose, mode, hints, NULL, 0, tags, error);
	if (verdict == NULL)
		return NULL;
	if (key != NULL)
		cache_put(trust->verdicts, key, verdict, cost_of(verdict, cert), verdict->expires,
			  (const change_tag *)(gpointer)tags->data, tags->len, began);
	if (tags_or_null != NULL)
		change_tags_join(tags_or_null, tags);
	return verdict;
}

struct verdict *
trust_judge_with(struct trust *trust, struct cert *cert, enum trust_purpose purpose,
		 struct trust_mode mode, GError **error)
{
	return judge_remembered(trust, cert, purpose, mode, NULL, NULL, error);
}

struct verdict *
trust_judge_tagged(struct trust *trust, struct cert *cert, enum trust_purpose purpose,
		   struct trust_mode mode, GArray *tags, GError **error)
{
	return judge_remembered(trust, cert, purpose, mode, NULL, tags, error);
}

struct verdict *
trust_judge_row(struct trust *trust, struct cert *cert, const char *ctl_mark,
		enum trust_purpose purpose, struct trust_mode mode, GArray *tags, GError **error)
{
	return judge_now(trust, cert, purpose, mode, NULL, ctl_mark != NULL ? ctl_mark : "", 0,
			 tags, error);
}

static gboolean
global_mode(struct trust *trust, enum trust_purpose purpose, struct trust_mode *mode,
	    GError **error)
{
	CLEANUP(preference_set)
	struct preference_set *set = preferences_resolve(trust->preferences, NULL, error);

	if (set == NULL)
		return FALSE;
	*mode = trust_mode_of(set, purpose);
	return TRUE;
}

struct verdict *
trust_judge(struct trust *trust, struct cert *cert, enum trust_purpose purpose, GError **error)
{
	struct trust_mode mode = trust_mode_of(NULL, purpose);

	if (!global_mode(trust, purpose, &mode, error))
		return NULL;
	return trust_judge_with(trust, cert, purpose, mode, error);
}

struct verdict *
trust_judge_at(struct trust *trust, struct cert *cert, enum trust_purpose purpose, GPtrArray *hints,
	       gint64 at, GError **error)
{
	struct trust_mode mode = trust_mode_of(NULL, purpose);

	g_autoptr(GArray) tags = NULL;

	if (!global_mode(trust, purpose, &mode, error))
		return NULL;
	if (at == 0)
		return judge_remembered(trust, cert, purpose, mode, hints, NULL, error);
	tags = change_tags_new();
	return judge_now(trust, cert, purpose, mode, hints, NULL, at, tags, error);
}

struct verdict *
trust_judge_hinted(struct trust *trust, struct cert *cert, enum trust_purpose purpose,
		   struct trust_mode mode, GPtrArray *hints, GError **error)
{
	return judge_remembered(trust, cert, purpose, mode, hints, NULL, error);
}

struct verdict *
trust_ask(struct trust *trust, struct cert *cert, const struct trust_question *question,
	  GError **error)
{
	g_autoptr(GArray) tags = change_tags_new();
	struct judgement judgement = {
		.trust = trust,
		.cert = cert,
		.at = question->at != 0 ? question->at : clock_now(trust->clock),
		.purpose = question->purpose,
		.mode = { question->revocation, CHAIN_STATUS_OFF },
		.question = question,
		.tags = tags,
	};
	struct verdict *verdict = NULL;

	if (gather(&judgement, question->hints, NULL, error))
		verdict = judge(&judgement, error);
	judgement_clear(&judgement);
	return verdict;
}

void
trust_stats(struct trust *trust, struct cache_stats *stats)
{
	cache_stats(trust->verdicts, stats);
}
