/*
 * arguments - are the arguments of a call those of its row?
 *
 * Pure. An argument that the row does not have is refused with the nearest name; so are wrong
 * types, words outside a choice, and the absence of what is required.
 */
#ifndef ADMIN_API_ARGUMENTS_H
#define ADMIN_API_ARGUMENTS_H

#include <jansson.h>

#include "admin/api/operation.h"

/* From whom they come: over the socket nobody may name a path of this host. */
enum arguments_source { ARGUMENTS_FROM_SOCKET, ARGUMENTS_FROM_ROOT };

gboolean arguments_check(const struct operation *operation, const json_t *arguments,
			 enum arguments_source source, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* name -> GPtrArray of texts, as a query or a command line has them, into an object of the
 * row's types. New reference, or NULL with *error. */
json_t *arguments_from_texts(const struct operation *operation, GHashTable *texts,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A copy without contents and passwords: for digests and logs. New reference. */
json_t *arguments_without_secrets(const struct operation *operation, const json_t *arguments);
gboolean argument_in_choice(const struct argument *argument, const char *word);

#endif
