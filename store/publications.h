/*
 * publications - the lists that our CAs keep, and where what we publish was written.
 *
 * A target is a folder of one host or an LDAP server; an object is one CA certificate, list or user
 * certificate. What failed is tried again at next_try. Threads: any.
 */
#ifndef STORE_PUBLICATIONS_H
#define STORE_PUBLICATIONS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

/* The present list of a CA or root of ours. */
struct published_list {
	char *key_id;
	gint64 partition;
	char *issuer;     /* thumbprint of the certificate that signs */
	char *issuer_key; /* of CHANGE_CRL */
	GBytes *der;
	gint64 this_update, next_update; /* the latter may be CLOCK_NEVER */
};
/* NULL and NOT_FOUND where there is none. */
struct published_list *published_lists_find(struct db *db, const char *key_id, gint64 partition,
					    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All of them; without the DER unless asked for. */
GPtrArray *published_lists_all(struct db *db, gboolean with_der,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;

struct publication {
	char *target, *object;
	char *digest;     /* SHA-256 of what was written last; "": nothing yet */
	gint64 published; /* CLOCK_NEVER: never */
	gint attempts;
	gint64 next_try; /* CLOCK_NEVER: nothing is open */
	char *error;     /* "": it did not fail */
};
/* Of one target; NULL: of all. */
GPtrArray *publications_list(struct db *db, const char *target,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean publications_save(struct db *db, const struct publication *row,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All of a target that is no more. */
gboolean publications_forget(struct tx *tx, const char *target,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;

void published_list_free(struct published_list *row);
void publication_free(struct publication *row);
DEFINE_CLEANUP(published_list, published_list_free)
DEFINE_CLEANUP(publication, publication_free)

#endif
