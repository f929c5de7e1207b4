/*
 * What EJBCA, Atlas and EPKI are told: the request that a validation policy lets through, or why
 * not; names and reasons; what XML does to a value. Tables.
 */
#include <jansson.h>
#include <string.h>

#include "pki/handlers/atlas_request.h"
#include "pki/handlers/ejbca_message.h"
#include "pki/handlers/epki_message.h"
#include "pki/handlers/peer.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/secret.h"
#include "store/requests.h"

/* --- Atlas --- */

#define SAN                                                                                        \
	"'san': {'emails': {'static': false, 'list': ['^.+@b\\\\.example$'], 'mincount': 1, "      \
	"'maxcount': 1}}"
#define NAME "'subject_dn': {'common_name': {'presence': 'REQUIRED', 'format': '^[A-Z]'}}"

static const struct {
	const char *what, *policy;
	const char *sent;    /* stands in the request; NULL: refused */
	const char *refused; /* stands in the error, or must not be in the request */
} policies[] = {
	{ "what it asks for is sent", "{" SAN "," NAME "}", "\"common_name\":\"Alice\"", NULL },
	{ "the address stands in the SAN", "{" SAN "}", "\"emails\":[\"a@b.example\"]",
	  "subject_dn" },
	{ "STATIC is not sent",
	  "{" SAN ",'subject_dn': {'common_name': {'presence': 'STATIC', 'format': 'x'}}}",
	  "\"san\"", "common_name" },
	{ "FORBIDDEN is not sent",
	  "{" SAN ",'subject_dn': {'common_name': {'presence': 'FORBIDDEN'}}}", "\"san\"",
	  "common_name" },
	{ "OPTIONAL is sent when it is there",
	  "{" SAN ",'subject_dn': {'organization': {'presence': 'OPTIONAL', 'format': '^O'}}}",
	  "\"organization\":\"Org\"", NULL },
	{ "OPTIONAL that does not fit is refused",
	  "{" SAN ",'subject_dn': {'organization': {'presence': 'OPTIONAL', 'format': '^X'}}}",
	  NULL, "subject_dn.organization 'Org' does not fit" },
	{ "REQUIRED that is not there is refused",
	  "{" SAN ",'subject_dn': {'locality': {'presence': 'REQUIRED'}}}", NULL,
	  "requires subject_dn.locality" },
	{ "an expression that cannot be read is the peer's business",
	  "{" SAN ",'subject_dn': {'common_name': {'presence': 'REQUIRED', 'format': '(('}}}",
	  "\"common_name\":\"Alice\"", NULL },
	{ "the address is in the subject only where it must",
	  "{" SAN ",'subject_dn': {'email': {'presence': 'OPTIONAL', 'format': ''}}}", "\"san\"",
	  "\"email\":" },
	{ "and there it is",
	  "{" SAN ",'subject_dn': {'email': {'presence': 'REQUIRED', 'format': ''}}}",
	  "\"email\":\"a@b.example\"", NULL },
	{ "an address that does not fit",
	  "{'san': {'emails': {'static': false, 'list': ['@c'], 'mincount': 1, 'maxcount': 1}}}",
	  NULL, "san.emails 'a@b.example' does not fit" },
	{ "a policy without addresses", "{}", NULL,
	  "takes 0 to 0 values of san.emails, and there are 1" },
	{ "names that we do not have",
	  "{'san': {'emails': {'static': true}, 'dns_names': {'mincount': 1, 'maxcount': 1, "
	  "'list': []}}}",
	  NULL, "san.dns_names, and there are 0" },
	{ "purposes are sent where they may be chosen",
	  "{" SAN
	  ",'extended_key_usages': {'ekus': {'static': false, 'list': ['4$'], 'mincount': 1, "
	  "'maxcount': 1}}}",
	  "\"extended_key_usages\":[\"1.3.6.1.5.5.7.3.4\"]", NULL },
	{ "static purposes are not",
	  "{" SAN ",'extended_key_usages': {'ekus': {'static': true, 'list': ['x']}}}", "\"san\"",
	  "extended_key_usages" },
	{ "no mail in this account",
	  "{" SAN
	  ",'extended_key_usages': {'ekus': {'static': false, 'list': ['1$'], 'mincount': 1, "
	  "'maxcount': 1}}}",
	  NULL, "extended_key_usages.ekus" },
	{ "usages: what is open",
	  "{" SAN
	  ",'key_usages': {'digital_signature': 'STATIC_TRUE', 'key_agreement': 'OPTIONAL', "
	  "'key_encipherment': 'OPTIONAL'}}",
	  "\"key_usages\":{\"key_agreement\":true}", "digital_signature" },
	{ "keys: another kind", "{" SAN ",'public_key': {'key_type': 'RSA'}}", NULL,
	  "public_key 'ECDSA'" },
	{ "keys: another length",
	  "{" SAN ",'public_key': {'key_type': 'ECDSA', 'allowed_lengths': [384]}}", NULL,
	  "ECDSA of 256 bits" },
	{ "no proof", "{" SAN "}", "BEGIN PUBLIC KEY", "public_key_signature" },
	{ "a signature", "{" SAN ",'public_key_signature': 'REQUIRED'}",
	  "\"public_key_signature\":\"c2ln\"", NULL },
	{ "a PKCS#10 without its last line end",
	  "{" SAN ",'public_key': {'key_format': 'PKCS10'}, 'public_key_signature': 'REQUIRED'}",
	  "\"public_key\":\"the request\"", "public_key_signature" },
	{ "the hash that it asks for",
	  "{" SAN ",'signature': {'hash_algorithm': {'presence': 'REQUIRED', 'list': ['SHA-512', "
		  "'SHA-256']}}}",
	  "\"hash_algorithm\":\"SHA-256\"", "\"algorithm\":\"" },
	{ "the validity is cut to the maximum",
	  "{" SAN ",'validity': {'secondsmin': 1, 'secondsmax': 3600}}", "\"not_after\":1003600",
	  NULL },
	{ "and to the end of the issuer",
	  "{" SAN ",'validity': {'secondsmin': 1, 'secondsmax': 360000, 'issuer_expiry': 1000100}}",
	  "\"not_after\":1000100", NULL },
	{ "too short", "{" SAN ",'validity': {'secondsmin': 864000, 'secondsmax': 8640000}}", NULL,
	  "below 10 days" },
	{ "what nobody fills in",
	  "{" SAN ",'custom_extensions': {'1.2.3': {'presence': 'REQUIRED'}}}", NULL,
	  "requires 1.2.3 of custom_extensions" },
	{ "what it sets by itself",
	  "{" SAN ",'custom_extensions': {'1.2.3': {'presence': 'STATIC'}}}", "\"san\"", "1.2.3" },
};

static json_t *
parse_policy(const char *text)
{
	g_autoptr(GString) json = g_string_new(text);

	g_string_replace(json, "'", "\"", 0);
	json_t *policy = json_loads(json->str, 0, NULL);
	g_assert_nonnull(policy);
	return policy;
}

static void
test_policy(void)
{
	const char *const emails[] = { "a@b.example", NULL };
	g_autoptr(GBytes) bytes = g_bytes_new_static("sig", 3);
	struct atlas_wish wish = { .subject = { .common_name = "Alice",
						.email = "a@b.example",
						.organization = "Org" },
				   .emails = emails,
				   .sign = TRUE,
				   .encrypt = TRUE,
				   .now = 1000000,
				   .seconds = 86400,
				   .key_kind = KEY_KIND_EC,
				   .key_bits = 256,
				   .spki = bytes,
				   .signature = bytes,
				   .csr_pem = "the request\n" };

	for (gsize i = 0; i < G_N_ELEMENTS(policies); i++) {
		g_autoptr(GError) error = NULL;
		json_t *policy = parse_policy(policies[i].policy);
		json_t *request =
		    atlas_request_build(policy, &wish, atlas_pop_of(policy, "auto"), &error);
		char *text = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
		const char *shown = text != NULL ? text : error->message;

		g_test_message("%s: %s", policies[i].what, shown);
		g_assert_cmpint(policies[i].sent != NULL, ==, text != NULL);
		if (policies[i].sent != NULL)
			g_assert_nonnull(strstr(shown, policies[i].sent));
		if (policies[i].refused != NULL)
			g_assert_true((strstr(shown, policies[i].refused) != NULL) ==
				      (policies[i].sent == NULL));
		json_decref(request);
		json_decref(policy);
		free(text);
	}
}

/* --- EJBCA --- */

static void
test_username(void)
{
	static const struct {
		const char *template, *name;
	} rows[] = {
		{ "{email}", "alice@b.example" },
		{ "x-{local}.{domain}", "x-alice.b.example" },
		{ "{common_name}", "Alice" },
		{ "plain", "plain" },
		{ "a{b", "a{b" },
		{ "{nothing}", NULL },
		{ "", NULL },
		{ "{hash}", "" },
	};
	const struct request_row request = { .email = (char *)"alice@b.example",
					     .common_name = (char *)"Alice" };

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		g_autofree char *name = ejbca_username(rows[i].template, &request, &error);

		g_assert_true((name == NULL) == (error != NULL));
		if (rows[i].name != NULL && *rows[i].name == '\0')
			g_assert_cmpuint(strlen(name), ==, 32);
		else
			g_assert_cmpstr(name, ==, rows[i].name);
	}
}

static void
test_ejbca(void)
{
	static const struct {
		const char *answer;
		gint64 number;
	} approvals[] = {
		{ "{'link': 'https://h/ejbca/v1/certificate/77/finalize', 'info_message': 'Request "
		  "with Id 8'}",
		  77 },
		{ "{'info_message': 'Request with Id 1001 is waiting'}", 1001 },
		{ "{'info_message': 'Request with Id -5 is waiting'}", 5 },
		{ "{'info_message': 'Request with Id 99999999999'}", 0 },
		{ "{'link': '/v1/certificate/'}", 0 },
		{ "[]", 0 },
	};
	g_autofree char *dn = ejbca_dn("CN=Mail CA, O=A\\, B,  C=DE");

	g_assert_cmpstr(dn, ==, "CN=Mail CA,O=A\\, B,C=DE");
	g_assert_cmpstr(ejbca_reason("keyCompromise"), ==, "KEY_COMPROMISE");
	g_assert_cmpstr(ejbca_reason("privilegeWithdrawn"), ==, "PRIVILEGES_WITHDRAWN");
	g_assert_cmpstr(ejbca_reason(NULL), ==, "UNSPECIFIED");
	for (gsize i = 0; i < G_N_ELEMENTS(approvals); i++) {
		json_t *answer = parse_policy(approvals[i].answer);
		g_assert_cmpint(ejbca_approval_read(answer), ==, approvals[i].number);
		json_decref(answer);
	}
}

/* --- what is shared --- */

static void
test_soap(void)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(soap_writer) struct soap_writer *writer = soap_writer_new("Do", "urn:x", FALSE);

	soap_open(writer, "In");
	soap_put(writer, "Value", "a<b>&\"c\"\r\n]]>");
	soap_put(writer, "None", NULL);
	CLEANUP(secret) struct secret *text = soap_finish(writer, &error);
	g_assert_no_error(error);
	g_autoptr(GBytes) bytes = g_bytes_new(secret_bytes(text), secret_length(text));
	CLEANUP(soap_answer) struct soap_answer *answer = soap_parse(bytes, &error);
	g_assert_no_error(error);
	g_autofree char *value = soap_text(soap_body(answer), "in/VALUE", 100);
	g_assert_cmpstr(value, ==, "a<b>&\"c\"\r\n]]>");
	g_assert_null(soap_find(soap_body(answer), "In/None"));
	g_autofree char *cut = soap_text(soap_body(answer), "In/Value", 3);
	g_assert_null(cut);

	CLEANUP(soap_writer) struct soap_writer *unfit = soap_writer_new("Do", "urn:x", TRUE);
	soap_put(unfit, "Value", "a\x01");
	g_assert_null(soap_finish(unfit, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
}

static void
test_form(void)
{
	const struct peer_field fields[] = {
		{ "a", "1 &=%\xc3\xa9" }, { "b", NULL }, { "c", "" }, { NULL, NULL }
	};
	CLEANUP(secret) struct secret *body = peer_form_body(fields);

	g_assert_cmpstr(secret_text(body), ==, "a=1%20%26%3D%25%C3%A9&c=");
}

static void
test_failure(void)
{
	static const struct {
		unsigned int status;
		gboolean acts;
		enum handler_status what;
		enum handler_error_class error_class;
	} rows[] = {
		{ 400, TRUE, HANDLER_REJECTED, HANDLER_ERROR_INPUT },
		{ 401, TRUE, HANDLER_RETRY, HANDLER_ERROR_CONFIG },
		{ 403, FALSE, HANDLER_RETRY, HANDLER_ERROR_CONFIG },
		{ 409, TRUE, HANDLER_RETRY, HANDLER_ERROR_CONFLICT },
		{ 422, TRUE, HANDLER_REJECTED, HANDLER_ERROR_INPUT },
		{ 429, TRUE, HANDLER_RETRY, HANDLER_ERROR_TRANSIENT },
		{ 302, TRUE, HANDLER_RETRY, HANDLER_ERROR_CONFIG },
		{ 500, TRUE, HANDLER_RETRY, HANDLER_ERROR_CONFLICT },
		{ 500, FALSE, HANDLER_RETRY, HANDLER_ERROR_TRANSIENT },
		{ 502, TRUE, HANDLER_RETRY, HANDLER_ERROR_CONFLICT },
		{ 503, TRUE, HANDLER_RETRY, HANDLER_ERROR_TRANSIENT },
		{ 200, TRUE, HANDLER_RETRY, HANDLER_ERROR_CONFLICT },
	};
	CLEANUP(clock) struct clock *clock = clock_new_fixed(1000);
	const struct handler_context context = { .clock = clock };
	g_autoptr(GBytes) body = g_bytes_new_static("", 0);

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		const struct http_answer got = { .status = rows[i].status,
						 .body = body,
						 .retry_after = 60 };
		struct handler_answer answer = { 0 };

		peer_failure(&context, &got, rows[i].acts, NULL, NULL, &answer);
		g_assert_cmpint(answer.status, ==, rows[i].what);
		g_assert_cmpint(answer.error_class, ==, rows[i].error_class);
		g_assert_cmpint(answer.not_before, ==, 1060);
		handler_answer_clear(&answer);
	}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/handler_messages/policy", test_policy);
	g_test_add_func("/handler_messages/username", test_username);
	g_test_add_func("/handler_messages/ejbca", test_ejbca);
	g_test_add_func("/handler_messages/soap", test_soap);
	g_test_add_func("/handler_messages/form", test_form);
	g_test_add_func("/handler_messages/failure", test_failure);
	return g_test_run();
}
