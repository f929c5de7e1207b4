/*
 * Failed decryptions are counted by name within an hour, in a table with an end.
 */
#include "milter/failures.h"

static void
fail_times(struct failures *failures, const char *name, guint times, gint64 now)
{
	for (guint i = 0; i < times; i++)
		failures_add(failures, name, now);
}

static void
test_limit(void)
{
	CLEANUP(failures) struct failures *failures = failures_new();

	fail_times(failures, "from a", FAILURES_MAX, 1000);
	g_assert_false(failures_exceeded(failures, "from a", 1000));
	failures_add(failures, "from a", 1001);
	g_assert_true(failures_exceeded(failures, "from a", 1001));
	g_assert_false(failures_exceeded(failures, "to a", 1001));
	g_assert_true(failures_exceeded(failures, "from a", 1000 + FAILURES_SECONDS - 1));
	g_assert_false(failures_exceeded(failures, "from a", 1000 + FAILURES_SECONDS));
}

/* An hour that moves: what is old makes room for what is new. */
static void
test_moving(void)
{
	CLEANUP(failures) struct failures *failures = failures_new();

	for (guint i = 0; i < 60; i++)
		failures_add(failures, "to b", (gint64)i * 300);
	g_assert_false(failures_exceeded(failures, "to b", 60 * 300));
	fail_times(failures, "to b", 15, 60 * 300);
	g_assert_true(failures_exceeded(failures, "to b", 60 * 300));
}

/* Who makes up names does not push out those that are over the limit. */
static void
test_bounded(void)
{
	CLEANUP(failures) struct failures *failures = failures_new();

	fail_times(failures, "to victim", FAILURES_MAX + 1, 1000);
	for (guint i = 0; i < FAILURES_NAMES_MAX + 500; i++) {
		g_autofree char *name = g_strdup_printf("from %u", i);

		failures_add(failures, name, 1001);
	}
	g_assert_cmpuint(failures_names(failures), <=, FAILURES_NAMES_MAX);
	g_assert_true(failures_exceeded(failures, "to victim", 1002));
	failures_add(failures, "from later", 1001 + FAILURES_SECONDS);
	g_assert_cmpuint(failures_names(failures), ==, 1);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/failures/limit", test_limit);
	g_test_add_func("/failures/moving", test_moving);
	g_test_add_func("/failures/bounded", test_bounded);
	return g_test_run();
}
