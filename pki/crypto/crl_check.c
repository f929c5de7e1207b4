/*
 * crl_check - the state machine of RFC 5280 section 6.3.3 over struct crl.
 */
#include "pki/crypto/crl_check.h"

#include <openssl/err.h>
#include <string.h>

#include "pki/crypto/cert_rules.h"
#include "pki/crypto/internal.h"
#include "pki/crypto/sentences.h"
#include "store/base/clock.h"

#define POINTS_MAX 32
#define SIGNER_DEPTH_MAX 4
#define SIGNATURE_STEPS 50 /* what a signature counts, which is seldom remembered for strangers */

/* One DistributionPoint of the certificate, or the implicit one: its issuer's own list. */
struct point {
	GPtrArray *names;     /* comparable texts, see point_names; empty when it has none */
	GPtrArray *issuers;   /* keys of cRLIssuer; empty when there is none */
	unsigned int reasons; /* mask */
	gboolean implicit;
};

struct state {
	const struct crl_check *check;
	GPtrArray *path;
	const struct cert *cert;
	const struct cert *issuer;
	const struct cert *anchor;
	unsigned int covered; /* reasons that are answered for */
	gboolean revoked;
	struct crl_finding *finding;
};

static void
point_free(gpointer p)
{
	struct point *point = p;

	g_ptr_array_unref(point->names);
	g_ptr_array_unref(point->issuers);
	g_free(point);
}

static struct point *
point_new(void)
{
	struct point *point = g_new0(struct point, 1);

	point->names = g_ptr_array_new_with_free_func(g_free);
	point->issuers = g_ptr_array_new_with_free_func(g_free);
	point->reasons = reason_mask(NULL);
	return point;
}

static struct point *
read_point(const DIST_POINT *raw, const X509_NAME *issuer)
{
	struct point *point = point_new();
	const X509_NAME *base = issuer;

	for (int i = 0; i < sk_GENERAL_NAME_num(raw->CRLissuer); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(raw->CRLissuer, i);

		if (name->type != GEN_DIRNAME)
			continue;
		base = name->d.directoryName;
		g_ptr_array_add(point->issuers, name_key(name->d.directoryName));
	}
	if (raw->distpoint != NULL)
		point_names(raw->distpoint, base, point->names);
	if (raw->reasons != NULL)
		point->reasons = reason_mask(raw->reasons);
	return point;
}

/* The points of the certificate, and behind them the implicit one (last step of 6.3.3). */
static gpointer
points_new(const struct cert *cert)
{
	GPtrArray *all = g_ptr_array_new_with_free_func(point_free);
	CRL_DIST_POINTS *raw = cert_extension(cert, NID_crl_distribution_points, NULL);
	/* Completes relative names, of which a light certificate has none. */
	const X509_NAME *issuer =
	    cert_is_light(cert) ? NULL : X509_get_issuer_name(cert_x509(cert));

	for (int i = 0; i < MIN(sk_DIST_POINT_num(raw), POINTS_MAX); i++)
		g_ptr_array_add(all, read_point(sk_DIST_POINT_value(raw, i), issuer));
	sk_DIST_POINT_pop_free(raw, DIST_POINT_free);
	struct point *implicit = point_new();
	implicit->implicit = TRUE;
	g_ptr_array_add(implicit->names, g_strconcat("DN:", cert_issuer_key(cert), NULL));
	g_ptr_array_add(all, implicit);
	ERR_clear_error();
	return all;
}

void
cert_points_free(gpointer points)
{
	g_ptr_array_unref(points);
}

static const GPtrArray *
points_of(const struct cert *cert)
{
	return cert_slot(cert, CERT_SLOT_POINTS, points_new, cert_points_free);
}

static gboolean
has_text(GPtrArray *texts, const char *text)
{
	for (guint i = 0; i < texts->len; i++)
		if (strcmp(texts->pdata[i], text) == 0)
			return TRUE;
	return FALSE;
}

/* 6.3.3 (b)(2)(i): one of the list's names is one of the point's. */
static gboolean
names_meet(const struct crl *crl, const struct point *point)
{
	for (const char *const *name = crl_points(crl); *name != NULL; name++) {
		if (has_text(point->names, *name))
			return TRUE;
		/* A point of cRLIssuer alone is meant by that name. */
		if (point->names->len == 0 && g_str_has_prefix(*name, "DN:") &&
		    has_text(point->issuers, *name + 3))
			return TRUE;
	}
	return FALSE;
}

/* 6.3.3 (b): does the list speak of this certificate through this point? */
static gboolean
covers(const struct state *state, const struct crl *crl, const struct point *point)
{
	unsigned int scope = crl_scope(crl);

	if (point->issuers->len > 0) {
		if (!has_text(point->issuers, crl_issuer_key(crl)) ||
		    (scope & CRL_SCOPE_INDIRECT) == 0)
			return FALSE;
	} else if (strcmp(crl_issuer_key(crl), cert_issuer_key(state->cert)) != 0) {
		return FALSE;
	}
	if ((scope & CRL_SCOPE_ONLY_ATTRIBUTE) != 0 ||
	    ((scope & CRL_SCOPE_ONLY_USER) != 0 && cert_is_ca(state->cert)) ||
	    ((scope & CRL_SCOPE_ONLY_CA) != 0 && !cert_is_ca(state->cert)))
		return FALSE;
	return (scope & CRL_SCOPE_POINT) == 0 || names_meet(crl, point);
}

static gboolean
is_too_much(const struct state *state)
{
	return state->check->steps != NULL && ++*state->check->steps > CRL_STEPS_MAX;
}

static gint64
plus_grace(gint64 time, gint64 grace)
{
	return time == CLOCK_NEVER ? CLOCK_NEVER : time + grace;
}

/* Of a time after the one that is asked about. */
static gboolean
is_ahead(const struct state *state, const struct crl *crl)
{
	return state->check->early == 0 && crl_this_update(crl) > state->check->at;
}

static gboolean
is_current(const struct state *state, const struct crl *crl)
{
	return crl_this_update(crl) <= state->check->at + state->check->early &&
	       plus_grace(crl_next_update(crl), state->check->grace) >= state->check->at;
}

/*
 * The signer's own status. A signer whose own point leads to the list that it signs would
 * never be believed: while a signer is judged its lists are taken, and so it must at least
 * not stand on them. To be believed that somebody is revoked, it need not be known to be good:
 * else who keeps other lists from coming would undo a revocation (T6).
 */
static gboolean
signer_is_good(const struct state *state, GPtrArray *path, enum crl_word word)
{
	const struct crl_check *outer = state->check;
	struct cert *signer = path->pdata[0];
	struct crl_check inner = *outer;
	gboolean good = TRUE;

	if (outer->depth >= SIGNER_DEPTH_MAX)
		return word == CRL_WORD_REVOKED;
	inner.depth = outer->depth + 1;
	inner.in_progress = outer->in_progress != NULL
				? g_ptr_array_copy(outer->in_progress, NULL, NULL)
				: g_ptr_array_new();
	g_ptr_array_add(inner.in_progress, signer);
	for (guint i = 0; good && i + 1 < path->len; i++) {
		struct crl_finding finding = { .valid_until = CLOCK_NEVER };
		enum crl_answer answer = crl_check_cert(&inner, path, i, &finding);

		good = answer == CRL_ANSWER_GOOD ||
		       (answer == CRL_ANSWER_UNKNOWN && word == CRL_WORD_REVOKED);
		g_free(finding.why);
	}
	g_ptr_array_unref(inner.in_progress);
	return good;
}

/* 6.3.3 (f) and (g): signed by the issuer itself, or by one with a path to the same anchor. */
static gboolean
is_believed(const struct state *state, const struct crl *crl, enum crl_word word)
{
	const struct crl_check *check = state->check;

	if (check->steps != NULL)
		*check->steps += SIGNATURE_STEPS;
	if (state->issuer != NULL && crl_is_signed_by(crl, state->issuer))
		return TRUE;
	for (guint i = 0; check->signers != NULL && i < check->signers->len && !is_too_much(state);
	     i++) {
		struct cert *signer = check->signers->pdata[i];

		if (strcmp(crl_issuer_key(crl), cert_subject_key(signer)) == 0 &&
		    state->check->steps != NULL)
			*state->check->steps += SIGNATURE_STEPS;
		if (!crl_is_signed_by(crl, signer))
			continue;
		if (cert_is_among(signer, state->check->in_progress))
			return TRUE;
		g_autoptr(GPtrArray) path =
		    check->signer_path != NULL
			? check->signer_path(signer, state->anchor, word, check->data)
			: NULL;
		if (path != NULL && signer_is_good(state, path, word))
			return TRUE;
	}
	return FALSE;
}

/* A newer delta of the same issuer and scope. */
static gboolean
is_delta_of(const struct crl *base, const struct crl *delta)
{
	const char *base_number = crl_number(base), *delta_number = crl_number(delta);

	return (crl_scope(delta) & CRL_SCOPE_DELTA) != 0 && base_number != NULL &&
	       delta_number != NULL && strcmp(crl_issuer_key(base), crl_issuer_key(delta)) == 0 &&
	       strcmp(crl_scope_digest(base), crl_scope_digest(delta)) == 0 &&
	       g_strcmp0(crl_aki(base), crl_aki(delta)) == 0 &&
	       crl_number_compare(base_number, delta_number) < 0;
}

/* 6.3.3 (c): a delta list that goes with this complete one. */
static gboolean
delta_fits(const struct crl *base, const struct crl *delta)
{
	return is_delta_of(base, delta) &&
	       crl_number_compare(crl_number(base), crl_base_number(delta)) >= 0;
}

/* The newest delta for a list that may be used now, or NULL. */
static const struct crl *
find_delta(const struct state *state, const struct crl *base)
{
	const struct crl *best = NULL;

	for (guint i = 0; i < state->check->crls->len && !is_too_much(state); i++) {
		const struct crl *delta = state->check->crls->pdata[i];

		if (delta_fits(base, delta) && !crl_has_unknown_critical(delta) &&
		    is_current(state, delta) &&
		    (best == NULL || crl_this_update(delta) > crl_this_update(best)) &&
		    is_believed(state, delta, CRL_WORD_GOOD))
			best = delta;
	}
	return best;
}

static gboolean
is_listed(const struct state *state, const struct crl *crl, struct crl_item *item)
{
	/* An entry of an indirect list counts only under the name of its own issuer. */
	return crl_find(crl, cert_issuer_key(state->cert), cert_serial_hex(state->cert), item);
}

/* A delta that has more to say than this list, whatever its base and dates: whom it names is
 * revoked (T6). */
static gboolean
is_named_by_delta(const struct state *state, const struct crl *base, struct crl_item *item)
{
	for (guint i = 0; i < state->check->crls->len && !is_too_much(state); i++) {
		const struct crl *delta = state->check->crls->pdata[i];

		if (is_delta_of(base, delta) && !is_ahead(state, delta) &&
		    is_listed(state, delta, item) && item->reason != REVOCATION_REMOVE_FROM_CRL &&
		    is_believed(state, delta, CRL_WORD_REVOKED))
			return TRUE;
	}
	return FALSE;
}

/* 6.3.3 (d) to (l) for one complete list through one point. */
static void
use_list(struct state *state, const struct crl *crl, const struct point *point)
{
	unsigned int reasons = crl_reasons(crl) & point->reasons;
	struct crl_item item;
	gboolean listed, current = is_current(state, crl);

	if ((crl_scope(crl) & CRL_SCOPE_DELTA) != 0 || !covers(state, crl, point) ||
	    is_ahead(state, crl))
		return;
	listed = is_listed(state, crl, &item);
	gboolean named = !listed && is_named_by_delta(state, crl, &item);
	listed |= named;
	/* Where another list has answered already (a CA with a new key has two) only its word that
	 * somebody is revoked is of interest. */
	if (!listed && (reasons & ~state->covered) == 0)
		return;
	/* A list that is out of date still says who was revoked: that is for ever (T6). */
	if ((!current || crl_has_unknown_critical(crl)) && !listed)
		return;
	if (!is_believed(state, crl, listed ? CRL_WORD_REVOKED : CRL_WORD_GOOD))
		return;
	const struct crl *delta = find_delta(state, crl);
	struct crl_item change;
	if (delta != NULL && is_listed(state, delta, &change)) {
		/* Only what was on hold can be lifted; anything else was removed for its age. */
		if (change.reason == REVOCATION_REMOVE_FROM_CRL)
			listed = listed && item.reason != REVOCATION_CERTIFICATE_HOLD;
		else
			listed = TRUE, item = change;
	}
	if (listed) {
		state->revoked = TRUE;
		state->finding->revoked_at = item.revoked_at;
		state->finding->reason = item.reason;
		state->finding->list_issuer = crl_issuer(crl);
		state->finding->list = crl;
		return;
	}
	gint64 until =
	    plus_grace(crl_next_update(delta != NULL ? delta : crl), state->check->grace);
	state->finding->valid_until = MIN(state->finding->valid_until, until);
	state->finding->list = crl;
	state->covered |= current ? reasons : 0;
}

/* What is wrong with one list, the more telling the higher; COUNT when it is another's. */
static enum sentence
list_fault(const struct state *state, const GPtrArray *points, const struct crl *crl)
{
	gboolean covered = FALSE,
		 named = strcmp(crl_issuer_key(crl), cert_issuer_key(state->cert)) == 0;

	for (guint i = 0; i < points->len; i++) {
		const struct point *point = points->pdata[i];

		named |= has_text(point->issuers, crl_issuer_key(crl));
		covered |= covers(state, crl, point);
	}
	if (!named)
		return SENTENCE_COUNT;
	if (!covered || (crl_scope(crl) & CRL_SCOPE_DELTA) != 0)
		return SENTENCE_CRL_SCOPE;
	if (crl_this_update(crl) > state->check->at + state->check->early)
		return SENTENCE_CRL_EARLY;
	if (!is_current(state, crl))
		return SENTENCE_CRL_EXPIRED;
	if (crl_has_unknown_critical(crl))
		return SENTENCE_CRL_CRITICAL;
	return is_believed(state, crl, CRL_WORD_GOOD) ? SENTENCE_CRL_SCOPE : SENTENCE_CRL_SIGNATURE;
}

/* Why nothing could be found out, by the list that comes nearest. */
static void
explain_unknown(const struct state *state, const GPtrArray *points)
{
	static const enum sentence order[] = {
		SENTENCE_CRL_EXPIRED, SENTENCE_CRL_CRITICAL, SENTENCE_CRL_SIGNATURE,
		SENTENCE_CRL_EARLY,   SENTENCE_CRL_SCOPE,
	};
	const struct crl *found[G_N_ELEMENTS(order)] = { NULL };
	const GPtrArray *crls = state->check->crls;
	struct crl_finding *finding = state->finding;

	if (is_too_much(state)) {
		finding->why =
		    sentence_make(SENTENCE_CRL_TOO_MANY, cert_subject(state->cert), NULL);
		finding->remedy = sentence_remedy(SENTENCE_CRL_TOO_MANY);
		return;
	}
	for (guint i = 0; crls != NULL && i < crls->len && !is_too_much(state); i++) {
		const struct crl *crl = crls->pdata[i];
		enum sentence fault = list_fault(state, points, crl);

		for (gsize k = 0; k < G_N_ELEMENTS(order); k++)
			if (order[k] == fault &&
			    (found[k] == NULL || crl_next_update(found[k]) < crl_next_update(crl)))
				found[k] = crl;
	}
	for (gsize k = 0; k < G_N_ELEMENTS(order); k++) {
		if (found[k] == NULL)
			continue;
		gint64 when = order[k] == SENTENCE_CRL_EARLY ? crl_this_update(found[k])
							     : crl_next_update(found[k]);
		g_autofree char *text = when != CLOCK_NEVER ? clock_format(when) : g_strdup("");
		finding->why = sentence_make(
		    order[k], crl_issuer(found[k]),
		    order[k] == SENTENCE_CRL_SCOPE ? cert_subject(state->cert) : text, NULL);
		finding->remedy = sentence_remedy(order[k]);
		return;
	}
	finding->why = sentence_make(SENTENCE_CRL_MISSING, cert_issuer(state->cert), NULL);
	finding->remedy = sentence_remedy(SENTENCE_CRL_MISSING);
}

enum crl_answer
crl_check_cert(const struct crl_check *check, GPtrArray *path, guint index,
	       struct crl_finding *finding)
{
	struct state state = {
		.check = check,
		.path = path,
		.cert = path->pdata[index],
		.issuer = index + 1 < path->len ? path->pdata[index + 1] : NULL,
		.anchor = path->pdata[path->len - 1],
		.finding = finding,
	};
	const GPtrArray *points = points_of(state.cert);
	const GPtrArray *crls = check->crls;

	for (guint i = 0; crls != NULL && i < points->len && !state.revoked; i++)
		for (guint k = 0; k < crls->len && !state.revoked && !is_too_much(&state); k++)
			use_list(&state, crls->pdata[k], points->pdata[i]);
	if (state.revoked)
		return CRL_ANSWER_REVOKED;
	/* A list that was not looked at any more may say revoked. */
	if (state.covered == reason_mask(NULL) &&
	    (check->steps == NULL || *check->steps <= CRL_STEPS_MAX))
		return CRL_ANSWER_GOOD;
	explain_unknown(&state, points);
	return CRL_ANSWER_UNKNOWN;
}

void
crl_check_issuer_keys(const struct cert *cert, GHashTable *keys)
{
	const GPtrArray *points = points_of(cert);

	g_hash_table_add(keys, g_strdup(cert_issuer_key(cert)));
	for (guint i = 0; i < points->len; i++) {
		const struct point *point = points->pdata[i];

		for (guint k = 0; k < point->issuers->len; k++)
			g_hash_table_add(keys, g_strdup(point->issuers->pdata[k]));
	}
}
