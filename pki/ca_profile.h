/*
 * ca_profile - what goes into which kind of certificate (C15): rows of one table.
 *
 * Names: "mailbox", "individual", "sponsor", "organisation", each with "-multipurpose" or
 * "-strict"; "tls-server", "tls-client", "ocsp". "smime" is the row that fits the names that were
 * given, in the CA's default generation; a name without generation takes that, too.
 * Threads: any. Source: S/MIME BR 7.1.2.3, 7.1.4.2.
 */
#ifndef PKI_CA_PROFILE_H
#define PKI_CA_PROFILE_H

#include <glib.h>

#include "pki/crypto/algorithms.h"

struct cert;

enum ca_kind {
	CA_KIND_MAILBOX,
	CA_KIND_ORGANISATION,
	CA_KIND_SPONSOR,
	CA_KIND_INDIVIDUAL,
	CA_KIND_TLS_SERVER,
	CA_KIND_TLS_CLIENT,
	CA_KIND_OCSP,
};

enum ca_key_use { CA_KEY_USE_DUAL, CA_KEY_USE_SIGN, CA_KEY_USE_ENCRYPT };

struct ca_profile {
	const char *name;
	enum ca_kind kind;
	gboolean smime, strict;
	const char *policy;        /* the reserved one, or NULL */
	const char *const *usages; /* extended key usages, OIDs */
	gint64 days_max;
	const char *sentence;
};

const struct ca_profile *ca_profiles(gsize *n);
const struct ca_profile *ca_profile_named(const char *name); /* by its full name; NULL */
const struct ca_profile *ca_profile_of(enum ca_kind kind, gboolean strict);
/* A full name, one without generation, or "smime"; INVALID offers the nearest. */
gboolean ca_profile_check(const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ca_key_use_parse(const char *text, enum ca_key_use *use,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The mask of enum key_usage; 0 with INVALID: this key cannot do that. */
unsigned int ca_key_usage(const struct ca_profile *profile, enum key_kind key, enum ca_key_use use,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The longest validity that the rules allow, less one day; for TLS it shrinks with the years. */
gint64 ca_profile_days_max(const struct ca_profile *profile, gint64 now);
/* What a request without a word gets: the default, or what a named profile may at most. */
gint64 ca_profile_days(const char *name, gint64 default_days, gint64 now);
/* Does the CA's certificate (its extended key usages) allow this? */
gboolean ca_profile_fits(const struct ca_profile *profile, const struct cert *issuer);

#endif
