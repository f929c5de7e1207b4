/*
 * ocsp - rows as facts, and a thread that asks the daemon for more.
 */
#include "pki/ocsp.h"

#include <string.h>

#include "pki/crypto/ocsp.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/db/changelog.h"
#include "store/jobs.h"
#include "store/ocsp.h"

#define JOB_KIND "ocsp"
#define QUESTIONS_A_MINUTE 120 /* of one program */
#define ASKED_MAX 4096
#define ASK_AGAIN_SECONDS 60 /* the same question, while nothing comes of it */
#define COMPLAIN_SECONDS 600
#define CERTS_MAX 16
#define OPEN_FAILURES_MAX 5 /* about an hour and a half of tries */

struct question {
	char *key, *text;
};

struct ocsp {
	struct db *db;
	struct changelog *changelog;
	struct clock *clock;
	GMutex lock;
	gboolean counted; /* present is of this generation */
	gboolean present;
	guint64 generation;
	GHashTable *asked; /* job key -> gint64, when */
	gint64 minute;     /* the one that is being counted */
	guint in_minute;
	GThread *thread; /* NULL until the first question */
	GAsyncQueue *questions;
};

static void
question_free(gpointer data)
{
	struct question *question = data;

	g_free(question->key);
	g_free(question->text);
	g_free(question);
}

struct ocsp *
ocsp_new(struct db *db, struct changelog *changelog, struct clock *clock)
{
	struct ocsp *ocsp = g_new0(struct ocsp, 1);

	ocsp->db = db;
	ocsp->changelog = changelog;
	ocsp->clock = clock;
	ocsp->asked = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	ocsp->questions = g_async_queue_new_full(question_free);
	g_mutex_init(&ocsp->lock);
	return ocsp;
}

void
ocsp_free(struct ocsp *ocsp)
{
	if (ocsp == NULL)
		return;
	if (ocsp->thread != NULL) {
		/* One without a key ends the thread; it goes before the others. */
		g_async_queue_push_front(ocsp->questions, g_new0(struct question, 1));
		g_thread_join(ocsp->thread);
	}
	g_async_queue_unref(ocsp->questions);
	g_hash_table_unref(ocsp->asked);
	g_mutex_clear(&ocsp->lock);
	g_free(ocsp);
}

/* --- facts --- */

void
ocsp_facts_free(struct ocsp_facts *facts)
{
	if (facts == NULL)
		return;
	g_ptr_array_unref(facts->statuses);
	g_ptr_array_unref(facts->rows);
	g_ptr_array_unref(facts->certs);
	g_free(facts);
}

/* Is there any row? Known until the change log has one of this kind. */
static gboolean
any_rows(struct ocsp *ocsp, gboolean *present, GError **error)
{
	guint64 now = changelog_generation(ocsp->changelog, CHANGE_OCSP);
	gboolean known;

	g_mutex_lock(&ocsp->lock);
	known = ocsp->changelog != NULL && ocsp->counted && ocsp->generation == now;
	*present = ocsp->present;
	g_mutex_unlock(&ocsp->lock);
	if (known)
		return TRUE;
	if (!ocsp_present(ocsp->db, present, error))
		return FALSE;
	g_mutex_lock(&ocsp->lock);
	ocsp->counted = TRUE;
	ocsp->generation = now;
	ocsp->present = *present;
	g_mutex_unlock(&ocsp->lock);
	return TRUE;
}

static enum chain_status_kind
kind_of(enum ocsp_row_status status)
{
	switch (status) {
	case OCSP_ROW_GOOD:
		return CHAIN_STATUS_GOOD;
	case OCSP_ROW_REVOKED:
		return CHAIN_STATUS_REVOKED;
	case OCSP_ROW_UNKNOWN:
		return CHAIN_STATUS_UNKNOWN;
	case OCSP_ROW_NONE:
		break;
	}
	return CHAIN_STATUS_NONE;
}

static gboolean
is_row_of(const struct ocsp_row *row, const struct cert *cert)
{
	return strcmp(row->serial, cert_serial_hex(cert)) == 0 &&
	       strcmp(row->issuer_key, cert_issuer_key(cert)) == 0;
}

static void
add_status(struct ocsp_facts *facts, const struct cert *cert, const struct ocsp_row *row)
{
	struct chain_status *status = g_new0(struct chain_status, 1);

	*status = (struct chain_status){
		.thumbprint = cert_thumbprint(cert),
		.issuer_spki = row->issuer_spki,
		.kind = kind_of(row->status),
		/* A responder's clock may be ahead of ours: it counts from when it came. */
		.this_update = MIN(row->this_update, row->answered),
		.next_update = row->next_update,
		.revoked_at = row->revoked_at,
		.reason = (enum crl_reason)row->reason,
		.responder = row->url,
		.problem = row->error,
	};
	g_ptr_array_add(facts->statuses, status);
}

/* Reads what the store has of these; sets of facts without rows are the usual thing. */
static gboolean
read_rows(struct ocsp *ocsp, struct ocsp_facts *facts, GError **error)
{
	g_autoptr(GPtrArray) issuers = g_ptr_array_new();
	g_autoptr(GPtrArray) serials = g_ptr_array_new();
	gboolean present = FALSE;

	if (facts->certs->len == 0)
		return TRUE;
	if (!any_rows(ocsp, &present, error))
		return FALSE;
	if (!present)
		return TRUE;
	for (guint i = 0; i < facts->certs->len; i++) {
		g_ptr_array_add(issuers, (gpointer)cert_issuer_key(facts->certs->pdata[i]));
		g_ptr_array_add(serials, (gpointer)cert_serial_hex(facts->certs->pdata[i]));
	}
	GPtrArray *rows = ocsp_by_certs(ocsp->db, (const char *const *)issuers->pdata,
					(const char *const *)serials->pdata, issuers->len, error);
	if (rows == NULL)
		return FALSE;
	g_ptr_array_unref(facts->rows);
	facts->rows = rows;
	for (guint i = 0; i < facts->certs->len; i++)
		for (guint k = 0; k < rows->len; k++)
			if (is_row_of(rows->pdata[k], facts->certs->pdata[i]))
				add_status(facts, facts->certs->pdata[i], rows->pdata[k]);
	return TRUE;
}

struct ocsp_facts *
ocsp_facts(struct ocsp *ocsp, GPtrArray *certs, GArray *tags, GError **error)
{
	CLEANUP(ocsp_facts) struct ocsp_facts *facts = g_new0(struct ocsp_facts, 1);

	facts->statuses = g_ptr_array_new_with_free_func(g_free);
	facts->rows = g_ptr_array_new();
	facts->certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	for (guint i = 0; i < certs->len; i++) {
		struct cert *cert = certs->pdata[i];

		if (cert_ocsp_urls(cert)[0] == NULL || cert_is_among(cert, facts->certs))
			continue;
		g_ptr_array_add(facts->certs, cert_ref(cert));
		if (tags != NULL) {
			g_autofree char *key =
			    g_strconcat(cert_issuer_key(cert), ":", cert_serial_hex(cert), NULL);
			change_tags_add(tags, CHANGE_OCSP, key);
		}
	}
	return read_rows(ocsp, facts, error) ? g_steal_pointer(&facts) : NULL;
}

const struct ocsp_row *
ocsp_facts_find(const struct ocsp_facts *facts, const struct cert *cert, const struct cert *issuer)
{
	for (guint i = 0; i < facts->rows->len; i++) {
		const struct ocsp_row *row = facts->rows->pdata[i];

		if (is_row_of(row, cert) && strcmp(row->issuer_spki, cert_spki_sha256(issuer)) == 0)
			return row;
	}
	return NULL;
}

/* --- jobs as text --- */

char *
ocsp_job_key(const struct cert *cert, const struct cert *issuer)
{
	return g_strdup_printf("%s:%s:%s", cert_issuer_key(cert), cert_serial_hex(cert),
			       cert_spki_sha256(issuer));
}

static gsize
carried_bytes(GPtrArray *path, guint index)
{
	gsize bytes = 0;

	for (guint i = index; i + 1 < path->len; i++)
		bytes += g_bytes_get_size(cert_der(path->pdata[i]));
	return bytes;
}

char *
ocsp_job_text(GPtrArray *path, guint index)
{
	g_autoptr(GString) text = g_string_new(NULL);

	if (carried_bytes(path, index) > OCSP_PATH_MAX_BYTES)
		return NULL;
	for (guint i = index; i + 1 < path->len; i++) {
		gsize size;
		gconstpointer der = g_bytes_get_data(cert_der(path->pdata[i]), &size);

		g_autofree char *base64 = g_base64_encode(der, size);
		g_string_append_printf(text, "%s%s", text->len > 0 ? " " : "", base64);
	}
	return text->len > 0 ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}

GPtrArray *
ocsp_job_parse(const char *text, GError **error)
{
	g_autoptr(GPtrArray) certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);

	if (text == NULL || strlen(text) > 2 * OCSP_PATH_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "a question to a responder is too large");
	g_auto(GStrv) pieces = g_strsplit(text, " ", CERTS_MAX + 1);
	if (pieces[0] == NULL || g_strv_length(pieces) > CERTS_MAX)
		return fail(error, PS_ERROR_INVALID,
			    "a question to a responder carries 1 to %d certificates", CERTS_MAX);
	for (char **piece = pieces; *piece != NULL; piece++) {
		gsize size = 0;
		guchar *der = g_base64_decode(*piece, &size);
		g_autoptr(GBytes) bytes = g_bytes_new_take(der, size);
		struct cert *cert = cert_parse(bytes, error);

		if (cert == NULL)
			return NULL;
		g_ptr_array_add(certs, cert);
	}
	return g_steal_pointer(&certs);
}

/* --- asking --- */

static gpointer
ask_for_jobs(gpointer data)
{
	struct ocsp *ocsp = data;
	gint64 complained = -COMPLAIN_SECONDS;

	for (;;) {
		struct question *question = g_async_queue_pop(ocsp->questions);
		g_autoptr(GError) error = NULL;
		gboolean last = question->key == NULL;
		gint64 now = clock_monotonic_us() / G_USEC_PER_SEC;

		if (!last && !jobs_ask(ocsp->db, JOB_KIND, question->key, question->text, &error) &&
		    now - complained >= COMPLAIN_SECONDS) {
			log_warning("the daemon cannot be asked to ask OCSP responders", "error",
				    error->message);
			complained = now;
		}
		question_free(question);
		if (last)
			return NULL;
	}
}

static gboolean
is_long_ago(gpointer key, gpointer when, gpointer now)
{
	(void)key;
	return *(gint64 *)now - *(gint64 *)when >= ASK_AGAIN_SECONDS ||
	       *(gint64 *)when > *(gint64 *)now;
}

/* May this be asked now? Counts it. Called with the lock held. */
static gboolean
count_question(struct ocsp *ocsp, const char *key, gint64 now)
{
	const gint64 *when = g_hash_table_lookup(ocsp->asked, key);
	gint64 *noted;

	if (when != NULL && !is_long_ago(NULL, (gpointer)when, &now))
		return FALSE;
	if (ocsp->minute != now / 60) {
		ocsp->minute = now / 60;
		ocsp->in_minute = 0;
	}
	if (ocsp->in_minute >= QUESTIONS_A_MINUTE)
		return FALSE;
	if (g_hash_table_size(ocsp->asked) >= ASKED_MAX)
		g_hash_table_foreach_remove(ocsp->asked, is_long_ago, &now);
	if (g_hash_table_size(ocsp->asked) >= ASKED_MAX)
		return FALSE;
	ocsp->in_minute++;
	noted = g_new(gint64, 1);
	*noted = now;
	g_hash_table_replace(ocsp->asked, g_strdup(key), noted);
	return TRUE;
}

static void
ask(struct ocsp *ocsp, GPtrArray *path, guint index, gint64 now)
{
	g_autofree char *key = ocsp_job_key(path->pdata[index], path->pdata[index + 1]);
	gboolean good;

	g_mutex_lock(&ocsp->lock);
	good = count_question(ocsp, key, now);
	if (good && ocsp->thread == NULL)
		ocsp->thread = g_thread_try_new("ocsp", ask_for_jobs, ocsp, NULL);
	good = good && ocsp->thread != NULL;
	g_mutex_unlock(&ocsp->lock);
	char *text = good ? ocsp_job_text(path, index) : NULL;
	if (text == NULL)
		return;
	struct question *question = g_new0(struct question, 1);
	question->key = g_steal_pointer(&key);
	question->text = text;
	g_async_queue_push(ocsp->questions, question);
}

/* Is an answer to be expected? One that fails again and again is not: then it is as it is. */
static gboolean
is_open(const struct ocsp_row *row, gint64 now)
{
	return row == NULL ||
	       (row->attempts < OPEN_FAILURES_MAX && (row->attempts > 0 || row->next_try <= now));
}

gint64
ocsp_want(struct ocsp *ocsp, const struct ocsp_facts *facts, GPtrArray *path, guint32 wanted,
	  gint64 now, gboolean *open)
{
	gint64 again = CLOCK_NEVER;

	for (guint i = 0; i + 1 < path->len && i < 32; i++) {
		if ((wanted >> i & 1) == 0 || carried_bytes(path, i) > OCSP_PATH_MAX_BYTES)
			continue;
		const struct ocsp_row *row =
		    ocsp_facts_find(facts, path->pdata[i], path->pdata[i + 1]);
		*open = *open || is_open(row, now);
		if (row != NULL && row->next_try > now) {
			again = MIN(again, row->next_try);
			continue;
		}
		ask(ocsp, path, i, now);
		again = MIN(again, now + ASK_AGAIN_SECONDS);
	}
	return again;
}
