/* directory_wait - see directory_wait.h. */
#include "pki/directory_wait.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/changelog.h"
#include "store/directories.h"
#include "store/jobs.h"

#define WAKE_MS 1000 /* the change log is read that often in any case */

struct directory_wait {
	struct db *db;
	struct changelog *changelog;
	struct clock *clock;
	gint64 grace;
	GMutex lock;
	GStrv domains; /* NULL: not read yet */
	guint64 moment;
};

struct directory_wait *
directory_wait_new(struct db *db, struct changelog *changelog, struct clock *clock, gint64 grace)
{
	struct directory_wait *wait = g_new0(struct directory_wait, 1);

	wait->db = db;
	wait->changelog = changelog;
	wait->clock = clock;
	wait->grace = grace;
	g_mutex_init(&wait->lock);
	return wait;
}

void
directory_wait_free(struct directory_wait *wait)
{
	if (wait == NULL)
		return;
	g_strfreev(wait->domains);
	g_mutex_clear(&wait->lock);
	g_free(wait);
}

/* ---- which domains --------------------------------------------------------------------------- */

/* Under the lock. */
static gboolean
is_current(const struct directory_wait *wait)
{
	change_tag servers = change_tag_of(CHANGE_DIRECTORY, "servers");

	return wait->domains != NULL && wait->changelog != NULL &&
	       changelog_fresh(wait->changelog, wait->grace) &&
	       changelog_unchanged(wait->changelog, &servers, 1, wait->moment);
}

static GStrv
served_domains(struct directory_wait *wait, GError **error)
{
	GStrv domains = NULL;
	guint64 moment;

	g_mutex_lock(&wait->lock);
	if (is_current(wait))
		domains = g_strdupv(wait->domains);
	g_mutex_unlock(&wait->lock);
	if (domains != NULL)
		return domains;
	moment = changelog_moment(wait->changelog);
	domains = directories_domains(wait->db, error);
	if (domains == NULL)
		return NULL;
	g_mutex_lock(&wait->lock);
	g_strfreev(wait->domains);
	wait->domains = g_strdupv(domains);
	wait->moment = moment;
	g_mutex_unlock(&wait->lock);
	return domains;
}

/* ---- one round ------------------------------------------------------------------------------- */

struct round {
	struct directory_wait *wait;
	struct directory_query *queries;
	gsize count;
	GPtrArray *open; /* keys without an answer that counts; borrowed */
};

static void
set_state(struct directory_query *query, enum directory_state state, const char *note)
{
	query->state = state;
	g_free(query->note);
	query->note = g_strdup(note);
}

static void
take_answer(struct directory_query *query, const struct directory_answer_row *answer)
{
	switch (answer->outcome) {
	case DIRECTORY_FOUND:
		set_state(query, DIRECTORY_STORED, answer->note);
		break;
	case DIRECTORY_NONE:
		set_state(query, DIRECTORY_NOTHING, answer->note);
		break;
	case DIRECTORY_FAILED:
		set_state(query, DIRECTORY_OPEN, answer->note);
		break;
	}
}

static const struct directory_answer_row *
find_answer(const GPtrArray *answers, const char *key, gint64 now)
{
	for (guint i = 0; i < answers->len; i++) {
		const struct directory_answer_row *answer = answers->pdata[i];

		if (strcmp(answer->email, key) == 0 && answer->good_until > now)
			return answer;
	}
	return NULL;
}

/* Reads the answers of what is open and keeps in `open` what still is. */
static gboolean
read_answers(struct round *round, GError **error)
{
	gint64 now = clock_now(round->wait->clock);
	g_autoptr(GPtrArray) answers = directories_answers(
	    round->wait->db, (const char *const *)round->open->pdata, round->open->len, error);

	if (answers == NULL)
		return FALSE;
	g_ptr_array_set_size(round->open, 0);
	for (gsize i = 0; i < round->count; i++) {
		struct directory_query *query = &round->queries[i];
		const char *key = mailaddr_key(query->address);
		const struct directory_answer_row *answer;

		if (query->state != DIRECTORY_OPEN)
			continue;
		answer = find_answer(answers, key, now);
		if (answer != NULL)
			take_answer(query, answer);
		else
			g_ptr_array_add(round->open, (gpointer)key);
	}
	return TRUE;
}

static gboolean
ask_and_wait(struct round *round, gint64 timeout_ms, GError **error)
{
	struct changelog *changelog = round->wait->changelog;
	gint64 deadline_us = clock_monotonic_us() + timeout_ms * 1000;
	guint64 since = changelog_moment(changelog);

	if (!read_answers(round, error))
		return FALSE;
	if (round->open->len > 0 &&
	    !jobs_ask_all(round->wait->db, "directory", (const char *const *)round->open->pdata,
			  round->open->len, error))
		return FALSE;
	while (round->open->len > 0) {
		gint64 left_ms = (deadline_us - clock_monotonic_us()) / 1000;

		if (left_ms <= 0)
			break;
		changelog_wait(changelog, change_tag_of(CHANGE_DIRECTORY, NULL), since,
			       MIN(left_ms, WAKE_MS));
		since = changelog_moment(changelog);
		if (!read_answers(round, error))
			return FALSE;
	}
	return TRUE;
}

/* Whoever reads "stored" must not go on with a selection from before: the change log is read up
 * to now, so that the caches let go of it. */
static gboolean
catch_up(const struct round *round, GError **error)
{
	for (gsize i = 0; i < round->count; i++)
		if (round->queries[i].state == DIRECTORY_STORED)
			return round->wait->changelog == NULL ||
			       changelog_poll(round->wait->changelog, error);
	return TRUE;
}

static void
set_all_open(struct round *round, enum directory_state from, const char *note)
{
	for (gsize i = 0; i < round->count; i++)
		if (round->queries[i].state == from)
			set_state(&round->queries[i], DIRECTORY_OPEN, note);
}

static void
run_round(struct round *round, gint64 timeout_ms)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *note = NULL;

	if (!ask_and_wait(round, timeout_ms, &error)) {
		note = g_strdup_printf("the directories cannot be asked: %s", error->message);
		set_all_open(round, DIRECTORY_OPEN, note);
		g_clear_error(&error);
	}
	if (!catch_up(round, &error))
		set_all_open(round, DIRECTORY_STORED, error->message);
}

void
directory_wait_ask(struct directory_wait *wait, struct directory_query *queries, gsize n,
		   gint64 timeout_ms)
{
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) domains = served_domains(wait, &error);
	struct round round = { wait, queries, n, g_ptr_array_new() };

	for (gsize i = 0; i < n; i++) {
		queries[i].note = NULL;
		if (domains == NULL) {
			set_state(&queries[i], DIRECTORY_OPEN, error->message);
		} else if (directories_cover((const char *const *)domains,
					     mailaddr_domain(queries[i].address))) {
			set_state(&queries[i], DIRECTORY_OPEN,
				  "the directories have not answered yet");
			g_ptr_array_add(round.open, (gpointer)mailaddr_key(queries[i].address));
		} else {
			set_state(&queries[i], DIRECTORY_NOT_SERVED, NULL);
		}
	}
	if (round.open->len > 0)
		run_round(&round, timeout_ms);
	g_ptr_array_unref(round.open);
}
