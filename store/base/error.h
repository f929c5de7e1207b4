/*
 * error - one error domain for the whole product.
 *
 * A finding (signature bad, certificate revoked) is never an error; an error means that we
 * could not find out or could not do it. The text is one line without a full stop that names
 * the object, says what is wrong and, where it helps, what to do.
 * Threads: any. Ownership: GError's.
 */
#ifndef STORE_BASE_ERROR_H
#define STORE_BASE_ERROR_H

#include <glib.h>

#define PS_ERROR (ps_error_quark())

enum ps_error {
	PS_ERROR_TEMPORARY, /* may work later: database away, disk full */
	PS_ERROR_INVALID,   /* the input is wrong and stays wrong */
	PS_ERROR_USAGE,     /* the same of an argument that somebody wrote on a command line */
	PS_ERROR_DENIED,    /* not permitted */
	PS_ERROR_NOT_FOUND, /* the named thing does not exist */
	PS_ERROR_BUG,       /* cannot happen */
	PS_ERROR_FULL,      /* no room now: the spool's ceiling, a full file system */
};

GQuark ps_error_quark(void);

/* Set *error; return NULL and FALSE, so that a caller can `return fail(...)`. */
void *fail(GError **error, enum ps_error code, const char *format, ...) G_GNUC_PRINTF(3, 4);
gboolean fail_false(GError **error, enum ps_error code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* What is INVALID in an argument is USAGE of the command. */
void error_to_usage(GError **error);

/* What an error means outside; the reply to a mail server is its reason's (reason.h). Foreign
 * domains count as BUG. */
unsigned int error_http_status(const GError *error); /* 404 */
int error_exit_status(const GError *error);          /* 5 */
const char *error_code_name(const GError *error);    /* "not-found" */

#endif
