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
 * Those that a request of ours obtained, whose CA would have them renewed now or, where it does not
 * say, that end within so many days (or the last third of their validity, which is less for short
 * ones), whose key is here, with nothing newer from a request
 * for the same, nothing under way, and an address that nobody has deleted as a user. What is
 * revoked or covered otherwise the caller knows. The next to end first.
 */
GPtrArray *renewals_due(struct db *db, gint64 now, gint64 days, gint limit,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* request_id 0: nothing was ordered, and note says why. */
gboolean renewals_note(struct tx *tx, const char *thumbprint, gint64 request_id, gint64 next_try,
		       const char *note, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What the CA of a certificate says about its renewal (RFC 9773). */
struct renewal_advice {
	char *thumbprint;
	GBytes *der;
	char *handler, *handler_config;  /* of its request */
	gint64 window_start, window_end; /* CLOCK_NEVER: it does not say */
	gint64 renew_at;                 /* drawn from these */
	gint64 asked, next_ask;          /* CLOCK_NEVER: not asked yet */
	gint failures;                   /* in a row */
	char *error;                     /* of the last one, or "" */
};
/* Certificates of these handlers that are to be renewed some day and whose turn to be asked about
 * it is; those that were never asked about first. */
GPtrArray *renewal_advice_due(struct db *db, const char *const *handlers, gint64 now, gint limit,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean renewal_advice_save(struct tx *tx, const struct renewal_advice *advice,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What is known; *advice NULL: nothing was asked. The certificate and its request are left out. */
gboolean renewal_advice_find(struct db *db, const char *thumbprint, struct renewal_advice **advice,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;

void renewal_advice_free(struct renewal_advice *advice);
DEFINE_CLEANUP(renewal_advice, renewal_advice_free)
void renewal_row_free(struct renewal_row *row);
DEFINE_CLEANUP(renewal_row, renewal_row_free)

#endif
