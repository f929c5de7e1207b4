/*
 * split_memory - copies that the mail server has taken and the database did not write down, and
 * whether the ledger holds anything; for split.c alone.
 *
 * Bounded: the oldest go first. It dies with the process: then a copy can be repeated.
 * Threads: any.
 */
#ifndef MILTER_SPLIT_MEMORY_H
#define MILTER_SPLIT_MEMORY_H

#include <glib.h>

struct db;
struct ledger_copy;
struct split_memory;

struct split_memory *split_memory_new(struct db *db);
void split_memory_free(struct split_memory *memory);
void split_memory_add(struct split_memory *memory, const struct ledger_copy *copies, guint count,
		      const char *queue_id);
/* A copy was completed just now: there is something to be found. */
void split_memory_touch(struct split_memory *memory);
/* Has it? Then the database is told again. */
gboolean split_memory_has(struct split_memory *memory, const struct ledger_copy *copy);
void split_memory_remove(struct split_memory *memory, const struct ledger_copy *copies,
			 guint count);
/* May a retry find anything, in memory or in the ledger? The ledger's answer counts for some
 * seconds; one of a process that completed a copy itself is never too old. */
gboolean split_memory_any(struct split_memory *memory, gboolean *any,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
