/*
 * results - what reading found, as header fields: Authentication-Results (RFC 8601, 7281) and
 * X-Postseal-* (postseal-milter(8) lists them).
 *
 * One field a name. Values fold with LF before column 78 and are ASCII; foreign text is printable
 * and quoted. Of a message that stays closed nothing is told but that it does. PURE.
 */
#ifndef MILTER_RESULTS_H
#define MILTER_RESULTS_H

#include <glib.h>

struct edits;
struct reading;

struct results_request {
	const char *authserv_id;
	const struct reading *reading; /* NULL: closed */
	gboolean opened;               /* what was decrypted is what is delivered */
	gboolean defused;
	gboolean stripped; /* signatures were taken off */
};

void results_add(const struct results_request *request, struct edits *edits);

#endif
