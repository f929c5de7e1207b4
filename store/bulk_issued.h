/*
 * bulk_issued - requests with their keys and certificates, many at once, as if each had gone its
 * way step by step: for batches of the built-in CA.
 */
#ifndef STORE_BULK_ISSUED_H
#define STORE_BULK_ISSUED_H

#include <glib.h>

struct cert_row;
struct key_row;
struct request_row;
struct tx;

struct bulk_issued {
	struct request_row *request; /* issued; its id is set by bulk_issued_numbers */
	struct key_row *key;
	struct cert_row *cert;
	const char *note; /* for the request's history */
};

/* Numbers for requests, n of them. */
gboolean bulk_issued_numbers(struct tx *tx, gint64 *ids, gsize n,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Requests, history, keys, certificates and their addresses. All of it is new. */
gboolean bulk_issued_insert(struct tx *tx, const struct bulk_issued *const *issued, gsize n,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
