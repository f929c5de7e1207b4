/*
 * sealed - every sealed value of the store, whatever its table: private keys, secret preferences,
 * secrets of handlers. For the module that seals (pki/keyring) and for rotation.
 *
 * table and row name the place a value is sealed for: ("private_key", SPKI digest),
 * ("preference", "scope key/name"), ("handler_setting", "handler/config/name"),
 * ("directory_server", name), ("acme_account" and
 * "acme_account_next", "config/directory"),
 * ("outbox_secret", "id/name"), ("bulk_batch", id), ("publish_target", name of the CA).
 * Threads: any.
 */
#ifndef STORE_SEALED_H
#define STORE_SEALED_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

struct sealed_row {
	char *table, *row;
	GBytes *sealed;
	gint64 generation;
};

/* Any rows under another generation than this one, locked until the end of the transaction;
   those that another run has locked are left out. */
GPtrArray *sealed_take_older(struct tx *tx, gint64 generation, gint limit,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean sealed_replace(struct tx *tx, const struct sealed_row *row,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* How many rows are sealed under another generation; -1 on failure. */
gint64 sealed_count_older(struct db *db, gint64 generation, GError **error);
/* One row, by table and row; NOT_FOUND. */
struct sealed_row *sealed_find(struct db *db, const char *table, const char *row,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A page of a table, in the order of rows after this one ("": from the start); to check all. */
extern const char *const sealed_tables[]; /* ended by NULL */
GPtrArray *sealed_page(struct db *db, const char *table, const char *after, gint limit,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Sets a secret preference: row is "scope key/name". (Keys and handler settings have their own.) */
gboolean sealed_put_preference(struct tx *tx, const struct sealed_row *row,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;

void sealed_row_free(struct sealed_row *row);
DEFINE_CLEANUP(sealed_row, sealed_row_free)

#endif
