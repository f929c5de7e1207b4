/*
 * migrate - brings the schema forward, one numbered file of store/schema/ after the other.
 *
 * Forward only, each in a transaction of its own under an advisory lock, recorded in
 * schema_migration. A file begins with "-- oldest-program: VERSION": the oldest program that
 * can work with the schema from then on, so that a schema may be ahead of a program.
 * Owner of what is made: postseal_daemon, also when the superuser runs it.
 */
#ifndef STORE_DB_MIGRATE_H
#define STORE_DB_MIGRATE_H

#include <glib.h>

#include "store/db/db.h"

struct migration {
	int number;
	const char *name;           /* "certificates" of 0001_certificates.sql */
	const char *oldest_program; /* "0.1.0" */
	const char *sql;
};

/* Ordered by number; ended by a row of zeros. Generated from store/schema/. */
extern const struct migration schema_migrations[];

/* Runs what is missing; *from and *to (either may be NULL) get the number before and after. */
gboolean migrate_run(struct db *db, int *from, int *to, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same with a table of one's own and another version, for tests. */
gboolean migrate_run_table(struct db *db, const struct migration *table, const char *version,
			   int *from, int *to, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* INVALID when program and schema do not fit, with what to do. */
gboolean migrate_check(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean migrate_check_table(struct db *db, const struct migration *table, const char *version,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
