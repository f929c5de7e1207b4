/*
 * enroll_check - checks on what a CA gives back.
 */
#include "pki/enroll_check.h"

#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/chain.h"
#include "pki/issuer_pool.h"
#include "store/base/error.h"
#include "store/base/mailaddr.h"
#include "store/requests.h"

/* A CA's clock may be ahead of ours. */
#define SKEW_SECONDS 86400

gboolean
enroll_is_tls(const struct request_row *request)
{
	return request->profile != NULL && g_str_has_prefix(request->profile, "tls-");
}

gboolean
enroll_check_key(const struct cert *cert, const struct request_row *request, GError **error)
{
	if (cert == NULL)
		return fail_false(error, PS_ERROR_INVALID, "handler '%s' gave no certificate",
				  request->handler);
	if (request->spki_sha256 == NULL ||
	    strcmp(cert_spki_sha256(cert), request->spki_sha256) != 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "the certificate is not for the key of the request");
	return TRUE;
}

static gboolean
check_mail(const struct cert *cert, const struct request_row *request, GError **error)
{
	gboolean for_signing = g_strcmp0(request->key_use, "encrypt") != 0;
	gboolean for_encryption = g_strcmp0(request->key_use, "sign") != 0;
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(request->email, error);

	if (address == NULL)
		return FALSE;
	if (!cert_has_email(cert, address))
		return fail_false(error, PS_ERROR_INVALID,
				  "the certificate does not have the address %s", request->email);
	if (!cert_has_email_purpose(cert))
		return fail_false(error, PS_ERROR_INVALID,
				  "the certificate's extended key usage lacks emailProtection");
	if (for_signing && !cert_may_sign(cert))
		return fail_false(error, PS_ERROR_INVALID,
				  "the certificate's key usage does not allow signing, which was "
				  "asked for");
	if (for_encryption && !cert_may_encrypt(cert))
		return fail_false(error, PS_ERROR_INVALID,
				  "the certificate's key usage does not allow encryption, which "
				  "was asked for");
	return TRUE;
}

static gboolean
check_tls(const struct cert *cert, const struct request_row *request, GError **error)
{
	gboolean server = strcmp(request->profile, "tls-server") == 0;
	const char *purpose = server ? "serverAuth" : "clientAuth";
	g_auto(GStrv) names = cert_dns_names(cert);

	for (guint i = 0; request->names != NULL && request->names[i] != NULL; i++) {
		g_autofree char *lower = g_ascii_strdown(request->names[i], -1);
		if (!g_strv_contains((const char *const *)names, lower))
			return fail_false(error, PS_ERROR_INVALID,
					  "the certificate does not have the name %s", lower);
	}
	if (!cert_names_purpose(cert, purpose))
		return fail_false(error, PS_ERROR_INVALID,
				  "the certificate's extended key usage lacks %s", purpose);
	if (!cert_has_digital_signature(cert))
		return fail_false(error, PS_ERROR_INVALID,
				  "the certificate's key usage lacks digitalSignature");
	return TRUE;
}

gboolean
enroll_check(const struct cert *cert, const struct request_row *request, gint64 now, GError **error)
{
	if (!enroll_check_key(cert, request, error))
		return FALSE;
	if (cert_is_ca(cert))
		return fail_false(error, PS_ERROR_INVALID, "the certificate is one of a CA");
	if (!(enroll_is_tls(request) ? check_tls(cert, request, error)
				     : check_mail(cert, request, error)))
		return FALSE;
	if (now > cert_not_after(cert) || now + SKEW_SECONDS < cert_not_before(cert))
		return fail_false(error, PS_ERROR_INVALID, "the certificate is not valid today");
	return TRUE;
}

static gboolean
gather(struct db *db, struct cert *cert, GPtrArray *along, GPtrArray *anchors, GPtrArray **roots,
       GPtrArray *untrusted, GError **error)
{
	CLEANUP(issuer_pool) struct issuer_pool *pool = issuer_pool_new(db, NULL, NULL);
	g_autoptr(GPtrArray) stored = issuer_pool_roots(pool, error);

	if (stored == NULL)
		return FALSE;
	*roots = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	for (guint i = 0; i < stored->len; i++)
		g_ptr_array_add(*roots, cert_ref(g_ptr_array_index(stored, i)));
	for (guint i = 0; anchors != NULL && i < anchors->len; i++)
		g_ptr_array_add(*roots, cert_ref(g_ptr_array_index(anchors, i)));
	for (guint i = 0; along != NULL && i < along->len; i++)
		if (g_ptr_array_index(along, i) != cert)
			g_ptr_array_add(untrusted, cert_ref(g_ptr_array_index(along, i)));
	return issuer_pool_climb(pool, cert, untrusted, error);
}

gboolean
enroll_check_chain(struct db *db, struct cert *cert, GPtrArray *along, GPtrArray *anchors,
		   gint64 now, GError **error)
{
	static const enum chain_fault faults[] = { CHAIN_FAULT_PATH, CHAIN_FAULT_ALGORITHM,
						   CHAIN_FAULT_OTHER };
	g_autoptr(GPtrArray) untrusted = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	g_autoptr(GPtrArray) roots = NULL;

	if (!gather(db, cert, along, anchors, &roots, untrusted, error))
		return FALSE;
	struct chain_options options = {
		.anchors = roots,
		.untrusted = untrusted,
		.at = MAX(now, cert_not_before(cert)),
		.purpose = CHAIN_PURPOSE_ANY,
		.revocation = CHAIN_REVOCATION_OFF,
	};
	CLEANUP(chain_report) struct chain_report *report = chain_check(cert, &options, error);
	if (report == NULL)
		return FALSE;
	for (gsize i = 0; i < G_N_ELEMENTS(faults); i++) {
		if (report->faults[faults[i]] == NULL)
			continue;
		g_autofree char *sentence = chain_fault_sentence(report, faults[i]);
		return fail_false(error, PS_ERROR_INVALID, "%s", sentence);
	}
	return TRUE;
}
