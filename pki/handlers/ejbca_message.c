/*
 * ejbca_message - JSON of EJBCA's REST interface.
 */
#include "pki/handlers/ejbca_message.h"

#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/handlers/peer.h"
#include "store/base/error.h"
#include "store/base/printable.h"
#include "store/base/secret.h"
#include "store/requests.h"

#define CERT_TEXT_MAX_BYTES (4 * CERT_SIZE_MAX_BYTES)
#define CHAIN_MAX 16
#define FOUND_MAX 1000
#define USERNAME_MAX_BYTES 250

/* --- what we say --- */

static void
set(json_t *object, const char *name, const char *value)
{
	if (value != NULL)
		json_object_set_new(object, name, json_string(value));
}

/* NAME=VALUE rows as [{"name": ..., "value": ...}]. */
static void
set_pairs(json_t *object, const char *name, const char *const *rows)
{
	if (rows == NULL || *rows == NULL)
		return;
	json_t *array = json_array();
	for (; *rows != NULL; rows++) {
		const char *equals = strchr(*rows, '=');
		json_t *pair = json_object();

		json_object_set_new(
		    pair, "name",
		    json_stringn(*rows, equals != NULL ? (gsize)(equals - *rows) : strlen(*rows)));
		set(pair, "value", equals != NULL ? equals + 1 : "");
		json_array_append_new(array, pair);
	}
	json_object_set_new(object, name, array);
}

static void
set_time(json_t *object, const char *name, gint64 at)
{
	g_autoptr(GDateTime) time = at != 0 ? g_date_time_new_from_unix_utc(at) : NULL;
	g_autofree char *text = time != NULL ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S") : NULL;

	set(object, name, text);
}

struct secret *
ejbca_enrol_body(const struct ejbca_enrol *enrol)
{
	json_t *body = json_object();

	set(body, "certificate_request", enrol->csr_pem);
	set(body, "certificate_authority_name", enrol->ca_name);
	set(body, "username", enrol->username);
	set(body, "password", secret_text(enrol->code));
	json_object_set_new(body, "include_chain", json_true());
	if (!enrol->existing) {
		set(body, "certificate_profile_name", enrol->certificate_profile);
		set(body, "end_entity_profile_name", enrol->end_entity_profile);
		set(body, "email", enrol->email);
		set(body, "account_binding_id", enrol->account_binding_id);
		set(body, "response_format", enrol->response_format);
		set(body, "subject_dn", enrol->subject_dn);
		set_pairs(body, "extension_data", enrol->extension_data);
		set_pairs(body, "custom_data", enrol->custom_data);
		set_time(body, "start_time", enrol->not_before);
		set_time(body, "end_time", enrol->not_after);
	}
	struct secret *text = peer_json_body(body);
	json_decref(body);
	return text;
}

struct secret *
ejbca_finalize_body(const struct secret *code)
{
	json_t *body = json_object();

	set(body, "response_format", "DER");
	set(body, "password", secret_text(code));
	struct secret *text = peer_json_body(body);
	json_decref(body);
	return text;
}

char *
ejbca_search_body(const char *username, gboolean v2)
{
	json_t *criterion = json_pack("{s:s, s:s, s:s}", "property", "QUERY", "value", username,
				      "operation", "EQUAL");
	json_t *body =
	    v2 ? json_pack("{s:{s:i, s:i}, s:[o]}", "pagination", "page_size", 100, "current_page",
			   1, "criteria", criterion)
	       : json_pack("{s:i, s:[o]}", "max_number_of_results", 100, "criteria", criterion);
	CLEANUP(secret) struct secret *text = peer_json_body(body);

	json_decref(body);
	return g_strdup(secret_text(text));
}

static char *
value_of(const char *name, gsize length, const struct request_row *request)
{
	const char *at = strrchr(request->email, '@');
	gsize local = at != NULL ? (gsize)(at - request->email) : strlen(request->email);

#define IS(what) (length == strlen(what) && strncmp(name, what, length) == 0)
	if (IS("email"))
		return g_strdup(request->email);
	if (IS("local"))
		return g_strndup(request->email, local);
	if (IS("domain"))
		return g_strdup(at != NULL ? at + 1 : "");
	if (IS("common_name"))
		return g_strdup(request->common_name);
	if (IS("hash")) {
		char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, request->email, -1);
		digest[32] = '\0';
		return digest;
	}
#undef IS
	return NULL;
}

char *
ejbca_username(const char *template, const struct request_row *request, GError **error)
{
	g_autoptr(GString) name = g_string_new(NULL);

	for (const char *p = template; *p != '\0'; p++) {
		const char *end = *p == '{' ? strchr(p, '}') : NULL;

		if (end == NULL) {
			g_string_append_c(name, *p);
			continue;
		}
		g_autofree char *value = value_of(p + 1, (gsize)(end - p - 1), request);
		if (value == NULL)
			return fail(error, PS_ERROR_INVALID,
				    "username_template '%s': there are {email}, {local}, {domain}, "
				    "{common_name} and {hash}",
				    template);
		g_string_append(name, value);
		p = end;
	}
	if (name->len == 0 || name->len > USERNAME_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID,
			    "username_template '%s' gives a name of %zu bytes, 1 to %d may be",
			    template, name->len, USERNAME_MAX_BYTES);
	return g_string_free(g_steal_pointer(&name), FALSE);
}

const char *
ejbca_reason(const char *reason)
{
	static const struct {
		const char *ours, *theirs;
	} reasons[] = {
		{ "keyCompromise", "KEY_COMPROMISE" },
		{ "cACompromise", "CA_COMPROMISE" },
		{ "affiliationChanged", "AFFILIATION_CHANGED" },
		{ "superseded", "SUPERSEDED" },
		{ "cessationOfOperation", "CESSATION_OF_OPERATION" },
		{ "certificateHold", "CERTIFICATE_HOLD" },
		{ "removeFromCRL", "REMOVE_FROM_CRL" },
		{ "privilegeWithdrawn", "PRIVILEGES_WITHDRAWN" },
		{ "aACompromise", "AA_COMPROMISE" },
	};

	for (gsize i = 0; reason != NULL && i < G_N_ELEMENTS(reasons); i++)
		if (strcmp(reasons[i].ours, reason) == 0)
			return reasons[i].theirs;
	return "UNSPECIFIED";
}

char *
ejbca_dn(const char *name)
{
	GString *dn = g_string_new(NULL);

	for (const char *p = name; *p != '\0'; p++) {
		g_string_append_c(dn, *p);
		if (*p == '\\' && p[1] != '\0')
			g_string_append_c(dn, *++p);
		else if (*p == ',')
			while (p[1] == ' ')
				p++;
	}
	return g_string_free(dn, FALSE);
}

/* --- what it says --- */

static GBytes *
decode(const char *text)
{
	gsize length;
	guchar *bytes = g_base64_decode(text, &length);

	return g_bytes_new_take(bytes, length);
}

/* base64 of DER; a search encodes it once more, and some answer in PEM. */
static struct cert *
read_cert(const json_t *value, GError **error)
{
	const char *text = json_is_string(value) && json_string_length(value) <= CERT_TEXT_MAX_BYTES
			       ? json_string_value(value)
			       : NULL;

	if (text == NULL)
		return fail(error, PS_ERROR_INVALID, "the answer is without a certificate");
	if (g_str_has_prefix(text, "-----BEGIN "))
		return peer_cert_from_pem(text, strlen(text), error);
	g_autoptr(GBytes) der = decode(text);
	gsize length;
	const guint8 *bytes = g_bytes_get_data(der, &length);
	if (length > 0 && bytes[0] != 0x30) {
		g_autofree char *inner = g_strndup((const char *)bytes, length);
		g_autoptr(GBytes) again = decode(inner);

		return cert_parse(again, error);
	}
	return cert_parse(der, error);
}

GPtrArray *
ejbca_enrolled_read(const json_t *document, GError **error)
{
	const char *format = peer_json_text(document, "response_format", 20);
	const json_t *chain = json_object_get(document, "certificate_chain");

	if (format != NULL && strcmp(format, "DER") != 0 && strcmp(format, "PEM") != 0) {
		g_autofree char *shown = printable(format);
		return fail(error, PS_ERROR_INVALID, "the answer is in the format '%s', not DER",
			    shown);
	}
	struct cert *first = read_cert(json_object_get(document, "certificate"), error);
	if (first == NULL)
		return NULL;
	g_autoptr(GPtrArray) certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	g_ptr_array_add(certs, first);
	for (size_t i = 0; i < MIN(json_array_size(chain), CHAIN_MAX); i++) {
		struct cert *cert = read_cert(json_array_get(chain, i), error);

		if (cert == NULL)
			return NULL;
		g_ptr_array_add(certs, cert);
	}
	return g_steal_pointer(&certs);
}

/* The digits that follow a marker. */
static gint64
number_after(const char *text, const char *marker)
{
	const char *at = text != NULL ? strstr(text, marker) : NULL;
	char digits[11];
	gsize n = 0;
	guint64 number;

	if (at == NULL)
		return 0;
	at += strlen(marker);
	while (*at != '\0' && !g_ascii_isdigit(*at) && *at != '/')
		at++;
	while (n < sizeof(digits) - 1 && g_ascii_isdigit(at[n])) {
		digits[n] = at[n];
		n++;
	}
	digits[n] = '\0';
	return n > 0 && g_ascii_string_to_unsigned(digits, 10, 1, G_MAXINT32, &number, NULL)
		   ? (gint64)number
		   : 0;
}

gint64
ejbca_approval_read(const json_t *document)
{
	gint64 number =
	    number_after(peer_json_text(document, "link", PEER_TEXT_MAX_BYTES), "/certificate/");

	return number != 0
		   ? number
		   : number_after(peer_json_text(document, "info_message", PEER_TEXT_MAX_BYTES),
				  "Id ");
}

struct cert *
ejbca_found_read(const json_t *document, const char *spki_sha256)
{
	const json_t *found = json_object_get(document, "certificates");

	for (size_t i = 0; i < MIN(json_array_size(found), FOUND_MAX); i++) {
		const json_t *row = json_array_get(found, i);
		struct cert *cert = read_cert(json_object_get(row, "certificate"), NULL);

		if (cert != NULL && strcmp(cert_spki_sha256(cert), spki_sha256) == 0)
			return cert;
		cert_unref(cert);
	}
	return NULL;
}

const char *
ejbca_ca_read(const json_t *document, const char *ca_name)
{
	const json_t *cas = json_object_get(document, "certificate_authorities");

	for (size_t i = 0; i < json_array_size(cas); i++) {
		const json_t *ca = json_array_get(cas, i);
		const char *name = peer_json_text(ca, "name", PEER_TEXT_MAX_BYTES);

		if (name != NULL && strcmp(name, ca_name) == 0)
			return peer_json_text(ca, "subject_dn", PEER_TEXT_MAX_BYTES);
	}
	return NULL;
}
