/*
 * renewals - certificates about to end, and what the job renew did about them.
 *
 * Threads: any.
 */
#ifndef STORE_RENEWALS_H
#define STORE_RENEWALS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

struct renewal_row {
	char *thumbprint;
	gint64 request_id; /* that obtained it */
	gint attempts;     /* so many new ones were asked for */
};

/*
 * Those that a request of ours obtained, that end within so many days (or the last third of their
 * validity, which is less for short ones), whose key is here, with nothing newer from a request
 * for the same, nothing under way, and an address that nobody has deleted as a user. What is
 * revoked or covered otherwise the caller knows. The next to end first.
 */
GPtrArray *renewals_due(struct db *db, gint64 now, gint64 days, gint limit,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* request_id 0: nothing was ordered, and note says why. */
gboolean renewals_note(struct tx *tx, const char *thumbprint, gint64 request_id, gint64 next_try,
		       const char *note, GError **error) G_GNUC_WARN_UNUSED_RESULT;

void renewal_row_free(struct renewal_row *row);
DEFINE_CLEANUP(renewal_row, renewal_row_free)

#endif
