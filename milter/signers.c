/*
 * signers - each signer of a layer with his certificate's standing and what From says.
 */
#include "milter/signers.h"

#include "pki/crypto/cert.h"
#include "pki/crypto/chain.h"
#include "pki/crypto/cms_verify.h"
#include "pki/crypto/crl.h"
#include "store/base/clock.h"
#include "store/base/error.h"

static void
release_cert(gpointer cert)
{
	cert_unref(cert);
}

static void
release_crl(gpointer crl)
{
	crl_unref(crl);
}

/* What the caller gave and what the message brought: hints both. */
static GPtrArray *
hints_certs(const struct chain_options *chain, const struct cms_verify_report *report)
{
	GPtrArray *all = g_ptr_array_new_with_free_func(release_cert);

	for (guint i = 0; chain->untrusted != NULL && i < chain->untrusted->len; i++)
		g_ptr_array_add(all, cert_ref(chain->untrusted->pdata[i]));
	for (guint i = 0; report->certs != NULL && i < report->certs->len; i++) {
		struct cert *cert = cert_parse(report->certs->pdata[i], NULL);

		if (cert != NULL)
			g_ptr_array_add(all, cert);
	}
	return all;
}

static GPtrArray *
hints_crls(const struct chain_options *chain, const struct cms_verify_report *report)
{
	GPtrArray *all = g_ptr_array_new_with_free_func(release_crl);

	for (guint i = 0; chain->crls != NULL && i < chain->crls->len; i++)
		g_ptr_array_add(all, crl_ref(chain->crls->pdata[i]));
	for (guint i = 0; report->crls != NULL && i < report->crls->len; i++) {
		struct crl *crl = crl_parse(report->crls->pdata[i], NULL);

		if (crl != NULL)
			g_ptr_array_add(all, crl);
	}
	return all;
}

static gboolean
judge(struct reading *reading, const struct cms_signer_report *signer,
      const struct cms_verify_report *report, struct message_signer *to)
{
	const struct chain_options *given =
	    reading->options != NULL ? reading->options->chain : NULL;
	struct chain_options chain;
	g_autoptr(GPtrArray) certs = NULL;
	g_autoptr(GPtrArray) crls = NULL;
	CLEANUP(chain_report) struct chain_report *found = NULL;
	GError *error = NULL;

	if (given == NULL || signer->cert == NULL) {
		to->reason = g_strdup(signer->cert == NULL ? "the signer's certificate is not there"
							   : "no trusted roots are given");
		return TRUE;
	}
	if (signer->legacy && !given->allow_legacy) {
		to->reason = g_strdup("the signature uses an algorithm that is too weak");
		return TRUE;
	}
	chain = *given;
	chain.untrusted = certs = hints_certs(given, report);
	chain.crls = crls = hints_crls(given, report);
	chain.purpose = CHAIN_PURPOSE_SIGN;
	chain.email = NULL; /* From is compared by itself: another word */
	if (reading->options->at_signing_time && signer->signing_time != CLOCK_NEVER)
		chain.at = MIN(chain.at, signer->signing_time);
	if (reading->options->crls_require && report->crls != NULL && report->crls->len > 0)
		chain.revocation = CHAIN_REVOCATION_REQUIRED;
	found = chain_check(signer->cert, &chain, &error);
	if (found == NULL)
		return layers_take_error(reading, &to->reason, error);
	to->trust = found->verdict == CHAIN_VALID     ? SIGNER_VALID
		    : found->verdict == CHAIN_REVOKED ? SIGNER_REVOKED
						      : SIGNER_INVALID;
	if (to->trust == SIGNER_VALID && signer->legacy)
		to->reason =
		    g_strdup("valid, but the signature uses an algorithm that is weak today");
	else
		to->reason = g_strdup(found->reason != NULL ? found->reason : "");
	return TRUE;
}

static enum signer_signature
signature_of(enum cms_signature signature)
{
	switch (signature) {
	case CMS_SIGNATURE_GOOD:
		return SIGNATURE_GOOD;
	case CMS_SIGNATURE_BAD:
		return SIGNATURE_BAD;
	case CMS_SIGNATURE_UNKNOWN:
		return SIGNATURE_UNKNOWN;
	}
	return SIGNATURE_UNKNOWN;
}

static gboolean
add_signer(struct reading *reading, const struct cms_signer_report *signer,
	   const struct cms_verify_report *report, gboolean covers)
{
	struct message_signer *to = g_new0(struct message_signer, 1);

	g_ptr_array_add(reading->report->signers, to);
	to->emails = g_ptr_array_new_with_free_func(g_free);
	to->digest = g_strdup(signer->digest);
	to->algorithm = g_strdup(signer->algorithm);
	to->signing_time = signer->signing_time;
	to->signature = signature_of(signer->signature);
	to->trust = SIGNER_INVALID;
	to->covers = covers;
	to->subject = g_strdup(signer->cert != NULL ? cert_subject(signer->cert) : "");
	if (signer->cert != NULL) {
		GPtrArray *emails = cert_emails(signer->cert);

		for (guint i = 0; i < emails->len; i++)
			g_ptr_array_add(to->emails, g_strdup(mailaddr_text(emails->pdata[i])));
		to->from_matches =
		    reading->author != NULL && cert_has_email(signer->cert, reading->author);
	}
	if (to->signature != SIGNATURE_GOOD) {
		to->reason = g_strdup(signer->reason);
		return TRUE;
	}
	return judge(reading, signer, report, to);
}

gboolean
signers_add(struct reading *reading, const struct cms_verify_report *report, gboolean covers)
{
	for (guint i = 0; i < report->signers->len; i++)
		if (!add_signer(reading, report->signers->pdata[i], report, covers))
			return FALSE;
	return TRUE;
}
