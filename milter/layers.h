/*
 * layers - opens a message layer by layer: what signs, encrypts and compresses it, and what is
 * inside. Used by file_message.c.
 */
#ifndef MILTER_LAYERS_H
#define MILTER_LAYERS_H

#include "milter/file_message.h"
#include "milter/mime/scan.h"

#define LAYERS_MAX 6

struct reading {
	struct spool_area *area;
	const struct message_options *options; /* may be NULL */
	struct message_report *report;
	struct spool *signed_content; /* of the outermost signature */
	struct spool *decrypted;      /* content of the innermost encryption that was opened */
	struct mailaddr *author;      /* of the outermost header; NULL: none */
	char *malformed;
	char *undecryptable;
	char *partial;
	gboolean covered;        /* by a signature, from here inwards */
	gboolean author_differs; /* a protected From is not the outer one */
	guint depth;
	GError *error; /* a real one */
};

/* Reads the message whose fields are headers and whose body is [start, end). FALSE with
 * reading->error when something could not be read; findings go into the reading. */
gboolean layers_read(struct reading *reading, struct headers *headers, struct spool *spool,
		     guint64 start, guint64 end);

/* For those who add findings. The first text of a kind stays. */
void layers_note(char **finding, const char *text);
/* Takes the error: INVALID is a finding, anything else reading->error and FALSE. */
gboolean layers_take_error(struct reading *reading, char **finding, GError *error);

#endif
