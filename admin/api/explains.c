/*
 * explains - explain (S5): the mail path's own ruling on a message that is described, given or
 * in the record.
 */
#include "admin/api/handlers.h"

#include "milter/explain.h"
#include "milter/gateway.h"
#include "milter/message/spool.h"
#include "store/audit.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/config/settings.h"

/* What reading a message of a size may take: the copy, and what is decoded of it. */
#define SPOOL_FACTOR 4
#define SPOOL_SPARE_BYTES (1024 * 1024)

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

/* --- a message that is described or given --- */

/* The given file as a sealed spool of an area of its own; NULL with *error. */
static struct spool *
given_message(struct call *call, GError **error)
{
	const char *name;
	g_autoptr(GBytes) bytes = call_file(call, "message", 0, &name, error);

	if (bytes == NULL)
		return NULL;
	CLEANUP(spool_area)
	struct spool_area *area =
	    spool_area_new_memory(SPOOL_FACTOR * g_bytes_get_size(bytes) + SPOOL_SPARE_BYTES);

	return spool_from_bytes(area, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes),
				error);
}

static gboolean
question_check(struct call *call, const struct explain_question *question, GError **error)
{
	static const char *const described[] = { "from", "subject", "content-type" };

	if (question->recipients[0] == NULL)
		return fail_false(error, PS_ERROR_USAGE, "--to is missing: to whom would it go?");
	for (guint i = 0; question->message != NULL && i < G_N_ELEMENTS(described); i++) {
		if (call_text(call, described[i]) != NULL)
			return fail_false(error, PS_ERROR_USAGE,
					  "--%s and --message: the message says it already",
					  described[i]);
	}
	if (question->client_address != NULL && !g_hostname_is_ip_address(question->client_address))
		return fail_false(error, PS_ERROR_USAGE, "--client: '%s' is no IP address",
				  question->client_address);
	if (question->message == NULL && question->from == NULL && question->sender == NULL)
		return fail_false(error, PS_ERROR_USAGE,
				  "--from or --sender is missing: who would send it?");
	return TRUE;
}

/*
 * The ruling as of another time: a gateway with a clock of its own, so that dates, revocation and
 * selection are all judged by it and nothing of it stays in the caches of this one.
 */
static char *
explain_at(struct call *call, const struct explain_question *question, gint64 at, GError **error)
{
	CLEANUP(clock) struct clock *clock = clock_new_fixed(at);
	CLEANUP(gateway)
	struct gateway *then = gateway_open_with_clock(
	    settings_ref(gateway_settings(call->gateway)), GATEWAY_DAEMON, clock, error);

	return then != NULL ? explain_question(then, question, error) : NULL;
}

json_t *
explain_run(struct call *call, GError **error)
{
	g_auto(GStrv) recipients = call_list(call, "to");
	g_auto(GStrv) headers = call_list(call, "header");
	CLEANUP(spool) struct spool *message = NULL;
	gint64 at;
	char *text;

	if (call_text(call, "queue-id") != NULL)
		return explain_recorded(call, error);
	if (call_file_count(call, "message") > 0) {
		message = given_message(call, error);
		if (message == NULL)
			return NULL;
	}
	struct explain_question question = {
		.from = call_text(call, "from"),
		.sender = call_text(call, "sender"),
		.recipients = (const char *const *)recipients,
		.client_address = call_text(call, "client"),
		.login = call_text(call, "auth"),
		.daemon_name = call_text(call, "daemon"),
		.subject = call_text(call, "subject"),
		.header_lines = (const char *const *)headers,
		.content_type = call_text(call, "content-type"),
		.size_bytes = (guint64)MAX(call_int(call, "size", 0), 0),
		.message = message,
	};
	if (!question_check(call, &question, error))
		return NULL;
	text = call_time(call, "at", &at) ? explain_at(call, &question, at, error)
					  : explain_question(call->gateway, &question, error);
	return text != NULL ? parse_ruling(text, error) : NULL;
}
