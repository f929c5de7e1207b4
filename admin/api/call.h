/*
 * call - one call of an operation: who asks, with which arguments; and what a handler is.
 *
 * A handler answers with a JSON document (new reference) or NULL with *error set. Its arguments
 * have been checked against the table: types are right and required ones are there.
 * Lists answer {"items": [{…}, …], "next": TEXT or absent}. Files travel as
 * {"name": TEXT, "content": base64}. A handler that changes something writes its audit row in
 * the transaction of the act (call->actor).
 */
#ifndef ADMIN_API_CALL_H
#define ADMIN_API_CALL_H

#include <jansson.h>

#include "admin/api/operation.h"
#include "store/base/mailaddr.h"
#include "store/base/secret.h"

struct gateway;

struct call {
	const struct operation *operation;
	struct gateway *gateway; /* NULL where an operation runs before there is one (setup) */
	const char *config_path; /* the settings file of this program */
	const char *actor;       /* "alice (uid 1000)" */
	gint64 actor_uid;
	enum role role;
	json_t *arguments;  /* an object, checked */
	const char *id;     /* of a change over the socket, else NULL */
	const char *digest; /* of what is asked, with id */
	int exit_status;    /* 0; 1 for a negative verdict beside a good answer */
};

typedef json_t *(*operation_handler)(struct call *call, GError **error);

/* The handler of a row; never NULL. */
operation_handler handler_of(enum operation_id id);

const char *call_text(const struct call *call, const char *name); /* NULL when absent */
gboolean call_flag(const struct call *call, const char *name);
gint64 call_int(const struct call *call, const char *name, gint64 otherwise);
gboolean call_time(const struct call *call, const char *name, gint64 *seconds); /* FALSE: absent */
GStrv call_list(const struct call *call, const char *name); /* never NULL; g_strfreev */
struct secret *call_password(const struct call *call, const char *name); /* NULL when absent */
struct mailaddr *call_address(const struct call *call, const char *name,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Files of an argument. */
gsize call_file_count(const struct call *call, const char *name);
/* The content; *name_out is the call's. NULL with *error when it is not base64. */
GBytes *call_file(const struct call *call, const char *name, gsize index, const char **name_out,
		  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* "Are you sure": FALSE unless --yes was given; then *answer asks back, and is what to return. */
gboolean call_is_sure(struct call *call, json_t **answer, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* Pieces of answers. Foreign text is made printable where people see it, not here. */
json_t *answer_list(json_t *items, const char *next_or_null);
json_t *answer_file(const char *name, GBytes *content);
json_t *answer_time(gint64 seconds); /* RFC 3339, or null for CLOCK_NEVER */
json_t *answer_text(const char *text_or_null);
json_t *answer_texts(const char *const *texts_or_null); /* NULL: an empty list */

#endif
