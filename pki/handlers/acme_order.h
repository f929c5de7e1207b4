/*
 * acme_order - an order from its beginning to the certificate (RFC 8555 section 7.4).
 *
 * The row of the order (store/acme_orders.h) is what counts: every step is written down before the
 * next, so that whoever goes on after a crash finds the order, or looks for it in the account's
 * list, before he asks for another. One order gives one certificate however often it is finalized.
 * Threads: one at a time for a request.
 */
#ifndef PKI_HANDLERS_ACME_ORDER_H
#define PKI_HANDLERS_ACME_ORDER_H

#include "pki/handlers/acme_wire.h"

struct acme_order_row;
struct request_row;

struct acme_work {
	struct acme *acme;
	const struct request_row *request;
	struct acme_order_row *row;
	GPtrArray *names;   /* char *: what is asked for, normalised; of the CSR */
	gboolean email;     /* they are mailboxes, else domains */
	const char *kind;   /* of challenge: "http-01" */
	GHashTable *begun;  /* URLs of challenges that were told to begin in this act */
	gint64 stands_from; /* when all records will be known to the name servers; 0: are */
};

/* As far as it goes now; the answer of the conversation says where that is. */
void acme_order_work(struct acme *acme, const struct request_row *request);
/* The order has ended without a certificate. Always FALSE. */
gboolean acme_order_failed(struct acme_work *work, struct acme_meaning meaning, const char *code,
			   const char *format, ...) G_GNUC_PRINTF(4, 5);
/* Nothing to do but wait. Always FALSE. */
gboolean acme_order_pending(struct acme_work *work, gint64 seconds, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

#endif
