/* notice - see notice.h. */
#include "milter/notice.h"

#include <string.h>

#include "milter/envelope.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "milter/mime/compose.h"
#include "milter/mime/quoted_printable.h"
#include "milter/parcel.h"
#include "milter/session.h"
#include "store/base/printable.h"

#define RETURNED_MAX_BYTES (64 * 1024) /* of the header that goes back */
#define LINE_MAX_BYTES 990

static const struct envelope_recipient *
recipient_of(const struct notice *notice, guint i)
{
	return g_ptr_array_index(notice->message->envelope->recipients,
				 notice->recipients[i].recipient);
}

/* RFC 3461 section 4.1: without NOTIFY failures are told, with it only where it says so. */
static gboolean
is_told(const struct envelope_recipient *recipient)
{
	g_autofree char *notify = parcel_parameter(recipient->parameters, "NOTIFY");
	g_auto(GStrv) words = notify != NULL ? g_strsplit(notify, ",", 8) : NULL;

	for (guint i = 0; words != NULL && words[i] != NULL; i++)
		if (g_ascii_strcasecmp(words[i], "FAILURE") == 0)
			return TRUE;
	return notify == NULL;
}

gboolean
notice_wanted(const struct notice *notice)
{
	for (guint i = 0; i < notice->count; i++)
		if (is_told(recipient_of(notice, i)))
			return TRUE;
	return FALSE;
}

/* ---- header --------------------------------------------------------------------------------- */

static gboolean
add_field(struct headers *headers, const char *name, const char *text, GError **error)
{
	g_autofree char *value = compose_value(name, text);

	return headers_add(headers, name, value, strlen(value), error);
}

static gboolean
write_header(const struct notice *notice, const char *boundary, struct headers *headers,
	     GError **error)
{
	g_autofree char *host = compose_host(notice->host);
	g_autofree char *from = g_strdup_printf("Mail gateway <postmaster@%s>", host);
	g_autofree char *to = g_strdup_printf("<%s>", notice->message->envelope->sender);
	g_autofree char *date = compose_date(notice->now);
	g_autofree char *id = compose_message_id(notice->host, notice->now, error);
	g_autofree char *type = g_strdup_printf(
	    "multipart/report; report-type=delivery-status; boundary=\"%s\"", boundary);
	const struct {
		const char *name, *value;
	} fields[] = {
		{ "Date", date },
		{ "From", from },
		{ "To", to },
		{ "Subject", "Undelivered mail: not sent to all recipients" },
		{ "Message-ID", id },
		{ "Auto-Submitted", "auto-replied" },
		{ "MIME-Version", "1.0" },
		{ "Content-Type", type },
	};

	for (guint i = 0; id != NULL && i < G_N_ELEMENTS(fields); i++)
		if (!add_field(headers, fields[i].name, fields[i].value, error))
			return FALSE;
	return id != NULL;
}

/* ---- for people ----------------------------------------------------------------------------- */

static void
write_text(const struct notice *notice, GString *out)
{
	g_autofree char *host = compose_host(notice->host);
	g_autofree char *head = g_strdup_printf(
	    "This is the mail gateway at %s.\n\nYour message was not sent to the recipients "
	    "below. It is not tried again. All other recipients have been served.\n",
	    host);

	compose_text(out, head);
	for (guint i = 0; i < notice->count; i++) {
		const struct notice_recipient *refused = &notice->recipients[i];
		const struct envelope_recipient *recipient = recipient_of(notice, i);
		g_autofree char *address = printable_ascii(recipient->address);
		g_autofree char *why = printable_ascii(refused->text);
		g_autofree char *line =
		    g_strdup_printf("\n<%s>:\n%s%s\n", address,
				    refused->by_server ? "the mail server answers " : "", why);

		if (is_told(recipient))
			compose_text(out, line);
	}
}

/* ---- for programs --------------------------------------------------------------------------- */

/* "rfc822; bob@partner.example"; other characters as RFC 6533 section 3 writes them. */
static char *
typed_address(const char *address)
{
	GString *text = g_string_new(NULL);
	g_autofree char *valid = g_utf8_make_valid(address, -1);

	g_string_append(text, g_str_is_ascii(valid) ? "rfc822; " : "utf-8; ");
	for (const char *c = valid; *c != '\0'; c = g_utf8_next_char(c)) {
		gunichar u = g_utf8_get_char(c);

		if (u > 32 && u < 127)
			g_string_append_unichar(text, u);
		else
			g_string_append_printf(text, "\\x{%X}", u);
	}
	return g_string_free(text, FALSE);
}

/* xtext of RFC 3461 section 4; what it hides must be printable. */
static char *
xtext_decode(const char *xtext)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (const char *c = xtext; *c != '\0'; c++) {
		if (c[0] == '+' && g_ascii_isxdigit(c[1]) && g_ascii_isxdigit(c[2])) {
			g_string_append_c(text, (char)(16 * g_ascii_xdigit_value(c[1]) +
						       g_ascii_xdigit_value(c[2])));
			c += 2;
		} else {
			g_string_append_c(text, *c);
		}
	}
	return printable_ascii(text->str);
}

static void
write_decoded(GString *out, const char *name, const char *parameters, const char *keyword)
{
	g_autofree char *xtext = parcel_parameter(parameters, keyword);
	g_autofree char *text = xtext != NULL ? xtext_decode(xtext) : NULL;

	if (text != NULL && *text != '\0')
		compose_field(out, name, text);
}

static void
write_status(const struct notice *notice, GString *out)
{
	const struct envelope *envelope = notice->message->envelope;
	g_autofree char *host = compose_host(notice->host);
	g_autofree char *mta = g_strdup_printf("dns; %s", host);
	g_autofree char *date = compose_date(notice->now);

	write_decoded(out, "Original-Envelope-Id", envelope->sender_parameters, "ENVID");
	compose_field(out, "Reporting-MTA", mta);
	compose_field(out, "Arrival-Date", date);
	for (guint i = 0; i < notice->count; i++) {
		const struct notice_recipient *refused = &notice->recipients[i];
		const struct envelope_recipient *recipient = recipient_of(notice, i);
		g_autofree char *address = typed_address(recipient->address);
		g_autofree char *why = printable_ascii(refused->text);
		g_autofree char *code =
		    g_strdup_printf("%s; %s", refused->by_server ? "smtp" : "x-postseal", why);

		if (!is_told(recipient))
			continue;
		g_string_append(out, "\r\n");
		write_decoded(out, "Original-Recipient", recipient->parameters, "ORCPT");
		compose_field(out, "Final-Recipient", address);
		compose_field(out, "Action", "failed");
		compose_field(out, "Status", refused->status);
		compose_field(out, "Diagnostic-Code", code);
		compose_field(out, "Last-Attempt-Date", date);
	}
}

/* ---- what goes back ------------------------------------------------------------------------- */

/* Fields up to the ceiling, whole ones. */
static struct headers *
returned_fields(const struct headers *headers, GError **error)
{
	CLEANUP(headers) struct headers *returned = headers_new();

	for (guint i = 0; i < headers_count(headers); i++) {
		const struct header *field = headers_at(headers, i);

		if (headers_size(returned) + strlen(field->name) + field->length >
		    RETURNED_MAX_BYTES)
			break;
		if (header_is(field, "Bcc") || header_has_prefix(field, "X-Postseal-"))
			continue;
		if (!headers_add(returned, field->name, field->value, field->length, error))
			return NULL;
	}
	return g_steal_pointer(&returned);
}

static gboolean
is_plain(const struct headers *headers)
{
	for (guint i = 0; i < headers_count(headers); i++) {
		const struct header *field = headers_at(headers, i);

		if (!g_str_is_ascii(field->value) || strlen(field->value) != field->length ||
		    field->length > LINE_MAX_BYTES)
			return FALSE;
	}
	return TRUE;
}

static gboolean
write_returned(const struct notice *notice, struct spool *out, GError **error)
{
	CLEANUP(headers)
	struct headers *returned = returned_fields(notice->message->headers, error);
	struct qp_encoder encoder;

	if (returned == NULL ||
	    !spool_append_text(out, "Content-Type: text/rfc822-headers\r\n", error))
		return FALSE;
	if (is_plain(returned))
		return spool_append_text(out, "\r\n", error) &&
		       headers_write(returned, spool_sink(out), error);
	qp_encoder_init(&encoder, spool_sink(out), FALSE);
	return spool_append_text(out, "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
				 error) &&
	       headers_write(returned, &encoder.sink, error) && qp_encoder_finish(&encoder, error);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static struct spool *
write_body(const struct notice *notice, const char *boundary, struct spool_area *area,
	   GError **error)
{
	CLEANUP(spool) struct spool *body = spool_new(area);
	g_autoptr(GString) head = g_string_new(NULL);
	g_autofree char *end = g_strdup_printf("\r\n--%s--\r\n", boundary);

	g_string_append_printf(head, "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n",
			       boundary);
	write_text(notice, head);
	g_string_append_printf(head, "\r\n--%s\r\nContent-Type: message/delivery-status\r\n\r\n",
			       boundary);
	write_status(notice, head);
	g_string_append_printf(head, "\r\n--%s\r\n", boundary);
	if (!spool_append(body, head->str, head->len, error) ||
	    !write_returned(notice, body, error) || !spool_append_text(body, end, error) ||
	    !spool_seal(body, error))
		return NULL;
	return g_steal_pointer(&body);
}

gboolean
notice_write(const struct notice *notice, struct spool_area *area, struct headers **headers,
	     struct spool **body, GError **error)
{
	CLEANUP(headers) struct headers *fields = headers_new();
	g_autofree char *boundary = compose_boundary(error);

	if (boundary == NULL || !write_header(notice, boundary, fields, error))
		return FALSE;
	*body = write_body(notice, boundary, area, error);
	if (*body == NULL)
		return FALSE;
	*headers = g_steal_pointer(&fields);
	return TRUE;
}
