/*
 * selftest - a mail through the real MTA, and what became of it: from the record of messages.
 */
#include "admin/api/handlers.h"

#include <gio/gio.h>
#include <string.h>

#include "admin/api/listener_probe.h"
#include "milter/gateway.h"
#include "store/audit.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/config/settings.h"

#define SENDMAIL "/usr/sbin/sendmail"
#define WAIT_SECONDS 30
#define STEP_US 200000

static char *
message_text(const char *from, const char *to, const char *subject, const char *id, gint64 now)
{
	g_autoptr(GDateTime) when = g_date_time_new_from_unix_utc(now);
	g_autofree char *date = g_date_time_format(when, "%a, %d %b %Y %H:%M:%S +0000");

	return g_strdup_printf("From: <%s>\nTo: <%s>\nSubject: %s\nDate: %s\nMessage-ID: %s\n"
			       "MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\n"
			       "This message was sent by 'postseal selftest'.\n",
			       from, to, subject, date, id);
}

static gboolean
submit(struct call *call, const char *from, const char *to, const char *text, GError **error)
{
	const char *program = call_text(call, "sendmail");
	const char *folder = call_text(call, "mta-config");
	g_autoptr(GPtrArray) words = g_ptr_array_new();
	g_autofree char *said = NULL;
	g_autoptr(GError) problem = NULL;

	g_ptr_array_add(words, (gpointer)(program != NULL ? program : SENDMAIL));
	if (folder != NULL && !g_file_test(folder, G_FILE_TEST_EXISTS))
		return fail_false(error, PS_ERROR_NOT_FOUND,
				  "--mta-config: %s: No such file or folder", folder);
	if (folder != NULL) {
		g_ptr_array_add(words, (gpointer) "-C");
		g_ptr_array_add(words, (gpointer)folder);
	}
	g_ptr_array_add(words, (gpointer) "-i");
	g_ptr_array_add(words, (gpointer) "-f");
	g_ptr_array_add(words, (gpointer)from);
	g_ptr_array_add(words, (gpointer) "--");
	g_ptr_array_add(words, (gpointer)to);
	g_ptr_array_add(words, NULL);
	g_autoptr(GSubprocess) child =
	    g_subprocess_newv((const char *const *)words->pdata,
			      G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDERR_MERGE |
				  G_SUBPROCESS_FLAGS_STDOUT_PIPE,
			      &problem);
	if (child != NULL &&
	    !g_subprocess_communicate_utf8(child, text, NULL, &said, NULL, &problem) &&
	    g_error_matches(problem, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE))
		return fail_false(error, PS_ERROR_TEMPORARY,
				  "%s ended before it had read the message: is it a sendmail?",
				  program != NULL ? program : SENDMAIL);
	if (problem != NULL)
		return fail_false(error, PS_ERROR_TEMPORARY, "%s: %s",
				  program != NULL ? program : SENDMAIL, problem->message);
	if (g_subprocess_get_successful(child))
		return TRUE;
	return fail_false(error, PS_ERROR_TEMPORARY, "the MTA did not take the message: %s",
			  said != NULL ? g_strstrip(said) : "");
}

/* The filter writes its record behind the answer: it comes within moments, or never. */
static struct audit_message *
wait_for_record(struct call *call, const char *id, gint64 seconds, GError **error)
{
	gint64 until = clock_monotonic_us() + seconds * G_USEC_PER_SEC;
	g_autofree char *bare = g_strndup(id + 1, strlen(id) - 2);

	for (;;) {
		/* The record has the identifier with or without its brackets. */
		const char *const forms[] = { id, bare };

		for (gsize i = 0; i < G_N_ELEMENTS(forms); i++) {
			struct audit_message_filter filter = { .message_id = forms[i], .limit = 1 };
			g_autoptr(GPtrArray) rows =
			    audit_message_find(call->gateway->db, &filter, error);

			if (rows == NULL)
				return NULL;
			if (rows->len > 0)
				return g_ptr_array_steal_index(rows, 0);
		}
		if (clock_monotonic_us() > until)
			break;
		g_usleep(STEP_US);
	}
	return fail(error, PS_ERROR_TEMPORARY,
		    "the MTA took the message, but no filter saw it within %" G_GINT64_FORMAT
		    " s: run 'postseal doctor'",
		    seconds);
}

static json_t *
outcome(const struct audit_message *message, gint64 took_us)
{
	json_t *answer = json_object();
	g_autofree char *recipients = g_strjoinv(" ", message->recipients);
	g_autofree char *outcomes = g_strjoinv(" ", message->outcomes);

	json_object_set_new(answer, "queue_id", answer_text(message->queue_id));
	json_object_set_new(answer, "message_id", answer_text(message->message_id));
	json_object_set_new(answer, "node", answer_text(message->node));
	json_object_set_new(answer, "origin", answer_text(message->origin));
	json_object_set_new(answer, "recipient", answer_text(recipients));
	json_object_set_new(answer, "outcome", answer_text(outcomes));
	json_object_set_new(answer, "reason", answer_text(message->reason));
	json_object_set_new(answer, "reply", answer_text(message->reply));
	json_object_set_new(answer, "filter_ms", json_real((double)message->duration_us / 1000.0));
	json_object_set_new(answer, "seen_after_ms", json_real((double)took_us / 1000.0));
	return answer;
}

/* Would the listener for copies take one of this message? */
static char *
try_listener(struct call *call, const char *from, const char *to)
{
	const char *address = gateway_settings(call->gateway)->reinject_address;
	g_autofree char *can = NULL;
	g_autoptr(GError) problem = NULL;

	if (*address == '\0')
		return g_strdup("no listener: reinject_address is empty");
	can = listener_probe(address, from, to, &problem);
	if (can != NULL)
		return g_strdup_printf("%s takes them: %s", address, can);
	call->exit_status = 1;
	return g_strdup_printf("%s: %s", address, problem->message);
}

json_t *
selftest_run(struct call *call, GError **error)
{
	const char *subject = call_text(call, "subject");
	CLEANUP(mailaddr) struct mailaddr *to = call_address(call, "to", error);
	CLEANUP(mailaddr) struct mailaddr *from = NULL;
	CLEANUP(audit_message) struct audit_message *message = NULL;
	gint64 started = clock_monotonic_us();
	g_autofree char *uuid = g_uuid_string_random();
	g_autofree char *listener = NULL;
	json_t *answer;

	if (to == NULL)
		return NULL;
	from =
	    call_text(call, "from") != NULL ? call_address(call, "from", error) : mailaddr_ref(to);
	if (from == NULL)
		return NULL;
	if (subject != NULL && strpbrk(subject, "\r\n") != NULL)
		return fail(error, PS_ERROR_INVALID, "--subject: one line, please");
	g_autofree char *id = g_strdup_printf("<%s@%s>", uuid, mailaddr_domain(from));
	g_autofree char *text = message_text(mailaddr_text(from), mailaddr_text(to),
					     subject != NULL ? subject : "Postseal self-test", id,
					     clock_now(call->gateway->clock));
	listener = try_listener(call, mailaddr_text(from), mailaddr_text(to));
	if (!submit(call, mailaddr_text(from), mailaddr_text(to), text, error))
		return NULL;
	message =
	    wait_for_record(call, id, CLAMP(call_int(call, "wait", WAIT_SECONDS), 1, 600), error);
	if (message == NULL)
		return NULL;
	if (message->reply != NULL && *message->reply != '\0')
		call->exit_status = 1;
	answer = outcome(message, clock_monotonic_us() - started);
	json_object_set_new(answer, "copies", answer_text(listener));
	return answer;
}
