/*
 * Threads whose work can wait: it is done with a lower priority, and the caller keeps his own.
 */
#include <glib.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store/base/background.h"

struct look {
	pid_t thread;
	int policy;
	int nice;
};

static struct look
look_here(void)
{
	pid_t thread = (pid_t)syscall(SYS_gettid);

	return (struct look){ thread, sched_getscheduler(0),
			      getpriority(PRIO_PROCESS, (id_t)thread) };
}

static gpointer
look(gpointer data)
{
	*(struct look *)data = look_here();
	return data;
}

static void
test_call(void)
{
	static const struct {
		const char *proves;
		enum background background;
		int policy;
	} rows[] = {
		{ "low: goes on beside others", BACKGROUND_LOW, SCHED_BATCH },
		{ "idle: only where nobody wants the core", BACKGROUND_IDLE, SCHED_IDLE },
	};
	struct look before = look_here();

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct look there = { 0 };

		g_test_message("%s", rows[i].proves);
		g_assert_true(background_call(rows[i].background, look, &there) == &there);
		g_assert_cmpint(there.thread, !=, before.thread);
		g_assert_cmpint(there.policy, ==, rows[i].policy);
		if (rows[i].background == BACKGROUND_LOW)
			g_assert_cmpint(there.nice, >=, MAX(before.nice, 10));
	}
	struct look after = look_here();
	g_assert_cmpint(after.policy, ==, before.policy);
	g_assert_cmpint(after.nice, ==, before.nice);
}

static void
test_busy(void)
{
	double share = background_busy(20);

	g_assert_cmpfloat(share, <=, 1);
	g_assert_true(share >= 0 || share == -1);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/background/call", test_call);
	g_test_add_func("/background/busy", test_busy);
	return g_test_run();
}
