/*
 * believing - questions to trust and store.
 */
#include "milter/believing.h"

#include "milter/gateway.h"
#include "pki/cert_cache.h"
#include "pki/crypto/cert.h"
#include "pki/trust.h"
#include "store/base/error.h"
#include "store/certs.h"
#include "store/preferences.h"

#define FOUND_MAX 8 /* certificates of one name that are looked at */

GPtrArray *
believing_hints(struct gateway *gateway, const GPtrArray *ders)
{
	GPtrArray *hints = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);

	for (guint i = 0; i < ders->len; i++) {
		struct cert *cert =
		    cert_cache_parse(gateway->brought, g_ptr_array_index(ders, i), NULL);

		if (cert != NULL)
			g_ptr_array_add(hints, cert);
	}
	return hints;
}

static struct verdict *
ask(const struct believing *believing, struct cert *cert, GPtrArray *hints, gboolean weak,
    GError **error)
{
	struct gateway *gateway = believing->gateway;
	struct trust_question question = { .purpose = TRUST_VERIFY,
					   .hints = hints,
					   .allow_legacy = TRUE };
	CLEANUP(preference_set) struct preference_set *set = NULL;

	if (!weak)
		return trust_judge_at(gateway->trust, cert, TRUST_VERIFY, hints, 0, error);
	set = preferences_resolve(gateway->preferences, NULL, error);
	if (set == NULL)
		return NULL;
	question.revocation = trust_mode_of(set, TRUST_VERIFY).revocation;
	return trust_ask(gateway->trust, cert, &question, error);
}

static gboolean
judge(gpointer data, const struct cms_verify_report *object, const struct cms_signer_report *signer,
      struct signer_judgement *out, GError **error)
{
	const struct believing *believing = data;
	g_autoptr(GPtrArray) hints = believing_hints(believing->gateway, object->certs);
	CLEANUP(verdict)
	struct verdict *verdict = ask(believing, signer->cert, hints, FALSE, error);

	if (verdict != NULL && verdict->state == VERDICT_INVALID && believing->legacy &&
	    verdict->fault == CHAIN_FAULT_ALGORITHM) {
		verdict_unref(verdict);
		verdict = ask(believing, signer->cert, hints, TRUE, error);
	}
	if (verdict == NULL)
		return FALSE;
	switch (verdict->state) {
	case VERDICT_VALID:
		out->trust = SIGNER_VALID;
		break;
	case VERDICT_INVALID:
		out->trust = SIGNER_INVALID;
		break;
	case VERDICT_REVOKED:
		out->trust = SIGNER_REVOKED;
		break;
	case VERDICT_UNKNOWN:
		return fail_false(error, PS_ERROR_TEMPORARY, "%s", verdict->reason);
	}
	out->reason = g_strdup(verdict->reason);
	return TRUE;
}

/* What many messages bring is parsed once. */
static struct cert *
parse(gpointer data, GBytes *der, GError **error)
{
	const struct believing *believing = data;

	return cert_cache_parse(believing->gateway->brought, der, error);
}

static GPtrArray *
rows_named(struct db *db, const struct cms_signer_id *id, GError **error)
{
	g_autofree char *issuer_key = cms_signer_id_issuer_key(id);
	g_autofree char *key_id = NULL;

	if (issuer_key != NULL && id->serial_hex != NULL)
		return certs_by_issuer_serial(db, issuer_key, id->serial_hex, error);
	key_id = cms_signer_id_key_hex(id);
	return key_id != NULL ? certs_by_ski(db, key_id, error) : g_ptr_array_new();
}

static struct cert *
find(gpointer data, const struct cms_signer_id *id, GError **error)
{
	const struct believing *believing = data;
	g_autoptr(GPtrArray) rows = rows_named(believing->gateway->db, id, error);

	for (guint i = 0; rows != NULL && i < MIN(rows->len, FOUND_MAX); i++) {
		const struct cert_row *row = g_ptr_array_index(rows, i);
		struct cert *cert = cert_parse(row->der, NULL);

		if (cert != NULL && cms_signer_id_matches(id, cert))
			return cert;
		if (cert != NULL)
			cert_unref(cert);
	}
	return NULL;
}

struct reading_options
believing_options(struct believing *believing, struct spool_area *area)
{
	return (struct reading_options){
		.area = area,
		.judge = judge,
		.find = find,
		.parse = parse,
		.data = believing,
		.legacy = believing->legacy,
	};
}
