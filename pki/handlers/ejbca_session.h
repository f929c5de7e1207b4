/*
 * ejbca_session - one act at an EJBCA: logged in by certificate or OAuth 2.0, errors as it words
 * them, the CA and its chain, and the search for a certificate whose answer was lost.
 *
 * Tried against a fake of our own, written from public sources; not against the real service.
 * Functions with an answer leave in it what EJBCA says, and in *error what is wrong on our side.
 * Threads: a session belongs to one act.
 */
#ifndef PKI_HANDLERS_EJBCA_SESSION_H
#define PKI_HANDLERS_EJBCA_SESSION_H

#include "pki/handlers/lost.h"
#include "pki/handlers/session.h"

gboolean ejbca_uses_oauth(const struct handler_context *context);
/* As session_start(); end it with session_end(). */
gboolean ejbca_start(struct session *session, const struct handler_context *context,
		     struct handler_answer *answer, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What an answer means that is not the one hoped for, with the error of the peer. */
void ejbca_judge(const struct session *session, const struct http_answer *got, gboolean acts,
		 struct handler_answer *answer);

/* The subject of our CA, as the server has it; the caller's. NULL with answer or *error. */
char *ejbca_find_ca(struct session *session, struct handler_answer *answer,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The chain of our CA, struct cert; the caller's. NULL with answer or *error. */
GPtrArray *ejbca_download_chain(struct session *session, struct handler_answer *answer,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Is there a certificate for the request's key, of an enrolment whose outcome we never heard? */
enum lost_look ejbca_look(struct session *session, const struct request_row *request,
			  const char *username, struct handler_answer *answer, GError **error);

#endif
