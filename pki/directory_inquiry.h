/*
 * directory_inquiry - one server asked for one address, and its circuit breaker; of directory.c
 * alone.
 */
#ifndef PKI_DIRECTORY_INQUIRY_H
#define PKI_DIRECTORY_INQUIRY_H

#include "pki/directory.h"

/* One server being asked; of its thread until that is joined. */
struct inquiry {
	const struct directory *directory;
	const struct directory_row *server;
	const struct mailaddr *address;
	gint64 now;
	struct directory_reply *reply;
	gboolean broken; /* the breaker counts it */
	gboolean probe;  /* ... and it is the one that tries again */
	GThread *thread;
};

struct inquiry *inquiry_new(const struct directory *directory, const struct directory_row *server,
			    const struct mailaddr *address);
void inquiry_free(gpointer inquiry); /* waits for its thread */
/* May it be asked? Sets reply->not_asked and its note where not. */
gboolean inquiry_allow(struct inquiry *inquiry, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Asks all that are allowed, at once, and waits for them. */
void inquiry_run(GPtrArray *inquiries);
/* Tells the breaker how it went. */
gboolean inquiry_note_state(struct inquiry *inquiry, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
