/*
 * ca_point - what the distribution point of our own CA gives to everybody else (C7).
 *
 * The point is fetched like any other, as soon as a certificate of the store names it; what came
 * last is compared with what we made last.
 */
#include <string.h>

#include "pki/ca_internal.h"
#include "pki/crypto/cert.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/crls.h"
#include "store/fetches.h"

/* NULL with *error; *row NULL without: there is none. */
static gboolean
find_fetch(struct db *db, const char *url, struct fetch_row **row, GError **error)
{
	g_autoptr(GError) why = NULL;

	*row = fetches_find(db, url, &why);
	if (*row == NULL && !g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&why));
		return FALSE;
	}
	return TRUE;
}

static gboolean
find_newest(struct db *db, const struct cert *cert, struct crl_row **row, GError **error)
{
	g_autoptr(GError) why = NULL;

	*row = crls_newest(db, cert_subject_key(cert), cert_ski(cert), &why);
	if (*row == NULL && !g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&why));
		return FALSE;
	}
	return TRUE;
}

static char *
compare(const struct ca_row *ca, const struct fetch_row *fetch, const struct crl_row *newest,
	gint64 now)
{
	if (fetch->state == FETCH_NEVER)
		return NULL;
	if (fetch->state == FETCH_FAILED)
		return g_strdup_printf("the CRL of '%s' cannot be fetched from %s: %s", ca->name,
				       fetch->url, fetch->result);
	if (newest == NULL)
		return NULL;
	if (newest->next_update < now)
		return g_strdup_printf("the CRL of '%s' is out of date, and so is what %s gives",
				       ca->name, fetch->url);
	/* What was made after the last look may well be there by now. */
	if (g_strcmp0(fetch->yield, newest->thumbprint) == 0 || newest->created >= fetch->last_try)
		return NULL;
	return g_strdup_printf(
	    "%s holds an older CRL of '%s' than number %s, which is in force here: "
	    "publish that with 'postseal ca export --crl'",
	    fetch->url, ca->name, newest->number);
}

gboolean
ca_point_fault(const struct ca_context *context, const struct ca_row *ca, gint64 now, char **fault,
	       gint64 *looked, GError **error)
{
	*fault = NULL;
	*looked = 0;
	if (ca->thumbprint == NULL)
		return TRUE;
	CLEANUP(ca_defaults) struct ca_defaults *defaults = ca_defaults_load(context->db, error);
	if (defaults == NULL)
		return FALSE;
	CLEANUP(cert) struct cert *cert = ca_load_cert(context->db, ca->thumbprint, error);
	if (cert == NULL)
		return FALSE;
	g_autofree char *url = ca_url_of(context, defaults, CA_URL_CRL, cert, 0);
	if (url == NULL)
		return TRUE;
	CLEANUP(fetch_row) struct fetch_row *fetch = NULL;
	CLEANUP(crl_row) struct crl_row *newest = NULL;
	if (!find_fetch(context->db, url, &fetch, error) ||
	    !find_newest(context->db, cert, &newest, error))
		return FALSE;
	if (fetch == NULL)
		return TRUE;
	*looked = fetch->last_try;
	*fault = compare(ca, fetch, newest, now);
	return TRUE;
}
