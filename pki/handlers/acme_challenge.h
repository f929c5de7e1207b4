/*
 * acme_challenge - proves what an order asks for: a file over HTTP, a record in the DNS, a mail
 * that is answered (RFC 8555 section 8, RFC 8823).
 *
 * What is put up is written down first and taken away when the server has looked, or by tidying.
 */
#ifndef PKI_HANDLERS_ACME_CHALLENGE_H
#define PKI_HANDLERS_ACME_CHALLENGE_H

#include "pki/handlers/acme_order.h"

struct acme_challenge_row;

/* Goes through the authorizations of an order. TRUE: the server is at work, or has finished. */
gboolean acme_challenges_work(struct acme_work *work, const struct acme_order *order);
/* Takes away what was put up for a request. What cannot be taken away now is left to tidying. */
void acme_challenges_clear(const struct handler_context *context, gint64 request_id);
/* Of all requests that need it no longer; for a job. FALSE: with *error, some are left. */
gboolean acme_challenges_tidy(const struct handler_context *context, GError **error);
/* Tells the server to look; once in an act. */
gboolean acme_challenge_begin(struct acme_work *work, const struct acme_challenge *challenge);
/* "token.thumbprint" (RFC 8555 section 8.1); the caller's. */
char *acme_key_authorization(const char *token, const char *thumbprint);

#endif
