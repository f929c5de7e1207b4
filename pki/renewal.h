/*
 * renewal - a certificate in place of one that is about to end: the same data, a new key.
 *
 * What to order comes from the request that obtained the old one, whatever its handler; of one that
 * came otherwise from the certificate itself. The job renew orders for what is due: nobody has
 * to, `request create --renew` does the same by hand. Threads: any.
 */
#ifndef PKI_RENEWAL_H
#define PKI_RENEWAL_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct enroll;
struct enroll_order;
struct renewal;

/* thumbprint: a prefix is enough if it fits only one. NOT_FOUND; INVALID: it cannot be renewed, and
 * why (a CA's, revoked for its key, without an address). */
struct renewal *renewal_plan(struct db *db, const char *thumbprint,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* With renews set; borrowed, as long as the renewal. The caller may copy and change it. */
const struct enroll_order *renewal_order(const struct renewal *renewal);
void renewal_free(struct renewal *renewal);

/* Orders what is due, at most so many; *ordered counts. Failures are kept with the certificate and
 * tried again later. */
gboolean renewal_run(const struct enroll *enroll, gint limit, guint *ordered,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(renewal, renewal_free)

#endif
