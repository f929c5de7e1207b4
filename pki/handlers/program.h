/*
 * program - runs a program of the site's own: no shell, a clean environment, limits, an end in
 * time.
 *
 * It starts in "/" with an environment of PATH, LANG and what is given, without descriptors of
 * ours, in a process group of its own that is killed when its time is over. Input is there as a
 * whole and ends; what it writes is bounded: more is an error. Only absolute paths of files that
 * nobody but their owner (root or us) may write. Failure: INVALID for a file that must not be run;
 * TEMPORARY when it was killed, said too much or could not be started. An exit status is an answer,
 * whatever it is. Threads: any; the caller waits.
 */
#ifndef PKI_HANDLERS_PROGRAM_H
#define PKI_HANDLERS_PROGRAM_H

#include <glib.h>

#include "store/base/cleanup.h"

struct program {
	const char *const *argv;        /* ended by NULL; the first is the path */
	const char *const *environment; /* "NAME=value", ended by NULL; may be NULL */
	GBytes *input;                  /* NULL: none */
	unsigned int timeout_seconds;   /* 0: 60 */
	gsize output_max_bytes;         /* 0: 1 MiB */
	/* Called about every tenth of a second; FALSE gives up. May be NULL. */
	gboolean (*waiting)(gpointer data);
	gpointer waiting_data;
};

struct program_result {
	int status;       /* of its exit */
	GBytes *output;   /* what it wrote to standard output */
	char *message;    /* last line of standard error, made printable; "" none */
	gboolean started; /* it ran: set also when FALSE is returned */
};

/* May it be run? */
gboolean program_check(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* *result zeroed before. */
gboolean program_call(const struct program *program, struct program_result *result,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
void program_result_clear(struct program_result *result);

#endif
