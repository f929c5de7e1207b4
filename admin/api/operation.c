/*
 * operation - the table of operations.def, and finding rows in it.
 */
#include "admin/api/operation.h"

#include <string.h>

#include "store/base/nearest.h"

#define OPTION(name, type, meta, help)                                                             \
	{                                                                                          \
		name, ARGUMENT_OPTION, ARGUMENT_##type, FALSE, meta, help                          \
	}
#define OPTION_REQUIRED(name, type, meta, help)                                                    \
	{                                                                                          \
		name, ARGUMENT_OPTION, ARGUMENT_##type, TRUE, meta, help                           \
	}
#define POSITION(name, type, meta, help)                                                           \
	{                                                                                          \
		name, ARGUMENT_POSITION, ARGUMENT_##type, TRUE, meta, help                         \
	}
#define POSITION_OPTIONAL(name, type, meta, help)                                                  \
	{                                                                                          \
		name, ARGUMENT_POSITION, ARGUMENT_##type, FALSE, meta, help                        \
	}
#define REST(name, type, meta, help)                                                               \
	{                                                                                          \
		name, ARGUMENT_REST, ARGUMENT_##type, TRUE, meta, help                             \
	}
#define REST_OPTIONAL(name, type, meta, help)                                                      \
	{                                                                                          \
		name, ARGUMENT_REST, ARGUMENT_##type, FALSE, meta, help                            \
	}
#define NO_ARGUMENTS                                                                               \
	{                                                                                          \
		NULL, ARGUMENT_OPTION, ARGUMENT_TEXT, FALSE, NULL, NULL                            \
	}

#define OPERATION(id, noun, verb, method, role, place, handler, columns, summary, details, ...)    \
	static const struct argument arguments_##id[] = { __VA_ARGS__, NO_ARGUMENTS };
#include "admin/api/operations.def"
#undef OPERATION

static const struct operation operations[] = {
#define OPERATION(id, noun, verb, method, role, place, handler, columns, summary, details, ...)    \
	{ noun,    verb,    METHOD_##method, ROLE_##role,   PLACE_##place,                         \
	  columns, summary, details,         arguments_##id },
#include "admin/api/operations.def"
#undef OPERATION
};

const struct operation *
operation_at(enum operation_id id)
{
	return &operations[id];
}

enum operation_id
operation_id_of(const struct operation *operation)
{
	return (enum operation_id)(operation - operations);
}

const struct operation *
operation_find(const char *noun, const char *verb)
{
	for (gsize i = 0; i < G_N_ELEMENTS(operations); i++)
		if (strcmp(operations[i].noun, noun) == 0 && strcmp(operations[i].verb, verb) == 0)
			return &operations[i];
	return NULL;
}

gboolean
operation_has_noun(const char *noun)
{
	for (gsize i = 0; i < G_N_ELEMENTS(operations); i++)
		if (*noun != '\0' && strcmp(operations[i].noun, noun) == 0)
			return TRUE;
	return FALSE;
}

gboolean
operation_has_half(const char *noun, const char *word)
{
	gsize length = strlen(word);

	for (gsize i = 0; i < G_N_ELEMENTS(operations); i++)
		if (strcmp(operations[i].noun, noun) == 0 &&
		    strncmp(operations[i].verb, word, length) == 0 &&
		    operations[i].verb[length] == '-')
			return TRUE;
	return FALSE;
}

const struct argument *
operation_argument(const struct operation *operation, const char *name)
{
	for (const struct argument *a = operation->arguments; a->name != NULL; a++)
		if (strcmp(a->name, name) == 0)
			return a;
	return NULL;
}

char *
operation_name(const struct operation *operation)
{
	if (*operation->noun == '\0')
		return g_strdup(operation->verb);
	return g_strconcat(operation->noun, " ", operation->verb, NULL);
}

/* Commands without noun stand where a noun does. */
const char *
operation_nearest_noun(const char *word)
{
	struct nearest nearest = nearest_start(word);

	for (gsize i = 0; i < G_N_ELEMENTS(operations); i++)
		nearest_offer(&nearest, *operations[i].noun != '\0' ? operations[i].noun
								    : operations[i].verb);
	return nearest_found(&nearest);
}

const char *
operation_nearest_verb(const char *noun, const char *word)
{
	struct nearest nearest = nearest_start(word);

	for (gsize i = 0; i < G_N_ELEMENTS(operations); i++)
		if (strcmp(operations[i].noun, noun) == 0)
			nearest_offer(&nearest, operations[i].verb);
	return nearest_found(&nearest);
}

const char *
operation_nearest_option(const struct operation *operation, const char *word)
{
	struct nearest nearest = nearest_start(word);

	for (const struct argument *a = operation->arguments; a->name != NULL; a++)
		if (a->place == ARGUMENT_OPTION)
			nearest_offer(&nearest, a->name);
	nearest_offer(&nearest, "json");
	nearest_offer(&nearest, "csv");
	nearest_offer(&nearest, "help");
	return nearest_found(&nearest);
}

const char *
role_name(enum role role)
{
	switch (role) {
	case ROLE_VIEW:
		return "view";
	case ROLE_OPERATE:
		return "operate";
	case ROLE_KEYS:
		return "keys";
	case ROLE_NOBODY:
		break;
	}
	return "nobody";
}
