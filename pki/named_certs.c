/*
 * named_certs - see named_certs.h.
 */
#include "pki/named_certs.h"

#include "pki/crypto/cert.h"
#include "store/certs.h"

static GPtrArray *
find_rows(struct db *db, const struct cms_signer_id *id, GError **error)
{
	g_autofree char *issuer = cms_signer_id_issuer_key(id);
	g_autofree char *ski = NULL;

	if (issuer != NULL && id->serial_hex != NULL)
		return certs_by_issuer_serial(db, issuer, id->serial_hex, error);
	ski = cms_signer_id_key_hex(id);
	return ski != NULL ? certs_by_ski(db, ski, error) : g_ptr_array_new();
}

GPtrArray *
named_certs(struct db *db, const struct cms_signer_id *id, GError **error)
{
	g_autoptr(GPtrArray) rows = find_rows(db, id, error);
	GPtrArray *found;

	if (rows == NULL)
		return NULL;
	found = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	for (guint i = 0; i < rows->len; i++) {
		const struct cert_row *row = rows->pdata[i];
		struct cert *cert = row->der != NULL ? cert_parse(row->der, NULL) : NULL;

		if (cert != NULL && cms_signer_id_matches(id, cert))
			g_ptr_array_add(found, cert);
		else
			cert_unref(cert);
	}
	return found;
}
