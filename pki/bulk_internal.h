/*
 * bulk_internal - between bulk_run.c and bulk_issue.c.
 */
#ifndef PKI_BULK_INTERNAL_H
#define PKI_BULK_INTERNAL_H

#include "pki/bulk.h"

struct secret;

guint bulk_threads(const struct bulk_work *work);
/* The one password of a batch; *password NULL: there is none. */
gboolean bulk_password(const struct enroll *enroll, const struct bulk_batch *batch,
		       struct secret **password, GError **error);
/* Locks those of the rows that are still to be done and returns them (borrowed). *left_out: those
 * whose address has a certificate or request by now; their state says so, and is to be saved.
 * None when the batch does not run any more. */
GPtrArray *bulk_claim(struct tx *tx, const struct bulk_batch *batch, GPtrArray *rows,
		      GPtrArray **left_out, GError **error);
/* The row failed, unless somebody else was faster. */
gboolean bulk_refuse(struct db *db, const struct bulk_batch *batch, struct bulk_row *row,
		     const char *why, GError **error);
/* A batch of the built-in CA, one key each. As bulk_run. */
gboolean bulk_issue(const struct bulk_work *work, const struct bulk_batch *batch,
		    gboolean *finished, GError **error);

#endif
