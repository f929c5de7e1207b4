/* copies_fixture - see copies_fixture.h. */
#include "tests/unit/milter/copies_fixture.h"

#include <glib/gstdio.h>
#include <string.h>

#include "milter/envelope.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "pki/crypto/seal.h"
#include "store/config/settings.h"
#include "store/db/query.h"

static const char *
mta_macro(struct mta *mta, const char *name)
{
	if (strcmp(name, "j") == 0)
		return "mx.corp.example";
	return strcmp(name, "i") == 0 ? ((struct waiting_mta *)mta)->queue_id : NULL;
}

static gboolean
mta_progress(struct mta *mta)
{
	struct waiting_mta *waiting = (struct waiting_mta *)mta;

	waiting->progress++;
	return !waiting->gone;
}

static const struct mta_ops ops = { .macro = mta_macro, .progress = mta_progress };

static struct settings *
settings_copy(const struct settings *from)
{
	struct settings *settings = settings_default();
	gsize count;
	const struct setting_row *rows = setting_rows(&count);

	for (gsize i = 0; i < count; i++) {
		g_autofree char *value = settings_get(from, rows[i].name);

		if (*value != '\0')
			g_assert_true(settings_set(settings, rows[i].name, value, NULL));
	}
	return settings;
}

static void
set(struct settings *settings, const char *name, const char *value)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(settings_set(settings, name, value, &error));
	g_assert_no_error(error);
}

gboolean
bench_up(struct bench *bench)
{
	g_autoptr(GError) error = NULL;
	struct settings *settings;

	if (scratch_pg_skip(pg))
		return FALSE;
	scratch_pg_empty(pg);
	memset(bench, 0, sizeof *bench);
	g_autofree char *folder = g_build_filename(scratch_pg_folder(pg), "keys", NULL);
	bench->key_file = g_build_filename(folder, "master.key", NULL);
	g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
	if (!g_file_test(bench->key_file, G_FILE_TEST_EXISTS))
		g_assert_true(master_keys_create(bench->key_file, &error));
	bench->server = smtp_server_start(NULL);
	settings = settings_copy(scratch_pg_settings(pg));
	set(settings, "master_key_file", bench->key_file);
	set(settings, "milter_master_key_file", bench->key_file);
	set(settings, "database_wait", "1s");
	set(settings, "reinject_address", smtp_server_address(bench->server));
	set(settings, "reinject_timeout", "5s");
	bench->clock = clock_new_fixed(BENCH_NOW);
	bench->gateway = gateway_open_with_clock(settings, GATEWAY_MILTER, bench->clock, &error);
	g_assert_no_error(error);
	bench->area = spool_area_new_memory(64 * 1024 * 1024);
	bench->mta = (struct waiting_mta){ .mta = { &ops }, .queue_id = "4XyZqueue" };
	return TRUE;
}

static void
message_clear(struct bench *bench)
{
	envelope_free(bench->envelope);
	headers_unref(bench->headers);
	spool_unref(bench->body);
}

void
bench_down(struct bench *bench)
{
	message_clear(bench);
	gateway_close(bench->gateway);
	clock_free(bench->clock);
	smtp_server_stop(bench->server);
	g_assert_cmpuint(spool_area_used(bench->area), ==, 0);
	spool_area_unref(bench->area);
	g_free(bench->key_file);
}

void
bench_set(struct bench *bench, const char *setting, const char *value)
{
	struct settings *settings = settings_copy(gateway_settings(bench->gateway));
	g_autoptr(GError) error = NULL;

	set(settings, setting, value);
	g_assert_true(gateway_reload(bench->gateway, settings, &error));
	g_assert_no_error(error);
}

void
bench_message(struct bench *bench, const char *sender, const char *sender_parameters,
	      const char *recipients, const char *text)
{
	g_auto(GStrv) addresses = g_strsplit(recipients, " ", -1);
	g_autofree char *from = g_strdup_printf("<%s>", sender);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	g_autofree char *wire = g_strjoinv("\r\n", lines);
	guint64 start;

	message_clear(bench);
	bench->envelope = envelope_new();
	envelope_set_sender(bench->envelope, from, sender_parameters);
	bench->envelope->client_address = g_strdup("192.0.2.9");
	bench->envelope->client_name = g_strdup("client.example");
	g_free(bench->envelope->queue_id);
	bench->envelope->queue_id = g_strdup(bench->mta.queue_id);
	for (guint i = 0; addresses[i] != NULL; i++) {
		g_auto(GStrv) parts = g_strsplit(addresses[i], "?", 2);
		g_autofree char *to = g_strdup_printf("<%s>", parts[0]);
		g_autofree char *parameters =
		    parts[1] != NULL ? g_strdelimit(g_strdup(parts[1]), "&", ' ') : NULL;

		envelope_add_recipient(bench->envelope, to, parameters);
	}
	CLEANUP(spool)
	struct spool *whole = spool_from_bytes(bench->area, wire, strlen(wire), NULL);
	bench->headers = headers_parse(whole, 0, spool_size(whole), &start, NULL);
	g_assert_nonnull(bench->headers);
	bench->body = spool_from_bytes(bench->area, wire + start, strlen(wire) - start, NULL);
	bench->message = (struct session_message){ .envelope = bench->envelope,
						   .headers = bench->headers,
						   .body = bench->body };
}

gint64
bench_count(struct bench *bench, const char *sql)
{
	static guint counter;
	g_autofree char *name = g_strdup_printf("bench_count_%u", counter++);
	const struct statement statement = { g_intern_string(name), sql };
	g_autoptr(GError) error = NULL;
	CLEANUP(rows) struct rows *rows = db_write(bench->gateway->db, &statement, NULL, &error);

	g_assert_no_error(error);
	return rows_int(rows, 0, 0);
}
