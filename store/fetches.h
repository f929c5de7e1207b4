/*
 * fetches - what is fetched from elsewhere: one row a URL, and which points name it.
 *
 * A point is an ordered list of URLs that all lead to the same thing (the names of one CRL
 * distribution point, the caIssuers of one certificate). The run that collects points from the
 * certificates replaces them; a URL that no point names any more is dropped with what is known
 * of it. A URL's row says when it is due; who fetches it holds the job of that key.
 * Threads: any.
 */
#ifndef STORE_FETCHES_H
#define STORE_FETCHES_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

enum fetch_kind { FETCH_CRL, FETCH_ISSUER };

/* In the order in which they are got better. */
enum fetch_state {
	FETCH_NEVER,  /* not tried yet */
	FETCH_FAILED, /* the last try did not work; result says why */
	FETCH_GOOD,   /* the last try worked */
};

struct fetch_row {
	char *url;
	enum fetch_kind kind;
	enum fetch_state state;
	char *result;                  /* of the last try, one sentence; "" before the first */
	char *etag;                    /* NULL: none */
	gint64 last_modified;          /* 0: none; as the server says it */
	gint64 last_try, last_success; /* 0: never */
	gint64 next_try;
	gint failures;       /* tries in a row that did not work */
	char *yield;         /* thumbprint of the list or certificate that it gave last; NULL */
	gint64 certificates; /* that name it, as of the last run */
	gboolean by_hand; /* asked for with `crl update --url`: no certificate needs to name it */
};

struct fetch_point {
	enum fetch_kind kind;
	GStrv urls;
	char *witness; /* thumbprint of a certificate that names it and verifies (CRL), or asks */
	gint64 certificates;
};

const char *fetch_state_name(enum fetch_state state); /* "never", "failed", "good" */
const char *fetch_kind_name(enum fetch_kind kind);    /* "crl", "issuer" */

/* All points of a run (struct fetch_point *): new URLs become rows that are due now, URLs that
 * nothing names any more go. */
gboolean fetches_replace_points(struct tx *tx, const GPtrArray *points,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* One by hand, due now; a row that is there keeps what is known. */
gboolean fetches_add(struct tx *tx, enum fetch_kind kind, const char *url,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean fetches_delete(struct tx *tx, const char *url, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* NULL and NOT_FOUND. */
struct fetch_row *fetches_find(struct db *db, const char *url,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* By URL; failed ones alone on demand. */
GPtrArray *fetches_list(struct db *db, gboolean only_failed,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The points that name a URL, or all of them (NULL). struct fetch_point *. */
GPtrArray *fetches_points(struct db *db, const char *url_or_null,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Writes the outcome of a try: state, result, etag, last_modified, last_try, last_success,
 * next_try, failures and yield of the row. NOT_FOUND when nothing names it any more. */
gboolean fetches_record(struct tx *tx, const struct fetch_row *row,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Due now, back-off or not; n 0: all. Returns how many through *count. */
gboolean fetches_due_now(struct tx *tx, const char *const *urls, gsize n, gint64 *count,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Puts a job of kind "fetch" before every row that is due. */
gboolean fetches_enqueue_due(struct tx *tx, GError **error) G_GNUC_WARN_UNUSED_RESULT;

void fetch_row_free(struct fetch_row *row);
void fetch_point_free(struct fetch_point *point);
DEFINE_CLEANUP(fetch_row, fetch_row_free)
DEFINE_CLEANUP(fetch_point, fetch_point_free)

#endif
