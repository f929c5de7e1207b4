/*
 * changelog - tells caches that rows have changed: one generation a kind.
 *
 * A cache reads the generation, then the database, and keeps the answer with that generation
 * (in this order: a change in between only makes the entry stale at once). Two threads work
 * behind it: one polls change_log "after N" from where db_query reads, every second and when
 * woken; the other LISTENs and wakes it. A notification carries nothing, so a forged one costs
 * a poll, and there are at most 20 polls a second. A gap, a number that goes backwards, a row
 * that is not the one we read before, or another server: all generations go up.
 * Threads: any number; reading a generation is one atomic load. A NULL changelog is allowed:
 * generation 0, always fresh.
 */
#ifndef STORE_DB_CHANGELOG_H
#define STORE_DB_CHANGELOG_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/db/db.h"
#include "store/db/tx.h"

struct changelog;

struct changelog_stats {
	gint64 number; /* last row read */
	guint64 polls;
	guint64 wakes;  /* notifications that came in */
	guint64 resets; /* all generations went up */
	gboolean listening;
	double age_seconds; /* since the last good poll */
};

/* Does one poll first, but does not fail when the database is away: then nothing is fresh. */
struct changelog *changelog_start(struct db *db, const struct settings *settings,
				  GError **error) G_GNUC_WARN_UNUSED_RESULT;
void changelog_stop(struct changelog *changelog); /* NULL is fine; before db_close */
guint64 changelog_generation(const struct changelog *changelog, enum change_kind kind);
/* Was the last good poll at most that long ago? */
gboolean changelog_fresh(const struct changelog *changelog, gint64 grace_seconds);
/* Polls now, in the caller's thread: after an act of one's own, and in tests. */
gboolean changelog_poll(struct changelog *changelog, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void changelog_stats(const struct changelog *changelog, struct changelog_stats *stats);

DEFINE_CLEANUP(changelog, changelog_stop)

#endif
