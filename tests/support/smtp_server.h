/*
 * smtp_server - a mail server for tests that answers as its script says, and keeps what it took.
 *
 * It listens on 127.0.0.1, or on a unix socket, with a thread a connection. Where the script says
 * nothing it answers as a good server would.
 */
#ifndef TESTS_SUPPORT_SMTP_SERVER_H
#define TESTS_SUPPORT_SMTP_SERVER_H

#include <glib.h>

enum smtp_stage {
	SMTP_AT_CONNECT,
	SMTP_AT_EHLO,
	SMTP_AT_MAIL,
	SMTP_AT_RCPT,
	SMTP_AT_RSET,
	SMTP_AT_DATA,
	SMTP_AT_CONTENT, /* after its first bytes; only SMTP_CUT and SMTP_SILENT */
	SMTP_AT_END,     /* of the message */
	SMTP_STAGES
};

enum smtp_act {
	SMTP_ANSWER,     /* with `answer`, verbatim */
	SMTP_ANSWER_CUT, /* the same, then close */
	SMTP_CUT,        /* close without an answer; a message is not taken */
	SMTP_TAKE_CUT,   /* at the end of a message: take it, then close without an answer */
	SMTP_SILENT,     /* never answer; the connection stays */
	SMTP_SLOW,       /* the usual answer, a byte every 10 ms */
};

struct smtp_step {
	enum smtp_stage stage;
	guint nth;        /* only this one, from 1, counted since the script was set; 0: each */
	const char *with; /* the command line holds this text; NULL: any */
	enum smtp_act act;
	const char *answer;
};

/* A transaction whose content came whole. */
struct smtp_taken {
	char *mail;       /* "FROM:<a@b> SIZE=..." */
	GPtrArray *rcpt;  /* of char *, those answered 2xx: "TO:<b@c> ..." */
	GString *content; /* without the dots that were stuffed */
};

struct smtp_server;

/* path: of a unix socket; NULL: a free port. */
struct smtp_server *smtp_server_start(const char *path);
void smtp_server_stop(struct smtp_server *server);
const char *smtp_server_address(const struct smtp_server *server); /* "127.0.0.1:1234" */
/* Lines of EHLO's answer, LF between; NULL: PIPELINING, SIZE 10000000, 8BITMIME, SMTPUTF8, DSN. */
void smtp_server_offer(struct smtp_server *server, const char *extensions);
/* Ends with a step whose stage is SMTP_STAGES. Borrowed. NULL: none. Forgets what was counted and
 * taken. */
void smtp_server_script(struct smtp_server *server, const struct smtp_step *steps);
/* Called at each stage, before it is answered. */
void smtp_server_hook(struct smtp_server *server,
		      void (*hook)(gpointer data, enum smtp_stage stage, guint nth), gpointer data);
guint smtp_server_count(struct smtp_server *server, enum smtp_stage stage);
/* Of struct smtp_taken *; the server's, stable while no client is connected. */
GPtrArray *smtp_server_taken(struct smtp_server *server);
/* How many messages that were taken this recipient got. */
guint smtp_server_copies(struct smtp_server *server, const char *address);

#endif
