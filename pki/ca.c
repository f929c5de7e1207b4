/*
 * ca - issuing, revoking, and what CAs have in common; making a CA is in ca_create.c.
 */
#include "pki/ca.h"

#include <string.h>

#include "pki/ca_internal.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/csr.h"
#include "pki/crypto/issue.h"
#include "pki/crypto/key.h"
#include "pki/import.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/mailaddr.h"
#include "store/base/nearest.h"
#include "store/base/printable.h"
#include "store/certs.h"
#include "store/db/tx.h"
#include "store/roots.h"

#define DAYS_MAX 3653

/* Certificate profiles (C15): what goes into which kind of certificate. */
static const struct ca_profile {
	const char *name;
	unsigned int rsa_usage, ec_usage;
	const char *const *extended_usages;
} profiles[] = {
	{ "smime", KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_KEY_ENCIPHERMENT,
	  KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_KEY_AGREEMENT,
	  (const char *const[]){ "1.3.6.1.5.5.7.3.4", NULL } },
};

static const struct ca_profile *
profile_find(const char *name, GError **error)
{
	for (gsize i = 0; i < G_N_ELEMENTS(profiles); i++)
		if (name == NULL || strcmp(profiles[i].name, name) == 0)
			return &profiles[i];
	return fail(error, PS_ERROR_INVALID, "unknown certificate profile '%.40s': smime", name);
}

gboolean
ca_digest_parse(const char *name, enum algorithm *hash, GError **error)
{
	*hash = name != NULL ? algorithm_by_name(name) : ALGORITHM_SHA256;
	if (*hash == ALGORITHM_SHA256 || *hash == ALGORITHM_SHA384 || *hash == ALGORITHM_SHA512)
		return TRUE;
	return fail_false(error, PS_ERROR_INVALID,
			  "'%.40s' is no digest that a CA signs with: sha256, sha384 or sha512",
			  name);
}

char *
ca_serial_normalise(const char *text, GError **error)
{
	g_autoptr(GString) hex = g_string_new(NULL);
	const char *p = text + strspn(text, " \t");
	gboolean good = TRUE;

	if (g_ascii_strncasecmp(p, "0x", 2) == 0)
		p += 2;
	for (; *p != '\0' && good; p++) {
		if (g_ascii_isxdigit(*p))
			g_string_append_c(hex, g_ascii_tolower(*p));
		else
			good = strchr(" :-\t", *p) != NULL;
	}
	gsize zeros = strspn(hex->str, "0");
	if (!good || hex->len == 0 || hex->len - zeros > 40 || zeros == hex->len) {
		g_autofree char *shown = printable(text);
		return fail(error, PS_ERROR_INVALID,
			    "'%s' is not a serial number: hex digits, also with colons", shown);
	}
	g_string_erase(hex, 0, (gssize)zeros);
	return g_string_free(g_steal_pointer(&hex), FALSE);
}

/* "http://host/%s.crl" with the key identifier in it. */
char *
ca_url(const char *template, const struct cert *issuer)
{
	const char *mark = strstr(template, "%s");

	if (mark == NULL)
		return g_strdup(template);
	g_autofree char *head = g_strndup(template, (gsize)(mark - template));
	const char *id = cert_ski(issuer) != NULL ? cert_ski(issuer) : cert_sha1(issuer);
	return g_strconcat(head, id, mark + 2, NULL);
}

struct cert *
ca_load_cert(struct db *db, const char *thumbprint, GError **error)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(cert_row) struct cert_row *row = certs_find(db, thumbprint, &why);

	if (row != NULL)
		return cert_parse(row->der, error);
	if (!g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&why));
		return NULL;
	}
	CLEANUP(root_row) struct root_row *root = roots_find(db, thumbprint, NULL);
	if (root != NULL)
		return cert_parse(root->der, error);
	return fail(error, PS_ERROR_NOT_FOUND,
		    "the CA's certificate %.16s is no longer in the store; import it again",
		    thumbprint);
}

/* The CA with its certificate; a CA that waits for an external root issues nothing. */
static struct ca_row *
ca_ready(struct db *db, struct tx *tx, const char *name, struct cert **cert, GError **error)
{
	CLEANUP(ca_row) struct ca_row *ca = cas_find_in_tx(tx, name, error);

	if (ca == NULL)
		return NULL;
	if (ca->thumbprint == NULL)
		return fail(error, PS_ERROR_DENIED,
			    "CA '%s' waits for its certificate from the external root", ca->name);
	*cert = ca_load_cert(db, ca->thumbprint, error);
	return *cert != NULL ? g_steal_pointer(&ca) : NULL;
}

static gboolean
key_acceptable(const struct csr *csr, GError **error)
{
	enum key_kind kind = csr_key_kind(csr);

	if (kind != KEY_KIND_RSA && kind != KEY_KIND_EC)
		return fail_false(error, PS_ERROR_INVALID,
				  "%s keys cannot be used for S/MIME here: use RSA or EC",
				  csr_key_text(csr));
	if (!key_strength_allowed(kind, csr_key_bits(csr)))
		return fail_false(error, PS_ERROR_INVALID,
				  "%s is too short: RSA 2048, 3072, 4096 or EC P-256, P-384",
				  csr_key_text(csr));
	return TRUE;
}

/*
 * The reserved policy says what the names were taken from (S/MIME BR 7.1.6.1, multipurpose):
 * nothing but the address, a person, or a person of an organisation.
 */
static const char *
policy_of(const struct ca_defaults *defaults, const struct issue_names *names, const char *email)
{
	if (*defaults->policy != '\0')
		return defaults->policy;
	if (names->organisation != NULL)
		return "2.23.140.1.5.3.2";
	if (names->given_name != NULL || names->surname != NULL ||
	    g_ascii_strcasecmp(names->common_name, email) != 0)
		return "2.23.140.1.5.4.2";
	return "2.23.140.1.5.1.2";
}

static const char *
text_or_null(const char *text)
{
	return text != NULL && *text != '\0' ? text : NULL;
}

static gboolean
set_dates(struct issue_spec *spec, const struct cert *issuer, const struct ca_defaults *defaults,
	  gint64 days, gint64 now, GError **error)
{
	if (days == 0)
		days = defaults->validity_days;
	if (days < 1 || days > DAYS_MAX)
		return fail_false(error, PS_ERROR_INVALID,
				  "a validity of %" G_GINT64_FORMAT " days cannot be: 1 to %d",
				  days, DAYS_MAX);
	/* A day is 86,400 s and notAfter belongs to it (S/MIME BR 6.3.2), so the validity is exact.
	 */
	spec->not_before = MAX(now - defaults->backdate_seconds, cert_not_before(issuer));
	spec->not_after = spec->not_before + days * 86400 - 1;
	if (spec->not_after > cert_not_after(issuer)) {
		g_autofree char *end = clock_format(cert_not_after(issuer));
		return fail_false(
		    error, PS_ERROR_INVALID,
		    "the CA's own certificate ends on %s: ask for at most %" G_GINT64_FORMAT
		    " days, or make a new CA",
		    end, MAX((cert_not_after(issuer) - now) / 86400, 0));
	}
	return TRUE;
}

static gboolean
store_issued(struct tx *tx, const struct cert *cert, const struct ca_row *ca, gint64 request_id,
	     gint64 now, GError **error)
{
	CLEANUP(cert_row) struct cert_row *row = cert_row_from(cert);
	gboolean is_new;

	g_free(row->origin);
	row->origin = g_strdup("handler");
	row->origin_detail = g_strdup_printf("builtin: %s", ca->name);
	row->request_id = request_id;
	row->own_ca = g_strdup(ca->thumbprint);
	row->issued = now;
	return certs_insert(tx, row, &is_new, error);
}

struct cert *
ca_issue(struct keyring *keyring, struct db *db, struct clock *clock, GBytes *csr_bytes,
	 const struct ca_subject *subject, const struct ca_issue *options, gint64 request_id,
	 struct tx *tx, GError **error)
{
	const struct ca_profile *profile = profile_find(options->profile, error);
	CLEANUP(cert) struct cert *issuer = NULL;
	enum algorithm hash = ALGORITHM_UNKNOWN;
	gint64 now = clock_now(clock);

	CLEANUP(ca_row)
	struct ca_row *ca = profile != NULL ? ca_ready(db, tx, options->ca, &issuer, error) : NULL;
	CLEANUP(ca_defaults)
	struct ca_defaults *defaults = ca != NULL ? ca_defaults_load(db, error) : NULL;
	CLEANUP(csr) struct csr *csr = defaults != NULL ? csr_parse(csr_bytes, error) : NULL;
	if (csr == NULL || !key_acceptable(csr, error))
		return NULL;
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(subject->email, error);
	if (address == NULL ||
	    (options->digest != NULL && !ca_digest_parse(options->digest, &hash, error)))
		return NULL;
	/* With an EC issuer the digest goes with the curve; a default for RSA does not bind it. */
	if (hash == ALGORITHM_UNKNOWN && cert_key_kind(issuer) == KEY_KIND_RSA &&
	    !ca_digest_parse(defaults->digest, &hash, error))
		return NULL;

	const char *email = mailaddr_key(address);
	g_autofree char *crl_url = ca_url(defaults->crl_url, issuer);
	g_autofree char *aia_url = ca_url(defaults->aia_url, issuer);
	struct issue_spec spec = {
		.names = {
			.common_name = text_or_null(subject->common_name) != NULL
				? subject->common_name : email,
			.organisation = text_or_null(subject->organisation),
			.given_name = text_or_null(subject->first_name),
			.surname = text_or_null(subject->last_name),
			.emails = (const char *const[]){ email, NULL },
		},
		.spki = csr_spki(csr),
		.hash = hash,
		.path_length = -1,
		.key_usage = csr_key_kind(csr) == KEY_KIND_RSA ? profile->rsa_usage
							       : profile->ec_usage,
		.extended_usages = profile->extended_usages,
	};
	const char *policies[] = { policy_of(defaults, &spec.names, email), NULL };
	const char *crl_urls[] = { text_or_null(crl_url), NULL };
	const char *aia_urls[] = { text_or_null(aia_url), NULL };
	spec.policies = policies;
	spec.crl_urls = options->crl_url && crl_urls[0] != NULL ? crl_urls : NULL;
	spec.ca_issuer_urls = aia_urls[0] != NULL ? aia_urls : NULL;
	if (!set_dates(&spec, issuer, defaults, options->days, now, error))
		return NULL;

	CLEANUP(key) struct key *key = keyring_find(keyring, ca->spki_sha256, error);
	if (key == NULL)
		return NULL;
	CLEANUP(cert) struct cert *cert = issue_cert(&spec, issuer, key, error);
	if (cert == NULL || !store_issued(tx, cert, ca, request_id, now, error))
		return NULL;
	return g_steal_pointer(&cert);
}

static gboolean
reason_parse(const char *name, enum crl_reason *reason, GError **error)
{
	*reason = REVOCATION_UNSPECIFIED;
	if (name == NULL || strcmp(name, "unspecified") == 0)
		return TRUE;
	/* removeFromCRL belongs to delta lists, aACompromise to attribute authorities. */
	if (crl_reason_by_name(name, reason) && *reason != REVOCATION_REMOVE_FROM_CRL &&
	    *reason != REVOCATION_AA_COMPROMISE)
		return TRUE;
	return fail_false(error, PS_ERROR_INVALID,
			  "'%.40s' is no reason: keyCompromise, cACompromise, affiliationChanged, "
			  "superseded, cessationOfOperation, certificateHold or privilegeWithdrawn",
			  name);
}

gboolean
ca_revoke(struct db *db, struct clock *clock, const char *ca_name, const char *serial,
	  const char *reason_name, gboolean even_if_unknown, struct tx *tx, GError **error)
{
	g_autofree char *normal = ca_serial_normalise(serial, error);
	enum crl_reason reason;
	gboolean is_new;

	if (normal == NULL || !reason_parse(reason_name, &reason, error))
		return FALSE;
	CLEANUP(ca_row) struct ca_row *ca = cas_find_in_tx(tx, ca_name, error);
	if (ca == NULL)
		return FALSE;
	g_autoptr(GPtrArray) issued = certs_by_issuer_serial(db, ca->issuer_key, normal, error);
	if (issued == NULL)
		return FALSE;
	if (issued->len == 0 && !even_if_unknown)
		return fail_false(error, PS_ERROR_DENIED,
				  "CA '%s' never issued a certificate with serial %s", ca->name,
				  normal);
	struct revocation_row row = {
		.ca_id = ca->id,
		.serial = normal,
		.revoked_at = clock_now(clock),
		.reason = (gint)reason,
	};
	if (!cas_revoke(tx, &row, &is_new, error))
		return FALSE;
	if (!is_new)
		return fail_false(error, PS_ERROR_INVALID,
				  "serial %s of CA '%s' is revoked already", normal, ca->name);
	return TRUE;
}

GPtrArray *
ca_chain(struct db *db, const struct ca_row *ca, GError **error)
{
	g_autoptr(GPtrArray) chain = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	const char *const thumbprints[] = { ca->thumbprint, ca->root_thumbprint };

	for (gsize i = 0; i < G_N_ELEMENTS(thumbprints); i++) {
		if (thumbprints[i] == NULL)
			continue;
		struct cert *cert = ca_load_cert(db, thumbprints[i], error);
		if (cert == NULL)
			return NULL;
		g_ptr_array_add(chain, cert);
	}
	return g_steal_pointer(&chain);
}
