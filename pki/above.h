/*
 * above - all that a judgement needs besides the certificate itself: it depends on its issuer's
 * name alone, and is kept by that.
 *
 * The CA certificates of the store that some path from there may pass, the roots that it may end
 * at, who signs the revocation lists concerned, and the CTL entries of all of these. Kept until
 * something of it changes. What is given out is immutable and shared. Threads: any.
 */
#ifndef PKI_ABOVE_H
#define PKI_ABOVE_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "store/base/cleanup.h"

struct aboves;
struct cache_limits;
struct changelog;
struct db;
struct revocation;

struct above {
	gint references;
	GPtrArray *anchors;    /* struct cert */
	GPtrArray *candidates; /* struct cert; with the hints, where there were some */
	GPtrArray *ctl;        /* struct ctl_row of these */
	GHashTable *own;       /* thumbprints of our CAs' certificates */
	GHashTable
	    *list_keys; /* issuer keys whose revocation lists count; empty: none are wanted */
	GArray *tags;   /* what it rests on */
};

enum above_lists { ABOVE_WITHOUT_LISTS, ABOVE_WITH_LISTS };

struct aboves *aboves_new(struct db *db, struct changelog *changelog, struct revocation *revocation,
			  const struct cache_limits *limits);
void aboves_free(struct aboves *aboves);
/* hints: further candidates (struct cert), never trusted, or NULL. */
struct above *above_find(struct aboves *aboves, const struct cert *cert, enum above_lists lists,
			 GPtrArray *hints, GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct above *above_ref(struct above *above);
void above_unref(struct above *above);

DEFINE_CLEANUP(aboves, aboves_free)
DEFINE_CLEANUP(above, above_unref)

#endif
