/*
 * explains - explain (S5): the mail path's own ruling on a message that is described, given or
 * in the record.
 */
#include "admin/api/handlers.h"

#include <string.h>

#include "milter/explain.h"
#include "milter/gateway.h"
#include "store/audit.h"
#include "store/base/error.h"

#define HEADER_MAX_BYTES (1024 * 1024)

static json_t *
parse_ruling(char *text, GError **error)
{
	json_t *answer = json_loads(text, 0, NULL);

	g_free(text);
	if (answer == NULL)
		return fail(error, PS_ERROR_BUG, "the ruling is not JSON");
	return answer;
}

/* --- a message of the record --- */

static json_t *
explain_recorded(struct call *call, GError **error)
{
	struct audit_message_filter filter = { .queue_id = call_text(call, "queue-id"),
					       .limit = 1 };
	g_autoptr(GPtrArray) rows = audit_message_find(call->gateway->db, &filter, error);
	const struct audit_message *message;
	json_t *answer;
	json_t *detail;

	if (rows == NULL)
		return NULL;
	if (rows->len == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "%s: no message with this queue id",
			    filter.queue_id);
	message = g_ptr_array_index(rows, 0);
	detail = message->detail != NULL ? json_loads(message->detail, 0, NULL) : NULL;
	answer = json_object();
	json_object_set_new(answer, "at", answer_time(message->at));
	json_object_set_new(answer, "origin", answer_text(message->origin));
	json_object_set_new(answer, "author", answer_text(message->author));
	json_object_set_new(answer, "reason", answer_text(message->reason));
	json_object_set_new(answer, "reply", answer_text(message->reply));
	for (gsize i = 0; message->recipients != NULL && message->recipients[i] != NULL; i++) {
		json_t *recipients = json_object_get(answer, "recipients");

		if (recipients == NULL) {
			recipients = json_array();
			json_object_set_new(answer, "recipients", recipients);
		}
		json_array_append_new(
		    recipients,
		    json_pack(
			"{s:o, s:o}", "address", answer_text(message->recipients[i]), "outcome",
			answer_text(message->outcomes != NULL ? message->outcomes[i] : NULL)));
	}
	if (detail != NULL)
		json_object_set_new(answer, "detail", detail);
	return answer;
}

/* --- a message that is given --- */

struct given {
	char *from;
	char *subject;
	char *content_type;
	GPtrArray *lines; /* "Name: value" of the other fields */
	guint64 size;
};

static void
given_clear(struct given *given)
{
	g_free(given->from);
	g_free(given->subject);
	g_free(given->content_type);
	if (given->lines != NULL)
		g_ptr_array_unref(given->lines);
}

static void
take_field(struct given *given, const char *line)
{
	const char *colon = strchr(line, ':');
	gsize length = colon != NULL ? (gsize)(colon - line) : 0;
	char **slot = NULL;

	if (length == 0 || line[0] == ' ' || line[0] == '\t')
		return;
	if (length == 4 && g_ascii_strncasecmp(line, "From", 4) == 0)
		slot = &given->from;
	else if (length == 7 && g_ascii_strncasecmp(line, "Subject", 7) == 0)
		slot = &given->subject;
	else if (length == 12 && g_ascii_strncasecmp(line, "Content-Type", 12) == 0)
		slot = &given->content_type;
	/* A second From is a question of its own: it stays a line. */
	if (slot != NULL && *slot == NULL)
		*slot = g_strstrip(g_strdup(colon + 1));
	else
		g_ptr_array_add(given->lines, g_strdup(line));
}

/* The header of a message as fields; folds are joined. */
static gboolean
read_given(struct call *call, struct given *given, GError **error)
{
	const char *name;
	gsize length;
	g_autoptr(GBytes) bytes = call_file(call, "message", 0, &name, error);
	g_autoptr(GString) line = g_string_new(NULL);

	if (bytes == NULL)
		return FALSE;
	const char *text = g_bytes_get_data(bytes, &length);
	const char *end = text + MIN(length, HEADER_MAX_BYTES);
	given->size = length;
	while (text != NULL && text < end) {
		const char *stop = memchr(text, '\n', (gsize)(end - text));
		gsize n = (gsize)((stop != NULL ? stop : end) - text);

		while (n > 0 && text[n - 1] == '\r')
			n--;
		if (n == 0)
			break;
		if (*text != ' ' && *text != '\t') {
			take_field(given, line->str);
			g_string_truncate(line, 0);
		}
		g_string_append_len(line, text, (gssize)n);
		text = stop != NULL ? stop + 1 : NULL;
	}
	take_field(given, line->str);
	return TRUE;
}

static const char *
first_of(const char *said, const char *given)
{
	return said != NULL ? said : given;
}

json_t *
explain_run(struct call *call, GError **error)
{
	g_auto(GStrv) recipients = call_list(call, "to");
	g_auto(GStrv) headers = call_list(call, "header");
	struct given given = { .lines = g_ptr_array_new_with_free_func(g_free) };
	char *text = NULL;

	if (call_text(call, "queue-id") != NULL) {
		given_clear(&given);
		return explain_recorded(call, error);
	}
	if (call_file_count(call, "message") > 0 && !read_given(call, &given, error)) {
		given_clear(&given);
		return NULL;
	}
	for (char **header = headers; *header != NULL; header++)
		g_ptr_array_add(given.lines, g_strdup(*header));
	g_ptr_array_add(given.lines, NULL);
	struct explain_question question = {
		.from = first_of(call_text(call, "from"), given.from),
		.sender = call_text(call, "sender"),
		.recipients = (const char *const *)recipients,
		.client_address = call_text(call, "client"),
		.login = call_text(call, "auth"),
		.daemon_name = call_text(call, "daemon"),
		.subject = first_of(call_text(call, "subject"), given.subject),
		.header_lines = (const char *const *)given.lines->pdata,
		.content_type = first_of(call_text(call, "content-type"), given.content_type),
		.size_bytes = (guint64)MAX(call_int(call, "size", (gint64)given.size), 0),
	};
	if (*recipients == NULL)
		fail(error, PS_ERROR_INVALID, "--to is missing: to whom would it go?");
	else if (question.from == NULL && question.sender == NULL)
		fail(error, PS_ERROR_INVALID, "--from or --sender is missing: who would send it?");
	else
		text = explain_question(call->gateway, &question, error);
	given_clear(&given);
	return text != NULL ? parse_ruling(text, error) : NULL;
}
