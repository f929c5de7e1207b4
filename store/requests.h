/*
 * requests - certificate requests, saved at every change, and looked up by their keys.
 *
 * The state machine is pki/enroll; this layer keeps its rows. Threads: any.
 */
#ifndef STORE_REQUESTS_H
#define STORE_REQUESTS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

enum request_state {
	REQUEST_NEW,      /* nothing made yet */
	REQUEST_KEYED,    /* key and CSR are stored */
	REQUEST_PENDING,  /* handed in; the handler has a handle */
	REQUEST_ISSUED,   /* the certificate is in the store */
	REQUEST_FAILED,   /* will not be tried again by itself */
	REQUEST_REJECTED, /* the CA said no */
};

struct request_row {
	gint64 id;
	enum request_state state;
	char *handler, *handler_config; /* kind; name of its configuration ("default") */
	char *email, *common_name;
	char *organisation, *first_name, *last_name; /* or NULL */
	char *ca;                                    /* built-in: name of the CA; NULL default */
	char *key, *digest, *profile;                /* "rsa:3072", "sha256", "smime" */
	gint64 validity_days;
	gboolean crl_url;  /* put a CRL distribution point in */
	char *options;     /* handler's and delivery's own, JSON text, or NULL */
	char *spki_sha256; /* its key, once made */
	GBytes *csr;
	char *handle;     /* the peer's name for it */
	char *thumbprint; /* of the issued certificate */
	gint attempts;
	gint64 next_try;
	char *error_class, *error_code, *error_text; /* the last one, or NULL */
	char *requester;
	gint64 created, updated;
};

const char *request_state_name(enum request_state state); /* "new", "pending" ... */

gboolean requests_insert(struct tx *tx, const struct request_row *row, gint64 *id,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Saves state, spki, csr, handle, thumbprint, attempts, next_try and the error. */
gboolean requests_update(struct tx *tx, const struct request_row *row,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean requests_delete(struct tx *tx, gint64 id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct request_row *requests_find(struct db *db, gint64 id,
				  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same, locked until the transaction ends, so that one worker has it. */
struct request_row *requests_lock(struct tx *tx, gint64 id,
				  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Newest first, ids below before (0: from the top); only_open: unfinished ones. */
GPtrArray *requests_list(struct db *db, gboolean only_open, gint64 before, gint limit,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Unfinished ones for this address (mailaddr_key); struct request_row *. */
GPtrArray *requests_open_for(struct db *db, const char *email_key,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Unfinished ones whose next_try has come. */
GPtrArray *requests_due(struct db *db, gint64 now, gint limit,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The unfinished request that waits for this key; NOT_FOUND. */
struct request_row *requests_by_spki(struct db *db, const char *spki_sha256,
				     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All requests that a key was made for, finished ones too; struct request_row *. */
GPtrArray *requests_of_key(struct db *db, const char *spki_sha256,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

void request_row_free(struct request_row *row);
DEFINE_CLEANUP(request_row, request_row_free)

#endif
