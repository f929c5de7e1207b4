/*
 * keys - private keys as objects of their own (K11), sealed; with or without a certificate.
 *
 * This layer moves sealed bytes. Only pki/keyring.c opens them. Threads: any.
 */
#ifndef STORE_KEYS_H
#define STORE_KEYS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

struct key_row {
	gint64 id; /* cursor; set by the store */
	char *spki_sha256;
	GBytes *sealed;    /* NULL in lists */
	gint64 generation; /* of the master key it is sealed under */
	char *kind;        /* "rsa", "ec" ... */
	gint bits;
	char *origin; /* "generated", "imported", "handler" */
	gint64 request_id;
	gint64 made, last_used; /* last_used 0: never; exact to a day */
	/* Read only; set by keys_list and keys_find_in_tx. */
	gint64 certificates, requests; /* how many use it; requests: unfinished ones */
	gboolean is_ca;                /* a CA of ours signs with it */
};

gboolean keys_insert(struct tx *tx, const struct key_row *row, gboolean *is_new,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean keys_delete(struct tx *tx, const char *spki_sha256,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean keys_touch(struct db *db, const char *spki_sha256, gint64 at,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* NULL and NOT_FOUND when absent. */
struct key_row *keys_find(struct db *db, const char *spki_sha256,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* On the primary, inside a transaction, with its counts. */
struct key_row *keys_find_in_tx(struct tx *tx, const char *spki_sha256,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* To show: with the counts, without the sealed key. At least 8 digits are enough if they fit only
 * one. */
struct key_row *keys_show(struct db *db, const char *prefix,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *keys_list(struct db *db, gint64 after, gint limit,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Which of these keys are held: a set of their SPKI digests. */
GHashTable *keys_held(struct db *db, const char *const *spki_sha256, gsize n,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
gint64 keys_count(struct db *db, GError **error); /* -1 on failure */

void key_row_free(struct key_row *row);
DEFINE_CLEANUP(key_row, key_row_free)

#endif
