/*
 * acme_next - the keys that accounts with ACME servers are to have.
 *
 * A key is put here before the server hears of it, with the time of asking, and moves to the
 * account when the server is known to have changed to it; until then nobody but the server knows
 * which one counts. Sealed for ("acme_account_next", "config/directory"). Threads: any. Errors:
 * those of the database.
 */
#ifndef STORE_ACME_NEXT_H
#define STORE_ACME_NEXT_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

struct acme_next_row {
	char *config, *directory;
	char *algorithm, *thumbprint;
	GBytes *sealed;
	gint64 generation;
	gint64 asked; /* CLOCK_NEVER: the server was not, or has said no */
};

/* *row NULL: there is none. */
gboolean acme_next_find(struct db *db, const char *config, const char *directory,
			struct acme_next_row **row, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* In place of one that the server has not; one that it may have stays, and *put is FALSE. */
gboolean acme_next_put(struct tx *tx, const struct acme_next_row *row, gboolean *put,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The server has said no to what was asked at that time. */
gboolean acme_next_refused(struct tx *tx, const struct acme_next_row *row,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* It is the account's key from now on, in place of the old one and sealed for there; also in the
 * answers to challenges that wait. Does nothing where somebody else has done it. */
gboolean acme_next_take(struct tx *tx, const struct acme_next_row *row, const char *old_thumbprint,
			GBytes *sealed, gint64 generation,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Records in the DNS have the old key in them until they are taken away. */
gboolean acme_next_is_hindered(struct db *db, const char *config, gint64 now, gboolean *hindered,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;

void acme_next_row_free(struct acme_next_row *row);
DEFINE_CLEANUP(acme_next_row, acme_next_row_free)

#endif
