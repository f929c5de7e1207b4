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
struct reading_signer;
struct settings;

struct results_request {
	const char *authserv_id;
	const struct reading *reading; /* NULL: it stays closed */
	gboolean opened;               /* what is delivered is what was decrypted */
	gboolean defused;
	gboolean stripped; /* signatures were taken off */
};

void results_add(const struct results_request *request, struct edits *edits);
/* Setting authserv_id, else the host's name. Owned by the caller. */
char *results_authserv_id(const struct settings *settings);
/* The signer on whom the verdict rests; NULL: none that is worth naming. */
const struct reading_signer *results_signer(const struct reading *reading);
/* "pass" ...; reading NULL: of a closed message. */
const char *results_word(const struct reading *reading);
/* What vouches for what was decrypted: "signature", "tag" or "none". */
const char *results_integrity(const struct reading *reading);
/* "signed,encrypted,...", from the outside in; owned by the caller. */
char *results_layers(const struct reading *reading);

#endif
