/*
 * directory_values - what an LDAP attribute holds, to certificates.
 *
 * A value is a DER certificate (userCertificate, cACertificate), a PKCS#7 SignedData whose
 * certificates alone count (userSMIMECertificate), or a crossCertificatePair (RFC 4523 section
 * 2.3); which one is told by looking, since servers put either in either. Nothing is trusted here.
 * Threads: any; results belong to the caller.
 */
#ifndef PKI_DIRECTORY_VALUES_H
#define PKI_DIRECTORY_VALUES_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/base/mailaddr.h"

#define DIRECTORY_VALUE_CERTS_MAX 32 /* of one value */
#define DIRECTORY_CERTS_MAX 10       /* that one address gets */

/* Of struct cert *; never empty. INVALID: none of the three forms, or too many. */
GPtrArray *directory_value_certs(GBytes *value, GError **error) G_GNUC_WARN_UNUSED_RESULT;

struct directory_taken {
	GPtrArray *certs; /* of struct cert *: fit for the address, newest first */
	guint refused;    /* values and certificates that do not fit */
	char *why;        /* of the first of these, or NULL */
};

/* Of struct ldap_value *: those certificates that name the address, are meant for mail, are no
 * CA's, have not expired at `now`, and keep within the limits of what comes by itself (T7). */
struct directory_taken *directory_values_take(const GPtrArray *values,
					      const struct mailaddr *address, gint64 now);
void directory_taken_free(struct directory_taken *taken); /* NULL is fine */

DEFINE_CLEANUP(directory_taken, directory_taken_free)

#endif
