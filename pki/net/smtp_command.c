/*
 * smtp_command - MAIL and RCPT with their parameters; see smtp.h.
 */
#include "pki/net/smtp_internal.h"

#include <string.h>

#include "store/base/error.h"

#define COMMAND_MAX_BYTES 2000 /* Postfix cuts lines at 2,048 */

/* Nothing in it may end the command or begin another parameter: an address ends with its only
 * bracket outside of quotes, a value holds neither blank nor "=". */
static gboolean
is_clean(const char *text, gboolean address, gboolean utf8)
{
	gboolean quoted = FALSE;
	gsize length = strlen(text);

	if (address && (length < 2 || text[0] != '<' || text[length - 1] != '>'))
		return FALSE;
	for (gsize i = 0; i < length; i++) {
		guchar c = (guchar)text[i];

		if (c < 32 || c == 127 || (c > 127 && !utf8) ||
		    (!address && (c == ' ' || c == '=')) ||
		    (address && !quoted && (c == ' ' || (c == '>' && i + 1 < length))))
			return FALSE;
		if (address && c == '\\' && quoted && i + 2 < length)
			i++;
		else if (c == '"')
			quoted = !quoted;
	}
	return !(address && quoted) && g_utf8_validate(text, -1, NULL);
}

static gboolean
add_value(GString *out, const char *name, const char *value, gboolean utf8, GError **error)
{
	if (value == NULL)
		return TRUE;
	if (!is_clean(value, FALSE, utf8))
		return fail_false(error, PS_ERROR_INVALID, "%s: the value is none", name);
	g_string_append_printf(out, " %s=%s", name, value);
	return TRUE;
}

static gboolean
add_address(GString *out, const char *verb, const char *address, gboolean utf8, GError **error)
{
	if (!is_clean(address, TRUE, utf8))
		return fail_false(error, PS_ERROR_INVALID, "%s: the address is none", verb);
	g_string_append_printf(out, "%s:%s", verb, address);
	return TRUE;
}

static gboolean
add_mail(GString *out, const struct smtp_envelope *envelope, guint extensions, GError **error)
{
	gboolean dsn = (extensions & SMTP_DSN) != 0;

	if (!add_address(out, "MAIL FROM", envelope->sender, envelope->utf8, error))
		return FALSE;
	if (envelope->size > 0 && (extensions & SMTP_SIZE) != 0)
		g_string_append_printf(out, " SIZE=%" G_GUINT64_FORMAT, envelope->size);
	g_string_append(out, envelope->eight_bit ? " BODY=8BITMIME" : "");
	g_string_append(out, envelope->utf8 ? " SMTPUTF8" : "");
	return !dsn || (add_value(out, "RET", envelope->ret, FALSE, error) &&
			add_value(out, "ENVID", envelope->envid, FALSE, error));
}

static gboolean
add_rcpt(GString *out, const struct smtp_recipient *recipient, gboolean utf8, guint extensions,
	 GError **error)
{
	gboolean dsn = (extensions & SMTP_DSN) != 0;

	if (!add_address(out, "RCPT TO", recipient->address, utf8, error))
		return FALSE;
	return !dsn || (add_value(out, "NOTIFY", recipient->notify, FALSE, error) &&
			add_value(out, "ORCPT", recipient->orcpt, utf8, error));
}

gboolean
smtp_command(GString *out, const struct smtp_envelope *envelope, guint number, guint extensions,
	     GError **error)
{
	gsize start = out->len;

	if (number == 0 ? !add_mail(out, envelope, extensions, error)
			: !add_rcpt(out, &envelope->recipients[number - 1], envelope->utf8,
				    extensions, error))
		return FALSE;
	if (out->len - start > COMMAND_MAX_BYTES)
		return fail_false(error, PS_ERROR_INVALID, "an address is too long for SMTP");
	g_string_append(out, "\r\n");
	return TRUE;
}

gboolean
smtp_can_take(const struct smtp_envelope *envelope, guint extensions, const char *server,
	      GError **error)
{
	const char *lacks = envelope->eight_bit && (extensions & SMTP_8BITMIME) == 0 ? "8BITMIME"
			    : envelope->utf8 && (extensions & SMTP_UTF8) == 0        ? "SMTPUTF8"
			    : envelope->dsn && (extensions & SMTP_DSN) == 0          ? "DSN"
										     : NULL;

	return lacks == NULL || fail_false(error, PS_ERROR_INVALID,
					   "the mail server at %s does not offer %s, which a "
					   "message needs",
					   server, lacks);
}
