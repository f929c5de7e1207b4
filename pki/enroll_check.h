/*
 * enroll_check - is this certificate what was asked for? The same for every handler.
 */
#ifndef PKI_ENROLL_CHECK_H
#define PKI_ENROLL_CHECK_H

#include <glib.h>

struct cert;
struct request_row;

/* INVALID says what does not fit; cert NULL: that there is none. */
gboolean enroll_check(const struct cert *cert, const struct request_row *request, gint64 now,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
