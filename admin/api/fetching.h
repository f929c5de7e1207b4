/*
 * fetching - rows of URLs as answers show them.
 */
#ifndef ADMIN_API_FETCHING_H
#define ADMIN_API_FETCHING_H

#include <jansson.h>

#include "admin/api/call.h"

struct fetch_row;

/* "waiting" for its first try, "fetching", "good", "failed", "standby" (names before it work). */
const char *fetching_state(const struct fetch_row *row);
json_t *fetching_object(const struct fetch_row *row);
/* crl list: says of each list ("thumbprint") how its URL was fetched last, and adds a row for each
 * URL that gave none; text (or NULL) must stand in it. */
gboolean fetching_join(struct call *call, json_t *lists, const char *text,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
