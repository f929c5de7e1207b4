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
#include "store/ca_lists.h"
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

static char *
compare(const struct ca_row *ca, const struct fetch_row *fetch, const struct ca_list_row *list,
	gint64 now)
{
	if (fetch->state == FETCH_NEVER)
		return NULL;
	if (fetch->state == FETCH_FAILED)
		return g_strdup_printf("the CRL of '%s' cannot be fetched from %s: %s", ca->name,
				       fetch->url, fetch->result);
	if (list->thumbprint == NULL)
		return NULL;
	if (list->next_update < now)
		return g_strdup_printf("the CRL of '%s' is out of date, and so is what %s gives",
				       ca->name, fetch->url);
	/* What was made after the last look may well be there by now. */
	if (g_strcmp0(fetch->yield, list->thumbprint) == 0 || list->made >= fetch->last_try)
		return NULL;
	return g_strdup_printf("%s holds an older CRL of '%s' than number %" G_GINT64_FORMAT
			       ", which is in force here: publish that with 'postseal ca export "
			       "--crl'",
			       fetch->url, ca->name, list->number);
}

/* Of all points that certificates of this part name; the first fault is enough. */
static gboolean
look_at_part(const struct ca_context *context, const struct ca_row *ca,
	     const struct ca_list_row *list, gint64 now, char **fault, gint64 *looked,
	     GError **error)
{
	for (char **url = list->urls; *url != NULL && *fault == NULL; url++) {
		CLEANUP(fetch_row) struct fetch_row *fetch = NULL;

		if (!find_fetch(context->db, *url, &fetch, error))
			return FALSE;
		if (fetch == NULL)
			continue;
		*looked = MAX(*looked, fetch->last_try);
		*fault = compare(ca, fetch, list, now);
	}
	return TRUE;
}

gboolean
ca_point_fault(const struct ca_context *context, const struct ca_row *ca, gint64 now, char **fault,
	       gint64 *looked, GError **error)
{
	*fault = NULL;
	*looked = 0;
	if (ca->thumbprint == NULL)
		return TRUE;
	g_autoptr(GPtrArray) lists = ca_lists_find(context->db, ca->thumbprint, error);
	if (lists == NULL)
		return FALSE;
	for (guint i = 0; i < lists->len && *fault == NULL; i++)
		if (!look_at_part(context, ca, g_ptr_array_index(lists, i), now, fault, looked,
				  error))
			return FALSE;
	return TRUE;
}
