/*
 * epki_message - the elements of GasOrderService.
 */
#include "pki/handlers/epki_message.h"

#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/handlers/peer.h"
#include "store/base/clock.h"
#include "store/base/secret.h"

#define NAMESPACE "https://system.globalsign.com/cr/ws/"
#define ID_MAX_BYTES 64
#define CERT_TEXT_MAX_BYTES (1024 * 1024)

/* --- what we say --- */

static struct soap_writer *
start(const struct epki_account *account, const char *operation, const char *header)
{
	struct soap_writer *writer = soap_writer_new(operation, NAMESPACE, account->qualified);

	soap_open(writer, "Request");
	soap_open(writer, header);
	soap_open(writer, "AuthToken");
	soap_put(writer, "UserName", account->username);
	soap_put(writer, "Password",
		 account->password != NULL ? secret_text(account->password) : "");
	soap_close(writer);
	soap_close(writer);
	return writer;
}

struct secret *
epki_order_body(const struct epki_account *account, const struct epki_order *order, GError **error)
{
	g_autofree char *years = g_strdup_printf("%" G_GINT64_FORMAT, account->years);
	CLEANUP(soap_writer)
	struct soap_writer *writer =
	    start(account, "OrderAndIssueCertificate", "OrderRequestHeader");

	soap_put(writer, "ProfileID", account->profile_id);
	soap_put(writer, "ProductCode", account->product_code);
	soap_put(writer, "Year", years);
	soap_put(writer, "CSR", order->csr_pem);
	soap_put(writer, "EFSOption", order->efs ? "true" : NULL);
	soap_put(writer, "UPN", order->upn);
	soap_open(writer, "DnAttributes");
	soap_put(writer, "CommonName", order->common_name);
	for (const char *const *ou = order->organizational_units; ou != NULL && *ou != NULL; ou++)
		soap_put(writer, "OrganizationUnit", *ou);
	soap_put(writer, "Email", order->email);
	soap_close(writer);
	soap_put(writer, "PickupPassword", secret_text(order->pickup_password));
	return soap_finish(writer, error);
}

struct secret *
epki_query_body(const struct epki_account *account, const char *order_id, GError **error)
{
	CLEANUP(soap_writer)
	struct soap_writer *writer = start(account, "GetOrderByOrderId", "QueryRequestHeader");

	soap_put(writer, "OrderNo", order_id);
	soap_open(writer, "OrderQueryOption");
	soap_put(writer, "ReturnCertificateInfo", "true");
	soap_put(writer, "ReturnFulfillment", "true");
	soap_put(writer, "ReturnP7", "true");
	soap_close(writer);
	return soap_finish(writer, error);
}

struct secret *
epki_search_body(const struct epki_account *account, const char *common_name, gint64 from,
		 gint64 until, GError **error)
{
	g_autofree char *first = clock_format(from);
	g_autofree char *last = clock_format(until);
	CLEANUP(soap_writer)
	struct soap_writer *writer = start(account, "GetOrders", "QueryRequestHeader");

	soap_open(writer, "OrderQueryParam");
	soap_put(writer, "RequestDateFrom", first);
	soap_put(writer, "RequestDateTo", last);
	soap_put(writer, "CommonName", common_name);
	soap_close(writer);
	soap_open(writer, "OrdersQueryOption");
	soap_put(writer, "ReturnCertificateInfo", "true");
	soap_put(writer, "ReturnFulfillment", "true");
	soap_close(writer);
	return soap_finish(writer, error);
}

struct secret *
epki_revoke_body(const struct epki_account *account, const char *order_id, GError **error)
{
	CLEANUP(soap_writer)
	struct soap_writer *writer = start(account, "Revoke", "OrderRequestHeader");

	soap_put(writer, "OrderID", order_id);
	return soap_finish(writer, error);
}

struct secret *
epki_profiles_body(const struct epki_account *account, GError **error)
{
	CLEANUP(soap_writer)
	struct soap_writer *writer = start(account, "GetProfiles", "QueryRequestHeader");

	soap_open(writer, "ProfileQueryParam");
	soap_put(writer, "ProfileOrderNo", account->profile_id);
	soap_close(writer);
	return soap_finish(writer, error);
}

/* --- what it says --- */

/* The codes are those of the sister API: EPKI's own list is not public. */
static void
judge_code(const char *code, gboolean acts, enum handler_status *status,
	   enum handler_error_class *error_class)
{
	gint64 number = 0;

	(void)g_ascii_string_to_signed(code, 10, G_MININT32, G_MAXINT32, &number, NULL);
	*status = HANDLER_RETRY;
	if (number <= -101 && number >= -105) {
		*status = HANDLER_REJECTED;
		*error_class = HANDLER_ERROR_INPUT;
	} else if (number == -300) {
		*error_class = acts ? HANDLER_ERROR_CONFLICT : HANDLER_ERROR_TRANSIENT;
	} else if (number == -4001 || number == -6101) {
		*error_class = HANDLER_ERROR_CONFIG;
	} else {
		*status = HANDLER_REJECTED;
		*error_class = HANDLER_ERROR_CONFIG;
	}
}

static void
take_errors(const struct soap_node *header, gboolean acts, struct handler_answer *answer)
{
	const struct soap_node *one = soap_find(header, "Errors/Error");
	g_autofree char *code = soap_text(one, "ErrorCode", ID_MAX_BYTES);
	g_autofree char *field = soap_text(one, "ErrorField", 200);
	g_autofree char *message = soap_text(one, "ErrorMessage", 64 * 1024);
	enum handler_status status;
	enum handler_error_class error_class;

	judge_code(code != NULL ? code : "", acts, &status, &error_class);
	handler_answer_set(answer, status, error_class, code, "%s%s%.*s",
			   field != NULL && *field != '\0' ? field : "",
			   field != NULL && *field != '\0' ? ": " : "", PEER_TEXT_MAX_BYTES,
			   message != NULL && *message != '\0' ? message
							       : "the service gave no reason");
}

static void
take_fault(const char *code, const char *text, gboolean acts, struct handler_answer *answer)
{
	gboolean is_ours = code != NULL && g_ascii_strcasecmp(code, "Client") == 0;

	handler_answer_set(answer, is_ours ? HANDLER_REJECTED : HANDLER_RETRY,
			   is_ours ? HANDLER_ERROR_CONFIG
			   : acts  ? HANDLER_ERROR_CONFLICT
				   : HANDLER_ERROR_TRANSIENT,
			   code, "SOAP fault: %.*s", PEER_TEXT_MAX_BYTES,
			   text != NULL ? text : "without a text");
}

static const struct soap_node *
header_of(const struct soap_node *response)
{
	const struct soap_node *order = soap_find(response, "OrderResponseHeader");

	return order != NULL ? order : soap_find(response, "QueryResponseHeader");
}

const struct soap_node *
epki_response(const struct soap_answer *soap, gboolean acts, struct handler_answer *answer)
{
	g_autofree char *code = NULL;
	g_autofree char *text = NULL;

	if (soap_fault(soap, &code, &text)) {
		take_fault(code, text, acts, answer);
		return NULL;
	}
	const struct soap_node *response = soap_find(soap_body(soap), "Response");
	const struct soap_node *header = header_of(response);
	g_autofree char *success = soap_text(header, "SuccessCode", 20);
	gint64 number;
	if (success == NULL ||
	    !g_ascii_string_to_signed(success, 10, G_MININT32, G_MAXINT32, &number, NULL)) {
		handler_answer_set(answer, HANDLER_RETRY,
				   acts ? HANDLER_ERROR_CONFLICT : HANDLER_ERROR_TRANSIENT, NULL,
				   "the answer does not say whether it is a success");
		return NULL;
	}
	/* Positive: done, with warnings. */
	if (number >= 0)
		return response;
	take_errors(header, acts, answer);
	return NULL;
}

static GPtrArray *
certs_of(const char *text)
{
	gsize length;

	if (text == NULL || *text == '\0')
		return NULL;
	if (strstr(text, "-----BEGIN ") != NULL) {
		g_autoptr(GBytes) pem = g_bytes_new(text, strlen(text));
		return peer_certs_from(pem, NULL);
	}
	guchar *bytes = g_base64_decode(text, &length);
	g_autoptr(GBytes) der = g_bytes_new_take(bytes, length);
	return length > 0 ? peer_certs_from(der, NULL) : NULL;
}

GPtrArray *
epki_cert_read(const struct soap_node *response)
{
	g_autofree char *text = soap_text(response, "CERT", CERT_TEXT_MAX_BYTES);

	return certs_of(text);
}

/* Numbers of the sister API; words as well, for EPKI's may differ. */
static enum epki_status
status_of(const char *text)
{
	static const struct {
		const char *text;
		enum epki_status status;
	} known[] = {
		{ "4", EPKI_ISSUED },        { "issued", EPKI_ISSUED },
		{ "6", EPKI_REVOKED },       { "7", EPKI_REVOKED },
		{ "revoked", EPKI_REVOKED }, { "3", EPKI_REFUSED },
		{ "5", EPKI_REFUSED },       { "10", EPKI_REFUSED },
		{ "denied", EPKI_REFUSED },  { "cancelled", EPKI_REFUSED },
	};

	for (gsize i = 0; text != NULL && i < G_N_ELEMENTS(known); i++)
		if (g_ascii_strcasecmp(known[i].text, text) == 0)
			return known[i].status;
	return EPKI_WAITS;
}

struct epki_detail *
epki_detail_read(const struct soap_node *node)
{
	struct epki_detail *detail = g_new0(struct epki_detail, 1);
	const struct soap_node *fulfilled = soap_find(node, "Fulfillment/CrCertificate");
	g_autofree char *cert = soap_text(fulfilled, "Certificate", CERT_TEXT_MAX_BYTES);
	g_autofree char *chain = soap_text(fulfilled, "PKCS7Cert", CERT_TEXT_MAX_BYTES);
	g_autoptr(GPtrArray) more = certs_of(chain);

	detail->order_id = soap_text(node, "OrderInfo/OrderNo", ID_MAX_BYTES);
	detail->status_text = soap_text(node, "OrderInfo/OrderStatus", ID_MAX_BYTES);
	detail->serial = soap_text(node, "CrCertificateInfo/SerialNumber", 200);
	detail->email = soap_text(node, "CrCertificateInfo/Email", 400);
	detail->status = status_of(detail->status_text);
	detail->certs = certs_of(cert);
	for (guint i = 0; detail->certs != NULL && more != NULL && i < more->len; i++)
		g_ptr_array_add(detail->certs, cert_ref(g_ptr_array_index(more, i)));
	return detail;
}

void
epki_detail_free(struct epki_detail *detail)
{
	if (detail == NULL)
		return;
	g_free(detail->order_id);
	g_free(detail->status_text);
	g_free(detail->serial);
	g_free(detail->email);
	if (detail->certs != NULL)
		g_ptr_array_unref(detail->certs);
	g_free(detail);
}
