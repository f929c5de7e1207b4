/*
 * split_report - filling in the report of a split message, for split.c alone.
 *
 * Threads: that of the message.
 */
#ifndef MILTER_SPLIT_REPORT_H
#define MILTER_SPLIT_REPORT_H

#include "milter/policy/facts.h"
#include "milter/split.h"
#include "pki/net/smtp_reply.h"

void split_report_init(struct split_report *report); /* SPLIT_DEFER, until it is known better */
/* A copy went out under this queue id. */
void split_report_note(struct split_report *report, const char *queue_id);
void split_report_detail(struct split_report *report, const char *detail); /* NULL: none */
void split_report_refuse(struct split_report *report, guint recipient,
			 const struct smtp_reply *answer);
/* What the MTA calls a message that it has taken: "4XyZ" of "250 2.0.0 Ok: queued as 4XyZ" and of
 * "250 2.0.0 4XyZ Message accepted for delivery". */
char *split_report_queue_id(const struct smtp_reply *answer);
/* The server's 5xx as the answer for a message; nothing of it for who is not trusted. */
struct reply *split_report_reply(const struct smtp_reply *answer, const char *address,
				 enum origin origin);

#endif
