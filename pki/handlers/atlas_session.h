/*
 * atlas_session - one act at GlobalSign Atlas (HVCA REST v2): mutual TLS, log-in by key and secret,
 * errors as it words them.
 *
 * Tried against a fake of our own, written from public sources; not against the real service.
 * Threads: a session belongs to one act.
 */
#ifndef PKI_HANDLERS_ATLAS_SESSION_H
#define PKI_HANDLERS_ATLAS_SESSION_H

#include "pki/handlers/session.h"

#define ATLAS_BODY_TYPE "application/json;charset=utf-8" /* the charset is required */

struct atlas {
	struct session session;
	GStrv headers; /* those that are configured */
};

gboolean atlas_start(struct atlas *atlas, const struct handler_context *context,
		     struct handler_answer *answer, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* As session_end(). */
gboolean atlas_end(struct atlas *atlas, GError **why, GError **error);
/* GET, POST ... with a JSON body or none; busy (429, 503) says when to come again. */
struct http_answer *atlas_say(struct atlas *atlas, const char *method, const char *path,
			      const json_t *body, gboolean acts, struct handler_answer *answer,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What a status means that is not the one hoped for, with the description of the peer. */
void atlas_judge(const struct atlas *atlas, const struct http_answer *got, gboolean acts,
		 struct handler_answer *answer);
/* A document of a GET that is kept for a day; json_decref it. NULL with answer or *error. */
json_t *atlas_document(struct atlas *atlas, const char *path, struct handler_answer *answer,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Log in anew, read anew: something may have been changed there. */
void atlas_forget(const struct handler_context *context);
/* Waits, but not when the program stops (FALSE). */
gboolean atlas_wait(const struct handler_context *context, gint64 seconds);

#endif
