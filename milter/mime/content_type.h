/*
 * content_type - a Content-Type or Content-Disposition value, parsed (RFC 2045, 2231).
 *
 * Immutable. A value that cannot be parsed gives NULL: the caller decides on the default.
 */
#ifndef MILTER_MIME_CONTENT_TYPE_H
#define MILTER_MIME_CONTENT_TYPE_H

#include <glib.h>

#include "store/base/cleanup.h"

struct content_type;

struct content_type *content_type_parse(const char *raw_value);
struct content_type *content_disposition_parse(const char *raw_value);
void content_type_free(struct content_type *type);
const char *content_type_name(const struct content_type *type); /* "text/plain", lower case */
/* Decoded, UTF-8; NULL when there is none. Of several the first. */
const char *content_type_parameter(const struct content_type *type, const char *name);
/* The same type and the same parameters, in any order. */
gboolean content_type_equal(const struct content_type *a, const struct content_type *b);
/* The parameters alone, and of them all but those of that name. */
gboolean content_type_equal_but(const struct content_type *a, const struct content_type *b,
				const char *name);

/* GMime is initialised with the first use of any function here; others call this. */
void gmime_once(void);

DEFINE_CLEANUP(content_type, content_type_free)

#endif
