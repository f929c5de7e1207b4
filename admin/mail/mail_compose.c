/*
 * mail_compose - text, HTML and files as one message.
 */
#include "admin/mail/mailer.h"

#include <string.h>

#include "admin/mail/mail_header.h"
#include "milter/mime/compose.h"
#include "milter/mime/quoted_printable.h"
#include "store/base/error.h"
#include "store/base/mailaddr.h"
#include "store/base/secret.h"

#define LINE_MAX_BYTES 78 /* of a text that goes as it is */
#define BASE64_LINE 76

struct string_sink {
	struct sink sink; /* first */
	GString *out;
};

static gboolean
string_write(struct sink *sink, gconstpointer bytes, gsize length, GError **error)
{
	struct string_sink *self = (struct string_sink *)sink;

	(void)error;
	g_string_append_len(self->out, bytes, (gssize)length);
	return TRUE;
}

/* Lines end with CRLF, whatever they ended with. */
static char *
with_crlf(const char *text)
{
	GString *out = g_string_new(NULL);
	g_autofree char *valid = g_utf8_make_valid(text, -1);

	for (const char *c = valid; *c != '\0'; c++) {
		if (*c == '\r')
			continue;
		if (*c == '\n')
			g_string_append_c(out, '\r');
		g_string_append_c(out, *c);
	}
	if (out->len > 0 && !g_str_has_suffix(out->str, "\r\n"))
		g_string_append(out, "\r\n");
	return g_string_free(out, FALSE);
}

static gboolean
goes_as_it_is(const char *text)
{
	gsize column = 0;

	if (!g_str_is_ascii(text))
		return FALSE;
	for (const char *c = text; *c != '\0'; c++) {
		column = *c == '\n' ? 0 : column + 1;
		if (column > LINE_MAX_BYTES || (column == 1 && g_str_has_prefix(c, "From ")) ||
		    (*c < 0x20 && strchr("\r\n\t", *c) == NULL) || (*c == ' ' && c[1] == '\r'))
			return FALSE;
	}
	return TRUE;
}

static gboolean
append_text(GString *out, const char *type, const char *text, GError **error)
{
	g_autofree char *lines = with_crlf(text);
	struct string_sink to = { { string_write }, out };
	struct qp_encoder encoder;
	gboolean plain = goes_as_it_is(lines);

	g_string_append_printf(out, "Content-Type: %s; charset=%s\r\n", type,
			       g_str_is_ascii(lines) ? "us-ascii" : "utf-8");
	g_string_append_printf(out, "Content-Transfer-Encoding: %s\r\n\r\n",
			       plain ? "7bit" : "quoted-printable");
	if (plain) {
		g_string_append(out, lines);
		return TRUE;
	}
	qp_encoder_init(&encoder, &to.sink, FALSE);
	return sink_write(&encoder.sink, lines, strlen(lines), error) &&
	       qp_encoder_finish(&encoder, error);
}

static void
append_attachment(GString *out, const struct mail_attachment *attachment)
{
	gsize length;
	const guchar *bytes = g_bytes_get_data(attachment->content, &length);
	g_autofree char *encoded = g_base64_encode(bytes, length);
	gsize total = strlen(encoded);

	g_string_append_printf(out, "Content-Type: %s", attachment->type);
	mail_parameter(out, "name", attachment->name);
	g_string_append(out,
			"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment");
	mail_parameter(out, "filename", attachment->name);
	g_string_append(out, "\r\n\r\n");
	for (gsize at = 0; at < total; at += BASE64_LINE) {
		g_string_append_len(out, encoded + at, (gssize)MIN(BASE64_LINE, total - at));
		g_string_append(out, "\r\n");
	}
	wipe(encoded, total);
}

/* Text, or text and HTML as alternatives: a part with its header. */
static gboolean
append_words(GString *out, const struct mail *mail, GError **error)
{
	if (mail->html == NULL)
		return append_text(out, "text/plain", mail->text, error);
	g_autofree char *boundary = compose_boundary(error);
	if (boundary == NULL)
		return FALSE;
	g_string_append_printf(
	    out, "Content-Type: multipart/alternative;\r\n boundary=\"%s\"\r\n\r\n--%s\r\n",
	    boundary, boundary);
	if (!append_text(out, "text/plain", mail->text, error))
		return FALSE;
	g_string_append_printf(out, "--%s\r\n", boundary);
	if (!append_text(out, "text/html", mail->html, error))
		return FALSE;
	g_string_append_printf(out, "--%s--\r\n", boundary);
	return TRUE;
}

static gboolean
append_body(GString *out, const struct mail *mail, GError **error)
{
	if (mail->attachment_count == 0)
		return append_words(out, mail, error);
	g_autofree char *boundary = compose_boundary(error);
	if (boundary == NULL)
		return FALSE;
	g_string_append_printf(out,
			       "Content-Type: multipart/mixed;\r\n boundary=\"%s\"\r\n\r\n--%s\r\n",
			       boundary, boundary);
	if (!append_words(out, mail, error))
		return FALSE;
	for (guint i = 0; i < mail->attachment_count; i++) {
		g_string_append_printf(out, "--%s\r\n", boundary);
		append_attachment(out, &mail->attachments[i]);
	}
	g_string_append_printf(out, "--%s--\r\n", boundary);
	return TRUE;
}

/* As it may stand in a field and in a command: the domain in A-labels, so that an ASCII local part
 * needs no SMTPUTF8. */
static char *
wire_address(const char *text, GError **error)
{
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(text, error);

	if (address == NULL)
		return NULL;
	const char *written = mailaddr_text(address);
	const char *at = strrchr(written, '@');
	for (const char *c = written; *c != '\0'; c++)
		if ((guchar)*c < 0x20 || *c == 0x7f || *c == '<' || *c == '>')
			return fail(error, PS_ERROR_INVALID, "'%s' cannot be written to",
				    mailaddr_key(address));
	return g_strdup_printf("%.*s@%s", (int)(at - written), written, mailaddr_domain(address));
}

char *
mailer_address(const char *text, GError **error)
{
	return wire_address(text, error);
}

static gboolean
is_message_id(const char *id)
{
	gsize length = strlen(id);

	if (length < 3 || length > 990 || id[0] != '<' || id[length - 1] != '>')
		return FALSE;
	for (const char *c = id; *c != '\0'; c++)
		if (*c <= 0x20 || *c > 0x7e)
			return FALSE;
	return TRUE;
}

static void
append_header(GString *out, const struct mail *mail, const char *from, const char *to,
	      const char *id, gint64 now)
{
	g_autofree char *date = compose_date(now);

	compose_field(out, "Date", date);
	mail_field_address(out, "From", mail->from_name, from);
	mail_field_address(out, "To", NULL, to);
	mail_field_text(out, "Subject", mail->subject);
	compose_field(out, "Message-ID", id);
	if (mail->in_reply_to != NULL) {
		compose_field(out, "In-Reply-To", mail->in_reply_to);
		compose_field(out, "References", mail->in_reply_to);
	}
	compose_field(out, "Auto-Submitted",
		      mail->auto_submitted != NULL ? mail->auto_submitted : "auto-generated");
	g_string_append(out, "MIME-Version: 1.0\r\n");
}

gboolean
mail_compose(const struct mail *mail, const char *host, gint64 now, struct mail_composed *composed,
	     GError **error)
{
	g_autofree char *from = wire_address(mail->from, error);
	g_autofree char *to = from != NULL ? wire_address(mail->to, error) : NULL;
	g_autofree char *id = NULL;

	if (to == NULL)
		return FALSE;
	if (mail->attachment_count > MAIL_ATTACHMENTS_MAX)
		return fail_false(error, PS_ERROR_INVALID, "a mail has at most %d files",
				  MAIL_ATTACHMENTS_MAX);
	if ((mail->in_reply_to != NULL && !is_message_id(mail->in_reply_to)) ||
	    (mail->message_id != NULL && !is_message_id(mail->message_id)))
		return fail_false(error, PS_ERROR_INVALID, "that is no Message-ID");
	id = mail->message_id != NULL ? g_strdup(mail->message_id)
				      : compose_message_id(host, now, error);
	if (id == NULL)
		return FALSE;
	GString *out = g_string_new(NULL);
	append_header(out, mail, from, to, id, now);
	if (!append_body(out, mail, error)) {
		g_string_free(out, TRUE);
		return FALSE;
	}
	composed->bytes = g_string_free_to_bytes(out);
	composed->message_id = g_steal_pointer(&id);
	composed->utf8 = !g_str_is_ascii(from) || !g_str_is_ascii(to);
	return TRUE;
}

void
mail_composed_clear(struct mail_composed *composed)
{
	g_clear_pointer(&composed->bytes, g_bytes_unref);
	g_clear_pointer(&composed->message_id, g_free);
}
