/*
 * inbound_summary - what was found in an inbound message for one recipient, in words.
 *
 * Details of a failure are for the log alone: they are in `why` and in nothing else. Threads: any.
 */
#ifndef MILTER_POLICY_INBOUND_SUMMARY_H
#define MILTER_POLICY_INBOUND_SUMMARY_H

#include <glib.h>

struct gathered;

struct inbound_summary {
	const char *state;     /* "opened" ...; NULL: nothing was read for him */
	const char *verdict;   /* "valid" ... */
	char *layers;          /* "encrypted,signed" */
	const char *decrypted; /* "yes", "no" */
	const char *integrity; /* "signature", "tag", "none"; "-" where nothing was decrypted */
	const char *why;       /* why it stayed closed or is unknown; NULL: it did not */
};

/* Clear it. */
void inbound_summarise(const struct gathered *found, guint recipient, struct inbound_summary *out);
void inbound_summary_clear(struct inbound_summary *summary);
/* A JSON object, or null; without `why`. */
void inbound_summary_describe(const struct gathered *found, guint recipient, GString *out);

#endif
