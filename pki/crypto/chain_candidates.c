/*
 * Which certificates of some pools may stand above one, before OpenSSL is asked for a path.
 */
#include "pki/crypto/chain.h"

#include <string.h>

#include "pki/crypto/internal.h"

/* Adds those of the pools named as the issuer of child: the ones whose key verifies it, or,
 * where none does, all of them, so that the report can say whose signature does not fit. */
static void
add_issuers(GPtrArray *found, const struct cert *child, GPtrArray *const *pools, gsize count)
{
	g_autoptr(GPtrArray) named = g_ptr_array_new();
	gboolean verified = FALSE;

	for (gsize k = 0; k < count; k++)
		for (guint i = 0; pools[k] != NULL && i < pools[k]->len; i++)
			if (strcmp(cert_subject_key(pools[k]->pdata[i]), cert_issuer_key(child)) ==
			    0)
				g_ptr_array_add(named, pools[k]->pdata[i]);
	for (guint i = 0; i < named->len && found->len < CHAIN_CANDIDATES_MAX; i++)
		if (cert_is_issued_by(child, named->pdata[i])) {
			verified = TRUE;
			if (!cert_is_among(named->pdata[i], found))
				g_ptr_array_add(found, cert_ref(named->pdata[i]));
		}
	for (guint i = 0; !verified && i < named->len && found->len < CHAIN_CANDIDATES_MAX; i++)
		if (!cert_is_among(named->pdata[i], found))
			g_ptr_array_add(found, cert_ref(named->pdata[i]));
}

GPtrArray *
chain_candidates(const struct cert *cert, GPtrArray *const *pools, gsize count)
{
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);

	add_issuers(found, cert, pools, count);
	for (guint i = 0; i < found->len; i++)
		add_issuers(found, found->pdata[i], pools, count);
	return found;
}

void
certs_inherit_parameters(GPtrArray *certs, GPtrArray *anchors)
{
	GPtrArray *pools[] = { certs, anchors };
	gboolean changed = TRUE;

	for (int round = 0; changed && round < CHAIN_DEPTH_MAX; round++) {
		changed = FALSE;
		for (guint i = 0; i < certs->len; i++)
			for (gsize k = 0; k < G_N_ELEMENTS(pools); k++)
				for (guint n = 0; pools[k] != NULL && n < pools[k]->len &&
						  cert_lacks_parameters(certs->pdata[i]);
				     n++) {
					struct cert *complete = cert_inherit_parameters(
					    certs->pdata[i], pools[k]->pdata[n]);

					if (complete == NULL)
						continue;
					cert_unref(certs->pdata[i]);
					certs->pdata[i] = complete;
					changed = TRUE;
				}
	}
}
