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
	GStrv names;       /* DNS names, for profiles of TLS; never NULL when read */
	char *key_use;     /* "dual", "sign", "encrypt" */
	char *renews;      /* thumbprint of what it replaces, or NULL */
	gint64 batch_id;   /* of the bulk run; 0: none */
	gint64 pair;       /* the signing half's number, in both halves; 0: no pair */
	gboolean delivery; /* certificate and key go to the user */
	char *options;     /* handler's and delivery's own, JSON text, or NULL */
	char *spki_sha256; /* its key, once made */
	GBytes *csr;
	char *handle;       /* the peer's name for it */
	char *thumbprint;   /* of the issued certificate */
	gint attempts;      /* all; its number proves whose answer it is */
	gint64 next_try;    /* CLOCK_NEVER: finished, or a person must act */
	gint tries;         /* since the last progress */
	gint lost;          /* answers lost after the CA may have heard the request */
	char *asking;       /* "submit", "poll", or NULL */
	gint64 lease_until; /* while it is asked; CLOCK_NEVER: nobody asks */
	gint64 give_up;     /* CLOCK_NEVER: no end */
	GBytes *returned;   /* PKCS#7 that the checks refused, or NULL */
	char *error_class, *error_code, *error_text; /* the last one, or NULL */
	char *requester;
	gint64 created, updated;
};

const char *request_state_name(enum request_state state); /* "new", "pending" ... */

gboolean requests_insert(struct tx *tx, const struct request_row *row, gint64 *id,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Saves state, spki, csr, handle, thumbprint, attempts, next_try, the error, and what follows
 * tries. */
gboolean requests_update(struct tx *tx, const struct request_row *row,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean requests_delete(struct tx *tx, gint64 id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct request_row *requests_find(struct db *db, gint64 id,
				  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same, locked until the transaction ends, so that one worker has it. */
struct request_row *requests_lock(struct tx *tx, gint64 id,
				  GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct request_filter {
	gboolean only_open;
	const char *state, *handler, *config, *email, *text; /* each NULL: any; text: a part of
							      * address, name or error */
	gint64 batch_id;                                     /* 0: any */
	gint64 before;                                       /* ids below; 0: from the top */
	gint limit;                                          /* 0: 100 */
};
/* Newest first; struct request_row *. */
GPtrArray *requests_list(struct db *db, const struct request_filter *filter,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Unfinished ones for this address (mailaddr_key); struct request_row *. */
GPtrArray *requests_open_for(struct db *db, const char *email_key,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Unfinished ones whose next_try has come and that nobody asks about; struct request_row *. */
GPtrArray *requests_due(struct db *db, gint64 now, gint limit,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Both halves of a pair, the signing one first; struct request_row *. */
GPtrArray *requests_of_pair(struct tx *tx, gint64 pair, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean requests_set_pair(struct tx *tx, gint64 id, gint64 pair,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The unfinished request that waits for this key; NOT_FOUND. */
struct request_row *requests_by_spki(struct db *db, const char *spki_sha256,
				     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All requests that a key was made for, finished ones too; struct request_row *. */
GPtrArray *requests_of_key(struct db *db, const char *spki_sha256,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

struct request_event {
	gint64 at;
	char *state, *text;
};
/* A line of its history; a repeat of the last line is not kept. */
gboolean requests_note(struct tx *tx, gint64 id, enum request_state state, const char *text,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Oldest first, the newest 200; struct request_event *. */
GPtrArray *requests_history(struct db *db, gint64 id, GError **error) G_GNUC_WARN_UNUSED_RESULT;

void request_event_free(struct request_event *event);
void request_row_free(struct request_row *row);
DEFINE_CLEANUP(request_row, request_row_free)

#endif
