/*
 * crl_status - state, signer, base, dates: the first that speaks against a list gives the sentence.
 */
#include "pki/crl_status.h"

#include <string.h>

#include "pki/crl_load.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/crl.h"
#include "pki/revocation.h"
#include "pki/trust.h"
#include "store/base/clock.h"
#include "store/certs.h"
#include "store/crls.h"
#include "store/roots.h"

struct crl_judge {
	struct db *db;
	struct trust *trust;
	GPtrArray *roots;   /* struct root_row, or NULL */
	GHashTable *trusts; /* signer's key and name -> why it is not trusted, "" when it is */
};

struct crl_judge *
crl_judge_new(struct db *db, struct trust *trust)
{
	struct crl_judge *judge = g_new0(struct crl_judge, 1);

	judge->db = db;
	judge->trust = trust;
	judge->trusts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	return judge;
}

void
crl_judge_free(struct crl_judge *judge)
{
	if (judge == NULL)
		return;
	g_clear_pointer(&judge->roots, g_ptr_array_unref);
	g_hash_table_unref(judge->trusts);
	g_free(judge);
}

void
crl_status_free(struct crl_status *status)
{
	if (status == NULL)
		return;
	g_free(status->reason);
	g_free(status);
}

/* *why "": trusted. The certificate need not be the very one that verified the list. */
static gboolean
ask_trust(struct crl_judge *judge, GBytes *der, char **why, GError **error)
{
	CLEANUP(cert) struct cert *cert = cert_parse(der, NULL);

	if (cert == NULL)
		return TRUE;
	CLEANUP(verdict)
	struct verdict *verdict =
	    trust_judge_with(judge->trust, cert, TRUST_ANY, trust_mode_of(NULL, TRUST_ANY), error);
	if (verdict == NULL)
		return FALSE;
	g_free(*why);
	*why = g_strdup(verdict->state == VERDICT_VALID ? "" : verdict->reason);
	return TRUE;
}

static gboolean
find_signers(struct crl_judge *judge, const struct crl_row *row, char **why, GError **error)
{
	g_autoptr(GPtrArray) certs = certs_by_subject(judge->db, row->issuer_key, NULL, error);

	if (certs == NULL)
		return FALSE;
	if (judge->roots == NULL && (judge->roots = roots_all(judge->db, error)) == NULL)
		return FALSE;
	for (guint i = 0; i < judge->roots->len && g_strcmp0(*why, "") != 0; i++) {
		const struct root_row *root = judge->roots->pdata[i];

		if (strcmp(root->spki_sha256, row->signer_key) == 0 &&
		    strcmp(root->subject_key, row->issuer_key) == 0 &&
		    !ask_trust(judge, root->der, why, error))
			return FALSE;
	}
	for (guint i = 0; i < certs->len && g_strcmp0(*why, "") != 0; i++) {
		const struct cert_row *cert = certs->pdata[i];

		if (strcmp(cert->spki_sha256, row->signer_key) == 0 &&
		    !ask_trust(judge, cert->der, why, error))
			return FALSE;
	}
	return TRUE;
}

/* NULL with *error; "" when the signer is trusted. Borrowed. */
static const char *
distrust_of(struct crl_judge *judge, const struct crl_row *row, GError **error)
{
	g_autofree char *key = g_strconcat(row->issuer_key, ":", row->signer_key, NULL);
	const char *known = g_hash_table_lookup(judge->trusts, key);
	char *why = NULL;

	if (known != NULL)
		return known;
	if (!find_signers(judge, row, &why, error)) {
		g_free(why);
		return NULL;
	}
	if (why == NULL)
		why = g_strdup("its certificate is not in the store any more");
	g_hash_table_insert(judge->trusts, g_steal_pointer(&key), why);
	return why;
}

/* Of a delta: is there a complete list that it goes with? */
static gboolean
has_base(struct crl_judge *judge, const struct crl_row *row, gboolean *found, GError **error)
{
	const char *keys[] = { row->issuer_key };
	g_autoptr(GPtrArray) rows = crls_held(judge->db, keys, 1, error);

	*found = FALSE;
	for (guint i = 0; rows != NULL && i < rows->len && !*found; i++) {
		const struct crl_row *other = rows->pdata[i];

		*found = other->base_number == NULL && other->line == row->line &&
			 other->number != NULL &&
			 crl_number_compare(other->number, row->base_number) >= 0;
	}
	return rows != NULL;
}

static char *
say_dates(const struct crl_row *row, gint64 now, gboolean *valid)
{
	g_autofree char *from = clock_format(row->this_update);
	g_autofree char *until =
	    row->next_update != CLOCK_NEVER ? clock_format(row->next_update) : NULL;
	gint64 end = row->next_update != CLOCK_NEVER ? row->next_update + REVOCATION_GRACE_SECONDS
						     : CLOCK_NEVER;
	g_autofree char *last = end != CLOCK_NEVER ? clock_format(end) : NULL;

	*valid = TRUE;
	if (row->this_update > now + CRL_EARLY_SECONDS) {
		*valid = FALSE;
		return g_strdup_printf("dated in the future, %s: what it names is revoked, for the "
				       "rest it counts from then on; is the clock of this host "
				       "right?",
				       from);
	}
	if (row->this_update > now)
		return g_strdup_printf("dated in the future, %s: is the clock of this host right?",
				       from);
	if (row->next_update == CLOCK_NEVER || row->next_update >= now)
		return g_strdup("");
	*valid = FALSE;
	if (end >= now)
		return g_strdup_printf("out of date since %s: a newer one is needed; where "
				       "revocation is if-available it counts until %s",
				       until, last);
	return g_strdup_printf("out of date since %s: a newer one is needed; what it names stays "
			       "revoked, for the rest it counts as missing",
			       until);
}

static gboolean
judge_row(struct crl_judge *judge, const struct crl_row *row, gint64 now, struct crl_status *status,
	  GError **error)
{
	gboolean found;

	status->valid = FALSE;
	if (row->state == CRL_STATE_UNCHECKED) {
		status->reason = g_strdup("its signature is being checked again, by the job "
					  "check-crls; until then it counts where it fits");
		return TRUE;
	}
	if (row->state != CRL_STATE_USABLE) {
		status->reason = g_strdup(row->note);
		return TRUE;
	}
	const char *distrust = distrust_of(judge, row, error);
	if (distrust == NULL)
		return FALSE;
	if (*distrust != '\0') {
		status->reason =
		    g_strdup_printf("its issuer '%s' is not trusted: %s", row->issuer, distrust);
		return TRUE;
	}
	if (row->base_number != NULL) {
		if (!has_base(judge, row, &found, error))
			return FALSE;
		if (!found) {
			status->reason = g_strdup_printf("a delta without its base: the complete "
							 "list number %s or newer is needed",
							 row->base_number);
			return TRUE;
		}
	}
	status->reason = say_dates(row, now, &status->valid);
	return TRUE;
}

struct crl_status *
crl_status_of(struct crl_judge *judge, const struct crl_row *row, gint64 now, GError **error)
{
	CLEANUP(crl_status) struct crl_status *status = g_new0(struct crl_status, 1);

	return judge_row(judge, row, now, status, error) ? g_steal_pointer(&status) : NULL;
}
