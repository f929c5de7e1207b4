/*
 * Mail of the gateway itself: nothing in a value ends its field, and templates fill in what is
 * there.
 */
#include <glib.h>
#include <string.h>

#include "admin/mail/mail_header.h"
#include "admin/mail/mailer.h"
#include "admin/mail/template.h"
#include "milter/mime/encoded_word.h"
#include "store/base/error.h"

static const struct template_value values[] = {
	{ "name", "<b>Bob</b> & \"Co\"\r\nBcc: eve@x" },
	{ "email", "bob@x.example" },
	{ "by_sms", "" },
	{ "by_hand", "yes" },
	{ NULL, NULL },
};

static void
test_fill(void)
{
	static const struct {
		const char *what, *template;
		enum template_part part;
		const char *filled;
	} rows[] = {
		{ "text as it is", "to {{email}}.", TEMPLATE_TEXT, "to bob@x.example." },
		{ "HTML is escaped", "{{name}}", TEMPLATE_HTML,
		  "&lt;b&gt;Bob&lt;/b&gt; &amp; &quot;Co&quot;\r\nBcc: eve@x" },
		{ "a subject is one line", "S {{name}}", TEMPLATE_SUBJECT,
		  "S <b>Bob</b> & \"Co\"  Bcc: eve@x" },
		{ "what is empty has no section", "a{{#by_sms}}b{{email}}{{/by_sms}}c",
		  TEMPLATE_TEXT, "ac" },
		{ "what is not has", "a{{#by_hand}}b{{/by_hand}}c", TEMPLATE_TEXT, "abc" },
		{ "a value that is not there", "a{{weak}}b", TEMPLATE_TEXT, "ab" },
		{ "no placeholder", "a{b}{{ c}}{{", TEMPLATE_TEXT, "a{b}{{ c}}{{" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *filled = template_fill(rows[i].template, rows[i].part, values);

		g_test_message("%s", rows[i].what);
		g_assert_cmpstr(filled, ==, rows[i].filled);
	}
}

static void
test_check(void)
{
	static const struct {
		const char *what, *template, *says; /* NULL: good */
		enum template_part part;
	} rows[] = {
		{ "good", "{{name}} {{#weak}}{{email}}{{/weak}}", NULL, TEMPLATE_TEXT },
		{ "unknown", "{{nobody}}", "no value", TEMPLATE_TEXT },
		{ "blanks", "{{ name }}", "placeholder", TEMPLATE_TEXT },
		{ "open", "{{#weak}}", "no end", TEMPLATE_TEXT },
		{ "ends nothing", "{{/weak}}", "ends nothing", TEMPLATE_TEXT },
		{ "nested", "{{#weak}}{{#root}}", "nest", TEMPLATE_TEXT },
		{ "a subject of two lines", "a\nBcc: x", "one line", TEMPLATE_SUBJECT },
		{ "not UTF-8", "\xff", "UTF-8", TEMPLATE_TEXT },
	};
	const struct template_info *info = template_find("bundle", NULL);

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		gboolean good = template_check(info, rows[i].part, rows[i].template, &error);

		g_test_message("%s", rows[i].what);
		g_assert_cmpint(good, ==, rows[i].says == NULL);
		g_assert_true(good || strstr(error->message, rows[i].says) != NULL);
	}
	g_assert_null(template_find("bundel", NULL));
}

/* Every built-in text is one that a site may set, in each language. */
static void
test_builtin(void)
{
	for (const struct template_info *info = template_infos; info->name != NULL; info++)
		for (guint l = 0; template_languages[l] != NULL; l++)
			for (guint p = 0; p < TEMPLATE_PARTS; p++) {
				const char *text = template_builtin(
				    info->name, template_languages[l], (enum template_part)p);
				g_autoptr(GError) error = NULL;

				g_assert_true(text != NULL || p != TEMPLATE_TEXT);
				if (text != NULL)
					g_assert_true(template_check(info, (enum template_part)p,
								     text, &error));
				g_assert_no_error(error);
			}
}

/* No line but the first begins without a blank, and none is longer than 998. */
static void
assert_one_field(const char *field)
{
	g_auto(GStrv) lines = g_strsplit(field, "\r\n", -1);

	g_assert_true(g_str_has_suffix(field, "\r\n"));
	for (guint i = 0; lines[i] != NULL && lines[i + 1] != NULL; i++) {
		g_assert_true(i == 0 || lines[i][0] == ' ');
		g_assert_null(strpbrk(lines[i], "\r\n"));
		g_assert_cmpuint(strlen(lines[i]), <=, 998);
		g_assert_cmpuint(strlen(lines[i]), >, i > 0 ? 1 : 0);
	}
}

static void
test_fields(void)
{
	g_autofree char *many = g_strnfill(900, 'x');
	g_autofree char *wide = NULL;
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < 60; i++)
		g_string_append(text, "ü€𝄞 ");
	wide = g_strstrip(g_string_free(text, FALSE));
	const char *rows[] = { "plain", "Grüße", "a\nBcc: eve@x.example", "=?UTF-8?B?AAAA?=",
			       many,    wide,    "\x01\x7f\xc2\x85x",       "" };

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GString) out = g_string_new(NULL);
		g_autofree char *line = mail_one_line(rows[i]);

		mail_field_text(out, "Subject", rows[i]);
		assert_one_field(out->str);
		g_assert_true(g_str_is_ascii(out->str));
		g_auto(GStrv) folded = g_strsplit(out->str + strlen("Subject: "), "\r\n", -1);
		g_autofree char *value = g_strjoinv("", folded);
		g_autofree char *shown = encoded_words_decode(value);
		g_assert_cmpstr(g_strstrip(shown), ==, line);
		g_string_truncate(out, 0);
		mail_field_address(out, "From", rows[i], "ca@x.example");
		assert_one_field(out->str);
		g_string_truncate(out, 0);
		mail_parameter(out, "filename", rows[i]);
		g_string_append(out, "\r\n");
		g_assert_true(g_str_is_ascii(out->str));
		g_assert_null(strstr(out->str, "\r\nBcc"));
	}
}

static void
test_compose(void)
{
	static const struct {
		const char *what, *from, *to;
		gboolean good, utf8;
	} rows[] = {
		{ "plain", "ca@x.example", "bob@y.example", TRUE, FALSE },
		{ "a domain of other letters", "ca@x.example", "bob@bücher.example", TRUE, FALSE },
		{ "a local part of other letters", "ca@x.example", "jürgen@y.example", TRUE, TRUE },
		{ "a line end", "ca@x.example", "bob@y.example\r\nBcc: eve@x", FALSE, FALSE },
		{ "two", "ca@x.example", "bob@y.example, eve@x.example", FALSE, FALSE },
		{ "none", "ca@x.example", "", FALSE, FALSE },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct mail mail = { .from = rows[i].from,
				     .to = rows[i].to,
				     .subject = "s",
				     .text = "t\n.\nFrom x\n",
				     .html = "<p>ü</p>" };
		struct mail_composed composed = { 0 };
		g_autoptr(GError) error = NULL;

		g_test_message("%s", rows[i].what);
		g_assert_cmpint(mail_compose(&mail, "gw", 1800000000, &composed, &error), ==,
				rows[i].good);
		if (rows[i].good) {
			gsize length;
			const char *bytes = g_bytes_get_data(composed.bytes, &length);
			g_autofree char *text = g_strndup(bytes, length);

			g_assert_cmpint(composed.utf8, ==, rows[i].utf8);
			g_assert_nonnull(strstr(text, "\r\nAuto-Submitted: auto-generated\r\n"));
			g_assert_nonnull(strstr(text, "Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n"));
			g_assert_nonnull(strstr(text, "\r\n=46rom x\r\n"));
			g_assert_cmpint(rows[i].utf8 || g_str_is_ascii(text), ==, TRUE);
		}
		mail_composed_clear(&composed);
	}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/mail/fill", test_fill);
	g_test_add_func("/mail/check", test_check);
	g_test_add_func("/mail/builtin", test_builtin);
	g_test_add_func("/mail/fields", test_fields);
	g_test_add_func("/mail/compose", test_compose);
	return g_test_run();
}
