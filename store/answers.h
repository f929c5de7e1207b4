/*
 * answers - which mail was decrypted here, so that an answer to it is known as one; and for which
 * authors a certificate was requested because they had none.
 *
 * Both are written by the filter through narrow SQL functions. Mail is known by a digest alone
 * (milter/answering.h makes it). Threads: any. Errors: those of the database.
 */
#ifndef STORE_ANSWERS_H
#define STORE_ANSWERS_H

#include <glib.h>

struct db;
struct tx;

/* digests: GBytes of 32 octets, at most 1,000. */
gboolean decrypted_note(struct db *db, GBytes *const *digests, gsize n,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Is any of them known? */
gboolean decrypted_find(struct db *db, GBytes *const *digests, gsize n, gboolean *found,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean decrypted_forget(struct tx *tx, gint64 older_than,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* When the first message asked for it; CLOCK_NEVER: none has. */
gboolean auto_requests_find(struct db *db, const char *email_key, gint64 *asked,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Asks a daemon, once: while the row is there, nothing more happens. */
gboolean auto_requests_ask(struct db *db, const char *email_key,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean auto_requests_forget(struct tx *tx, gint64 older_than,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
