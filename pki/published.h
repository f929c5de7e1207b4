/*
 * published - the CA certificates that we hand out, by what their files are named for.
 *
 * All CAs and roots of ours, also those that are revoked or out of date: somebody may have to
 * check an old signature. Threads: any.
 */
#ifndef PKI_PUBLISHED_H
#define PKI_PUBLISHED_H

#include <glib.h>

#include "store/base/cleanup.h"

struct cert;
struct db;

struct published_ca {
	struct cert *cert;
	const char *key_id; /* hex, of the certificate */
	gboolean is_root;
	gint64 revoked_at; /* CLOCK_NEVER: it is not */
	GPtrArray *chain;  /* struct cert: itself first, the root last, as far as they are ours */
};

/* struct published_ca: CAs first, then roots. */
GPtrArray *published_cas(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The one that lasts longest of this key identifier; belongs to the list, NULL: none. */
const struct published_ca *published_cas_find(const GPtrArray *cas, const char *key_id);

enum published_form { PUBLISHED_DER, PUBLISHED_PEM, PUBLISHED_PKCS7 };
/* PKCS#7 holds the chain. */
GBytes *published_ca_write(const struct published_ca *ca, enum published_form form,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
