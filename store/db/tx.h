/*
 * tx - several statements that happen together or not at all.
 *
 * READ COMMITTED; what must not change meanwhile is locked with FOR UPDATE. The function runs
 * again from its start after a deadlock or serialisation failure (40P01, 40001), so it must
 * not touch anything outside of the database but its own data, which it sets afresh.
 * tx_changed() rows enter change_log at the end, under an advisory lock, so that their numbers
 * are in commit order; one NOTIFY without data goes with them.
 * Threads: a tx belongs to the thread of its function.
 */
#ifndef STORE_DB_TX_H
#define STORE_DB_TX_H

#include <glib.h>

#include "store/db/query.h"

struct tx;

/* What a cache holds; change_log.kind has the name in lower case. Keys: cert, root, ctl the
 * thumbprint; key the SPKI digest; crl the issuer_key; preference and selection the scope's key;
 * ca its name. */
enum change_kind {
	CHANGE_CERT,
	CHANGE_KEY,
	CHANGE_ROOT,
	CHANGE_CRL,
	CHANGE_CTL,
	CHANGE_PREFERENCE,
	CHANGE_SELECTION,
	CHANGE_CA,
	CHANGE_ADDRESS,   /* a certificate with this mailaddr_key came, left, waits or not */
	CHANGE_ISSUER,    /* a CA certificate (or one without addresses) of this subject_key */
	CHANGE_OCSP,      /* "issuer_key:serial" */
	CHANGE_DIRECTORY, /* a mailaddr_key, or "servers" */
	CHANGE_JOB,       /* kind of the job */
};
#define CHANGE_KINDS 13

/* FALSE with *error set rolls back. */
typedef gboolean (*tx_func)(struct tx *tx, gpointer data, GError **error);

gboolean db_transaction(struct db *db, tx_func func, gpointer data,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct rows *tx_query(struct tx *tx, const struct statement *statement, struct params *params,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A NULL key stands for all of the kind; so do more than 200 keys of one kind. */
void tx_changed(struct tx *tx, enum change_kind kind, const char *key_or_null);
/* Statements of this transaction from here on may take that long (bulk work of the daemon). The
 * first call counts; with the end of the transaction it is over. */
gboolean tx_set_patience(struct tx *tx, gint64 seconds, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gint64 tx_now(const struct tx *tx); /* of the program's clock, the same in the whole tx */
const char *change_kind_name(enum change_kind kind);

#endif
