/*
 * sms_fill - templates of a request: what stands for {{name}}, and how it is escaped.
 */
#include <string.h>

#include "pki/sms_internal.h"
#include "store/base/error.h"

#define FILLED_MAX_BYTES 32768 /* what is made grows in no other memory */

static const char *const names[] = { "number", "digits", "text", "user", "from", "secret", NULL };

/* {{name}} at text: what follows it; NULL: none begins here. */
static const char *
read_mark(const char *text, const char **name)
{
	if (!g_str_has_prefix(text, "{{"))
		return NULL;
	for (guint i = 0; names[i] != NULL; i++) {
		gsize length = strlen(names[i]);

		if (strncmp(text + 2, names[i], length) == 0 &&
		    g_str_has_prefix(text + 2 + length, "}}")) {
			*name = names[i];
			return text + length + 4;
		}
	}
	return NULL;
}

gboolean
sms_template_check(const char *key, const char *template, GError **error)
{
	const char *name;

	for (const char *at = strstr(template, "{{"); at != NULL; at = strstr(at, "{{")) {
		at = read_mark(at, &name);
		if (at == NULL)
			return fail_false(error, PS_ERROR_INVALID,
					  "no SMS can be sent: '%s' of its settings has a "
					  "placeholder that there is not: {{number}}, {{digits}}, "
					  "{{text}}, {{user}}, {{from}}, {{secret}}",
					  key);
	}
	return TRUE;
}

enum sms_escape
sms_escape_of(const char *content_type)
{
	g_autofree char *type = g_ascii_strdown(content_type, -1);

	if (strstr(type, "json") != NULL)
		return SMS_ESCAPE_JSON;
	if (strstr(type, "x-www-form-urlencoded") != NULL)
		return SMS_ESCAPE_URL;
	return strstr(type, "xml") != NULL ? SMS_ESCAPE_XML : SMS_ESCAPE_NONE;
}

static void
append_escaped(GString *out, guchar c, enum sms_escape escape)
{
	static const char hex[] = "0123456789ABCDEF";
	const char *entity = c == '<'    ? "&lt;"
			     : c == '>'  ? "&gt;"
			     : c == '&'  ? "&amp;"
			     : c == '"'  ? "&quot;"
			     : c == '\'' ? "&#39;"
					 : NULL;

	if (escape == SMS_ESCAPE_URL && !g_ascii_isalnum(c) && strchr("-._~", c) == NULL) {
		g_string_append_c(out, '%');
		g_string_append_c(out, hex[c >> 4]);
		g_string_append_c(out, hex[c & 15]);
	} else if (escape == SMS_ESCAPE_JSON && c < 0x20) {
		g_string_append(out, "\\u00");
		g_string_append_c(out, hex[c >> 4]);
		g_string_append_c(out, hex[c & 15]);
	} else if (escape == SMS_ESCAPE_JSON && (c == '"' || c == '\\')) {
		g_string_append_c(out, '\\');
		g_string_append_c(out, (char)c);
	} else if (escape == SMS_ESCAPE_XML && entity != NULL) {
		g_string_append(out, entity);
	} else {
		g_string_append_c(out, (char)c);
	}
}

static const char *
value_of(const struct sms *sms, const char *name)
{
	if (strcmp(name, "text") == 0)
		return secret_text(sms->text);
	if (strcmp(name, "number") == 0)
		return sms->number;
	if (strcmp(name, "digits") == 0)
		return sms->number + (*sms->number == '+');
	if (strcmp(name, "secret") == 0) {
		const struct secret *secret = handler_config_secret(sms->config, "secret");

		return secret != NULL ? secret_text(secret) : "";
	}
	return handler_config_text(sms->config, name);
}

struct secret *
sms_fill(const struct sms *sms, const char *template, enum sms_escape escape, GError **error)
{
	GString *out = g_string_sized_new(FILLED_MAX_BYTES + 16);
	struct secret *filled = NULL;
	gboolean good = TRUE;
	const char *name;

	while (*template != '\0' && out->len < FILLED_MAX_BYTES) {
		const char *behind = read_mark(template, &name);

		if (behind == NULL) {
			g_string_append_c(out, *template ++);
			continue;
		}
		for (const char *c = value_of(sms, name); *c != '\0' && out->len < FILLED_MAX_BYTES;
		     c++) {
			good &= escape != SMS_ESCAPE_HEADER ||
				((guchar)*c >= 0x20 && (guchar)*c < 0x7f);
			append_escaped(out, (guchar)*c, escape);
		}
		template = behind;
	}
	if (!good)
		(void)fail(error, PS_ERROR_INVALID, "a value cannot stand in a header field");
	else if (out->len >= FILLED_MAX_BYTES)
		(void)fail(error, PS_ERROR_INVALID, "what is to be sent is too long");
	else
		filled = secret_new_text(out->str);
	wipe(out->str, out->allocated_len);
	g_string_free(out, TRUE);
	return filled;
}
