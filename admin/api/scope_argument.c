/*
 * scope_argument - scopes from arguments.
 */
#include "admin/api/scope_argument.h"

#include <string.h>

#include "store/base/error.h"

/* A local part that nobody has. */
#define NOBODY "*"

struct scope *
scope_of_noun(const struct call *call, GError **error)
{
	const char *noun = call->operation->noun;

	if (strcmp(noun, "global") == 0)
		return scope_parse(SCOPE_GLOBAL, "", error);
	return scope_parse(strcmp(noun, "user") == 0 ? SCOPE_USER : SCOPE_DOMAIN,
			   call_text(call, "name"), error);
}

struct scope *
scope_of_text(const char *text, GError **error)
{
	if (strcmp(text, "global") == 0)
		return scope_parse(SCOPE_GLOBAL, "", error);
	return scope_parse(strchr(text, '@') != NULL ? SCOPE_USER : SCOPE_DOMAIN, text, error);
}

char *
scope_address(const struct scope *scope)
{
	switch (scope->kind) {
	case SCOPE_USER:
		return g_strdup(scope->name);
	case SCOPE_DOMAIN:
		/* Of *.example.com something below speaks for all that is below. */
		if (g_str_has_prefix(scope->name, "*."))
			return g_strconcat(NOBODY "@_", scope->name + 1, NULL);
		return g_strconcat(NOBODY "@", scope->name, NULL);
	case SCOPE_GLOBAL:
		break;
	}
	return NULL;
}
