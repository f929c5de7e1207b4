/*
 * revocation_orders - certificates of other CAs that are to be revoked there, saved at every
 * change.
 *
 * One order a certificate. Threads: any.
 */
#ifndef STORE_REVOCATION_ORDERS_H
#define STORE_REVOCATION_ORDERS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

struct revocation_order {
	gint64 id;
	char *thumbprint;
	gint64 request_id;
	char *handler, *handler_config, *handle; /* handle: or NULL */
	char *issuer_thumbprint;                 /* NULL: not in the store */
	char *serial, *reason;                   /* reason: or NULL */
	char *state;                             /* "open", "done", "failed" */
	gint attempts;
	gint64 next_try; /* CLOCK_NEVER: finished, or a person must act */
	char *error_class, *error_text;
	char *requester;
	gint64 created, updated;
};

/* An order that has failed or is open is made anew, and due. INVALID: it is done already. */
gboolean revocation_orders_put(struct tx *tx, const struct revocation_order *order, gint64 *id,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* NOT_FOUND. */
struct revocation_order *revocation_orders_find(struct db *db, gint64 id,
						GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* *order NULL: none for this certificate. */
gboolean revocation_orders_of(struct db *db, const char *thumbprint,
			      struct revocation_order **order,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Saves state, attempts, next_try and the error. */
gboolean revocation_orders_update(struct tx *tx, const struct revocation_order *order,
				  GError **error) G_GNUC_WARN_UNUSED_RESULT;

void revocation_order_free(struct revocation_order *order);
DEFINE_CLEANUP(revocation_order, revocation_order_free)

#endif
