/*
 * scopes - where preferences and selections hang: the gateway, a domain, an address.
 *
 * A name is normalised: "" for global, "example.com" or "*.example.com" (A-labels), an address
 * key. Inheritance: address, address without +tag (internal only), exact domain, wildcard
 * domains from longest to shortest, global. Threads: any.
 */
#ifndef STORE_SCOPES_H
#define STORE_SCOPES_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/base/mailaddr.h"

struct db;
struct tx;

enum scope_kind { SCOPE_GLOBAL, SCOPE_DOMAIN, SCOPE_USER };

struct scope {
	enum scope_kind kind;
	char *name;
};

/* A normalised scope from what a person wrote; name is ignored for SCOPE_GLOBAL. */
struct scope *scope_parse(enum scope_kind kind, const char *name,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct scope *scope_new(enum scope_kind kind, const char *name); /* already normalised */
void scope_free(struct scope *scope);
/* "global", "domain *.x", "user bob@x". */
char *scope_text(const struct scope *scope);
char *scope_key(const struct scope *scope); /* "g", "d:*.x", "u:bob@x": the database's key */
struct scope *scope_from_key(const char *key);
/* The scopes of an address, nearest first, as struct scope *; untagged: its key without +tag or
   NULL. */
GPtrArray *scope_list(const char *address_key, const char *untagged_key);
/* "a@b" without the tag, or NULL when it has none or delimiter is 0. */
char *scope_untagged(const char *address_key, char delimiter);

/* Users and domains that an administrator made; setting a preference makes one too. */
struct scope_row {
	struct scope *scope;
	char *comment;
	gint64 created;
	gint64 preferences, selections; /* own ones */
};
gboolean scopes_add(struct tx *tx, const struct scope *scope, const char *comment, gboolean *is_new,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* With its preferences and selections. NOT_FOUND when absent. */
gboolean scopes_delete(struct tx *tx, const struct scope *scope,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* struct scope_row * of a kind in order of names after this one; filter: part of it, or NULL. */
GPtrArray *scopes_list(struct db *db, enum scope_kind kind, const char *filter, const char *after,
		       gint limit, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void scope_row_free(struct scope_row *row);

DEFINE_CLEANUP(scope, scope_free)
DEFINE_CLEANUP(scope_row, scope_row_free)

#endif
