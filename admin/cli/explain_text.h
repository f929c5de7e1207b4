/*
 * explain_text - the answer of explain for people: what decided, not all that could have.
 *
 * Preferences that have their default are left out, as is the ruling that the rest was made from;
 * --json has all of it. Pure.
 */
#ifndef ADMIN_CLI_EXPLAIN_TEXT_H
#define ADMIN_CLI_EXPLAIN_TEXT_H

#include <jansson.h>

/* New reference. */
json_t *explain_text_shorten(const json_t *answer);

#endif
