/*
 * scopes - names of scopes, the order of inheritance, and their rows.
 */
#include "store/scopes.h"

#include <string.h>

#include "store/base/error.h"
#include "store/base/printable.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "store/preference_internal.h"

#define LIST_LIMIT 100
/* A domain has at most 127 labels; more wildcard scopes than that are nobody's. */
#define SCOPES_MAX 140

struct scope *
scope_new(enum scope_kind kind, const char *name)
{
	struct scope *scope = g_new0(struct scope, 1);

	scope->kind = kind;
	scope->name = g_strdup(kind == SCOPE_GLOBAL ? "" : name);
	return scope;
}

void
scope_free(struct scope *scope)
{
	if (scope == NULL)
		return;
	g_free(scope->name);
	g_free(scope);
}

struct scope *
scope_parse(enum scope_kind kind, const char *name, GError **error)
{
	g_autofree char *key = NULL;

	switch (kind) {
	case SCOPE_GLOBAL:
		return scope_new(SCOPE_GLOBAL, "");
	case SCOPE_USER: {
		CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(name, error);
		if (address == NULL)
			return NULL;
		return scope_new(SCOPE_USER, mailaddr_key(address));
	}
	case SCOPE_DOMAIN:
		break;
	}
	gboolean wildcard = g_str_has_prefix(name, "*.");
	const char *bare = wildcard ? name + 2 : name;
	key = mailaddr_domain_key(bare, error);
	if (key == NULL || strchr(key, '@') != NULL || strchr(key, '*') != NULL) {
		g_autofree char *shown = printable(name);
		g_clear_error(error);
		return fail(error, PS_ERROR_INVALID,
			    "'%s' is not a domain: write example.com, or *.example.com for what is"
			    " below it",
			    shown);
	}
	g_autofree char *full = g_strconcat(wildcard ? "*." : "", key, NULL);
	return scope_new(SCOPE_DOMAIN, full);
}

char *
scope_text(const struct scope *scope)
{
	switch (scope->kind) {
	case SCOPE_GLOBAL:
		return g_strdup("global");
	case SCOPE_DOMAIN:
		return g_strconcat("domain ", scope->name, NULL);
	case SCOPE_USER:
		return g_strconcat("user ", scope->name, NULL);
	}
	return g_strdup("");
}

char *
scope_key(const struct scope *scope)
{
	switch (scope->kind) {
	case SCOPE_GLOBAL:
		return g_strdup("g");
	case SCOPE_DOMAIN:
		return g_strconcat("d:", scope->name, NULL);
	case SCOPE_USER:
		return g_strconcat("u:", scope->name, NULL);
	}
	return g_strdup("");
}

struct scope *
scope_from_key(const char *key)
{
	if (g_str_has_prefix(key, "u:"))
		return scope_new(SCOPE_USER, key + 2);
	if (g_str_has_prefix(key, "d:"))
		return scope_new(SCOPE_DOMAIN, key + 2);
	return scope_new(SCOPE_GLOBAL, "");
}

char *
scope_untagged(const char *address_key, char delimiter)
{
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(address_key, NULL);

	if (address == NULL || delimiter == '\0')
		return NULL;
	return mailaddr_key_without_tag(address, delimiter);
}

GPtrArray *
scope_list(const char *address_key, const char *untagged_key)
{
	GPtrArray *scopes = g_ptr_array_new_with_free_func((GDestroyNotify)scope_free);
	const char *at = address_key != NULL ? strrchr(address_key, '@') : NULL;

	if (at != NULL) {
		g_ptr_array_add(scopes, scope_new(SCOPE_USER, address_key));
		if (untagged_key != NULL)
			g_ptr_array_add(scopes, scope_new(SCOPE_USER, untagged_key));
		g_ptr_array_add(scopes, scope_new(SCOPE_DOMAIN, at + 1));
		/* "*.b.c" covers a.b.c but not b.c itself: the first label is always cut. */
		for (const char *dot = strchr(at + 1, '.'); dot != NULL && scopes->len < SCOPES_MAX;
		     dot = strchr(dot + 1, '.')) {
			g_autofree char *wildcard = g_strconcat("*", dot, NULL);
			g_ptr_array_add(scopes, scope_new(SCOPE_DOMAIN, wildcard));
		}
	}
	g_ptr_array_add(scopes, scope_new(SCOPE_GLOBAL, ""));
	return scopes;
}

static const struct statement scopes_add_statement = {
	"scopes_add",
	"INSERT INTO scope (key, kind, name, comment) VALUES ($1, $2, $3, $4)"
	" ON CONFLICT (key) DO NOTHING",
};

static const char *
kind_name(enum scope_kind kind)
{
	return kind == SCOPE_USER ? "user" : kind == SCOPE_DOMAIN ? "domain" : "global";
}

gboolean
scopes_add(struct tx *tx, const struct scope *scope, const char *comment, gboolean *is_new,
	   GError **error)
{
	g_autofree char *key = scope_key(scope);
	struct params *params = params_new();

	params_text(params, key);
	params_text(params, kind_name(scope->kind));
	params_text(params, scope->name);
	params_text(params, comment);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &scopes_add_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (is_new != NULL)
		*is_new = rows_affected(rows) > 0;
	return TRUE;
}

static const struct statement scopes_delete_statement = {
	"scopes_delete",
	"DELETE FROM scope WHERE key = $1",
};

gboolean
scopes_delete(struct tx *tx, const struct scope *scope, GError **error)
{
	g_autofree char *key = scope_key(scope);
	g_autofree char *text = scope_text(scope);

	if (scope->kind == SCOPE_GLOBAL)
		return fail_false(error, PS_ERROR_INVALID, "the global scope cannot be deleted");
	if (!preferences_aliases_changed(tx, scope, error))
		return FALSE;
	struct params *params = params_new();
	params_text(params, key);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &scopes_delete_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_affected(rows) == 0)
		return fail_false(error, PS_ERROR_NOT_FOUND, "%s is not known", text);
	tx_changed(tx, CHANGE_PREFERENCE, key);
	tx_changed(tx, CHANGE_SELECTION, key);
	return TRUE;
}

static const struct statement scopes_list_statement = {
	"scopes_list",
	"SELECT s.key, s.comment, s.created,"
	" (SELECT count(*) FROM preference p WHERE p.scope = s.key),"
	" (SELECT count(*) FROM selection l WHERE l.scope = s.key)"
	" FROM scope s WHERE s.kind = $1 AND s.name > $2"
	" AND ($3::text IS NULL OR strpos(s.name, $3) > 0) ORDER BY s.name LIMIT $4",
};

GPtrArray *
scopes_list(struct db *db, enum scope_kind kind, const char *filter, const char *after, gint limit,
	    GError **error)
{
	if (kind == SCOPE_GLOBAL)
		return fail(error, PS_ERROR_INVALID, "there is one global scope, nothing to list");
	struct params *params = params_new();
	params_text(params, kind_name(kind));
	params_text(params, after != NULL ? after : "");
	params_text(params, filter);
	params_int(params, limit > 0 ? limit : LIST_LIMIT);
	CLEANUP(rows) struct rows *rows = db_query(db, &scopes_list_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)scope_row_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct scope_row *row = g_new0(struct scope_row, 1);
		row->scope = scope_from_key(rows_text(rows, r, 0));
		row->comment = g_strdup(rows_text(rows, r, 1));
		row->created = rows_time(rows, r, 2);
		row->preferences = rows_int(rows, r, 3);
		row->selections = rows_int(rows, r, 4);
		g_ptr_array_add(found, row);
	}
	return found;
}

void
scope_row_free(struct scope_row *row)
{
	if (row == NULL)
		return;
	scope_free(row->scope);
	g_free(row->comment);
	g_free(row);
}
