/*
 * foreign - one look at a signed message; see foreign.h.
 */
#include "milter/foreign.h"

#include "milter/gateway.h"
#include "milter/policy/inbound_trust.h"
#include "pki/crypto/cert.h"
#include "pki/trust.h"
#include "store/preferences.h"

struct reading *
foreign_reading(struct gateway *gateway, const struct mime_tree *tree, GError **error)
{
	CLEANUP(preference_set)
	struct preference_set *set = preferences_resolve(gateway->preferences, NULL, error);
	struct inbound_trust trust = { .gateway = gateway };
	struct reading_options options;

	if (set == NULL)
		return NULL;
	trust.mode = trust_mode_of(set, TRUST_VERIFY);
	options = inbound_trust_options(&trust, NULL);
	return reading_message(tree->root->headers, tree->spool, tree->root->body_start,
			       tree->root->end, &options, error);
}

enum able
foreign_signature(struct gateway *gateway, const struct mime_tree *tree,
		  const struct mailaddr *author)
{
	CLEANUP(reading) struct reading *reading = foreign_reading(gateway, tree, NULL);

	if (reading == NULL || reading->unknown)
		return ABLE_UNKNOWN;
	return reading->verdict == MAIL_VALID && mailaddr_equal(reading->author, author) ? ABLE_YES
											 : ABLE_NO;
}

static gboolean
is_valid(struct gateway *gateway, struct cert *cert, GPtrArray *hints)
{
	CLEANUP(verdict)
	struct verdict *verdict = trust_judge_at(gateway->trust, cert, TRUST_ANY, hints, 0, NULL);

	return verdict != NULL && verdict->state == VERDICT_VALID;
}

GPtrArray *
foreign_certs(struct gateway *gateway, const struct reading *reading)
{
	g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	g_autoptr(GPtrArray) hints = NULL;

	if (reading->verdict != MAIL_VALID)
		return NULL;
	hints = inbound_trust_hints(gateway, reading->certs);
	for (guint i = 0; i < hints->len && found->len < FOREIGN_CERTS_MAX; i++) {
		struct cert *cert = hints->pdata[i];

		if (!cert_is_ca(cert) && cert_has_email(cert, reading->author) &&
		    is_valid(gateway, cert, hints))
			g_ptr_array_add(found, cert_ref(cert));
	}
	return g_steal_pointer(&found);
}
