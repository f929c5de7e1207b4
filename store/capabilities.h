/*
 * capabilities - what an address has announced last that it can read.
 *
 * They are read with the certificates of the address (store/candidates.h). Masks are those of
 * pki/crypto/cms.h: 1 << enum cms_cipher, 1 << enum cms_transport. The filter writes through an SQL
 * function: the newest signingTime wins, none more than a day in the future. Writing tells
 * CHANGE_ADDRESS when a mask changes. Threads: any. Errors: those of the database.
 */
#ifndef STORE_CAPABILITIES_H
#define STORE_CAPABILITIES_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;

struct capability_row {
	char *email; /* mailaddr_key */
	guint ciphers;
	guint transports;
	gint64 signed_at; /* signingTime */
};

/* *newer (may be NULL): it was newer than what was known, and is known now. */
gboolean capabilities_learn(struct db *db, const struct capability_row *row, gboolean *newer,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
void capability_row_free(struct capability_row *row);

DEFINE_CLEANUP(capability_row, capability_row_free)

#endif
