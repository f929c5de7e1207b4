/*
 * reading_signers - each signer of a layer with his certificate's standing and what From says.
 */
#include "milter/reading_walk.h"

#include <string.h>

#include "pki/crypto/cert.h"
#include "store/base/clock.h"
#include "store/base/error.h"

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

static void
judge(struct reading_walk *walk, const struct cms_verify_report *report,
      const struct cms_signer_report *signer, struct reading_signer *to)
{
	struct signer_judgement judgement = { SIGNER_INVALID, NULL };
	GError *error = NULL;

	if (signer->cert == NULL || walk->options->judge == NULL) {
		to->reason = g_strdup(signer->cert == NULL ? "the signer's certificate is not there"
							   : "no trusted roots are given");
		return;
	}
	if (signer->legacy && !walk->options->legacy) {
		to->reason = g_strdup("the signature uses an algorithm that is too weak");
		return;
	}
	if (walk->options->judge(walk->options->data, report, signer, &judgement, &error)) {
		to->trust = judgement.trust;
		to->reason = judgement.reason;
	} else if (g_error_matches(error, PS_ERROR, PS_ERROR_INVALID)) {
		to->reason = g_strdup(error->message);
	} else {
		to->unknown = walk->reading->unknown = TRUE;
		to->reason = g_strdup("it could not be found out whether the signer is trusted");
		walk_note(&walk->reading->detail, error->message);
	}
	g_clear_error(&error);
	if (to->trust == SIGNER_VALID && signer->legacy) {
		g_free(to->reason);
		to->reason =
		    g_strdup("valid, but the signature uses an algorithm that is weak today");
	}
}

static void
set_addresses(const struct reading_walk *walk, const struct cms_signer_report *signer,
	      struct reading_signer *to)
{
	const struct mailaddr *author = walk->reading->author;
	const char *domain = walk->options->domain_signer;
	GPtrArray *emails = cert_emails(signer->cert);

	for (guint i = 0; i < emails->len; i++)
		g_ptr_array_add(to->emails, g_strdup(mailaddr_text(emails->pdata[i])));
	to->from_matches = author != NULL && cert_has_email(signer->cert, author);
	if (author != NULL && domain != NULL && strcmp(cert_thumbprint(signer->cert), domain) == 0)
		to->from_matches = TRUE;
}

static void
copy_id(struct cms_signer_id *to, const struct cms_signer_id *from)
{
	to->issuer = from->issuer != NULL ? g_bytes_ref(from->issuer) : NULL;
	to->serial_hex = g_strdup(from->serial_hex);
	to->key_id = from->key_id != NULL ? g_bytes_ref(from->key_id) : NULL;
}

static struct reading_signer *
add_signer(struct reading_walk *walk, const struct cms_signer_report *signer, gboolean covers)
{
	struct reading_signer *to = g_new0(struct reading_signer, 1);

	g_ptr_array_add(walk->reading->signers, to);
	to->emails = g_ptr_array_new_with_free_func(g_free);
	to->digest = g_strdup(signer->digest);
	to->algorithm = g_strdup(signer->algorithm);
	to->signing_time = signer->signing_time;
	to->signature = signature_of(signer->signature);
	to->trust = SIGNER_INVALID;
	to->covers = covers;
	to->legacy = signer->legacy;
	to->layer = walk->reading->layers->len - 1;
	to->capabilities = signer->capabilities;
	to->transports = signer->transports;
	to->has_capabilities = signer->has_capabilities;
	copy_id(&to->encryption, &signer->encryption);
	to->subject = g_strdup(signer->cert != NULL ? cert_subject(signer->cert) : "");
	if (signer->cert != NULL) {
		to->cert = cert_ref(signer->cert);
		set_addresses(walk, signer, to);
	}
	return to;
}

void
walk_add_signers(struct reading_walk *walk, const struct cms_verify_report *report, gboolean covers,
		 gboolean *good)
{
	walk->checks += report->signers->len;
	if (walk->checks > READING_CHECKS_MAX)
		walk_limit(walk, "more than 100 signatures (limit of signature checks)");
	for (guint i = 0; i < report->signers->len; i++) {
		const struct cms_signer_report *signer = report->signers->pdata[i];
		struct reading_signer *to = add_signer(walk, signer, covers);

		if (to->signature != SIGNATURE_GOOD) {
			to->reason = g_strdup(signer->reason);
			continue;
		}
		if (walk->checks > READING_CHECKS_MAX || walk_out_of_time(walk)) {
			to->reason = g_strdup("not judged: a limit of the message is exceeded");
			continue;
		}
		if (good != NULL && (!signer->legacy || walk->options->legacy))
			*good = TRUE;
		judge(walk, report, signer, to);
	}
}
