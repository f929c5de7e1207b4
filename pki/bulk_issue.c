/*
 * bulk_issue - batches of the built-in CA: threads make keys and certificates, the caller's thread
 * writes them, the oldest chunk first, while the next ones are made.
 *
 * Nothing of a chunk is in the database before all of it is: what is interrupted was never made.
 */
#include "pki/bulk.h"

#include <string.h>

#include "pki/bulk_internal.h"
#include "pki/bulk_order.h"
#include "pki/ca_mint.h"
#include "pki/crypto/key.h"
#include "pki/delivery.h"
#include "pki/enroll.h"
#include "pki/enroll_check.h"
#include "pki/import.h"
#include "pki/keyring.h"
#include "store/base/background.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/bulk_issued.h"
#include "store/certs.h"
#include "store/config/settings.h"
#include "store/db/tx.h"
#include "store/outbox.h"

/* No more than caches hear of one by one (store/db/tx.h). */
#define CHUNK_EC 200
#define CHUNK_RSA_A_THREAD 6
#define CHUNKS_UNDER_WAY 3
#define LOOK_US (200 * 1000)
#define STATE_US G_USEC_PER_SEC

struct item {
	struct bulk_row *row;
	struct chunk *chunk;
	struct key *key;
	struct key_row key_row;
	struct request_row request; /* texts are the row's and the template's */
	struct ca_minted minted;
	struct cert_row *cert_row;
	char *why; /* it could not be made */
	struct bulk_issued issued;
};

struct chunk {
	struct issuing_run *run;
	GPtrArray *rows; /* struct bulk_row; owns them */
	struct item *items;
	struct ca_mint *mint;
	gint left; /* items that are still being made; atomic */
};

struct issuing_run {
	const struct bulk_work *work;
	const struct enroll *enroll;
	const struct bulk_batch *batch;
	struct request_row *template;
	enum key_kind kind;
	unsigned int bits;
	struct secret *password;
	char *note;
	GThreadPool *threads;
	GQueue under_way; /* struct chunk, oldest first */
	GMutex lock;
	GCond made;
	gint given_up; /* atomic: what is not begun is not made any more */
	guint after;
	gboolean fed;      /* no more rows wait */
	gint64 looked_us;  /* when the batch's state was looked at */
	gboolean unwanted; /* it does not run any more */
};

/* --- making, in the threads --- */

static gboolean
seal_key(struct item *item, struct keyring *keyring, GError **error)
{
	const char *spki = key_spki_sha256(item->key);
	CLEANUP(secret) struct secret *pkcs8 = key_to_pkcs8(item->key, error);

	if (pkcs8 == NULL)
		return FALSE;
	g_clear_pointer(&item->key_row.sealed, g_bytes_unref);
	item->key_row.sealed =
	    keyring_seal(keyring, "private_key", spki, pkcs8, &item->key_row.generation, error);
	item->key_row.spki_sha256 = (char *)spki;
	item->key_row.kind = (char *)key_kind_name(key_kind(item->key));
	item->key_row.bits = (gint)key_bits(item->key);
	item->key_row.origin = (char *)"generated";
	return item->key_row.sealed != NULL;
}

static gboolean
make_item(struct item *item, GError **error)
{
	const struct issuing_run *run = item->chunk->run;
	const struct ca_subject subject = {
		.email = item->row->email,
		.common_name = item->row->common_name,
		.organisation = item->row->organisation,
		.first_name = item->row->first_name,
		.last_name = item->row->last_name,
	};

	item->key = key_generate(run->kind, run->bits, error);
	if (item->key == NULL || !seal_key(item, run->enroll->keyring, error) ||
	    !ca_mint_make(item->chunk->mint, item->key, &subject, &item->minted, error))
		return FALSE;
	item->request = *run->template;
	item->request.state = REQUEST_ISSUED;
	item->request.email = item->row->email;
	item->request.common_name = item->row->common_name;
	item->request.organisation = item->row->organisation;
	item->request.first_name = item->row->first_name;
	item->request.last_name = item->row->last_name;
	item->request.spki_sha256 = item->key_row.spki_sha256;
	item->request.thumbprint = (char *)cert_thumbprint(item->minted.cert);
	item->request.attempts = 1;
	item->request.delivery = run->batch->deliver;
	if (!enroll_check(item->minted.cert, &item->request, clock_now(run->enroll->clock), error))
		return FALSE;
	item->cert_row = ca_mint_row(&item->minted, 0);
	return TRUE;
}

static void
make(gpointer data, gpointer user_data)
{
	struct issuing_run *run = user_data;
	struct item *item = data;
	g_autoptr(GError) why = NULL;

	background_thread(BACKGROUND_LOW);
	if (g_atomic_int_get(&run->given_up) == 0 && !make_item(item, &why))
		item->why = g_strdup(why->message);
	if (!g_atomic_int_dec_and_test(&item->chunk->left))
		return;
	g_mutex_lock(&run->lock);
	g_cond_signal(&run->made);
	g_mutex_unlock(&run->lock);
}

/* --- chunks --- */

static void
item_clear(struct item *item)
{
	key_unref(item->key);
	g_clear_pointer(&item->key_row.sealed, g_bytes_unref);
	cert_unref(item->minted.cert);
	cert_row_free(item->cert_row);
	g_free(item->why);
}

static void
chunk_free(struct chunk *chunk)
{
	for (guint i = 0; i < chunk->rows->len; i++)
		item_clear(&chunk->items[i]);
	g_free(chunk->items);
	g_ptr_array_unref(chunk->rows);
	ca_mint_unref(chunk->mint);
	g_free(chunk);
}

struct opening {
	const struct issuing_run *run;
	struct ca_mint *mint;
};

static gboolean
open_mint(struct tx *tx, gpointer data, GError **error)
{
	struct opening *opening = data;
	const struct enroll *enroll = opening->run->enroll;
	const struct request_row *row = opening->run->template;
	const struct ca_context context = {
		.db = enroll->db,
		.keyring = enroll->keyring,
		.clock = enroll->clock,
		.public_url = enroll->settings != NULL ? enroll->settings->public_url : NULL,
	};
	const struct ca_issue options = {
		.ca = row->ca,
		.digest = row->digest,
		.days = row->validity_days,
		.crl_url = row->crl_url,
		.profile = row->profile,
		.key_use = row->key_use,
	};

	g_clear_pointer(&opening->mint, ca_mint_unref);
	opening->mint = ca_mint_open(&context, &options, tx, error);
	return opening->mint != NULL;
}

static guint
chunk_size(const struct issuing_run *run)
{
	return run->kind == KEY_KIND_EC ? CHUNK_EC : bulk_threads(run->work) * CHUNK_RSA_A_THREAD;
}

/* Gives the threads more to do, as long as rows wait. */
static gboolean
feed(struct issuing_run *run, GError **error)
{
	while (!run->fed && g_queue_get_length(&run->under_way) < CHUNKS_UNDER_WAY) {
		struct opening opening = { .run = run };
		g_autoptr(GPtrArray) rows = bulk_rows_waiting(
		    run->enroll->db, run->batch->id, run->after, (gint)chunk_size(run), error);

		if (rows == NULL)
			return FALSE;
		if (rows->len == 0) {
			run->fed = TRUE;
			return TRUE;
		}
		if (!db_transaction(run->enroll->db, open_mint, &opening, error)) {
			ca_mint_unref(opening.mint);
			return FALSE;
		}
		struct chunk *chunk = g_new0(struct chunk, 1);
		chunk->run = run;
		chunk->rows = g_steal_pointer(&rows);
		chunk->items = g_new0(struct item, chunk->rows->len);
		chunk->mint = opening.mint;
		chunk->left = (gint)chunk->rows->len;
		run->after =
		    ((struct bulk_row *)g_ptr_array_index(chunk->rows, chunk->rows->len - 1))->line;
		g_queue_push_tail(&run->under_way, chunk);
		for (guint i = 0; i < chunk->rows->len; i++) {
			chunk->items[i].row = g_ptr_array_index(chunk->rows, i);
			chunk->items[i].chunk = chunk;
			g_thread_pool_push(run->threads, &chunk->items[i], NULL);
		}
	}
	return TRUE;
}

/* A batch that was cancelled does not make the keys that it began. */
static gboolean
is_wanted(struct issuing_run *run)
{
	gint64 now = g_get_monotonic_time();

	if (now - run->looked_us < STATE_US)
		return TRUE;
	run->looked_us = now;
	CLEANUP(bulk_batch)
	struct bulk_batch *batch = bulk_find(run->enroll->db, run->batch->id, NULL);
	run->unwanted = batch != NULL && batch->state != BULK_RUNNING;
	return !run->unwanted;
}

static gboolean
goes_on(struct issuing_run *run)
{
	return (run->work->go_on == NULL || run->work->go_on(run->work->data)) && is_wanted(run);
}

/* FALSE: it is time to leave. */
static gboolean
await_chunk(struct issuing_run *run, struct chunk *chunk)
{
	while (goes_on(run)) {
		gint64 until = g_get_monotonic_time() + LOOK_US;

		g_mutex_lock(&run->lock);
		while (g_atomic_int_get(&chunk->left) > 0 &&
		       g_cond_wait_until(&run->made, &run->lock, until))
			;
		g_mutex_unlock(&run->lock);
		if (g_atomic_int_get(&chunk->left) == 0)
			return TRUE;
	}
	return FALSE;
}

/* --- writing --- */

struct writing {
	struct issuing_run *run;
	struct chunk *chunk;
	GPtrArray *rows; /* of the chunk, that this transaction is about; borrowed */
};

static struct item *
item_of(struct chunk *chunk, const struct bulk_row *row)
{
	for (guint i = 0; i < chunk->rows->len; i++)
		if (chunk->items[i].row == row)
			return &chunk->items[i];
	return NULL;
}

/* What was sealed before a rotation of the master key must not come in behind it. */
static gboolean
ready_item(struct writing *writing, struct item *item, gint64 request_id, GError **error)
{
	struct keyring *keyring = writing->run->enroll->keyring;

	if (item->key_row.generation != keyring_generation(keyring) &&
	    !seal_key(item, keyring, error))
		return FALSE;
	item->request.id = request_id;
	item->cert_row->request_id = request_id;
	item->row->state = BULK_ROW_REQUESTED;
	item->row->request_id = request_id;
	item->issued = (struct bulk_issued){ .request = &item->request,
					     .key = &item->key_row,
					     .cert = item->cert_row,
					     .note = writing->run->note };
	return TRUE;
}

static gboolean
deliver(struct writing *writing, struct tx *tx, const struct item *item, GError **error)
{
	const struct issuing_run *run = writing->run;
	const struct delivery context = { .db = run->enroll->db,
					  .keyring = run->enroll->keyring,
					  .clock = run->enroll->clock,
					  .settings = run->enroll->settings };
	struct delivery_options options;
	struct enroll_order order;

	if (!run->batch->deliver)
		return TRUE;
	bulk_order(run->batch, item->row, run->password, &order, &options);
	return delivery_check(&context, item->row->email, &options, error) &&
	       delivery_prepare(&context, tx, item->request.id, item->row->email, &options,
				error) &&
	       outbox_ready(tx, item->request.id, error);
}

static gboolean
store_items(struct writing *writing, struct tx *tx, GPtrArray *items, GError **error)
{
	guint n = items->len;
	g_autofree gint64 *ids = g_new(gint64, n + 1);
	g_autofree const struct bulk_issued **issued = g_new(const struct bulk_issued *, n + 1);
	g_autofree const struct ca_minted **minted = g_new(const struct ca_minted *, n + 1);

	if (n == 0)
		return TRUE;
	if (!bulk_issued_numbers(tx, ids, n, error))
		return FALSE;
	for (guint i = 0; i < n; i++) {
		struct item *item = g_ptr_array_index(items, i);

		if (!bulk_add_user(writing->run->batch, item->row, tx, error) ||
		    !ready_item(writing, item, ids[i], error))
			return FALSE;
		issued[i] = &item->issued;
		minted[i] = &item->minted;
	}
	if (!ca_mint_store(writing->chunk->mint, tx, minted, n, error) ||
	    !bulk_issued_insert(tx, issued, n, error))
		return FALSE;
	for (guint i = 0; i < n; i++)
		if (!deliver(writing, tx, g_ptr_array_index(items, i), error))
			return FALSE;
	return TRUE;
}

static gboolean
write_rows(struct tx *tx, gpointer data, GError **error)
{
	struct writing *writing = data;
	const struct bulk_batch *batch = writing->run->batch;
	g_autoptr(GPtrArray) left_out = NULL;
	g_autoptr(GPtrArray) good = bulk_claim(tx, batch, writing->rows, &left_out, error);
	g_autoptr(GPtrArray) items = g_ptr_array_new();

	if (good == NULL)
		return FALSE;
	for (guint i = 0; i < good->len; i++) {
		struct bulk_row *row = g_ptr_array_index(good, i);
		struct item *item = item_of(writing->chunk, row);

		if (item->why == NULL) {
			g_ptr_array_add(items, item);
		} else {
			row->state = BULK_ROW_FAILED;
			row->why = g_strdup(item->why);
		}
		g_ptr_array_add(left_out, row);
	}
	return store_items(writing, tx, items, error) &&
	       (left_out->len == 0 ||
		bulk_rows_save(tx, batch->id, (struct bulk_row *const *)left_out->pdata,
			       left_out->len, error));
}

/* The row that cannot be stored, by halves; the others are. */
static gboolean
write_apart(struct writing *writing, GPtrArray *rows, GError **error)
{
	g_autoptr(GError) why = NULL;
	gboolean good = TRUE;

	writing->rows = rows;
	if (rows->len == 0 || db_transaction(writing->run->enroll->db, write_rows, writing, &why))
		return TRUE;
	if (g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY)) {
		g_propagate_error(error, g_steal_pointer(&why));
		return FALSE;
	}
	if (rows->len == 1)
		return bulk_refuse(writing->run->enroll->db, writing->run->batch, rows->pdata[0],
				   why->message, error);
	for (guint half = 0; good && half < 2; half++) {
		g_autoptr(GPtrArray) part = g_ptr_array_new();
		guint middle = rows->len / 2;

		for (guint i = half == 0 ? 0 : middle; i < (half == 0 ? middle : rows->len); i++)
			g_ptr_array_add(part, g_ptr_array_index(rows, i));
		good = write_apart(writing, part, error);
	}
	return good;
}

static gboolean
write_chunk(struct issuing_run *run, struct chunk *chunk, GError **error)
{
	struct writing writing = { .run = run, .chunk = chunk };

	return write_apart(&writing, chunk->rows, error);
}

/* --- the run --- */

static gboolean
run_chunks(struct issuing_run *run, gboolean *finished, GError **error)
{
	*finished = FALSE;
	for (;;) {
		if (!feed(run, error))
			return FALSE;
		struct chunk *chunk = g_queue_peek_head(&run->under_way);
		if (chunk == NULL)
			break;
		if (!await_chunk(run, chunk)) {
			*finished = run->unwanted;
			return TRUE;
		}
		if (!write_chunk(run, chunk, error))
			return FALSE;
		chunk_free(g_queue_pop_head(&run->under_way));
	}
	*finished = TRUE;
	return TRUE;
}

struct trial {
	const struct issuing_run *run;
	struct request_row *row;
};

/* The request that a row would become, with every default filled in; rolled back. */
static gboolean
make_template(struct tx *tx, gpointer data, GError **error)
{
	struct trial *trial = data;
	struct bulk_row anybody = { .email = (char *)"nobody@postseal.invalid",
				    .common_name = (char *)"nobody" };
	struct delivery_options delivery;
	struct enroll_order order;
	gint64 id;

	bulk_order(trial->run->batch, &anybody, NULL, &order, &delivery);
	order.delivery = NULL;
	g_clear_pointer(&trial->row, request_row_free);
	if (!enroll_create(trial->run->enroll, tx, &order, &id, error))
		return FALSE;
	trial->row = requests_lock(tx, id, error);
	return trial->row != NULL && fail_false(error, PS_ERROR_BUG, "it was a trial");
}

static gboolean
load_template(struct issuing_run *run, GError **error)
{
	struct trial trial = { .run = run };
	g_autoptr(GError) why = NULL;

	if (!db_transaction(run->enroll->db, make_template, &trial, &why) && trial.row == NULL) {
		g_propagate_error(error, g_steal_pointer(&why));
		return FALSE;
	}
	run->template = trial.row;
	return key_algorithm_parse(run->template->key, &run->kind, &run->bits, error);
}

static void
run_end(struct issuing_run *run)
{
	g_atomic_int_set(&run->given_up, 1);
	g_thread_pool_free(run->threads, FALSE, TRUE);
	g_queue_clear_full(&run->under_way, (GDestroyNotify)chunk_free);
	g_mutex_clear(&run->lock);
	g_cond_clear(&run->made);
}

gboolean
bulk_issue(const struct bulk_work *work, const struct bulk_batch *batch, gboolean *finished,
	   GError **error)
{
	struct issuing_run run = { .work = work, .enroll = work->enroll, .batch = batch };
	CLEANUP(secret) struct secret *password = NULL;

	*finished = FALSE;
	if (!bulk_password(work->enroll, batch, &password, error) || !load_template(&run, error)) {
		request_row_free(run.template);
		return FALSE;
	}
	run.password = password;
	run.note = g_strdup_printf("issued with batch %" G_GINT64_FORMAT, batch->id);
	g_queue_init(&run.under_way);
	g_mutex_init(&run.lock);
	g_cond_init(&run.made);
	run.threads = g_thread_pool_new(make, &run, (gint)bulk_threads(work), TRUE, NULL);
	gboolean good = run_chunks(&run, finished, error);
	run_end(&run);
	if (good && *finished)
		certs_insert_settle(work->enroll->db);
	request_row_free(run.template);
	g_free(run.note);
	return good;
}
