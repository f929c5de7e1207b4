/*
 * fetch_one - answers into lists and intermediates, outcomes into rows.
 */
#include "pki/fetch_one.h"

#include <string.h>

#include "pki/crl_load.h"
#include "pki/crypto/bundle.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/cert_points.h"
#include "pki/fetch_schedule.h"
#include "pki/import.h"
#include "pki/net/fetch.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/certs.h"
#include "store/config/settings.h"
#include "store/db/tx.h"
#include "store/fetch_points.h"
#include "store/fetches.h"

#define ISSUERS_MAX 8 /* of one answer */

static const char *const list_attributes[] = {
	"certificateRevocationList",
	"authorityRevocationList",
	"deltaRevocationList",
	NULL,
};
static const char *const issuer_attributes[] = { "cACertificate", "crossCertificatePair", NULL };

/* One try. */
struct attempt {
	const struct fetch_one *one;
	struct fetch_row *row;
	gint64 next_update, max_age, retry_after;
	GPtrArray *issuers; /* struct cert to store */
	gint depth;         /* of these */
	gboolean brought;
};

static void
set_result(struct attempt *attempt, enum fetch_state state, const char *result)
{
	attempt->row->state = state;
	g_free(attempt->row->result);
	attempt->row->result = g_strdup(result);
}

static void
set_yield(struct attempt *attempt, const char *thumbprint)
{
	g_free(attempt->row->yield);
	attempt->row->yield = g_strdup(thumbprint);
}

/* --- fetching --- */

/* A condition is only asked under while what came last is still there. */
static gboolean
prepare(struct attempt *attempt, struct fetch_options *options, GError **error)
{
	const struct fetch_row *row = attempt->row;
	gboolean there = FALSE;

	if (row->kind == FETCH_CRL && row->yield != NULL &&
	    !fetches_list_there(attempt->one->db, row->yield, &there, &attempt->next_update, error))
		return FALSE;
	if (there) {
		options->etag = row->etag;
		options->modified_since = row->last_modified;
	}
	return TRUE;
}

static struct fetch_answer *
ask(struct attempt *attempt, const struct fetch_options *base, GError **error)
{
	gboolean lists = attempt->row->kind == FETCH_CRL;
	struct fetch_options options = *base;

	options.size_max_bytes = lists ? (gsize)attempt->one->settings->fetch_size_max : 0;
	options.attributes = lists ? list_attributes : issuer_attributes;
	options.accept = lists ? "application/pkix-crl, */*" : "application/pkix-cert, */*";
	options.waiting = attempt->one->waiting;
	options.waiting_data = attempt->one->data;
	options.retry_after = &attempt->retry_after;
	return fetch_url(attempt->one->fetcher, attempt->row->url, &options, error);
}

/* --- lists --- */

/* PEM is met on some servers; what is neither is given on as it is and refused there. */
static GBytes *
der_of(GBytes *bytes)
{
	static const char begin[] = "-----BEGIN X509 CRL-----";
	gsize length;
	const char *text = g_bytes_get_data(bytes, &length);
	const char *start = g_strstr_len(text, (gssize)MIN(length, 4096), begin);

	if (length == 0 || text[0] == 0x30 || start == NULL)
		return g_bytes_ref(bytes);
	start += strlen(begin);
	const char *end = g_strstr_len(start, (gssize)(length - (gsize)(start - text)), "-----END");
	if (end == NULL)
		return g_bytes_ref(bytes);
	g_autofree char *inside = g_strndup(start, (gsize)(end - start));
	gsize size;
	guchar *der = g_base64_decode_inplace(inside, &size);
	return g_bytes_new(der, size);
}

static const char *
load_text(enum crl_load_outcome outcome)
{
	switch (outcome) {
	case CRL_LOAD_IN_FORCE:
		return "a newer list was taken";
	case CRL_LOAD_PRESENT:
		return "unchanged";
	case CRL_LOAD_OLDER:
		return "the store has a newer list than the server";
	case CRL_LOAD_KEPT:
	case CRL_LOAD_BROKEN:
		break;
	}
	return "not usable";
}

static gboolean
load_list(struct attempt *attempt, struct crl_loader *loader, GBytes *value, GError **error)
{
	g_autoptr(GBytes) der = der_of(value);
	g_autofree char *thumbprint = cert_thumbprint_of(der);
	enum crl_load_outcome outcome = CRL_LOAD_BROKEN;
	g_autofree char *reason = NULL;
	gboolean there = FALSE;

	if (!crl_load(loader, der, attempt->row->url, &outcome, &reason, error))
		return FALSE;
	/* It came before, and has no effect for the same reason. */
	if (outcome == CRL_LOAD_PRESENT && *reason != '\0')
		outcome = CRL_LOAD_KEPT;
	switch (outcome) {
	case CRL_LOAD_IN_FORCE:
	case CRL_LOAD_PRESENT:
	case CRL_LOAD_OLDER:
		set_result(attempt, FETCH_GOOD, load_text(outcome));
		break;
	case CRL_LOAD_KEPT:
	case CRL_LOAD_BROKEN:
		/* One good list of several is enough. */
		if (attempt->row->state != FETCH_GOOD)
			set_result(attempt, FETCH_FAILED,
				   reason != NULL && *reason != '\0' ? reason : load_text(outcome));
		return TRUE;
	}
	set_yield(attempt, thumbprint);
	return fetches_list_there(attempt->one->db, thumbprint, &there, &attempt->next_update,
				  error);
}

static gboolean
take_lists(struct attempt *attempt, const struct fetch_answer *answer, GError **error)
{
	CLEANUP(crl_loader)
	struct crl_loader *loader = crl_loader_new(attempt->one->db, attempt->one->changelog);

	set_result(attempt, FETCH_FAILED, "nothing in it is a revocation list");
	for (guint i = 0; i < answer->values->len; i++)
		if (!load_list(attempt, loader, g_ptr_array_index(answer->values, i), error))
			return FALSE;
	return TRUE;
}

/* --- intermediates --- */

static void
read_certs(GBytes *value, GPtrArray *certs)
{
	CLEANUP(bundle) struct bundle *bundle = NULL;

	if (cert_pair_read(value, certs))
		return;
	bundle = bundle_read(value, "answer", NULL, NULL);
	for (guint i = 0; bundle != NULL && i < bundle->certs->len; i++)
		g_ptr_array_add(certs, cert_ref(g_ptr_array_index(bundle->certs, i)));
}

/* The certificates that lack an issuer and name this URL for it. */
static GPtrArray *
read_askers(struct attempt *attempt, GError **error)
{
	g_autoptr(GPtrArray) points = fetch_points_list(attempt->one->db, attempt->row->url, error);
	g_autoptr(GPtrArray) askers = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	g_autoptr(GHashTable) depths =
	    points != NULL ? fetch_points_issuers(attempt->one->db, error) : NULL;

	if (depths == NULL)
		return NULL;
	attempt->depth = 1;
	for (guint i = 0; i < points->len; i++) {
		const struct fetch_point *point = g_ptr_array_index(points, i);
		const char *witness[] = { point->witness };

		if (point->kind != FETCH_ISSUER || point->witness == NULL)
			continue;
		g_autoptr(GPtrArray) rows =
		    certs_by_thumbprints(attempt->one->db, witness, 1, error);
		if (rows == NULL)
			return NULL;
		const struct cert_row *row = rows->len > 0 ? rows->pdata[0] : NULL;
		struct cert *cert = row != NULL ? cert_parse(row->der, NULL) : NULL;
		if (cert == NULL)
			continue;
		g_ptr_array_add(askers, cert);
		gint depth = GPOINTER_TO_INT(g_hash_table_lookup(depths, point->witness));
		attempt->depth = MAX(attempt->depth, depth + 1);
	}
	return g_steal_pointer(&askers);
}

static gboolean
issued_any(const struct cert *issuer, const GPtrArray *certs)
{
	for (guint i = 0; i < certs->len; i++)
		if (cert_is_issued_by(g_ptr_array_index(certs, i), issuer))
			return TRUE;
	return FALSE;
}

/* What issued an asker, or one that was taken already. A root is nobody's intermediate. */
static void
choose_issuers(struct attempt *attempt, const GPtrArray *askers, const GPtrArray *certs)
{
	gboolean more = TRUE;

	while (more && attempt->issuers->len < ISSUERS_MAX) {
		more = FALSE;
		for (guint i = 0; i < certs->len && attempt->issuers->len < ISSUERS_MAX; i++) {
			struct cert *cert = g_ptr_array_index(certs, i);

			if (!cert_is_ca(cert) || cert_is_self_issued(cert) ||
			    cert_not_after(cert) < attempt->one->now ||
			    cert_is_among(cert, attempt->issuers) ||
			    (!issued_any(cert, askers) && !issued_any(cert, attempt->issuers)))
				continue;
			g_ptr_array_add(attempt->issuers, cert_ref(cert));
			more = TRUE;
		}
	}
}

static gboolean
take_issuers(struct attempt *attempt, const struct fetch_answer *answer, GError **error)
{
	g_autoptr(GPtrArray) certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	g_autoptr(GPtrArray) askers = read_askers(attempt, error);

	if (askers == NULL)
		return FALSE;
	for (guint i = 0; i < answer->values->len; i++)
		read_certs(g_ptr_array_index(answer->values, i), certs);
	choose_issuers(attempt, askers, certs);
	if (attempt->issuers->len > 0) {
		set_result(attempt, FETCH_GOOD, "the missing intermediate was taken");
		set_yield(attempt, cert_thumbprint(g_ptr_array_index(attempt->issuers, 0)));
	} else if (certs->len == 0) {
		set_result(attempt, FETCH_FAILED, "nothing in it is a certificate");
	} else {
		set_result(attempt, FETCH_FAILED,
			   "none of its certificates is the issuer that is missing");
	}
	return TRUE;
}

static gboolean
store_issuers(struct attempt *attempt, struct tx *tx, GError **error)
{
	const struct import_options options = { .name = attempt->row->url, .origin = "fetch" };

	attempt->brought = FALSE;
	for (guint i = 0; i < attempt->issuers->len; i++) {
		const struct cert *cert = g_ptr_array_index(attempt->issuers, i);
		gboolean is_new;

		if (!import_cert(tx, cert, &options, &is_new, error))
			return FALSE;
		if (is_new &&
		    !fetch_points_add_issuer(tx, cert_thumbprint(cert), attempt->depth + (gint)i,
					     attempt->row->url, error))
			return FALSE;
		attempt->brought |= is_new;
	}
	return TRUE;
}

/* --- the outcome --- */

static void
take_unchanged(struct attempt *attempt)
{
	gboolean late = attempt->next_update < attempt->one->now;

	set_result(attempt, FETCH_GOOD,
		   late ? "unchanged, although a newer one is due" : "unchanged");
}

static gboolean
take(struct attempt *attempt, const struct fetch_answer *answer, GError **error)
{
	struct fetch_row *row = attempt->row;

	if (answer->unchanged) {
		take_unchanged(attempt);
		return TRUE;
	}
	if (!(row->kind == FETCH_CRL ? take_lists(attempt, answer, error)
				     : take_issuers(attempt, answer, error)))
		return FALSE;
	/* Only what was taken may be asked for under a condition. */
	g_free(row->etag);
	row->etag = row->state == FETCH_GOOD ? g_strdup(answer->etag) : NULL;
	row->last_modified = row->state == FETCH_GOOD ? answer->last_modified : 0;
	return TRUE;
}

static void
finish_row(struct attempt *attempt)
{
	struct fetch_row *row = attempt->row;
	gboolean good = row->state == FETCH_GOOD;
	g_autofree char *seed = g_strconcat(row->url, " ", g_get_host_name(), NULL);

	row->failures = good ? 0 : row->failures + 1;
	row->last_try = attempt->one->now;
	if (good)
		row->last_success = attempt->one->now;
	const struct fetch_outcome outcome = {
		.now = attempt->one->now,
		.interval = attempt->one->settings->crl_update_interval,
		.seed = seed,
		.next_update = attempt->next_update,
		.max_age = attempt->max_age,
		.failures = row->failures,
		.retry_after = attempt->retry_after,
	};
	row->next_try = fetch_schedule_next(&outcome);
}

static gboolean
write_outcome(struct tx *tx, gpointer data, GError **error)
{
	struct attempt *attempt = data;
	gboolean kept;

	return store_issuers(attempt, tx, error) && fetches_record(tx, attempt->row, &kept, error);
}

static gboolean
attempt_run(struct attempt *attempt, GError **error)
{
	struct fetch_options options = { 0 };
	g_autoptr(GError) why = NULL;

	if (!prepare(attempt, &options, error))
		return FALSE;
	CLEANUP(fetch_answer) struct fetch_answer *answer = ask(attempt, &options, &why);
	/* Given up here, nobody's failure: the row stays as it is. */
	if (answer == NULL && attempt->one->waiting != NULL &&
	    !attempt->one->waiting(attempt->one->data))
		return TRUE;
	if (answer == NULL) {
		set_result(attempt, FETCH_FAILED, why->message);
	} else {
		attempt->max_age = answer->max_age;
		if (!take(attempt, answer, error))
			return FALSE;
	}
	finish_row(attempt);
	return db_transaction(attempt->one->db, write_outcome, attempt, error);
}

gboolean
fetch_one_run(const struct fetch_one *one, const char *url, gboolean *brought, GError **error)
{
	g_autoptr(GError) absent = NULL;
	CLEANUP(fetch_row) struct fetch_row *row = fetches_find(one->db, url, &absent);

	*brought = FALSE;
	if (row == NULL && g_error_matches(absent, PS_ERROR, PS_ERROR_NOT_FOUND))
		return TRUE; /* nothing names it any more */
	if (row == NULL) {
		g_propagate_error(error, g_steal_pointer(&absent));
		return FALSE;
	}
	gboolean from_the_future = row->last_try > one->now; /* the clock was set back */
	if (row->next_try == CLOCK_NEVER || (row->next_try > one->now && !from_the_future))
		return TRUE; /* another was faster */
	struct attempt attempt = {
		.one = one,
		.row = row,
		.next_update = CLOCK_NEVER,
		.max_age = -1,
		.retry_after = -1,
		.issuers = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref),
	};
	gboolean good = attempt_run(&attempt, error);
	*brought = attempt.brought;
	g_ptr_array_unref(attempt.issuers);
	return good;
}
