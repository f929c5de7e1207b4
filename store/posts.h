/*
 * posts - answers of API requests by their id, so that a repeated one is answered, not done twice.
 *
 * posts_begin and posts_finish run in the transaction of the act: with a crash in between neither
 * the act nor the answer exists. A second request with the same id waits for the first. Threads:
 * any.
 */
#ifndef STORE_POSTS_H
#define STORE_POSTS_H

#include <glib.h>

struct db;
struct tx;

enum post_state { POST_NEW, POST_ANSWERED, POST_OTHER };

/* digest: of operation and body. POST_OTHER: the id was used for something else by this actor.
   POST_ANSWERED gives *status and *answer (owned by the caller). */
gboolean posts_begin(struct tx *tx, const char *actor, const char *id, const char *digest,
		     enum post_state *state, gint *status, char **answer,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean posts_finish(struct tx *tx, const char *actor, const char *id, gint status,
		      const char *answer, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* For acts of several transactions: looks without beginning. *state POST_NEW when unknown. */
gboolean posts_find(struct db *db, const char *actor, const char *id, const char *digest,
		    enum post_state *state, gint *status, char **answer,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean posts_forget(struct tx *tx, gint64 older_than, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
