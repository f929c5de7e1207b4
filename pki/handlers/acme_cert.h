/*
 * acme_cert - certificates of an ACME server: fetched with the chain that is preferred, revoked,
 * and when to renew them (RFC 8555 sections 7.4.2 and 7.6, RFC 9773).
 */
#ifndef PKI_HANDLERS_ACME_CERT_H
#define PKI_HANDLERS_ACME_CERT_H

#include "pki/handlers/acme_order.h"

/* The answer is then ISSUED with the certificate and its chain. FALSE: it is not. */
gboolean acme_cert_download(struct acme *acme, const char *url);
/* The name of the certificate that the request renews, where the server has renewal information and
 * has issued it; NULL: none. */
char *acme_cert_replaced(struct acme_work *work);
/* RFC 9773 section 4.1; NULL: the certificate has no key identifier of its issuer. */
char *acme_cert_id(const struct cert *cert);
/* The answer is then ISSUED: revoked, now or before. */
void acme_cert_revoke(struct acme *acme, const struct cert *cert, const char *reason);
/* As handler.h has it. */
gboolean acme_cert_advise(const struct handler_context *context, const struct cert *cert,
			  struct handler_advice *advice, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
