/*
 * ocsp_responder - finds out what is so, signs it, and remembers it.
 */
#include "pki/ocsp_responder.h"

#include <string.h>

#include "pki/keyring.h"
#include "pki/ocsp_delegate.h"
#include "pki/ocsp_internal.h"
#include "pki/ocsp_issuers.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/db/changelog.h"
#include "store/db/tx.h"
#include "store/ocsp_answers.h"

#define HOUR 3600
#define DAY 86400
#define COMPLAIN_SECONDS 300 /* the same trouble is not logged more often */

struct ocsp_responder *
ocsp_responder_new(struct db *db, struct changelog *changelog, struct clock *clock,
		   struct keyring *keyring)
{
	struct ocsp_responder *responder = g_new0(struct ocsp_responder, 1);

	responder->db = db;
	responder->changelog = changelog;
	responder->clock = clock;
	responder->keyring = keyring;
	g_mutex_init(&responder->lock);
	return responder;
}

void
ocsp_responder_free(struct ocsp_responder *responder)
{
	if (responder == NULL)
		return;
	ocsp_issuers_unref(responder->issuers);
	g_mutex_clear(&responder->lock);
	g_free(responder);
}

void
ocsp_reply_free(struct ocsp_reply *reply)
{
	if (reply == NULL)
		return;
	g_bytes_unref(reply->der);
	g_free(reply->rests_on);
	g_free(reply);
}

/* Half of the validity, and no later than 4 days (S/MIME BR 4.9.10); with 16 hours and more, half
 * is 8 hours before the end at least. */
gint64
ocsp_answer_refresh_at(gint64 this_update, gint64 next_update)
{
	return this_update + MIN((next_update - this_update) / 2, 4 * DAY - HOUR);
}

/* --- issuers --- */

/* CAs come and go, and are revoked (which is told as a change of every answer). */
static gboolean
is_current(const struct ocsp_responder *responder)
{
	const change_tag tags[] = { change_tag_of(CHANGE_CA, NULL),
				    change_tag_of(CHANGE_ROOT, NULL),
				    change_tag_of(CHANGE_ISSUER, NULL) };

	return changelog_unchanged(responder->changelog, tags, G_N_ELEMENTS(tags),
				   responder->since);
}

/* A reference; NULL: to be loaded. */
static struct ocsp_issuers *
issuers_present(struct ocsp_responder *responder)
{
	struct ocsp_issuers *issuers = NULL;

	g_mutex_lock(&responder->lock);
	if (responder->issuers != NULL && is_current(responder))
		issuers = ocsp_issuers_ref(responder->issuers);
	g_mutex_unlock(&responder->lock);
	return issuers;
}

struct ocsp_issuers *
ocsp_responder_issuers(struct ocsp_responder *responder, GError **error)
{
	struct ocsp_issuers *issuers = issuers_present(responder);

	if (issuers != NULL)
		return issuers;
	guint64 since = changelog_moment(responder->changelog);
	issuers = ocsp_issuers_load(responder->db, error);
	if (issuers == NULL)
		return NULL;
	g_mutex_lock(&responder->lock);
	ocsp_issuers_unref(responder->issuers);
	responder->issuers = ocsp_issuers_ref(issuers);
	responder->since = since;
	g_mutex_unlock(&responder->lock);
	return issuers;
}

/* --- one answer --- */

struct signing {
	struct ocsp_responder *responder;
	const struct ocsp_policy *policy;
	const struct ocsp_issuer *issuer;
	const struct ocsp_delegate *delegate;
	const struct ocsp_single *wanted; /* hash and serial */
	gsize count;
	const guint8 *nonce;
	gsize nonce_length;
	gboolean keep;
	gint64 due;   /* what is kept stays, if it is not due then */
	gint64 asked; /* of what is kept */
	/* What came of it. */
	struct ocsp_reply *reply; /* NULL without error: about none of ours */
};

/* FALSE in *known: not in the books. */
static gboolean
find_single(struct signing *signing, struct ocsp_single *single, gboolean *known, struct tx *tx,
	    GError **error)
{
	const struct ocsp_issuer *issuer = signing->issuer;
	struct ocsp_standing standing;

	if (!ocsp_standing_find(tx, (const gint64 *)(const void *)issuer->ca_ids->data,
				issuer->ca_ids->len, (const char *const *)issuer->roots->pdata,
				issuer->roots->len, single->serial_hex, &standing, error))
		return FALSE;
	*known = standing.issued || standing.revoked_at != CLOCK_NEVER;
	single->status = *known ? OCSP_GOOD : OCSP_UNKNOWN;
	if (standing.revoked_at != CLOCK_NEVER) {
		single->status = OCSP_REVOKED;
		single->revoked_at = standing.revoked_at;
		single->reason = (enum crl_reason)standing.reason;
	}
	if (*known && issuer->compromised_at != CLOCK_NEVER &&
	    (single->status == OCSP_GOOD || single->reason == REVOCATION_CERTIFICATE_HOLD ||
	     single->revoked_at > issuer->compromised_at)) {
		single->status = OCSP_REVOKED;
		single->revoked_at = issuer->compromised_at;
		single->reason = REVOCATION_CA_COMPROMISE;
	}
	return TRUE;
}

static gboolean
sign_singles(struct signing *signing, const struct ocsp_single *singles, GError **error)
{
	const struct ocsp_delegate *delegate = signing->delegate;
	gint64 now = clock_now(signing->responder->clock);
	gint64 end = MIN(cert_not_after(delegate->cert), cert_not_after(signing->issuer->cert));
	const struct ocsp_answer_spec spec = {
		.issuer = signing->issuer->cert,
		.singles = singles,
		.count = signing->count,
		.this_update = now,
		.next_update = MIN(now + signing->policy->validity_seconds, end),
		.nonce = signing->nonce,
		.nonce_length = signing->nonce_length,
	};
	g_autoptr(GBytes) der = ocsp_answer_sign(&spec, delegate->cert, delegate->key, error);

	if (der == NULL)
		return FALSE;
	signing->reply = g_new0(struct ocsp_reply, 1);
	signing->reply->der = g_steal_pointer(&der);
	signing->reply->this_update = spec.this_update;
	signing->reply->next_update = spec.next_update;
	signing->reply->refresh = ocsp_answer_refresh_at(spec.this_update, spec.next_update);
	return TRUE;
}

static const char *
digest_name(enum algorithm hash)
{
	return hash == ALGORITHM_SHA1 ? "sha1" : "sha256";
}

static struct ocsp_answer_row
row_name(const struct ocsp_issuer *issuer, const struct ocsp_single *single)
{
	return (struct ocsp_answer_row){
		.issuer_key = (char *)cert_subject_key(issuer->cert),
		.issuer_spki = (char *)cert_spki_sha256(issuer->cert),
		.serial = (char *)single->serial_hex,
		.digest = (char *)digest_name(single->hash),
	};
}

static struct ocsp_reply *
reply_of(const struct ocsp_answer_row *row)
{
	struct ocsp_reply *reply = g_new0(struct ocsp_reply, 1);

	reply->der = g_bytes_ref(row->der);
	reply->this_update = row->this_update;
	reply->next_update = row->next_update;
	reply->refresh = row->refresh;
	return reply;
}

/* What another daemon has signed meanwhile is as good, and the same for everybody. */
static gboolean
keep_reply(struct signing *signing, struct tx *tx, GError **error)
{
	struct ocsp_answer_row row = row_name(signing->issuer, signing->wanted);

	row.der = signing->reply->der;
	row.this_update = signing->reply->this_update;
	row.next_update = signing->reply->next_update;
	row.refresh = signing->reply->refresh;
	row.asked = signing->asked;
	CLEANUP(ocsp_answer_row)
	struct ocsp_answer_row *kept = ocsp_answers_put(tx, &row, signing->due, error);
	if (kept == NULL)
		return FALSE;
	ocsp_reply_free(signing->reply);
	signing->reply = reply_of(kept);
	return TRUE;
}

static gboolean
sign(struct tx *tx, gpointer data, GError **error)
{
	struct signing *signing = data;
	struct ocsp_single singles[OCSP_ASKED_MAX];
	gboolean any = FALSE, known;

	g_clear_pointer(&signing->reply, ocsp_reply_free);
	if (!ocsp_answers_lock(tx, error))
		return FALSE;
	for (gsize i = 0; i < signing->count; i++) {
		singles[i] = signing->wanted[i];
		if (!find_single(signing, &singles[i], &known, tx, error))
			return FALSE;
		any = any || known;
	}
	if (!any)
		return TRUE;
	return sign_singles(signing, singles, error) &&
	       (!signing->keep || keep_reply(signing, tx, error));
}

/* --- requests --- */

static struct ocsp_reply *
refuse(enum ocsp_refusal refusal)
{
	struct ocsp_reply *reply = g_new0(struct ocsp_reply, 1);

	reply->der = ocsp_answer_refuse(refusal);
	return reply;
}

/* Anybody can ask as often as he likes: the log is not filled by that. */
static struct ocsp_reply *
give_up(struct ocsp_responder *responder, const GError *why)
{
	gint64 now = clock_now(responder->clock);

	g_mutex_lock(&responder->lock);
	gboolean loud = responder->complained < now - COMPLAIN_SECONDS;
	if (loud)
		responder->complained = now;
	g_mutex_unlock(&responder->lock);
	if (loud)
		log_warning("an OCSP request was not answered", "error", why->message);
	return refuse(g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY) ? OCSP_TRY_LATER
									 : OCSP_INTERNAL);
}

/* The answer that is kept; NULL: none, or it is due. */
static struct ocsp_reply *
find_kept(struct signing *signing, GError **error)
{
	struct ocsp_responder *responder = signing->responder;
	const struct ocsp_answer_row name = row_name(signing->issuer, signing->wanted);
	CLEANUP(ocsp_answer_row) struct ocsp_answer_row *row = NULL;
	gint64 now = clock_now(responder->clock);

	if (!ocsp_answers_find(responder->db, &name, &row, error) || row == NULL ||
	    row->refresh <= now || row->this_update > now + OCSP_SKEW_SECONDS)
		return NULL;
	if (row->asked < now - DAY && !ocsp_answers_asked(responder->db, row, now, error))
		return NULL;
	return reply_of(row);
}

static struct ocsp_reply *
find_or_sign(struct signing *signing, GError **error)
{
	struct ocsp_responder *responder = signing->responder;
	g_autoptr(GError) why = NULL;

	if (signing->keep) {
		struct ocsp_reply *kept = find_kept(signing, &why);
		if (kept != NULL)
			return kept;
		if (why != NULL) {
			g_propagate_error(error, g_steal_pointer(&why));
			return NULL;
		}
	}
	CLEANUP(ocsp_delegate)
	struct ocsp_delegate *delegate =
	    ocsp_delegate_get(responder->db, responder->keyring, responder->clock, signing->issuer,
			      signing->policy->validity_seconds, error);
	if (delegate == NULL)
		return NULL;
	signing->delegate = delegate;
	if (!db_transaction(responder->db, sign, signing, error)) {
		g_clear_pointer(&signing->reply, ocsp_reply_free);
		return NULL;
	}
	if (signing->reply == NULL)
		return refuse(OCSP_UNAUTHORIZED);
	if (!signing->keep)
		signing->reply->refresh = 0;
	return g_steal_pointer(&signing->reply);
}

/* Serials of the request as text; FALSE: one that no certificate has, or of another issuer. */
static gboolean
take_singles(const struct ocsp_inquiry *inquiry, const struct ocsp_issuer *issuer,
	     struct ocsp_single *singles, GPtrArray *texts)
{
	for (gsize i = 0; i < inquiry->count; i++) {
		char *serial = ocsp_id_serial(&inquiry->ids[i]);

		if (serial == NULL)
			return FALSE;
		g_ptr_array_add(texts, serial);
		if (!ocsp_id_is_of(&inquiry->ids[i], &issuer->hashes))
			return FALSE;
		singles[i] =
		    (struct ocsp_single){ .hash = inquiry->ids[i].hash, .serial_hex = serial };
	}
	return TRUE;
}

struct ocsp_reply *
ocsp_responder_answer(struct ocsp_responder *responder, const struct ocsp_inquiry *inquiry,
		      const struct ocsp_policy *policy)
{
	struct ocsp_single singles[OCSP_ASKED_MAX];
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) why = NULL;
	CLEANUP(ocsp_issuers)
	struct ocsp_issuers *issuers = ocsp_responder_issuers(responder, &why);
	gint64 now = clock_now(responder->clock);

	if (issuers == NULL)
		return give_up(responder, why);
	const struct ocsp_issuer *issuer = ocsp_issuers_find(issuers, &inquiry->ids[0]);
	if (issuer == NULL || cert_not_after(issuer->cert) <= now ||
	    !take_singles(inquiry, issuer, singles, texts))
		return refuse(OCSP_UNAUTHORIZED);
	gboolean repeat = policy->repeat_nonce && inquiry->nonce != NULL;
	struct signing signing = {
		.responder = responder,
		.policy = policy,
		.issuer = issuer,
		.wanted = singles,
		.count = inquiry->count,
		.nonce = repeat ? inquiry->nonce : NULL,
		.nonce_length = repeat ? inquiry->nonce_length : 0,
		.keep = inquiry->count == 1 && !repeat,
		.due = now,
		.asked = now,
	};
	struct ocsp_reply *reply = find_or_sign(&signing, &why);
	if (reply != NULL && reply->refresh != 0)
		reply->rests_on =
		    g_strconcat(cert_subject_key(issuer->cert), ":", singles[0].serial_hex, NULL);
	return reply != NULL ? reply : give_up(responder, why);
}

static void
append_hex(char **at, const guint8 *bytes, gsize length)
{
	static const char digits[] = "0123456789abcdef";

	for (gsize i = 0; i < length; i++) {
		*(*at)++ = digits[bytes[i] >> 4];
		*(*at)++ = digits[bytes[i] & 15];
	}
}

/* Asked thousands of times a second: half of the hash of the issuer's key and the serial. */
enum ocsp_naming
ocsp_responder_name(struct ocsp_responder *responder, const struct ocsp_inquiry *inquiry,
		    const struct ocsp_policy *policy, char name[OCSP_NAME_BYTES])
{
	CLEANUP(ocsp_issuers) struct ocsp_issuers *issuers = issuers_present(responder);
	const struct ocsp_id *id = &inquiry->ids[0];

	if (issuers == NULL || inquiry->count != 1 ||
	    (policy->repeat_nonce && inquiry->nonce != NULL))
		return OCSP_UNNAMED;
	const struct ocsp_issuer *issuer = ocsp_issuers_find(issuers, id);
	if (issuer == NULL)
		return OCSP_NOBODYS;
	append_hex(&name, issuer->hashes.sha256_key, 16);
	*name++ = id->hash == ALGORITHM_SHA1 ? ':' : '-';
	append_hex(&name, id->serial, id->serial_length);
	*name = '\0';
	return OCSP_NAMED;
}

/* --- the job --- */

gboolean
ocsp_responder_delegate(struct ocsp_responder *responder, const struct ocsp_issuer *issuer,
			const struct ocsp_policy *policy, struct ocsp_delegate **delegate,
			GError **error)
{
	g_autoptr(GError) why = NULL;

	*delegate = NULL;
	if (cert_not_after(issuer->cert) <= clock_now(responder->clock))
		return TRUE;
	*delegate = ocsp_delegate_get(responder->db, responder->keyring, responder->clock, issuer,
				      policy->validity_seconds, &why);
	if (*delegate != NULL || g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND))
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&why));
	return FALSE;
}

gboolean
ocsp_responder_sign_row(struct ocsp_responder *responder, const struct ocsp_issuer *issuer,
			const struct ocsp_delegate *delegate, const struct ocsp_policy *policy,
			const struct ocsp_answer_row *row, gint64 due, GError **error)
{
	const struct ocsp_single single = {
		.hash = strcmp(row->digest, "sha1") == 0 ? ALGORITHM_SHA1 : ALGORITHM_SHA256,
		.serial_hex = row->serial,
	};
	struct signing signing = {
		.responder = responder,
		.policy = policy,
		.issuer = issuer,
		.delegate = delegate,
		.wanted = &single,
		.count = 1,
		.keep = TRUE,
		.due = due,
		.asked = row->asked,
	};
	gboolean good = db_transaction(responder->db, sign, &signing, error);

	ocsp_reply_free(signing.reply);
	return good;
}

static gboolean
renew_delegates(struct ocsp_responder *responder, const struct ocsp_issuers *issuers,
		const struct ocsp_policy *policy, GError **error)
{
	for (gsize i = 0; i < ocsp_issuers_count(issuers); i++) {
		CLEANUP(ocsp_delegate) struct ocsp_delegate *delegate = NULL;

		if (!ocsp_responder_delegate(responder, ocsp_issuers_nth(issuers, i), policy,
					     &delegate, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean
refresh_one(struct ocsp_responder *responder, const struct ocsp_issuers *issuers,
	    const struct ocsp_policy *policy, const struct ocsp_answer_row *row, gint64 due,
	    GError **error)
{
	const struct ocsp_issuer *issuer =
	    ocsp_issuers_by_key(issuers, row->issuer_key, row->issuer_spki);
	CLEANUP(ocsp_delegate) struct ocsp_delegate *delegate = NULL;

	if (issuer == NULL)
		return TRUE;
	if (!ocsp_responder_delegate(responder, issuer, policy, &delegate, error))
		return FALSE;
	return delegate == NULL ||
	       ocsp_responder_sign_row(responder, issuer, delegate, policy, row, due, error);
}

gboolean
ocsp_responder_work(struct ocsp_responder *responder, const struct ocsp_policy *policy, gint limit,
		    gboolean *left, GError **error)
{
	gint64 now = clock_now(responder->clock), due = now + OCSP_REFRESH_AHEAD_SECONDS;
	CLEANUP(ocsp_issuers)
	struct ocsp_issuers *issuers = ocsp_responder_issuers(responder, error);

	*left = FALSE;
	if (issuers == NULL || !renew_delegates(responder, issuers, policy, error) ||
	    !ocsp_answers_forget(responder->db, now, error) ||
	    !ocsp_delegates_forget(responder->db, responder->keyring, now, error))
		return FALSE;
	g_autoptr(GPtrArray) rows =
	    ocsp_answers_due(responder->db, due, now - OCSP_ASKED_SECONDS, limit, error);
	if (rows == NULL)
		return FALSE;
	for (guint i = 0; i < rows->len; i++)
		if (!refresh_one(responder, issuers, policy, g_ptr_array_index(rows, i), due,
				 error))
			return FALSE;
	*left = (gint)rows->len == limit;
	return TRUE;
}
