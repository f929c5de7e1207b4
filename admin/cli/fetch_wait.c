/*
 * fetch_wait - polls until nothing is open.
 */
#include "admin/cli/fetch_wait.h"

#include <string.h>

#include "admin/cli/output.h"

#define POLL_US (250 * 1000)
#define WAIT_MAX_US (600 * G_USEC_PER_SEC)

static json_t *
question(const json_t *begun)
{
	json_t *arguments = json_object();

	json_object_set(arguments, "since", json_object_get(begun, "since"));
	if (json_array_size(json_object_get(begun, "urls")) > 0)
		json_object_set(arguments, "urls", json_object_get(begun, "urls"));
	return arguments;
}

/* RFC 3339 in UTC compares as text. */
static gboolean
is_over(const json_t *begun, const json_t *answer)
{
	const char *since = json_string_value(json_object_get(begun, "since"));
	const char *collected = json_string_value(json_object_get(answer, "collected"));

	if (json_is_true(json_object_get(begun, "all")) &&
	    (collected == NULL || since == NULL || strcmp(collected, since) < 0))
		return FALSE;
	return json_integer_value(json_object_get(answer, "open")) == 0;
}

static gboolean
something_failed(const json_t *answer)
{
	json_t *items = json_object_get(answer, "items");

	for (gsize i = 0; i < json_array_size(items); i++) {
		const char *state =
		    json_string_value(json_object_get(json_array_get(items, i), "state"));

		if (state != NULL && strcmp(state, "good") != 0 && strcmp(state, "standby") != 0)
			return TRUE;
	}
	return FALSE;
}

void
fetch_wait(struct client *client, struct client_answer *begun)
{
	const struct operation *urls = operation_at(OPERATION_CRL_URLS);
	gint64 until = g_get_monotonic_time() + WAIT_MAX_US;
	json_t *arguments = question(begun->document);
	struct client_answer answer = { 0 };
	struct progress progress;
	gboolean over = FALSE;

	progress_start(&progress);
	while (!over && g_get_monotonic_time() < until) {
		client_answer_clear(&answer);
		client_call(client, urls, arguments, &answer);
		if (answer.document == NULL)
			break;
		gsize all = json_array_size(json_object_get(answer.document, "items"));
		gsize open = (gsize)json_integer_value(json_object_get(answer.document, "open"));

		progress_show(&progress, "fetched", all - MIN(open, all), all);
		over = is_over(begun->document, answer.document);
		if (!over)
			g_usleep(POLL_US);
	}
	progress_end(&progress);
	if (answer.document != NULL && (!over || something_failed(answer.document)))
		answer.exit_status = CLIENT_EXIT_FAILED;
	json_decref(arguments);
	client_answer_clear(begun);
	*begun = answer;
}
