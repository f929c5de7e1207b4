/*
 * audit_writer - message rows in batches, behind the answer.
 *
 * One thread takes what waits, at most a batch, and writes it with one call of milter_audit.
 * When that fails the rows stay in front of the queue and are tried again after a second; what
 * comes meanwhile pushes the oldest out.
 */
#include "store/audit.h"

#include <string.h>

#include "store/audit_internal.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/db/query.h"

#define QUEUE_MAX 10000
#define STOP_MS 5000
#define TEXT_COLUMNS 12

struct audit_writer {
	struct db *db;
	gsize queue_max;
	GThread *thread;
	GMutex mutex;
	GCond wake;   /* there is something to do */
	GCond idle;   /* something was done */
	GQueue queue; /* struct audit_message */
	gboolean busy, stopping, urgent, failing;
	gint64 stop_at_us;
	guint64 dropped, written;
};

static const struct statement audit_write_statement = {
	"audit_write",
	"SELECT milter_audit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
};

static char *
joined(const GStrv texts)
{
	return texts != NULL ? g_strjoinv("\n", texts) : g_strdup("");
}

/* Order of the function's text parameters. Foreign text may be no UTF-8, which the database
   refuses for the whole batch. */
static void
message_texts(const struct audit_message *m, const char *texts[TEXT_COLUMNS], GPtrArray *owned)
{
	char *recipients = joined(m->recipients);
	char *outcomes = joined(m->outcomes);
	const char *const raw[TEXT_COLUMNS] = {
		m->node,   m->queue_id, m->message_id, m->sender,  m->author, m->client,
		m->origin, m->reason,   m->reply,      recipients, outcomes,  m->detail,
	};

	for (guint t = 0; t < TEXT_COLUMNS; t++) {
		char *valid = g_utf8_make_valid(raw[t] != NULL ? raw[t] : "", -1);
		g_ptr_array_add(owned, valid);
		texts[t] = valid;
	}
	g_free(recipients);
	g_free(outcomes);
}

static gboolean
write_batch(struct audit_writer *writer, GPtrArray *batch, GError **error)
{
	g_autoptr(GPtrArray) owned = g_ptr_array_new_with_free_func(g_free);
	g_autofree const char **columns = g_new(const char *, TEXT_COLUMNS * batch->len);
	g_autofree gint64 *numbers = g_new(gint64, 3 * batch->len);
	struct params *params = params_new();

	for (guint i = 0; i < batch->len; i++) {
		const struct audit_message *m = g_ptr_array_index(batch, i);
		const char *texts[TEXT_COLUMNS];
		message_texts(m, texts, owned);
		for (guint t = 0; t < TEXT_COLUMNS; t++)
			columns[t * batch->len + i] = texts[t];
		numbers[i] = m->at;
		numbers[batch->len + i] = m->size;
		numbers[2 * batch->len + i] = m->duration_us;
	}
	params_int_array(params, numbers, batch->len);
	for (guint t = 0; t < TEXT_COLUMNS; t++)
		params_text_array(params, columns + t * batch->len, batch->len);
	params_int_array(params, numbers + batch->len, batch->len);
	params_int_array(params, numbers + 2 * batch->len, batch->len);
	CLEANUP(rows)
	struct rows *rows = db_write(writer->db, &audit_write_statement, params, error);
	return rows != NULL;
}

/* Under the mutex. The batch is back in front, in its order, as far as there is room. */
static void
put_back(struct audit_writer *writer, GPtrArray *batch)
{
	while (batch->len > 0) {
		struct audit_message *m = g_ptr_array_steal_index(batch, batch->len - 1);
		if (g_queue_get_length(&writer->queue) < writer->queue_max) {
			g_queue_push_head(&writer->queue, m);
		} else {
			writer->dropped++;
			audit_message_free(m);
		}
	}
}

/* A row that the database refuses for good must not stand in the way of all that follow. */
static void
write_one_by_one(struct audit_writer *writer, GPtrArray *batch)
{
	while (batch->len > 0) {
		g_autoptr(GPtrArray) one =
		    g_ptr_array_new_with_free_func((GDestroyNotify)audit_message_free);
		g_autoptr(GError) why = NULL;
		g_ptr_array_add(one, g_ptr_array_steal_index(batch, 0));
		gboolean good = write_batch(writer, one, &why);
		if (!good && g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY)) {
			g_ptr_array_insert(batch, 0, g_ptr_array_steal_index(one, 0));
			return;
		}
		g_mutex_lock(&writer->mutex);
		writer->written += good;
		writer->dropped += !good;
		g_mutex_unlock(&writer->mutex);
		if (!good)
			log_warning("a message's audit row was refused", "error", why->message);
	}
}

static void
work(struct audit_writer *writer, GPtrArray *batch)
{
	g_autoptr(GError) why = NULL;
	gboolean was_failing = writer->failing;

	if (write_batch(writer, batch, &why)) {
		g_mutex_lock(&writer->mutex);
		writer->written += batch->len;
		g_mutex_unlock(&writer->mutex);
		g_ptr_array_set_size(batch, 0);
	} else if (!g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY)) {
		write_one_by_one(writer, batch);
	}
	writer->failing = batch->len > 0;
	if (writer->failing && !was_failing)
		log_warning("message audit waits for the database", "error",
			    why != NULL ? why->message : "");
}

/* Under the mutex: waits for a full batch, a second, a flush or the end. */
static void
wait_for_work(struct audit_writer *writer)
{
	while (g_queue_is_empty(&writer->queue) && !writer->stopping)
		g_cond_wait(&writer->wake, &writer->mutex);
	gint64 until = g_get_monotonic_time() + AUDIT_BATCH_MS * G_TIME_SPAN_MILLISECOND;
	while (!writer->stopping && !writer->urgent &&
	       (writer->failing || g_queue_get_length(&writer->queue) < AUDIT_BATCH_ROWS))
		if (!g_cond_wait_until(&writer->wake, &writer->mutex, until))
			break;
}

static gpointer
writer_thread(gpointer data)
{
	struct audit_writer *writer = data;

	g_mutex_lock(&writer->mutex);
	for (;;) {
		wait_for_work(writer);
		if (writer->stopping && (g_queue_is_empty(&writer->queue) ||
					 g_get_monotonic_time() >= writer->stop_at_us))
			break;
		g_autoptr(GPtrArray) batch =
		    g_ptr_array_new_with_free_func((GDestroyNotify)audit_message_free);
		while (batch->len < AUDIT_BATCH_ROWS && !g_queue_is_empty(&writer->queue))
			g_ptr_array_add(batch, g_queue_pop_head(&writer->queue));
		writer->busy = TRUE;
		g_mutex_unlock(&writer->mutex);
		work(writer, batch);
		g_mutex_lock(&writer->mutex);
		put_back(writer, batch);
		writer->busy = FALSE;
		if (g_queue_is_empty(&writer->queue))
			writer->urgent = FALSE;
		g_cond_broadcast(&writer->idle);
		if (writer->failing && (writer->urgent || writer->stopping)) {
			/* Do not spin on a database that is away. */
			gint64 pause = g_get_monotonic_time() + 100 * G_TIME_SPAN_MILLISECOND;
			(void)g_cond_wait_until(&writer->wake, &writer->mutex, pause);
		}
	}
	g_mutex_unlock(&writer->mutex);
	return NULL;
}

struct audit_writer *
audit_writer_start(struct db *db, gsize queue_max, GError **error)
{
	struct audit_writer *writer = g_new0(struct audit_writer, 1);

	writer->db = db;
	writer->queue_max = queue_max != 0 ? queue_max : QUEUE_MAX;
	g_mutex_init(&writer->mutex);
	g_cond_init(&writer->wake);
	g_cond_init(&writer->idle);
	g_queue_init(&writer->queue);
	writer->thread = g_thread_try_new("audit", writer_thread, writer, error);
	if (writer->thread == NULL) {
		g_free(writer);
		return NULL;
	}
	return writer;
}

void
audit_writer_put(struct audit_writer *writer, struct audit_message *message)
{
	struct audit_message *oldest = NULL;

	g_mutex_lock(&writer->mutex);
	if (g_queue_get_length(&writer->queue) >= writer->queue_max) {
		oldest = g_queue_pop_head(&writer->queue);
		writer->dropped++;
	}
	g_queue_push_tail(&writer->queue, message);
	/* The thread sleeps until the first row comes, then until a batch is full. */
	guint n = g_queue_get_length(&writer->queue);
	if (n == 1 || n == AUDIT_BATCH_ROWS)
		g_cond_signal(&writer->wake);
	g_mutex_unlock(&writer->mutex);
	audit_message_free(oldest);
}

static guint64
counter(const struct audit_writer *writer, const guint64 *count)
{
	GMutex *mutex = (GMutex *)&writer->mutex;

	g_mutex_lock(mutex);
	guint64 value = *count;
	g_mutex_unlock(mutex);
	return value;
}

guint64
audit_writer_dropped(const struct audit_writer *writer)
{
	return counter(writer, &writer->dropped);
}

guint64
audit_writer_written(const struct audit_writer *writer)
{
	return counter(writer, &writer->written);
}

gboolean
audit_writer_flush(struct audit_writer *writer, gint timeout_ms)
{
	gint64 until = g_get_monotonic_time() + timeout_ms * G_TIME_SPAN_MILLISECOND;
	gboolean done = TRUE;

	g_mutex_lock(&writer->mutex);
	while (done && (writer->busy || !g_queue_is_empty(&writer->queue))) {
		writer->urgent = TRUE;
		g_cond_signal(&writer->wake);
		done = g_cond_wait_until(&writer->idle, &writer->mutex, until);
	}
	g_mutex_unlock(&writer->mutex);
	return done;
}

void
audit_writer_stop(struct audit_writer *writer)
{
	if (writer == NULL)
		return;
	g_mutex_lock(&writer->mutex);
	writer->stopping = TRUE;
	writer->stop_at_us = g_get_monotonic_time() + STOP_MS * G_TIME_SPAN_MILLISECOND;
	g_cond_signal(&writer->wake);
	g_mutex_unlock(&writer->mutex);
	g_thread_join(writer->thread);
	if (!g_queue_is_empty(&writer->queue)) {
		g_autofree char *n = g_strdup_printf("%u", g_queue_get_length(&writer->queue));
		log_warning("message audit rows were not written", "rows", n);
	}
	g_queue_clear_full(&writer->queue, (GDestroyNotify)audit_message_free);
	g_mutex_clear(&writer->mutex);
	g_cond_clear(&writer->wake);
	g_cond_clear(&writer->idle);
	g_free(writer);
}
