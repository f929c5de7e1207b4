/*
 * Which certificates of some pools stand above one.
 */
#include "pki/crypto/chain.h"

#include "pki/crypto/cert_rules.h"
#include "pki/crypto/internal.h"

static void
add_issuers(GPtrArray *found, const struct cert *child, GPtrArray *const *pools, gsize count,
	    guint *effort)
{
	for (gsize k = 0; k < count; k++)
		for (guint i = 0; pools[k] != NULL && i < pools[k]->len; i++) {
			struct cert *issuer = pools[k]->pdata[i];

			if (found->len >= CHAIN_CANDIDATES_MAX || *effort > CHAIN_EFFORT_MAX)
				return;
			if (cert_is_signed_by(child, issuer, effort) &&
			    !cert_is_among(issuer, found))
				g_ptr_array_add(found, cert_ref(issuer));
		}
}

GPtrArray *
chain_candidates(const struct cert *cert, GPtrArray *const *pools, gsize count)
{
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	guint effort = 0;

	add_issuers(found, cert, pools, count, &effort);
	for (guint i = 0; i < found->len; i++)
		add_issuers(found, found->pdata[i], pools, count, &effort);
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

void
chain_complete_keys(GPtrArray *certs, GPtrArray *above, GPtrArray *anchors)
{
	g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	gboolean lacking = FALSE;

	for (guint i = 0; i < certs->len; i++) {
		lacking |= cert_lacks_parameters(certs->pdata[i]);
		g_ptr_array_add(all, cert_ref(certs->pdata[i]));
	}
	if (!lacking)
		return;
	for (guint i = 0; i < above->len; i++)
		g_ptr_array_add(all, cert_ref(above->pdata[i]));
	certs_inherit_parameters(all, anchors);
	for (guint i = 0; i < certs->len; i++) {
		cert_unref(certs->pdata[i]);
		certs->pdata[i] = cert_ref(all->pdata[i]);
	}
}
