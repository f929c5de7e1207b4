/*
 * The circuit breaker, to the second.
 */
#include "pki/breaker.h"

#define START 1000000

static void
fail_times(struct breaker *breaker, guint times, gint64 now)
{
	for (guint i = 0; i < times; i++)
		breaker_failed(breaker, now, 30);
}

static void
test_opens_after_five(void)
{
	struct breaker breaker = { 0, 0, 0 };

	fail_times(&breaker, BREAKER_FAILURES - 1, START);
	g_assert_cmpint(breaker_state(&breaker, START), ==, BREAKER_CLOSED);
	g_assert_true(breaker_ask(&breaker, START));
	fail_times(&breaker, 1, START);
	g_assert_cmpint(breaker_state(&breaker, START), ==, BREAKER_OPEN);
	g_assert_false(breaker_ask(&breaker, START + 29));
	g_assert_cmpint(breaker_state(&breaker, START + 29), ==, BREAKER_OPEN);
	g_assert_cmpint(breaker_state(&breaker, START + 30), ==, BREAKER_HALF_OPEN);
}

static void
test_success_counts_anew(void)
{
	struct breaker breaker = { 0, 0, 0 };

	fail_times(&breaker, BREAKER_FAILURES - 1, START);
	breaker_worked(&breaker);
	fail_times(&breaker, BREAKER_FAILURES - 1, START);
	g_assert_cmpint(breaker_state(&breaker, START), ==, BREAKER_CLOSED);
}

/* One tries, the others wait; when it dies, another tries after the probe's time. */
static void
test_one_probe(void)
{
	struct breaker breaker = { 0, 0, 0 };

	fail_times(&breaker, BREAKER_FAILURES, START);
	g_assert_true(breaker_ask(&breaker, START + 30));
	g_assert_false(breaker_ask(&breaker, START + 30));
	g_assert_false(breaker_ask(&breaker, START + 30 + BREAKER_PROBE_SECONDS - 1));
	g_assert_true(breaker_ask(&breaker, START + 30 + BREAKER_PROBE_SECONDS));
	breaker_worked(&breaker);
	g_assert_cmpint(breaker_state(&breaker, START + 31), ==, BREAKER_CLOSED);
	g_assert_cmpint(breaker.failures + breaker.trips, ==, 0);
}

static void
test_pause_grows(void)
{
	static const gint64 pauses[] = { 30, 60, 120, 240, 480, 960, 1920, 3600, 3600 };
	struct breaker breaker = { 0, 0, 0 };
	gint64 now = START;

	fail_times(&breaker, BREAKER_FAILURES, now);
	for (gsize i = 0; i < G_N_ELEMENTS(pauses); i++) {
		g_assert_cmpint(breaker.open_until - now, ==, pauses[i]);
		now = breaker.open_until;
		g_assert_true(breaker_ask(&breaker, now));
		breaker_probe_failed(&breaker, now, 30);
		g_assert_cmpint(breaker_state(&breaker, now), ==, BREAKER_OPEN);
	}
}

/* What was under way when it opened says nothing new. */
static void
test_late_failures(void)
{
	struct breaker breaker = { 0, 0, 0 };

	fail_times(&breaker, BREAKER_FAILURES + 20, START);
	g_assert_cmpint(breaker.trips, ==, 1);
	g_assert_cmpint(breaker.open_until, ==, START + 30);
}

/* A clock that was set back does not keep it open for longer than the longest pause. */
static void
test_overflow(void)
{
	struct breaker breaker = { G_MAXINT, G_MAXINT, START };

	breaker_probe_failed(&breaker, START, G_MAXINT64 / 2);
	g_assert_cmpint(breaker.failures, ==, G_MAXINT);
	g_assert_cmpint(breaker.open_until, ==, START + BREAKER_PAUSE_MAX_SECONDS);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/breaker/opens after five failures in a row", test_opens_after_five);
	g_test_add_func("/breaker/a success counts anew", test_success_counts_anew);
	g_test_add_func("/breaker/one question tries again", test_one_probe);
	g_test_add_func("/breaker/the pause doubles up to an hour", test_pause_grows);
	g_test_add_func("/breaker/failures under way do not open it again", test_late_failures);
	g_test_add_func("/breaker/nothing overflows", test_overflow);
	return g_test_run();
}
