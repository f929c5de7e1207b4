/*
 * fetches - what is fetched from elsewhere: one row a URL, how the last try went, when the next is.
 *
 * Which URLs there are is fetch_points' to say; who fetches one holds the job of that key.
 * Threads: any.
 */
#ifndef STORE_FETCHES_H
#define STORE_FETCHES_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

enum fetch_kind { FETCH_CRL, FETCH_ISSUER };

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
	gint64 next_try;     /* CLOCK_NEVER: only when the names before it in its point fail */
	gint failures;       /* tries in a row that did not work */
	char *yield;         /* thumbprint of the list or certificate that it gave last; NULL */
	gint64 certificates; /* that name it, as of the last run; set by the store */
	gboolean by_hand;    /* kept although no certificate names it; set by the store */
	gboolean under_way;  /* somebody is fetching it now; set by the store */
};

const char *fetch_state_name(enum fetch_state state); /* "never", "failed", "good" */
const char *fetch_kind_name(enum fetch_kind kind);    /* "crl", "issuer" */

/* One by hand, due now; a row that is there keeps what is known. */
gboolean fetches_add(struct tx *tx, enum fetch_kind kind, const char *url,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Takes that back; what no certificate names either goes. NOT_FOUND when nobody had asked. */
gboolean fetches_forget(struct tx *tx, const char *url, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* NULL and NOT_FOUND. */
struct fetch_row *fetches_find(struct db *db, const char *url,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* By URL. struct fetch_row *. */
GPtrArray *fetches_list(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *fetches_by_urls(struct db *db, const char *const *urls, gsize n,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Writes the outcome of a try. FALSE in *kept when nothing names the URL any more. Where it failed,
 * the next name of each of its points that waits becomes due; where it worked, the names behind
 * it wait. */
gboolean fetches_record(struct tx *tx, const struct fetch_row *row, gboolean *kept,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Due now, back-off or not: these, or (n 0) every one that is not waiting. */
gboolean fetches_due_now(struct tx *tx, const char *const *urls, gsize n,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Those of points whose witness a CA issued, by a part of its name (any case) or its subject_key.
 */
GStrv fetches_urls_of_ca(struct tx *tx, const char *name_part, const char *subject_key,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A job of kind "fetch" for each that is due. */
gboolean fetches_enqueue_due(struct tx *tx, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Is the list with this thumbprint in the store, and until when? *next_update CLOCK_NEVER: does
 * not say. */
gboolean fetches_list_there(struct db *db, const char *thumbprint, gboolean *there,
			    gint64 *next_update, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What has failed so often in a row, for doctor; the most used first. */
GPtrArray *fetches_failing(struct db *db, gint failures_min,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

void fetch_row_free(struct fetch_row *row);
DEFINE_CLEANUP(fetch_row, fetch_row_free)

#endif
