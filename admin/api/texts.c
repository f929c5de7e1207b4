/*
 * texts - the nouns template and notify: what the gateway itself writes.
 */
#include "admin/api/change.h"
#include "admin/api/handlers.h"

#include <string.h>

#include "admin/mail/mailer.h"
#include "admin/mail/template.h"
#include "milter/gateway.h"
#include "store/base/error.h"
#include "store/base/mailaddr.h"
#include "store/config/settings.h"
#include "store/db/tx.h"
#include "store/templates.h"

static gboolean
is_set(const GPtrArray *rows, const char *name, const char *language, const char *part)
{
	for (guint i = 0; i < rows->len; i++) {
		const struct template_row *row = rows->pdata[i];

		if (strcmp(row->name, name) == 0 && strcmp(row->language, language) == 0 &&
		    strcmp(row->part, part) == 0)
			return TRUE;
	}
	return FALSE;
}

static void
add_row(json_t *items, const struct template_info *info, const char *language, const char *part,
	const char *source)
{
	json_array_append_new(items,
			      json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "template", info->name,
					"language", language, "part", part, "source", source,
					"values", info->values, "meaning", info->sentence));
}

json_t *
template_list(struct call *call, GError **error)
{
	g_autoptr(GPtrArray) rows = templates_load(call->gateway->db, NULL, error);
	json_t *items;

	if (rows == NULL)
		return NULL;
	items = json_array();
	for (const struct template_info *info = template_infos; info->name != NULL; info++)
		for (const char *const *language = template_languages; *language != NULL;
		     language++)
			for (guint p = 0; p < TEMPLATE_PARTS; p++) {
				const char *part = template_part_name((enum template_part)p);

				if (template_builtin(info->name, *language,
						     (enum template_part)p) != NULL &&
				    !is_set(rows, info->name, *language, part))
					add_row(items, info, *language, part, "built in");
			}
	for (guint i = 0; i < rows->len; i++) {
		const struct template_row *row = rows->pdata[i];
		const struct template_info *info = template_find(row->name, NULL);

		if (info != NULL)
			add_row(items, info, row->language, row->part, "set here");
	}
	return answer_list(items, NULL);
}

static const char *
language_of(const struct call *call)
{
	const char *language = call_text(call, "language");

	return language != NULL ? language : gateway_settings(call->gateway)->delivery_language;
}

json_t *
template_show(struct call *call, GError **error)
{
	const struct template_info *info = template_find(call_text(call, "template"), error);
	const char *language = language_of(call);
	enum template_part part = TEMPLATE_TEXT;
	const char *text = NULL;

	if (info == NULL || !template_language_check(language, error) ||
	    (call_text(call, "part") != NULL &&
	     !template_part_parse(call_text(call, "part"), &part, error)))
		return NULL;
	g_autoptr(GPtrArray) rows = templates_load(call->gateway->db, info->name, error);
	if (rows == NULL)
		return NULL;
	for (guint i = 0; i < rows->len; i++) {
		const struct template_row *row = rows->pdata[i];

		if (strcmp(row->language, language) == 0 &&
		    strcmp(row->part, template_part_name(part)) == 0)
			text = row->value;
	}
	if (text == NULL)
		text = template_builtin(info->name, language, part);
	if (text == NULL)
		return fail(error, PS_ERROR_NOT_FOUND, "template '%s' has no %s in '%s'",
			    info->name, template_part_name(part), language);
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
	g_autofree char *name =
	    g_strdup_printf("%s.%s.%s", info->name, language, template_part_name(part));
	return json_pack("{s:[o]}", "files", answer_file(name, bytes));
}

struct setting {
	const struct template_info *info;
	const char *language;
	enum template_part part;
	char *text;
};

static json_t *
set_template(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct setting *setting = data;
	const struct template_row row = {
		.name = (char *)setting->info->name,
		.language = (char *)setting->language,
		.part = (char *)template_part_name(setting->part),
		.value = setting->text,
	};

	if (!templates_set(tx, &row, error))
		return NULL;
	change->object = g_strdup_printf("%s %s %s", row.name, row.language, row.part);
	return json_pack("{s:s, s:s, s:s}", "template", row.name, "language", row.language, "part",
			 row.part);
}

json_t *
template_set(struct call *call, GError **error)
{
	struct setting setting = {
		.info = template_find(call_text(call, "template"), error),
		.language = call_text(call, "language"),
	};
	const char *name;

	if (setting.info == NULL || !template_language_check(setting.language, error) ||
	    !template_part_parse(call_text(call, "part"), &setting.part, error))
		return NULL;
	g_autoptr(GBytes) bytes = call_file(call, "file", 0, &name, error);
	if (bytes == NULL)
		return NULL;
	gsize length;
	const char *data = g_bytes_get_data(bytes, &length);
	if (memchr(data, '\0', length) != NULL)
		return fail(error, PS_ERROR_INVALID, "%s: a template is text", name);
	g_autofree char *text = g_strndup(data, length);
	/* A file ends with a line end, a subject does not. */
	if (setting.part == TEMPLATE_SUBJECT)
		g_strchomp(text);
	setting.text = text;
	if (!template_check(setting.info, setting.part, text, error)) {
		g_prefix_error(error, "%s: ", name);
		return NULL;
	}
	return change_run(call, set_template, &setting, error);
}

static json_t *
reset_template(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct template_info *info = data;
	const struct call *call = change->call;
	gint64 count;

	if (!templates_reset(tx, info->name, call_text(call, "language"), call_text(call, "part"),
			     &count, error))
		return NULL;
	if (count == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "nothing of template '%s' was set here",
			    info->name);
	change->object = g_strdup(info->name);
	return json_pack("{s:I}", "reset", (json_int_t)count);
}

json_t *
template_reset(struct call *call, GError **error)
{
	const struct template_info *info = template_find(call_text(call, "template"), error);
	enum template_part part;

	if (info == NULL || (call_text(call, "part") != NULL &&
			     !template_part_parse(call_text(call, "part"), &part, error)))
		return NULL;
	return change_run(call, reset_template, (gpointer)info, error);
}

/* --- notify test --- */

static json_t *
queue_test(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct mail *mail = data;
	gint64 id;

	if (!mailer_queue(change->call->gateway, tx, mail, &id, error))
		return NULL;
	change->object = g_strdup(mail->to);
	return json_pack("{s:I, s:s}", "delivery", (json_int_t)id, "see",
			 "postseal outbox show, for what became of it");
}

json_t *
notify_test(struct call *call, GError **error)
{
	CLEANUP(mailaddr) struct mailaddr *to = call_address(call, "to", error);

	if (to == NULL)
		return NULL;
	g_autofree char *text =
	    g_strdup_printf("This is a test of the mail gateway on %s: mail of its own arrives.\n",
			    g_get_host_name());
	const struct mail mail = {
		.to = mailaddr_text(to),
		.subject = "Test mail of the mail gateway",
		.text = text,
	};
	return change_run(call, queue_test, (gpointer)&mail, error);
}
