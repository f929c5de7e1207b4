/*
 * ready_keys - private keys made ahead, which no request has yet (pki/key_pool).
 *
 * Threads: any.
 */
#ifndef STORE_READY_KEYS_H
#define STORE_READY_KEYS_H

#include <glib.h>

#include "store/keys.h"

struct sealed_row;

gboolean ready_keys_insert(struct db *db, const char *algorithm, const struct key_row *row,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Moves the oldest one of this kind and generation into the key store, as this request's (0: of
 * none). *row (table private_key) is NULL when there is none. One that another transaction is
 * taking is passed over. */
gboolean ready_keys_take(struct tx *tx, const char *algorithm, gint64 generation, gint64 request_id,
			 struct sealed_row **row, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* -1 on failure. */
gint64 ready_keys_count(struct db *db, const char *algorithm, gint64 generation, GError **error);
/* Drops those of other generations and of other kinds than these. */
gboolean ready_keys_purge(struct tx *tx, const char *const *algorithms, gsize n, gint64 generation,
			  guint *dropped, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Drops those of other generations. */
gboolean ready_keys_purge_older(struct tx *tx, gint64 generation,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
