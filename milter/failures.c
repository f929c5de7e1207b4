/*
 * failures - the last failures of each name, in a table that forgets.
 */
#include "milter/failures.h"

#include <string.h>

/* One more than is allowed tells all. */
#define KEPT (FAILURES_MAX + 1)

struct record {
	gint64 at[KEPT]; /* newest first */
	guint count;
};

struct failures {
	GMutex lock;
	GHashTable *records; /* name -> struct record */
};

struct failures *
failures_new(void)
{
	struct failures *failures = g_new0(struct failures, 1);

	g_mutex_init(&failures->lock);
	failures->records = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	return failures;
}

void
failures_free(struct failures *failures)
{
	if (failures == NULL)
		return;
	g_hash_table_unref(failures->records);
	g_mutex_clear(&failures->lock);
	g_free(failures);
}

/* A clock that was set back makes nothing older than it is. */
static gboolean
is_recent(gint64 at, gint64 now)
{
	return now - at < FAILURES_SECONDS;
}

static guint
recent(const struct record *record, gint64 now)
{
	guint count = 0;

	for (guint i = 0; i < record->count; i++)
		count += is_recent(record->at[i], now) ? 1 : 0;
	return count;
}

static gboolean
is_over(gpointer name, gpointer record, gpointer now)
{
	(void)name;
	return !is_recent(((struct record *)record)->at[0], *(gint64 *)now);
}

/* What failed last goes last: who fills the table pushes out his own names first only if they are
 * older than everybody else's, so names over the limit stay longest. */
static gboolean
is_forgotten_first(const struct record *a, const struct record *b, gint64 now)
{
	gboolean a_over = recent(a, now) > FAILURES_MAX;
	gboolean b_over = recent(b, now) > FAILURES_MAX;

	if (a_over != b_over)
		return b_over;
	return a->at[0] < b->at[0];
}

static void
make_room(struct failures *failures, gint64 now)
{
	GHashTableIter iter;
	gpointer name, value;
	gpointer oldest_name = NULL;
	const struct record *oldest = NULL;

	if (g_hash_table_size(failures->records) < FAILURES_NAMES_MAX)
		return;
	if (g_hash_table_foreach_remove(failures->records, is_over, &now) > 0)
		return;
	g_hash_table_iter_init(&iter, failures->records);
	while (g_hash_table_iter_next(&iter, &name, &value)) {
		if (oldest != NULL && !is_forgotten_first(value, oldest, now))
			continue;
		oldest = value;
		oldest_name = name;
	}
	g_hash_table_remove(failures->records, oldest_name);
}

void
failures_add(struct failures *failures, const char *name, gint64 now)
{
	struct record *record;

	g_mutex_lock(&failures->lock);
	record = g_hash_table_lookup(failures->records, name);
	if (record == NULL) {
		make_room(failures, now);
		record = g_new0(struct record, 1);
		g_hash_table_insert(failures->records, g_strdup(name), record);
	}
	memmove(record->at + 1, record->at, (KEPT - 1) * sizeof record->at[0]);
	record->at[0] = now;
	record->count = MIN(record->count + 1, KEPT);
	g_mutex_unlock(&failures->lock);
}

gboolean
failures_exceeded(struct failures *failures, const char *name, gint64 now)
{
	const struct record *record;
	gboolean exceeded;

	g_mutex_lock(&failures->lock);
	record = g_hash_table_lookup(failures->records, name);
	exceeded = record != NULL && recent(record, now) > FAILURES_MAX;
	g_mutex_unlock(&failures->lock);
	return exceeded;
}

guint
failures_names(struct failures *failures)
{
	guint count;

	g_mutex_lock(&failures->lock);
	count = g_hash_table_size(failures->records);
	g_mutex_unlock(&failures->lock);
	return count;
}
