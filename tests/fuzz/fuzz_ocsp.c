/*
 * fuzz_ocsp - three DER objects in a row: a certificate, its issuer, what a responder answers.
 *
 * Without certificates in front, all of it is an answer about nothing. What is believed must be
 * signed by the issuer or by somebody whom it certified.
 */
#include <stdint.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/der.h"
#include "pki/crypto/ocsp.h"
#include "pki/ocsp.h"

#define AT G_GINT64_CONSTANT(1800000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct cert *
take_cert(struct der *der)
{
	struct der_element element;

	if (!der_next(der, &element))
		return NULL;
	g_autoptr(GBytes) bytes = g_bytes_new(element.start, (gsize)(element.end - element.start));
	return cert_parse(bytes, NULL);
}

static void
read_answer(GBytes *answer, struct cert *cert, struct cert *issuer)
{
	g_autoptr(GBytes) nonce = g_bytes_new_static("0123456789abcdef", 16);
	struct ocsp_question question = {
		.cert = cert, .issuer = issuer, .nonce = nonce, .at = AT
	};
	g_autoptr(GError) error = NULL;
	g_autoptr(GError) unasked = NULL;
	g_autoptr(GBytes) request = ocsp_request(&question, &unasked);
	CLEANUP(ocsp_finding) struct ocsp_finding *finding = ocsp_read(answer, &question, &error);

	if ((finding == NULL) != (error != NULL) || (request == NULL) != (unasked != NULL))
		g_error("neither an answer nor an error, or both");
	if (finding != NULL && !cert_equal(finding->signer, issuer) &&
	    !cert_is_issued_by(finding->signer, issuer))
		g_error("an answer of a stranger is believed");
}

/* The text of a job, which a filter may have written. */
static void
read_job(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) certs = ocsp_job_parse(text, &error);

	if ((certs == NULL) != (error != NULL) || (certs != NULL && certs->len == 0))
		g_error("neither certificates nor an error, or both");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct der der = der_of(data, size);
	CLEANUP(cert) struct cert *cert = take_cert(&der);
	CLEANUP(cert) struct cert *issuer = cert != NULL ? take_cert(&der) : NULL;
	const uint8_t *rest = issuer != NULL ? der.p : data;
	g_autoptr(GBytes) answer = g_bytes_new(rest, size - (size_t)(rest - data));

	if (issuer != NULL)
		read_answer(answer, cert, issuer);
	else
		read_job(data, size);
	return 0;
}
