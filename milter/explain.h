/*
 * explain - what would happen to a message and why: the mail path's own ruling, told in full.
 *
 * The text is JSON, written without a library: origin, author, each preference with value and
 * scope, each certificate with verdict and reason, the row that decided, the reply, the groups,
 * and under "ruling" the very bytes that the mail path's ruling_describe() gives.
 * Threads: any.
 */
#ifndef MILTER_EXPLAIN_H
#define MILTER_EXPLAIN_H

#include "milter/policy/ruling.h"

struct spool;

/* What an operator asks about; strings are borrowed. */
struct explain_question {
	const char *from;              /* value of the From field; NULL: the sender */
	const char *sender;            /* envelope sender; NULL: the address in from; "": null */
	const char *const *recipients; /* NULL-terminated, at least one */
	const char *client_address;    /* NULL: 127.0.0.1 unless login or daemon is given */
	const char *login;
	const char *daemon_name;
	const char *subject;             /* plain text */
	const char *const *header_lines; /* "Name: value", NULL-terminated, or NULL */
	const char *content_type;
	guint64 size_bytes; /* 0: as large as it is */
	struct spool
	    *message; /* sealed; then from, subject, header_lines, content_type are ignored */
	struct spool_area *area; /* NULL: memory */
};

/* JSON of the ruling of a question; or NULL with *error. Owned by the caller. */
char *explain_question(struct gateway *gateway, const struct explain_question *question,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* JSON of a ruling that was made already. */
char *explain_ruling(const struct ruling *ruling);

#endif
