/*
 * reason - every outcome of a message has a name; one table (reasons.def).
 *
 * Log, audit, metric, explain, SMTP text and manual take name and sentence from here.
 * A test fails for a reason that no test produced.
 */
#ifndef STORE_BASE_REASON_H
#define STORE_BASE_REASON_H

enum reason {
#define REASON(id, name, reply, sentence) REASON_##id,
#include "store/base/reasons.def"
#undef REASON
	REASON_COUNT
};

const char *reason_name(enum reason reason);     /* "refused.no-certificate" */
const char *reason_reply(enum reason reason);    /* "550 5.7.5", or NULL: the message is accepted */
const char *reason_sentence(enum reason reason); /* for people; no full stop */

#endif
