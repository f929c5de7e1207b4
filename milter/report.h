/*
 * report - what is said about a message afterwards: one log line, one audit row, the counters.
 *
 * The log line is written before the answer and is the record of last resort; the audit row goes
 * to a batch that is written behind the answer, so that no message waits for it.
 * Addresses appear as the setting log_addresses says (full, domain, hash).
 * Threads: any; one report belongs to the program.
 */
#ifndef MILTER_REPORT_H
#define MILTER_REPORT_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/base/reason.h"

struct gateway;
struct report;
struct session_message;
struct status;

/* One message's outcome; strings are borrowed for the call. */
struct report_entry {
	const struct session_message *message;
	enum reason reason;
	const char *origin;            /* "trusted", "untrusted", "reinjected" */
	const char *author;            /* address key or NULL */
	const char *signer_thumbprint; /* or NULL */
	guint recipient_certificates;
	guint recipients_protected;
	gsize size_in;
	gsize size_out;
	gboolean observed;  /* mode = observe: decided, not done */
	const char *detail; /* one printable line for the log alone, or NULL */
};

struct report *report_new(struct gateway *gateway, struct status *status);
void report_free(struct report *report); /* writes what is waiting */
void report_message(struct report *report, const struct report_entry *entry);

DEFINE_CLEANUP(report, report_free)

#endif
