/*
 * revocation - the revocation lists in force, parsed once and kept, by issuer.
 *
 * The index (which lists there are of an issuer) is read once and then an issuer at a time, when
 * the change log names it. A list is read and parsed when a path first needs it, by one thread
 * while others that need it wait, and stays until it leaves the store or for want of memory: the
 * least recently used go first; the one that was just asked for stays whatever its size. What
 * earlier lists revoked comes with it. Whether a list fits a certificate is
 * pki/crypto/crl_check's question. Threads: any.
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

#define REVOCATION_MEMORY_BYTES (256 * 1024 * 1024) /* until revocation_set_memory */

struct revocation_stats {
	guint lists;   /* parsed and held */
	gsize bytes;   /* that they take */
	guint64 loads; /* how often one was read from the store */
};

/* changelog NULL (tests): the index is read every time. */
struct revocation *revocation_new(struct db *db, struct changelog *changelog);
void revocation_set_memory(struct revocation *revocation, gsize bytes_max);
void revocation_stats(struct revocation *revocation, struct revocation_stats *stats);
void revocation_free(struct revocation *revocation);
/* Every list (struct crl) that may speak of one of these certificates: of its issuer, or of who
 * its distribution points name. Unref the array. */
GPtrArray *revocation_lists(struct revocation *revocation, GPtrArray *certs,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same for a set of issuer keys. */
GPtrArray *revocation_lists_of(struct revocation *revocation, GHashTable *issuer_keys,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(revocation, revocation_free)

#endif
