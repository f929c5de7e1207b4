/*
 * changelog - tells caches that rows have changed: which kind, and which key of it.
 *
 * A cache reads the moment, then the database, and keeps the answer with that moment and the
 * tags that it rests on (in this order: a change in between only makes the entry stale at once).
 * Inside, each tag has a slot of a fixed table with the sequence of its last change; two keys
 * that share a slot only cost a recomputation. Two threads work behind it: one polls change_log
 * "after N" from where db_query reads, every second and when woken; the other LISTENs and wakes
 * it. A notification carries nothing, so a forged one costs a poll, and there are at most 20
 * polls a second. A gap, a number that goes backwards, a row that is not the one we read before,
 * a kind that is not known here, or another server: everything has changed.
 * Threads: any number; reading takes no lock. A NULL changelog is allowed: nothing ever changes,
 * always fresh.
 */
#ifndef STORE_DB_CHANGELOG_H
#define STORE_DB_CHANGELOG_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/db/change_tags.h"
#include "store/db/db.h"

struct changelog;

struct changelog_stats {
	gint64 number; /* last row read */
	guint64 polls;
	guint64 wakes;  /* notifications that came in */
	guint64 resets; /* everything has changed */
	gboolean listening;
	double age_seconds; /* since the last good poll */
};

/* Does one poll first, but does not fail when the database is away: then nothing is fresh. */
struct changelog *changelog_start(struct db *db, const struct settings *settings,
				  GError **error) G_GNUC_WARN_UNUSED_RESULT;
void changelog_stop(struct changelog *changelog); /* NULL is fine; before db_close */
/* The sequence as of now: to be read before the database is. Rises, never repeats. */
guint64 changelog_moment(const struct changelog *changelog);
/* Has none of these changed since that moment, as far as is known here? */
gboolean changelog_unchanged(const struct changelog *changelog, const change_tag *tags, gsize n,
			     guint64 since);
/* Sleeps until the tag has changed since that moment: TRUE; FALSE after the timeout, or at once
 * when the changelog is being stopped. For waiting in a thread of one's own; the row that was
 * waited for is to be looked at then, also after FALSE. */
gboolean changelog_wait(struct changelog *changelog, change_tag tag, guint64 since,
			gint64 timeout_ms);
/* Calls back, in the thread that has polled, after a change of this kind: for what must go at once
 * and not when it is next looked for. After unwatch it is not called, nor still running. */
typedef void (*changelog_func)(gpointer data);
void changelog_watch(struct changelog *changelog, enum change_kind kind, changelog_func func,
		     gpointer data);
void changelog_unwatch(struct changelog *changelog, changelog_func func, gpointer data);
/* The sequence of the last change of any key of this kind. */
guint64 changelog_generation(const struct changelog *changelog, enum change_kind kind);
/* Was the last good poll at most that long ago? */
gboolean changelog_fresh(const struct changelog *changelog, gint64 grace_seconds);
/* Polls now, in the caller's thread: after an act of one's own, and in tests. */
gboolean changelog_poll(struct changelog *changelog, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void changelog_stats(const struct changelog *changelog, struct changelog_stats *stats);

DEFINE_CLEANUP(changelog, changelog_stop)

#endif
