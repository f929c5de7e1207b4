/*
 * ledger - which copies of a message were handed to the mail server, so that a retry of the message
 * does not hand them over again; and markers that have been seen.
 *
 * A copy is known by the digests of its message and recipient (one under each generation of the
 * master key, the newest first). It is claimed before it is sent and completed with the queue id
 * after the server's 250; both are on disk when the call returns. Who has claimed holds it for
 * `lease` seconds, so that two tries of one message do not send the same copy at once.
 * The filter writes through SQL functions of its own, which keep the limits; a copy is known for 7
 * days after its last change.
 * Threads: any. Errors: those of the database; DENIED and TEMPORARY for one that is read-only.
 */
#ifndef STORE_LEDGER_H
#define STORE_LEDGER_H

#include <glib.h>

#define LEDGER_DIGEST_BYTES 32
#define LEDGER_HOLDER_BYTES 16
#define LEDGER_NONCE_BYTES 16
#define LEDGER_COPIES_MAX 1000 /* of one call */
#define LEDGER_GENERATIONS_MAX 4

struct db;
struct tx;

enum ledger_state {
	LEDGER_NEW,       /* not known: now claimed by the caller, who may send it */
	LEDGER_REPEATED,  /* the same, but somebody claimed it before and never said how it ended */
	LEDGER_HELD,      /* another try of the message is about it now: come back later */
	LEDGER_COMPLETED, /* it was handed over */
};

struct ledger_copy {
	guint8 digests[LEDGER_GENERATIONS_MAX][LEDGER_DIGEST_BYTES];
	guint generations;       /* of digests */
	enum ledger_state state; /* of the last claim or look */
};

/* Claims what can be claimed, for the holder. States are exact. */
gboolean ledger_claim(struct db *db, struct ledger_copy *copies, guint count,
		      const guint8 holder[LEDGER_HOLDER_BYTES], gint64 lease_seconds,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Only LEDGER_NEW (not known, or not completed) and LEDGER_COMPLETED; changes nothing. */
gboolean ledger_look(struct db *db, struct ledger_copy *copies, guint count,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Is any copy known as handed over? Cheap, for messages that have no copies themselves. */
gboolean ledger_any(struct db *db, gboolean *any, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ledger_complete(struct db *db, const struct ledger_copy *copies, guint count,
			 const char *queue_id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The holder sends no more of them in this try. Those not_sent are as if never claimed. */
gboolean ledger_release(struct db *db, const struct ledger_copy *copies, guint count,
			const guint8 holder[LEDGER_HOLDER_BYTES], gboolean not_sent,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The message was accepted: nothing of it is known any more. */
gboolean ledger_forget(struct db *db, const struct ledger_copy *copies, guint count,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* *first: nobody has used this nonce yet. It is remembered for keep_seconds, at most a day. */
gboolean ledger_consume(struct db *db, const guint8 nonce[LEDGER_NONCE_BYTES], gint64 keep_seconds,
			gboolean *first, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Drops what has expired, at most 10,000 rows a call. The daemon's. */
gboolean ledger_expire(struct tx *tx, gint64 *dropped, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
