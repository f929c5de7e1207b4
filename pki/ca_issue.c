/*
 * ca_issue - from a CSR to a certificate, in one query, one signature and two inserts.
 */
#include <string.h>

#include "pki/ca_internal.h"
#include "pki/ca_mint.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/csr.h"
#include "pki/crypto/issue.h"
#include "pki/crypto/key.h"
#include "pki/import.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/printable.h"
#include "store/ca_issuing.h"
#include "store/ca_lists.h"
#include "store/certs.h"
#include "store/db/tx.h"

#define DAYS_MAX 3653
#define DAY_SECONDS 86400
#define SERIAL_TRIES 5
#define SAID_MAX 200

static gboolean
key_acceptable(enum key_kind kind, unsigned int bits, const char *text, GError **error)
{
	if (kind != KEY_KIND_RSA && kind != KEY_KIND_EC)
		return fail_false(error, PS_ERROR_INVALID,
				  "%s keys cannot be used for S/MIME here: use RSA or EC", text);
	if (!key_strength_allowed(kind, bits))
		return fail_false(error, PS_ERROR_INVALID,
				  "%s is too short: RSA 2048, 3072, 4096 or EC P-256, P-384", text);
	return TRUE;
}

static const char *
text_or_null(const char *text)
{
	return text != NULL && *text != '\0' ? text : NULL;
}

/* One certificate on its way; texts that the spec borrows are here. */
struct issuing {
	const struct ca_context *context;
	const struct ca_issue *options;
	struct ca_issuing *from; /* borrowed */
	struct cert *issuer;
	struct ca_names names;
	struct issue_spec spec;
	enum ca_key_use use;
	gint64 now;
	gint64 partition;
	char *crl_url, *aia_url, *ocsp_url;
	const char *crl_urls[2], *aia_urls[2], *ocsp_urls[2];
	GPtrArray *policies; /* const char *, borrowed, NULL at the end */
	GStrv own_policies;
	GArray *extensions; /* struct issue_extension */
	GPtrArray *issuers; /* struct cert, of the candidates, or NULL; borrowed */
};

static void
issuing_clear(struct issuing *issuing)
{
	cert_unref(issuing->issuer);
	ca_names_clear(&issuing->names);
	g_free(issuing->crl_url);
	g_free(issuing->aia_url);
	g_free(issuing->ocsp_url);
	if (issuing->policies != NULL)
		g_ptr_array_unref(issuing->policies);
	g_strfreev(issuing->own_policies);
	if (issuing->extensions != NULL)
		g_array_unref(issuing->extensions);
}

static gboolean
set_dates(struct issuing *issuing, GError **error)
{
	const struct ca_profile *profile = issuing->names.profile;
	const struct cert *issuer = issuing->issuer;
	struct issue_spec *spec = &issuing->spec;
	gint64 days_max = ca_profile_days_max(profile, issuing->now);
	gint64 days = issuing->options->days;

	/* The default is for S/MIME; what lives shorter takes what it may. */
	if (days == 0)
		days = profile->smime ? issuing->from->defaults->validity_days
				      : MIN(issuing->from->defaults->validity_days, days_max);
	if (days < 1 || days > DAYS_MAX)
		return fail_false(error, PS_ERROR_INVALID,
				  "a validity of %" G_GINT64_FORMAT " days cannot be: 1 to %d",
				  days, DAYS_MAX);
	if (days > days_max && profile->kind != CA_KIND_TLS_CLIENT)
		ca_warn(issuing->options->warnings,
			"%s 6.3.2: a validity of %" G_GINT64_FORMAT
			" days is more than is allowed, at most %" G_GINT64_FORMAT " are good",
			profile->smime ? "S/MIME BR" : "TLS BR", days, days_max);
	/* A day is 86,400 s and notAfter belongs to it (S/MIME BR 6.3.2), so the validity is exact.
	 */
	spec->not_before =
	    MAX(issuing->now - issuing->from->defaults->backdate_seconds, cert_not_before(issuer));
	spec->not_after = spec->not_before + days * DAY_SECONDS - 1;
	if (spec->not_after > cert_not_after(issuer)) {
		g_autofree char *end = clock_format(cert_not_after(issuer));
		return fail_false(
		    error, PS_ERROR_INVALID,
		    "the CA's own certificate ends on %s: ask for at most %" G_GINT64_FORMAT
		    " days, or make a new CA",
		    end, MAX((cert_not_after(issuer) - issuing->now) / DAY_SECONDS, 0));
	}
	return TRUE;
}

/* What a certificate says about where more is to be had. A responder's own needs none of it: it is
 * short-lived and believed without a list (RFC 6960 4.2.2.2.1). */
static void
set_urls(struct issuing *issuing)
{
	const struct ca_context *context = issuing->context;
	const struct ca_defaults *defaults = issuing->from->defaults;
	struct issue_spec *spec = &issuing->spec;
	GPtrArray *warnings = issuing->options->warnings;
	const char *rules =
	    issuing->names.profile->smime ? "S/MIME BR 7.1.2.3 b" : "RFC 5280 4.2.1.13";

	if (issuing->names.profile->kind == CA_KIND_OCSP) {
		spec->no_check = TRUE;
		return;
	}
	issuing->partition = issuing->from->ca->crl_partition;
	issuing->crl_url =
	    issuing->options->crl_url
		? ca_url_of(context, defaults, CA_URL_CRL, issuing->issuer, issuing->partition)
		: NULL;
	issuing->aia_url = ca_url_of(context, defaults, CA_URL_CERT, issuing->issuer, 0);
	issuing->ocsp_url = ca_url_of(context, defaults, CA_URL_OCSP, issuing->issuer, 0);
	issuing->crl_urls[0] = issuing->crl_url;
	issuing->aia_urls[0] = issuing->aia_url;
	issuing->ocsp_urls[0] = issuing->ocsp_url;
	spec->crl_urls = issuing->crl_urls;
	spec->ca_issuer_urls = issuing->aia_urls;
	spec->ocsp_urls = issuing->ocsp_urls;
	/* Without a distribution point it is the first list that speaks of it. */
	if (issuing->crl_url == NULL) {
		issuing->partition = 0;
		ca_warn(warnings,
			"%s: the certificate has no CRL distribution point: set public_url, or "
			"'ca config crl_url', and leave add_crl_url on",
			rules);
	}
}

static void
set_policies(struct issuing *issuing)
{
	issuing->policies = g_ptr_array_new();
	if (issuing->names.profile->policy != NULL)
		g_ptr_array_add(issuing->policies, (gpointer)issuing->names.profile->policy);
	issuing->own_policies = g_strsplit_set(issuing->from->defaults->policy, " ,", -1);
	for (char **one = issuing->own_policies; *one != NULL; one++)
		if (**one != '\0' && issuing->names.profile->kind != CA_KIND_OCSP)
			g_ptr_array_add(issuing->policies, *one);
	g_ptr_array_add(issuing->policies, NULL);
	issuing->spec.policies = (const char *const *)issuing->policies->pdata;
	if (*issuing->from->defaults->cps_url != '\0')
		issuing->spec.policy_cps = issuing->from->defaults->cps_url;
}

/* Those of the profile, then those of all profiles that it does not have itself (C16). */
static void
set_extensions(struct issuing *issuing)
{
	const GPtrArray *rows = issuing->from->extensions;
	const char *const order[] = { issuing->names.profile->name, "" };

	issuing->extensions = g_array_new(FALSE, FALSE, sizeof(struct issue_extension));
	for (gsize pass = 0; pass < G_N_ELEMENTS(order); pass++)
		for (guint i = 0; i < rows->len; i++) {
			const struct ca_extension_row *row = g_ptr_array_index(rows, i);
			struct issue_extension one = { row->name, row->value };
			gboolean there = strcmp(row->profile, order[pass]) != 0;

			for (guint k = 0; k < issuing->extensions->len && !there; k++)
				there = strcmp(g_array_index(issuing->extensions,
							     struct issue_extension, k)
						   .name,
					       row->name) == 0;
			if (!there)
				g_array_append_val(issuing->extensions, one);
		}
	issuing->spec.extensions =
	    (const struct issue_extension *)(gpointer)issuing->extensions->data;
	issuing->spec.extension_count = issuing->extensions->len;
}

/* May this CA issue that? NULL with *error: why not. */
static struct cert *
issuer_of(const struct issuing *issuing, struct tx *tx, guint candidate, const struct ca_row *ca,
	  GError **error)
{
	const struct ca_profile *profile = issuing->names.profile;

	if (ca->thumbprint == NULL)
		return fail(error, PS_ERROR_DENIED,
			    "CA '%s' waits for its certificate from the external root", ca->name);
	if (ca->revoked)
		return fail(error, PS_ERROR_DENIED,
			    "CA '%s' is revoked and issues nothing any more: make a new one, and "
			    "make that the default",
			    ca->name);
	CLEANUP(cert)
	struct cert *issuer = issuing->issuers != NULL
				  ? cert_ref(g_ptr_array_index(issuing->issuers, candidate))
				  : ca_known_cert(tx, ca->thumbprint, error);
	if (issuer == NULL)
		return NULL;
	if (!ca_profile_fits(profile, issuer))
		return fail(error, PS_ERROR_INVALID,
			    "CA '%s' may not issue certificates of profile %s, its own certificate "
			    "is not for that: make a CA with 'ca create --use %s'",
			    ca->name, profile->name, profile->smime ? "mail" : "tls");
	return g_steal_pointer(&issuer);
}

/* The CA that was named; else the default one, or where that is for something else the first that
 * fits. */
static gboolean
find_issuer(struct issuing *issuing, struct tx *tx, GPtrArray *candidates, GError **error)
{
	g_autoptr(GError) first = NULL;

	for (guint i = 0; i < candidates->len; i++) {
		struct ca_issuing *one = g_ptr_array_index(candidates, i);
		g_autoptr(GError) why = NULL;

		issuing->issuer = issuer_of(issuing, tx, i, one->ca, &why);
		if (issuing->issuer != NULL) {
			issuing->from = one;
			return TRUE;
		}
		if (first == NULL)
			first = g_steal_pointer(&why);
		/* S/MIME goes to the default one, ready or not: nobody is surprised. */
		if (issuing->names.profile->smime)
			break;
	}
	g_propagate_error(error, g_steal_pointer(&first));
	return FALSE;
}

static gboolean
no_ca(const char *name, GError **error)
{
	g_autofree char *shown = name != NULL ? printable(name) : NULL;

	if (name != NULL)
		return fail_false(error, PS_ERROR_NOT_FOUND, "CA '%s' does not exist", shown);
	return fail_false(error, PS_ERROR_NOT_FOUND,
			  "there is no CA yet, or none is the default: postseal ca create, "
			  "postseal ca default");
}

static gboolean
prepare(struct issuing *issuing, enum key_kind kind, const struct ca_subject *subject,
	GPtrArray *candidates, struct tx *tx, GError **error)
{
	const struct ca_issue *options = issuing->options;
	struct ca_issuing *first = candidates->len > 0 ? candidates->pdata[0] : NULL;

	if (first == NULL || (options->ca == NULL && !first->ca->is_default))
		return no_ca(options->ca, error);
	if (first->key_revoked)
		return fail_false(
		    error, PS_ERROR_DENIED,
		    "a certificate with this key was revoked: a new one needs a new key");
	const char *profile = text_or_null(options->profile);
	if (!ca_key_use_parse(options->key_use, &issuing->use, error) ||
	    !ca_names_make(&issuing->names, profile != NULL ? profile : "smime", subject,
			   first->defaults, options->warnings, error) ||
	    !find_issuer(issuing, tx, candidates, error))
		return FALSE;
	issuing->spec.key_usage = ca_key_usage(issuing->names.profile, kind, issuing->use, error);
	if (issuing->spec.key_usage == 0)
		return FALSE;
	if (options->digest != NULL &&
	    !ca_digest_parse(options->digest, &issuing->spec.hash, error))
		return FALSE;
	/* With an EC issuer the digest goes with the curve; a default for RSA does not bind it. */
	if (issuing->spec.hash == ALGORITHM_UNKNOWN &&
	    cert_key_kind(issuing->issuer) == KEY_KIND_RSA &&
	    !ca_digest_parse(first->defaults->digest, &issuing->spec.hash, error))
		return FALSE;
	issuing->spec.names = issuing->names.names;
	issuing->spec.path_length = -1;
	issuing->spec.extended_usages = issuing->names.profile->usages;
	set_urls(issuing);
	set_policies(issuing);
	set_extensions(issuing);
	return set_dates(issuing, error);
}

/* The books first: a serial is given once, whatever became of its certificate. */
static GBytes *
take_serial(const struct issuing *issuing, struct tx *tx, GError **error)
{
	for (int i = 0; i < SERIAL_TRIES; i++) {
		g_autoptr(GBytes) serial = issue_random_serial(error);
		gboolean is_new;

		if (serial == NULL)
			return NULL;
		gsize length;
		const guint8 *bytes = g_bytes_get_data(serial, &length);
		g_autoptr(GString) hex = g_string_new(NULL);
		for (gsize k = 0; k < length; k++)
			g_string_append_printf(hex, "%02x", bytes[k]);
		struct ca_issued_row row = {
			.ca_id = issuing->from->ca->id,
			.serial = hex->str + strspn(hex->str, "0"),
			.partition = issuing->partition,
			.not_after = issuing->spec.not_after,
			.profile = (char *)issuing->names.profile->name,
		};
		if (!ca_issued_insert(tx, &row, &is_new, error))
			return NULL;
		if (is_new)
			return g_steal_pointer(&serial);
	}
	return fail(error, PS_ERROR_TEMPORARY, "no free serial number was found");
}

/* A distribution point that is new to this part has to stand in its list. */
static gboolean
note_point(const struct issuing *issuing, struct tx *tx, GError **error)
{
	const struct ca_list_row row = {
		.issuer = issuing->from->ca->thumbprint,
		.key_id = (char *)ca_key_id(issuing->issuer),
		.partition = issuing->partition,
	};

	if (issuing->crl_url == NULL ||
	    g_strv_contains((const char *const *)issuing->from->urls, issuing->crl_url))
		return TRUE;
	return ca_lists_add_url(tx, &row, issuing->crl_url, error);
}

static struct cert_row *
issued_row(const struct ca_row *ca, const struct cert *cert, gint64 request_id, gint64 now)
{
	struct cert_row *row = cert_row_from(cert);

	g_free(row->origin);
	row->origin = g_strdup("handler");
	row->origin_detail = g_strdup_printf("builtin: %s", ca->name);
	row->request_id = request_id;
	row->own_ca = g_strdup(ca->thumbprint);
	row->issued = now;
	return row;
}

static gboolean
store_issued(const struct issuing *issuing, struct tx *tx, const struct cert *cert,
	     gint64 request_id, GError **error)
{
	CLEANUP(cert_row)
	struct cert_row *row = issued_row(issuing->from->ca, cert, request_id, issuing->now);
	gboolean is_new;

	return certs_insert(tx, row, &is_new, error);
}

static struct cert *
issue(struct issuing *issuing, const struct csr *csr, const struct ca_subject *subject,
      gint64 request_id, struct tx *tx, GError **error)
{
	g_autoptr(GPtrArray) candidates =
	    ca_issuing_find(tx, text_or_null(issuing->options->ca), csr_spki_sha256(csr), error);

	if (candidates == NULL ||
	    !prepare(issuing, csr_key_kind(csr), subject, candidates, tx, error))
		return NULL;
	issuing->spec.spki = csr_spki(csr);
	CLEANUP(key)
	struct key *key =
	    keyring_find(issuing->context->keyring, issuing->from->ca->spki_sha256, error);
	g_autoptr(GBytes) serial = key != NULL ? take_serial(issuing, tx, error) : NULL;
	if (serial == NULL || !note_point(issuing, tx, error))
		return NULL;
	issuing->spec.serial = serial;
	CLEANUP(cert) struct cert *cert = issue_cert(&issuing->spec, issuing->issuer, key, error);
	if (cert == NULL || !store_issued(issuing, tx, cert, request_id, error))
		return NULL;
	return g_steal_pointer(&cert);
}

/* Thousands of certificates leave the same rule: the log says so once an hour. */
static void
log_warnings(const GPtrArray *warnings, gint64 now)
{
	static GMutex lock;
	static GHashTable *said;

	g_mutex_lock(&lock);
	if (said == NULL)
		said = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	for (guint i = 0; i < warnings->len; i++) {
		const char *text = g_ptr_array_index(warnings, i);
		const gint64 *before = g_hash_table_lookup(said, text);

		if (before != NULL && now - *before < 3600 && now >= *before)
			continue;
		if (g_hash_table_size(said) >= SAID_MAX)
			g_hash_table_remove_all(said);
		g_hash_table_replace(said, g_strdup(text), g_memdup2(&now, sizeof(now)));
		log_warning("a certificate leaves the rules", "rule", text);
	}
	g_mutex_unlock(&lock);
}

struct cert *
ca_issue(const struct ca_context *context, GBytes *csr_bytes, const struct ca_subject *subject,
	 const struct ca_issue *options, gint64 request_id, struct tx *tx, GError **error)
{
	g_autoptr(GPtrArray) own = g_ptr_array_new_with_free_func(g_free);
	struct ca_issue asked = *options;
	struct issuing issuing = { .context = context,
				   .options = &asked,
				   .now = clock_now(context->clock) };
	CLEANUP(csr) struct csr *csr = csr_parse(csr_bytes, error);

	if (csr == NULL ||
	    !key_acceptable(csr_key_kind(csr), csr_key_bits(csr), csr_key_text(csr), error))
		return NULL;
	if (asked.warnings == NULL)
		asked.warnings = own;
	struct cert *cert = issue(&issuing, csr, subject, request_id, tx, error);
	issuing_clear(&issuing);
	if (cert != NULL)
		log_warnings(asked.warnings, clock_now(context->clock));
	return cert;
}

gboolean
ca_vet(const struct ca_context *context, const char *key, const struct ca_subject *subject,
       const struct ca_issue *options, struct tx *tx, GError **error)
{
	struct issuing issuing = { .context = context,
				   .options = options,
				   .now = clock_now(context->clock) };
	enum key_kind kind;
	unsigned int bits;

	if (!key_algorithm_parse(key, &kind, &bits, error))
		return FALSE;
	g_autoptr(GPtrArray) candidates =
	    ca_issuing_find(tx, text_or_null(options->ca), NULL, error);
	gboolean good =
	    candidates != NULL && prepare(&issuing, kind, subject, candidates, tx, error);
	issuing_clear(&issuing);
	return good;
}

/* --- many at once --- */

struct ca_mint {
	gint references;
	struct ca_context context;
	struct ca_issue options;
	char *ca, *digest, *profile, *key_use; /* of options */
	char *public_url;
	GPtrArray *candidates; /* struct ca_issuing */
	GPtrArray *issuers;    /* struct cert of each; NULL: it is not ready */
	GPtrArray *keys;       /* struct key, likewise */
	char *crl_url;         /* of the first one; see ca_mint_store */
	gint64 partition;
	GMutex lock; /* of these two */
};

void
ca_mint_unref(struct ca_mint *mint)
{
	if (mint == NULL || !g_atomic_int_dec_and_test(&mint->references))
		return;
	g_free(mint->ca);
	g_free(mint->digest);
	g_free(mint->profile);
	g_free(mint->key_use);
	g_free(mint->public_url);
	g_clear_pointer(&mint->candidates, g_ptr_array_unref);
	g_ptr_array_unref(mint->issuers);
	g_ptr_array_unref(mint->keys);
	g_free(mint->crl_url);
	g_mutex_clear(&mint->lock);
	g_free(mint);
}

/* Of a CA that cannot issue neither certificate nor key is needed: issuer_of() says why it cannot.
 */
static gboolean
load_candidate(struct ca_mint *mint, struct tx *tx, const struct ca_row *ca, GError **error)
{
	gboolean ready = ca->thumbprint != NULL && !ca->revoked;
	struct cert *issuer = ready ? ca_known_cert(tx, ca->thumbprint, error) : NULL;
	struct key *key =
	    issuer != NULL ? keyring_find(mint->context.keyring, ca->spki_sha256, error) : NULL;

	g_ptr_array_add(mint->issuers, issuer);
	g_ptr_array_add(mint->keys, key);
	return !ready || key != NULL;
}

struct ca_mint *
ca_mint_open(const struct ca_context *context, const struct ca_issue *options, struct tx *tx,
	     GError **error)
{
	CLEANUP(ca_mint) struct ca_mint *mint = g_new0(struct ca_mint, 1);

	mint->references = 1;
	g_mutex_init(&mint->lock);
	mint->context = *context;
	mint->context.public_url = mint->public_url = g_strdup(context->public_url);
	mint->options = *options;
	mint->options.ca = mint->ca = g_strdup(text_or_null(options->ca));
	mint->options.digest = mint->digest = g_strdup(text_or_null(options->digest));
	mint->options.profile = mint->profile = g_strdup(options->profile);
	mint->options.key_use = mint->key_use = g_strdup(options->key_use);
	mint->options.warnings = NULL;
	mint->issuers = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	mint->keys = g_ptr_array_new_with_free_func((GDestroyNotify)key_unref);
	mint->candidates = ca_issuing_find(tx, mint->options.ca, NULL, error);
	if (mint->candidates == NULL)
		return NULL;
	if (mint->candidates->len == 0) {
		(void)no_ca(mint->options.ca, error);
		return NULL;
	}
	for (guint i = 0; i < mint->candidates->len; i++) {
		const struct ca_issuing *one = g_ptr_array_index(mint->candidates, i);

		/* S/MIME is issued by the first one alone. */
		if (!load_candidate(mint, tx, one->ca, i == 0 ? error : NULL) && i == 0)
			return NULL;
	}
	return g_steal_pointer(&mint);
}

static struct key *
key_of(const struct ca_mint *mint, const struct issuing *issuing)
{
	for (guint i = 0; i < mint->candidates->len; i++)
		if (g_ptr_array_index(mint->candidates, i) == issuing->from)
			return g_ptr_array_index(mint->keys, i);
	return NULL;
}

static gboolean
mint_one(struct ca_mint *mint, struct issuing *issuing, const struct key *key,
	 const struct ca_subject *subject, struct ca_minted *minted, GError **error)
{
	if (!key_acceptable(key_kind(key), key_bits(key), key_text(key), error) ||
	    !prepare(issuing, key_kind(key), subject, mint->candidates, NULL, error))
		return FALSE;
	const struct key *issuer_key = key_of(mint, issuing);
	if (issuer_key == NULL)
		return fail_false(error, PS_ERROR_NOT_FOUND, "the key of CA '%s' is not there",
				  issuing->from->ca->name);
	g_autoptr(GBytes) serial = issue_random_serial(error);
	if (serial == NULL)
		return FALSE;
	issuing->spec.serial = serial;
	issuing->spec.key = key;
	minted->cert = issue_cert(&issuing->spec, issuing->issuer, issuer_key, error);
	minted->ca = issuing->from->ca;
	minted->profile = issuing->names.profile->name;
	minted->partition = issuing->partition;
	minted->now = issuing->now;
	g_mutex_lock(&mint->lock);
	if (mint->crl_url == NULL) {
		mint->crl_url = g_strdup(issuing->crl_url);
		mint->partition = issuing->partition;
	}
	g_mutex_unlock(&mint->lock);
	return minted->cert != NULL;
}

gboolean
ca_mint_make(struct ca_mint *mint, const struct key *key, const struct ca_subject *subject,
	     struct ca_minted *minted, GError **error)
{
	struct issuing issuing = { .context = &mint->context,
				   .options = &mint->options,
				   .issuers = mint->issuers,
				   .now = clock_now(mint->context.clock) };

	gboolean good = mint_one(mint, &issuing, key, subject, minted, error);
	issuing_clear(&issuing);
	return good;
}

struct cert_row *
ca_mint_row(const struct ca_minted *minted, gint64 request_id)
{
	return issued_row(minted->ca, minted->cert, request_id, minted->now);
}

/* Is the CA still what it was when the mint read it? */
static gboolean
check_unchanged(const struct ca_mint *mint, struct tx *tx, const struct ca_row *ca, GError **error)
{
	g_autoptr(GPtrArray) now = ca_issuing_find(tx, ca->thumbprint, NULL, error);

	if (now == NULL)
		return FALSE;
	const struct ca_issuing *one = now->len > 0 ? g_ptr_array_index(now, 0) : NULL;
	if (one != NULL && one->ca->id == ca->id && !one->ca->revoked)
		return mint->crl_url == NULL ||
		       g_strv_contains((const char *const *)one->urls, mint->crl_url) ||
		       ca_lists_add_url(
			   tx,
			   &(const struct ca_list_row){
			       .issuer = ca->thumbprint,
			       .key_id = (char *)ca_key_id(g_ptr_array_index(mint->issuers, 0)),
			       .partition = mint->partition },
			   mint->crl_url, error);
	return fail_false(error, PS_ERROR_TEMPORARY, "CA '%s' changed while certificates were made",
			  ca->name);
}

gboolean
ca_mint_store(struct ca_mint *mint, struct tx *tx, const struct ca_minted *const *minted, gsize n,
	      GError **error)
{
	g_autofree struct ca_issued_row *rows = g_new0(struct ca_issued_row, n + 1);

	for (gsize i = 0; i < n; i++)
		rows[i] = (struct ca_issued_row){
			.ca_id = minted[i]->ca->id,
			.serial = (char *)cert_serial_hex(minted[i]->cert),
			.partition = minted[i]->partition,
			.not_after = cert_not_after(minted[i]->cert),
			.profile = (char *)minted[i]->profile,
		};
	return n == 0 || (check_unchanged(mint, tx, minted[0]->ca, error) &&
			  ca_issued_insert_many(tx, rows, n, error));
}
