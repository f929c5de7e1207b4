/*
 * chain_status - which answer speaks, and whether another one is wanted.
 */
#include "pki/crypto/chain_status.h"

#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/chain.h"
#include "pki/crypto/sentences.h"
#include "store/base/clock.h"

/* As with lists: a clock that was set back makes nobody good who is revoked; who looks back into
 * another time sees what was known then. */
static gboolean
is_revoked(const struct chain_status *status, const struct chain_options *options)
{
	return status->kind == CHAIN_STATUS_REVOKED &&
	       (options->crl_early > 0 || status->this_update <= options->at);
}

static gboolean
is_current(const struct chain_status *status, const struct chain_options *options)
{
	return status->kind != CHAIN_STATUS_NONE &&
	       status->this_update <= options->at + options->crl_early &&
	       status->next_update >= options->at;
}

/* Of several answers the one that says revoked, else the newest that is in date, else the last. */
struct chain_status_finding
chain_status_find(const struct chain_options *options, const struct cert *cert,
		  const struct cert *issuer)
{
	struct chain_status_finding found = { NULL, FALSE };

	for (guint i = 0; options->statuses != NULL && i < options->statuses->len; i++) {
		const struct chain_status *status = options->statuses->pdata[i];

		if (strcmp(status->thumbprint, cert_thumbprint(cert)) != 0 ||
		    strcmp(status->issuer_spki, cert_spki_sha256(issuer)) != 0)
			continue;
		if (is_revoked(status, options))
			return (struct chain_status_finding){ status, TRUE };
		gboolean counts =
		    is_current(status, options) && options->status_use != CHAIN_STATUS_OFF;
		if (found.status == NULL || counts > found.counts ||
		    (counts == found.counts && status->this_update > found.status->this_update))
			found = (struct chain_status_finding){ status, counts };
	}
	return found;
}

gboolean
chain_status_wanted(const struct chain_options *options, const struct cert *cert,
		    const struct chain_status_finding *finding, gboolean listed)
{
	if (cert_ocsp_urls(cert)[0] == NULL)
		return FALSE;
	/* Who is revoked stays so; a hold may end. */
	if (finding->status != NULL && finding->counts &&
	    finding->status->kind == CHAIN_STATUS_REVOKED)
		return finding->status->reason == REVOCATION_CERTIFICATE_HOLD &&
		       options->status_use != CHAIN_STATUS_OFF;
	switch (options->status_use) {
	case CHAIN_STATUS_OFF:
		return FALSE;
	case CHAIN_STATUS_WHEN_NO_CRL:
		return !listed;
	case CHAIN_STATUS_PREFER:
		return TRUE;
	}
	return FALSE;
}

char *
chain_status_explain(const struct chain_options *options, const struct cert *cert,
		     const struct chain_status_finding *finding, char *lists)
{
	const struct chain_status *status = finding->status;
	g_autofree char *text = lists;

	if (options->status_use == CHAIN_STATUS_OFF || cert_ocsp_urls(cert)[0] == NULL)
		return g_steal_pointer(&text);
	if (status == NULL)
		return sentence_make(SENTENCE_STATUS_MISSING, text, NULL);
	const char *responder = status->responder != NULL ? status->responder : "";
	if (finding->counts)
		return sentence_make(SENTENCE_STATUS_UNKNOWN, text, responder, NULL);
	if (status->problem != NULL)
		return sentence_make(SENTENCE_STATUS_FAILS, text, responder, status->problem, NULL);
	return sentence_make(SENTENCE_STATUS_OLD, text, responder, NULL);
}

char *
chain_status_source(const struct chain_status *status)
{
	g_autofree char *when = clock_format(status->this_update);

	return g_strdup_printf("OCSP responder '%s' of %s",
			       status->responder != NULL ? status->responder : "", when);
}
