/*
 * inbound_trust - see inbound_trust.h.
 */
#include "milter/policy/inbound_trust.h"

#include "milter/gateway.h"
#include "pki/cert_cache.h"
#include "pki/crypto/cert.h"
#include "pki/named_certs.h"
#include "store/base/error.h"

struct trust_mode
inbound_trust_mode(const struct preference_set *recipient,
		   const struct preference_set *author_or_null)
{
	struct trust_mode mode = trust_mode_of(recipient, TRUST_VERIFY);

	return author_or_null != NULL
		   ? trust_mode_stricter(mode, trust_mode_of(author_or_null, TRUST_VERIFY))
		   : mode;
}

GPtrArray *
inbound_trust_hints(struct gateway *gateway, const GPtrArray *ders)
{
	GPtrArray *hints = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);

	for (guint i = 0; i < ders->len; i++) {
		struct cert *cert = cert_cache_parse(gateway->brought, ders->pdata[i], NULL);

		if (cert != NULL)
			g_ptr_array_add(hints, cert);
	}
	return hints;
}

/* What is in the store is enough for most, and its answer is remembered for all messages. */
static struct verdict *
ask(const struct inbound_trust *trust, const struct cms_verify_report *object, struct cert *cert,
    GError **error)
{
	struct trust *asked = trust->gateway->trust;
	struct trust_question question = {
		.purpose = TRUST_VERIFY,
		.revocation = trust->mode.revocation,
		.allow_legacy = TRUE,
	};
	CLEANUP(verdict)
	struct verdict *verdict = trust_judge_with(asked, cert, TRUST_VERIFY, trust->mode, error);
	g_autoptr(GPtrArray) hints = NULL;

	if (verdict == NULL || verdict->state != VERDICT_INVALID ||
	    (!verdict->incomplete && verdict->fault != CHAIN_FAULT_PATH && !trust->legacy))
		return g_steal_pointer(&verdict);
	question.hints = hints = inbound_trust_hints(trust->gateway, object->certs);
	if (trust->legacy)
		return trust_ask(asked, cert, &question, error);
	return trust_judge_hinted(asked, cert, TRUST_VERIFY, trust->mode, hints, error);
}

static gboolean
judge(gpointer data, const struct cms_verify_report *object, const struct cms_signer_report *signer,
      struct signer_judgement *out, GError **error)
{
	CLEANUP(verdict) struct verdict *verdict = ask(data, object, signer->cert, error);

	if (verdict == NULL)
		return FALSE;
	switch (verdict->state) {
	case VERDICT_VALID:
		out->trust = SIGNER_VALID;
		break;
	case VERDICT_REVOKED:
		out->trust = SIGNER_REVOKED;
		break;
	case VERDICT_INVALID:
		out->trust = SIGNER_INVALID;
		break;
	case VERDICT_UNKNOWN:
		return fail_false(error, PS_ERROR_TEMPORARY, "%s", verdict->reason);
	}
	out->reason = g_strdup(verdict->finding);
	return TRUE;
}

/* One that the message did not bring. */
static struct cert *
find(gpointer data, const struct cms_signer_id *id, GError **error)
{
	const struct inbound_trust *trust = data;
	g_autoptr(GPtrArray) found = named_certs(trust->gateway->db, id, error);

	return found != NULL && found->len > 0 ? cert_ref(found->pdata[0]) : NULL;
}

/* What many messages bring is parsed once. */
static struct cert *
parse(gpointer data, GBytes *der, GError **error)
{
	const struct inbound_trust *trust = data;

	return cert_cache_parse(trust->gateway->brought, der, error);
}

struct reading_options
inbound_trust_options(struct inbound_trust *trust, struct spool_area *area)
{
	return (struct reading_options){
		.area = area,
		.judge = judge,
		.find = find,
		.parse = parse,
		.data = trust,
		.legacy = trust->legacy,
	};
}
