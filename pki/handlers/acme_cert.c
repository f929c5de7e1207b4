/*
 * acme_cert - certificates of an ACME server.
 */
#include "pki/handlers/acme_cert.h"

#include <string.h>

#include "pki/crypto/bundle.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/crl.h"
#include "pki/crypto/jws.h"
#include "pki/crypto/key.h"
#include "pki/handlers/acme_account.h"
#include "pki/keyring.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/certs.h"
#include "store/requests.h"

#define PEM "application/pem-certificate-chain"
#define CHAIN_MAX_BYTES (256 * 1024)
#define ALTERNATES_MAX 10
#define SERIAL_MAX_BYTES 32

/* ---- download -------------------------------------------------------------------------------- */

/* The certificate, then what issued it; NULL: the conversation has ended. *got: the whole answer.
 */
static GPtrArray *
chain_at(struct acme *acme, const char *url, struct http_answer **got)
{
	const struct acme_call call = { .url = url, .accept = PEM };
	g_autoptr(GError) why = NULL;

	*got = acme_post(acme, &call, NULL);
	if (*got == NULL)
		return NULL;
	if (g_bytes_get_size((*got)->body) > CHAIN_MAX_BYTES) {
		acme_stop(acme, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL,
			  "the chain of the certificate is too large");
		return NULL;
	}
	CLEANUP(bundle) struct bundle *bundle = bundle_read((*got)->body, "the chain", NULL, &why);
	if (bundle == NULL || bundle->certs->len == 0) {
		acme_stop(acme, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL,
			  "what the server gives is no chain of certificates");
		return NULL;
	}
	return g_ptr_array_ref(bundle->certs);
}

/* By the common name of what issued the last one: the root that the chain leads to. */
static gboolean
leads_to(GPtrArray *chain, const char *root)
{
	const struct cert *last = g_ptr_array_index(chain, chain->len - 1);
	g_autofree char *wanted = g_strconcat("CN=", root, NULL);
	g_auto(GStrv) parts = g_strsplit(cert_issuer(last), ", ", -1);

	return g_strv_contains((const char *const *)parts, wanted);
}

/* An alternative that cannot be had is no reason to have no certificate. */
static GPtrArray *
alternative(struct acme *acme, const struct http_answer *got, const char *preferred)
{
	g_auto(GStrv) urls = acme_links(http_header(got, "link"), "alternate");

	for (guint i = 0; urls[i] != NULL && i < ALTERNATES_MAX; i++) {
		CLEANUP(http_answer) struct http_answer *other = NULL;
		g_autoptr(GPtrArray) chain = chain_at(acme, urls[i], &other);
		if (chain != NULL && leads_to(chain, preferred))
			return g_steal_pointer(&chain);
	}
	return NULL;
}

gboolean
acme_cert_download(struct acme *acme, const char *url)
{
	const char *preferred = handler_config_text(acme->context->config, "preferred_chain");
	CLEANUP(http_answer) struct http_answer *got = NULL;
	g_autoptr(GPtrArray) chain = chain_at(acme, url, &got);

	if (chain == NULL)
		return FALSE;
	if (*preferred != '\0' && !leads_to(chain, preferred)) {
		GPtrArray *other = alternative(acme, got, preferred);
		if (other == NULL)
			log_warning("the CA has no chain to the root that is preferred", "root",
				    preferred);
		else {
			g_ptr_array_unref(chain);
			chain = other;
		}
	}
	handler_answer_set(acme->answer, HANDLER_ISSUED, HANDLER_ERROR_NONE, NULL, "%s", "");
	acme->answer->certs = g_steal_pointer(&chain);
	return TRUE;
}

/* ---- renewal --------------------------------------------------------------------------------- */

/* The bytes of an even number of hex digits. */
static GByteArray *
bytes_of(const char *hex)
{
	gsize length = strlen(hex);
	GByteArray *bytes = g_byte_array_new();

	for (gsize i = length % 2; i <= length; i += 2) {
		guint8 byte;
		if (i == 0)
			continue;
		byte = (guint8)(g_ascii_xdigit_value(hex[i - 1]) & 0xf);
		if (i >= 2)
			byte = (guint8)(byte | (g_ascii_xdigit_value(hex[i - 2]) & 0xf) << 4);
		g_byte_array_append(bytes, &byte, 1);
	}
	return bytes;
}

/* The number as DER has it: a byte 0 before one that would be negative. */
char *
acme_cert_id(const struct cert *cert)
{
	const guint8 zero = 0;

	if (cert_aki(cert) == NULL)
		return NULL;
	g_autoptr(GByteArray) aki = bytes_of(cert_aki(cert));
	g_autoptr(GByteArray) serial = bytes_of(cert_serial_hex(cert));
	if (aki->len == 0 || serial->len == 0 || serial->len > SERIAL_MAX_BYTES)
		return NULL;
	if ((serial->data[0] & 0x80) != 0)
		g_byte_array_prepend(serial, &zero, 1);
	g_autofree char *first = jws_base64url(aki->data, aki->len);
	g_autofree char *second = jws_base64url(serial->data, serial->len);
	return g_strconcat(first, ".", second, NULL);
}

/* Another server would refuse the order for a certificate that it has not issued. */
static gboolean
is_of(const struct acme_work *work, gint64 request_id)
{
	CLEANUP(request_row)
	struct request_row *before = requests_find(work->acme->context->db, request_id, NULL);

	return before != NULL && g_strcmp0(before->handler, work->request->handler) == 0 &&
	       g_strcmp0(before->handler_config, work->request->handler_config) == 0;
}

char *
acme_cert_replaced(struct acme_work *work)
{
	const char *thumbprint = work->request->renews;

	if (work->acme->directory->renewal_info == NULL || thumbprint == NULL)
		return NULL;
	CLEANUP(cert_row)
	struct cert_row *row = certs_find(work->acme->context->db, thumbprint, NULL);
	if (row == NULL || !is_of(work, row->request_id))
		return NULL;
	CLEANUP(cert) struct cert *cert = cert_parse(row->der, NULL);
	return cert != NULL ? acme_cert_id(cert) : NULL;
}

/* The server's word about one certificate; a GET without a signature (RFC 9773 section 4.1). */
static gboolean
read_window(struct acme *acme, const char *id, struct handler_advice *advice, GError **error)
{
	g_autofree char *url = g_strconcat(acme->directory->renewal_info, "/", id, NULL);
	CLEANUP(http_answer) struct http_answer *got = NULL;
	json_t *json = acme_get_json(acme, url, &got);

	if (json == NULL)
		return fail_false(error, PS_ERROR_TEMPORARY, "the CA's advice about renewals: %s",
				  acme->answer->text != NULL ? acme->answer->text : "none");
	gboolean good = acme_window_read(json, &advice->start, &advice->end, error);
	json_decref(json);
	advice->again_seconds = got->retry_after;
	return good;
}

gboolean
acme_cert_advise(const struct handler_context *context, const struct cert *cert,
		 struct handler_advice *advice, GError **error)
{
	struct handler_answer answer = { 0 };
	g_autofree char *id = acme_cert_id(cert);
	g_autoptr(GError) why = NULL;
	gboolean good = FALSE;

	CLEANUP(acme) struct acme *acme = acme_open(context, &answer, &why);
	if (acme != NULL && (acme->directory->renewal_info == NULL || id == NULL))
		fail(error, PS_ERROR_NOT_FOUND, "the CA gives no advice about renewals");
	else if (acme != NULL)
		good = read_window(acme, id, advice, error);
	else
		fail(error, PS_ERROR_TEMPORARY, "the CA's advice about renewals: %s",
		     why != NULL           ? why->message
		     : answer.text != NULL ? answer.text
					   : "none");
	handler_answer_clear(&answer);
	return good;
}

/* ---- revocation ------------------------------------------------------------------------------ */

static json_t *
revocation(const struct cert *cert, const char *reason)
{
	gsize length;
	const guint8 *bytes = g_bytes_get_data(cert_der(cert), &length);
	g_autofree char *der = jws_base64url(bytes, length);
	enum crl_reason code;
	json_t *payload = json_pack("{s:s}", "certificate", der);

	if (reason != NULL && crl_reason_by_name(reason, &code))
		json_object_set_new(payload, "reason", json_integer((json_int_t)code));
	return payload;
}

/* TRUE: that is the end of it; FALSE: this key may not. */
static gboolean
revoke_as(struct acme *acme, const struct cert *cert, const char *reason, const struct key *as)
{
	const struct acme_call call = {
		.url = acme->directory->revoke_cert,
		.payload = revocation(cert, reason),
		.as = as,
	};
	CLEANUP(acme_problem) struct acme_problem *problem = NULL;
	CLEANUP(http_answer) struct http_answer *got = acme_post(acme, &call, &problem);

	if (got != NULL || acme_problem_is(problem, "alreadyRevoked")) {
		handler_answer_set(acme->answer, HANDLER_ISSUED, HANDLER_ERROR_NONE, NULL, "%s",
				   got != NULL ? "revoked" : "it was revoked before");
		return TRUE;
	}
	if (problem == NULL)
		return TRUE;
	acme_stop_problem(acme, "the revocation was refused", problem);
	return !acme_problem_is(problem, "unauthorized");
}

/* An account that did not order it may not; who holds its key may. */
void
acme_cert_revoke(struct acme *acme, const struct cert *cert, const char *reason)
{
	if (!acme_account_ready(acme) || revoke_as(acme, cert, reason, NULL))
		return;
	CLEANUP(key)
	struct key *key = keyring_find(acme->context->keyring, cert_spki_sha256(cert), NULL);
	if (key != NULL && jws_algorithm(key) != NULL)
		(void)revoke_as(acme, cert, reason, key);
}
