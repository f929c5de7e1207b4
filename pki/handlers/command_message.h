/*
 * command_message - the documents that the handler `command` and a site's program exchange.
 *
 * Version 1, described in postseal-handlers(7): one JSON object on standard input, one on standard
 * output. Pure. Threads: any.
 */
#ifndef PKI_HANDLERS_COMMAND_MESSAGE_H
#define PKI_HANDLERS_COMMAND_MESSAGE_H

#include "pki/handlers/handler.h"

#define COMMAND_OUTPUT_MAX_BYTES (1024 * 1024)

/* Wiped when the last reference goes; the secret setting is in it. request or revocation may be
 * NULL. */
GBytes *command_question(const char *action, const struct handler_context *context,
			 const struct request_row *request,
			 const struct handler_revocation *revocation,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* INVALID: not what the protocol allows. */
gboolean command_answer_read(GBytes *output, gint64 now, struct handler_answer *answer,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
