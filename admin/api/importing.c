/*
 * importing - pki/import for each file of a call.
 */
#include "admin/api/importing.h"

#include "admin/api/change.h"
#include "milter/gateway.h"
#include "pki/crypto/bundle.h"
#include "pki/import.h"
#include "pki/import_bulk.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/db/tx.h"
#include "store/jobs.h"

/* From here on certificates go in by batches, parsed by several threads. */
#define BULK_FILES 20
#define BULK_BYTES (256 * 1024)
#define COLLECT_AFTER_SECONDS 3

struct batch {
	struct call *call;
	enum importing_mode mode;
	struct secret *password;
	json_t *items;
	guint added, present, rejected;
	GString *changed; /* ids of what is new, for the audit row */
	gboolean brief;   /* no lines for what was not rejected */
	struct import_options bulk_options;
	struct import_bulk *bulk; /* NULL: not begun */
};

static void
add_line(struct batch *batch, const char *file, const char *kind, const char *outcome,
	 const char *subject, const char *note, const char *id)
{
	json_t *item = json_object();

	json_object_set_new(item, "file", answer_text(file));
	json_object_set_new(item, "kind", answer_text(kind));
	json_object_set_new(item, "outcome", answer_text(outcome));
	json_object_set_new(item, "subject", answer_text(subject));
	json_object_set_new(item, "note", answer_text(note != NULL ? note : ""));
	json_object_set_new(item, "id", answer_text(id));
	json_array_append_new(batch->items, item);
}

static void
add_rejected(struct batch *batch, const char *file, const char *kind, const char *why)
{
	add_line(batch, file, kind, import_outcome_name(IMPORT_REJECTED), "", why, NULL);
	batch->rejected++;
}

static void
add_item(const char *file, const struct import_item *item, gpointer data)
{
	struct batch *batch = data;

	if (!batch->brief || item->outcome == IMPORT_REJECTED)
		add_line(batch, file, import_kind_name(item->kind),
			 import_outcome_name(item->outcome), item->subject, item->note, item->id);
	if (item->outcome == IMPORT_NEW && item->id != NULL && batch->changed->len < 4096)
		g_string_append_printf(batch->changed, "%s%s", batch->changed->len > 0 ? " " : "",
				       item->id);
	batch->added += item->outcome == IMPORT_NEW ? 1 : 0;
	batch->present += item->outcome == IMPORT_PRESENT ? 1 : 0;
	batch->rejected += item->outcome == IMPORT_REJECTED ? 1 : 0;
}

static void
add_report(struct batch *batch, const char *file, const struct import_report *report)
{
	for (guint i = 0; i < report->items->len; i++)
		add_item(file, g_ptr_array_index(report->items, i), batch);
}

/* Many certificates and nothing else: they need no look at what else the file may hold. */
static gboolean
is_bulk(const struct batch *batch, GBytes *bytes)
{
	return batch->mode == IMPORTING_STORE &&
	       (call_file_count(batch->call, "files") >= BULK_FILES ||
		g_bytes_get_size(bytes) >= BULK_BYTES) &&
	       import_bulk_fits(bytes);
}

static gboolean
add_bulk(struct batch *batch, GBytes *bytes, const char *file, GError **error)
{
	if (batch->bulk == NULL)
		batch->bulk = import_bulk_new(batch->call->gateway->db, &batch->bulk_options,
					      add_item, batch);
	return import_bulk_add(batch->bulk, bytes, file, error);
}

/* Lines come in the order of the files. */
static gboolean
finish_bulk(struct batch *batch, GError **error)
{
	gboolean good = batch->bulk == NULL || import_bulk_finish(batch->bulk, error);

	g_clear_pointer(&batch->bulk, import_bulk_free);
	return good;
}

/* What of the file may come in by this command; NULL: all of it. FALSE: nothing. */
static gboolean
check_content(struct batch *batch, const char *file, const struct bundle *bundle, GBytes *bytes,
	      GBytes **instead, GError **error)
{
	gboolean keys_allowed = batch->call->role >= ROLE_KEYS;

	*instead = NULL;
	if (batch->mode == IMPORTING_CRLS_ONLY &&
	    (bundle->certs->len > 0 || bundle->keys->len > 0)) {
		add_rejected(batch, file, "file", "is no CRL: take 'cert import' for it");
		return FALSE;
	}
	if (batch->mode == IMPORTING_ROOTS_ONLY &&
	    (bundle->keys->len > 0 || bundle->crls->len > 0)) {
		add_rejected(batch, file, "file",
			     "holds more than certificates: take 'cert import' for it");
		return FALSE;
	}
	if (bundle->keys->len == 0 || keys_allowed)
		return TRUE;
	add_rejected(batch, file, "key", "private keys come in only with the role 'keys'");
	if (bundle->certs->len == 0)
		return FALSE;
	*instead = bundle_write_pem(bundle->certs, error);
	(void)bytes;
	return *instead != NULL;
}

/* A file that does not become a root must be no end user's. */
static gboolean
reject_others(struct batch *batch, const char *file, const struct bundle *bundle)
{
	gboolean any = FALSE;

	for (guint i = 0; i < bundle->certs->len; i++) {
		const struct cert *cert = g_ptr_array_index(bundle->certs, i);

		if (cert_is_ca(cert) && cert_is_self_signed(cert)) {
			any = TRUE;
			continue;
		}
		add_line(batch, file, import_kind_name(IMPORT_CERT),
			 import_outcome_name(IMPORT_REJECTED), cert_subject(cert),
			 "is no self-signed CA certificate: take 'cert import', or 'ctl add' to "
			 "trust it alone",
			 cert_thumbprint(cert));
		batch->rejected++;
	}
	return any;
}

/* Only the self-signed CA certificates of a bundle. */
static GBytes *
roots_of(const struct bundle *bundle, GError **error)
{
	g_autoptr(GPtrArray) roots = g_ptr_array_new();

	for (guint i = 0; i < bundle->certs->len; i++) {
		struct cert *cert = g_ptr_array_index(bundle->certs, i);

		if (cert_is_ca(cert) && cert_is_self_signed(cert))
			g_ptr_array_add(roots, cert);
	}
	return bundle_write_pem(roots, error);
}

static gboolean
import_file(struct batch *batch, GBytes *bytes, const char *file, GError **error)
{
	g_autoptr(GError) problem = NULL;
	g_autoptr(GBytes) instead = NULL;
	struct gateway *gateway = batch->call->gateway;
	struct import_options options = {
		.name = file,
		.password = batch->password,
		.as_roots =
		    batch->mode == IMPORTING_WITH_ROOTS || batch->mode == IMPORTING_ROOTS_ONLY,
	};

	if (is_bulk(batch, bytes))
		return add_bulk(batch, bytes, file, error);
	if (!finish_bulk(batch, error))
		return FALSE;
	CLEANUP(bundle)
	struct bundle *bundle = bundle_read(bytes, file, batch->password, &problem);
	if (bundle == NULL) {
		/* The text begins with the name of the file, which has a column of its own. */
		const char *why = g_str_has_prefix(problem->message, file) &&
					  problem->message[strlen(file)] == ':'
				      ? problem->message + strlen(file) + 2
				      : problem->message;
		add_rejected(batch, file, "file", why);
		return TRUE;
	}
	if (!check_content(batch, file, bundle, bytes, &instead, error))
		return error == NULL || *error == NULL;
	if (batch->mode == IMPORTING_ROOTS_ONLY) {
		if (!reject_others(batch, file, bundle))
			return TRUE;
		instead = roots_of(bundle, error);
		if (instead == NULL)
			return FALSE;
	}
	CLEANUP(import_report)
	struct import_report *report = import_bytes(
	    gateway->db, gateway->keyring, instead != NULL ? instead : bytes, &options, error);
	if (report == NULL)
		return FALSE;
	add_report(batch, file, report);
	return TRUE;
}

/* What came in may name CRLs, or want an intermediate: soon, once for a row of imports. That it
 * could not be asked for is no failure of the import. */
static gboolean
ask_for_collecting(struct tx *tx, gpointer data, GError **error)
{
	(void)data;
	return jobs_enqueue(tx, "crl-refresh", "all", NULL, tx_now(tx) + COLLECT_AFTER_SECONDS,
			    error);
}

static json_t *
batch_answer(struct batch *batch, GError **error)
{
	g_autofree char *detail = g_strdup_printf("%u new, %u already there, %u rejected",
						  batch->added, batch->present, batch->rejected);
	json_t *answer = json_pack("{s:O, s:{s:i, s:i, s:i}}", "items", batch->items, "total",
				   "new", (int)batch->added, "already_there", (int)batch->present,
				   "rejected", (int)batch->rejected);

	if (batch->rejected > 0)
		batch->call->exit_status = 1;
	if (batch->added > 0 && batch->mode != IMPORTING_CRLS_ONLY &&
	    !db_transaction(batch->call->gateway->db, ask_for_collecting, NULL, NULL))
		log_warning("distribution points of what was imported are collected later");
	if (batch->added == 0 && batch->call->id == NULL)
		return answer;
	if (!change_record(batch->call, batch->changed->str, detail, answer, error))
		g_clear_pointer(&answer, json_decref);
	return answer;
}

static void
batch_start(struct batch *batch, struct call *call, enum importing_mode mode)
{
	*batch = (struct batch){ .call = call, .mode = mode };
	batch->password = call_password(call, "password");
	batch->items = json_array();
	batch->changed = g_string_new(NULL);
	batch->brief =
	    operation_argument(call->operation, "brief") != NULL && call_flag(call, "brief");
}

static void
batch_clear(struct batch *batch)
{
	import_bulk_free(batch->bulk);
	secret_unref(batch->password);
	json_decref(batch->items);
	g_string_free(batch->changed, TRUE);
}

/* A single file that is refused as a whole is an error, in words that name it. */
static gboolean
fail_single(const struct batch *batch, GError **error)
{
	const json_t *item = json_array_get(batch->items, 0);

	if (json_array_size(batch->items) != 1 || batch->rejected != 1 ||
	    batch->added + batch->present > 0 || call_file_count(batch->call, "files") != 1)
		return FALSE;
	fail(error, PS_ERROR_INVALID, "%s: %s", json_string_value(json_object_get(item, "file")),
	     json_string_value(json_object_get(item, "note")));
	return TRUE;
}

json_t *
importing_run(struct call *call, enum importing_mode mode, GError **error)
{
	gsize count = call_file_count(call, "files");
	gboolean good = TRUE;
	json_t *answer = NULL;
	struct batch batch;

	batch_start(&batch, call, mode);
	for (gsize i = 0; good && i < count; i++) {
		const char *name;
		g_autoptr(GBytes) bytes = call_file(call, "files", i, &name, error);

		good = bytes != NULL && import_file(&batch, bytes, name, error);
	}
	if (good && finish_bulk(&batch, error) && !fail_single(&batch, error))
		answer = batch_answer(&batch, error);
	batch_clear(&batch);
	return answer;
}
