/*
 * smtp - hands messages to the one mail server of this host that was configured (RFC 5321).
 *
 * Loopback addresses ("127.0.0.1:10026", "[::1]:10026") and unix sockets ("unix:/path") alone: the
 * text goes unencrypted. One connection, used for any number of messages one after the other;
 * MAIL and RCPT go out together where the server takes that (RFC 2920). Message bytes are streamed:
 * bare LF becomes CRLF, and every line that begins with a dot gets another, so that nothing in a
 * message can end it. A message that is broken off is cut with the connection: the server never
 * sees its end.
 * Failure: FALSE with *error means that the connection is of no use any more: TEMPORARY; INVALID
 * for what the server cannot do and the message needs, and for addresses that are none. What the
 * server answers is no failure but a reply. No error holds a line of a message.
 * Time: everything ends at deadline_us, whatever the peer does. Threads: one at a time.
 */
#ifndef PKI_NET_SMTP_H
#define PKI_NET_SMTP_H

#include "pki/net/smtp_reply.h"
#include "store/base/sink.h"

#define SMTP_RECIPIENTS_MAX 100 /* of one transaction: what every server takes (4.5.3.1.8) */

enum smtp_extension {
	SMTP_PIPELINING = 1 << 0, /* RFC 2920 */
	SMTP_SIZE = 1 << 1,       /* RFC 1870 */
	SMTP_8BITMIME = 1 << 2,   /* RFC 6152 */
	SMTP_UTF8 = 1 << 3,       /* RFC 6531 */
	SMTP_DSN = 1 << 4,        /* RFC 3461 */
};

struct smtp_options {
	const char *address;
	const char *name;   /* ours, for EHLO */
	gint64 deadline_us; /* clock_monotonic_us() */
	/* Called about every second while waiting; FALSE gives up. May be NULL. */
	gboolean (*waiting)(gpointer data);
	gpointer waiting_data;
};

struct smtp_recipient {
	const char *address; /* "<bob@partner.example>" */
	const char *notify;  /* "NEVER", "SUCCESS,FAILURE", or NULL */
	const char *orcpt;   /* "rfc822;bob@partner.example" as it came (xtext), or NULL */
};

struct smtp_envelope {
	const char *sender; /* "<alice@corp.example>", "<>" */
	guint64 size;       /* of the message, with CRLF and without further dots; 0: not said */
	gboolean eight_bit; /* it holds bytes above 127: BODY=8BITMIME */
	gboolean utf8;      /* addresses or header fields need SMTPUTF8 */
	gboolean dsn;       /* ret must be heard: INVALID where the server knows no DSN. Else what
			     * it does not know is left out. */
	const char *ret;    /* "HDRS", "FULL" or NULL */
	const char *envid;  /* xtext, or NULL */
	const struct smtp_recipient *recipients;
	guint count; /* 1 to SMTP_RECIPIENTS_MAX */
};

struct smtp;

/* What smtp_open connects to. INVALID: not of this form, or not on this host. */
gboolean smtp_address_check(const char *address, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Connected and greeted. */
struct smtp *smtp_open(const struct smtp_options *options,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
guint smtp_extensions(const struct smtp *smtp); /* of enum smtp_extension */
guint64 smtp_size_max(const struct smtp *smtp); /* the server's limit; 0: none said */

/* MAIL and all RCPT. Where *sender is not 250 the replies to RCPT mean nothing. All must be zeroed
 * or cleared before; replies has envelope->count of them. */
gboolean smtp_begin(struct smtp *smtp, const struct smtp_envelope *envelope,
		    struct smtp_reply *sender, struct smtp_reply *replies,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The transaction that was begun ends without a message. */
gboolean smtp_reset(struct smtp *smtp, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* DATA and what `message` writes. *reply is the answer to it, or to DATA where that was not 354.
 * After a failure smtp_end_sent says whether the end of the message may have arrived: then nobody
 * knows whether it was taken. */
gboolean smtp_data(struct smtp *smtp,
		   gboolean (*message)(gpointer data, struct sink *to, GError **error),
		   gpointer data, struct smtp_reply *reply,
		   GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean smtp_end_sent(const struct smtp *smtp);
void smtp_close(struct smtp *smtp); /* QUIT, without waiting for its answer; NULL is fine */

#define smtp_free smtp_close
DEFINE_CLEANUP(smtp, smtp_close)

#endif
