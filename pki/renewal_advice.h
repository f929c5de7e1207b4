/*
 * renewal_advice - when CAs would have their certificates renewed, asked and remembered (RFC 9773).
 *
 * The moment is drawn from the CA's window once and stays while the window does; the CA is asked
 * again as often as it says, within bounds. What it says goes before the days of our own, which
 * count where it says nothing; a moment too close to the end of the certificate is brought forward.
 * Threads: any; several daemons at worst ask twice.
 */
#ifndef PKI_RENEWAL_ADVICE_H
#define PKI_RENEWAL_ADVICE_H

#include <glib.h>

struct enroll;

/* Asks about at most so many certificates, and lets the job renew run when one is due. A CA that
 * does not answer is asked about one certificate in a run. enroll->stopping ends it. */
gboolean renewal_advice_run(const struct enroll *enroll, gint limit,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Pure. A moment in the window by a random number, but a tenth of the validity, and no more than a
 * day, away from both ends of the certificate: a CA that always says "now" does not keep us busy.
 */
gint64 renewal_advice_moment(gint64 start, gint64 end, gint64 not_before, gint64 not_after,
			     guint32 chance);
/* Pure. When to ask again: as the CA says (0 or less: it does not), a minute to a day; a failure
 * later each time, as far as six hours. */
gint64 renewal_advice_pause(gint64 said_seconds, gint failures);

#endif
