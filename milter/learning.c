/*
 * learning - a bounded queue of notes, and the thread that writes them.
 */
#include "milter/learning.h"

#include "milter/answering.h"
#include "milter/gateway.h"
#include "milter/reading.h"
#include "store/answers.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/capabilities.h"
#include "store/config/settings.h"

#define QUEUE_MAX 10000
#define DAY_SECONDS 86400

enum note_kind { NOTE_DECRYPTED, NOTE_ANNOUNCED, NOTE_REQUEST };

struct note {
	enum note_kind kind;
	GPtrArray *digests;                /* of DECRYPTED */
	struct capability_row *capability; /* of ANNOUNCED */
	char *email;                       /* of REQUEST */
};

struct learning {
	struct gateway *gateway;
	GThread *thread;
	GMutex lock;
	GCond changed;
	GQueue queue; /* struct note */
	gboolean busy, stopping;
	struct learning_stats stats;
};

static void
note_free(gpointer p)
{
	struct note *note = p;

	g_clear_pointer(&note->digests, g_ptr_array_unref);
	capability_row_free(note->capability);
	g_free(note->email);
	g_free(note);
}

static void
put(struct learning *learning, struct note *note)
{
	gboolean room;

	g_mutex_lock(&learning->lock);
	room = g_queue_get_length(&learning->queue) < QUEUE_MAX;
	if (room)
		g_queue_push_tail(&learning->queue, note);
	else
		learning->stats.dropped++;
	g_cond_broadcast(&learning->changed);
	g_mutex_unlock(&learning->lock);
	if (!room)
		note_free(note);
}

/* As the envelope has it, and without its tag: he may answer as either. */
void
learning_decrypted(struct learning *learning, const struct headers *headers,
		   const struct mailaddr *recipient)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *untagged = NULL;
	const char *keys[2] = { NULL, NULL };
	struct note *note;
	gsize n = 0;
	char delimiter;

	if (learning == NULL)
		return;
	delimiter = *gateway_settings(learning->gateway)->recipient_delimiter;
	keys[n++] = mailaddr_key(recipient);
	if (delimiter != '\0')
		untagged = mailaddr_key_without_tag(recipient, delimiter);
	if (untagged != NULL)
		keys[n++] = untagged;
	note = g_new0(struct note, 1);
	note->kind = NOTE_DECRYPTED;
	note->digests = answering_digests(learning->gateway, headers, keys, n, &error);
	if (error != NULL)
		log_warning("answers to a decrypted message will not be known", "reason",
			    error->message);
	if (note->digests != NULL)
		put(learning, note);
	else
		note_free(note);
}

void
learning_announced(struct learning *learning, const struct mailaddr *author, guint ciphers,
		   guint transports, gint64 signing_time)
{
	struct note *note;

	if (learning == NULL || signing_time == CLOCK_NEVER ||
	    signing_time > clock_now(learning->gateway->clock) + DAY_SECONDS)
		return;
	note = g_new0(struct note, 1);
	note->kind = NOTE_ANNOUNCED;
	note->capability = g_new0(struct capability_row, 1);
	note->capability->email = g_strdup(mailaddr_key(author));
	note->capability->ciphers = ciphers;
	note->capability->transports = transports;
	note->capability->signed_at = signing_time;
	put(learning, note);
}

static gboolean
speaks(const struct reading_signer *signer)
{
	return signer->has_capabilities && signer->covers && signer->from_matches &&
	       signer->signature == SIGNATURE_GOOD && signer->trust == SIGNER_VALID &&
	       !signer->unknown && !signer->legacy && signer->signing_time != CLOCK_NEVER;
}

void
learning_reading(struct learning *learning, const struct reading *reading)
{
	const struct reading_signer *newest = NULL;

	if (reading->verdict != MAIL_VALID || reading->unknown || reading->author == NULL)
		return;
	for (guint i = 0; i < reading->signers->len; i++) {
		const struct reading_signer *signer = reading->signers->pdata[i];

		if (speaks(signer) &&
		    (newest == NULL || signer->signing_time > newest->signing_time))
			newest = signer;
	}
	if (newest != NULL)
		learning_announced(learning, reading->author, newest->capabilities,
				   newest->transports, newest->signing_time);
}

void
learning_requests(struct learning *learning, const struct mailaddr *author)
{
	struct note *note;

	if (learning == NULL)
		return;
	note = g_new0(struct note, 1);
	note->kind = NOTE_REQUEST;
	note->email = g_strdup(mailaddr_key(author));
	put(learning, note);
}

/* ---- the thread ----------------------------------------------------------------------------- */

static gboolean
write_note(struct learning *learning, const struct note *note, GError **error)
{
	struct db *db = learning->gateway->db;

	switch (note->kind) {
	case NOTE_DECRYPTED:
		return decrypted_note(db, (GBytes *const *)note->digests->pdata, note->digests->len,
				      error);
	case NOTE_ANNOUNCED:
		return capabilities_learn(db, note->capability, NULL, error);
	case NOTE_REQUEST:
		break;
	}
	return auto_requests_ask(db, note->email, error);
}

static void
work(struct learning *learning, const struct note *note)
{
	g_autoptr(GError) error = NULL;
	gboolean written = write_note(learning, note, &error);

	if (!written)
		log_warning("what a message taught could not be kept", "reason", error->message);
	g_mutex_lock(&learning->lock);
	learning->stats.written += written;
	learning->stats.dropped += !written;
	g_mutex_unlock(&learning->lock);
}

static gpointer
writer(gpointer data)
{
	struct learning *learning = data;

	g_mutex_lock(&learning->lock);
	while (!learning->stopping) {
		struct note *note = g_queue_pop_head(&learning->queue);

		if (note == NULL) {
			g_cond_wait(&learning->changed, &learning->lock);
			continue;
		}
		learning->busy = TRUE;
		g_mutex_unlock(&learning->lock);
		work(learning, note);
		note_free(note);
		g_mutex_lock(&learning->lock);
		learning->busy = FALSE;
		g_cond_broadcast(&learning->changed);
	}
	g_mutex_unlock(&learning->lock);
	return NULL;
}

struct learning *
learning_start(struct gateway *gateway, GError **error)
{
	struct learning *learning = g_new0(struct learning, 1);

	learning->gateway = gateway;
	g_mutex_init(&learning->lock);
	g_cond_init(&learning->changed);
	g_queue_init(&learning->queue);
	learning->thread = g_thread_try_new("learning", writer, learning, error);
	if (learning->thread == NULL)
		learning_stop(g_steal_pointer(&learning));
	return learning;
}

void
learning_stop(struct learning *learning)
{
	if (learning == NULL)
		return;
	g_mutex_lock(&learning->lock);
	learning->stopping = TRUE;
	g_cond_broadcast(&learning->changed);
	g_mutex_unlock(&learning->lock);
	if (learning->thread != NULL)
		g_thread_join(learning->thread);
	g_queue_clear_full(&learning->queue, note_free);
	g_mutex_clear(&learning->lock);
	g_cond_clear(&learning->changed);
	g_free(learning);
}

void
learning_stats(struct learning *learning, struct learning_stats *stats)
{
	g_mutex_lock(&learning->lock);
	*stats = learning->stats;
	g_mutex_unlock(&learning->lock);
}

gboolean
learning_flush(struct learning *learning, guint timeout_ms)
{
	gint64 until = g_get_monotonic_time() + (gint64)timeout_ms * G_TIME_SPAN_MILLISECOND;
	gboolean done = TRUE;

	g_mutex_lock(&learning->lock);
	while (done && (learning->busy || !g_queue_is_empty(&learning->queue)))
		done = g_cond_wait_until(&learning->changed, &learning->lock, until);
	g_mutex_unlock(&learning->lock);
	return done;
}
