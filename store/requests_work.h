/*
 * requests_work - which requests wait for whom: what the workers of the daemons ask the store.
 *
 * Work is jobs of the kinds below, by "handler/configuration/slot": as many slots as requests of
 * that configuration may be under way at the same time, slot 0 being the one that is woken.
 * Threads: any.
 */
#ifndef STORE_REQUESTS_WORK_H
#define STORE_REQUESTS_WORK_H

#include <glib.h>

#include "store/requests.h"

#define REQUESTS_JOB_HERE "issue" /* handlers that answer inside of a transaction */
#define REQUESTS_JOB_ASK "ask-ca" /* handlers that ask others */

/* The oldest due one that nobody works on, locked; *row NULL: none. */
gboolean requests_lock_due(struct tx *tx, const char *handler, const char *config, gint64 now,
			   struct request_row **row, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* When the next one of this configuration is due; CLOCK_NEVER: none. *more: another is due now. */
gboolean requests_next_due(struct db *db, const char *handler, const char *config, gint64 now,
			   gint64 *next, gboolean *more, GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct requests_waiting {
	char *handler, *config;
	gint64 next;
};
/* Configurations with unfinished requests, and when the first is due; of struct
 * requests_waiting *. */
GPtrArray *requests_waiting(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void requests_waiting_free(struct requests_waiting *waiting);
/* Slot 0 of the configuration, from due on. here: it answers inside of a transaction. */
gboolean requests_call_worker(struct tx *tx, const char *handler, const char *config, gboolean here,
			      gint64 due, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Its settings were changed: what waited for that is due. *woken counts. */
gboolean requests_wake(struct tx *tx, const char *handler, const char *config, gint64 now,
		       gint64 *woken, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Numbers (gint64) of those that wait for a person and for longer than they may. */
GArray *requests_overdue(struct db *db, gint64 now, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Who asks goes on asking: FALSE with NOT_FOUND when the attempt is not his any more. */
gboolean requests_extend(struct db *db, gint64 id, gint attempt, gint64 until,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What processes of this host were asking about that are dead (store/base/holder.h): their leases end
 * now, and the next worker looks what became of it. */
gboolean requests_release_dead(struct tx *tx, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
