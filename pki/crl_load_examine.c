/*
 * crl_load_examine - who signed a list, and is he trusted: its state, and a sentence that says so.
 */
#include <string.h>

#include "pki/crl_load_internal.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/chain.h"
#include "pki/crypto/crl.h"
#include "pki/issuer_pool.h"

#define SIGNERS_TRIED_MAX 64

static void
set_signer(struct loading *loading, const struct cert *cert)
{
	if (loading->signer != NULL)
		cert_unref(loading->signer);
	loading->signer = cert_ref((struct cert *)cert);
	loading->row.signer = (char *)cert_thumbprint(cert);
	loading->row.signer_key = (char *)cert_spki_sha256(cert);
}

/* Everybody of that name, roots first: theirs is the word that counts. */
static GPtrArray *
named_issuers(struct issuer_pool *pool, GPtrArray *roots, const char *subject_key, GError **error)
{
	g_autoptr(GPtrArray) named = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);

	for (guint i = 0; i < roots->len; i++)
		if (strcmp(cert_subject_key(roots->pdata[i]), subject_key) == 0)
			g_ptr_array_add(named, cert_ref(roots->pdata[i]));
	if (!issuer_pool_named(pool, subject_key, named, error))
		return NULL;
	g_autoptr(GPtrArray) above = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	for (guint i = 0; i < named->len; i++)
		if (cert_key_kind(named->pdata[i]) == KEY_KIND_DSA &&
		    !issuer_pool_climb(pool, named->pdata[i], above, error))
			return NULL;
	chain_complete_keys(named, above, roots);
	return g_steal_pointer(&named);
}

/* *why NULL: there is a path to a root, whatever the dates of the signer itself. */
static gboolean
find_distrust(struct loading *loading, struct issuer_pool *pool, GPtrArray *roots,
	      struct cert *signer, char **why, GError **error)
{
	g_autoptr(GPtrArray) above = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	struct chain_options options = {
		.anchors = roots,
		.untrusted = above,
		.at = loading->now,
		.purpose = CHAIN_PURPOSE_ANY,
		.revocation = CHAIN_REVOCATION_OFF,
		.allow_legacy = TRUE,
	};

	if (!issuer_pool_climb(pool, signer, above, error))
		return FALSE;
	CLEANUP(chain_report) struct chain_report *report = chain_check(signer, &options, error);
	if (report == NULL)
		return FALSE;
	*why = g_strdup(report->faults[CHAIN_FAULT_PATH]);
	return TRUE;
}

static void
say_unsigned(struct loading *loading, GPtrArray *named)
{
	const struct crl *crl = loading->crl;
	gboolean may_sign = FALSE, fits = FALSE;

	for (guint i = 0; i < named->len; i++) {
		const struct cert *cert = named->pdata[i];
		gboolean meant = crl_aki(crl) == NULL || cert_ski(cert) == NULL ||
				 strcmp(crl_aki(crl), cert_ski(cert)) == 0;

		fits |= meant;
		may_sign |= meant && (cert_key_usage(cert) & KEY_USAGE_CRL_SIGN) != 0;
	}
	if (named->len == 0)
		loading_set_state(
		    loading, CRL_STATE_NO_ISSUER,
		    g_strdup_printf("no certificate of '%s' is in the store: import the CA "
				    "that issued it",
				    crl_issuer(crl)));
	else if (!fits)
		loading_set_state(
		    loading, CRL_STATE_NO_ISSUER,
		    g_strdup_printf("no certificate of '%s' in the store has the key %s that "
				    "it names: import the one that has",
				    crl_issuer(crl), crl_aki(crl)));
	else if (!may_sign)
		loading_set_state(
		    loading, CRL_STATE_NO_ISSUER,
		    g_strdup_printf("the certificate of '%s' must not sign revocation lists: "
				    "its key usage lacks cRLSign",
				    crl_issuer(crl)));
	else
		loading_set_state(
		    loading, CRL_STATE_BAD_SIGNATURE,
		    g_strdup_printf("its signature fits no certificate of '%s' in the store: "
				    "it is damaged, forged, or of another key",
				    crl_issuer(crl)));
}

static gboolean
find_signer(struct loading *loading, GError **error)
{
	struct issuer_pool *pool = crl_loader_pool(loading->loader);
	g_autoptr(GPtrArray) roots = issuer_pool_roots(pool, error);
	g_autoptr(GPtrArray) named =
	    roots != NULL ? named_issuers(pool, roots, crl_issuer_key(loading->crl), error) : NULL;

	if (named == NULL)
		return FALSE;
	for (guint i = 0; i < MIN(named->len, SIGNERS_TRIED_MAX); i++) {
		struct cert *cert = named->pdata[i];
		g_autofree char *why = NULL;

		if (!crl_is_signed_by(loading->crl, cert))
			continue;
		if (!find_distrust(loading, pool, roots, cert, &why, error))
			return FALSE;
		set_signer(loading, cert);
		if (why == NULL) {
			loading_set_state(loading, CRL_STATE_USABLE, g_strdup(""));
			return TRUE;
		}
		loading_set_state(
		    loading, CRL_STATE_UNTRUSTED,
		    g_strdup_printf("its issuer '%s' is not trusted: %s", cert_subject(cert), why));
	}
	if (loading->signer == NULL)
		say_unsigned(loading, named);
	return TRUE;
}

gboolean
loading_examine(struct loading *loading, GError **error)
{
	if (loading->own != NULL && crl_is_signed_by(loading->crl, loading->own)) {
		set_signer(loading, loading->own);
		loading_set_state(loading, CRL_STATE_USABLE, g_strdup(""));
	} else if (!find_signer(loading, error)) {
		return FALSE;
	}
	if (loading->row.state == CRL_STATE_USABLE && crl_has_unknown_critical(loading->crl))
		loading_set_state(
		    loading, CRL_STATE_UNSUPPORTED,
		    g_strdup("it has a critical extension that is not known: what it names "
			     "is revoked, for the rest it says nothing"));
	return TRUE;
}
