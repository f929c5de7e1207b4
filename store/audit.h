/*
 * audit - who did what (written with the act), and what became of each message (behind it).
 *
 * Message rows go through a bounded queue and one writer thread, in batches of at most 500 rows
 * or one second; when the database is away or slow the oldest are dropped and counted. The log
 * line is the record of last resort. Threads: any.
 */
#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

/* Who acts; given down from the API. */
struct actor {
	const char *name; /* "root", "uid 1000", "postseald" */
	gint64 uid;       /* -1: none */
	const char *from; /* "socket", "cli", "job" */
};

/* In the transaction of the act. detail may be NULL; never a secret. */
gboolean audit_admin(struct tx *tx, const struct actor *actor, const char *operation,
		     const char *object, const char *detail,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;

struct audit_admin_row {
	gint64 id, at;
	char *actor;
	gint64 uid;
	char *from, *operation, *object, *detail;
};
/* Newest first, ids below before (0: from the top). object: exactly it, or NULL. */
GPtrArray *audit_admin_list(struct db *db, const char *object, gint64 before, gint limit,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
void audit_admin_row_free(struct audit_admin_row *row);

/* One message. recipients: keys; outcomes: one reason name a recipient, same order. */
struct audit_message {
	gint64 id; /* set by the store */
	gint64 at;
	char *node, *queue_id, *message_id;
	char *sender, *author; /* keys or NULL */
	char *client;          /* address of the MTA's client, login, daemon: "1.2.3.4 login=bob" */
	char *origin;          /* "trusted", "untrusted", "reinjected" */
	char *reason;          /* reason_name of the whole message */
	char *reply;           /* SMTP reply given, or NULL: accepted */
	GStrv recipients, outcomes;
	char *detail; /* JSON, for trace and explain; or NULL */
	gint64 size, duration_us;
};

struct audit_writer;
/* Starts the thread. queue_max rows wait at most; 0: 10,000. */
struct audit_writer *audit_writer_start(struct db *db, gsize queue_max,
					GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Never waits, never fails; takes the row. */
void audit_writer_put(struct audit_writer *writer, struct audit_message *message);
guint64 audit_writer_dropped(const struct audit_writer *writer);
guint64 audit_writer_written(const struct audit_writer *writer);
/* Waits until what is queued has been written or timeout_ms are over. */
gboolean audit_writer_flush(struct audit_writer *writer, gint timeout_ms);
void audit_writer_stop(struct audit_writer *writer); /* writes what it can within 5 s; frees */

/* What trace looks for; NULL members do not filter. Newest first, limit 0: 100. */
struct audit_message_filter {
	const char *queue_id, *message_id, *sender, *recipient, *reason;
	const char *copy_id; /* queue id of an injected copy: no index, so give times, too */
	gint64 from, until; /* 0: open */
	gint limit;
};
GPtrArray *audit_message_find(struct db *db, const struct audit_message_filter *filter,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Daily: makes the partitions ahead, drops what is older than these. */
gboolean audit_keep(struct tx *tx, gint64 admin_before, gint64 message_before,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
void audit_message_free(struct audit_message *message);

DEFINE_CLEANUP(audit_message, audit_message_free)
DEFINE_CLEANUP(audit_writer, audit_writer_stop)

#endif
