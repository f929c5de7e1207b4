/*
 * fuzz_handlers - any bytes as the answer of EJBCA, Atlas or EPKI, and as a validation policy: what
 * is read of them is certificates, numbers in range, or an error in UTF-8.
 */
#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/handlers/atlas_request.h"
#include "pki/handlers/ejbca_message.h"
#include "pki/handlers/epki_message.h"
#include "pki/handlers/peer.h"
#include "store/base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(gboolean good, const GError *error)
{
	if (good != (error == NULL))
		g_error("neither a value nor an error, or both");
	if (error != NULL && !g_utf8_validate(error->message, -1, NULL))
		g_error("an error text that is not UTF-8");
}

static void
check_ejbca(const json_t *document)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) certs = ejbca_enrolled_read(document, &error);
	gint64 approval = ejbca_approval_read(document);

	check(certs != NULL, error);
	if (certs != NULL && certs->len == 0)
		g_error("enrolled without a certificate");
	if (approval < 0 || approval > G_MAXINT32)
		g_error("an approval that is no int32");
	cert_unref(ejbca_found_read(document, "00"));
	(void)ejbca_ca_read(document, "Mail CA");
}

static void
check_policy(const json_t *policy)
{
	const char *const emails[] = { "a@b.example", NULL };
	g_autoptr(GBytes) bytes = g_bytes_new_static("key", 3);
	struct atlas_wish wish = { .subject = { .common_name = "A" },
				   .emails = emails,
				   .sign = TRUE,
				   .encrypt = TRUE,
				   .now = 1800000000,
				   .seconds = 86400,
				   .key_kind = KEY_KIND_EC,
				   .key_bits = 256,
				   .spki = bytes,
				   .signature = bytes,
				   .csr_pem = "csr\n" };
	g_autoptr(GError) error = NULL;
	json_t *request = atlas_request_build(policy, &wish, atlas_pop_of(policy, "auto"), &error);
	g_autofree char *described = atlas_policy_describe(policy);

	check(request != NULL, error);
	if (request != NULL && json_object_get(request, "public_key") == NULL)
		g_error("a request without its key");
	json_decref(request);
}

static void
check_soap(GBytes *bytes)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(soap_answer) struct soap_answer *soap = soap_parse(bytes, &error);
	struct handler_answer answer = { 0 };

	check(soap != NULL, error);
	if (soap == NULL)
		return;
	const struct soap_node *response = epki_response(soap, TRUE, &answer);
	if (response == NULL && answer.text == NULL)
		g_error("no response, and not a word why");
	handler_answer_clear(&answer);
	if (response == NULL)
		return;
	g_autoptr(GPtrArray) certs = epki_cert_read(response);
	const struct soap_node *node = soap_find(response, "OrderDetails/OrderDetail");
	for (guint i = 0; node != NULL && i < 100; i++, node = soap_next(node)) {
		CLEANUP(epki_detail) struct epki_detail *detail = epki_detail_read(node);
		if (detail->certs != NULL && detail->certs->len == 0)
			g_error("certificates without one");
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(GError) error = NULL;
	struct http_answer got = { .status = 200, .body = bytes };
	json_t *document = peer_json(&got, &error);

	check(document != NULL, error);
	if (document != NULL) {
		check_ejbca(document);
		check_policy(document);
	}
	json_decref(document);
	check_soap(bytes);
	return 0;
}
