/*
 * describe - plans and groups as canonical JSON: equal values give equal bytes.
 *
 * Written by hand, because JSON libraries have their home in admin/. Threads: any.
 */
#ifndef MILTER_POLICY_DESCRIBE_H
#define MILTER_POLICY_DESCRIBE_H

#include <glib.h>

#include "milter/policy/groups.h"
#include "milter/policy/reply.h"

/* A JSON string with its quotes; NULL gives null. Invalid UTF-8 is replaced. */
void describe_text(GString *out, const char *text);
/* "name": and the value; preceded by a comma unless it is the first of its object. */
void describe_member(GString *out, const char *name);
void describe_text_member(GString *out, const char *name, const char *value);
void describe_bool_member(GString *out, const char *name, gboolean value);
void describe_int_member(GString *out, const char *name, gint64 value);
/* Thumbprints of an array of struct cert *; NULL gives []. */
void describe_certificates_member(GString *out, const char *name, const GPtrArray *certificates);

void plan_describe(const struct plan *plan, GString *out);
void groups_describe(const struct groups *groups, GString *out);
void reply_describe(const struct reply *reply, GString *out); /* NULL gives null */

/* The values of the enums as the preferences spell them. */
const char *describe_cipher(enum copy_cipher cipher);
const char *describe_transport(enum copy_transport transport);
const char *describe_origin(enum origin origin);
const char *describe_author(enum author_state author);
const char *describe_able(enum able able);

#endif
