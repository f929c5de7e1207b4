/*
 * harvests - certificates out of signed mail, and which of them were ever used.
 *
 * The filter writes both through SQL functions of its own, which keep the limits even when a
 * filter is not what it should be. Threads: any. Errors: those of the database.
 */
#ifndef STORE_HARVESTS_H
#define STORE_HARVESTS_H

#include <glib.h>

struct cert_row;
struct db;
struct tx;

enum harvest_outcome { HARVEST_NEW, HARVEST_PRESENT, HARVEST_LIMIT };

/* sender_key: whose mail it came in (mailaddr_key). row->pending says whether it waits (S1). */
gboolean harvests_add(struct db *db, const struct cert_row *row, const char *sender_key,
		      enum harvest_outcome *outcome, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Mail was encrypted to these today; those that did not come by themselves are passed over. */
gboolean harvests_used(struct db *db, const char *const *thumbprints, gsize n,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Drops what came in before that time and was never used, at most 1,000 of them, but for what an
 * administrator has chosen, marked in the CTL or given a key to. */
gboolean harvests_expire(struct tx *tx, gint64 before, gint64 *dropped,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
