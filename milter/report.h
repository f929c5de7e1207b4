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

struct audit_writer;
struct gateway;
struct report;
struct ruling;
struct session_message;
struct status;

/* One message's outcome; everything is borrowed for the call. */
struct report_entry {
	const struct session_message *message;
	const struct ruling *ruling; /* NULL: it did not come that far */
	const GPtrArray *copies;     /* of struct copy *; NULL: none was made */
	guint injected;              /* recipients whose copy went out through the listener */
	const char *queue_ids;       /* of these copies at the mail server, or NULL */
	guint skipped;               /* who had theirs in an earlier try */
	guint refused;               /* taken out, and their sender told */
	enum reason reason;
	const char *reply; /* "550 5.7.5", or NULL: accepted */
	guint64 size_in;
	guint64 size_out;
	const char *detail; /* why, for the log alone; or NULL */
};

/* writer may be NULL: no rows are written. */
struct report *report_new(struct gateway *gateway, struct status *status,
			  struct audit_writer *writer);
void report_free(struct report *report); /* NULL is fine */
/* Whose word a notice is: authserv_id, else the name of this host. */
const char *report_host(const struct report *report);
void report_message(struct report *report, const struct report_entry *entry);

DEFINE_CLEANUP(report, report_free)

#endif
