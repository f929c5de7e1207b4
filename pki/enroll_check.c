/*
 * enroll_check - checks on what a CA gives back.
 */
#include "pki/enroll_check.h"

#include <string.h>

#include "pki/crypto/cert.h"
#include "store/base/error.h"
#include "store/base/mailaddr.h"
#include "store/requests.h"

/* A CA's clock may be ahead of ours. */
#define SKEW_SECONDS 86400

gboolean
enroll_check(const struct cert *cert, const struct request_row *request, gint64 now, GError **error)
{
	if (cert == NULL)
		return fail_false(error, PS_ERROR_INVALID, "handler '%s' gave no certificate",
				  request->handler);
	if (request->spki_sha256 == NULL ||
	    strcmp(cert_spki_sha256(cert), request->spki_sha256) != 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "the certificate is not for the key of the request");
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(request->email, error);
	if (address == NULL)
		return FALSE;
	if (!cert_has_email(cert, address))
		return fail_false(error, PS_ERROR_INVALID,
				  "the certificate does not have the address %s", request->email);
	if (cert_is_ca(cert))
		return fail_false(error, PS_ERROR_INVALID, "the certificate is one of a CA");
	if (!cert_has_email_purpose(cert))
		return fail_false(error, PS_ERROR_INVALID,
				  "the certificate's extended key usage lacks emailProtection");
	if (!cert_may_sign(cert) && !cert_may_encrypt(cert))
		return fail_false(error, PS_ERROR_INVALID,
				  "the certificate may neither sign nor be encrypted to");
	if (now > cert_not_after(cert) || now + SKEW_SECONDS < cert_not_before(cert))
		return fail_false(error, PS_ERROR_INVALID, "the certificate is not valid today");
	return TRUE;
}
