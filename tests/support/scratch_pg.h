/*
 * scratch_pg - a private database for one test program: made, migrated, stopped and removed.
 *
 *     int main(int argc, char **argv) {
 *             g_test_init(&argc, &argv, NULL);
 *             pg = scratch_pg_start();          NULL: scratch_pg_skip() says why in each test
 *             ...
 *             int status = g_test_run();
 *             scratch_pg_stop(pg);
 *
 * It lives in a folder in /dev/shm where that is possible, without fsync. Its keeper is a
 * process of its own that stops the server and removes the folder when the test dies.
 * Start it before any thread.
 */
#ifndef TESTS_SUPPORT_SCRATCH_PG_H
#define TESTS_SUPPORT_SCRATCH_PG_H

#include <glib.h>

#include "store/base/clock.h"
#include "store/config/settings.h"
#include "store/db/db.h"

struct scratch_pg;

struct scratch_pg *scratch_pg_start(void); /* migrated; NULL when it cannot */
struct scratch_pg *scratch_pg_start_unmigrated(void);
/* Migrated, in a folder below this one and with fsync, as a server that is measured has to be. */
struct scratch_pg *scratch_pg_start_durable(const char *parent);
void scratch_pg_stop(struct scratch_pg *pg); /* NULL is fine */
/* TRUE, and the test is marked as skipped, when there is no database: `if (..) return;` */
gboolean scratch_pg_skip(struct scratch_pg *pg);

const struct settings *scratch_pg_settings(const struct scratch_pg *pg);
/* A handle for a role; owned by the caller. A NULL clock is the system's. */
struct db *scratch_pg_open(const struct scratch_pg *pg, enum db_role role, struct clock *clock);
const char *scratch_pg_folder(const struct scratch_pg *pg); /* for files of the test */
/* Back to what the migration left; connections of before are cut. */
void scratch_pg_empty(struct scratch_pg *pg);
/* Runs SQL text as the superuser; fails the test when it fails. */
void scratch_pg_sql(const struct scratch_pg *pg, const char *sql);

void scratch_pg_down(struct scratch_pg *pg); /* fast shutdown; returns when it is down */
void scratch_pg_kill(struct scratch_pg *pg); /* SIGKILL to the postmaster, and reaped */
void scratch_pg_up(struct scratch_pg *pg);   /* starts again; returns when it answers */

#endif
