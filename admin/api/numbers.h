/*
 * numbers - a list of numbers (of requests, jobs, deliveries) as an argument.
 */
#ifndef ADMIN_API_NUMBERS_H
#define ADMIN_API_NUMBERS_H

#include "admin/api/call.h"

/* gint64, without repeats; INVALID names what is none. what: "delivery". */
GArray *numbers_of(const struct call *call, const char *argument, const char *what,
		   GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *numbers_text(const char *what, const GArray *numbers); /* "delivery 3 4" */

#endif
