/*
 * held - a request whose answer was lost at a CA that cannot be asked what became of it.
 *
 * Asking again could make a second certificate, so the request waits for a person, who looks at the
 * CA and then brings the certificate (request upload) or lets it be asked for again (request
 * retry). The handle says "held"; a retry by a person is one that finds the error cleared.
 * Pure. Threads: any.
 */
#ifndef PKI_HANDLERS_HELD_H
#define PKI_HANDLERS_HELD_H

#include <glib.h>

#include "pki/handlers/handler.h"

/* PENDING with HUMAN; text says what is not known. */
void held_answer(const struct handler_context *context, const char *text,
		 struct handler_answer *answer);
/* TRUE: it was held, and is again by answer. *released: it was, and a person let it go. */
gboolean held_still(const struct handler_context *context, const struct request_row *request,
		    gboolean *released, struct handler_answer *answer);

#endif
