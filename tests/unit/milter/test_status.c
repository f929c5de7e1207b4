/*
 * status: counters, histogram, epochs of messages in flight, the two documents, the socket.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "milter/status.h"
#include "store/base/error.h"

static void
extra(gpointer data, struct status_writer *writer)
{
	status_write(writer, "cache_hits_total", "found in the cache", TRUE, *(gdouble *)data);
}

static void
test_documents(void)
{
	CLEANUP(status) struct status *status = status_new();
	gdouble hits = 12345678;
	g_autofree char *json = NULL;
	g_autofree char *prometheus = NULL;

	status_add_source(status, extra, &hits);
	status_message(status, REASON_DONE_SIGNED, 900, 100, 2000);
	status_message(status, REASON_DONE_SIGNED, 1001, 100, 2000);
	status_message(status, REASON_DEFERRED_STORE, G_GINT64_CONSTANT(20000000), 50, 0);
	status_reloaded(status, TRUE);
	status_reloaded(status, FALSE);
	json = status_json(status);
	g_assert_nonnull(strstr(json, "\"signed\": 2,"));
	g_assert_nonnull(strstr(json, "\"deferred.store\": 1"));
	g_assert_nonnull(strstr(json, "\"messages_total\": 3"));
	g_assert_nonnull(strstr(json, "\"1\": 1, \"2\": 1, \"5\": 0"));
	g_assert_nonnull(strstr(json, "\"more\": 1}"));
	g_assert_nonnull(strstr(json, "\"bytes_in_total\": 250"));
	g_assert_nonnull(strstr(json, "\"cache_hits_total\": 12345678\n}"));
	prometheus = status_prometheus(status);
	g_assert_nonnull(
	    strstr(prometheus, "postseal_milter_messages_total{reason=\"signed\"} 2\n"));
	g_assert_nonnull(
	    strstr(prometheus, "postseal_milter_latency_seconds_bucket{le=\"0.002\"} 2\n"));
	g_assert_nonnull(
	    strstr(prometheus, "postseal_milter_latency_seconds_bucket{le=\"+Inf\"} 3\n"));
	g_assert_nonnull(strstr(prometheus, "# TYPE postseal_milter_cache_hits_total counter\n"
					    "postseal_milter_cache_hits_total 12345678\n"));
	g_assert_nonnull(strstr(prometheus, "postseal_milter_reloads_failed_total 1\n"));
}

/* What begins after the stop is not counted among what it waits for. */
static void
test_epochs(void)
{
	CLEANUP(status) struct status *status = status_new();
	guint first = status_message_begins(status);
	guint second = status_message_begins(status);
	guint old = status_begin_epoch(status);
	guint later = status_message_begins(status);

	g_assert_cmpuint(status_in_flight(status, old), ==, 2);
	status_message_ends(status, first);
	status_message_ends(status, later);
	g_assert_cmpuint(status_in_flight(status, old), ==, 1);
	status_message_ends(status, second);
	g_assert_cmpuint(status_in_flight(status, old), ==, 0);
}

static char *
ask(const char *path, const char *question)
{
	g_autoptr(GError) error = NULL;
	char *answer = status_ask(path, question, &error);

	g_assert_no_error(error);
	return answer;
}

static void
test_socket(void)
{
	g_autofree char *dir = g_dir_make_tmp("postseal-status-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(dir, "status", NULL);
	struct status *status = status_new();
	struct status *other = status_new();
	g_autoptr(GError) error = NULL;
	g_autofree char *json = NULL;
	g_autofree char *prometheus = NULL;
	g_autofree char *neither = NULL;

	g_assert_true(g_file_set_contents(path, "", 0, NULL)); /* something dead is there */
	g_assert_true(status_serve(status, path, &error));
	g_assert_no_error(error);
	json = ask(path, "json");
	g_assert_true(g_str_has_prefix(json, "{\n  \"program\": \"postseal-milter\""));
	prometheus = ask(path, "prometheus");
	g_assert_true(g_str_has_prefix(prometheus, "# HELP postseal_milter_messages_total"));
	neither = ask(path, "GET / HTTP/1.0\r\n\r");
	g_assert_cmpstr(neither, ==, "ask for json or prometheus\n");
	g_assert_false(status_serve(other, path, &error));
	g_assert_nonnull(error);
	status_free(other);
	status_free(status);
	g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
	g_clear_error(&error);
	g_assert_null(status_ask(path, "json", &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
	g_rmdir(dir);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/status/documents", test_documents);
	g_test_add_func("/status/epochs", test_epochs);
	g_test_add_func("/status/socket", test_socket);
	return g_test_run();
}
