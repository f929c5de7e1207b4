/*
 * ca_lists - the revocation lists that our CAs and roots keep: one row a part of each.
 *
 * The lists themselves are in store/crls, under the thumbprint given here. Threads: any.
 */
#ifndef STORE_CA_LISTS_H
#define STORE_CA_LISTS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

struct ca_list_row {
	char *issuer; /* thumbprint of the certificate that signs */
	char *key_id; /* its key identifier, hex: what the file is named for */
	gint64 partition;
	GStrv urls;         /* distribution points that certificates of this part name */
	gint64 number;      /* of the last list */
	char *thumbprint;   /* of the last list; NULL: none yet */
	gint64 made;        /* when that was; CLOCK_NEVER: none yet */
	gint64 next_update; /* likewise */
};

/* All of them, by issuer and part; issuer NULL: of all. */
GPtrArray *ca_lists_find(struct db *db, const char *issuer,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *ca_lists_find_in_tx(struct tx *tx, const char *issuer,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The present list of a key identifier and part, DER; NOT_FOUND. */
GBytes *ca_lists_der(struct db *db, const char *key_id, gint64 partition,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The part exists from here on, and this distribution point (may be NULL) belongs to it. */
gboolean ca_lists_add_url(struct tx *tx, const struct ca_list_row *row, const char *url,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Writes number, thumbprint, made, next_update; makes the row where it is new. */
gboolean ca_lists_save(struct tx *tx, const struct ca_list_row *row,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Lists in force of this name and key that are none of these: a part took their place. Thumbprints.
 */
GStrv ca_lists_left_over(struct tx *tx, const char *issuer_key, const char *signer_key,
			 const char *const *present, gsize n,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;

void ca_list_row_free(struct ca_list_row *row);
DEFINE_CLEANUP(ca_list_row, ca_list_row_free)

#endif
