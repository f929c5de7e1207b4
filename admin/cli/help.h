/*
 * help - usage texts from the table of operations.
 */
#ifndef ADMIN_CLI_HELP_H
#define ADMIN_CLI_HELP_H

#include <glib.h>

#include "admin/api/operation.h"

/* All owned by the caller. */
char *help_overview(void);
char *help_noun(const char *noun);
char *help_operation(const struct operation *operation);
/* "[--email ADDR] [FILE...]" */
char *help_usage(const struct operation *operation);
/* One sentence about a noun, for overviews and manuals; "" when there is none. */
const char *help_noun_summary(const char *noun);

#endif
