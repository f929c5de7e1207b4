/*
 * delivering - the options of a delivery as arguments, the same for every operation that sends
 * keys.
 */
#ifndef ADMIN_API_DELIVERING_H
#define ADMIN_API_DELIVERING_H

#include "admin/api/call.h"
#include "pki/delivery.h"

struct delivery delivering_of(const struct call *call);
/* --to, --password, --sms, --show-password, --store-password, --compatible, --language,
 * --allow-mismatch; the default of ca config store_password counts. The password belongs to
 * *password. DENIED: what is asked for needs the role keys. */
gboolean delivering_options(const struct call *call, struct delivery_options *options,
			    struct secret **password, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
