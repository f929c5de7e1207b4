/*
 * bulk_wait - polls until no row waits.
 */
#include "admin/cli/bulk_wait.h"

#include <string.h>

#include "admin/cli/output.h"

#define POLL_US (300 * 1000)
#define AWAY_MAX_US (120 * G_USEC_PER_SEC)

static gint64
figure(const json_t *answer, const char *name)
{
	return json_integer_value(json_object_get(answer, name));
}

/* Those that are not left out from the start. */
static void
show(struct progress *progress, const json_t *answer)
{
	gint64 all = figure(answer, "rows") - figure(answer, "left_out");
	gint64 open = figure(answer, "waiting") + figure(answer, "pending");

	progress_show(progress, "requests worked on", (gsize)MAX(all - open, 0),
		      (gsize)MAX(all, 0));
}

static gboolean
is_running(const json_t *answer)
{
	const char *state = json_string_value(json_object_get(answer, "state"));

	return state != NULL && strcmp(state, "running") == 0;
}

void
bulk_wait(struct client *client, struct client_answer *begun)
{
	const struct operation *status = operation_at(OPERATION_BULK_STATUS);
	json_t *arguments = json_object();
	struct client_answer answer = { 0 };
	gint64 heard_us = g_get_monotonic_time();
	struct progress progress;
	gboolean over = FALSE;

	json_object_set(arguments, "id", json_object_get(begun->document, "id"));
	progress_start(&progress);
	while (!over) {
		client_answer_clear(&answer);
		client_call(client, status, arguments, &answer);
		if (answer.document != NULL) {
			heard_us = g_get_monotonic_time();
			show(&progress, answer.document);
			over = !is_running(answer.document);
		} else {
			over = answer.exit_status != CLIENT_EXIT_UNREACHABLE ||
			       g_get_monotonic_time() - heard_us > AWAY_MAX_US;
		}
		if (!over)
			g_usleep(POLL_US);
	}
	progress_end(&progress);
	const char *state = json_string_value(json_object_get(answer.document, "state"));
	if (answer.document != NULL &&
	    (figure(answer.document, "failed") > 0 || g_strcmp0(state, "done") != 0))
		answer.exit_status = CLIENT_EXIT_FAILED;
	json_decref(arguments);
	client_answer_clear(begun);
	*begun = answer;
}
