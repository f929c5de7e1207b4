/*
 * publish_internal - the state of one target while it is written to.
 */
#ifndef PKI_PUBLISH_INTERNAL_H
#define PKI_PUBLISH_INTERNAL_H

#include "pki/publish.h"
#include "store/publications.h"

struct publish_run {
	const struct publishing *publishing;
	char *target;
	GPtrArray *known; /* struct publication */
	gint64 now;
};

gboolean publish_run_start(struct publish_run *run, const struct publishing *publishing,
			   char *target, GError **error);
void publish_run_clear(struct publish_run *run);
/* Is this object, with these octets, to be written now? */
gboolean publish_run_wants(const struct publish_run *run, const char *object, const char *digest);
/* Remembers the outcome; why NULL: written. Logs the first failure. */
gboolean publish_run_done(const struct publish_run *run, const char *object, const char *digest,
			  const GError *why, GError **error);

#endif
