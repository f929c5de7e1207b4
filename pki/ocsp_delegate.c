/*
 * ocsp_delegate - issues and finds responder certificates.
 */
#include "pki/ocsp_delegate.h"

#include "pki/crypto/issue.h"
#include "pki/import.h"
#include "pki/keyring.h"
#include "pki/ocsp_issuers.h"
#include "pki/ocsp_responder.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/certs.h"
#include "store/db/db.h"
#include "store/db/tx.h"
#include "store/ocsp_answers.h"

#define DAY 86400
#define BACKDATE_SECONDS 600
#define COMMON_NAME_MAX 64
#define KEEP_SECONDS (30 * DAY)

struct search {
	struct keyring *keyring;
	struct db *db;
	const struct ocsp_issuer *issuer;
	gint64 now, validity_seconds;
	struct cert *cert; /* found, or made */
	struct key *key;   /* of what was made */
	gboolean may_make, made;
};

void
ocsp_delegate_free(struct ocsp_delegate *delegate)
{
	if (delegate == NULL)
		return;
	cert_unref(delegate->cert);
	key_unref(delegate->key);
	g_free(delegate);
}

static void
search_clear(struct search *search)
{
	cert_unref(search->cert);
	key_unref(search->key);
	search->cert = NULL;
	search->key = NULL;
	search->made = FALSE;
}

/* So long before its end the next one is made: in time for every answer to be whole. */
static gint64
margin(const struct search *search)
{
	return MAX(OCSP_RESPONDER_DAYS * DAY / 3, search->validity_seconds + DAY);
}

/* Or as long as the issuer itself. */
static gboolean
is_enough(const struct search *search, const struct cert *cert)
{
	return cert_not_after(cert) >=
	       MIN(search->now + margin(search), cert_not_after(search->issuer->cert));
}

static char *
common_name(const struct cert *issuer)
{
	g_autofree char *whole = g_strdup_printf("OCSP %s", cert_common_name(issuer));

	if (g_utf8_strlen(whole, -1) <= COMMON_NAME_MAX)
		return g_steal_pointer(&whole);
	return g_utf8_substring(whole, 0, COMMON_NAME_MAX);
}

static gboolean
store_made(struct search *search, struct tx *tx, GError **error)
{
	const struct cert *cert = search->cert;
	CLEANUP(cert_row) struct cert_row *row = cert_row_from(cert);
	struct ocsp_responder_row responder = {
		.thumbprint = (char *)cert_thumbprint(cert),
		.issuer_key = (char *)cert_subject_key(search->issuer->cert),
		.issuer_spki = (char *)cert_spki_sha256(search->issuer->cert),
		.spki_sha256 = (char *)cert_spki_sha256(cert),
		.not_after = cert_not_after(cert),
	};
	gboolean is_new;

	g_free(row->origin);
	row->origin = g_strdup("handler");
	row->origin_detail = g_strdup("builtin: OCSP responder");
	row->own_ca = g_strdup(cert_thumbprint(search->issuer->cert));
	row->issued = search->now;
	return certs_insert(tx, row, &is_new, error) &&
	       ocsp_responders_insert(tx, &responder, error);
}

/* Answers are signed by the thousand: the quick kind of key that fits the issuer's readers. */
static gboolean
make(struct search *search, struct tx *tx, GError **error)
{
	static const char *const usages[] = { "OCSPSigning", NULL };
	const struct cert *issuer = search->issuer->cert;
	CLEANUP(key)
	struct key *ca_key = keyring_find(search->keyring, cert_spki_sha256(issuer), error);
	if (ca_key == NULL)
		return FALSE;
	gboolean rsa = cert_key_kind(issuer) == KEY_KIND_RSA;
	search->key =
	    keyring_generate(search->keyring, tx, rsa ? "rsa:2048" : "ec:P-256", 0, error);
	if (search->key == NULL)
		return FALSE;
	g_autofree char *name = common_name(issuer);
	gint64 from = MAX(search->now - BACKDATE_SECONDS, cert_not_before(issuer));
	const struct issue_spec spec = {
		.names = { .common_name = name },
		.spki = key_spki(search->key),
		.not_before = from,
		.not_after = MIN(from + OCSP_RESPONDER_DAYS * DAY - 1, cert_not_after(issuer)),
		.hash = ALGORITHM_UNKNOWN,
		.path_length = -1,
		.key_usage = KEY_USAGE_DIGITAL_SIGNATURE,
		.extended_usages = usages,
		.no_check = TRUE,
	};
	search->cert = issue_cert(&spec, issuer, ca_key, error);
	search->made = TRUE;
	return search->cert != NULL && store_made(search, tx, error);
}

static gboolean
find(struct tx *tx, gpointer data, GError **error)
{
	struct search *search = data;
	const struct cert *issuer = search->issuer->cert;
	CLEANUP(ocsp_responder_row) struct ocsp_responder_row *row = NULL;

	search_clear(search);
	if (search->may_make && !ocsp_responders_lock(tx, cert_subject_key(issuer), error))
		return FALSE;
	if (!ocsp_responders_find(tx, cert_subject_key(issuer), cert_spki_sha256(issuer), &row,
				  error))
		return FALSE;
	search->cert = row != NULL ? cert_parse(row->der, error) : NULL;
	if (row != NULL && search->cert == NULL)
		return FALSE;
	if (!search->may_make || (search->cert != NULL && is_enough(search, search->cert)))
		return TRUE;
	search_clear(search);
	return make(search, tx, error);
}

/* An old one does until its end, where the issuer's key was taken away. */
static gboolean
fall_back(struct search *search, GError *why, GError **error)
{
	search->may_make = FALSE;
	if (g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND) &&
	    db_transaction(search->db, find, search, NULL) && search->cert != NULL &&
	    cert_not_after(search->cert) > search->now) {
		g_error_free(why);
		return TRUE;
	}
	g_propagate_prefixed_error(
	    error, why, "OCSP responder of '%s': ", cert_common_name(search->issuer->cert));
	return FALSE;
}

static gboolean
find_or_make(struct search *search, GError **error)
{
	GError *why = NULL;

	if (!db_transaction(search->db, find, search, error))
		return FALSE;
	if (search->cert != NULL && is_enough(search, search->cert))
		return TRUE;
	search->may_make = TRUE;
	if (!db_transaction(search->db, find, search, &why))
		return fall_back(search, why, error);
	if (search->made)
		log_info("certificate of an OCSP responder made", "ca",
			 cert_common_name(search->issuer->cert));
	return TRUE;
}

struct ocsp_delegate *
ocsp_delegate_get(struct db *db, struct keyring *keyring, struct clock *clock,
		  const struct ocsp_issuer *issuer, gint64 validity_seconds, GError **error)
{
	struct search search = {
		.keyring = keyring,
		.db = db,
		.issuer = issuer,
		.now = clock_now(clock),
		.validity_seconds = validity_seconds,
	};
	struct ocsp_delegate *delegate = NULL;

	if (find_or_make(&search, error)) {
		CLEANUP(key)
		struct key *key = keyring_find(keyring, cert_spki_sha256(search.cert), error);
		if (key != NULL) {
			delegate = g_new0(struct ocsp_delegate, 1);
			delegate->cert = cert_ref(search.cert);
			delegate->key = g_steal_pointer(&key);
		}
	}
	search_clear(&search);
	return delegate;
}

/* --- clearing up --- */

struct removal {
	struct keyring *keyring;
	const struct ocsp_responder_row *row;
};

static gboolean
remove_one(struct tx *tx, gpointer data, GError **error)
{
	const struct removal *removal = data;
	g_autoptr(GError) gone = NULL, no_key = NULL;

	if (!ocsp_responders_delete(tx, removal->row->thumbprint, error))
		return FALSE;
	if (!certs_delete(tx, removal->row->thumbprint, &gone) &&
	    !g_error_matches(gone, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&gone));
		return FALSE;
	}
	if (!keyring_delete(removal->keyring, tx, removal->row->spki_sha256, TRUE, &no_key) &&
	    !g_error_matches(no_key, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&no_key));
		return FALSE;
	}
	return TRUE;
}

gboolean
ocsp_delegates_forget(struct db *db, struct keyring *keyring, gint64 now, GError **error)
{
	g_autoptr(GPtrArray) rows = ocsp_responders_list(db, error);

	if (rows == NULL)
		return FALSE;
	for (guint i = 0; i < rows->len; i++) {
		struct removal removal = { keyring, g_ptr_array_index(rows, i) };

		if (removal.row->not_after < now - KEEP_SECONDS &&
		    !db_transaction(db, remove_one, &removal, error))
			return FALSE;
	}
	return TRUE;
}
