/*
 * bulk_run - rows become requests, some dozens in a transaction, and threads work on these.
 */
#include "pki/bulk.h"

#include <string.h>

#include "pki/bulk_internal.h"
#include "pki/bulk_order.h"
#include "pki/delivery.h"
#include "pki/enroll.h"
#include "pki/keyring.h"
#include "store/base/background.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/bulk_rivals.h"
#include "store/db/tx.h"
#include "store/requests.h"
#include "store/scopes.h"

#define ROWS_A_THREAD 8
#define LOOK_US (200 * 1000)
#define OPEN_MAX 1000

/* --- what a batch asks for --- */

gboolean
bulk_password(const struct enroll *enroll, const struct bulk_batch *batch, struct secret **password,
	      GError **error)
{
	*password = NULL;
	if (batch->password == NULL)
		return TRUE;
	g_autofree char *row = g_strdup_printf("%" G_GINT64_FORMAT, batch->id);
	*password = keyring_unseal(enroll->keyring, "bulk_batch", row, batch->password, error);
	return *password != NULL;
}

void
bulk_order(const struct bulk_batch *batch, const struct bulk_row *row, struct secret *password,
	   struct enroll_order *order, struct delivery_options *delivery)
{
	*delivery = (struct delivery_options){
		.password = password,
		.sms = batch->sms,
		.store_password = batch->store_password,
		.compatible = batch->compatible,
		.shown_once = TRUE,
		.language = batch->language,
		.requester = batch->requester,
	};
	*order = (struct enroll_order){
		.email = row->email,
		.common_name = row->common_name,
		.organisation = row->organisation,
		.first_name = row->first_name,
		.last_name = row->last_name,
		.handler = batch->handler,
		.handler_config = batch->handler_config,
		.ca = batch->ca,
		.key = batch->key,
		.digest = batch->digest,
		.profile = batch->profile,
		.key_use = batch->key_use,
		.validity_days = batch->validity_days,
		.crl_url = batch->crl_url ? ENROLL_YES : ENROLL_NO,
		.requester = batch->requester,
		.batch_id = batch->id,
		.delivery = batch->deliver ? delivery : NULL,
	};
}

gboolean
bulk_add_user(const struct bulk_batch *batch, const struct bulk_row *row, struct tx *tx,
	      GError **error)
{
	gboolean is_new;

	if (!batch->add_user)
		return TRUE;
	CLEANUP(scope) struct scope *scope = scope_parse(SCOPE_USER, row->email, error);
	return scope != NULL && scopes_add(tx, scope, NULL, &is_new, error);
}

/* --- who has the address by now --- */

static gint
compare_lines(gconstpointer a, gconstpointer b)
{
	guint x = *(const guint *)a, y = *(const guint *)b;

	return x < y ? -1 : x > y;
}

static gboolean
is_among(const GArray *lines, guint line)
{
	return lines->len > 0 && g_array_binary_search((GArray *)lines, &line, compare_lines, NULL);
}

/* What came since the batch was submitted, by whatever way, is not doubled. */
static gboolean
mark_rivals(struct tx *tx, const struct bulk_batch *batch, GPtrArray *rows, GError **error)
{
	g_autoptr(GHashTable) by_email = g_hash_table_new(g_str_hash, g_str_equal);
	g_autofree const char **emails = g_new(const char *, rows->len + 1);
	gsize n = 0;

	for (guint i = 0; i < rows->len; i++) {
		struct bulk_row *row = g_ptr_array_index(rows, i);

		g_hash_table_insert(by_email, row->email, row);
		emails[n++] = row->email;
	}
	g_autoptr(GPtrArray) rivals = bulk_rivals_since(tx, emails, n, batch->created, error);
	if (rivals == NULL)
		return FALSE;
	for (guint i = 0; i < rivals->len; i++) {
		const struct bulk_rival *rival = g_ptr_array_index(rivals, i);
		struct bulk_row *row = g_hash_table_lookup(by_email, rival->email);

		if (row == NULL || row->state != BULK_ROW_WAITING)
			continue;
		row->state = rival->request_id != 0 ? BULK_ROW_UNDER_WAY : BULK_ROW_CERTIFIED;
		row->why = rival->request_id != 0
			       ? g_strdup_printf("request %" G_GINT64_FORMAT
						 " for the address came meanwhile",
						 rival->request_id)
			       : g_strdup_printf("a certificate for the address came meanwhile, "
						 "%.16s",
						 rival->thumbprint);
	}
	return TRUE;
}

/* Fresh in each try of the transaction. */
static void
reset_row(struct bulk_row *row)
{
	row->state = BULK_ROW_WAITING;
	row->request_id = 0;
	g_clear_pointer(&row->why, g_free);
}

GPtrArray *
bulk_claim(struct tx *tx, const struct bulk_batch *batch, GPtrArray *rows, GPtrArray **left_out,
	   GError **error)
{
	g_autofree guint *lines = g_new(guint, rows->len + 1);
	g_autoptr(GPtrArray) mine = g_ptr_array_new();
	g_autoptr(GPtrArray) good = g_ptr_array_new();

	for (guint i = 0; i < rows->len; i++)
		lines[i] = ((struct bulk_row *)g_ptr_array_index(rows, i))->line;
	/* Who cancels or pauses waits for this transaction, or it for him. */
	CLEANUP(bulk_batch) struct bulk_batch *now = bulk_lock(tx, batch->id, error);
	g_autoptr(GArray) claimed =
	    now != NULL ? bulk_rows_claim(tx, batch->id, lines, rows->len, error) : NULL;
	if (claimed == NULL)
		return NULL;
	for (guint i = 0; i < rows->len && now->state == BULK_RUNNING; i++) {
		struct bulk_row *row = g_ptr_array_index(rows, i);

		reset_row(row);
		if (is_among(claimed, row->line))
			g_ptr_array_add(mine, row);
	}
	if (mine->len > 0 && !mark_rivals(tx, batch, mine, error))
		return NULL;
	*left_out = g_ptr_array_new();
	for (guint i = 0; i < mine->len; i++) {
		struct bulk_row *row = g_ptr_array_index(mine, i);

		g_ptr_array_add(row->state == BULK_ROW_WAITING ? good : *left_out, row);
	}
	return g_steal_pointer(&good);
}

/* --- rows to requests --- */

struct making {
	const struct enroll *enroll;
	const struct bulk_batch *batch;
	GPtrArray *rows; /* struct bulk_row */
	struct secret *password;
	GArray *requests; /* gint64, of those that were made */
};

static gboolean
make_one(struct making *making, struct tx *tx, struct bulk_row *row, GError **error)
{
	struct delivery_options delivery;
	struct enroll_order order;
	gint64 id;

	bulk_order(making->batch, row, making->password, &order, &delivery);
	if (!bulk_add_user(making->batch, row, tx, error) ||
	    !enroll_create(making->enroll, tx, &order, &id, error))
		return FALSE;
	row->state = BULK_ROW_REQUESTED;
	row->request_id = id;
	g_array_append_val(making->requests, id);
	return TRUE;
}

static gboolean
make_requests(struct tx *tx, gpointer data, GError **error)
{
	struct making *making = data;
	g_autoptr(GPtrArray) left_out = NULL;
	g_autoptr(GPtrArray) good = bulk_claim(tx, making->batch, making->rows, &left_out, error);

	g_array_set_size(making->requests, 0);
	if (good == NULL)
		return FALSE;
	for (guint i = 0; i < good->len; i++)
		if (!make_one(making, tx, g_ptr_array_index(good, i), error))
			return FALSE;
	for (guint i = 0; i < left_out->len; i++)
		g_ptr_array_add(good, g_ptr_array_index(left_out, i));
	return good->len == 0 ||
	       bulk_rows_save(tx, making->batch->id, (struct bulk_row *const *)good->pdata,
			      good->len, error);
}

struct refusal {
	const struct bulk_batch *batch;
	struct bulk_row *row;
	const char *why;
};

static gboolean
write_refusal(struct tx *tx, gpointer data, GError **error)
{
	const struct refusal *refusal = data;
	g_autoptr(GArray) claimed =
	    bulk_rows_claim(tx, refusal->batch->id, &refusal->row->line, 1, error);

	if (claimed == NULL)
		return FALSE;
	reset_row(refusal->row);
	refusal->row->state = BULK_ROW_FAILED;
	refusal->row->why = g_strdup(refusal->why);
	return claimed->len == 0 || bulk_rows_save(tx, refusal->batch->id, &refusal->row, 1, error);
}

gboolean
bulk_refuse(struct db *db, const struct bulk_batch *batch, struct bulk_row *row, const char *why,
	    GError **error)
{
	struct refusal refusal = { batch, row, why };

	return db_transaction(db, write_refusal, &refusal, error);
}

/* One row that cannot be made does not hold up the others. */
static gboolean
make_apart(struct making *making, GError **error)
{
	g_autoptr(GPtrArray) all = g_ptr_array_ref(making->rows);
	g_autoptr(GArray) requests = g_array_new(FALSE, FALSE, sizeof(gint64));
	gboolean good = TRUE;

	for (guint i = 0; good && i < all->len; i++) {
		g_autoptr(GPtrArray) one = g_ptr_array_new();
		g_autoptr(GError) why = NULL;

		g_ptr_array_add(one, g_ptr_array_index(all, i));
		making->rows = one;
		if (db_transaction(making->enroll->db, make_requests, making, &why)) {
			g_array_append_vals(requests, making->requests->data,
					    making->requests->len);
		} else if (g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY)) {
			g_propagate_error(error, g_steal_pointer(&why));
			good = FALSE;
		} else {
			good = bulk_refuse(making->enroll->db, making->batch,
					   g_ptr_array_index(all, i), why->message, error);
		}
	}
	making->rows = all;
	g_array_set_size(making->requests, 0);
	g_array_append_vals(making->requests, requests->data, requests->len);
	return good;
}

/* --- threads that work on requests --- */

struct crew {
	const struct enroll *enroll;
	GThreadPool *threads;
	GMutex lock;
	GCond idle;
	guint under_way;
	gboolean away; /* the database did not answer */
};

static void
advance_one(gpointer data, gpointer user_data)
{
	struct crew *crew = user_data;
	g_autofree gint64 *id = data;
	g_autoptr(GError) why = NULL;

	background_thread(BACKGROUND_LOW);
	gboolean good = enroll_advance(crew->enroll, *id, NULL, &why);
	gboolean away = !good && g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY);
	if (!good && !away)
		log_warning("request of a batch was not worked on", "error", why->message);
	g_mutex_lock(&crew->lock);
	crew->away |= away;
	crew->under_way--;
	g_cond_signal(&crew->idle);
	g_mutex_unlock(&crew->lock);
}

static void
crew_push(struct crew *crew, gint64 id)
{
	g_mutex_lock(&crew->lock);
	crew->under_way++;
	g_mutex_unlock(&crew->lock);
	g_thread_pool_push(crew->threads, g_memdup2(&id, sizeof(id)), NULL);
}

/* Until no more than `left` are under way; FALSE: leave. */
static gboolean
crew_wait(struct crew *crew, const struct bulk_work *work, guint left)
{
	gboolean going = TRUE;

	while (going) {
		gint64 until = g_get_monotonic_time() + LOOK_US;

		g_mutex_lock(&crew->lock);
		while (crew->under_way > left && g_cond_wait_until(&crew->idle, &crew->lock, until))
			;
		gboolean done = crew->under_way <= left;
		g_mutex_unlock(&crew->lock);
		going = work->go_on == NULL || work->go_on(work->data);
		if (done)
			break;
	}
	return going;
}

static void
crew_start(struct crew *crew, const struct enroll *enroll, guint threads)
{
	*crew = (struct crew){ .enroll = enroll };
	g_mutex_init(&crew->lock);
	g_cond_init(&crew->idle);
	crew->threads =
	    g_thread_pool_new_full(advance_one, crew, g_free, (gint)threads, TRUE, NULL);
}

/* What has not begun stays for the next run. */
static void
crew_end(struct crew *crew)
{
	g_thread_pool_free(crew->threads, TRUE, TRUE);
	g_mutex_clear(&crew->lock);
	g_cond_clear(&crew->idle);
}

/* Those whose maker died before they were begun. */
static gboolean
push_open(struct crew *crew, const struct bulk_batch *batch, GError **error)
{
	const struct request_filter filter = { .only_open = TRUE,
					       .batch_id = batch->id,
					       .limit = OPEN_MAX };
	g_autoptr(GPtrArray) open = requests_list(crew->enroll->db, &filter, error);
	gint64 now = clock_now(crew->enroll->clock);

	if (open == NULL)
		return FALSE;
	for (guint i = 0; i < open->len; i++) {
		const struct request_row *row = g_ptr_array_index(open, i);

		if (row->next_try <= now && row->lease_until == CLOCK_NEVER)
			crew_push(crew, row->id);
	}
	return TRUE;
}

guint
bulk_threads(const struct bulk_work *work)
{
	return work->threads != 0 ? work->threads : g_get_num_processors();
}

static gboolean
run_rows(const struct bulk_work *work, struct crew *crew, struct making *making, gboolean *finished,
	 GError **error)
{
	guint threads = bulk_threads(work), after = 0;
	gboolean going = TRUE;

	while (going && !crew->away) {
		g_autoptr(GPtrArray) rows =
		    bulk_rows_waiting(work->enroll->db, making->batch->id, after,
				      (gint)(threads * ROWS_A_THREAD), error);
		g_autoptr(GError) why = NULL;

		if (rows == NULL)
			return FALSE;
		if (rows->len == 0)
			break;
		after = ((struct bulk_row *)g_ptr_array_index(rows, rows->len - 1))->line;
		making->rows = rows;
		if (!db_transaction(work->enroll->db, make_requests, making, &why)) {
			if (g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY)) {
				g_propagate_error(error, g_steal_pointer(&why));
				return FALSE;
			}
			if (!make_apart(making, error))
				return FALSE;
		}
		for (guint i = 0; i < making->requests->len; i++)
			crew_push(crew, g_array_index(making->requests, gint64, i));
		going = crew_wait(crew, work, threads);
	}
	going = crew_wait(crew, work, 0) && going;
	*finished = going && !crew->away;
	return !crew->away || fail_false(error, PS_ERROR_TEMPORARY,
					 "requests could not be worked on: the database is away");
}

/* Handlers that ask others, and pairs of keys. */
static gboolean
run_by_requests(const struct bulk_work *work, const struct bulk_batch *batch, gboolean *finished,
		GError **error)
{
	CLEANUP(secret) struct secret *password = NULL;
	g_autoptr(GArray) requests = g_array_new(FALSE, FALSE, sizeof(gint64));
	struct making making = { .enroll = work->enroll, .batch = batch, .requests = requests };
	struct crew crew;

	if (!bulk_password(work->enroll, batch, &password, error))
		return FALSE;
	making.password = password;
	crew_start(&crew, work->enroll, bulk_threads(work));
	gboolean good =
	    push_open(&crew, batch, error) && run_rows(work, &crew, &making, finished, error);
	crew_end(&crew);
	return good;
}

struct ending {
	gint64 id;
	enum bulk_state state;
	const char *why;
};

static gboolean
write_state(struct tx *tx, gpointer data, GError **error)
{
	const struct ending *ending = data;
	CLEANUP(bulk_batch) struct bulk_batch *batch = bulk_lock(tx, ending->id, error);

	if (batch == NULL)
		return FALSE;
	return batch->state != BULK_RUNNING ||
	       bulk_set_state(tx, ending->id, ending->state, ending->why, error);
}

gboolean
bulk_run(const struct bulk_work *work, gint64 id, gboolean *finished, GError **error)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(bulk_batch) struct bulk_batch *batch = bulk_find(work->enroll->db, id, error);

	*finished = FALSE;
	if (batch == NULL)
		return FALSE;
	if (batch->state != BULK_RUNNING) {
		*finished = TRUE;
		return TRUE;
	}
	struct ending ending = { .id = id, .state = BULK_DONE };
	/* A pair is two requests that know each other: enroll's business. */
	gboolean at_once =
	    strcmp(batch->handler, "builtin") == 0 && g_strcmp0(batch->key_use, "pair") != 0;
	if (!(at_once ? bulk_issue : run_by_requests)(work, batch, finished, &why)) {
		if (g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY)) {
			g_propagate_error(error, g_steal_pointer(&why));
			return FALSE;
		}
		log_warning("a batch of requests is paused", "error", why->message);
		ending.state = BULK_PAUSED;
		ending.why = why->message;
		*finished = TRUE;
	}
	return !*finished || db_transaction(work->enroll->db, write_state, &ending, error);
}
