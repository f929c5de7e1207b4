/*
 * fetching - rows of URLs as answers show them.
 */
#ifndef ADMIN_API_FETCHING_H
#define ADMIN_API_FETCHING_H

#include <jansson.h>

struct fetch_row;

/* "waiting" for its first try, "fetching", "good", "failed", "standby" (names before it work). */
const char *fetching_state(const struct fetch_row *row);
json_t *fetching_object(const struct fetch_row *row);

#endif
