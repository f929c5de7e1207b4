/*
 * issuer_pool - the roots and the CA certificates of the store, parsed, for path building.
 *
 * Roots are few and are all kept, beside the bound on memory; CA certificates are kept by subject
 * as they are asked for. Both are read again when what they are has changed. What is given out is
 * a snapshot and stays valid. Threads: any.
 */
#ifndef PKI_ISSUER_POOL_H
#define PKI_ISSUER_POOL_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "store/base/cleanup.h"

struct cache_limits;
struct changelog;
struct db;
struct issuer_pool;

struct issuer_pool *issuer_pool_new(struct db *db, struct changelog *changelog,
				    const struct cache_limits *limits);
void issuer_pool_free(struct issuer_pool *pool);

/* struct cert; all trust anchors. Unref the array. Rests on any CHANGE_ROOT. */
GPtrArray *issuer_pool_roots(struct issuer_pool *pool, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Appends to certs (struct cert, owning) every CA certificate above cert, by name, that is not
 * in it yet; what is in certs already is followed upwards as well. */
gboolean issuer_pool_climb(struct issuer_pool *pool, struct cert *cert, GPtrArray *certs,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same from a name. asked: a set of the names that have been followed, which it adds to and
 * whose CHANGE_ISSUER the answer rests on; its texts belong to the certificates and the caller. */
gboolean issuer_pool_climb_from(struct issuer_pool *pool, const char *issuer_key, GHashTable *asked,
				GPtrArray *certs, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All certificates of this subject, CA or not (a CRL may have a signer of its own). Rests on any
 * CHANGE_CERT: only of CA certificates is it told by name that they came. */
gboolean issuer_pool_named(struct issuer_pool *pool, const char *subject_key, GPtrArray *certs,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Thumbprints of the issuing certificates of our own CAs. Unref the table. Rests on any
 * CHANGE_CA. */
GHashTable *issuer_pool_own(struct issuer_pool *pool, GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(issuer_pool, issuer_pool_free)

#endif
