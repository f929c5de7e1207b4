/*
 * process - end of message: facts, decision, groups, carried out, reported; or the reply.
 *
 * The one walk of every message. Whatever fails on it becomes a temporary reply, never plain
 * text: SESSION_CONTINUE is given only where the plan was carried out or asks for nothing.
 * No lock is held while keys are used or bytes are copied. Threads: any number, one message each.
 */
#ifndef MILTER_PROCESS_H
#define MILTER_PROCESS_H

#include "milter/session.h"

struct failures;
struct gateway;
struct harvest;
struct learning;
struct outbound;
struct report;
struct split;
struct spool_area;

struct process {
	struct gateway *gateway;
	struct outbound *outbound;
	struct report *report;
	struct harvest *harvest;   /* NULL: nothing is learned */
	struct split *split;       /* NULL: no copies are injected */
	struct learning *learning; /* likewise */
	struct failures *failures; /* NULL: failed decryptions are not counted */
};

/* area: for what is made of the message. */
enum session_answer process_message(const struct process *process, struct spool_area *area,
				    const struct session_message *message, struct mta *mta);

#endif
