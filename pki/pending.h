/*
 * pending - rule S1: does a certificate that came by itself wait for an administrator?
 *
 * It waits when it brings a new key for an address that has a valid certificate already, and
 * select_new_key of that address does not let it through: `any` lets everything through, `ask`
 * nothing, `same-issuer` what the issuer of a present one has issued, too: the same name, and the
 * same key, or the key of its renewal (a certificate of that name under the same issuer, or a root
 * of that name, which an administrator imported). Every address that it names has a say.
 * Threads: any. Errors: TEMPORARY when the store cannot be asked.
 */
#ifndef PKI_PENDING_H
#define PKI_PENDING_H

#include <glib.h>

struct cert;
struct clock;
struct db;
struct preference_cache;
struct trust;

struct pending_judge {
	struct db *db;
	struct clock *clock;
	struct trust *trust;
	struct preference_cache *preferences;
};

/* *why (may be NULL) is set when it waits: one sentence, owned by the caller. */
gboolean pending_judge(const struct pending_judge *judge, struct cert *cert, gboolean *pending,
		       char **why, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
