/*
 * published - our CA certificates in the forms that they are handed out in.
 */
#include "pki/published.h"

#include <string.h>

#include "pki/ca_internal.h"
#include "pki/crypto/bundle.h"
#include "pki/crypto/cert.h"
#include "store/base/clock.h"
#include "store/ocsp_answers.h"

#define CHAIN_MAX 8

static void
published_ca_free(gpointer data)
{
	struct published_ca *ca = data;

	cert_unref(ca->cert);
	g_ptr_array_unref(ca->chain);
	g_free(ca);
}

static struct cert *
issuer_of(const GPtrArray *cas, const struct cert *cert)
{
	for (guint i = 0; i < cas->len; i++) {
		const struct published_ca *ca = g_ptr_array_index(cas, i);

		if (!cert_equal(ca->cert, cert) && cert_is_issued_by(cert, ca->cert))
			return ca->cert;
	}
	return NULL;
}

static void
complete_chain(const GPtrArray *cas, struct published_ca *ca)
{
	struct cert *at = ca->cert;

	while (at != NULL && ca->chain->len < CHAIN_MAX && !cert_is_among(at, ca->chain)) {
		g_ptr_array_add(ca->chain, cert_ref(at));
		at = cert_is_self_signed(at) ? NULL : issuer_of(cas, at);
	}
}

GPtrArray *
published_cas(struct db *db, GError **error)
{
	g_autoptr(GPtrArray) rows = ocsp_issuers_list(db, error);
	g_autoptr(GPtrArray) cas = g_ptr_array_new_with_free_func(published_ca_free);

	if (rows == NULL)
		return NULL;
	for (gint roots = 0; roots < 2; roots++)
		for (guint i = 0; i < rows->len; i++) {
			const struct ocsp_issuer_row *row = g_ptr_array_index(rows, i);
			if ((row->root != NULL) != (roots == 1))
				continue;
			struct cert *cert = cert_parse(row->der, error);
			if (cert == NULL)
				return NULL;
			struct published_ca *ca = g_new0(struct published_ca, 1);
			ca->cert = cert;
			ca->key_id = ca_key_id(cert);
			ca->is_root = roots == 1;
			ca->revoked_at = row->revoked_at;
			ca->chain = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
			g_ptr_array_add(cas, ca);
		}
	for (guint i = 0; i < cas->len; i++)
		complete_chain(cas, g_ptr_array_index(cas, i));
	return g_steal_pointer(&cas);
}

const struct published_ca *
published_cas_find(const GPtrArray *cas, const char *key_id)
{
	const struct published_ca *found = NULL;

	for (guint i = 0; i < cas->len; i++) {
		const struct published_ca *ca = g_ptr_array_index(cas, i);

		if (strcmp(ca->key_id, key_id) == 0 &&
		    (found == NULL || cert_not_after(ca->cert) > cert_not_after(found->cert)))
			found = ca;
	}
	return found;
}

GBytes *
published_ca_write(const struct published_ca *ca, enum published_form form, GError **error)
{
	g_autoptr(GPtrArray) one = g_ptr_array_new();

	switch (form) {
	case PUBLISHED_DER:
		return g_bytes_ref(cert_der(ca->cert));
	case PUBLISHED_PEM:
		g_ptr_array_add(one, ca->cert);
		return bundle_write_pem(one, error);
	case PUBLISHED_PKCS7:
		break;
	}
	return bundle_write_pkcs7(ca->chain, FALSE, error);
}
