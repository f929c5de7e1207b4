/*
 * answers - what was answered to a change, kept so that a repeated request is not done twice.
 *
 * Rows are kept under user and id for a day. While a change is being done its id is taken: a
 * repetition that comes too early is told to try again. Answers of an error that may pass
 * (PS_ERROR_TEMPORARY) are forgotten, so that the repetition is a new try.
 */
#ifndef ADMIN_API_ANSWERS_H
#define ADMIN_API_ANSWERS_H

#include "admin/api/dispatch.h"

enum answers_state { ANSWER_NEW, ANSWER_STORED, ANSWER_FAILED };

/* SHA-256 over operation and arguments without secrets; owned by the caller. */
char *answers_digest(const struct operation *operation, const json_t *arguments);
enum answers_state answers_find(struct gateway *gateway, gint64 uid, const char *id,
				const char *digest, struct dispatch_answer *answer,
				GError **error);
void answers_store(struct gateway *gateway, gint64 uid, const char *id, const char *digest,
		   const struct dispatch_answer *answer);

#endif
