/*
 * The state machine of requests with a handler that says what a script tells it to: every
 * transition, class of error and moment of the next try; attempts that die half-way.
 */
#include "tests/unit/pki/pki_fixture.h"

#include "pki/enroll_internal.h"
#include "pki/handlers/handler.h"
#include "store/keys.h"
#include "store/requests_work.h"

/* What one call of the handler does. */
struct line {
	enum handler_status status;
	enum handler_error_class error_class;
	gint64 not_before;
	const char *handle; /* of the answer */
	const char *saved;  /* half-way */
	gboolean fails;     /* an error in the place of an answer */
};

static struct script {
	const struct line *lines;
	guint next, submits, polls;
	char *seen_handle, *seen_class;
	struct cert *(*issue)(const struct request_row *request);
	struct fixture *f;
	GMutex lock;
	guint at_once, most_at_once;
} script;

static struct cert *issue_well(const struct request_row *request);

static gboolean
play(const struct handler_context *context, const struct request_row *request,
     struct handler_answer *answer, GError **error)
{
	const struct line *line = &script.lines[script.next];

	script.next++;
	g_free(script.seen_handle);
	g_free(script.seen_class);
	script.seen_handle = g_strdup(request->handle);
	script.seen_class = g_strdup(request->error_class);
	if (line->saved != NULL)
		g_assert_true(handler_save_handle(context, line->saved, error));
	if (line->fails)
		return fail_false(error, PS_ERROR_TEMPORARY, "nobody is there");
	handler_answer_set(answer, line->status, line->error_class, "E7", "the peer's words");
	answer->not_before = line->not_before;
	answer->handle = g_strdup(line->handle);
	if (line->status != HANDLER_ISSUED)
		return TRUE;
	struct cert *cert = script.issue != NULL ? script.issue(request) : issue_well(request);
	answer->certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	if (cert != NULL)
		g_ptr_array_add(answer->certs, cert);
	return TRUE;
}

static gboolean
fake_submit(const struct handler_context *context, struct tx *tx, const struct request_row *request,
	    struct handler_answer *answer, GError **error)
{
	g_assert_null(tx);
	script.submits++;
	return play(context, request, answer, error);
}

static gboolean
fake_poll(const struct handler_context *context, const struct request_row *request,
	  struct handler_answer *answer, GError **error)
{
	script.polls++;
	return play(context, request, answer, error);
}

static const struct handler_key fake_keys[] = {
	{ "url", HANDLER_KEY_TEXT, "there", "", TRUE, "Where." },
	{ .name = NULL },
};
static const struct handler fake = {
	.name = "fake",
	.keys = fake_keys,
	.submit = fake_submit,
	.poll = fake_poll,
};

static const struct handler *
find_fake(const char *name, GError **error)
{
	return strcmp(name, "fake") == 0 ? &fake : handler_find(name, error);
}

/* As a CA elsewhere would: our own CA signs, in a transaction that is not the request's. */
struct issuing {
	const struct request_row *request;
	struct cert *cert;
	const char *email;
};

static gboolean
issue_tx(struct tx *tx, gpointer data, GError **error)
{
	struct issuing *issuing = data;
	struct ca_subject subject = { .email = issuing->email, .common_name = "Bob" };
	struct ca_issue options = { .days = 90 };

	struct ca_context context = { script.f->db, script.f->keyring, script.f->clock, NULL };

	issuing->cert = ca_issue(&context, issuing->request->csr, &subject, &options, 0, tx, error);
	return issuing->cert != NULL;
}

static struct cert *
issue_for(const struct request_row *request, const char *email)
{
	struct issuing issuing = { request, NULL, email };
	g_autoptr(GError) error = NULL;

	g_assert_true(db_transaction(script.f->db, issue_tx, &issuing, &error));
	return issuing.cert;
}

static struct cert *
issue_well(const struct request_row *request)
{
	return issue_for(request, request->email);
}

static struct cert *
issue_for_another(const struct request_row *request)
{
	return issue_for(request, "eve@example.com");
}

static struct cert *
issue_nothing(const struct request_row *request G_GNUC_UNUSED)
{
	return NULL;
}

static struct ca_created ca;

static gboolean
up(struct fixture *f, const struct line *lines)
{
	*f = (struct fixture){ 0 };
	if (!fixture_up(f))
		return FALSE;
	g_free(script.seen_handle);
	g_free(script.seen_class);
	script = (struct script){ .lines = lines, .f = f };
	ca = fixture_ca(f, "ec:P-256");
	return TRUE;
}

static void
down(struct fixture *f)
{
	ca_created_clear(&ca);
	fixture_down(f);
}

static struct enroll
enroll_with_fake(struct fixture *f)
{
	struct enroll enroll = fixture_enroll(f);

	enroll.find_handler = find_fake;
	return enroll;
}

static gint64
order_one(const struct enroll *enroll)
{
	struct enroll_order order = { .email = "bob@example.com",
				      .common_name = "Bob",
				      .key = "ec:P-256",
				      .handler = "fake" };
	g_autoptr(GError) error = NULL;
	gint64 id;

	g_assert_true(fixture_order(enroll, &order, &id, &error));
	g_assert_no_error(error);
	return id;
}

static struct request_row *
find(struct fixture *f, gint64 id)
{
	return requests_find(f->db, id, NULL);
}

/* --- one answer --- */

#define NEVER CLOCK_NEVER

static const struct {
	const char *what;
	struct line line;
	enum request_state state;
	const char *error_class;
	gint64 from, to; /* next try, from now */
} answers[] = {
	{ "issued", { .status = HANDLER_ISSUED }, REQUEST_ISSUED, NULL, NEVER, NEVER },
	{ "pending", { .status = HANDLER_PENDING, .handle = "7" }, REQUEST_PENDING, NULL, 1, 1 },
	{ "pending, asked to wait",
	  { .status = HANDLER_PENDING, .not_before = FIXTURE_NOW + 700 },
	  REQUEST_PENDING,
	  NULL,
	  700,
	  700 },
	{ "pending, told to come next week",
	  { .status = HANDLER_PENDING, .not_before = FIXTURE_NOW + 7 * 86400 },
	  REQUEST_PENDING,
	  NULL,
	  86400,
	  86400 },
	{ "a person at the CA",
	  { .status = HANDLER_PENDING, .error_class = HANDLER_ERROR_HUMAN },
	  REQUEST_PENDING,
	  "pending-human",
	  900,
	  900 },
	{ "a person here",
	  { .status = HANDLER_PENDING,
	    .error_class = HANDLER_ERROR_HUMAN,
	    .not_before = CLOCK_NEVER },
	  REQUEST_PENDING,
	  "pending-human",
	  NEVER,
	  NEVER },
	{ "transient",
	  { .status = HANDLER_RETRY, .error_class = HANDLER_ERROR_TRANSIENT },
	  REQUEST_KEYED,
	  "transient",
	  1,
	  1 },
	{ "Retry-After",
	  { .status = HANDLER_RETRY,
	    .error_class = HANDLER_ERROR_TRANSIENT,
	    .not_before = FIXTURE_NOW + 120 },
	  REQUEST_KEYED,
	  "transient",
	  120,
	  120 },
	{ "configuration",
	  { .status = HANDLER_REJECTED, .error_class = HANDLER_ERROR_CONFIG },
	  REQUEST_KEYED,
	  "permanent-config",
	  NEVER,
	  NEVER },
	{ "input",
	  { .status = HANDLER_REJECTED, .error_class = HANDLER_ERROR_INPUT },
	  REQUEST_REJECTED,
	  "permanent-input",
	  NEVER,
	  NEVER },
	{ "a retry that makes no sense",
	  { .status = HANDLER_RETRY, .error_class = HANDLER_ERROR_INPUT },
	  REQUEST_REJECTED,
	  "permanent-input",
	  NEVER,
	  NEVER },
	{ "a person said no",
	  { .status = HANDLER_REJECTED, .error_class = HANDLER_ERROR_HUMAN },
	  REQUEST_REJECTED,
	  "pending-human",
	  NEVER,
	  NEVER },
	{ "lost",
	  { .status = HANDLER_RETRY, .error_class = HANDLER_ERROR_CONFLICT },
	  REQUEST_KEYED,
	  "conflict",
	  1,
	  1 },
	{ "nothing could be found out", { .fails = TRUE }, REQUEST_KEYED, "transient", 1, 1 },
};

static void
test_answers(void)
{
	struct fixture f;

	if (!up(&f, NULL))
		return;
	struct enroll enroll = enroll_with_fake(&f);
	for (gsize i = 0; i < G_N_ELEMENTS(answers); i++) {
		const struct line lines[] = { answers[i].line };
		g_autoptr(GError) error = NULL;
		CLEANUP(request_row) struct request_row *row = NULL;

		g_test_message("%s", answers[i].what);
		script.lines = lines;
		script.next = 0;
		gint64 id = order_one(&enroll);
		g_assert_true(enroll_advance(&enroll, id, &row, &error));
		g_assert_cmpint(row->state, ==, answers[i].state);
		g_assert_cmpstr(row->error_class, ==, answers[i].error_class);
		g_assert_cmpstr(row->asking, ==, NULL);
		g_assert_cmpint(row->lease_until, ==, CLOCK_NEVER);
		if (answers[i].from == NEVER) {
			g_assert_cmpint(row->next_try, ==, CLOCK_NEVER);
			continue;
		}
		g_assert_cmpint(row->next_try, >=, FIXTURE_NOW + answers[i].from);
		g_assert_cmpint(row->next_try, <=, FIXTURE_NOW + answers[i].to);
	}
	down(&f);
}

/* --- stories --- */

static gboolean
retry_tx(struct tx *tx, gpointer data, GError **error)
{
	struct enroll *enroll = ((gpointer *)data)[0];
	gint64 *id = ((gpointer *)data)[1];

	return enroll_retry(enroll, tx, *id, FALSE, error);
}

static gboolean
accept_tx(struct tx *tx, gpointer data, GError **error)
{
	struct enroll *enroll = ((gpointer *)data)[0];
	gint64 *id = ((gpointer *)data)[1];

	return enroll_accept(enroll, tx, *id, error);
}

static gboolean
act(struct enroll *enroll, tx_func func, gint64 id, GError **error)
{
	gpointer data[] = { enroll, &id };

	return db_transaction(enroll->db, func, data, error);
}

static void
test_polled(void)
{
	static const struct line lines[] = {
		{ .status = HANDLER_PENDING, .handle = "order 7" },
		{ .status = HANDLER_RETRY, .error_class = HANDLER_ERROR_TRANSIENT },
		{ .status = HANDLER_ISSUED },
	};
	struct fixture f;
	g_autoptr(GError) error = NULL;

	if (!up(&f, lines))
		return;
	struct enroll enroll = enroll_with_fake(&f);
	gint64 id = order_one(&enroll), worked;
	for (gint i = 0; i < 3; i++) {
		g_assert_true(enroll_work_one(&enroll, "fake", "default", &worked, &error));
		g_assert_no_error(error);
		if (i == 0)
			g_assert_cmpint(worked, ==, id);
		clock_set(f.clock, clock_now(f.clock) + 10);
	}
	CLEANUP(request_row) struct request_row *row = find(&f, id);
	g_assert_cmpint(row->state, ==, REQUEST_ISSUED);
	g_assert_cmpuint(script.submits, ==, 1);
	g_assert_cmpuint(script.polls, ==, 2);
	g_assert_cmpstr(script.seen_handle, ==, "order 7");
	g_assert_true(enroll_work_one(&enroll, "fake", "default", &worked, &error));
	g_assert_cmpint(worked, ==, 0);
	g_autoptr(GPtrArray) history = requests_history(f.db, id, &error);
	g_assert_cmpuint(history->len, ==, 4); /* asked, key, pending (once), there */
	down(&f);
}

/* An attempt that dies leaves its lease; when that has run out it counts as a lost answer. */
static void
die(gint64 id)
{
	g_autofree char *sql = g_strdup_printf(
	    "UPDATE request SET asking = 'submit', attempts = attempts + 1,"
	    " lease_until = to_timestamp(%" G_GINT64_FORMAT ") WHERE id = %" G_GINT64_FORMAT,
	    FIXTURE_NOW + 60, id);

	scratch_pg_sql(pg, sql);
}

static void
test_died(void)
{
	static const struct line lines[] = { { .status = HANDLER_ISSUED } };
	struct fixture f;
	g_autoptr(GError) error = NULL;

	if (!up(&f, lines))
		return;
	struct enroll enroll = enroll_with_fake(&f);
	gint64 id = order_one(&enroll), worked;
	g_assert_true(enroll_prepare(&enroll, id, NULL, &error));
	g_assert_cmpuint(script.submits, ==, 0);
	die(id);
	/* Somebody may be at it: hands off. */
	g_assert_true(enroll_work_one(&enroll, "fake", "default", &worked, &error));
	g_assert_cmpint(worked, ==, 0);
	g_assert_true(enroll_advance(&enroll, id, NULL, &error));
	g_assert_cmpuint(script.submits, ==, 0);
	g_assert_false(act(&enroll, retry_tx, id, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_DENIED);
	g_clear_error(&error);
	clock_set(f.clock, FIXTURE_NOW + 61);
	g_assert_true(enroll_work_one(&enroll, "fake", "default", &worked, &error));
	g_assert_cmpint(worked, ==, id);
	g_assert_cmpstr(script.seen_class, ==, "conflict");
	CLEANUP(request_row) struct request_row *row = find(&f, id);
	g_assert_cmpint(row->state, ==, REQUEST_ISSUED);
	g_assert_cmpint(row->lost, ==, 1);
	g_autoptr(GPtrArray) certs = certs_by_spki(f.db, row->spki_sha256, &error);
	g_assert_cmpuint(certs->len, ==, 1);
	g_assert_cmpint(keys_count(f.db, &error), ==, 3); /* the CA's two */
	down(&f);
}

/* Not for ever: after N blind repetitions a person looks. */
static void
test_lost(void)
{
	static const struct line lost = { .status = HANDLER_RETRY,
					  .error_class = HANDLER_ERROR_CONFLICT };
	struct line lines[] = { lost, lost, lost, lost, lost, lost };
	struct fixture f;
	g_autoptr(GError) error = NULL;

	if (!up(&f, lines))
		return;
	struct enroll enroll = enroll_with_fake(&f);
	gint64 id = order_one(&enroll), worked;
	for (gint i = 0; i < 10; i++) {
		g_assert_true(enroll_work_one(&enroll, "fake", "default", &worked, &error));
		clock_set(f.clock, clock_now(f.clock) + 1000);
	}
	CLEANUP(request_row) struct request_row *row = find(&f, id);
	g_assert_cmpuint(script.submits, ==, 1 + ENROLL_LOST_MAX);
	g_assert_cmpint(row->state, ==, REQUEST_KEYED);
	g_assert_cmpint(row->next_try, ==, CLOCK_NEVER);
	g_assert_nonnull(strstr(row->error_text, "look there"));
	/* By hand it goes on, and the handler still knows that it has to look. */
	g_assert_true(act(&enroll, retry_tx, id, &error));
	g_assert_true(enroll_advance(&enroll, id, NULL, &error));
	g_assert_cmpstr(script.seen_class, ==, "conflict");
	down(&f);
}

static void
test_half_way(void)
{
	static const struct line lines[] = {
		{ .status = HANDLER_RETRY,
		  .error_class = HANDLER_ERROR_CONFLICT,
		  .saved = "order 8" },
		{ .status = HANDLER_RETRY, .error_class = HANDLER_ERROR_CONFLICT },
		{ .status = HANDLER_RETRY, .error_class = HANDLER_ERROR_CONFLICT },
		{ .status = HANDLER_RETRY, .error_class = HANDLER_ERROR_CONFLICT },
		{ .status = HANDLER_RETRY, .error_class = HANDLER_ERROR_CONFLICT },
		{ .status = HANDLER_ISSUED },
	};
	struct fixture f;
	g_autoptr(GError) error = NULL;

	if (!up(&f, lines))
		return;
	struct enroll enroll = enroll_with_fake(&f);
	gint64 id = order_one(&enroll), worked;
	/* With a handle it is no blind repetition. */
	for (gint i = 0; i < 6; i++) {
		g_assert_true(enroll_work_one(&enroll, "fake", "default", &worked, &error));
		clock_set(f.clock, clock_now(f.clock) + 1000);
	}
	CLEANUP(request_row) struct request_row *row = find(&f, id);
	g_assert_cmpstr(script.seen_handle, ==, "order 8");
	g_assert_cmpint(row->state, ==, REQUEST_ISSUED);
	down(&f);
}

/* --- what comes back --- */

static void
test_refused(void)
{
	static const struct line lines[] = { { .status = HANDLER_ISSUED },
					     { .status = HANDLER_ISSUED } };
	struct fixture f;
	g_autoptr(GError) error = NULL;

	if (!up(&f, lines))
		return;
	struct enroll enroll = enroll_with_fake(&f);
	script.issue = issue_for_another;
	gint64 id = order_one(&enroll);
	g_assert_true(enroll_advance(&enroll, id, NULL, &error));
	CLEANUP(request_row) struct request_row *row = find(&f, id);
	g_assert_cmpint(row->state, ==, REQUEST_FAILED);
	g_assert_nonnull(strstr(row->error_text, "bob@example.com"));
	g_assert_nonnull(row->returned);
	/* Looked at once more, not asked for once more. */
	g_assert_false(act(&enroll, retry_tx, id, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_clear_error(&error);
	g_assert_cmpuint(script.submits, ==, 1);
	g_assert_true(act(&enroll, accept_tx, id, &error));
	CLEANUP(request_row) struct request_row *taken = find(&f, id);
	g_assert_cmpint(taken->state, ==, REQUEST_ISSUED);
	g_assert_null(taken->returned);
	script.issue = issue_nothing;
	id = order_one(&enroll);
	g_assert_true(enroll_advance(&enroll, id, NULL, &error));
	CLEANUP(request_row) struct request_row *empty = find(&f, id);
	g_assert_cmpint(empty->state, ==, REQUEST_FAILED);
	g_assert_null(empty->returned);
	down(&f);
}

static void
test_chain(void)
{
	static const struct line lines[] = { { .status = HANDLER_ISSUED } };
	struct fixture f;
	g_autoptr(GError) error = NULL;

	if (!up(&f, lines))
		return;
	struct enroll enroll = enroll_with_fake(&f);
	scratch_pg_sql(pg, "DELETE FROM root");
	gint64 id = order_one(&enroll);
	g_assert_true(enroll_advance(&enroll, id, NULL, &error));
	CLEANUP(request_row) struct request_row *row = find(&f, id);
	g_assert_cmpint(row->state, ==, REQUEST_FAILED);
	g_assert_nonnull(strstr(row->error_text, "was not taken"));
	down(&f);
}

/* --- configuration --- */

static gboolean
set_url(struct tx *tx, gpointer data, GError **error)
{
	struct fixture *f = data;
	CLEANUP(secret) struct secret *value = secret_new_text("elsewhere");

	return handler_config_set(tx, f->keyring, &fake, NULL, "url", value, NULL, error);
}

static void
test_configuration(void)
{
	static const struct line lines[] = {
		{ .status = HANDLER_REJECTED, .error_class = HANDLER_ERROR_CONFIG },
		{ .status = HANDLER_ISSUED },
	};
	struct fixture f;
	g_autoptr(GError) error = NULL;

	if (!up(&f, lines))
		return;
	struct enroll enroll = enroll_with_fake(&f);
	gint64 id = order_one(&enroll), worked;
	g_assert_true(enroll_work_one(&enroll, "fake", "default", &worked, &error));
	clock_set(f.clock, FIXTURE_NOW + 5 * 86400);
	g_assert_true(enroll_work_one(&enroll, "fake", "default", &worked, &error));
	g_assert_cmpint(worked, ==, 0);
	g_assert_true(db_transaction(f.db, set_url, &f, &error));
	g_assert_true(enroll_work_one(&enroll, "fake", "default", &worked, &error));
	g_assert_cmpint(worked, ==, id);
	CLEANUP(request_row) struct request_row *row = find(&f, id);
	g_assert_cmpint(row->state, ==, REQUEST_ISSUED);
	down(&f);
}

static void
test_given_up(void)
{
	static const struct line lines[] = {
		{ .status = HANDLER_PENDING,
		  .error_class = HANDLER_ERROR_HUMAN,
		  .not_before = CLOCK_NEVER },
		{ .status = HANDLER_RETRY, .error_class = HANDLER_ERROR_TRANSIENT },
		{ .status = HANDLER_RETRY, .error_class = HANDLER_ERROR_TRANSIENT },
	};
	struct fixture f;
	g_autoptr(GError) error = NULL;
	guint ended;

	if (!up(&f, lines))
		return;
	struct enroll enroll = enroll_with_fake(&f);
	gint64 waits = order_one(&enroll), fails, worked;
	g_assert_true(enroll_advance(&enroll, waits, NULL, &error));
	fails = order_one(&enroll);
	g_assert_true(enroll_advance(&enroll, fails, NULL, &error));
	g_assert_true(enroll_give_up(&enroll, &ended, &error));
	g_assert_cmpuint(ended, ==, 0);
	clock_set(f.clock, FIXTURE_NOW + 31 * 86400);
	g_assert_true(enroll_give_up(&enroll, &ended, &error));
	g_assert_cmpuint(ended, ==, 1);
	g_assert_true(enroll_work_one(&enroll, "fake", "default", &worked, &error));
	CLEANUP(request_row) struct request_row *first = find(&f, waits);
	CLEANUP(request_row) struct request_row *second = find(&f, fails);
	g_assert_cmpint(first->state, ==, REQUEST_FAILED);
	g_assert_cmpint(second->state, ==, REQUEST_FAILED);
	g_assert_cmpint(second->next_try, ==, CLOCK_NEVER);
	down(&f);
}

static void
test_pair(void)
{
	static const struct line lines[] = { { .status = HANDLER_PENDING },
					     { .status = HANDLER_PENDING } };
	struct fixture f;
	g_autoptr(GError) error = NULL;
	gint64 id;

	if (!up(&f, lines))
		return;
	struct enroll enroll = enroll_with_fake(&f);
	struct enroll_order order = { .email = "bob@example.com",
				      .common_name = "Bob",
				      .key = "ec:P-256",
				      .handler = "fake",
				      .key_use = "pair" };
	g_assert_true(fixture_order(&enroll, &order, &id, &error));
	CLEANUP(request_row) struct request_row *sign = find(&f, id);
	CLEANUP(request_row) struct request_row *encrypt = find(&f, id + 1);
	g_assert_cmpstr(sign->key_use, ==, "sign");
	g_assert_cmpstr(encrypt->key_use, ==, "encrypt");
	g_assert_cmpint(sign->pair, ==, id);
	g_assert_cmpint(encrypt->pair, ==, id);
	down(&f);
}

/* --- many at once --- */

static gboolean
slow_submit(const struct handler_context *context G_GNUC_UNUSED, struct tx *tx G_GNUC_UNUSED,
	    const struct request_row *request, struct handler_answer *answer,
	    GError **error G_GNUC_UNUSED)
{
	g_mutex_lock(&script.lock);
	script.submits++;
	script.at_once++;
	script.most_at_once = MAX(script.most_at_once, script.at_once);
	/* A second one is let come. */
	for (guint i = 0; i < 6000 && script.most_at_once < 2; i++) {
		g_mutex_unlock(&script.lock);
		g_usleep(10000);
		g_mutex_lock(&script.lock);
	}
	g_mutex_unlock(&script.lock);
	answer->status = HANDLER_ISSUED;
	answer->certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	g_ptr_array_add(answer->certs, issue_well(request));
	g_mutex_lock(&script.lock);
	script.at_once--;
	g_mutex_unlock(&script.lock);
	return TRUE;
}

static const struct handler slow = {
	.name = "fake", .keys = fake_keys, .submit = slow_submit, .poll = fake_poll
};

static const struct handler *
find_slow(const char *name G_GNUC_UNUSED, GError **error G_GNUC_UNUSED)
{
	return &slow;
}

#define CROWD 12
#define THREADS 4

static gpointer
worker(gpointer data)
{
	const struct enroll *enroll = data;
	gint64 id;

	do
		g_assert_true(enroll_work_one(enroll, "fake", "default", &id, NULL));
	while (id != 0);
	return NULL;
}

static void
test_parallel(void)
{
	struct fixture f;
	g_autoptr(GError) error = NULL;
	GThread *threads[THREADS];
	guint issued = 0;

	if (!up(&f, NULL))
		return;
	struct enroll enroll = fixture_enroll(&f);
	enroll.find_handler = find_slow;
	for (gint i = 0; i < CROWD; i++)
		(void)order_one(&enroll);
	for (gint i = 0; i < THREADS; i++)
		threads[i] = g_thread_new("worker", worker, &enroll);
	for (gint i = 0; i < THREADS; i++)
		g_thread_join(threads[i]);
	const struct request_filter filter = { .state = "issued" };
	g_autoptr(GPtrArray) rows = requests_list(f.db, &filter, &error);
	issued = rows->len;
	g_assert_cmpuint(issued, ==, CROWD);
	g_assert_cmpuint(script.submits, ==, CROWD);
	g_assert_cmpuint(script.most_at_once, >, 1);
	g_assert_cmpint(keys_count(f.db, &error), ==, CROWD + 2);
	down(&f);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/enroll_steps/each answer leads to its state", test_answers);
	g_test_add_func("/enroll_steps/polled to the end", test_polled);
	g_test_add_func("/enroll_steps/an attempt that died", test_died);
	g_test_add_func("/enroll_steps/answers that are lost", test_lost);
	g_test_add_func("/enroll_steps/a handle that was saved half-way", test_half_way);
	g_test_add_func("/enroll_steps/what the checks refuse is kept", test_refused);
	g_test_add_func("/enroll_steps/a chain that leads nowhere", test_chain);
	g_test_add_func("/enroll_steps/new settings set it going again", test_configuration);
	g_test_add_func("/enroll_steps/nobody waits for ever", test_given_up);
	g_test_add_func("/enroll_steps/a pair is two requests", test_pair);
	g_test_add_func("/enroll_steps/many workers, each request once", test_parallel);
	int status = g_test_run();
	scratch_pg_stop(pg);
	g_free(script.seen_handle);
	g_free(script.seen_class);
	return status;
}
