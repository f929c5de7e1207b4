/*
 * revocation - the revocation lists of the store, parsed once and kept, by issuer.
 *
 * A list is read and parsed when a path first needs it and stays until it leaves the store.
 * Whether it fits a certificate is pki/crypto/crl_check's question. Threads: any.
 */
#ifndef PKI_REVOCATION_H
#define PKI_REVOCATION_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/crl.h"
#include "store/base/cleanup.h"

#define REVOCATION_GRACE_SECONDS (7 * 24 * 3600) /* if-available, past nextUpdate (T6) */

struct changelog;
struct db;
struct revocation;

struct revocation *revocation_new(struct db *db, struct changelog *changelog);
void revocation_free(struct revocation *revocation);
/* Every list (struct crl) that may speak of one of these certificates: of its issuer, or of who
 * its distribution points name. Unref the array. */
GPtrArray *revocation_lists(struct revocation *revocation, GPtrArray *certs,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(revocation, revocation_free)

#endif
