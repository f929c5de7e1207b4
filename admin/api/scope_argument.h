/*
 * scope_argument - for whom: an address, a domain or everybody, from what a person wrote.
 */
#ifndef ADMIN_API_SCOPE_ARGUMENT_H
#define ADMIN_API_SCOPE_ARGUMENT_H

#include "admin/api/call.h"
#include "store/scopes.h"

/* By the noun of the operation (user, domain, global) and its argument "name". */
struct scope *scope_of_noun(const struct call *call, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* "global", an address (with @), else a domain. */
struct scope *scope_of_text(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The address whose preferences are those of the scope: for a domain one that nobody has. Owned
 * by the caller; NULL for the global scope. */
char *scope_address(const struct scope *scope);

#endif
