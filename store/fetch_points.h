/*
 * fetch_points - which URLs certificates name: found in the store, and as a run has judged them.
 *
 * A point is an ordered list of URLs that lead to the same thing (the names of one CRL
 * distribution point, the caIssuers of one certificate). Certificates are looked at in groups of
 * the same issuer and the same bytes of the extensions, so that a run over a million of them
 * judges a few hundred. Threads: any.
 */
#ifndef STORE_FETCH_POINTS_H
#define STORE_FETCH_POINTS_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/fetches.h"

#define FETCH_GROUP_CANDIDATES 8
#define FETCH_PAGE 50000 /* ids of certificates a query */

struct fetch_group {
	char *issuer_key, *aki; /* aki: "" when there is none */
	GBytes *points;         /* of distribution points and freshest CRLs: an opaque key */
	gint64 certificates;
	GStrv candidates; /* thumbprints, imported ones first, then those that last longest */
};

struct fetch_point {
	enum fetch_kind kind;
	GStrv urls;
	char *witness; /* thumbprint: one that names it and verifies, or the one without issuer */
	gint64 certificates;
};

struct fetch_run {
	gint64 finished; /* 0: there was none */
	gint64 certificates, points, left_out;
	gint64 retry_before; /* of a run: what failed before this is due again at once */
};

/* The largest id of certificates; 0: there is none, -1 on failure. */
gint64 fetch_points_last_id(struct db *db, GError **error);
/* Groups of the certificates with ids after `after`, at most FETCH_PAGE of them, that are not past
 * their dates, name something, and whose issuer's name is that of a root or CA in the store. */
GPtrArray *fetch_points_groups(struct db *db, gint64 after, gint64 now,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same, all in one group: candidates page by page when the first ones were none (after: a
 * thumbprint, "" to begin). Thumbprints in their order; empty at the end. */
GStrv fetch_points_members(struct db *db, const struct fetch_group *group, const char *after,
			   gint64 now, gint limit, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Thumbprints of certificates that an administrator imported or a handler brought (or that were
 * fetched as issuers) and whose issuer's name is not in the store; one an issuer, newest first. */
GStrv fetch_points_orphans(struct db *db, gint64 now, gint limit,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* All points of a run (struct fetch_point *), in place of those before: new URLs become rows,
 * the first name of a point due now; what failed long ago is due again; what nothing names any more
 * goes. Says that the run is done. */
gboolean fetch_points_replace(struct tx *tx, const GPtrArray *points, const struct fetch_run *run,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The points that name a URL, or all (NULL). struct fetch_point *. */
GPtrArray *fetch_points_list(struct db *db, const char *url_or_null,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Intermediates that were fetched: how far each is from a certificate that came by itself. */
gboolean fetch_points_add_issuer(struct tx *tx, const char *thumbprint, gint depth, const char *url,
				 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Thumbprint -> GINT_TO_POINTER(depth). */
GHashTable *fetch_points_issuers(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean fetch_points_last_run(struct db *db, struct fetch_run *run,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;

void fetch_group_free(struct fetch_group *group);
void fetch_point_free(struct fetch_point *point);
DEFINE_CLEANUP(fetch_group, fetch_group_free)
DEFINE_CLEANUP(fetch_point, fetch_point_free)

#endif
