/*
 * Who holds rows: a process that is dead is known to be, and nobody else is taken for dead.
 */
#include "store/base/holder.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void
test_strangers(void)
{
	g_auto(GStrv) parts = g_strsplit(holder_name(), "/", 3);
	g_assert_cmpuint(g_strv_length(parts), ==, 3);
	g_autofree char *other_boot = g_strdup_printf("%s/%s/00%s", parts[0], parts[1], parts[2]);
	g_autofree char *other_start = g_strdup_printf("%s/%s/%s9", parts[0], parts[1], parts[2]);
	const struct {
		const char *what, *name;
		gboolean dead;
	} rows[] = {
		{ "this process", holder_name(), FALSE },
		{ "nobody", "", FALSE },
		{ "host and pid alone", "host/1", FALSE },
		{ "another boot or container", other_boot, FALSE },
		{ "no number", "host/x/y", FALSE },
		{ "the same number, begun at another time", other_start, TRUE },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("%s", rows[i].what);
		g_assert_cmpint(holder_is_dead(rows[i].name), ==, rows[i].dead);
	}
}

static void
test_child(void)
{
	char name[256] = "";
	int pipes[2];

	g_assert_cmpint(pipe(pipes), ==, 0);
	pid_t child = fork();
	if (child == 0) {
		/* The name is this process's own: holder_name() is made at its first call. */
		const char *own = holder_name();
		_exit(write(pipes[1], own, strlen(own)) < 0);
	}
	g_assert_cmpint(child, >, 0);
	g_assert_cmpint(read(pipes[0], name, sizeof name - 1), >, 0);
	g_assert_cmpint(waitpid(child, NULL, 0), ==, child);
	g_assert_true(holder_is_dead(name));
	const char *names[] = { name, "host/1", NULL };
	g_auto(GStrv) dead = holder_dead_among(names);
	g_assert_cmpuint(g_strv_length(dead), ==, 1);
	g_assert_cmpstr(dead[0], ==, name);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/holder/child", test_child);
	g_test_add_func("/holder/strangers", test_strangers);
	return g_test_run();
}
