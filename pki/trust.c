/*
 * trust - gathers what a judgement needs, judges in the order of T4, remembers.
 */
#include "pki/trust.h"

#include <string.h>

#include "pki/crypto/chain.h"
#include "pki/crypto/sentences.h"
#include "pki/issuer_pool.h"
#include "pki/judge.h"
#include "pki/revocation.h"
#include "store/base/error.h"
#include "store/ctl.h"
#include "store/db/changelog.h"
#include "store/preferences.h"

#define VERDICTS_MAX 50000

/* What a verdict rests on; a change of any of these makes it stale. */
static const enum change_kind rests_on[] = {
	CHANGE_CERT, CHANGE_ROOT, CHANGE_CRL, CHANGE_CTL, CHANGE_CA,
};

struct remembered {
	struct verdict *verdict;
	guint64 generations[G_N_ELEMENTS(rests_on)];
};

struct trust {
	struct db *db;
	struct changelog *changelog;
	struct clock *clock;
	gint64 cache_grace;
	struct issuer_pool *issuers;
	struct revocation *revocation;
	struct preference_cache *preferences;
	GMutex lock;
	GHashTable *verdicts; /* key_of() -> struct remembered */
	guint64 hits, misses;
};

static void
remembered_free(gpointer p)
{
	struct remembered *remembered = p;

	verdict_unref(remembered->verdict);
	g_free(remembered);
}

struct trust *
trust_new(struct db *db, struct changelog *changelog, struct clock *clock,
	  struct preference_cache *preferences, gint64 cache_grace)
{
	struct trust *trust = g_new0(struct trust, 1);

	trust->db = db;
	trust->changelog = changelog;
	trust->clock = clock;
	trust->cache_grace = cache_grace;
	trust->issuers = issuer_pool_new(db, changelog);
	trust->revocation = revocation_new(db, changelog);
	trust->preferences = preferences;
	trust->verdicts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, remembered_free);
	g_mutex_init(&trust->lock);
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
	g_hash_table_unref(trust->verdicts);
	issuer_pool_free(trust->issuers);
	revocation_free(trust->revocation);
	g_mutex_clear(&trust->lock);
	g_free(trust);
}

struct verdict *
verdict_ref(struct verdict *verdict)
{
	g_atomic_int_inc(&verdict->references);
	return verdict;
}

void
verdict_unref(struct verdict *verdict)
{
	if (verdict == NULL || !g_atomic_int_dec_and_test(&verdict->references))
		return;
	g_free(verdict->reason);
	g_free(verdict->finding);
	g_ptr_array_unref(verdict->path);
	g_free(verdict->ctl_thumbprint);
	g_free(verdict->ctl_subject);
	g_free(verdict);
}

const char *
verdict_state_name(enum verdict_state state)
{
	switch (state) {
	case VERDICT_VALID:
		return "valid";
	case VERDICT_INVALID:
		return "invalid";
	case VERDICT_REVOKED:
		return "revoked";
	case VERDICT_UNKNOWN:
		return "unknown";
	}
	return "unknown";
}

const char *
ctl_mark_name(enum ctl_mark mark)
{
	switch (mark) {
	case CTL_MARK_NONE:
		return "";
	case CTL_MARK_ALLOW:
		return "allow";
	case CTL_MARK_ALLOW_EXPIRED:
		return "allow also expired";
	case CTL_MARK_DENY:
		return "deny";
	case CTL_MARK_DENY_INHERITED:
		return "denied through issuer";
	}
	return "";
}

char *
verdict_mark(const struct verdict *verdict)
{
	if (verdict->ctl == CTL_MARK_DENY_INHERITED && verdict->ctl_subject != NULL)
		return g_strdup_printf("denied through '%s'", verdict->ctl_subject);
	return g_strdup(ctl_mark_name(verdict->ctl));
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
	GPtrArray *roots;      /* anchors */
	GPtrArray *candidates; /* struct cert: intermediates, and hints */
	GPtrArray *lists;      /* struct crl */
	GPtrArray *ctl;        /* struct ctl_row of everything here */
	GHashTable *own;       /* thumbprints of our CAs */
	gint64 at;
	enum trust_purpose purpose;
	enum chain_revocation mode;
	const struct trust_question *question; /* or NULL */
};

static void
judgement_clear(struct judgement *judgement)
{
	g_clear_pointer(&judgement->roots, g_ptr_array_unref);
	g_clear_pointer(&judgement->candidates, g_ptr_array_unref);
	g_clear_pointer(&judgement->lists, g_ptr_array_unref);
	g_clear_pointer(&judgement->ctl, g_ptr_array_unref);
	g_clear_pointer(&judgement->own, g_hash_table_unref);
}

static GPtrArray *
read_ctl(struct judgement *judgement, GError **error)
{
	g_autoptr(GPtrArray) thumbprints = g_ptr_array_new();

	g_ptr_array_add(thumbprints, (gpointer)cert_thumbprint(judgement->cert));
	for (guint i = 0; i < judgement->candidates->len; i++)
		g_ptr_array_add(thumbprints,
				(gpointer)cert_thumbprint(judgement->candidates->pdata[i]));
	for (guint i = 0; i < judgement->roots->len; i++)
		g_ptr_array_add(thumbprints, (gpointer)cert_thumbprint(judgement->roots->pdata[i]));
	return ctl_by_thumbprints(judgement->trust->db, (const char *const *)thumbprints->pdata,
				  thumbprints->len, error);
}

/* Lists may be signed by somebody else than the issuer: those come along as candidates. */
static gboolean
add_list_signers(struct judgement *judgement, GError **error)
{
	g_autoptr(GHashTable) asked = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < judgement->lists->len; i++) {
		const struct crl *crl = judgement->lists->pdata[i];
		gboolean signer_known = FALSE;

		for (guint k = 0; k < judgement->candidates->len && !signer_known; k++)
			signer_known = crl_is_signed_by(crl, judgement->candidates->pdata[k]);
		for (guint k = 0; k < judgement->roots->len && !signer_known; k++)
			signer_known = crl_is_signed_by(crl, judgement->roots->pdata[k]);
		if (signer_known || !g_hash_table_add(asked, (gpointer)crl_issuer_key(crl)))
			continue;
		guint before = judgement->candidates->len;
		if (!issuer_pool_named(judgement->trust->issuers, crl_issuer_key(crl),
				       judgement->candidates, error))
			return FALSE;
		guint after = judgement->candidates->len;
		for (guint k = before; k < after; k++)
			if (!issuer_pool_climb(judgement->trust->issuers,
					       judgement->candidates->pdata[k],
					       judgement->candidates, error))
				return FALSE;
	}
	return TRUE;
}

static gboolean
gather(struct judgement *judgement, GPtrArray *hints, GError **error)
{
	struct trust *trust = judgement->trust;
	g_autoptr(GPtrArray) all = g_ptr_array_new();

	judgement->candidates = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	for (guint i = 0; hints != NULL && i < MIN(hints->len, CHAIN_CANDIDATES_MAX / 2); i++)
		g_ptr_array_add(judgement->candidates, cert_ref(hints->pdata[i]));
	if ((judgement->roots = issuer_pool_roots(trust->issuers, error)) == NULL ||
	    (judgement->own = issuer_pool_own(trust->issuers, error)) == NULL ||
	    !issuer_pool_climb(trust->issuers, judgement->cert, judgement->candidates, error))
		return FALSE;
	g_ptr_array_add(all, judgement->cert);
	for (guint i = 0; i < judgement->candidates->len; i++)
		g_ptr_array_add(all, judgement->candidates->pdata[i]);
	if (judgement->mode != CHAIN_REVOCATION_OFF) {
		judgement->lists = revocation_lists(trust->revocation, all, error);
		if (judgement->lists == NULL || !add_list_signers(judgement, error))
			return FALSE;
	}
	judgement->ctl = read_ctl(judgement, error);
	return judgement->ctl != NULL;
}

static const struct ctl_row *
find_ctl(const struct judgement *judgement, const struct cert *cert)
{
	for (guint i = 0; i < judgement->ctl->len; i++) {
		const struct ctl_row *row = judgement->ctl->pdata[i];

		if (strcmp(row->thumbprint, cert_thumbprint(cert)) == 0)
			return row;
	}
	return NULL;
}

/* The nearest denied issuer on any candidate path whose key really verifies the one below. */
static const struct cert *
find_denied_issuer(const struct judgement *judgement)
{
	GPtrArray *pools[] = { judgement->candidates, judgement->roots };
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

static struct verdict *
verdict_new(void)
{
	struct verdict *verdict = g_new0(struct verdict, 1);

	verdict->references = 1;
	verdict->state = VERDICT_INVALID;
	verdict->fault = CHAIN_FAULTS;
	verdict->expires = CLOCK_NEVER;
	return verdict;
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

static struct verdict *
judge(struct judgement *judgement, GError **error)
{
	CLEANUP(verdict) struct verdict *verdict = verdict_new();
	struct chain_options options = {
		.anchors = judgement->roots,
		.untrusted = judgement->candidates,
		.crls = judgement->lists,
		.at = judgement->at,
		.purpose = chain_purpose_of(judgement->purpose),
		.revocation = judgement->mode,
		.strict_issuers = judgement->own,
		.crl_grace = REVOCATION_GRACE_SECONDS,
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
	pronounce(judgement, report, verdict);
	return g_steal_pointer(&verdict);
}

static struct verdict *
judge_now(struct trust *trust, struct cert *cert, enum trust_purpose purpose,
	  enum chain_revocation mode, GPtrArray *hints, gint64 at, GError **error)
{
	struct judgement judgement = {
		.trust = trust, .cert = cert, .at = at, .purpose = purpose, .mode = mode
	};
	struct verdict *verdict = NULL;

	if (gather(&judgement, hints, error))
		verdict = judge(&judgement, error);
	judgement_clear(&judgement);
	return verdict;
}

static void
read_generations(struct trust *trust, guint64 generations[G_N_ELEMENTS(rests_on)])
{
	for (gsize i = 0; i < G_N_ELEMENTS(rests_on); i++)
		generations[i] = changelog_generation(trust->changelog, rests_on[i]);
}

/* A remembered verdict that is still good, as a reference of the caller's, or NULL. */
static struct verdict *
recall(struct trust *trust, const char *key, const guint64 *generations, gint64 now)
{
	struct verdict *verdict = NULL;

	if (!changelog_fresh(trust->changelog, trust->cache_grace))
		return NULL;
	g_mutex_lock(&trust->lock);
	const struct remembered *remembered = g_hash_table_lookup(trust->verdicts, key);
	if (remembered != NULL && remembered->verdict->expires >= now &&
	    memcmp(remembered->generations, generations, sizeof(remembered->generations)) == 0)
		verdict = verdict_ref(remembered->verdict);
	*(verdict != NULL ? &trust->hits : &trust->misses) += 1;
	g_mutex_unlock(&trust->lock);
	return verdict;
}

static void
remember(struct trust *trust, const char *key, const guint64 *generations, struct verdict *verdict)
{
	struct remembered *remembered = g_new0(struct remembered, 1);

	remembered->verdict = verdict_ref(verdict);
	memcpy(remembered->generations, generations, sizeof(remembered->generations));
	g_mutex_lock(&trust->lock);
	if (g_hash_table_size(trust->verdicts) >= VERDICTS_MAX)
		g_hash_table_remove_all(trust->verdicts);
	g_hash_table_replace(trust->verdicts, g_strdup(key), remembered);
	g_mutex_unlock(&trust->lock);
}

struct verdict *
trust_judge_with(struct trust *trust, struct cert *cert, enum trust_purpose purpose,
		 enum chain_revocation mode, GError **error)
{
	g_autofree char *key =
	    g_strdup_printf("%d:%d:%s", (int)purpose, (int)mode, cert_thumbprint(cert));
	guint64 generations[G_N_ELEMENTS(rests_on)];
	gint64 now = clock_now(trust->clock);

	read_generations(trust, generations);
	struct verdict *verdict = recall(trust, key, generations, now);
	if (verdict != NULL)
		return verdict;
	verdict = judge_now(trust, cert, purpose, mode, NULL, now, error);
	if (verdict != NULL)
		remember(trust, key, generations, verdict);
	return verdict;
}

enum chain_revocation
trust_revocation(const struct preference_set *set, enum trust_purpose purpose)
{
	enum preference preference = purpose == TRUST_ENCRYPT ? PREF_REVOCATION_ENCRYPT
				     : purpose == TRUST_SIGN  ? PREF_REVOCATION_SIGN
							      : PREF_REVOCATION_VERIFY;
	const char *value = set != NULL ? preference_text(set, preference) : "if-available";

	if (strcmp(value, "off") == 0)
		return CHAIN_REVOCATION_OFF;
	if (strcmp(value, "if-available") == 0)
		return CHAIN_REVOCATION_IF_AVAILABLE;
	return CHAIN_REVOCATION_REQUIRED;
}

static gboolean
global_mode(struct trust *trust, enum trust_purpose purpose, enum chain_revocation *mode,
	    GError **error)
{
	CLEANUP(preference_set)
	struct preference_set *set = preferences_resolve(trust->preferences, NULL, error);

	if (set == NULL)
		return FALSE;
	*mode = trust_revocation(set, purpose);
	return TRUE;
}

struct verdict *
trust_judge(struct trust *trust, struct cert *cert, enum trust_purpose purpose, GError **error)
{
	enum chain_revocation mode = CHAIN_REVOCATION_REQUIRED;

	if (!global_mode(trust, purpose, &mode, error))
		return NULL;
	return trust_judge_with(trust, cert, purpose, mode, error);
}

struct verdict *
trust_judge_at(struct trust *trust, struct cert *cert, enum trust_purpose purpose, GPtrArray *hints,
	       gint64 at, GError **error)
{
	enum chain_revocation mode = CHAIN_REVOCATION_REQUIRED;

	if ((hints == NULL || hints->len == 0) && at == 0)
		return trust_judge(trust, cert, purpose, error);
	if (!global_mode(trust, purpose, &mode, error))
		return NULL;
	return judge_now(trust, cert, purpose, mode, hints, at != 0 ? at : clock_now(trust->clock),
			 error);
}

struct verdict *
trust_ask(struct trust *trust, struct cert *cert, const struct trust_question *question,
	  GError **error)
{
	struct judgement judgement = {
		.trust = trust,
		.cert = cert,
		.at = question->at != 0 ? question->at : clock_now(trust->clock),
		.purpose = question->purpose,
		.mode = question->revocation,
		.question = question,
	};
	struct verdict *verdict = NULL;

	if (gather(&judgement, question->hints, error))
		verdict = judge(&judgement, error);
	judgement_clear(&judgement);
	return verdict;
}

void
trust_stats(struct trust *trust, guint64 *hits, guint64 *misses)
{
	g_mutex_lock(&trust->lock);
	*hits = trust->hits;
	*misses = trust->misses;
	g_mutex_unlock(&trust->lock);
}
