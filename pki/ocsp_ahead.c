/*
 * ocsp_ahead - looks for certificates without an answer, issuer by issuer.
 */
#include "pki/ocsp_ahead.h"

#include "pki/ocsp_delegate.h"
#include "pki/ocsp_internal.h"
#include "pki/ocsp_issuers.h"
#include "store/base/clock.h"
#include "store/ocsp_answers.h"

#define DIGEST "sha1"
#define LAST_SECONDS 3600
#define CHUNK 1000 /* serials that are looked for at a time */

struct ocsp_ahead {
	struct ocsp_responder *responder;
	struct ocsp_policy policy;
	gint64 max;
	struct ocsp_issuers *issuers; /* NULL: not begun */
	gsize at;
	GPtrArray *serials; /* of that issuer, without an answer; NULL: to be looked for */
	guint next;         /* of these */
};

struct ocsp_ahead *
ocsp_ahead_new(struct ocsp_responder *responder, const struct ocsp_policy *policy, gint64 max)
{
	struct ocsp_ahead *ahead = g_new0(struct ocsp_ahead, 1);

	ahead->responder = responder;
	ahead->policy = *policy;
	ahead->max = max;
	return ahead;
}

void
ocsp_ahead_free(struct ocsp_ahead *ahead)
{
	if (ahead == NULL)
		return;
	ocsp_issuers_unref(ahead->issuers);
	g_clear_pointer(&ahead->serials, g_ptr_array_unref);
	g_free(ahead);
}

static struct ocsp_books
books_of(const struct ocsp_issuer *issuer, gint64 now, gint64 max)
{
	return (struct ocsp_books){
		.issuer_key = cert_subject_key(issuer->cert),
		.issuer_spki = cert_spki_sha256(issuer->cert),
		.ca_ids = (const gint64 *)(const void *)issuer->ca_ids->data,
		.ca_count = issuer->ca_ids->len,
		.roots = (const char *const *)issuer->roots->pdata,
		.root_count = issuer->roots->len,
		.digest = DIGEST,
		.now = now,
		.max = max,
	};
}

/* The next ones of the issuer; the next issuer, where it has none left. */
static gboolean
look_on(struct ocsp_ahead *ahead, gint64 now, GError **error)
{
	const struct ocsp_issuer *issuer = ocsp_issuers_nth(ahead->issuers, ahead->at);
	const struct ocsp_books books = books_of(issuer, now, ahead->max);
	const char *after =
	    ahead->serials != NULL ? g_ptr_array_index(ahead->serials, ahead->next - 1) : "";
	GPtrArray *serials = ocsp_answers_missing(
	    ahead->responder->db, &books, now + OCSP_REFRESH_AHEAD_SECONDS, after, CHUNK, error);

	if (serials == NULL)
		return FALSE;
	if (serials->len == 0) {
		ahead->at++;
		g_clear_pointer(&serials, g_ptr_array_unref);
	}
	g_clear_pointer(&ahead->serials, g_ptr_array_unref);
	ahead->serials = serials;
	ahead->next = 0;
	return TRUE;
}

static gboolean
sign_one(struct ocsp_ahead *ahead, const struct ocsp_issuer *issuer,
	 const struct ocsp_delegate *delegate, gint64 due, GError **error)
{
	const struct ocsp_answer_row row = {
		.issuer_key = (char *)cert_subject_key(issuer->cert),
		.issuer_spki = (char *)cert_spki_sha256(issuer->cert),
		.serial = g_ptr_array_index(ahead->serials, ahead->next),
		.digest = (char *)DIGEST,
		.asked = CLOCK_NEVER,
	};

	ahead->next++;
	return ocsp_responder_sign_row(ahead->responder, issuer, delegate, &ahead->policy, &row,
				       due, error);
}

/* Nothing is kept ready by an issuer whose key is not here, or shortly before the end: such answers
 * would be due as soon as they are made. */
static gboolean
is_able(const struct ocsp_issuer *issuer, const struct ocsp_delegate *delegate, gint64 now)
{
	return delegate != NULL && cert_not_after(issuer->cert) > now + LAST_SECONDS &&
	       cert_not_after(delegate->cert) > now + LAST_SECONDS;
}

static gboolean
sign_some(struct ocsp_ahead *ahead, gint64 now, gint limit, gint *count, GError **error)
{
	const struct ocsp_issuer *issuer = ocsp_issuers_nth(ahead->issuers, ahead->at);
	CLEANUP(ocsp_delegate) struct ocsp_delegate *delegate = NULL;

	if (!ocsp_responder_delegate(ahead->responder, issuer, &ahead->policy, &delegate, error))
		return FALSE;
	if (!is_able(issuer, delegate, now)) {
		ahead->at++;
		g_clear_pointer(&ahead->serials, g_ptr_array_unref);
		return TRUE;
	}
	for (; *count < limit && ahead->next < ahead->serials->len; (*count)++)
		if (!sign_one(ahead, issuer, delegate, now + OCSP_REFRESH_AHEAD_SECONDS, error))
			return FALSE;
	return TRUE;
}

gboolean
ocsp_ahead_go_on(struct ocsp_ahead *ahead, gint limit, gboolean *left, GError **error)
{
	gint64 now = clock_now(ahead->responder->clock);
	gint count = 0;

	*left = FALSE;
	if (ahead->issuers == NULL) {
		ahead->issuers = ocsp_responder_issuers(ahead->responder, error);
		if (ahead->issuers == NULL)
			return FALSE;
	}
	while (count < limit && ahead->at < ocsp_issuers_count(ahead->issuers)) {
		gboolean known = ahead->serials != NULL && ahead->next < ahead->serials->len;

		if (known ? !sign_some(ahead, now, limit, &count, error)
			  : !look_on(ahead, now, error))
			return FALSE;
	}
	*left = ahead->at < ocsp_issuers_count(ahead->issuers);
	return TRUE;
}

gboolean
ocsp_ahead_count(struct db *db, gint64 now, gint64 max, gint64 *wanted, gint64 *ready,
		 GError **error)
{
	CLEANUP(ocsp_issuers) struct ocsp_issuers *issuers = ocsp_issuers_load(db, error);

	*wanted = *ready = 0;
	if (issuers == NULL)
		return FALSE;
	for (gsize i = 0; i < ocsp_issuers_count(issuers); i++) {
		const struct ocsp_issuer *issuer = ocsp_issuers_nth(issuers, i);
		const struct ocsp_books books = books_of(issuer, now, max);
		gint64 some_wanted, some_ready;

		if (cert_not_after(issuer->cert) <= now)
			continue;
		if (!ocsp_answers_tally(db, &books, &some_wanted, &some_ready, error))
			return FALSE;
		*wanted += some_wanted;
		*ready += some_ready;
	}
	return TRUE;
}
