/*
 * ocsp_answers - what our own OCSP responder has signed, and with which certificates.
 *
 * The signing itself is pki/ocsp_responder's. An answer is made in a transaction that has taken
 * ocsp_answers_lock first and looks at the revocations after that: a revocation that is not seen
 * then comes later, and takes the answer with it. Threads: any.
 */
#ifndef STORE_OCSP_ANSWERS_H
#define STORE_OCSP_ANSWERS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

/* A certificate of ours that issues, and that may be asked about what it issued. */
struct ocsp_issuer_row {
	GBytes *der;
	gint64 ca_id;      /* 0: a root */
	char *root;        /* thumbprint of the root; NULL: a CA */
	gint64 revoked_at; /* by its own root; CLOCK_NEVER: it is not */
	gint revoked_reason;
};
GPtrArray *ocsp_issuers_list(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What the books say about a serial below these issuers, which are one by name and key. */
struct ocsp_standing {
	gboolean issued;
	gint64 revoked_at; /* CLOCK_NEVER: it is not */
	gint reason;
};
gboolean ocsp_standing_find(struct tx *tx, const gint64 *ca_ids, gsize ca_count,
			    const char *const *roots, gsize root_count, const char *serial,
			    struct ocsp_standing *standing,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;

struct ocsp_answer_row {
	char *issuer_key, *issuer_spki, *serial, *digest;
	GBytes *der; /* NULL in lists */
	gint64 this_update, next_update, refresh;
	gint64 asked; /* CLOCK_NEVER: nobody has */
};
gboolean ocsp_answers_lock(struct tx *tx, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* *row NULL: none. Only the members that name it are looked at in wanted. */
gboolean ocsp_answers_find(struct db *db, const struct ocsp_answer_row *wanted,
			   struct ocsp_answer_row **row, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ocsp_answers_asked(struct db *db, const struct ocsp_answer_row *row, gint64 at,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* In place of one that is due at this time; where another daemon was quicker, its answer stays and
 * is given. */
struct ocsp_answer_row *ocsp_answers_put(struct tx *tx, const struct ocsp_answer_row *row,
					 gint64 due, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Those due at this time that somebody asked for since, the most urgent first. */
GPtrArray *ocsp_answers_due(struct db *db, gint64 due, gint64 asked_since, gint limit,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Drops what nobody may believe any more. */
gboolean ocsp_answers_forget(struct db *db, gint64 ended_before,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The books of an issuer, as far as answers are signed ahead of questions: for certificates that
 * end later than now, at most max of them, lowest serial first; about those its CAs issued and
 * those its roots issued. */
struct ocsp_books {
	const char *issuer_key, *issuer_spki;
	const gint64 *ca_ids;
	gsize ca_count;
	const char *const *roots;
	gsize root_count;
	const char *digest;
	gint64 now, max;
};
/* char *: serials above `after` without an answer, or with one that is due then; ascending. */
GPtrArray *ocsp_answers_missing(struct db *db, const struct ocsp_books *books, gint64 due,
				const char *after, gint limit,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ocsp_answers_tally(struct db *db, const struct ocsp_books *books, gint64 *wanted,
			    gint64 *ready, GError **error) G_GNUC_WARN_UNUSED_RESULT;

struct ocsp_responder_row {
	char *thumbprint, *issuer_key, *issuer_spki, *spki_sha256;
	GBytes *der;
	gint64 not_after;
};
/* The newest one that is not revoked; *row NULL: none. */
gboolean ocsp_responders_find(struct tx *tx, const char *issuer_key, const char *issuer_spki,
			      struct ocsp_responder_row **row,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* One daemon at a time makes one. */
gboolean ocsp_responders_lock(struct tx *tx, const char *issuer_key,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ocsp_responders_insert(struct tx *tx, const struct ocsp_responder_row *row,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All of them, without the DER; newest first. */
GPtrArray *ocsp_responders_list(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ocsp_responders_delete(struct tx *tx, const char *thumbprint,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;

void ocsp_issuer_row_free(struct ocsp_issuer_row *row);
void ocsp_answer_row_free(struct ocsp_answer_row *row);
void ocsp_responder_row_free(struct ocsp_responder_row *row);
DEFINE_CLEANUP(ocsp_issuer_row, ocsp_issuer_row_free)
DEFINE_CLEANUP(ocsp_answer_row, ocsp_answer_row_free)
DEFINE_CLEANUP(ocsp_responder_row, ocsp_responder_row_free)

#endif
