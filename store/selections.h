/*
 * selections - certificates that an administrator chose for a scope (S1 to S4).
 *
 * Threads: any.
 */
#ifndef STORE_SELECTIONS_H
#define STORE_SELECTIONS_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/scopes.h"

enum selection_kind { SELECTION_ENCRYPT, SELECTION_SIGN, SELECTION_ADDITIONAL };

struct selection_row {
	struct scope *scope;
	enum selection_kind kind;
	char *thumbprint;
	gboolean decrypt; /* its key may open mail for everybody in this scope */
	gint64 created;
};

const char *selection_kind_name(enum selection_kind kind); /* "encrypt", "sign", "additional" */

/* Adds; for SELECTION_SIGN replaces the earlier choice of that scope. */
gboolean selections_add(struct tx *tx, const struct selection_row *row,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* thumbprint NULL: all of that kind in this scope. NOT_FOUND when there is none. */
gboolean selections_remove(struct tx *tx, const struct scope *scope, enum selection_kind kind,
			   const char *thumbprint, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* struct selection_row *, all kinds, of any of these scopes (GPtrArray of struct scope *).
   One query; in the order of scopes, then kind, then age. */
GPtrArray *selections_by_scopes(struct db *db, const GPtrArray *scopes,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* For whom a certificate is selected. */
GPtrArray *selections_by_thumbprint(struct db *db, const char *thumbprint,
				    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All choices of a kind, of all scopes. */
GPtrArray *selections_of_kind(struct db *db, enum selection_kind kind, gint limit,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;

void selection_row_free(struct selection_row *row);
DEFINE_CLEANUP(selection_row, selection_row_free)

#endif
