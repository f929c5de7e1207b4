/*
 * session - one SMTP connection and its transactions, as a state machine.
 *
 * It collects envelope, header and body of each message and hands the whole to its handler at end
 * of message. It knows struct mta and no milter library, so that tests drive it. Callbacks may
 * come in any order: what does not fit the state makes the transaction fail with 451 at its end,
 * never a message half seen. Nothing is answered before end of message.
 * Threads: one session is one thread at a time.
 */
#ifndef MILTER_SESSION_H
#define MILTER_SESSION_H

#include <glib.h>

#include "store/base/cleanup.h"

struct envelope;
struct headers;
struct mta;
struct spool;
struct session;

enum session_answer {
	SESSION_CONTINUE, /* go on; at end of message: deliver it */
	SESSION_DISCARD,  /* at end of message: accept it, and deliver it to nobody */
	SESSION_REPLY,    /* the reply given by set_reply */
	SESSION_TEMPFAIL, /* 451 without a text of ours */
};

/* One message as it arrived; owned by the session, valid during the handler's call. */
struct session_message {
	const struct envelope *envelope;
	struct headers *headers;
	struct spool *body;
	gint64 started_us;     /* clock_monotonic_us() of MAIL */
	const GError *failure; /* not NULL: it was not collected whole, and must get this reply */
};

struct session_handler {
	/* A spool for the next message's body, or NULL with *error. */
	struct spool *(*spool)(gpointer data, GError **error);
	/* Must give SESSION_CONTINUE only if the message may go out as it then is. */
	enum session_answer (*message)(gpointer data, const struct session_message *message,
				       struct mta *mta);
	/* Around each message, from MAIL to its answer or abort, so that a stop can wait for it;
	 * the ticket of one is given to the other. Both may be NULL. */
	guint (*begins)(gpointer data);
	void (*ends)(gpointer data, guint ticket);
	gpointer data;
};

/* handler and mta must outlive the session. client_address may be NULL. */
struct session *session_new(const struct session_handler *handler, struct mta *mta,
			    const char *client_name, const char *client_address);
void session_free(struct session *session); /* NULL is fine */

/* arguments: NULL-terminated; the first is the address, the others ESMTP parameters. */
void session_mail(struct session *session, const char *const *arguments);
void session_rcpt(struct session *session, const char *const *arguments);
void session_header(struct session *session, const char *name, const char *value);
void session_end_of_header(struct session *session);
void session_body(struct session *session, gconstpointer bytes, gsize length);
enum session_answer session_end_of_message(struct session *session);
void session_abort(struct session *session); /* this message; the connection goes on */

DEFINE_CLEANUP(session, session_free)

#endif
