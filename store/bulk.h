/*
 * bulk - batches of requests out of one file, and their rows (C6).
 *
 * A row waits until it becomes a request in the same transaction, so that whoever works on a
 * batch, however often it is interrupted, makes one request a row. Threads: any.
 */
#ifndef STORE_BULK_H
#define STORE_BULK_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

enum bulk_state { BULK_RUNNING, BULK_PAUSED, BULK_DONE, BULK_CANCELLED };

enum bulk_row_state {
	BULK_ROW_WAITING,   /* nothing happened yet */
	BULK_ROW_REQUESTED, /* has a request, whose state counts */
	BULK_ROW_FAILED,    /* no request could be made: why says it */
	BULK_ROW_CANCELLED, /* the batch was cancelled before */
	/* What the file's look-through left out. */
	BULK_ROW_BROKEN,    /* why says what is wrong */
	BULK_ROW_DUPLICATE, /* another line has the address */
	BULK_ROW_CERTIFIED, /* the address has a valid signing certificate */
	BULK_ROW_UNDER_WAY, /* the address has an unfinished request */
};
#define BULK_ROW_STATES 8

struct bulk_batch {
	gint64 id;
	enum bulk_state state;
	char *file; /* its name, as shown */
	char *handler, *handler_config;
	char *ca, *key, *digest, *profile, *key_use; /* or NULL */
	gint64 validity_days;                        /* 0: the default */
	gboolean crl_url, add_user;
	/* Delivery; password is sealed, see keyring ("bulk_batch", the id). */
	gboolean deliver, sms, store_password, compatible;
	char *language;
	GBytes *password;
	gint64 password_generation;
	char *requester;
	char *error;              /* why it does not go on, or NULL */
	gint64 rows;              /* all of the file */
	gint64 created, finished; /* CLOCK_NEVER: not yet */
};

struct bulk_row {
	guint line;
	enum bulk_row_state state;
	char *email; /* mailaddr_key, of a broken row as written; or NULL */
	char *common_name, *organisation, *first_name, *last_name; /* or NULL */
	gint64 request_id;                                         /* 0: none */
	char *why;                                                 /* or NULL */
	/* Read only, of its request: */
	char *request_state; /* "issued" …; NULL: none, or deleted */
};

/* How many rows of each kind; of those with a request by its state. */
struct bulk_counts {
	gint64 waiting, issued, pending, failed, cancelled;
	gint64 broken, duplicate, certified, under_way;
};

const char *bulk_state_name(enum bulk_state state);         /* "running" … */
const char *bulk_row_state_name(enum bulk_row_state state); /* "waiting" … */

/* The batch with all its rows (struct bulk_row *). */
gboolean bulk_insert(struct tx *tx, const struct bulk_batch *batch, GPtrArray *rows, gint64 *id,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean bulk_set_password(struct tx *tx, gint64 id, GBytes *sealed, gint64 generation,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct bulk_batch *bulk_find(struct db *db, gint64 id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Locked against changes of its state until the transaction ends. */
struct bulk_batch *bulk_lock(struct tx *tx, gint64 id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Newest first, ids below before (0: from the top); struct bulk_batch *. */
GPtrArray *bulk_list(struct db *db, gint64 before, gint limit,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean bulk_set_state(struct tx *tx, gint64 id, enum bulk_state state, const char *why,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean bulk_delete(struct tx *tx, gint64 id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean bulk_count(struct db *db, gint64 id, struct bulk_counts *counts,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Is a batch running? */
gboolean bulk_any_running(struct db *db, gboolean *any, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* In the order of lines, behind `after`. only_failures: those that gave no certificate and will
 * not by themselves. */
GPtrArray *bulk_rows(struct db *db, gint64 id, guint after, gboolean only_failures, gint limit,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Those that wait, behind `after`; a look, no lock. */
GPtrArray *bulk_rows_waiting(struct db *db, gint64 id, guint after, gint limit,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Locks those of these lines that still wait, and says which (guint): nobody else has them until
 * the transaction ends. */
GArray *bulk_rows_claim(struct tx *tx, gint64 id, const guint *lines, gsize n,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Saves state, request_id and why of each; rows as claimed. */
gboolean bulk_rows_save(struct tx *tx, gint64 id, struct bulk_row *const *rows, gsize n,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All that wait become cancelled. */
gboolean bulk_rows_cancel(struct tx *tx, gint64 id, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Those that were cancelled, or failed without a request, wait again. */
gboolean bulk_rows_again(struct tx *tx, gint64 id, GError **error) G_GNUC_WARN_UNUSED_RESULT;

void bulk_batch_free(struct bulk_batch *batch);
void bulk_row_free(struct bulk_row *row);
DEFINE_CLEANUP(bulk_batch, bulk_batch_free)
DEFINE_CLEANUP(bulk_row, bulk_row_free)

#endif
