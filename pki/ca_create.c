/*
 * ca_create - root and intermediate in one step (C1; S/MIME BR 7.1, handler contract 12.2).
 */
#include <string.h>

#include "pki/ca_internal.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/issue.h"
#include "pki/crypto/key.h"
#include "pki/import.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/ca_lists.h"
#include "store/certs.h"
#include "store/db/tx.h"
#include "store/roots.h"

#define ROOT_DAYS 7300
#define INTERMEDIATE_DAYS 3650
#define DAYS_MAX 18262 /* 50 years */
#define DEFAULT_KEY "rsa:3072"

/* One of the two while it is made. */
struct part {
	const struct ca_part *options;
	char *common_name;
	gint64 days;
	enum algorithm hash;
	struct key *key;
	struct cert *cert;
};

struct making {
	const struct ca_context *context;
	GPtrArray *warnings;
	struct tx *tx;
	const struct ca_create *options;
	struct ca_defaults *defaults;
	gint64 now;
	struct part root, intermediate;
	struct ca_root_row *under; /* a root that exists; NULL: one is made */
	gboolean tls;
	char *organisation, *country;
};

static void
part_clear(struct part *part)
{
	g_free(part->common_name);
	key_unref(part->key);
	cert_unref(part->cert);
}

static gboolean
part_prepare(struct making *making, struct part *part, const struct ca_part *options,
	     const char *role, gint64 days, gint64 number, GError **error)
{
	g_autofree char *date = clock_format(making->now);

	part->options = options;
	part->days = options->days != 0 ? options->days : days;
	if (part->days < 1 || part->days > DAYS_MAX)
		return fail_false(error, PS_ERROR_INVALID,
				  "the %s's validity is 1 to %d days, not %" G_GINT64_FORMAT, role,
				  DAYS_MAX, part->days);
	part->common_name = options->common_name != NULL && *options->common_name != '\0'
				? g_strdup(options->common_name)
				: g_strdup_printf("Postseal %s CA %.10s-%" G_GINT64_FORMAT,
						  strcmp(role, "root") == 0 ? "Root"
						  : making->tls             ? "TLS"
									    : "Mail",
						  date, number);
	return ca_digest_parse(options->digest, &part->hash, error);
}

/* Another CA below a root that we have: the root's key has to be here. */
static gboolean
take_root(struct making *making, GError **error)
{
	struct part *root = &making->root;
	const struct ca_part *given = &making->options->root;

	if (given->common_name != NULL || given->key != NULL || given->days != 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "below a root that exists nothing about a root can be said");
	making->under = ca_roots_find(making->tx, making->options->under, error);
	if (making->under == NULL)
		return FALSE;
	root->options = given;
	root->cert = ca_known_cert(making->tx, making->under->thumbprint, error);
	if (root->cert == NULL)
		return FALSE;
	root->key = keyring_find(making->context->keyring, making->under->spki_sha256, error);
	if (root->key == NULL)
		return FALSE;
	root->common_name = g_strdup(cert_common_name(root->cert));
	root->days = (cert_not_after(root->cert) - making->now) / 86400;
	return root->days > 0 ||
	       fail_false(error, PS_ERROR_INVALID, "root '%s' has ended", root->common_name);
}

static gboolean
set_use(struct making *making, GError **error)
{
	const char *use = making->options->use != NULL ? making->options->use : "mail";

	making->tls = strcmp(use, "tls") == 0;
	return making->tls || strcmp(use, "mail") == 0 ||
	       fail_false(error, PS_ERROR_INVALID, "a CA is for mail or tls, not for '%.20s'", use);
}

static const char *
some(const char *a, const char *b)
{
	if (a != NULL && *a != '\0')
		return a;
	return b != NULL && *b != '\0' ? b : NULL;
}

/* CAs have an organisation and a country (S/MIME BR 7.1.4.3.1): what nobody said is the CA's own
 * name, and the code for none. */
static gboolean
set_place(struct making *making, GError **error)
{
	const char *organisation =
	    some(making->options->organisation, making->defaults->organisation);
	const char *country = some(making->options->country, making->defaults->country);

	if (country != NULL &&
	    !(strlen(country) == 2 && g_ascii_isalpha(country[0]) && g_ascii_isalpha(country[1])))
		return fail_false(error, PS_ERROR_INVALID,
				  "country '%.20s' is not a code of two letters", country);
	if (organisation == NULL)
		ca_warn(
		    making->warnings,
		    "S/MIME BR 7.1.4.3.1 b: no organisation was named, the CA's own name stands "
		    "there: --organisation, or 'ca config organisation'");
	if (country == NULL)
		ca_warn(
		    making->warnings,
		    "S/MIME BR 7.1.4.3.1 c: no country was named, XX stands there: --country, or "
		    "'ca config country'");
	making->organisation =
	    g_strdup(organisation != NULL ? organisation : making->root.common_name);
	making->country = g_ascii_strup(country != NULL ? country : "XX", -1);
	return TRUE;
}

static gboolean
prepare(struct making *making, GError **error)
{
	const struct ca_create *options = making->options;
	g_autoptr(GPtrArray) cas = cas_list(making->context->db, error);

	if (cas == NULL || !set_use(making, error))
		return FALSE;
	gint64 number = (gint64)cas->len + 1;
	if (options->under != NULL ? !take_root(making, error)
				   : !part_prepare(making, &making->root, &options->root, "root",
						   ROOT_DAYS, number, error))
		return FALSE;
	gint64 days = MIN(INTERMEDIATE_DAYS, making->root.days);
	if (!part_prepare(making, &making->intermediate, &options->intermediate, "intermediate",
			  days, number, error))
		return FALSE;
	if (making->intermediate.days > making->root.days)
		return fail_false(
		    error, PS_ERROR_INVALID,
		    "the intermediate cannot outlive the root: at most %" G_GINT64_FORMAT " days",
		    making->root.days);
	g_autofree char *a = g_utf8_casefold(making->root.common_name, -1);
	g_autofree char *b = g_utf8_casefold(making->intermediate.common_name, -1);
	if (strcmp(a, b) == 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "root and intermediate need different common names");
	return set_place(making, error);
}

static gboolean
make_key(struct making *making, struct part *part, GError **error)
{
	const char *algorithm = part->options->key != NULL ? part->options->key : DEFAULT_KEY;
	enum key_kind kind;
	unsigned int bits;

	if (!key_algorithm_parse(algorithm, &kind, &bits, error))
		return FALSE;
	part->key = keyring_generate(making->context->keyring, making->tx, algorithm, 0, error);
	/* ECDSA takes the digest of its curve (S/MIME BR 7.1.3.2.2). */
	if (kind == KEY_KIND_EC && part->options->digest == NULL)
		part->hash = ALGORITHM_UNKNOWN;
	return part->key != NULL;
}

static void
set_names(const struct making *making, const struct part *part, struct issue_spec *spec)
{
	spec->names.common_name = part->common_name;
	spec->names.organisation = making->organisation;
	spec->names.country = making->country;
}

static gboolean
make_root(struct making *making, GError **error)
{
	struct part *root = &making->root;
	const char *emails[] = { root->options->email, NULL };

	if (making->under != NULL)
		return TRUE;
	if (!make_key(making, root, error))
		return FALSE;
	gint64 start = making->now - making->defaults->backdate_seconds;
	struct issue_spec spec = {
		.spki = key_spki(root->key),
		.not_before = start,
		.not_after = making->now + root->days * 86400 - 1,
		.hash = root->hash,
		.ca = TRUE,
		.path_length = -1,
		.key_usage = KEY_USAGE_CERT_SIGN | KEY_USAGE_CRL_SIGN,
	};
	set_names(making, root, &spec);
	spec.names.emails = emails[0] != NULL ? emails : NULL;
	root->cert = issue_cert(&spec, NULL, root->key, error);
	return root->cert != NULL;
}

static gboolean
make_intermediate(struct making *making, GError **error)
{
	/* S/MIME BR 7.1.2.2 g: a CA for mail issues for nothing else; and one for TLS not for mail.
	 */
	static const char *const mail_usages[] = { "1.3.6.1.5.5.7.3.4", NULL };
	static const char *const tls_usages[] = { "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", NULL };
	static const char *const any_policy[] = { "2.5.29.32.0", NULL };
	struct part *part = &making->intermediate;
	const struct cert *root = making->root.cert;
	const char *emails[] = { part->options->email, NULL };

	if (!make_key(making, part, error))
		return FALSE;
	g_autofree char *crl_url =
	    ca_url_of(making->context, making->defaults, CA_URL_CRL, root, 0);
	g_autofree char *aia_url =
	    ca_url_of(making->context, making->defaults, CA_URL_CERT, root, 0);
	const char *crl_urls[] = { crl_url, NULL };
	const char *aia_urls[] = { aia_url, NULL };
	if (crl_url == NULL || !making->defaults->add_crl_url)
		ca_warn(making->warnings,
			"S/MIME BR 7.1.2.2 b: the intermediate has no CRL distribution point: set "
			"public_url, or 'ca config crl_url', before the CA is made");
	struct issue_spec spec = {
		.spki = key_spki(part->key),
		.not_before =
		    MAX(cert_not_before(root), making->now - making->defaults->backdate_seconds),
		.not_after = making->now + part->days * 86400 - 1,
		/* The root signs, so the digest is the root's unless one was named. */
		.hash = part->options->digest != NULL ? part->hash : making->root.hash,
		.ca = TRUE,
		.path_length = 0,
		.key_usage = KEY_USAGE_CERT_SIGN | KEY_USAGE_CRL_SIGN,
		.extended_usages = making->tls ? tls_usages : mail_usages,
		.policies = any_policy,
		.crl_urls = making->defaults->add_crl_url ? crl_urls : NULL,
		.ca_issuer_urls = aia_urls,
	};
	set_names(making, part, &spec);
	spec.names.emails = emails[0] != NULL ? emails : NULL;
	part->cert = issue_cert(&spec, root, making->root.key, error);
	if (part->cert == NULL)
		return FALSE;
	const struct ca_list_row list = { .issuer = (char *)cert_thumbprint(root),
					  .key_id = (char *)ca_key_id(root) };
	return ca_lists_add_url(making->tx, &list, spec.crl_urls != NULL ? crl_url : NULL, error);
}

/* The same name with another key would make two CAs that path building cannot tell apart. */
static gboolean
name_is_free(struct making *making, const struct part *part, GError **error)
{
	const char *subject_key = cert_subject_key(part->cert);
	g_autoptr(GPtrArray) certs =
	    certs_by_subject(making->context->db, subject_key, NULL, error);
	g_autoptr(GPtrArray) roots = certs != NULL ? roots_all(making->context->db, error) : NULL;

	if (roots == NULL)
		return FALSE;
	gboolean taken = certs->len > 0;
	for (guint i = 0; i < roots->len; i++) {
		const struct root_row *row = g_ptr_array_index(roots, i);
		taken = taken || strcmp(row->subject_key, subject_key) == 0;
	}
	CLEANUP(ca_row) struct ca_row *same = cas_find_in_tx(making->tx, part->common_name, NULL);
	CLEANUP(ca_root_row)
	struct ca_root_row *root = ca_named_root(making->tx, part->common_name);
	if (taken || same != NULL || root != NULL)
		return fail_false(
		    error, PS_ERROR_INVALID,
		    "a CA named '%s' is in the store already: choose another common name",
		    part->common_name);
	return TRUE;
}

static gboolean
store_ca_cert(struct making *making, const struct cert *cert, const struct cert *issuer,
	      GError **error)
{
	CLEANUP(cert_row) struct cert_row *row = cert_row_from(cert);
	gboolean is_new;

	g_free(row->origin);
	row->origin = g_strdup("handler");
	row->origin_detail = g_strdup("builtin");
	row->own_ca = g_strdup(cert_thumbprint(issuer));
	row->issued = making->now;
	return certs_insert(making->tx, row, &is_new, error);
}

static gboolean
store_root(struct making *making, const struct cert *root, GError **error)
{
	const struct ca_root_row row = {
		.thumbprint = (char *)cert_thumbprint(root),
		.spki_sha256 = (char *)key_spki_sha256(making->root.key),
		.name = making->root.common_name,
		.crl_next = making->now + making->defaults->crl_days * 86400 * 2 / 3,
	};
	gboolean is_new;

	if (making->options->trust_root ? !import_root(making->tx, root, "ca", &is_new, error)
					: !store_ca_cert(making, root, root, error))
		return FALSE;
	return ca_roots_insert(making->tx, &row, error);
}

static gboolean
store_all(struct making *making, gint64 *id, GError **error)
{
	const struct cert *root = making->root.cert;
	const struct cert *intermediate = making->intermediate.cert;

	if (making->under == NULL && !store_root(making, root, error))
		return FALSE;
	if (!store_ca_cert(making, intermediate, root, error))
		return FALSE;
	g_autoptr(GError) none = NULL;
	CLEANUP(ca_row) struct ca_row *present = cas_find_in_tx(making->tx, NULL, &none);
	if (present == NULL && !g_error_matches(none, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&none));
		return FALSE;
	}
	struct ca_row row = {
		.name = making->intermediate.common_name,
		.thumbprint = (char *)cert_thumbprint(intermediate),
		.root_thumbprint = (char *)cert_thumbprint(root),
		.issuer_key = (char *)cert_subject_key(intermediate),
		.spki_sha256 = (char *)key_spki_sha256(making->intermediate.key),
		.root_spki_sha256 = (char *)key_spki_sha256(making->root.key),
		/* The first one is the default whatever was said. */
		.is_default = making->options->make_default || present == NULL,
		.crl_next = making->now + making->defaults->crl_days * 86400 * 2 / 3,
	};
	return cas_insert(making->tx, &row, id, error);
}

static gboolean
empty_crl(struct making *making, const struct part *part, gint64 number, GError **error)
{
	const struct ca_crl_signer signer = { .cert = part->cert,
					      .key = part->key,
					      .hash = ALGORITHM_UNKNOWN,
					      .days = making->defaults->crl_days,
					      .number = number };

	return ca_crl_make(making->context, &signer, NULL, NULL, making->tx, error);
}

static gboolean
empty_crls(struct making *making, gint64 id, GError **error)
{
	gint64 number;

	if (!cas_next_crl_number(making->tx, id, ca_crl_number_least(making->context), &number,
				 error) ||
	    !empty_crl(making, &making->intermediate, number, error))
		return FALSE;
	if (making->under != NULL)
		return TRUE;
	return ca_roots_next_crl_number(making->tx, cert_thumbprint(making->root.cert),
					ca_crl_number_least(making->context), &number, error) &&
	       empty_crl(making, &making->root, number, error);
}

gboolean
ca_create(const struct ca_context *context, const struct ca_create *options,
	  struct ca_created *created, GPtrArray *warnings, struct tx *tx, GError **error)
{
	CLEANUP(ca_defaults) struct ca_defaults *defaults = ca_defaults_load(context->db, error);
	struct making making = {
		.context = context,
		.warnings = warnings,
		.tx = tx,
		.options = options,
		.defaults = defaults,
		.now = clock_now(context->clock),
	};

	gboolean good = defaults != NULL && prepare(&making, error) && make_root(&making, error) &&
			(making.under != NULL || name_is_free(&making, &making.root, error)) &&
			make_intermediate(&making, error) &&
			name_is_free(&making, &making.intermediate, error) &&
			store_all(&making, &created->id, error) &&
			empty_crls(&making, created->id, error);
	if (good) {
		created->root = g_steal_pointer(&making.root.cert);
		created->intermediate = g_steal_pointer(&making.intermediate.cert);
	}
	part_clear(&making.root);
	part_clear(&making.intermediate);
	ca_root_row_free(making.under);
	g_free(making.organisation);
	g_free(making.country);
	return good;
}
