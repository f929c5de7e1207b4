/*
 * answer - what became of a question to a CA, whatever its own words and codes.
 *
 * Zero it before, clear it afterwards. Threads: any; a value.
 */
#ifndef PKI_HANDLERS_ANSWER_H
#define PKI_HANDLERS_ANSWER_H

#include <glib.h>

enum handler_status { HANDLER_ISSUED, HANDLER_PENDING, HANDLER_REJECTED, HANDLER_RETRY };

/* Classes of a peer's errors, whatever its own codes. */
enum handler_error_class {
	HANDLER_ERROR_NONE,
	HANDLER_ERROR_INPUT,     /* the request must be changed */
	HANDLER_ERROR_CONFIG,    /* an administrator must act: credentials, quota, profile */
	HANDLER_ERROR_TRANSIENT, /* again later */
	HANDLER_ERROR_HUMAN,     /* waits for a person at the CA */
	HANDLER_ERROR_CONFLICT,  /* look before trying again */
};

struct handler_answer {
	enum handler_status status;
	GPtrArray *certs;  /* struct cert *; the issued one first, then its chain in any order */
	char *handle;      /* how to ask again; NULL: as it was */
	gint64 not_before; /* pending, retry: do not ask earlier; 0: our own schedule */
	enum handler_error_class error_class;
	char *code, *text; /* the peer's, as it came: made printable where it is saved */
};

const char *handler_error_class_name(enum handler_error_class error_class); /* "transient" */
void handler_answer_clear(struct handler_answer *answer);
/* Sets status, class, code and text (printf) of an answer; what it held before is freed. */
void handler_answer_set(struct handler_answer *answer, enum handler_status status,
			enum handler_error_class error_class, const char *code, const char *format,
			...) G_GNUC_PRINTF(5, 6);

#endif
