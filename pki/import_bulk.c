/*
 * import_bulk - files are cut into objects, objects gathered into batches; workers parse, the
 * caller's thread writes and reports, oldest batch first, while the next ones are parsed.
 */
#include "pki/import_bulk.h"

#include <string.h>

#include "pki/crl_load.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/cert_scan.h"
#include "pki/crypto/pem_cut.h"
#include "store/base/error.h"
#include "store/base/printable.h"
#include "store/db/tx.h"
#include "store/keys.h"

/* The first ones are smaller, so that there is soon something to write. */
#define BATCH_OBJECTS 4000
#define BATCH_OBJECTS_FIRST 500
#define BATCH_BYTES (12 * 1024 * 1024)
#define WORKERS_MAX 4
#define SETTLE_MIN 500
/* Begun and not written: with the one that is being gathered, all there is in memory. */
#define UNDER_WAY_MAX 3

struct file {
	gint references;
	char *name;
	char *shown; /* as the row keeps it */
};

struct object {
	struct file *file;
	GBytes *bytes;          /* DER, or the file's text, until it is parsed */
	struct pem_block block; /* of PEM, else empty; in the text */
	guint number;           /* in its file */
	struct cert_row *row;   /* or NULL and … */
	char *why;              /* … what is wrong with it */
	gboolean is_new;
};

struct batch {
	GPtrArray *objects;
	gsize bytes;
	gboolean parsed;
};

struct import_bulk {
	struct db *db;
	const struct import_options *options;
	import_bulk_func func;
	gpointer data;
	struct batch *gathering;
	GQueue under_way; /* struct batch, oldest first */
	GThreadPool *workers;
	GAsyncQueue *scanners;
	GMutex lock; /* of batch.parsed */
	GCond parsed;
	guint64 added;
	gboolean has_new_issuers;
	guint batch_objects; /* how many the one that is being gathered may have */
	gboolean failed;
};

static void
file_unref(struct file *file)
{
	if (!g_atomic_int_dec_and_test(&file->references))
		return;
	g_free(file->name);
	g_free(file->shown);
	g_free(file);
}

static void
object_free(gpointer data)
{
	struct object *object = data;

	file_unref(object->file);
	g_clear_pointer(&object->bytes, g_bytes_unref);
	cert_row_free(object->row);
	g_free(object->why);
	g_free(object);
}

static struct batch *
batch_new(void)
{
	struct batch *batch = g_new0(struct batch, 1);

	batch->objects = g_ptr_array_new_with_free_func(object_free);
	return batch;
}

static void
batch_free(struct batch *batch)
{
	g_ptr_array_unref(batch->objects);
	g_free(batch);
}

/* --- parsing, in the workers --- */

static GBytes *
object_der(struct object *object)
{
	if (object->block.body == NULL)
		return g_bytes_ref(object->bytes);
	GBytes *der = pem_cut_decode(&object->block);
	if (der == NULL)
		object->why = g_strdup("its base64 is broken");
	return der;
}

static void
object_parse(struct object *object, struct cert_scanner *scanner,
	     const struct import_options *options)
{
	g_autoptr(GBytes) der = object_der(object);
	g_autoptr(GError) error = NULL;

	g_clear_pointer(&object->bytes, g_bytes_unref);
	if (der == NULL)
		return;
	object->row = cert_scan(scanner, der);
	if (object->row == NULL) {
		CLEANUP(cert) struct cert *cert = cert_parse(der, &error);
		if (cert == NULL) {
			object->why = g_strdup(error->message);
			return;
		}
		object->row = cert_row_from(cert);
	}
	if (options->origin != NULL) {
		g_free(object->row->origin);
		object->row->origin = g_strdup(options->origin);
	}
	object->row->origin_detail = g_strdup(object->file->shown);
	object->row->request_id = options->request_id;
	object->row->pending = options->pending;
}

static void
parse_batch(gpointer data, gpointer user_data)
{
	struct import_bulk *bulk = user_data;
	struct batch *batch = data;
	struct cert_scanner *scanner = g_async_queue_try_pop(bulk->scanners);

	if (scanner == NULL)
		scanner = cert_scanner_new();
	for (guint i = 0; i < batch->objects->len; i++)
		object_parse(g_ptr_array_index(batch->objects, i), scanner, bulk->options);
	g_async_queue_push(bulk->scanners, scanner);
	g_mutex_lock(&bulk->lock);
	batch->parsed = TRUE;
	g_cond_broadcast(&bulk->parsed);
	g_mutex_unlock(&bulk->lock);
}

static void
await_parsed(struct import_bulk *bulk, const struct batch *batch)
{
	g_mutex_lock(&bulk->lock);
	while (!batch->parsed)
		g_cond_wait(&bulk->parsed, &bulk->lock);
	g_mutex_unlock(&bulk->lock);
}

/* --- writing --- */

/* Objects from..to of a batch that have a row, as the store wants them. */
struct share {
	GPtrArray *objects; /* struct object, borrowed */
	gboolean by_copy;
};

static gboolean
write_by_copy(struct tx *tx, GPtrArray *objects, GError **error)
{
	g_autofree struct cert_row **rows = g_new(struct cert_row *, objects->len);
	g_autofree gboolean *is_new = g_new0(gboolean, objects->len);

	for (guint i = 0; i < objects->len; i++)
		rows[i] = ((struct object *)g_ptr_array_index(objects, i))->row;
	if (!certs_insert_many(tx, rows, objects->len, is_new, error))
		return FALSE;
	for (guint i = 0; i < objects->len; i++)
		((struct object *)g_ptr_array_index(objects, i))->is_new = is_new[i];
	return TRUE;
}

static gboolean
write_share(struct tx *tx, gpointer data, GError **error)
{
	struct share *share = data;

	if (share->by_copy)
		return write_by_copy(tx, share->objects, error);
	for (guint i = 0; i < share->objects->len; i++) {
		struct object *object = g_ptr_array_index(share->objects, i);

		if (!certs_insert(tx, object->row, &object->is_new, error))
			return FALSE;
	}
	return TRUE;
}

/* The one that the database will not have, by halves; the others are stored. */
static gboolean
write_apart(struct import_bulk *bulk, GPtrArray *objects, GError **error)
{
	struct share share = { objects, FALSE };
	g_autoptr(GError) why = NULL;

	if (objects->len == 0 || db_transaction(bulk->db, write_share, &share, &why))
		return TRUE;
	if (g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY)) {
		g_propagate_error(error, g_steal_pointer(&why));
		return FALSE;
	}
	if (objects->len == 1) {
		struct object *object = g_ptr_array_index(objects, 0);

		object->why = g_strdup(why->message);
		return TRUE;
	}
	for (guint half = 0; half < 2; half++) {
		g_autoptr(GPtrArray) part = g_ptr_array_new();
		guint middle = objects->len / 2;

		for (guint i = half == 0 ? 0 : middle; i < (half == 0 ? middle : objects->len); i++)
			g_ptr_array_add(part, g_ptr_array_index(objects, i));
		if (!write_apart(bulk, part, error))
			return FALSE;
	}
	return TRUE;
}

/* What fails is done once more without COPY, which takes what comes from elsewhere meanwhile. */
static gboolean
write_batch(struct import_bulk *bulk, const struct batch *batch, GError **error)
{
	g_autoptr(GPtrArray) objects = g_ptr_array_new();
	struct share share = { objects, TRUE };
	g_autoptr(GError) why = NULL;

	for (guint i = 0; i < batch->objects->len; i++) {
		struct object *object = g_ptr_array_index(batch->objects, i);

		if (object->row != NULL)
			g_ptr_array_add(objects, object);
	}
	if (objects->len == 0 || db_transaction(bulk->db, write_share, &share, &why))
		return TRUE;
	if (!g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY))
		return write_apart(bulk, objects, error);
	g_propagate_error(error, g_steal_pointer(&why));
	return FALSE;
}

/* --- reporting --- */

/* K9: which of them have their key by now. Set of SPKI digests. */
static GHashTable *
keys_of(struct import_bulk *bulk, const struct batch *batch, GError **error)
{
	g_autoptr(GPtrArray) digests = g_ptr_array_new();

	for (guint i = 0; i < batch->objects->len; i++) {
		const struct object *object = g_ptr_array_index(batch->objects, i);

		if (object->row != NULL)
			g_ptr_array_add(digests, object->row->spki_sha256);
	}
	if (digests->len == 0)
		return g_hash_table_new(g_str_hash, g_str_equal);
	return keys_held(bulk->db, (const char *const *)digests->pdata, digests->len, error);
}

static void
report_object(struct import_bulk *bulk, const struct object *object, GHashTable *held)
{
	struct import_item item = { .kind = IMPORT_UNKNOWN, .outcome = IMPORT_REJECTED };
	g_autofree char *name = NULL;

	if (object->row != NULL) {
		item.kind = object->row->is_ca ? IMPORT_CA : IMPORT_CERT;
		item.id = object->row->thumbprint;
		item.subject = object->row->subject;
	} else {
		item.subject = name = g_strdup_printf("certificate (object %u)", object->number);
	}
	if (object->why != NULL) {
		item.note = object->why;
	} else {
		item.outcome = object->is_new ? IMPORT_NEW : IMPORT_PRESENT;
		bulk->added += object->is_new ? 1 : 0;
		bulk->has_new_issuers |= object->is_new && object->row->is_ca;
		if (object->row->is_ca && object->row->self_signed)
			item.note = (char *)"not trusted as a root; for that: postseal root import";
		else if (g_hash_table_contains(held, object->row->spki_sha256))
			item.note = (char *)"private key is held";
	}
	bulk->func(object->file->name, &item, bulk->data);
}

static gboolean
finish_oldest(struct import_bulk *bulk, GError **error)
{
	struct batch *batch = g_queue_peek_head(&bulk->under_way);

	await_parsed(bulk, batch);
	if (!write_batch(bulk, batch, error)) {
		bulk->failed = TRUE;
		return FALSE;
	}
	g_autoptr(GHashTable) held = keys_of(bulk, batch, error);
	if (held == NULL) {
		bulk->failed = TRUE;
		return FALSE;
	}
	for (guint i = 0; i < batch->objects->len; i++)
		report_object(bulk, g_ptr_array_index(batch->objects, i), held);
	batch_free(g_queue_pop_head(&bulk->under_way));
	return TRUE;
}

/* --- gathering --- */

static gboolean
begin_batch(struct import_bulk *bulk, GError **error)
{
	struct batch *batch = bulk->gathering;

	if (batch->objects->len == 0)
		return TRUE;
	bulk->gathering = batch_new();
	bulk->batch_objects = MIN(bulk->batch_objects * 2, BATCH_OBJECTS);
	g_queue_push_tail(&bulk->under_way, batch);
	g_thread_pool_push(bulk->workers, batch, NULL);
	while (g_queue_get_length(&bulk->under_way) > UNDER_WAY_MAX)
		if (!finish_oldest(bulk, error))
			return FALSE;
	return TRUE;
}

static gboolean
add_object(struct import_bulk *bulk, struct file *file, GBytes *bytes,
	   const struct pem_block *block, guint number, GError **error)
{
	struct object *object = g_new0(struct object, 1);

	g_atomic_int_inc(&file->references);
	object->file = file;
	object->bytes = g_bytes_ref(bytes);
	object->number = number;
	if (block != NULL)
		object->block = *block;
	g_ptr_array_add(bulk->gathering->objects, object);
	bulk->gathering->bytes += block != NULL ? block->length : g_bytes_get_size(bytes);
	if (bulk->gathering->objects->len < bulk->batch_objects &&
	    bulk->gathering->bytes < BATCH_BYTES)
		return TRUE;
	return begin_batch(bulk, error);
}

/* A certificate of version 2 or 3: lists, requests, messages and keys begin in other ways. */
static gboolean
is_cert_der(const guint8 *bytes, gsize length)
{
	for (guint depth = 0; depth < 2; depth++) {
		gsize header;

		if (length < 8 || bytes[0] != 0x30)
			return FALSE;
		header = 2 + (bytes[1] >= 0x80 ? bytes[1] & 0x7f : 0);
		if (header > 6 || header >= length)
			return FALSE;
		bytes += header;
		length -= header;
	}
	return length > 5 && memcmp(bytes, "\xa0\x03\x02\x01", 4) == 0;
}

gboolean
import_bulk_fits(GBytes *bytes)
{
	gsize length;
	const char *text = g_bytes_get_data(bytes, &length), *p = text;
	struct pem_block block;
	gboolean any = FALSE;

	if (length == 0)
		return FALSE;
	if (text[0] == 0x30)
		return is_cert_der((const guint8 *)text, length);
	while (pem_cut_next(&p, text + length, &block)) {
		if (block.body == NULL || !pem_cut_is(&block, "CERTIFICATE"))
			return FALSE;
		any = TRUE;
	}
	return any;
}

gboolean
import_bulk_add(struct import_bulk *bulk, GBytes *bytes, const char *file_name, GError **error)
{
	gsize length;
	const char *text = g_bytes_get_data(bytes, &length), *p = text;
	struct file *file = g_new0(struct file, 1);
	struct pem_block block;
	guint number = 0;
	gboolean good = !bulk->failed ||
			fail_false(error, PS_ERROR_BUG, "an import that failed was gone on with");

	file->references = 1;
	file->name = g_strdup(file_name);
	file->shown = printable(file_name);
	if (good && length > 0 && text[0] == 0x30)
		good = add_object(bulk, file, bytes, NULL, 1, error);
	else
		while (good && pem_cut_next(&p, text + length, &block))
			if (block.body != NULL)
				good = add_object(bulk, file, bytes, &block, ++number, error);
	file_unref(file);
	return good;
}

/* Lists that came before their issuer may count from now on. */
static gboolean
look_at_lists(struct import_bulk *bulk, GError **error)
{
	guint changed = 0;

	if (!bulk->has_new_issuers)
		return TRUE;
	CLEANUP(crl_loader) struct crl_loader *loader = crl_loader_new(bulk->db, NULL);
	bulk->has_new_issuers = FALSE;
	return crl_reexamine(loader, NULL, &changed, error);
}

gboolean
import_bulk_finish(struct import_bulk *bulk, GError **error)
{
	if (bulk->failed)
		return fail_false(error, PS_ERROR_BUG, "an import that failed was gone on with");
	if (!begin_batch(bulk, error))
		return FALSE;
	while (!g_queue_is_empty(&bulk->under_way))
		if (!finish_oldest(bulk, error))
			return FALSE;
	if (bulk->added >= SETTLE_MIN)
		certs_insert_settle(bulk->db);
	bulk->added = 0;
	return look_at_lists(bulk, error);
}

struct import_bulk *
import_bulk_new(struct db *db, const struct import_options *options, import_bulk_func func,
		gpointer data)
{
	struct import_bulk *bulk = g_new0(struct import_bulk, 1);
	gint workers = (gint)MIN(g_get_num_processors(), WORKERS_MAX);

	bulk->db = db;
	bulk->options = options;
	bulk->func = func;
	bulk->data = data;
	bulk->gathering = batch_new();
	bulk->batch_objects = BATCH_OBJECTS_FIRST;
	g_queue_init(&bulk->under_way);
	g_mutex_init(&bulk->lock);
	g_cond_init(&bulk->parsed);
	bulk->scanners = g_async_queue_new_full((GDestroyNotify)cert_scanner_free);
	bulk->workers = g_thread_pool_new(parse_batch, bulk, workers, FALSE, NULL);
	return bulk;
}

void
import_bulk_free(struct import_bulk *bulk)
{
	if (bulk == NULL)
		return;
	g_thread_pool_free(bulk->workers, FALSE, TRUE);
	batch_free(bulk->gathering);
	g_queue_clear_full(&bulk->under_way, (GDestroyNotify)batch_free);
	g_async_queue_unref(bulk->scanners);
	g_mutex_clear(&bulk->lock);
	g_cond_clear(&bulk->parsed);
	g_free(bulk);
}
