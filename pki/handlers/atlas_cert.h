/*
 * atlas_cert - the certificate of one request at Atlas: its handle, picked up, found again.
 *
 * Tried against a fake of our own, written from public sources; not against the real service.
 * The handle is "sent SINCE TIMES" before the request leaves, so that a lost answer is looked for,
 * and "serial HEX" from the answer on. Functions with an answer leave in it what Atlas says, and in
 * *error what is wrong on our side. Threads: an act belongs to one.
 */
#ifndef PKI_HANDLERS_ATLAS_CERT_H
#define PKI_HANDLERS_ATLAS_CERT_H

#include "pki/handlers/atlas_session.h"
#include "pki/handlers/lost.h"

struct atlas_handle {
	char *serial; /* the caller's; NULL: none yet */
	gint64 since; /* of the first time that it was sent without an outcome */
	gint times;
};

/* NULL and foreign text: an empty handle. */
struct atlas_handle atlas_handle_read(const char *text);
/* Is that a serial number as Atlas writes them? It goes into paths. */
gboolean atlas_serial_is(const char *text);

/* Asks once. TRUE: not ready yet. */
gboolean atlas_cert_fetch(struct atlas *atlas, const char *serial, struct handler_answer *answer,
			  GError **error);
/* Asks a few times at once; the answer has the handle with which the worker comes back to it. */
void atlas_cert_pick_up(struct atlas *atlas, const char *serial, struct handler_answer *answer,
			GError **error);
/* Looks for the certificate of the request's key among what the account issued since then. */
enum lost_look atlas_cert_find(struct atlas *atlas, const struct request_row *request, gint64 since,
			       struct handler_answer *answer, GError **error);
/* FALSE also when nobody can tell. */
gboolean atlas_cert_is_revoked(struct atlas *atlas, const char *serial);
/* Adds the account's trust chain (struct cert), as far as it can be had. */
void atlas_add_chain(struct atlas *atlas, GPtrArray *certs);

#endif
