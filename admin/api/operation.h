/*
 * operation - what can be asked of the gateway: the table of operations.def.
 *
 * One row is one operation; HTTP routes, the command line, manual pages and completion come
 * from it. The table holds no code: handlers are bound to rows in admin/api/handlers.c, so that
 * the client and the generators link none of the daemon.
 */
#ifndef ADMIN_API_OPERATION_H
#define ADMIN_API_OPERATION_H

#include <glib.h>

enum role {
	ROLE_NOBODY,
	ROLE_VIEW,    /* look */
	ROLE_OPERATE, /* change what is no secret */
	ROLE_KEYS,    /* private keys, secrets, CA keys, the database */
};

enum operation_method {
	METHOD_READ,   /* GET, arguments in the query */
	METHOD_ASK,    /* POST, changes nothing that a repetition would double; not remembered */
	METHOD_CHANGE, /* POST with an id: a repeated request gets the stored answer */
	METHOD_FILE,   /* done by the client alone: no route */
};

enum operation_place {
	PLACE_DAEMON, /* by the daemon */
	PLACE_LOCAL,  /* by root also without the daemon: in postseald --operation */
	PLACE_CLIENT, /* by the client alone */
};

enum argument_type {
	ARGUMENT_TEXT,
	ARGUMENT_FLAG,
	ARGUMENT_INT,
	ARGUMENT_TIME,     /* RFC 3339 or a date; travels as text */
	ARGUMENT_CHOICE,   /* one of the words of `meta`, split at | */
	ARGUMENT_LIST,     /* repeatable text */
	ARGUMENT_FILE,     /* a path; the content travels */
	ARGUMENT_FILES,    /* paths and folders; contents travel */
	ARGUMENT_PASSWORD, /* terminal, --NAME-file or --NAME-fd; never on the command line */
	ARGUMENT_PATH,     /* a path that stays with the client or postseald --operation */
	ARGUMENT_PATHS,    /* the same, repeatable */
};

enum argument_place {
	ARGUMENT_OPTION,
	ARGUMENT_POSITION,
	ARGUMENT_REST, /* the last position, repeatable */
};

struct argument {
	const char *name; /* NULL ends the list */
	enum argument_place place;
	enum argument_type type;
	gboolean required;
	const char *meta; /* what stands for the value in help */
	const char *help; /* one sentence without full stop */
};

struct operation {
	const char *noun; /* "" for a command without noun: status, doctor, … */
	const char *verb;
	enum operation_method method;
	enum role role;
	enum operation_place place;
	const char *columns; /* of a list, in order, split at blanks; "" shows one document */
	const char *summary;
	const char *details; /* for the manual; may be "" */
	const struct argument *arguments;
};

enum operation_id {
#define OPERATION(id, ...) OPERATION_##id,
#include "admin/api/operations.def"
#undef OPERATION
	OPERATION_COUNT
};

const struct operation *operation_at(enum operation_id id);
enum operation_id operation_id_of(const struct operation *operation);
/* NULL when there is none; noun "" for commands without noun. */
const struct operation *operation_find(const char *noun, const char *verb);
gboolean operation_has_noun(const char *noun);
/* Does a verb of two words begin with this one: "claim" of "claim-add"? */
gboolean operation_has_half(const char *noun, const char *word);
const struct argument *operation_argument(const struct operation *operation, const char *name);
/* "cert list" or "status"; owned by the caller. */
char *operation_name(const struct operation *operation);
/* What was meant by a word that is no noun, verb or option; NULL when nothing is near. */
const char *operation_nearest_noun(const char *word);
const char *operation_nearest_verb(const char *noun, const char *word);
const char *operation_nearest_option(const struct operation *operation, const char *word);

const char *role_name(enum role role);

#endif
