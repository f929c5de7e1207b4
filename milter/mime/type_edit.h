/*
 * type_edit - a raw Content-Type value with a parameter more or less.
 *
 * The value stays as it was written where that can be done; what comes out is parsed again, and
 * says the same but for that parameter. Raw values have their leading blank and LF folds.
 */
#ifndef MILTER_MIME_TYPE_EDIT_H
#define MILTER_MIME_TYPE_EDIT_H

#include <glib.h>

/* value is a token or plain text without quotes. NULL: the type is broken, or takes none. */
char *type_with(const char *raw_value, const char *name, const char *value);
char *type_without(const char *raw_value, const char *name);

#endif
