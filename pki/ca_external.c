/*
 * ca_external - an intermediate under somebody else's root: request out, certificate in (C1).
 */
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
#include "store/certs.h"
#include "store/db/tx.h"
#include "store/roots.h"

#define DEFAULT_KEY "rsa:3072"

static char *
external_name(const struct ca_create *options, gint64 now, guint number)
{
	const char *name = options->intermediate.common_name;
	g_autofree char *date = clock_format(now);

	if (name != NULL && *name != '\0')
		return g_strdup(name);
	return g_strdup_printf("Postseal Mail CA %.10s-%u", date, number);
}

static const char *
some(const char *a, const char *b)
{
	if (a != NULL && *a != '\0')
		return a;
	return *b != '\0' ? b : NULL;
}

/* The name is the CA's from now on: no other CA of the stores may have it. */
static gboolean
name_is_free(const struct ca_context *context, struct tx *tx, const char *name, GBytes *csr_der,
	     GError **error)
{
	CLEANUP(ca_row) struct ca_row *same = cas_find_in_tx(tx, name, NULL);
	CLEANUP(ca_root_row) struct ca_root_row *root = ca_named_root(tx, name);
	CLEANUP(csr) struct csr *csr = csr_parse(csr_der, error);

	if (csr == NULL)
		return FALSE;
	const char *key = csr_subject_key(csr);
	g_autoptr(GPtrArray) certs = certs_by_subject(context->db, key, NULL, error);
	g_autoptr(GPtrArray) roots = certs != NULL ? roots_all(context->db, error) : NULL;
	if (roots == NULL)
		return FALSE;
	gboolean taken = same != NULL || root != NULL || certs->len > 0;
	for (guint i = 0; i < roots->len; i++)
		taken = taken ||
			strcmp(((const struct root_row *)roots->pdata[i])->subject_key, key) == 0;
	return !taken || fail_false(error, PS_ERROR_INVALID,
				    "a CA named '%s' is in the store already: choose another "
				    "common name",
				    name);
}

GBytes *
ca_create_external(const struct ca_context *context, const struct ca_create *options, gint64 *id,
		   struct tx *tx, GError **error)
{
	const struct ca_part *part = &options->intermediate;
	enum algorithm hash = ALGORITHM_UNKNOWN;
	g_autoptr(GPtrArray) cas = cas_list(context->db, error);

	if (cas == NULL || (part->digest != NULL && !ca_digest_parse(part->digest, &hash, error)))
		return NULL;
	g_autofree char *name = external_name(options, clock_now(context->clock), cas->len + 1);
	CLEANUP(key)
	struct key *key = keyring_generate(context->keyring, tx,
					   part->key != NULL ? part->key : DEFAULT_KEY, 0, error);
	if (key == NULL)
		return NULL;
	CLEANUP(ca_defaults) struct ca_defaults *defaults = ca_defaults_load(context->db, error);
	if (defaults == NULL)
		return NULL;
	gboolean tls = g_strcmp0(options->use, "tls") == 0;
	const char *emails[] = { part->email, NULL };
	struct issue_names names = {
		.common_name = name,
		.organisation = some(options->organisation, defaults->organisation),
		.country = some(options->country, defaults->country),
		.emails = part->email != NULL ? emails : NULL,
	};
	g_autoptr(GBytes) csr =
	    csr_make_for(key, &names, KEY_USAGE_CERT_SIGN | KEY_USAGE_CRL_SIGN,
			 tls ? "serverAuth, clientAuth" : "emailProtection", hash, error);
	if (csr == NULL || !name_is_free(context, tx, name, csr, error))
		return NULL;
	struct ca_row row = {
		.name = name,
		.spki_sha256 = (char *)key_spki_sha256(key),
		.csr = csr,
	};
	if (!cas_insert(tx, &row, id, error))
		return NULL;
	return g_steal_pointer(&csr);
}

GBytes *
ca_external_csr(struct db *db, const char *name, GError **error)
{
	CLEANUP(ca_row) struct ca_row *ca = cas_find(db, name, error);

	if (ca == NULL)
		return NULL;
	if (ca->csr == NULL)
		return fail(error, PS_ERROR_NOT_FOUND, "the root of CA '%s' is our own", ca->name);
	return g_bytes_ref(ca->csr);
}

/* Can it do what we need of it? The path to its root is trust's question, not ours. */
static gboolean
cert_fits(const struct cert *cert, gint64 now, GError **error)
{
	unsigned int needed = KEY_USAGE_CERT_SIGN | KEY_USAGE_CRL_SIGN;

	if (!cert_is_ca(cert))
		return fail_false(error, PS_ERROR_INVALID, "'%s' is not a CA certificate",
				  cert_subject(cert));
	if ((cert_key_usage(cert) & needed) != needed)
		return fail_false(error, PS_ERROR_INVALID,
				  "key usage of '%s' lacks keyCertSign or cRLSign",
				  cert_subject(cert));
	if (!cert_has_email_purpose(cert) && !cert_allows_purpose(cert, "1.3.6.1.5.5.7.3.1"))
		return fail_false(
		    error, PS_ERROR_INVALID,
		    "extended key usage of '%s' lacks emailProtection (or serverAuth, "
		    "for TLS)",
		    cert_subject(cert));
	if (now < cert_not_before(cert) || now > cert_not_after(cert))
		return fail_false(error, PS_ERROR_INVALID, "'%s' is not valid today",
				  cert_subject(cert));
	return TRUE;
}

static struct ca_row *
waiting_ca(struct db *db, const struct cert *cert, GError **error)
{
	g_autoptr(GPtrArray) cas = cas_list(db, error);

	if (cas == NULL)
		return NULL;
	for (guint i = 0; i < cas->len; i++) {
		const struct ca_row *ca = g_ptr_array_index(cas, i);
		if (ca->thumbprint == NULL && strcmp(ca->spki_sha256, cert_spki_sha256(cert)) == 0)
			return g_ptr_array_steal_index(cas, i);
	}
	return fail(error, PS_ERROR_NOT_FOUND, "no CA waits for a certificate with this key");
}

/* The certificate is not committed yet, so the CA cannot be looked up for it. */
static gboolean
first_crl(const struct ca_context *context, const struct cert *cert, gint64 id, struct tx *tx,
	  GError **error)
{
	gint64 number;

	CLEANUP(ca_defaults) struct ca_defaults *defaults = ca_defaults_load(context->db, error);
	CLEANUP(key)
	struct key *key =
	    defaults != NULL ? keyring_find(context->keyring, cert_spki_sha256(cert), error) : NULL;
	if (key == NULL ||
	    !cas_next_crl_number(tx, id, ca_crl_number_least(context), &number, error))
		return FALSE;
	struct ca_crl_signer signer = { .cert = cert,
					.key = key,
					.hash = ALGORITHM_UNKNOWN,
					.days = defaults->crl_days,
					.number = number };
	return ca_crl_make(context, &signer, NULL, NULL, tx, error) &&
	       cas_set_crl_next(tx, id, clock_now(context->clock) + signer.days * 86400 * 2 / 3,
				error);
}

gboolean
ca_take_cert(const struct ca_context *context, struct cert *cert, char **name, struct tx *tx,
	     GError **error)
{
	struct import_options options = { .name = "external root", .origin = "handler" };
	gboolean is_new;
	gint64 id;

	CLEANUP(ca_row) struct ca_row *ca = waiting_ca(context->db, cert, error);
	if (ca == NULL || !cert_fits(cert, clock_now(context->clock), error) ||
	    !import_cert(tx, cert, &options, &is_new, error))
		return FALSE;
	g_autoptr(GError) none = NULL;
	CLEANUP(ca_row) struct ca_row *present = cas_find_in_tx(tx, NULL, &none);
	if (present == NULL && !g_error_matches(none, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&none));
		return FALSE;
	}
	struct ca_row row = {
		.name = ca->name,
		.thumbprint = (char *)cert_thumbprint(cert),
		.issuer_key = (char *)cert_subject_key(cert),
		.spki_sha256 = ca->spki_sha256,
		.csr = ca->csr,
		.is_default = present == NULL,
	};
	if (!cas_insert(tx, &row, &id, error) || !first_crl(context, cert, id, tx, error))
		return FALSE;
	*name = g_strdup(ca->name);
	return TRUE;
}
