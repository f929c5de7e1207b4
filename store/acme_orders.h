/*
 * acme_orders - what must be remembered of ACME servers: accounts, orders, answers to challenges.
 *
 * An account's key is stored before the server hears of it, an order's URL before the next step, an
 * answer before it is put up. Account keys are sealed for ("acme_account", "config/directory").
 * Threads: any. Errors: those of the database.
 */
#ifndef STORE_ACME_ORDERS_H
#define STORE_ACME_ORDERS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

struct acme_account_row {
	char *config, *directory;
	char *algorithm;  /* "ec:P-256" */
	char *thumbprint; /* of its key as JWK */
	GBytes *sealed;
	gint64 generation;
	char *url; /* NULL: the server has not named it */
};

struct acme_order_row {
	gint64 request_id;
	char *url;     /* NULL: none is known */
	gint64 asked;  /* one whose URL is not known was asked for then; CLOCK_NEVER: none was */
	gint failures; /* orders that ended without a certificate */
	/* Where the search for a lost one goes on. */
	char *look_page;     /* NULL: at the first */
	gint look_at, looks; /* so many of that page, and in all, were looked at */
};

struct acme_challenge_row {
	char *url;
	gint64 request_id;
	char *config, *kind; /* "http-01", "dns-01" */
	char *domain, *token, *value;
	gint64 added; /* CLOCK_NEVER: perhaps not yet */
	gint64 expires;
};

/* The row's name for sealing. */
char *acme_account_place(const char *config, const char *directory);
/* NOT_FOUND. */
struct acme_account_row *acme_accounts_find(struct db *db, const char *config,
					    const char *directory,
					    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Does nothing where there is one already: the first key stays. */
gboolean acme_accounts_insert(struct tx *tx, const struct acme_account_row *row,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Of the account with this key; url NULL: the server does not know it any more. */
gboolean acme_accounts_named(struct tx *tx, const struct acme_account_row *row, const char *url,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* TRUE with zeros where there is none yet. */
gboolean acme_orders_load(struct db *db, gint64 request_id, struct acme_order_row **row,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* INVALID: another request has an order of this URL. */
gboolean acme_orders_save(struct tx *tx, const struct acme_order_row *row,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Does any request know this order? *known is exact. */
gboolean acme_orders_known(struct db *db, const char *url, gboolean *known,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* One of the same URL is left as it is. */
gboolean acme_challenges_put(struct tx *tx, const struct acme_challenge_row *row,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean acme_challenges_added(struct tx *tx, const char *url,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean acme_challenges_drop(struct tx *tx, const char *url,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Of a request; struct acme_challenge_row *. */
GPtrArray *acme_challenges_of(struct db *db, gint64 request_id,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What nobody waits for any more: too old, or its request is over or gone. */
GPtrArray *acme_challenges_stale(struct db *db, gint64 now, gint limit,
				 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The key authorization of an http-01 token; NULL with NOT_FOUND. */
char *acme_challenges_answer(struct db *db, const char *token, gint64 now,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;

void acme_account_row_free(struct acme_account_row *row);
void acme_order_row_free(struct acme_order_row *row);
void acme_challenge_row_free(struct acme_challenge_row *row);
DEFINE_CLEANUP(acme_account_row, acme_account_row_free)
DEFINE_CLEANUP(acme_order_row, acme_order_row_free)
DEFINE_CLEANUP(acme_challenge_row, acme_challenge_row_free)

#endif
