/*
 * path_revocation - one certificate after the other of a path, by lists and answers together.
 */
#include "pki/crypto/path_revocation.h"

#include <string.h>

#include "pki/crypto/cert_rules.h"
#include "pki/crypto/chain_report.h"
#include "pki/crypto/chain_search.h"
#include "pki/crypto/crl_check.h"
#include "pki/crypto/internal.h"
#include "store/base/clock.h"

struct path_revocation {
	const struct chain_options *options;
	struct chain_report *report;
	struct chain_search *search;
	GPtrArray *signers; /* struct cert that may sign lists */
	/* "word signer anchor", thumbprints -> GPtrArray, or NULL for none */
	GHashTable *signer_paths;
	GPtrArray *asked; /* struct asked, one a complete path */
};

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

static void
free_path(gpointer path)
{
	if (path != NULL)
		g_ptr_array_unref(path);
}

struct path_revocation *
path_revocation_new(const struct chain_options *options, struct chain_search *search,
		    struct chain_report *report)
{
	struct path_revocation *revocation = g_new0(struct path_revocation, 1);

	revocation->options = options;
	revocation->search = search;
	revocation->report = report;
	revocation->signers = list_signers(options);
	revocation->signer_paths =
	    g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_path);
	revocation->asked = g_ptr_array_new_with_free_func(asked_free);
	return revocation;
}

void
path_revocation_free(struct path_revocation *revocation)
{
	if (revocation == NULL)
		return;
	g_ptr_array_unref(revocation->signers);
	g_hash_table_unref(revocation->signer_paths);
	g_ptr_array_unref(revocation->asked);
	g_free(revocation);
}

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
find_signer_path(struct path_revocation *revocation, struct cert *signer, const struct cert *anchor,
		 enum crl_word word)
{
	g_autoptr(GPtrArray) anchors = g_ptr_array_new();
	GPtrArray *path = NULL;
	struct chain_options options = {
		.anchors = anchors,
		.untrusted = revocation->options->untrusted,
		.at = revocation->options->at,
		.allow_legacy = revocation->options->allow_legacy,
	};
	const struct cert_rules *rules = cert_rules(signer);
	g_autofree char *weak =
	    chain_strength_fault(signer, revocation->options->allow_legacy, NULL);

	if (word == CRL_WORD_REVOKED)
		options.at = MIN(options.at, cert_not_after(signer));
	if (cert_not_before(signer) > options.at || cert_not_after(signer) < options.at ||
	    rules->broken != NULL || rules->unknown_critical != NULL || weak != NULL)
		return NULL;
	g_ptr_array_add(anchors, (gpointer)anchor);
	CLEANUP(chain_search)
	struct chain_search *search = chain_search_new(signer, &options, &revocation->report->work);
	(void)chain_search_run(search, take_any, &path);
	return path;
}

/* The path of a list's signer to the anchor of the path that is being judged. */
static GPtrArray *
signer_path(struct cert *signer, const struct cert *anchor, enum crl_word word, gpointer data)
{
	struct path_revocation *revocation = data;
	g_autofree char *key = g_strdup_printf("%d %s %s", (int)word, cert_thumbprint(signer),
					       cert_thumbprint(anchor));
	gpointer known = NULL;

	if (!g_hash_table_lookup_extended(revocation->signer_paths, key, NULL, &known)) {
		known = find_signer_path(revocation, signer, anchor, word);
		g_hash_table_insert(revocation->signer_paths, g_steal_pointer(&key), known);
	}
	return known != NULL ? g_ptr_array_ref(known) : NULL;
}

static gboolean
is_required(const struct chain_options *options, const struct cert *issuer)
{
	return options->revocation == CHAIN_REVOCATION_REQUIRED ||
	       (options->strict_issuers != NULL &&
		g_hash_table_contains(options->strict_issuers, cert_thumbprint(issuer)));
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
ask(struct path_revocation *revocation, GPtrArray *path, guint index, struct asked *asked,
    char **text, const char **remedy)
{
	const struct chain_options *options = revocation->options;
	const struct cert *cert = path->pdata[index], *issuer = path->pdata[index + 1];
	struct chain_status_finding status = chain_status_find(options, cert, issuer);
	struct crl_finding finding = { .valid_until = CLOCK_NEVER };
	struct crl_check check = {
		.crls = options->crls,
		.signers = asked != NULL ? revocation->signers : NULL,
		.at = options->at,
		.grace = is_required(options, issuer) ? 0 : options->crl_grace,
		.early = options->crl_early,
		.signer_path = signer_path,
		.data = revocation,
		.steps = &revocation->report->work.list_steps,
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
		revocation->report->valid_until =
		    MIN(revocation->report->valid_until, finding.valid_until);
	}
	if (asked != NULL && index == 0 && (by_status || finding.list != NULL))
		asked->source =
		    by_status ? chain_status_source(status.status) : list_source(finding.list);
	g_free(finding.why);
	return answer;
}

/* What comes above one that ended the look: would be asked about all the same. */
static void
want_rest(const struct path_revocation *revocation, struct asked *asked, guint from)
{
	const struct chain_status_finding none = { NULL, FALSE };

	for (guint i = from; i + 1 < asked->path->len; i++)
		if (chain_status_wanted(revocation->options, asked->path->pdata[i], &none, FALSE))
			asked->wanted |= (guint32)1 << i;
}

/* All of a complete path. FALSE: it fails, and the search knows why. TRUE for a certificate that
 * is revoked itself: the report says so. */
gboolean
path_revocation_check(struct path_revocation *revocation, GPtrArray *path)
{
	gint64 before = revocation->report->valid_until;
	g_autofree char *unchecked_why = NULL;
	gboolean unchecked = FALSE;
	struct asked *asked = g_new0(struct asked, 1);

	asked->path = g_ptr_array_copy(path, NULL, NULL);
	g_ptr_array_add(revocation->asked, asked);
	for (guint i = 0; i + 1 < path->len; i++) {
		gboolean required = is_required(revocation->options, path->pdata[i + 1]);
		const char *remedy = "";
		char *text = NULL;
		enum crl_answer answer = ask(revocation, path, i, asked, &text, &remedy);

		/* What was not looked at may say anything, whatever the preference. */
		required |= revocation->report->work.list_steps > CRL_STEPS_MAX;
		gboolean cut_short = revocation->report->work.exhausted;

		if (answer == CRL_ANSWER_REVOKED && i == 0) {
			/* No other path makes that undone. */
			chain_report_set_fault(revocation->report, CHAIN_FAULT_REVOKED, text,
					       remedy);
			break;
		}
		if (answer == CRL_ANSWER_REVOKED) {
			chain_search_fail(revocation->search, CHAIN_RANK_REVOKED, path,
					  CHAIN_FAULT_REVOKED, text, remedy);
		} else if (cut_short || (answer == CRL_ANSWER_UNKNOWN && required)) {
			want_rest(revocation, asked, i + 1);
			chain_search_fail(revocation->search, CHAIN_RANK_REVOCATION, path,
					  CHAIN_FAULT_REVOCATION, text, remedy);
		} else {
			unchecked |= answer == CRL_ANSWER_UNKNOWN;
			if (unchecked_why == NULL)
				unchecked_why = g_steal_pointer(&text);
			g_free(text);
			continue;
		}
		revocation->report->valid_until = before;
		return FALSE;
	}
	revocation->report->unchecked = unchecked;
	g_free(revocation->report->unchecked_why);
	revocation->report->unchecked_why = g_steal_pointer(&unchecked_why);
	return TRUE;
}

/*
 * Without a path to an anchor nothing can be found good; but a list signed by the very issuer
 * that signed the certificate says revoked all the same (T3), and for ever (T6).
 */
void
path_revocation_check_issuers(struct path_revocation *revocation)
{
	const struct chain_attempt *best = chain_search_best(revocation->search);
	g_autoptr(GPtrArray) issuers = chain_search_issuers(revocation->search);
	gint64 before = revocation->report->valid_until;

	for (guint i = 0; i < issuers->len + 1; i++) {
		g_autoptr(GPtrArray) pair = g_ptr_array_new();
		GPtrArray *path = i < issuers->len ? pair : best->path;

		g_ptr_array_add(pair, chain_search_cert(revocation->search));
		if (i < issuers->len)
			g_ptr_array_add(pair, issuers->pdata[i]);
		for (guint k = 0; path != NULL && k + 1 < path->len; k++) {
			const char *remedy = "";
			char *text = NULL;

			if (ask(revocation, path, k, NULL, &text, &remedy) == CRL_ANSWER_REVOKED)
				chain_report_set_fault(revocation->report, CHAIN_FAULT_REVOKED,
						       g_steal_pointer(&text), remedy);
			g_free(text);
		}
	}
	revocation->report->valid_until = before;
	revocation->report->unchecked = TRUE;
}

/* What was noted of the path that the report shows. */
void
path_revocation_report(struct path_revocation *revocation)
{
	struct chain_report *report = revocation->report;

	for (guint i = 0; i < revocation->asked->len; i++) {
		struct asked *asked = revocation->asked->pdata[i];
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
