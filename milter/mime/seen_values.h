/*
 * seen_values - which fields with which values a header has: looked up, not compared one by one.
 *
 * Two thousand fields inside against as many outside would be four million comparisons of decoded
 * text. Equal is what is written equally, folds aside, or, where one of both has encoded words,
 * what reads equally. Threads: one at a time.
 */
#ifndef MILTER_MIME_SEEN_VALUES_H
#define MILTER_MIME_SEEN_VALUES_H

#include <glib.h>

#include "store/base/cleanup.h"

struct seen_values;

struct seen_values *seen_values_new(void);
void seen_values_free(struct seen_values *seen); /* NULL is fine */
/* name_length bytes of name; raw_value may be folded. */
void seen_values_add(struct seen_values *seen, const char *name, gsize name_length,
		     const char *raw_value);
gboolean seen_values_has(const struct seen_values *seen, const char *name, const char *raw_value);

DEFINE_CLEANUP(seen_values, seen_values_free)

#endif
