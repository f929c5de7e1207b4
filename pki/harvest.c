/*
 * harvest - a bounded queue, one thread that writes, and a memory of what is known already.
 */
#include "pki/harvest.h"

#include "pki/crypto/cert.h"
#include "pki/import.h"
#include "pki/pending.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/certs.h"
#include "store/harvests.h"

#define QUEUE_MAX 1000
#define REMEMBERED_MAX 20000
#define DAY_SECONDS 86400
#define USED_AT_ONCE 100

/* sender NULL: the certificate was used. */
struct note {
	struct cert *cert;
	char *sender;
};

struct harvest {
	struct pending_judge judge; /* S1 */
	GThread *thread;
	GMutex lock;
	GCond changed;
	GQueue queue; /* struct note */
	gboolean busy, stopping;
	GHashTable *known; /* thumbprints in the store, whoever sent them */
	GHashTable *used;  /* thumbprints noted today */
	gint64 today;
	struct harvest_stats stats;
};

static void
note_free(gpointer p)
{
	struct note *note = p;

	if (note == NULL)
		return;
	cert_unref(note->cert);
	g_free(note->sender);
	g_free(note);
}

static gboolean
too_large(const struct cert *cert)
{
	return g_bytes_get_size(cert_der(cert)) > HARVEST_DER_MAX_BYTES ||
	       cert_emails(cert)->len > HARVEST_EMAILS_MAX ||
	       (cert_key_kind(cert) == KEY_KIND_RSA && cert_key_bits(cert) > HARVEST_RSA_MAX_BITS);
}

const char *
harvest_fault(const struct cert *cert, const struct mailaddr *sender)
{
	if (cert_is_ca(cert))
		return "it is a CA's";
	if (!cert_has_email(cert, sender))
		return "it does not name the sender";
	if (too_large(cert))
		return "it is too large";
	if (!cert_has_email_purpose(cert))
		return "it is not meant for mail";
	if (!key_strength_allowed(cert_key_kind(cert), cert_key_bits(cert)))
		return "its key is too weak";
	return NULL;
}

/* Under the lock. FALSE: it was there. */
static gboolean
remember(GHashTable *set, const struct cert *cert)
{
	if (g_hash_table_size(set) >= REMEMBERED_MAX)
		g_hash_table_remove_all(set);
	return g_hash_table_add(set, g_strdup(cert_thumbprint(cert)));
}

/* Under the lock. */
static void
put(struct harvest *harvest, const struct cert *cert, const char *sender)
{
	struct note *note;

	if (g_queue_get_length(&harvest->queue) >= QUEUE_MAX) {
		harvest->stats.dropped++;
		return;
	}
	note = g_new0(struct note, 1);
	note->cert = cert_ref((struct cert *)cert);
	note->sender = g_strdup(sender);
	g_queue_push_tail(&harvest->queue, note);
	g_cond_broadcast(&harvest->changed);
}

void
harvest_offer(struct harvest *harvest, struct cert *cert, const struct mailaddr *sender)
{
	if (harvest_fault(cert, sender) != NULL)
		return;
	g_mutex_lock(&harvest->lock);
	if (!g_hash_table_contains(harvest->known, cert_thumbprint(cert)))
		put(harvest, cert, mailaddr_key(sender));
	g_mutex_unlock(&harvest->lock);
}

void
harvest_used(struct harvest *harvest, const struct cert *cert)
{
	gint64 today = clock_now(harvest->judge.clock) / DAY_SECONDS;

	g_mutex_lock(&harvest->lock);
	if (today != harvest->today)
		g_hash_table_remove_all(harvest->used);
	harvest->today = today;
	if (remember(harvest->used, cert))
		put(harvest, cert, NULL);
	g_mutex_unlock(&harvest->lock);
}

/* ---- the thread ----------------------------------------------------------------------------- */

static gboolean
take(struct harvest *harvest, const struct note *note, GError **error)
{
	CLEANUP(cert_row) struct cert_row *row = cert_row_from(note->cert);
	g_autofree char *why = NULL;
	enum harvest_outcome outcome;

	if (!pending_judge(&harvest->judge, note->cert, &row->pending, &why, error) ||
	    !harvests_add(harvest->judge.db, row, note->sender, &outcome, error))
		return FALSE;
	if (outcome == HARVEST_NEW)
		log_info("certificate taken from signed mail", "sender", note->sender, "subject",
			 row->subject, "thumbprint", row->thumbprint, "waits",
			 row->pending ? why : "no");
	g_mutex_lock(&harvest->lock);
	harvest->stats.taken += outcome == HARVEST_NEW;
	harvest->stats.known += outcome == HARVEST_PRESENT;
	harvest->stats.limited += outcome == HARVEST_LIMIT;
	if (outcome != HARVEST_LIMIT)
		(void)remember(harvest->known, note->cert);
	g_mutex_unlock(&harvest->lock);
	return TRUE;
}

static gboolean
write_batch(struct harvest *harvest, GPtrArray *batch, GError **error)
{
	g_autoptr(GPtrArray) used = g_ptr_array_new();

	for (guint i = 0; i < batch->len; i++) {
		const struct note *note = batch->pdata[i];

		if (note->sender == NULL)
			g_ptr_array_add(used, (gpointer)cert_thumbprint(note->cert));
		else if (!take(harvest, note, error))
			return FALSE;
	}
	return used->len == 0 ||
	       harvests_used(harvest->judge.db, (const char *const *)used->pdata, used->len, error);
}

static void
work(struct harvest *harvest, GPtrArray *batch)
{
	g_autoptr(GError) error = NULL;

	if (write_batch(harvest, batch, &error))
		return;
	log_warning("certificates seen in mail could not be kept", "reason", error->message);
	g_mutex_lock(&harvest->lock);
	harvest->stats.dropped += batch->len;
	g_mutex_unlock(&harvest->lock);
}

static gpointer
writer(gpointer data)
{
	struct harvest *harvest = data;

	g_mutex_lock(&harvest->lock);
	while (!harvest->stopping) {
		g_autoptr(GPtrArray) batch = g_ptr_array_new_with_free_func(note_free);

		if (g_queue_is_empty(&harvest->queue)) {
			g_cond_wait(&harvest->changed, &harvest->lock);
			continue;
		}
		while (batch->len < USED_AT_ONCE && !g_queue_is_empty(&harvest->queue))
			g_ptr_array_add(batch, g_queue_pop_head(&harvest->queue));
		harvest->busy = TRUE;
		g_mutex_unlock(&harvest->lock);
		work(harvest, batch);
		g_mutex_lock(&harvest->lock);
		harvest->busy = FALSE;
		g_cond_broadcast(&harvest->changed);
	}
	g_mutex_unlock(&harvest->lock);
	return NULL;
}

struct harvest *
harvest_start(const struct pending_judge *judge, GError **error)
{
	struct harvest *harvest = g_new0(struct harvest, 1);

	harvest->judge = *judge;
	g_mutex_init(&harvest->lock);
	g_cond_init(&harvest->changed);
	g_queue_init(&harvest->queue);
	harvest->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	harvest->used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	harvest->thread = g_thread_try_new("harvest", writer, harvest, error);
	if (harvest->thread == NULL)
		harvest_stop(g_steal_pointer(&harvest));
	return harvest;
}

void
harvest_stop(struct harvest *harvest)
{
	if (harvest == NULL)
		return;
	g_mutex_lock(&harvest->lock);
	harvest->stopping = TRUE;
	g_cond_broadcast(&harvest->changed);
	g_mutex_unlock(&harvest->lock);
	if (harvest->thread != NULL)
		g_thread_join(harvest->thread);
	g_queue_clear_full(&harvest->queue, note_free);
	g_hash_table_unref(harvest->known);
	g_hash_table_unref(harvest->used);
	g_mutex_clear(&harvest->lock);
	g_cond_clear(&harvest->changed);
	g_free(harvest);
}

void
harvest_stats(struct harvest *harvest, struct harvest_stats *stats)
{
	g_mutex_lock(&harvest->lock);
	*stats = harvest->stats;
	g_mutex_unlock(&harvest->lock);
}

gboolean
harvest_flush(struct harvest *harvest, guint timeout_ms)
{
	gint64 until = g_get_monotonic_time() + (gint64)timeout_ms * G_TIME_SPAN_MILLISECOND;
	gboolean done = TRUE;

	g_mutex_lock(&harvest->lock);
	while (done && (harvest->busy || !g_queue_is_empty(&harvest->queue)))
		done = g_cond_wait_until(&harvest->changed, &harvest->lock, until);
	g_mutex_unlock(&harvest->lock);
	return done;
}
