/*
 * named_certs - certificates of the store by the name that a CMS object calls them.
 *
 * What comes back carries that name; trust is another question. Not remembered: one query each.
 * Threads: any.
 */
#ifndef PKI_NAMED_CERTS_H
#define PKI_NAMED_CERTS_H

#include <glib.h>

#include "pki/crypto/cms_verify.h"

struct db;

/* Of struct cert *, owned; empty: none. NULL with *error (TEMPORARY) only. */
GPtrArray *named_certs(struct db *db, const struct cms_signer_id *id,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
