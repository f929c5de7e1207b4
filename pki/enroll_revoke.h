/*
 * enroll_revoke - certificates are revoked where they were issued.
 *
 * Of our own CA in the transaction of the caller; elsewhere the order is saved, the handler that
 * brought the certificate asks its CA, and what fails is tried again. To revoke twice does no harm.
 * Threads: any; an order is worked on by one job.
 */
#ifndef PKI_ENROLL_REVOKE_H
#define PKI_ENROLL_REVOKE_H

#include "pki/enroll.h"

#define ENROLL_REVOKE_JOB "revoke-at-ca"

/* reason: RFC 5280 by name, or NULL. *order 0: done, by our own CA. INVALID says why it cannot be
 * revoked from here. */
gboolean enroll_revoke(const struct enroll *enroll, struct tx *tx, const char *thumbprint,
		       const char *reason, const char *requester, gint64 *order,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Asks the CA now. *next: when it is to be asked again; CLOCK_NEVER: not. */
gboolean enroll_revoke_work(const struct enroll *enroll, gint64 order, gint64 *next,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
