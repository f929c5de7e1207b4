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

struct gateway;
struct report;

/* The `message` of a session_handler, with its surroundings. */
enum session_answer process_message(struct gateway *gateway, struct report *report,
				    const struct session_message *message, struct mta *mta);

#endif
