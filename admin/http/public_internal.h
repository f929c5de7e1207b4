/*
 * public_internal - answers of the public listener as libmicrohttpd sends them.
 */
#ifndef ADMIN_HTTP_PUBLIC_INTERNAL_H
#define ADMIN_HTTP_PUBLIC_INTERNAL_H

#include <microhttpd.h>

#include "admin/http/public_server.h"

/* The answer, or 304 for who has it already. */
enum MHD_Result public_answer_queue(struct public_answer *answer, struct MHD_Connection *connection,
				    gint64 now);
/* 405, with what is allowed. */
struct public_answer *public_answer_wrong_method(unsigned int methods);
/* "Sun, 06 Nov 1994 08:49:37 GMT" and back; the obsolete forms are not read. */
char *public_date_format(gint64 seconds);
gboolean public_date_parse(const char *text, gint64 *seconds);

#endif
