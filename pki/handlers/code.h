/*
 * code - passwords that a CA wants with a request and nobody else needs: enrolment codes, pickup
 * passwords.
 *
 * They come from the master key, so that nothing has to be kept: who asks again with the same
 * generation gets the same one. Threads: any.
 */
#ifndef PKI_HANDLERS_CODE_H
#define PKI_HANDLERS_CODE_H

#include <glib.h>

struct handler_context;
struct request_row;
struct secret;

/* 20 letters and digits without look-alikes, of this request and purpose ("ejbca"). */
struct secret *code_of_request(const struct handler_context *context,
			       const struct request_row *request, const char *purpose,
			       gint64 generation, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
