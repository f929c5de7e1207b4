/*
 * milter_client - the MTA's side of the milter protocol (version 6), blocking.
 *
 * Drives a filter without an MTA: for test programs, scripts (milter_send) and the bench. One
 * client is one connection of an MTA to the filter, one SMTP session at a time, any number of
 * messages. Modifications are applied as Postfix does: at once, each header edit on what the
 * edits before it left. Steps that the filter asked not to answer are sent without waiting.
 * Threads: one at a time.
 */
#ifndef TESTS_SUPPORT_MILTER_CLIENT_H
#define TESTS_SUPPORT_MILTER_CLIENT_H

#include <glib.h>

#include "store/base/cleanup.h"

struct milter_client;

struct milter_client_options {
	guint timeout_seconds; /* 0: 60 */
	guint32 actions;       /* 0: all that Postfix offers */
	guint32 steps;         /* 0: all that Postfix offers; a bit that is off is not offered */
	gboolean discard_body; /* count the bytes of a replaced body, do not keep them */
};

/* socket: "unix:/path", "/path", "inet:port@host", "host:port". options may be NULL. Negotiates. */
struct milter_client *milter_client_open(const char *socket,
					 const struct milter_client_options *options,
					 GError **error) G_GNUC_WARN_UNUSED_RESULT;
void milter_client_close(struct milter_client *client);            /* quits; NULL is fine */
guint32 milter_client_steps(const struct milter_client *client);   /* as agreed */
guint32 milter_client_actions(const struct milter_client *client); /* as agreed */

/* Macros of a stage ('C' connect, 'H' helo, 'M' mail, 'R' rcpt, 'T' data, 'N' end of header,
 * 'E' end of message), sent with it each time from now on; NULL value takes it away. Names with
 * more than one letter in braces: "{auth_authen}". */
void milter_client_macro(struct milter_client *client, char stage, const char *name,
			 const char *value);

/* What the filter said: 'c' go on, 'a' accept, 'r' reject, 't' temporary, 'd' discard, 'y' its own
 * reply (text), 's' skip the rest of the body. */
struct milter_reply {
	char code;
	char *text; /* of 'y': "550 5.7.1 no"; else NULL */
};

/* Step by step, for tests of the protocol itself. FALSE when the connection broke. */
gboolean milter_client_connect(struct milter_client *client, const char *host, const char *address,
			       guint16 port, struct milter_reply *reply, GError **error);
gboolean milter_client_helo(struct milter_client *client, const char *name,
			    struct milter_reply *reply, GError **error);
/* Arguments: the address as SMTP has it ("<a@example.com>"), then ESMTP parameters; NULL ends. */
gboolean milter_client_mail(struct milter_client *client, const char *const *args,
			    struct milter_reply *reply, GError **error);
gboolean milter_client_rcpt(struct milter_client *client, const char *const *args,
			    struct milter_reply *reply, GError **error);
gboolean milter_client_data(struct milter_client *client, struct milter_reply *reply,
			    GError **error);
gboolean milter_client_abort(struct milter_client *client, GError **error);
/* A new SMTP session on the same connection (SMFIC_QUIT_NC). */
gboolean milter_client_reset(struct milter_client *client, GError **error);

struct milter_header {
	char *name;
	char *value; /* with its leading blank, folds as LF */
};

struct milter_result {
	struct milter_reply reply; /* of the step that ended the message, else of its end */
	char step;                 /* the stage that gave it */
	GPtrArray *headers;        /* struct milter_header *, after the edits */
	GByteArray *body;          /* as replaced, else as sent */
	gboolean body_replaced;
	guint64 replaced_bytes;
	guint header_edits;
	GPtrArray *removed; /* char *: recipients taken away, as the filter wrote them */
	GPtrArray *added;   /* char *: recipients added */
	char *from;         /* changed envelope sender with parameters, or NULL */
	char *quarantine;   /* reason, or NULL */
	guint progress;
};

/* From the header on to the end of message (data included), MAIL and RCPT done before. message
 * is a whole mail, with LF or CRLF. The result's headers and body start as those sent. A result
 * is initialised by this, and cleared by the caller unless FALSE came back. */
gboolean milter_client_message(struct milter_client *client, gconstpointer message, gsize length,
			       struct milter_result *result, GError **error);
/* MAIL with <from>, RCPT with each <to>, then the message. A recipient that is refused ends it. */
gboolean milter_client_send(struct milter_client *client, const char *from, const char *const *to,
			    gconstpointer message, gsize length, struct milter_result *result,
			    GError **error);

/* For the bench, which drives many connections at once: the packets of one whole message, when
 * the filter answers to its end alone (else NULL), and the descriptor to send them to. */
GByteArray *milter_client_pack(struct milter_client *client, const char *from,
			       const char *const *to, gconstpointer message, gsize length);
int milter_client_fd(const struct milter_client *client);
gboolean milter_client_flush(struct milter_client *client, GError **error);

void milter_reply_clear(struct milter_reply *reply);
void milter_result_init(struct milter_result *result);
void milter_result_clear(struct milter_result *result);
/* The message as the MTA would go on with it; CRLF. Owned by the caller. */
GByteArray *milter_result_message(const struct milter_result *result);

#endif
