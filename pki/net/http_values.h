/*
 * http_values - values of header fields, strictly read (RFC 9110, RFC 9111).
 *
 * They are a stranger's: what is not as it should be counts as absent. Threads: any.
 */
#ifndef PKI_NET_HTTP_VALUES_H
#define PKI_NET_HTTP_VALUES_H

#include <glib.h>

#define HTTP_ETAG_MAX_BYTES 512
#define HTTP_AGE_MAX_SECONDS (366 * 24 * 3600)

/* A copy of an entity tag, weak or strong, safe to send back; NULL when it is none. */
char *http_etag_read(const char *value);
/* "Sun, 06 Nov 1994 08:49:37 GMT"; 0 when it is none. */
gint64 http_date_read(const char *value);
char *http_date_write(gint64 seconds);
/* Cache-Control: seconds of max-age, 0 for no-cache and no-store, -1 when neither is said. */
gint64 http_max_age_read(const char *value);
/* Retry-After in seconds; a date counts from the answer's own Date. -1 when it is neither. */
gint64 http_retry_after_read(const char *value, const char *date_or_null);

#endif
