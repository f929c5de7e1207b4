/*
 * acme_mail - the challenge mail of an ACME server (RFC 8823 section 3.1), recognised on its way.
 *
 * A message is one when its Subject is "ACME:" and a token, it goes to one recipient, and an order
 * waits for that mailbox. It counts when From is who the order expects, To is the mailbox, and a
 * DKIM signature of From's domain covers all that matters: then it is written down, once, and is to
 * be accepted and delivered to nobody; the daemon answers it. Whatever does not fit is a message
 * like any other. Only DKIM vouches; a signature with S/MIME is not looked at.
 * Other messages cost the look at one field. Threads: any.
 */
#ifndef MILTER_ACME_MAIL_H
#define MILTER_ACME_MAIL_H

#include <glib.h>

struct gateway;
struct session_message;

enum acme_mail {
	ACME_MAIL_NOT,     /* like any other; *why, if set, is worth a line in the log */
	ACME_MAIL_TAKEN,   /* committed: accept it, deliver it to nobody */
	ACME_MAIL_EARLY,   /* the order does not know its challenge yet: again in a while */
	ACME_MAIL_UNKNOWN, /* database or name server cannot be asked: again in a while */
};

/* *why: what speaks against it, static text or NULL. */
enum acme_mail acme_mail_look(struct gateway *gateway, const struct session_message *message,
			      const char **why);

#endif
