/* pending - see pending.h. */
#include "pki/pending.h"

#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/trust.h"
#include "store/base/clock.h"
#include "store/base/mailaddr.h"
#include "store/certs.h"
#include "store/preferences.h"

#define PRESENT_MAX 200

/* A certificate that its addresses have already, valid as far as is known, and not waiting. */
struct present {
	struct cert *cert;
	struct verdict *verdict;
};

struct question {
	const struct pending_judge *judge;
	struct cert *cert;
	GPtrArray *present;      /* struct present */
	gboolean too_many;       /* to look at all of them */
	struct verdict *verdict; /* of cert, as soon as it begins; made when first needed */
};

static void
present_free(gpointer data)
{
	struct present *present = data;

	cert_unref(present->cert);
	verdict_unref(present->verdict);
	g_free(present);
}

/* A missing CRL, or one that cannot be found out about, is no reason to let another key in. */
static gboolean
counts(const struct verdict *verdict)
{
	switch (verdict->state) {
	case VERDICT_VALID:
	case VERDICT_UNKNOWN:
		return TRUE;
	case VERDICT_INVALID:
		return verdict->fault == CHAIN_FAULT_REVOCATION;
	case VERDICT_REVOKED:
		break;
	}
	return FALSE;
}

static gboolean
add_present(struct question *question, const struct cert_row *row, GError **error)
{
	g_autoptr(GError) unread = NULL;
	CLEANUP(cert) struct cert *cert = NULL;
	CLEANUP(verdict) struct verdict *verdict = NULL;
	struct present *present;

	if (row->pending || strcmp(row->thumbprint, cert_thumbprint(question->cert)) == 0)
		return TRUE;
	cert = cert_parse(row->der, &unread);
	if (cert == NULL)
		return TRUE;
	verdict = trust_judge(question->judge->trust, cert, TRUST_ENCRYPT, error);
	if (verdict == NULL)
		return FALSE;
	if (!counts(verdict))
		return TRUE;
	present = g_new0(struct present, 1);
	present->cert = g_steal_pointer(&cert);
	present->verdict = g_steal_pointer(&verdict);
	g_ptr_array_add(question->present, present);
	return TRUE;
}

static gboolean
find_present(struct question *question, GError **error)
{
	g_autoptr(GPtrArray) keys = g_ptr_array_new();
	g_autoptr(GPtrArray) rows = NULL;
	GPtrArray *emails = cert_emails(question->cert);

	for (guint i = 0; i < emails->len; i++)
		g_ptr_array_add(keys, (gpointer)mailaddr_key(emails->pdata[i]));
	rows = certs_by_emails(question->judge->db, (const char *const *)keys->pdata, keys->len,
			       error);
	if (rows == NULL)
		return FALSE;
	question->too_many = rows->len > PRESENT_MAX;
	for (guint i = 0; i < rows->len && !question->too_many; i++)
		if (!add_present(question, rows->pdata[i], error))
			return FALSE;
	return TRUE;
}

/* One that begins tomorrow is judged as of then. */
static gboolean
judge_new(struct question *question, GError **error)
{
	gint64 now = clock_now(question->judge->clock);
	gint64 begin = cert_not_before(question->cert);

	if (question->verdict != NULL)
		return TRUE;
	question->verdict = trust_judge_at(question->judge->trust, question->cert, TRUST_ENCRYPT,
					   NULL, begin > now ? begin + 1 : 0, error);
	return question->verdict != NULL;
}

static const struct cert *
path_cert(const struct verdict *verdict, guint index)
{
	return verdict->path != NULL && verdict->path->len > index ? verdict->path->pdata[index]
								   : NULL;
}

static gboolean
same_key(const struct cert *a, const struct cert *b)
{
	return strcmp(cert_spki_sha256(a), cert_spki_sha256(b)) == 0;
}

/* Of a path up to a root; one that was not found has no issuer here. */
static gboolean
same_issuer(const struct verdict *a, const struct verdict *b)
{
	const struct cert *issuer_a = path_cert(a, 1), *issuer_b = path_cert(b, 1);
	const struct cert *above_a = path_cert(a, 2), *above_b = path_cert(b, 2);

	if (issuer_a == NULL || issuer_b == NULL ||
	    strcmp(cert_subject_key(issuer_a), cert_subject_key(issuer_b)) != 0)
		return FALSE;
	if (same_key(issuer_a, issuer_b))
		return TRUE;
	if (above_a == NULL && above_b == NULL)
		return cert_is_self_issued(issuer_a) && cert_is_self_issued(issuer_b);
	return above_a != NULL && above_b != NULL && same_key(above_a, above_b);
}

/* What the present certificates of one address say. */
static gboolean
judge_address(struct question *question, const struct mailaddr *address, gboolean *pending,
	      const char **rule, GError **error)
{
	CLEANUP(preference_set)
	struct preference_set *set =
	    preferences_resolve(question->judge->preferences, mailaddr_key(address), error);
	gboolean any = FALSE, fits = FALSE;
	enum preference_value choice;

	if (set == NULL)
		return FALSE;
	choice = preference_choice(set, PREF_SELECT_NEW_KEY);
	for (guint i = 0; i < question->present->len; i++) {
		const struct present *present = question->present->pdata[i];

		if (!cert_has_email(present->cert, address))
			continue;
		any = TRUE;
		if (same_key(present->cert, question->cert)) {
			fits = TRUE;
			break;
		}
		if (choice != VALUE_SELECT_NEW_KEY_SAME_ISSUER)
			continue;
		if (!judge_new(question, error))
			return FALSE;
		fits |= question->verdict->state == VERDICT_VALID &&
			same_issuer(question->verdict, present->verdict);
	}
	*pending = any && !fits && choice != VALUE_SELECT_NEW_KEY_ANY;
	*rule = choice == VALUE_SELECT_NEW_KEY_ASK
		    ? "select_new_key = ask"
		    : "another issuer than that of the present certificate, select_new_key = "
		      "same-issuer";
	return TRUE;
}

static gboolean
judge_all(struct question *question, gboolean *pending, char **why, GError **error)
{
	GPtrArray *emails = cert_emails(question->cert);

	if (!find_present(question, error))
		return FALSE;
	if (question->too_many) {
		/* Whoever can have so many stored must not crowd out what would speak against it.
		 */
		*pending = TRUE;
		if (why != NULL)
			*why = g_strdup_printf("its addresses have more than %d certificates",
					       PRESENT_MAX);
		return TRUE;
	}
	for (guint i = 0; !*pending && question->present->len > 0 && i < emails->len; i++) {
		const struct mailaddr *address = emails->pdata[i];
		const char *rule = NULL;

		if (!judge_address(question, address, pending, &rule, error))
			return FALSE;
		if (*pending && why != NULL)
			*why = g_strdup_printf("a new key for %s: %s", mailaddr_key(address), rule);
	}
	return TRUE;
}

gboolean
pending_judge(const struct pending_judge *judge, struct cert *cert, gboolean *pending, char **why,
	      GError **error)
{
	struct question question = {
		.judge = judge,
		.cert = cert,
		.present = g_ptr_array_new_with_free_func(present_free),
	};
	gboolean found = TRUE;

	*pending = FALSE;
	if (why != NULL)
		*why = NULL;
	/* What cannot be encrypted to takes nobody's mail. */
	if (cert_may_encrypt(cert))
		found = judge_all(&question, pending, why, error);
	g_ptr_array_unref(question.present);
	verdict_unref(question.verdict);
	return found;
}
