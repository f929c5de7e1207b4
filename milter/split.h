/*
 * split - hands the copies of a message that cannot stay in place to the reinjection listener
 * (decisions 0052, 0053), before the message itself is answered.
 *
 * First sizes and recipients of all copies are tried on the listener (MAIL, RCPT ..., RSET); only
 * then, copy by copy: claimed in the ledger, sent, completed in the ledger. So a message that is
 * tried again after a 451 does not repeat a copy that is known to have gone out. A copy gets a
 * Received field of ours above, and with reinject_marker the marker.
 * Everything ends within reinject_timeout; mta->progress is called every 20 s, at a silent peer
 * too. Threads: any number, one message each. No lock is held while waiting.
 */
#ifndef MILTER_SPLIT_H
#define MILTER_SPLIT_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/base/reason.h"

struct edits;
struct gateway;
struct group;
struct mta;
struct notice;
struct reply;
struct ruling;
struct session_message;
struct settings;
struct split;
struct spool_area;

struct split_copy {
	const struct group *group; /* members: whose copy it is */
	struct edits *edits;       /* what makes this copy out of the message */
	gboolean decrypted;        /* RET=HDRS: no bounce may return its text */
};

struct split_request {
	const struct session_message *message;
	GPtrArray *copies; /* of struct split_copy *: only those to inject */
	const struct ruling *ruling;
	struct mta *mta;
	struct spool_area *area;
};

enum split_outcome {
	SPLIT_DONE,  /* every recipient of these copies has his, or is refused or served */
	SPLIT_REPLY, /* nothing went out, and this is the answer for the message */
	SPLIT_DEFER, /* 451 by `reason`; what went out is known */
};

struct split_refused {
	guint recipient; /* index in the envelope */
	char *answer;    /* "550 5.1.1 text", printable */
	char status[12]; /* "5.1.1" */
};

struct split_report {
	enum split_outcome outcome;
	enum reason reason;  /* with SPLIT_REPLY, SPLIT_DEFER */
	struct reply *reply; /* with SPLIT_REPLY */
	GArray *refused; /* of struct split_refused: answered 5xx after something had gone out */
	/* of guint: recipients outside of these copies who had theirs in an earlier try of the
	 * message: they must be taken out of the envelope. */
	GArray *served;
	guint injected;  /* recipients whose copy went out now */
	guint skipped;   /* whose copy had gone out in an earlier try */
	guint repeated;  /* injected though an earlier try may have done so: RFC 1047's window */
	char *queue_ids; /* the server's names of what went out, a blank between; or NULL */
	char *detail;    /* why it was not done, for the log; or NULL */
};

/* reinject_address and reinject_networks; INVALID names the setting. */
gboolean split_settings_check(const struct settings *settings,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct split *split_new(struct gateway *gateway);
void split_free(struct split *split); /* NULL is fine */

/* FALSE with *error means SPLIT_DEFER too. Zero the report before, clear it afterwards. */
gboolean split_send(struct split *split, const struct split_request *request,
		    struct split_report *report, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void split_report_clear(struct split_report *report);

/* For a message of one copy: recipients who had theirs in an earlier try (when the message had
 * several) are appended to *served (of guint). Costs one look-up, and none with one recipient and
 * an empty ledger. */
gboolean split_served(struct split *split, const struct split_request *request, GArray *served,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Just before a message is accepted for which split_send or split_notify did something, or
 * split_served found somebody: what the ledger holds of it goes. FALSE: defer instead. */
gboolean split_accepted(struct split *split, const struct split_request *request,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Sends a notice (RFC 3464) with the null sender; once for a message, however often it is tried.
 * FALSE: defer. */
gboolean split_notify(struct split *split, const struct split_request *request,
		      const struct notice *notice, GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(split, split_free)

#endif
