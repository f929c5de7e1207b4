/*
 * ca_profile - the table of certificate profiles and what follows from its rows.
 */
#include "pki/ca_profile.h"

#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/key.h"
#include "store/base/error.h"
#include "store/base/nearest.h"
#include "store/base/printable.h"

#define EMAIL "1.3.6.1.5.5.7.3.4"
#define SERVER "1.3.6.1.5.5.7.3.1"
#define CLIENT "1.3.6.1.5.5.7.3.2"
#define OCSP_SIGNING "1.3.6.1.5.5.7.3.9"

static const char *const email_usage[] = { EMAIL, NULL };
static const char *const server_usage[] = { SERVER, NULL };
static const char *const client_usage[] = { CLIENT, NULL };
static const char *const ocsp_usage[] = { OCSP_SIGNING, NULL };

/* The maximum is 825 days (S/MIME BR 6.3.2), and never reached exactly. */
#define SMIME_DAYS 824
#define SMIME(stem, kind, number, sentence)                                                        \
	{ stem "-multipurpose",        kind,        TRUE,       FALSE,                             \
	  "2.23.140.1.5." number ".2", email_usage, SMIME_DAYS, sentence },                        \
	{                                                                                          \
		stem "-strict", kind, TRUE, TRUE, "2.23.140.1.5." number ".3", email_usage,        \
		    SMIME_DAYS, sentence                                                           \
	}

static const struct ca_profile profiles[] = {
	SMIME("mailbox", CA_KIND_MAILBOX, "1", "S/MIME for an address, and nothing else in it"),
	SMIME("individual", CA_KIND_INDIVIDUAL, "4", "S/MIME for a person"),
	SMIME("sponsor", CA_KIND_SPONSOR, "3", "S/MIME for a person of an organisation"),
	SMIME("organisation", CA_KIND_ORGANISATION, "2", "S/MIME for an organisation's mailbox"),
	{ "tls-server", CA_KIND_TLS_SERVER, FALSE, FALSE, "2.23.140.1.2.1", server_usage, 397,
	  "TLS servers, for host names" },
	{ "tls-client", CA_KIND_TLS_CLIENT, FALSE, FALSE, NULL, client_usage, 824,
	  "TLS clients: log-in with a certificate" },
	{ "ocsp", CA_KIND_OCSP, FALSE, FALSE, NULL, ocsp_usage, 90,
	  "signs OCSP answers for its CA" },
};

static const char *const stems[] = { "smime", "mailbox", "individual", "sponsor", "organisation" };

const struct ca_profile *
ca_profiles(gsize *n)
{
	*n = G_N_ELEMENTS(profiles);
	return profiles;
}

const struct ca_profile *
ca_profile_named(const char *name)
{
	for (gsize i = 0; i < G_N_ELEMENTS(profiles); i++)
		if (strcmp(profiles[i].name, name) == 0)
			return &profiles[i];
	return NULL;
}

const struct ca_profile *
ca_profile_of(enum ca_kind kind, gboolean strict)
{
	for (gsize i = 0; i < G_N_ELEMENTS(profiles); i++)
		if (profiles[i].kind == kind &&
		    (!profiles[i].smime || profiles[i].strict == strict))
			return &profiles[i];
	return NULL;
}

gboolean
ca_profile_check(const char *name, GError **error)
{
	struct nearest nearest = nearest_start(name);

	for (gsize i = 0; i < G_N_ELEMENTS(stems); i++) {
		if (strcmp(stems[i], name) == 0)
			return TRUE;
		nearest_offer(&nearest, stems[i]);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(profiles); i++) {
		if (strcmp(profiles[i].name, name) == 0)
			return TRUE;
		nearest_offer(&nearest, profiles[i].name);
	}
	const char *found = nearest_found(&nearest);
	g_autofree char *shown = printable(name);
	return fail_false(
	    error, PS_ERROR_INVALID,
	    "unknown certificate profile '%.40s'%s%s%s: smime, mailbox, individual, "
	    "sponsor or organisation (each with -multipurpose or -strict), tls-server, "
	    "tls-client",
	    shown, found != NULL ? ", did you mean '" : "", found != NULL ? found : "",
	    found != NULL ? "'?" : "");
}

gboolean
ca_key_use_parse(const char *text, enum ca_key_use *use, GError **error)
{
	static const char *const names[] = { "dual", "sign", "encrypt" };

	*use = CA_KEY_USE_DUAL;
	if (text == NULL || *text == '\0')
		return TRUE;
	for (guint i = 0; i < G_N_ELEMENTS(names); i++)
		if (strcmp(names[i], text) == 0) {
			*use = (enum ca_key_use)i;
			return TRUE;
		}
	g_autofree char *shown = printable(text);
	return fail_false(error, PS_ERROR_INVALID,
			  "'%.40s' is no use of a key: dual, sign or encrypt", shown);
}

/* S/MIME BR 7.1.2.3 e: an EC key agrees on keys, it never enciphers one. */
static unsigned int
smime_usage(enum key_kind key, enum ca_key_use use)
{
	unsigned int manage =
	    key == KEY_KIND_RSA ? KEY_USAGE_KEY_ENCIPHERMENT : KEY_USAGE_KEY_AGREEMENT;

	switch (use) {
	case CA_KEY_USE_DUAL:
		return KEY_USAGE_DIGITAL_SIGNATURE | manage;
	case CA_KEY_USE_SIGN:
		return KEY_USAGE_DIGITAL_SIGNATURE;
	case CA_KEY_USE_ENCRYPT:
		return manage;
	}
	return 0;
}

unsigned int
ca_key_usage(const struct ca_profile *profile, enum key_kind key, enum ca_key_use use,
	     GError **error)
{
	if (profile->smime)
		return smime_usage(key, use);
	if (use == CA_KEY_USE_ENCRYPT) {
		fail_false(error, PS_ERROR_INVALID,
			   "profile %s is for keys that sign: one that only encrypts is of no use",
			   profile->name);
		return 0;
	}
	/* RSA key exchange is gone with TLS 1.3, but old servers and their clients still do it. */
	if (profile->kind == CA_KIND_TLS_SERVER && key == KEY_KIND_RSA && use == CA_KEY_USE_DUAL)
		return KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_KEY_ENCIPHERMENT;
	return KEY_USAGE_DIGITAL_SIGNATURE;
}

gboolean
ca_profile_fits(const struct ca_profile *profile, const struct cert *issuer)
{
	/* RFC 6960 4.2.2.2: a responder's purpose is given by its CA directly. */
	if (profile->kind == CA_KIND_OCSP)
		return TRUE;
	return cert_allows_purpose(issuer, profile->usages[0]);
}

/* The most that the TLS Baseline Requirements allow from that day on (6.3.2), less one day. */
static gint64
tls_days_max(gint64 now)
{
	static const struct {
		gint64 from; /* 15 March of 2026, 2027, 2029 */
		gint64 days;
	} steps[] = { { 1773532800, 199 }, { 1805068800, 99 }, { 1868227200, 46 } };
	gint64 days = 397;

	for (gsize i = 0; i < G_N_ELEMENTS(steps); i++)
		if (now >= steps[i].from)
			days = steps[i].days;
	return days;
}

gint64
ca_profile_days_max(const struct ca_profile *profile, gint64 now)
{
	return profile->kind == CA_KIND_TLS_SERVER ? tls_days_max(now) : profile->days_max;
}

gint64
ca_profile_days(const char *name, gint64 default_days, gint64 now)
{
	const struct ca_profile *profile = name != NULL ? ca_profile_named(name) : NULL;

	/* The default is for S/MIME, and whoever set it long was told. */
	if (profile == NULL || profile->smime)
		return default_days;
	return MIN(default_days, ca_profile_days_max(profile, now));
}
