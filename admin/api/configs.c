/*
 * configs - config check and show: the settings file.
 */
#include "admin/api/handlers.h"

#include <string.h>

#include "milter/gateway.h"
#include "store/base/error.h"
#include "store/config/settings.h"

static const char *
path_in_use(const struct call *call)
{
	return call->config_path != NULL ? call->config_path : SETTINGS_FILE;
}

json_t *
config_check(struct call *call, GError **error)
{
	const char *path =
	    call_text(call, "file") != NULL ? call_text(call, "file") : path_in_use(call);
	CLEANUP(settings) struct settings *settings = settings_load(path, error);
	json_t *answer;

	if (settings == NULL)
		return NULL;
	answer = json_pack("{s:o, s:s}", "file", answer_text(path), "result", "ok");
	if (call->gateway != NULL && call_text(call, "file") == NULL) {
		g_auto(GStrv) names =
		    settings_restart_needed(gateway_settings(call->gateway), settings);
		g_autofree char *list = g_strjoinv(" ", names);

		if (*list != '\0')
			json_object_set_new(answer, "need_a_restart", answer_text(list));
	}
	return answer;
}

/* A password in a connection string is nobody's business. */
static char *
shown_value(const char *name, char *value)
{
	if (!g_str_has_prefix(name, "database") ||
	    (strstr(value, "password") == NULL && strstr(value, "://") == NULL))
		return value;
	g_autoptr(GRegex) words = g_regex_new("password\\s*=\\s*('[^']*'|\\S+)", 0, 0, NULL);
	g_autoptr(GRegex) url = g_regex_new("://([^:/@]*):[^@]*@", 0, 0, NULL);
	g_autofree char *once = g_regex_replace(words, value, -1, 0, "password=…", 0, NULL);
	char *twice = g_regex_replace(url, once, -1, 0, "://\\1:…@", 0, NULL);

	g_free(value);
	return twice;
}

json_t *
config_show(struct call *call, GError **error)
{
	const char *text = call_text(call, "text");
	CLEANUP(settings) struct settings *loaded = NULL;
	const struct settings *settings;
	gsize count;
	const struct setting_row *rows = setting_rows(&count);
	json_t *items;

	if (call->gateway != NULL) {
		settings = gateway_settings(call->gateway);
	} else {
		loaded = settings_load(path_in_use(call), error);
		settings = loaded;
	}
	if (settings == NULL)
		return NULL;
	items = json_array();
	for (gsize i = 0; i < count; i++) {
		g_autofree char *value =
		    shown_value(rows[i].name, settings_get(settings, rows[i].name));

		if (text != NULL && strstr(rows[i].name, text) == NULL &&
		    strstr(rows[i].sentence, text) == NULL)
			continue;
		json_array_append_new(items,
				      json_pack("{s:s, s:o, s:s, s:s}", "name", rows[i].name,
						"value", answer_text(value), "default",
						rows[i].initial, "meaning", rows[i].sentence));
	}
	return answer_list(items, NULL);
}
