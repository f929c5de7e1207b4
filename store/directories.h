/*
 * directories - LDAP servers that are asked for certificates of recipients, the state of their
 * circuit breakers, and what they answered.
 *
 * At most DIRECTORIES_MAX servers. A bind password is sealed elsewhere (pki/keyring, table
 * "directory_server", row = name) and is never read by a filter. Read functions return copies of
 * the caller's. Threads: any.
 */
#ifndef STORE_DIRECTORIES_H
#define STORE_DIRECTORIES_H

#include <glib.h>

#include "store/base/cleanup.h"

#define DIRECTORIES_MAX 4

struct db;
struct tx;

struct directory_row {
	char *name;
	gint place;
	char *host;
	gint port;
	char *security; /* "ldaps", "starttls", "none" */
	char *base;
	char *depth;  /* "base", "one", "sub" */
	char *filter; /* %s: the escaped address */
	GStrv attributes;
	GStrv domains;  /* A-labels; "example.com", "*.example.com" */
	char *ca_file;  /* or NULL */
	char *bind_dn;  /* or NULL */
	GBytes *sealed; /* the password, or NULL */
	gint64 generation;
	/* The circuit breaker (pki/breaker.h), kept across changes of the rest. */
	gint failures, trips;
	gint64 open_until;       /* 0: not open */
	char *last_error;        /* or NULL */
	gint64 failed, answered; /* CLOCK_NEVER: never */
	gint64 created, changed; /* set by the store */
};

enum directory_outcome { DIRECTORY_FOUND, DIRECTORY_NONE, DIRECTORY_FAILED };

struct directory_answer_row {
	char *email; /* mailaddr_key */
	enum directory_outcome outcome;
	char *note; /* one line for people */
	gint64 asked, good_until;
};

/* In the order in which they stand. */
GPtrArray *directories_all(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct directory_row *directories_find(struct db *db, const char *name,
				       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Adds it or changes what an administrator sets; INVALID for one too many. Drops the answers of
 * old, closes the breaker. */
gboolean directories_put(struct tx *tx, const struct directory_row *row,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean directories_delete(struct tx *tx, const char *name,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT; /* NOT_FOUND */
/* The row with its breaker, locked until the transaction ends; NOT_FOUND. */
struct directory_row *directories_lock(struct tx *tx, const char *name,
				       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What the servers are now, as one text; and, in the transaction that writes an answer, are they
 * still? Nobody changes them until it ends. */
char *directories_stamp(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean directories_unchanged(struct tx *tx, const char *stamp, gboolean *unchanged,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Saves failures, trips, open_until, last_error, failed, answered. */
gboolean directories_save_state(struct tx *tx, const struct directory_row *row,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* All domains of all servers, for filters. */
GStrv directories_domains(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Does one of these (NULL-terminated) cover the domain? */
gboolean directories_cover(const char *const *domains, const char *domain);

/* The answers that there are, whatever their age; struct directory_answer_row *. */
GPtrArray *directories_answers(struct db *db, const char *const *emails, gsize n,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean directories_save_answer(struct tx *tx, const struct directory_answer_row *row,
				 GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean directories_forget_answers(struct tx *tx, gint64 older_than,
				    GError **error) G_GNUC_WARN_UNUSED_RESULT;
const char *directory_outcome_name(enum directory_outcome outcome); /* "found", "none", "failed" */

void directory_row_free(struct directory_row *row);
void directory_answer_row_free(struct directory_answer_row *row);
DEFINE_CLEANUP(directory_row, directory_row_free)
DEFINE_CLEANUP(directory_answer_row, directory_answer_row_free)

#endif
