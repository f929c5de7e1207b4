/*
 * candidates - the certificates that selection may take for some addresses, and what these have
 * announced, in one query.
 *
 * Only what selection looks at; the store/certs rows have the rest. Threads: any.
 */
#ifndef STORE_CANDIDATES_H
#define STORE_CANDIDATES_H

#include <glib.h>

#include "store/base/cleanup.h"

#define CANDIDATES_MAX 200 /* of one address; the newest ones */

struct db;

struct candidate_row {
	char *email; /* the address by which it was found; NULL: by its thumbprint */
	char *thumbprint;
	GBytes *der;
	char *spki_sha256;
	gboolean pending; /* waits for an administrator (S1) */
	gboolean has_key;
	gboolean by_itself; /* it came out of mail or from a directory */
	char *ctl; /* "allow", "allow-expired", "deny", or NULL: its own CTL entry */
};

/* All zero: nothing. */
struct candidates {
	GPtrArray *certs;     /* struct candidate_row; newest first */
	GPtrArray *announced; /* struct capability_row, of the addresses */
};

/* A certificate that several of these find is there several times. */
gboolean candidates_find(struct db *db, const char *const *email_keys, gsize emails,
			 const char *const *thumbprints, gsize n, struct candidates *found,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
void candidates_clear(struct candidates *found);
void candidate_row_free(struct candidate_row *row);

DEFINE_CLEANUP(candidate_row, candidate_row_free)

#endif
