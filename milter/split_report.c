/* split_report - see split_report.h. */
#include "milter/split_report.h"

#include <string.h>

#include "milter/policy/reply.h"
#include "store/base/printable.h"

#define DETAIL_MAX_BYTES 512
#define QUEUED_AS "queued as "

static void
refused_clear(gpointer data)
{
	g_free(((struct split_refused *)data)->answer);
}

void
split_report_init(struct split_report *report)
{
	report->refused = g_array_new(FALSE, TRUE, sizeof(struct split_refused));
	g_array_set_clear_func(report->refused, refused_clear);
	report->served = g_array_new(FALSE, FALSE, sizeof(guint));
	report->outcome = SPLIT_DEFER;
	report->reason = REASON_DEFERRED_INTERNAL;
}

void
split_report_clear(struct split_report *report)
{
	reply_free(report->reply);
	g_clear_pointer(&report->refused, g_array_unref);
	g_clear_pointer(&report->served, g_array_unref);
	g_clear_pointer(&report->detail, g_free);
	g_clear_pointer(&report->queue_ids, g_free);
	report->reply = NULL;
}

void
split_report_detail(struct split_report *report, const char *detail)
{
	char *before = report->detail;

	if (detail == NULL || (before != NULL && strlen(before) > DETAIL_MAX_BYTES))
		return;
	report->detail =
	    before != NULL ? g_strdup_printf("%s; %s", before, detail) : g_strdup(detail);
	g_free(before);
}

void
split_report_note(struct split_report *report, const char *queue_id)
{
	char *before = report->queue_ids;

	if (before != NULL && strlen(before) > DETAIL_MAX_BYTES)
		return;
	report->queue_ids =
	    before != NULL ? g_strdup_printf("%s %s", before, queue_id) : g_strdup(queue_id);
	g_free(before);
}

void
split_report_refuse(struct split_report *report, guint recipient, const struct smtp_reply *answer)
{
	struct split_refused refused = {
		.recipient = recipient,
		.answer = smtp_reply_text(answer),
	};

	g_strlcpy(refused.status, *answer->status != '\0' ? answer->status : "5.0.0",
		  sizeof refused.status);
	g_array_append_val(report->refused, refused);
}

static gboolean
is_id(const char *text, gsize length)
{
	for (gsize i = 0; i < length; i++)
		if (!g_ascii_isalnum(text[i]) && strchr("-_.+", text[i]) == NULL)
			return FALSE;
	return length > 0 && length <= 64;
}

char *
split_report_queue_id(const struct smtp_reply *answer)
{
	const char *text = answer->lines != NULL && answer->lines->len > 0
			       ? g_ptr_array_index(answer->lines, answer->lines->len - 1)
			       : "";
	const char *queued = strstr(text, QUEUED_AS);
	const char *id = queued != NULL ? queued + strlen(QUEUED_AS) : text;
	gsize length = strcspn(id, " ");

	return is_id(id, length) ? g_strndup(id, length) : g_strdup("unknown");
}

struct reply *
split_report_reply(const struct smtp_reply *answer, const char *address, enum origin origin)
{
	struct reply *reply = reply_of_reason(REASON_REFUSED_COPY, origin);
	g_autofree char *text = smtp_reply_text(answer);
	g_autofree char *shown = printable_ascii(address);

	g_snprintf(reply->code, sizeof reply->code, "%03u", answer->code % 1000);
	g_strlcpy(reply->status,
		  *answer->status != '\0' && strlen(answer->status) < sizeof reply->status
		      ? answer->status
		      : "5.0.0",
		  sizeof reply->status);
	if (origin == ORIGIN_UNTRUSTED)
		return reply;
	g_free(reply->lines[0]);
	reply->lines[0] = address != NULL
			      ? g_strdup_printf("<%s>: the mail server answers %s", shown, text)
			      : g_strdup_printf("the mail server answers %s", text);
	return reply;
}
