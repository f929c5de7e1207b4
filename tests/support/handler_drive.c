/*
 * handler_drive - request handlers without the gateway around them, told by lines of JSON.
 *
 *     {"do": "set", "handler": "ejbca", "config": "default", "name": "url", "value": "https://..."}
 *     {"do": "submit", "handler": "ejbca", "email": "a@b.example", "common_name": "A"}
 *
 * Each line is answered with one. A request lives here by its address: its key is made once, and
 * handle, class and state are kept as the worker would; "fresh" begins another. "die": N lets the
 * N-th handle that is saved be the last thing that happens, as a kill would. "released": a person
 * wants it tried again. "renews": thumbprint of a certificate; "do": "import" stores one ("cert")
 * and tells it; "do": "sql" runs "text". Database and
 * master key are made for the run.
 */
#include <jansson.h>
#include <stdio.h>

#include "pki/crypto/bundle.h"
#include "pki/crypto/csr.h"
#include "pki/handlers/handler.h"
#include "store/requests.h"
#include "tests/unit/pki/pki_fixture.h"

#define LINE_MAX_BYTES (1024 * 1024)

struct drive {
	struct fixture f;
	GHashTable *requests; /* address -> struct request_row */
	json_t *saved;        /* handles of this line */
	gint64 die, number;
	struct request_row *row;
};

static const char *
text(const json_t *line, const char *name)
{
	return json_string_value(json_object_get(line, name));
}

/* --- settings --- */

struct setting {
	struct drive *drive;
	const json_t *line;
	const struct handler *handler;
};

static gboolean
set_tx(struct tx *tx, gpointer data, GError **error)
{
	struct setting *setting = data;
	const char *value = text(setting->line, "value");
	CLEANUP(secret) struct secret *secret = value != NULL ? secret_new_text(value) : NULL;

	return handler_config_set(tx, setting->drive->f.keyring, setting->handler,
				  text(setting->line, "config"), text(setting->line, "name"),
				  secret, NULL, error);
}

/* --- requests --- */

static gboolean
key_tx(struct tx *tx, gpointer data, GError **error)
{
	struct drive *drive = data;
	struct request_row *row = drive->row;
	CLEANUP(key)
	struct key *key = keyring_generate(drive->f.keyring, tx, row->key, 0, error);
	struct issue_names names = {
		.common_name = row->common_name,
		.emails = (const char *const[]){ row->email, NULL },
	};

	if (key == NULL)
		return FALSE;
	row->csr = csr_make(key, &names, ALGORITHM_UNKNOWN, error);
	row->spki_sha256 = g_strdup(key_spki_sha256(key));
	return row->csr != NULL;
}

static struct request_row *
request_of(struct drive *drive, const json_t *line, GError **error)
{
	const char *email = text(line, "email");
	if (json_is_true(json_object_get(line, "fresh")))
		g_hash_table_remove(drive->requests, email);
	struct request_row *row = g_hash_table_lookup(drive->requests, email);

	if (row != NULL)
		return row;
	row = g_new0(struct request_row, 1);
	row->id = ++drive->number;
	row->email = g_strdup(email);
	row->common_name = g_strdup(text(line, "common_name"));
	row->organisation = g_strdup(text(line, "organisation"));
	row->first_name = g_strdup(text(line, "first_name"));
	row->last_name = g_strdup(text(line, "last_name"));
	row->key = g_strdup(text(line, "key") != NULL ? text(line, "key") : "ec:P-256");
	row->key_use = g_strdup("dual");
	row->validity_days = json_integer_value(json_object_get(line, "days"));
	row->handler = g_strdup(text(line, "handler"));
	row->handler_config = g_strdup("default");
	row->created = clock_now(drive->f.clock);
	g_hash_table_insert(drive->requests, g_strdup(email), row);
	drive->row = row;
	return db_transaction(drive->f.db, key_tx, drive, error) ? row : NULL;
}

static gboolean
save_handle(gpointer data, const char *handle, GError **error)
{
	struct drive *drive = data;

	g_free(drive->row->handle);
	drive->row->handle = g_strdup(handle);
	json_array_append_new(drive->saved, json_string(handle));
	if (--drive->die == 0)
		return fail_false(error, PS_ERROR_TEMPORARY, "the program died here");
	return TRUE;
}

/* --- answers --- */

static json_t *
certs_as_json(GPtrArray *certs)
{
	json_t *list = json_array();

	for (guint i = 0; certs != NULL && i < certs->len; i++) {
		struct cert *cert = g_ptr_array_index(certs, i);
		g_autoptr(GPtrArray) one = g_ptr_array_new();
		g_ptr_array_add(one, cert);
		g_autoptr(GBytes) bytes = bundle_write_pem(one, NULL);
		g_autofree char *pem =
		    g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
		json_array_append_new(
		    list, json_pack("{s:s, s:s, s:s, s:b, s:s}", "subject", cert_subject(cert),
				    "serial", cert_serial_hex(cert), "spki", cert_spki_sha256(cert),
				    "ca", cert_is_ca(cert), "pem", pem));
	}
	return list;
}

static void
put(json_t *out, const char *name, const char *value)
{
	if (value != NULL)
		json_object_set_new(out, name, json_string(value));
}

static void
answer_as_json(json_t *out, struct drive *drive, const struct handler_answer *answer)
{
	static const char *const names[] = { "issued", "pending", "rejected", "retry" };

	put(out, "status", names[answer->status]);
	put(out, "class", handler_error_class_name(answer->error_class));
	put(out, "code", answer->code);
	put(out, "text", answer->text);
	json_object_set_new(out, "certs", certs_as_json(answer->certs));
	json_object_set_new(out, "wait",
			    json_integer(answer->not_before != 0
					     ? answer->not_before - clock_now(drive->f.clock)
					     : 0));
	if (drive->row == NULL)
		return;
	g_autofree char *csr = csr_to_pem(drive->row->csr);
	put(out, "spki", drive->row->spki_sha256);
	put(out, "csr", csr);
	/* As the worker keeps it. */
	if (answer->handle != NULL) {
		g_free(drive->row->handle);
		drive->row->handle = g_strdup(answer->handle);
	}
	g_free(drive->row->error_class);
	drive->row->error_class = g_strdup(handler_error_class_name(answer->error_class));
	put(out, "handle", drive->row->handle);
}

static gboolean
ask_revoke(const struct handler_context *context, const struct handler *handler, const json_t *line,
	   struct handler_answer *answer, GError **error)
{
	const char *pem = text(line, "cert");
	g_autoptr(GBytes) bytes = g_bytes_new(pem, strlen(pem));
	CLEANUP(bundle) struct bundle *bundle = bundle_read(bytes, "cert", NULL, error);

	if (bundle == NULL)
		return FALSE;
	const struct cert *cert = g_ptr_array_index(bundle->certs, 0);
	const struct handler_revocation revocation = { .cert = cert,
						       .serial = cert_serial_hex(cert),
						       .handle = text(line, "handle"),
						       .reason = text(line, "reason") };
	return handler->revoke(context, NULL, &revocation, answer, error);
}

struct importing {
	struct cert *cert;
	gboolean is_new;
};

static gboolean
import_tx(struct tx *tx, gpointer data, GError **error)
{
	struct importing *importing = data;
	const struct import_options options = { .name = "drive", .origin = "import" };

	return import_cert(tx, importing->cert, &options, &importing->is_new, error);
}

static gboolean
import(struct drive *drive, const json_t *line, json_t *out, GError **error)
{
	const char *pem = text(line, "cert");
	g_autoptr(GBytes) bytes = g_bytes_new(pem, strlen(pem));
	CLEANUP(bundle) struct bundle *bundle = bundle_read(bytes, "cert", NULL, error);

	if (bundle == NULL)
		return FALSE;
	struct importing importing = { g_ptr_array_index(bundle->certs, 0), FALSE };
	put(out, "thumbprint", cert_thumbprint(importing.cert));
	return db_transaction(drive->f.db, import_tx, &importing, error);
}

static void
set_renews(struct request_row *row, const char *thumbprint)
{
	g_free(row->renews);
	row->renews = g_strdup(thumbprint);
}

static gboolean
act(struct drive *drive, const struct handler *handler, const json_t *line, json_t *out,
    GError **error)
{
	const char *what = text(line, "do");
	struct handler_answer answer = { 0 };
	gboolean good = FALSE;
	CLEANUP(handler_config)
	struct handler_config *config = handler_config_load(drive->f.db, drive->f.keyring, handler,
							    text(line, "config"), error);
	struct handler_context context = { .db = drive->f.db,
					   .keyring = drive->f.keyring,
					   .clock = drive->f.clock,
					   .settings = scratch_pg_settings(pg),
					   .config = config,
					   .save_handle = save_handle,
					   .data = drive };

	drive->row = NULL;
	if (strcmp(what, "import") == 0)
		return import(drive, line, out, error);
	drive->die = json_integer_value(json_object_get(line, "die"));
	if (config == NULL)
		return FALSE;
	if (strcmp(what, "submit") == 0 || strcmp(what, "poll") == 0) {
		drive->row = request_of(drive, line, error);
		if (drive->row != NULL && text(line, "renews") != NULL)
			set_renews(drive->row, text(line, "renews"));
		if (drive->row != NULL && json_is_true(json_object_get(line, "released")))
			g_clear_pointer(&drive->row->error_class, g_free);
		if (drive->row != NULL)
			good = *what == 's'
				   ? handler->submit(&context, NULL, drive->row, &answer, error)
				   : handler->poll(&context, drive->row, &answer, error);
	} else if (strcmp(what, "revoke") == 0) {
		good = ask_revoke(&context, handler, line, &answer, error);
	} else if (strcmp(what, "check") == 0) {
		good = handler->check(&context, &answer, error);
	} else if (strcmp(what, "ready") == 0) {
		good = handler_is_ready(&context, handler, error);
	} else if (strcmp(what, "chain") == 0) {
		answer.certs = handler->chain(&context, error);
		good = answer.certs != NULL;
	}
	if (good)
		answer_as_json(out, drive, &answer);
	handler_answer_clear(&answer);
	return good;
}

static void
run_line(struct drive *drive, const json_t *line)
{
	g_autoptr(GError) error = NULL;
	const struct handler *handler = handler_find(text(line, "handler"), &error);
	json_t *out = json_object();
	struct setting setting = { drive, line, handler };
	gboolean good = FALSE;

	clock_set(drive->f.clock, g_get_real_time() / G_USEC_PER_SEC);
	drive->saved = json_array();
	if (g_strcmp0(text(line, "do"), "sql") == 0) {
		scratch_pg_sql(pg, text(line, "text"));
		good = TRUE;
	} else if (handler != NULL)
		good = strcmp(text(line, "do"), "set") == 0
			   ? db_transaction(drive->f.db, set_tx, &setting, &error)
			   : act(drive, handler, line, out, &error);
	if (!good)
		put(out, "error", error != NULL ? error->message : "nothing was done");
	json_object_set_new(out, "saved", drive->saved);
	json_dumpf(out, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(out);
}

static void
row_free(gpointer row)
{
	request_row_free(row);
}

/* The only test there is: skipped where there is no database. */
static void
drive(void)
{
	g_autofree char *buffer = g_malloc(LINE_MAX_BYTES);
	struct drive drive = { .requests = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
								 row_free) };

	if (fixture_up(&drive.f)) {
		while (fgets(buffer, LINE_MAX_BYTES, stdin) != NULL) {
			json_t *line = json_loads(buffer, 0, NULL);

			g_assert_nonnull(line);
			run_line(&drive, line);
			json_decref(line);
		}
		fixture_down(&drive.f);
	}
	g_hash_table_unref(drive.requests);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/handler_drive", drive);
	pg = scratch_pg_start();
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
