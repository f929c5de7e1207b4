/*
 * bulk_order - what a row of a batch asks for, as the request that it becomes.
 */
#ifndef PKI_BULK_ORDER_H
#define PKI_BULK_ORDER_H

#include "store/bulk.h"

struct delivery_options;
struct enroll_order;
struct secret;
struct tx;

/* The order of a row; texts and *delivery are borrowed by it. */
void bulk_order(const struct bulk_batch *batch, const struct bulk_row *row, struct secret *password,
		struct enroll_order *order, struct delivery_options *delivery);
gboolean bulk_add_user(const struct bulk_batch *batch, const struct bulk_row *row, struct tx *tx,
		       GError **error);
#endif
