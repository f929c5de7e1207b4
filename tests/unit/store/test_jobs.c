/*
 * Jobs under leases, requests saved at each change, answers that are given twice but done once.
 */
#include <glib.h>
#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/cas.h"
#include "store/db/tx.h"
#include "store/jobs.h"
#include "store/posts.h"
#include "store/requests.h"
#include "tests/support/scratch_pg.h"

#define NOW G_GINT64_CONSTANT(1800000000)

static struct scratch_pg *pg;
static struct db *db;

struct act {
	gboolean (*run)(struct tx *tx, struct act *act, GError **error);
	const char *key, *text;
	gint64 at, id;
	const struct job_row *job;
	struct request_row *request;
	enum post_state state;
	gint status;
	char *answer;
	gint *ran;
};

static gboolean
act_tx(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return act->run(tx, act, error);
}

static gboolean
acts(struct act *act, GError **error)
{
	return db_transaction(db, act_tx, act, error);
}

#define RUN(name, call)                                                                            \
	static gboolean name(struct tx *tx, struct act *act, GError **error)                       \
	{                                                                                          \
		return call;                                                                       \
	}
RUN(enqueue, jobs_enqueue(tx, "refresh", act->key, act->text, act->at, error))
RUN(finish, jobs_finish(tx, act->job, error))
RUN(postpone, jobs_postpone(tx, act->job, act->at, act->text, error))
RUN(retry, jobs_retry(tx, act->id, act->at, error))
RUN(forget, jobs_forget(tx, act->at, error))
RUN(put_request, requests_insert(tx, act->request, &act->id, error))
RUN(save_request, requests_update(tx, act->request, error))
RUN(drop_request, requests_delete(tx, act->id, error))

static gboolean
up(void)
{
	if (scratch_pg_skip(pg))
		return FALSE;
	scratch_pg_empty(pg);
	db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	return TRUE;
}

static struct job_row *
take(gint64 now)
{
	static const char *const kinds[] = { "refresh" };
	struct job_row *job;
	g_autoptr(GError) error = NULL;

	g_assert_true(jobs_take(db, kinds, 1, "daemon-1", now, 60, &job, &error));
	g_assert_no_error(error);
	return job;
}

static void
put_job(const char *key, gint64 at)
{
	struct act act = { .run = enqueue, .key = key, .text = "payload", .at = at };
	g_autoptr(GError) error = NULL;

	g_assert_true(acts(&act, &error));
	g_assert_no_error(error);
}

/* What is asked for while it runs is done once more: the run may have looked already. */
static void
test_asked_while_running(void)
{
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	put_job("a", NOW);
	CLEANUP(job_row) struct job_row *first = take(NOW);
	put_job("a", NOW + 30);
	put_job("a", NOW + 10);
	put_job("a", NOW + 20);
	g_assert_null(take(NOW + 15)); /* not beside the first */
	struct act act = { .run = finish, .job = first };
	g_assert_true(acts(&act, &error));
	g_assert_null(take(NOW + 9));
	CLEANUP(job_row) struct job_row *second = take(NOW + 10);
	g_assert_cmpint(second->id, ==, first->id);
	g_assert_cmpint(second->attempts, ==, 1);
	put_job("a", NOW + 40);
	act = (struct act){ .run = postpone, .job = second, .at = CLOCK_NEVER, .text = "gone" };
	g_assert_true(acts(&act, &error));
	CLEANUP(job_row) struct job_row *third = take(NOW + 40);
	act = (struct act){ .run = finish, .job = third };
	g_assert_true(acts(&act, &error));
	g_assert_null(take(NOW + 999));
	db_close(db);
}

static void
test_jobs(void)
{
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	put_job("a", NOW + 10);
	put_job("b", NOW + 20);
	put_job("a", NOW + 5);  /* the same job: earlier wins */
	put_job("b", NOW + 90); /* later does not */
	g_assert_null(take(NOW));
	CLEANUP(job_row) struct job_row *a = take(NOW + 7);
	g_assert_cmpstr(a->key, ==, "a");
	g_assert_cmpstr(a->payload, ==, "payload");
	g_assert_cmpint(a->lease_until, ==, NOW + 67);
	g_assert_null(take(NOW + 8)); /* leased */

	/* Its taker dies; after the lease another takes it, and the first one's end is void. */
	CLEANUP(job_row) struct job_row *b = take(NOW + 21);
	g_assert_cmpstr(b->key, ==, "b");
	CLEANUP(job_row) struct job_row *again = take(NOW + 68);
	g_assert_cmpint(again->id, ==, a->id);
	g_assert_cmpint(again->attempts, ==, 2);
	struct act act = { .run = finish, .job = a };
	g_assert_false(acts(&act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	g_clear_error(&error);
	g_assert_true(jobs_extend(db, again, NOW + 500, &error));
	g_assert_null(take(NOW + 200 - 130)); /* b is leased until NOW + 81 */
	act.job = again;
	g_assert_true(acts(&act, &error));
	g_assert_false(acts(&act, &error)); /* once */
	g_clear_error(&error);

	act = (struct act){ .run = postpone, .job = b, .at = NOW + 300, .text = "no answer" };
	g_assert_true(acts(&act, &error));
	CLEANUP(job_row) struct job_row *waiting = jobs_find(db, b->id, &error);
	g_assert_cmpint(waiting->state, ==, JOB_DUE);
	g_assert_cmpstr(waiting->error, ==, "no answer");
	CLEANUP(job_row) struct job_row *third = take(NOW + 300);
	act = (struct act){ .run = postpone, .job = third, .at = CLOCK_NEVER, .text = "gone" };
	g_assert_true(acts(&act, &error));
	g_assert_null(take(NOW + 999));
	act = (struct act){ .run = retry, .id = b->id, .at = NOW + 400 };
	g_assert_true(acts(&act, &error));
	CLEANUP(job_row) struct job_row *fourth = take(NOW + 400);
	g_assert_cmpint(fourth->id, ==, b->id);

	put_job("a", NOW); /* the finished one does not stand in the way */
	g_autoptr(GPtrArray) open = jobs_list(db, "refresh", TRUE, 0, 0, &error);
	g_assert_cmpuint(open->len, ==, 2);
	g_autoptr(GPtrArray) all = jobs_list(db, NULL, FALSE, 0, 0, &error);
	g_assert_cmpuint(all->len, ==, 3);
	act = (struct act){ .run = forget, .at = clock_now(clock_system()) + 10 };
	g_assert_true(acts(&act, &error));
	g_autoptr(GPtrArray) left = jobs_list(db, NULL, FALSE, 0, 0, &error);
	g_assert_cmpuint(left->len, ==, 2);
	db_close(db);
}

struct taker {
	struct db *db;
	guint taken;
};

static gpointer
take_all(gpointer data)
{
	static const char *const kinds[] = { "refresh" };
	struct taker *taker = data;

	for (;;) {
		CLEANUP(job_row) struct job_row *job = NULL;
		if (!jobs_take(taker->db, kinds, 1, "t", NOW, 600, &job, NULL) || job == NULL)
			return NULL;
		taker->taken++;
	}
}

static void
test_takers(void)
{
	struct taker takers[4];
	GThread *threads[4];
	guint sum = 0;

	if (!up())
		return;
	for (guint i = 0; i < 60; i++) {
		g_autofree char *key = g_strdup_printf("%u", i);
		put_job(key, NOW);
	}
	for (guint t = 0; t < G_N_ELEMENTS(threads); t++) {
		takers[t] = (struct taker){ db, 0 };
		threads[t] = g_thread_new("taker", take_all, &takers[t]);
	}
	for (guint t = 0; t < G_N_ELEMENTS(threads); t++) {
		g_thread_join(threads[t]);
		sum += takers[t].taken;
	}
	g_assert_cmpuint(sum, ==, 60); /* each by one taker */
	db_close(db);
}

static void
test_requests(void)
{
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	struct request_row fresh = { .handler = (char *)"builtin",
				     .email = (char *)"bob@a.example",
				     .common_name = (char *)"Bob",
				     .key = (char *)"rsa:2048",
				     .validity_days = 10,
				     .next_try = NOW,
				     .options = (char *)"{\"send\": true}" };
	struct act act = { .run = put_request, .request = &fresh };
	g_assert_true(acts(&act, &error));
	CLEANUP(request_row) struct request_row *row = requests_find(db, act.id, &error);
	g_assert_cmpint(row->state, ==, REQUEST_NEW);
	g_assert_cmpstr(row->handler_config, ==, "default");
	g_assert_cmpstr(row->options, ==, fresh.options);
	row->state = REQUEST_PENDING;
	row->spki_sha256 = g_strdup("spki");
	row->csr = g_bytes_new("csr", 3);
	row->handle = g_strdup("order 7");
	row->attempts = 3;
	row->next_try = NOW + 60;
	row->error_class = g_strdup("transient");
	row->error_text = g_strdup("try later");
	gint64 id = act.id;
	act = (struct act){ .run = save_request, .request = row };
	g_assert_true(acts(&act, &error));
	CLEANUP(request_row) struct request_row *saved = requests_by_spki(db, "spki", &error);
	g_assert_cmpint(saved->id, ==, id);
	g_assert_cmpint(saved->state, ==, REQUEST_PENDING);
	g_assert_cmpstr(saved->handle, ==, "order 7");
	g_assert_true(g_bytes_equal(saved->csr, row->csr));
	g_autoptr(GPtrArray) early = requests_due(db, NOW + 59, 0, &error);
	g_autoptr(GPtrArray) due = requests_due(db, NOW + 60, 0, &error);
	g_assert_cmpuint(early->len, ==, 0);
	g_assert_cmpuint(due->len, ==, 1);
	const struct request_filter filter = { .only_open = TRUE };
	g_autoptr(GPtrArray) open = requests_list(db, &filter, &error);
	g_assert_cmpuint(open->len, ==, 1);
	act = (struct act){ .run = drop_request, .id = id };
	g_assert_true(acts(&act, &error));
	g_assert_null(requests_find(db, id, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	db_close(db);
}

/* The act of an operation, with its answer in the same transaction. */
static gboolean
do_once(struct tx *tx, struct act *act, GError **error)
{
	if (!posts_begin(tx, "uid 0", act->key, act->text, &act->state, &act->status, &act->answer,
			 error))
		return FALSE;
	if (act->state != POST_NEW)
		return TRUE;
	g_atomic_int_inc(act->ran);
	return posts_finish(tx, "uid 0", act->key, 200, "done", error);
}

static gpointer
post(gpointer data)
{
	struct act act = { .run = do_once, .key = "id-2", .text = "digest", .ran = data };
	g_autoptr(GError) error = NULL;

	g_assert_true(acts(&act, &error));
	g_assert_no_error(error);
	g_free(act.answer);
	return NULL;
}

static void
test_posts(void)
{
	gint ran = 0;
	GThread *threads[4];
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	struct act act = { .run = do_once, .key = "id-1", .text = "digest", .ran = &ran };
	g_assert_true(acts(&act, &error));
	g_assert_cmpint(act.state, ==, POST_NEW);
	g_assert_true(acts(&act, &error));
	g_assert_cmpint(act.state, ==, POST_ANSWERED);
	g_assert_cmpint(act.status, ==, 200);
	g_assert_cmpstr(act.answer, ==, "done");
	g_free(act.answer);
	act.text = "another digest";
	g_assert_true(acts(&act, &error));
	g_assert_cmpint(act.state, ==, POST_OTHER);
	g_assert_true(posts_find(db, "uid 1", "id-1", "digest", &act.state, &act.status,
				 &act.answer, &error));
	g_assert_cmpint(act.state, ==, POST_NEW); /* somebody else's id */
	g_assert_cmpint(ran, ==, 1);

	for (guint t = 0; t < G_N_ELEMENTS(threads); t++)
		threads[t] = g_thread_new("post", post, &ran);
	for (guint t = 0; t < G_N_ELEMENTS(threads); t++)
		g_thread_join(threads[t]);
	g_assert_cmpint(ran, ==, 2); /* four at once: done once */
	db_close(db);
}

static gboolean
default_tx(struct tx *tx, struct act *act, GError **error)
{
	struct ca_row row = { .name = (char *)act->key,
			      .spki_sha256 = (char *)"s",
			      .is_default = TRUE };

	return cas_insert(tx, &row, &act->id, error);
}

static gboolean
number_tx(struct tx *tx, struct act *act, GError **error)
{
	return cas_next_crl_number(tx, act->id, 0, &act->at, error);
}

static void
test_cas(void)
{
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	g_assert_null(cas_find(db, NULL, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	g_assert_nonnull(strstr(error->message, "ca create"));
	g_clear_error(&error);
	struct act act = { .run = default_tx, .key = "First" };
	g_assert_true(acts(&act, &error));
	act.key = "Second";
	g_assert_true(acts(&act, &error));
	CLEANUP(ca_row) struct ca_row *chosen = cas_find(db, NULL, &error);
	g_assert_cmpstr(chosen->name, ==, "Second"); /* one default */
	CLEANUP(ca_row) struct ca_row *first = cas_find(db, "First", &error);
	g_assert_false(first->is_default);
	act.run = number_tx;
	for (gint64 n = 1; n <= 3; n++) {
		g_assert_true(acts(&act, &error));
		g_assert_cmpint(act.at, ==, n);
	}
	db_close(db);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/jobs/leases", test_jobs);
	g_test_add_func("/jobs/asked for while running", test_asked_while_running);
	g_test_add_func("/jobs/many takers", test_takers);
	g_test_add_func("/requests/rows", test_requests);
	g_test_add_func("/posts/answered, not done twice", test_posts);
	g_test_add_func("/cas/one default, numbers that rise", test_cas);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
