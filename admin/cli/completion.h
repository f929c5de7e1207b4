/*
 * completion - what can stand at the end of a command line that is being typed.
 *
 * The scripts of the shells ask `postseal complete -- WORD...` and know nothing themselves, so that
 * a new operation is completed at once, with its choices, and with what the daemon knows: names of
 * CAs, users, domains, numbers of requests, first digits of thumbprints. Nothing is asked on the
 * terminal and nothing is said on failure: then there is no word.
 */
#ifndef ADMIN_CLI_COMPLETION_H
#define ADMIN_CLI_COMPLETION_H

#include <glib.h>

#include "admin/api/operation.h"

/* Rows of a list for a column; arguments as in the table, may be NULL. New array of texts. */
typedef GPtrArray *(*completion_ask)(enum operation_id list, const char *column,
				     const char *argument, const char *value, gpointer data);

/* words: all after the name of the program; the last one is being typed, and may be "". Gives
 * "WORD" or "WORD\tMEANING", those that begin like it. */
GPtrArray *completion_words(const char *const *words, completion_ask ask, gpointer data);
/* The program's `complete`: prints them, one a line. */
int completion_run(const char *const *words);

#endif
