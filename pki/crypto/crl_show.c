/*
 * crl_show - names of reasons, and what is shown of a revocation list.
 */
#include "pki/crypto/crl_internal.h"

#include "store/base/clock.h"

static const struct {
	enum crl_reason reason;
	const char *name;
} reasons[] = {
	{ REVOCATION_UNSPECIFIED, "unspecified" },
	{ REVOCATION_KEY_COMPROMISE, "keyCompromise" },
	{ REVOCATION_CA_COMPROMISE, "cACompromise" },
	{ REVOCATION_AFFILIATION_CHANGED, "affiliationChanged" },
	{ REVOCATION_SUPERSEDED, "superseded" },
	{ REVOCATION_CESSATION_OF_OPERATION, "cessationOfOperation" },
	{ REVOCATION_CERTIFICATE_HOLD, "certificateHold" },
	{ REVOCATION_REMOVE_FROM_CRL, "removeFromCRL" },
	{ REVOCATION_PRIVILEGE_WITHDRAWN, "privilegeWithdrawn" },
	{ REVOCATION_AA_COMPROMISE, "aACompromise" },
};

const char *
crl_reason_name(enum crl_reason reason)
{
	for (gsize i = 0; i < G_N_ELEMENTS(reasons); i++)
		if (reasons[i].reason == reason)
			return reasons[i].name;
	return "unspecified";
}

gboolean
crl_reason_by_name(const char *name, enum crl_reason *reason)
{
	for (gsize i = 0; i < G_N_ELEMENTS(reasons); i++)
		if (g_ascii_strcasecmp(reasons[i].name, name) == 0) {
			*reason = reasons[i].reason;
			return TRUE;
		}
	return FALSE;
}

static const struct {
	enum crl_scope bit;
	const char *name;
} scopes[] = {
	{ CRL_SCOPE_ONLY_USER, "end user certificates only" },
	{ CRL_SCOPE_ONLY_CA, "CA certificates only" },
	{ CRL_SCOPE_ONLY_ATTRIBUTE, "attribute certificates only" },
	{ CRL_SCOPE_INDIRECT, "indirect" },
	{ CRL_SCOPE_SOME_REASONS, "some reasons only" },
	{ CRL_SCOPE_DELTA, "delta" },
};

char *
crl_scope_text(const struct crl *crl)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (gsize i = 0; i < G_N_ELEMENTS(scopes); i++)
		if ((crl->scope & scopes[i].bit) != 0)
			g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "",
					       scopes[i].name);
	for (guint i = 0; i + 1 < crl->points->len && text->len < 2000; i++) {
		const char *point = crl->points->pdata[i];

		/* A directory name is kept as a digest, which says nothing to anybody. */
		if (!g_str_has_prefix(point, "DN:"))
			g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "", point);
		else if (i == 0)
			g_string_append_printf(text, "%sa part of its own",
					       text->len > 0 ? ", " : "");
	}
	return g_strdup(text->str);
}

GPtrArray *
crl_facts(const struct crl *crl)
{
	GPtrArray *facts = g_ptr_array_new_with_free_func((GDestroyNotify)fact_free);
	g_autofree char *this_update = clock_format(crl->this_update);
	g_autofree char *next_update =
	    crl->next_update == CLOCK_NEVER ? g_strdup("none") : clock_format(crl->next_update);
	g_autofree char *entries = g_strdup_printf("%zu", crl->count);

	fact_add(facts, "issuer", crl->issuer);
	fact_add(facts, "number", crl->number);
	fact_add(facts, "delta-base", crl->base_number);
	fact_add(facts, "this-update", this_update);
	fact_add(facts, "next-update", next_update);
	fact_add(facts, "entries", entries);
	for (gsize i = 0; i < G_N_ELEMENTS(scopes); i++)
		if ((crl->scope & scopes[i].bit) != 0)
			fact_add_many(facts, "scope", scopes[i].name);
	for (guint i = 0; i + 1 < crl->points->len; i++)
		fact_add_many(facts, "distribution-point", crl->points->pdata[i]);
	fact_add(facts, "authority-key-id", crl->aki);
	fact_add(facts, "signature-algorithm", algorithm_name(crl->signature_algorithm));
	if (crl->unknown_critical)
		fact_add(facts, "warning", "has a critical extension that is not known");
	fact_add(facts, "thumbprint", crl_thumbprint(crl));
	return facts;
}
