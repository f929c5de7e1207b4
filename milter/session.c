/*
 * session - the states of a transaction; see session.h.
 */
#include "milter/session.h"

#include <string.h>

#include "milter/envelope.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "milter/mta.h"
#include "store/base/clock.h"
#include "store/base/error.h"

enum state {
	STATE_IDLE,     /* no message */
	STATE_ENVELOPE, /* after MAIL */
	STATE_HEADER,   /* after the first field */
	STATE_BODY,     /* after the end of the header */
};

struct session {
	const struct session_handler *handler;
	struct mta *mta;
	char *client_name;
	char *client_address;

	enum state state;
	struct envelope *envelope;
	struct headers *headers;
	struct spool *body;
	GError *failure; /* the first thing that went wrong with this message */
	gint64 started_us;
	guint ticket;
};

struct session *
session_new(const struct session_handler *handler, struct mta *mta, const char *client_name,
	    const char *client_address)
{
	struct session *session = g_new0(struct session, 1);

	session->handler = handler;
	session->mta = mta;
	session->client_name = g_strdup(client_name);
	session->client_address = g_strdup(client_address);
	return session;
}

static void
forget_message(struct session *session)
{
	if (session->state == STATE_IDLE)
		return;
	g_clear_pointer(&session->envelope, envelope_free);
	g_clear_pointer(&session->headers, headers_unref);
	g_clear_pointer(&session->body, spool_unref);
	g_clear_error(&session->failure);
	session->state = STATE_IDLE;
	if (session->handler->ends != NULL)
		session->handler->ends(session->handler->data, session->ticket);
}

void
session_free(struct session *session)
{
	if (session == NULL)
		return;
	forget_message(session);
	g_free(session->client_name);
	g_free(session->client_address);
	g_free(session);
}

/* Only the first failure counts: the others follow from it. */
static void
keep_failure(struct session *session, GError *error)
{
	if (session->failure == NULL)
		session->failure = error;
	else
		g_error_free(error);
}

static void
out_of_order(struct session *session, const char *what)
{
	keep_failure(session, g_error_new(PS_ERROR, PS_ERROR_TEMPORARY,
					  "the mail server sent %s out of order", what));
}

/* A message that begins in the middle is followed to its end, where it fails. */
static void
begin_message(struct session *session)
{
	GError *error = NULL;

	forget_message(session);
	session->state = STATE_ENVELOPE;
	session->started_us = clock_monotonic_us();
	session->envelope = envelope_new();
	session->envelope->client_name = g_strdup(session->client_name);
	session->envelope->client_address = g_strdup(session->client_address);
	session->headers = headers_new();
	if (session->handler->begins != NULL)
		session->ticket = session->handler->begins(session->handler->data);
	session->body = session->handler->spool(session->handler->data, &error);
	if (session->body == NULL)
		keep_failure(session, error);
}

static void
expect(struct session *session, enum state latest, const char *what)
{
	if (session->state == STATE_IDLE) {
		begin_message(session);
		out_of_order(session, what);
	} else if (session->state > latest) {
		out_of_order(session, what);
	}
}

/* "SIZE=500 BODY=8BITMIME" of the arguments after the first, or NULL. */
static char *
join_parameters(const char *const *arguments)
{
	if (arguments[0] == NULL || arguments[1] == NULL)
		return NULL;
	return g_strjoinv(" ", (char **)(arguments + 1));
}

static const char *
macro(struct session *session, const char *name)
{
	const char *value = session->mta->ops->macro(session->mta, name);

	return value != NULL && *value != '\0' ? value : NULL;
}

static void
learn_queue_id(struct session *session)
{
	const char *id = macro(session, "i");

	if (id == NULL)
		return;
	g_free(session->envelope->queue_id);
	session->envelope->queue_id = g_strdup(id);
}

void
session_mail(struct session *session, const char *const *arguments)
{
	g_autofree char *parameters = join_parameters(arguments);
	struct envelope *envelope;

	begin_message(session); /* one that was begun and not ended is forgotten */
	envelope = session->envelope;
	envelope_set_sender(envelope, arguments[0] != NULL ? arguments[0] : "", parameters);
	envelope->login = g_strdup(macro(session, "{auth_authen}"));
	envelope->daemon_name = g_strdup(macro(session, "{daemon_name}"));
	/* Told only here by servers that open the connection before they know the client. */
	if (envelope->client_address == NULL)
		envelope->client_address = g_strdup(macro(session, "{client_addr}"));
}

void
session_rcpt(struct session *session, const char *const *arguments)
{
	g_autofree char *parameters = join_parameters(arguments);

	expect(session, STATE_ENVELOPE, "RCPT");
	if (arguments[0] != NULL)
		envelope_add_recipient(session->envelope, arguments[0], parameters);
}

void
session_header(struct session *session, const char *name, const char *value)
{
	GError *error = NULL;

	expect(session, STATE_HEADER, "a header field");
	if (session->state == STATE_ENVELOPE)
		session->state = STATE_HEADER;
	if (session->failure == NULL &&
	    !headers_add(session->headers, name, value, strlen(value), &error))
		keep_failure(session, error);
}

void
session_end_of_header(struct session *session)
{
	expect(session, STATE_HEADER, "the end of the header");
	session->state = STATE_BODY;
}

void
session_body(struct session *session, gconstpointer bytes, gsize length)
{
	GError *error = NULL;

	expect(session, STATE_BODY, "a piece of the body");
	session->state = STATE_BODY;
	if (session->failure == NULL && !spool_append(session->body, bytes, length, &error))
		keep_failure(session, error);
}

enum session_answer
session_end_of_message(struct session *session)
{
	enum session_answer answer;
	struct session_message message;
	GError *error = NULL;

	expect(session, STATE_BODY, "the end of the message");
	if (session->envelope->recipients->len == 0)
		out_of_order(session, "a message without recipients");
	if (session->failure == NULL && !spool_seal(session->body, &error))
		keep_failure(session, error);
	learn_queue_id(session);
	message = (struct session_message){
		.envelope = session->envelope,
		.headers = session->headers,
		.body = session->body,
		.started_us = session->started_us,
		.failure = session->failure,
	};
	answer = session->handler->message(session->handler->data, &message, session->mta);
	/* A handler that lets a broken message through is wrong: never deliver one half seen. */
	if (session->failure != NULL && (answer == SESSION_CONTINUE || answer == SESSION_DISCARD))
		answer = SESSION_TEMPFAIL;
	forget_message(session);
	return answer;
}

void
session_abort(struct session *session)
{
	forget_message(session);
}
