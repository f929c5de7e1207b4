/*
 * explain_text - the answer of explain for people, on one screen: what was asked, what comes of
 * it, the preferences that mattered with their scopes, the certificates with their verdicts, and
 * for each recipient the rows that decided.
 *
 * Preferences that have their default and decide nothing are left out, as is the ruling that the
 * rest was made from; --json has all of it. Pure.
 */
#ifndef ADMIN_CLI_EXPLAIN_TEXT_H
#define ADMIN_CLI_EXPLAIN_TEXT_H

#include <jansson.h>

#include "admin/cli/output.h"

/* Owned by the caller. The answer of a question, or of a message in the record. */
char *explain_text(const json_t *answer, enum output_colour colour);

#endif
