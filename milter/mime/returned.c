/*
 * returned - a body of our own out of the few fields that may be shown.
 */
#include "milter/mime/returned.h"

#include <string.h>

#include "milter/mime/survey.h"
#include "store/base/error.h"

#define SENTENCE                                                                                   \
	"The text of this message was removed on its way: what is sent to this\r\n"                \
	"address must be encrypted, and this message could not be.\r\n"
#define STATUS_BLOCKS_MAX 1000
#define FIELD_MAX_BYTES 4096
#define KEPT_MAX_BYTES (256 * 1024)

/* RFC 3464 sections 2.2 and 2.3, RFC 8098 section 3.2. */
static const char *const status_fields[] = { "Original-Envelope-Id",
					     "Reporting-MTA",
					     "DSN-Gateway",
					     "Received-From-MTA",
					     "Arrival-Date",
					     "Original-Recipient",
					     "Final-Recipient",
					     "Action",
					     "Status",
					     "Remote-MTA",
					     "Diagnostic-Code",
					     "Last-Attempt-Date",
					     "Final-Log-ID",
					     "Will-Retry-Until",
					     "Reporting-UA",
					     "MDN-Gateway",
					     "Original-Message-ID",
					     "Disposition",
					     NULL };

/* Who, when, which: neither Subject nor anything else that is written for people. */
static const char *const message_fields[] = {
	"Return-Path", "Received",       "Date",       "From",
	"Sender",      "Reply-To",       "To",         "Cc",
	"Message-ID",  "In-Reply-To",    "References", "Resent-Date",
	"Resent-From", "Resent-To",      "Resent-Cc",  "Resent-Message-ID",
	"List-Id",     "Auto-Submitted", NULL
};

static gboolean
is_listed(const struct header *field, const char *const *names)
{
	for (guint i = 0; names[i] != NULL; i++) {
		if (header_is(field, names[i]))
			return TRUE;
	}
	return FALSE;
}

static void
keep_field(GString *kept, const struct header *field)
{
	guint traits = survey_bytes((const guint8 *)field->value, field->length) &
		       (TRAIT_8BIT | TRAIT_NUL | TRAIT_BARE_CR); /* a bare LF is a fold */

	if (traits != 0 || field->length > FIELD_MAX_BYTES ||
	    kept->len + field->length > KEPT_MAX_BYTES)
		return;
	g_string_append_printf(kept, "%s:", field->name);
	for (const char *at = field->value; *at != '\0'; at++) {
		if (*at == '\n')
			g_string_append_c(kept, '\r');
		g_string_append_c(kept, *at);
	}
	g_string_append(kept, "\r\n");
}

static void
keep_fields(GString *kept, const struct headers *headers, const char *const *names)
{
	for (guint i = 0; i < headers_count(headers); i++) {
		const struct header *field = headers_at(headers, i);

		if (is_listed(field, names))
			keep_field(kept, field);
	}
}

/* Blocks of fields with an empty line between; what is no field ends it. FALSE: the spool. */
static gboolean
keep_blocks(GString *kept, const struct part *part, struct spool *spool, guint blocks_max,
	    const char *const *names, GError **error)
{
	guint64 at = part->body_start;

	for (guint i = 0; i < blocks_max && at < part->end; i++) {
		g_autoptr(GError) cause = NULL;
		guint64 next = at;
		gsize before = kept->len;
		CLEANUP(headers)
		struct headers *headers = headers_parse(spool, at, part->end, &next, &cause);

		if (headers == NULL && !g_error_matches(cause, PS_ERROR, PS_ERROR_INVALID)) {
			g_propagate_error(error, g_steal_pointer(&cause));
			return FALSE;
		}
		if (headers == NULL || next <= at)
			return TRUE;
		keep_fields(kept, headers, names);
		if (kept->len > before)
			g_string_append(kept, "\r\n");
		at = next;
	}
	return TRUE;
}

static gboolean
is_encoded(const struct part *part)
{
	return strcmp(part->encoding, "base64") == 0 ||
	       strcmp(part->encoding, "quoted-printable") == 0;
}

static gboolean
is_status(const struct part *part)
{
	return part_is(part, "message/delivery-status") ||
	       part_is(part, "message/disposition-notification");
}

/* What the report says about the delivery, and of the message that it returns. */
struct report {
	GString *status;
	GString *message;
	const char *status_type; /* NULL: it has none */
};

static gboolean
report_take(struct report *report, const struct part *part, struct spool *spool, GError **error)
{
	if (is_status(part) && report->status_type == NULL && !is_encoded(part)) {
		report->status_type = part_is(part, "message/delivery-status")
					  ? "delivery-status"
					  : "disposition-notification";
		return keep_blocks(report->status, part, spool, STATUS_BLOCKS_MAX, status_fields,
				   error);
	}
	if (report->message->len > 0 || is_encoded(part))
		return TRUE;
	if (part->kind == PART_MESSAGE || part_is(part, "text/rfc822-headers"))
		return keep_blocks(report->message, part, spool, 1, message_fields, error);
	return TRUE;
}

static gboolean
append_part(struct spool *body, const char *boundary, const char *type, const char *text,
	    GError **error)
{
	g_autofree char *head =
	    g_strconcat("--", boundary, "\r\nContent-Type: ", type, "\r\n\r\n", NULL);

	return spool_append_text(body, head, error) && spool_append_text(body, text, error) &&
	       spool_append_text(body, "\r\n", error);
}

static gboolean
append_report(struct spool *body, const struct report *report, const char *boundary, GError **error)
{
	g_autofree char *end = g_strconcat("--", boundary, "--\r\n", NULL);
	g_autofree char *type = g_strconcat("message/", report->status_type, NULL);

	if (!append_part(body, boundary, "text/plain; charset=us-ascii", SENTENCE, error))
		return FALSE;
	if (!append_part(body, boundary, type, report->status->str, error))
		return FALSE;
	if (report->message->len > 0 &&
	    !append_part(body, boundary, "text/rfc822-headers", report->message->str, error))
		return FALSE;
	return spool_append_text(body, end, error);
}

static struct wrapped *
report_wrap(const struct report *report, struct spool_area *area, GError **error)
{
	CLEANUP(spool) struct spool *body = spool_new(area);
	g_autofree char *boundary = NULL;

	if (report->status_type == NULL) {
		if (!spool_append_text(body, SENTENCE, error) || !spool_seal(body, error))
			return NULL;
		return wrap_unprotected(area, body, g_strdup(" text/plain; charset=us-ascii"));
	}
	boundary = wrap_boundary(error);
	if (boundary == NULL || !append_report(body, report, boundary, error) ||
	    !spool_seal(body, error))
		return NULL;
	return wrap_unprotected(area, body,
				g_strdup_printf(" multipart/report; report-type=%s;\n"
						" boundary=\"%s\"",
						report->status_type, boundary));
}

struct wrapped *
returned_cut(struct mime_tree *tree, struct spool_area *area, GError **error)
{
	const struct part *root = tree->root;
	g_autoptr(GString) status = g_string_new(NULL);
	g_autoptr(GString) message = g_string_new(NULL);
	struct report report = { status, message, NULL };
	gboolean is_report = tree->malformed == NULL && root->kind == PART_MULTIPART &&
			     root->children != NULL && part_is(root, "multipart/report");

	for (guint i = 0; is_report && i < root->children->len; i++) {
		if (!report_take(&report, root->children->pdata[i], tree->spool, error))
			return NULL;
	}
	return report_wrap(&report, area, error);
}
