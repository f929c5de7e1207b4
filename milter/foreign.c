/*
 * foreign - one look at a signed message; see foreign.h.
 */
#include "milter/foreign.h"

#include "milter/gateway.h"
#include "milter/mime/leaf.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/cms_verify.h"
#include "pki/trust.h"
#include "store/base/error.h"

/* The signature is the second part, the content the bytes of the first as they are. */
static struct cms_verify_report *
verify_clear(const struct mime_tree *tree, const struct cms_verify_options *options, GError **error)
{
	const struct part *root = tree->root;
	const struct part *content, *signature;
	CLEANUP(spool_reader) struct spool_reader *reader = NULL;
	CLEANUP(leaf) struct leaf *leaf = NULL;

	if (root->children->len != 2)
		return fail(error, PS_ERROR_INVALID, "not two parts");
	content = root->children->pdata[0];
	signature = root->children->pdata[1];
	reader = spool_reader_new(tree->spool, content->start, content->end);
	leaf = leaf_open(tree, signature, LEAF_AS_DECLARED);
	return cms_verify_detached(leaf_source(leaf), spool_reader_source(reader), options, error);
}

static struct cms_verify_report *
verify_opaque(const struct mime_tree *tree, const struct cms_verify_options *options,
	      GError **error)
{
	CLEANUP(leaf) struct leaf *leaf = leaf_open(tree, tree->root, LEAF_AS_DECLARED);

	return cms_verify(leaf_source(leaf), NULL, options, error);
}

/* What came along may help to build a path; nothing of it is trusted. */
static GPtrArray *
hints_of(const struct cms_verify_report *report)
{
	GPtrArray *hints = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);

	for (guint i = 0; i < report->certs->len; i++) {
		struct cert *cert = cert_parse(report->certs->pdata[i], NULL);

		if (cert != NULL)
			g_ptr_array_add(hints, cert);
	}
	return hints;
}

static enum able
judge(struct gateway *gateway, struct cert *cert, enum trust_purpose purpose, GPtrArray *hints)
{
	CLEANUP(verdict)
	struct verdict *verdict = trust_judge_at(gateway->trust, cert, purpose, hints, 0, NULL);

	if (verdict == NULL)
		return ABLE_UNKNOWN;
	switch (verdict->state) {
	case VERDICT_VALID:
		return ABLE_YES;
	case VERDICT_UNKNOWN:
		return ABLE_UNKNOWN;
	case VERDICT_INVALID:
	case VERDICT_REVOKED:
		break;
	}
	return ABLE_NO;
}

static enum able
judge_signers(struct gateway *gateway, const struct cms_verify_report *report,
	      const struct mailaddr *author)
{
	g_autoptr(GPtrArray) hints = hints_of(report);
	enum able best = ABLE_NO;

	for (guint i = 0; i < report->signers->len; i++) {
		const struct cms_signer_report *signer = report->signers->pdata[i];
		enum able able;

		if (signer->signature != CMS_SIGNATURE_GOOD || signer->legacy)
			return ABLE_NO;
		if (!cert_has_email(signer->cert, author))
			continue;
		able = judge(gateway, signer->cert, TRUST_VERIFY, hints);
		if (able == ABLE_YES || best == ABLE_NO)
			best = able;
	}
	return best;
}

static struct cms_verify_report *
verify(const struct mime_tree *tree, GError **error)
{
	const struct cms_verify_options options = { 0 };

	if (tree->malformed != NULL)
		return fail(error, PS_ERROR_INVALID, "malformed");
	return tree->root->kind == PART_MULTIPART ? verify_clear(tree, &options, error)
						  : verify_opaque(tree, &options, error);
}

enum able
foreign_signature(struct gateway *gateway, const struct mime_tree *tree,
		  const struct mailaddr *author)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(cms_verify_report) struct cms_verify_report *report = verify(tree, &error);

	if (report == NULL)
		return g_error_matches(error, PS_ERROR, PS_ERROR_INVALID) ? ABLE_NO : ABLE_UNKNOWN;
	return judge_signers(gateway, report, author);
}

GPtrArray *
foreign_certs(struct gateway *gateway, const struct mime_tree *tree, const struct mailaddr *author)
{
	CLEANUP(cms_verify_report) struct cms_verify_report *report = verify(tree, NULL);
	g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	g_autoptr(GPtrArray) hints = NULL;

	if (report == NULL || judge_signers(gateway, report, author) != ABLE_YES)
		return NULL;
	hints = hints_of(report);
	for (guint i = 0; i < hints->len && found->len < FOREIGN_CERTS_MAX; i++) {
		struct cert *cert = hints->pdata[i];

		if (!cert_is_ca(cert) && cert_has_email(cert, author) &&
		    judge(gateway, cert, TRUST_ANY, hints) == ABLE_YES)
			g_ptr_array_add(found, cert_ref(cert));
	}
	return g_steal_pointer(&found);
}
