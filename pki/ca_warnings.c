/*
 * ca_warnings - where settings, options and certificates of a CA leave the Baseline Requirements.
 */
#include <string.h>

#include "pki/ca.h"
#include "pki/ca_internal.h"
#include "pki/crypto/cert.h"
#include "store/base/clock.h"
#include "store/ca_issuing.h"

#define SMIME_DAYS_MAX 824
#define CRL_DAYS_MAX 10
#define SOON_DAYS 90

void
ca_settings_warnings(const struct ca_context *context, const struct ca_defaults *defaults,
		     GPtrArray *warnings)
{
	gboolean public_url = context->public_url != NULL && *context->public_url != '\0';

	if (!public_url && *defaults->crl_url == '\0')
		ca_warn(warnings, "S/MIME BR 7.1.2.3 b: certificates get no CRL distribution point "
				  "while neither public_url nor 'ca config crl_url' is set");
	else if (!defaults->add_crl_url)
		ca_warn(warnings, "S/MIME BR 7.1.2.3 b: certificates get no CRL distribution point "
				  "while add_crl_url is off");
	if (!public_url && *defaults->aia_url == '\0')
		ca_warn(warnings, "S/MIME BR 7.1.2.3 c: certificates do not say where the CA's is "
				  "(aia_url), which they should");
	if (defaults->validity_days > SMIME_DAYS_MAX)
		ca_warn(warnings,
			"S/MIME BR 6.3.2: validity_days %" G_GINT64_FORMAT
			" is more than is allowed, at most %d are good",
			defaults->validity_days, SMIME_DAYS_MAX);
	if (defaults->crl_days > CRL_DAYS_MAX)
		ca_warn(warnings,
			"S/MIME BR 4.9.7: crl_days %" G_GINT64_FORMAT
			" is more than is allowed for lists of users, at most %d",
			defaults->crl_days, CRL_DAYS_MAX);
	if (*defaults->organisation != '\0' && *defaults->organisation_id == '\0')
		ca_warn(warnings, "S/MIME BR 7.1.4.2.2 d: certificates that name the organisation "
				  "need its registration: ca config organisation_id");
}

static void
cert_warnings(const struct cert *cert, gint64 now, GPtrArray *warnings)
{
	const char *subject = cert_subject(cert);

	if (strstr(subject, "C=XX") != NULL)
		ca_warn(warnings, "S/MIME BR 7.1.4.3.1 c: '%s' names no real country", subject);
	if (strstr(subject, "O=") == NULL)
		ca_warn(warnings, "S/MIME BR 7.1.4.3.1 b: '%s' names no organisation", subject);
	if (!cert_is_self_signed(cert) && cert_crl_urls(cert)[0] == NULL)
		ca_warn(warnings, "S/MIME BR 7.1.2.2 b: '%s' has no CRL distribution point",
			subject);
	if (cert_not_after(cert) < now)
		ca_warn(warnings, "'%s' has ended: make a new CA", subject);
	else if (cert_not_after(cert) < now + SOON_DAYS * (gint64)86400)
		ca_warn(warnings, "'%s' ends in %" G_GINT64_FORMAT " days: make a new CA", subject,
			(cert_not_after(cert) - now) / 86400);
}

static void
extension_warnings(const GPtrArray *extensions, GPtrArray *warnings)
{
	static const struct {
		const char *name, *rule;
	} rules[] = {
		{ "certificatePolicies", "S/MIME BR 7.1.2.3 a" },
		{ "crlDistributionPoints", "S/MIME BR 7.1.2.3 b" },
		{ "authorityInfoAccess", "S/MIME BR 7.1.2.3 c" },
		{ "nameConstraints", "RFC 5280 4.2.1.10" },
		{ "policyConstraints", "RFC 5280 4.2.1.11" },
		{ "inhibitAnyPolicy", "RFC 5280 4.2.1.14" },
	};

	for (guint i = 0; i < extensions->len; i++) {
		const struct ca_extension_row *row = g_ptr_array_index(extensions, i);
		for (gsize k = 0; k < G_N_ELEMENTS(rules); k++)
			if (strcmp(rules[k].name, row->name) == 0)
				ca_warn(warnings,
					"%s: extension %s of your own takes the place of what the "
					"rules want there%s%s",
					rules[k].rule, row->name,
					*row->profile != '\0' ? ", in profile " : "", row->profile);
	}
}

GPtrArray *
ca_warnings(const struct ca_context *context, const struct ca_row *ca, GError **error)
{
	g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
	CLEANUP(ca_defaults) struct ca_defaults *defaults = ca_defaults_load(context->db, error);

	if (defaults == NULL)
		return NULL;
	ca_settings_warnings(context, defaults, warnings);
	if (ca->revoked)
		ca_warn(warnings, "CA '%s' is revoked and issues nothing any more", ca->name);
	g_autoptr(GPtrArray) chain = ca_chain(context->db, ca, error);
	g_autoptr(GPtrArray) extensions =
	    chain != NULL ? ca_extensions_list(context->db, ca->id, error) : NULL;
	if (extensions == NULL)
		return NULL;
	for (guint i = 0; i < chain->len; i++)
		cert_warnings(g_ptr_array_index(chain, i), clock_now(context->clock), warnings);
	extension_warnings(extensions, warnings);
	return g_steal_pointer(&warnings);
}
