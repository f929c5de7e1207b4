/*
 * Programs of the site's own: environment, limits, their end.
 */
#include "pki/handlers/program.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"

static char *folder;

static char *
script(const char *text)
{
	static guint counter;
	g_autofree char *name = g_strdup_printf("program%u", counter++);
	g_autofree char *whole = g_strconcat("#!/bin/sh\n", text, "\n", NULL);
	char *path = g_build_filename(folder, name, NULL);

	g_assert_true(
	    g_file_set_contents_full(path, whole, -1, G_FILE_SET_CONTENTS_NONE, 0700, NULL));
	return path;
}

static void
test_what_it_sees(void)
{
	g_autofree char *path =
	    script("env | grep -v ^_= | grep -v ^PWD= | sort; echo \"$1|$2\";"
		   " pwd; cat; ls /proc/self/fd | wc -l; echo told >&2; exit 3");
	const char *const argv[] = { path, "a b", "$(reboot)", NULL };
	const char *const environment[] = { "ACME_DOMAIN=x.example", NULL };
	g_autoptr(GBytes) input = g_bytes_new_static("in\n", 3);
	struct program program = { .argv = argv, .environment = environment, .input = input };
	struct program_result result = { 0 };
	g_autoptr(GError) error = NULL;

	g_setenv("SECRET_OF_OURS", "1", TRUE);
	g_assert_true(program_call(&program, &result, &error));
	g_assert_no_error(error);
	g_assert_cmpint(result.status, ==, 3);
	g_assert_cmpstr(result.message, ==, "told");
	gsize length;
	const char *bytes = g_bytes_get_data(result.output, &length);
	g_autofree char *output = g_strndup(bytes, length);
	/* Its own three, and the folder that ls reads. */
	g_assert_cmpstr(output, ==,
			"ACME_DOMAIN=x.example\nLANG=C.UTF-8\n"
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
			"a b|$(reboot)\n/\nin\n4\n");
	program_result_clear(&result);
}

static gboolean
stop(gpointer data)
{
	(void)data;
	return FALSE;
}

static void
test_its_end(void)
{
	static const struct {
		const char *says, *text, *why;
		gboolean stopped;
	} rows[] = {
		{ "too slow", "sleep 60", "in time", FALSE },
		{ "does not listen", "trap '' TERM; sleep 60 & sleep 60", "in time", FALSE },
		{ "says too much", "yes", "too much", FALSE },
		{ "kills itself", "kill -9 $$", "signal 9", FALSE },
		{ "we stop", "sleep 60", "stopped", TRUE },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *path = script(rows[i].text);
		const char *const argv[] = { path, NULL };
		struct program program = { .argv = argv,
					   .timeout_seconds = 1,
					   .output_max_bytes = 1000,
					   .waiting = rows[i].stopped ? stop : NULL };
		struct program_result result = { 0 };
		g_autoptr(GError) error = NULL;
		gint64 began = clock_monotonic_us();

		if (strcmp(rows[i].why, "in time") != 0)
			program.timeout_seconds = 60; /* it does not end by itself before that */
		g_test_message("%s", rows[i].says);
		g_assert_false(program_call(&program, &result, &error));
		g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
		g_assert_nonnull(strstr(error->message, rows[i].why));
		g_assert_true(result.started);
		g_assert_cmpint(clock_monotonic_us() - began, <, 50 * G_USEC_PER_SEC);
		program_result_clear(&result);
	}
}

/* One that goes on in the background does not hold us. */
static void
test_background(void)
{
	g_autofree char *path = script("sleep 60 & echo done");
	const char *const argv[] = { path, NULL };
	struct program program = { .argv = argv };
	struct program_result result = { 0 };
	g_autoptr(GError) error = NULL;

	g_assert_true(program_call(&program, &result, &error));
	g_assert_cmpint(result.status, ==, 0);
	g_assert_cmpmem(g_bytes_get_data(result.output, NULL), g_bytes_get_size(result.output),
			"done\n", 5);
	program_result_clear(&result);
}

static void
test_refused(void)
{
	g_autofree char *open = script("exit 0");
	g_autofree char *plain = script("exit 0");
	const char *const rows[] = { "true", "/no/such/file", "/tmp", open, plain };

	g_chmod(open, 0777);
	g_chmod(plain, 0600);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_false(program_check(rows[i], &error));
		g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	}
	g_assert_true(program_check("/bin/true", NULL));
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	folder = g_dir_make_tmp("program-XXXXXX", NULL);
	g_test_add_func("/program/what-it-sees", test_what_it_sees);
	g_test_add_func("/program/its-end", test_its_end);
	g_test_add_func("/program/background", test_background);
	g_test_add_func("/program/refused", test_refused);
	int status = g_test_run();
	g_autofree char *command = g_strconcat("rm -rf ", folder, NULL);
	g_spawn_command_line_sync(command, NULL, NULL, NULL, NULL);
	g_free(folder);
	return status;
}
