/*
 * preference_sets - the nouns user, domain and global: preferences with inheritance.
 */
#include "admin/api/change.h"
#include "admin/api/handlers.h"
#include "admin/api/paging.h"
#include "admin/api/scope_argument.h"

#include <string.h>

#include "milter/gateway.h"
#include "store/base/error.h"
#include "store/db/tx.h"
#include "store/preferences.h"
#include "store/presets.h"

/* --- lists --- */

json_t *
preference_list_scopes(struct call *call, GError **error)
{
	enum scope_kind kind =
	    strcmp(call->operation->noun, "user") == 0 ? SCOPE_USER : SCOPE_DOMAIN;
	struct page page = { 0 };
	g_autoptr(GPtrArray) rows = NULL;
	const char *last = NULL;
	json_t *items;

	if (page_limit_of(call, &page, error))
		rows = scopes_list(call->gateway->db, kind, call_text(call, "text"),
				   call_text(call, "after"), page.limit, error);
	if (rows == NULL)
		return NULL;
	items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct scope_row *row = g_ptr_array_index(rows, i);

		last = row->scope->name;
		json_array_append_new(items, json_pack("{s:o, s:I, s:I, s:o, s:o}", "name",
						       answer_text(row->scope->name), "preferences",
						       (json_int_t)row->preferences, "selections",
						       (json_int_t)row->selections, "comment",
						       answer_text(row->comment), "created",
						       answer_time(row->created)));
	}
	return answer_list(items, rows->len >= (guint)page.limit ? last : NULL);
}

json_t *
preference_list_all(struct call *call, GError **error)
{
	const char *text = call_text(call, "text");
	json_t *items = json_array();

	(void)error;
	for (enum preference p = 0; p < PREF_COUNT; p++) {
		g_auto(GStrv) values = preference_values(p);
		g_autofree char *joined = g_strjoinv(" | ", values);

		if (text != NULL && strstr(preference_name(p), text) == NULL &&
		    strstr(preference_sentence(p), text) == NULL)
			continue;
		json_array_append_new(items, json_pack("{s:s, s:s, s:s, s:s}", "preference",
						       preference_name(p), "default",
						       preference_default(p), "values", joined,
						       "meaning", preference_sentence(p)));
	}
	return answer_list(items, NULL);
}

/* --- show --- */

static json_t *
show_own(struct call *call, const struct scope *scope, GError **error)
{
	g_autoptr(GPtrArray) rows = preferences_own(call->gateway->db, scope, error);
	g_autofree char *text = scope_text(scope);
	json_t *items;

	if (rows == NULL)
		return NULL;
	items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct preference_row *row = g_ptr_array_index(rows, i);

		json_array_append_new(items, json_pack("{s:s, s:o, s:s, s:o}", "preference",
						       preference_name(row->preference), "value",
						       answer_text(row->value), "scope", text,
						       "changed", answer_time(row->changed)));
	}
	return answer_list(items, NULL);
}

json_t *
preference_show(struct call *call, GError **error)
{
	CLEANUP(scope) struct scope *scope = scope_of_noun(call, error);
	CLEANUP(preference_set) struct preference_set *set = NULL;
	json_t *items;

	if (scope == NULL)
		return NULL;
	if (call_flag(call, "own"))
		return show_own(call, scope, error);
	g_autofree char *address = scope_address(scope);
	set = preferences_resolve(call->gateway->preferences, address, error);
	if (set == NULL)
		return NULL;
	items = json_array();
	for (enum preference p = 0; p < PREF_COUNT; p++)
		json_array_append_new(items,
				      json_pack("{s:s, s:o, s:o}", "preference", preference_name(p),
						"value", answer_text(preference_text(set, p)),
						"scope", answer_text(preference_scope(set, p))));
	return answer_list(items, NULL);
}

/* --- set, unset --- */

struct setting {
	struct scope *scope;
	enum preference preference;
	char *value;
};

static json_t *
setting_answer(const struct setting *setting)
{
	g_autofree char *scope = scope_text(setting->scope);

	return json_pack("{s:s, s:o, s:o}", "preference", preference_name(setting->preference),
			 "value", answer_text(setting->value), "scope", answer_text(scope));
}

static json_t *
set_value(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct setting *setting = data;

	if (!preferences_set(tx, setting->scope, setting->preference, setting->value, error))
		return NULL;
	change->object = scope_text(setting->scope);
	change->detail =
	    g_strdup_printf("%s = %s", preference_name(setting->preference), setting->value);
	return setting_answer(setting);
}

static gboolean
scope_is_allowed(enum preference preference, const struct scope *scope, GError **error)
{
	static const guint bits[] = {
		[SCOPE_GLOBAL] = IN_GLOBAL, [SCOPE_DOMAIN] = IN_DOMAIN, [SCOPE_USER] = IN_USER
	};
	static const char *const names[] = {
		[SCOPE_GLOBAL] = "global", [SCOPE_DOMAIN] = "a domain", [SCOPE_USER] = "a user"
	};

	if ((preference_scopes(preference) & bits[scope->kind]) != 0)
		return TRUE;
	return fail_false(error, PS_ERROR_INVALID, "%s cannot be set for %s",
			  preference_name(preference), names[scope->kind]);
}

/* Secrets do not come by this way: their values would stand on a command line. */
static gboolean
setting_of(struct call *call, struct setting *setting, GError **error)
{
	setting->scope = scope_of_noun(call, error);
	if (setting->scope == NULL ||
	    !preference_find(call_text(call, "preference"), &setting->preference, error) ||
	    !scope_is_allowed(setting->preference, setting->scope, error)) {
		error_to_usage(error);
		return FALSE;
	}
	if (preference_type(setting->preference) == PREF_SECRET)
		return fail_false(error, PS_ERROR_INVALID, "%s is set by the gateway itself",
				  preference_name(setting->preference));
	/* Passwords go there: who sets it chooses who gets them. */
	if (setting->preference == PREF_TELEPHONE && call->role < ROLE_KEYS)
		return fail_false(error, PS_ERROR_DENIED,
				  "telephone needs the role 'keys': passwords are sent there");
	return TRUE;
}

json_t *
preference_set_value(struct call *call, GError **error)
{
	struct setting setting = { 0 };
	json_t *answer = NULL;

	if (setting_of(call, &setting, error))
		setting.value =
		    preference_normalise(setting.preference, call_text(call, "value"), error);
	if (setting.value == NULL)
		error_to_usage(error);
	else
		answer = change_run(call, set_value, &setting, error);
	scope_free(setting.scope);
	g_free(setting.value);
	return answer;
}

static json_t *
unset_value(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct setting *setting = data;

	if (!preferences_unset(tx, setting->scope, setting->preference, error))
		return NULL;
	change->object = scope_text(setting->scope);
	change->detail = g_strdup_printf("%s unset", preference_name(setting->preference));
	return setting_answer(setting);
}

json_t *
preference_unset_value(struct call *call, GError **error)
{
	struct setting setting = { 0 };
	json_t *answer = NULL;

	if (setting_of(call, &setting, error))
		answer = change_run(call, unset_value, &setting, error);
	scope_free(setting.scope);
	return answer;
}

/* --- presets --- */

struct presetting {
	struct scope *scope;
	const struct preset *preset;
};

static json_t *
apply_preset(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct presetting *presetting = data;
	const struct preset *preset = presetting->preset;
	json_t *items;

	if (!preset_apply(tx, presetting->scope, preset, error))
		return NULL;
	change->object = scope_text(presetting->scope);
	change->detail = g_strdup_printf("preset %s", preset->name);
	items = json_array();
	for (gsize i = 0; i < preset->n; i++)
		json_array_append_new(items,
				      json_pack("{s:s, s:s}", "preference",
						preference_name(preset->entries[i].preference),
						"value", preset->entries[i].value));
	return answer_list(items, NULL);
}

json_t *
preference_preset(struct call *call, GError **error)
{
	CLEANUP(scope) struct scope *scope = scope_of_noun(call, error);
	struct presetting presetting = { .scope = scope };

	if (scope == NULL)
		return NULL;
	presetting.preset = preset_find(call_text(call, "preset"), error);
	if (presetting.preset == NULL)
		return NULL;
	return change_run(call, apply_preset, &presetting, error);
}

/* --- add, delete --- */

static json_t *
add_scope(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct scope *scope = data;
	gboolean is_new;

	if (!scopes_add(tx, scope, call_text(change->call, "comment"), &is_new, error))
		return NULL;
	change->object = scope_text(scope);
	return json_pack("{s:o, s:b}", "name", answer_text(scope->name), "new", is_new);
}

json_t *
preference_add_scope(struct call *call, GError **error)
{
	CLEANUP(scope) struct scope *scope = scope_of_noun(call, error);

	return scope != NULL ? change_run(call, add_scope, scope, error) : NULL;
}

static json_t *
delete_scope(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct scope *scope = data;

	if (!scopes_delete(tx, scope, error))
		return NULL;
	change->object = scope_text(scope);
	return json_pack("{s:o}", "deleted", answer_text(scope->name));
}

json_t *
preference_delete_scope(struct call *call, GError **error)
{
	CLEANUP(scope) struct scope *scope = scope_of_noun(call, error);
	json_t *answer = NULL;

	if (scope == NULL)
		return NULL;
	if (!call_is_sure(call, &answer, "preferences and selections of %s will be gone",
			  scope->name))
		return answer;
	return change_run(call, delete_scope, scope, error);
}
