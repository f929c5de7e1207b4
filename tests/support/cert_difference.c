/*
 * cert_difference - answer by answer.
 */
#include "tests/support/cert_difference.h"

#include <openssl/err.h>
#include <string.h>

#include "pki/crypto/capabilities.h"
#include "pki/crypto/cert_rules.h"
#include "pki/crypto/chain.h"
#include "pki/crypto/internal.h"

static char *
differ(const char *name, const char *a, const char *b)
{
	if (g_strcmp0(a, b) == 0)
		return NULL;
	return g_strdup_printf("%s: '%s' and '%s'", name, a != NULL ? a : "(none)",
			       b != NULL ? b : "(none)");
}

static char *
text_difference(const struct cert *a, const struct cert *b)
{
	static const struct {
		const char *name;
		const char *(*get)(const struct cert *cert);
	} texts[] = {
		{ "thumbprint", cert_thumbprint },
		{ "sha256", cert_sha256 },
		{ "sha1", cert_sha1 },
		{ "subject", cert_subject },
		{ "issuer", cert_issuer },
		{ "common name", cert_common_name },
		{ "serial", cert_serial_hex },
		{ "subject key", cert_subject_key },
		{ "issuer key", cert_issuer_key },
		{ "ski", cert_ski },
		{ "aki", cert_aki },
		{ "spki", cert_spki_sha256 },
		{ "key text", cert_key_text },
		{ "kind", cert_kind },
		{ "key weakness", cert_key_weakness },
	};
	char *found = NULL;

	for (gsize i = 0; found == NULL && i < G_N_ELEMENTS(texts); i++)
		found = differ(texts[i].name, texts[i].get(a), texts[i].get(b));
	return found;
}

static gint64
algorithm_number(const struct cert *cert)
{
	return cert_signature_algorithm(cert);
}

static gint64
signature_digest_number(const struct cert *cert)
{
	int nid = NID_undef;

	return cert_signature_digest(cert, &nid) ? nid : -1;
}

static gint64
capabilities_number(const struct cert *cert)
{
	struct capabilities found = { 0, 0 };

	return capabilities_of_cert(cert, &found)
		   ? (gint64)found.ciphers << 24 | (gint64)found.transports
		   : -1;
}

#define NUMBER(name)                                                                               \
	static gint64 name##_number(const struct cert *cert)                                       \
	{                                                                                          \
		return (gint64)cert_##name(cert);                                                  \
	}
NUMBER(not_before)
NUMBER(not_after)
NUMBER(key_kind)
NUMBER(key_bits)
NUMBER(key_usage)
NUMBER(may_encrypt)
NUMBER(may_sign)
NUMBER(has_digital_signature)
NUMBER(has_email_purpose)
NUMBER(is_ca)
NUMBER(path_length)
NUMBER(is_self_issued)
NUMBER(is_self_signed)
NUMBER(is_tls_client)
NUMBER(is_broken)
NUMBER(has_basic_constraints)
NUMBER(has_subject)
NUMBER(has_readable_key)
NUMBER(lacks_parameters)
#undef NUMBER

static char *
number_difference(const struct cert *a, const struct cert *b)
{
#define NUMBER(name)                                                                               \
	{                                                                                          \
#name, name##_number                                                               \
	}
	static const struct {
		const char *name;
		gint64 (*get)(const struct cert *cert);
	} numbers[] = {
		NUMBER(not_before),        NUMBER(not_after),
		NUMBER(key_kind),          NUMBER(key_bits),
		NUMBER(key_usage),         NUMBER(may_encrypt),
		NUMBER(may_sign),          NUMBER(has_digital_signature),
		NUMBER(has_email_purpose), NUMBER(is_ca),
		NUMBER(path_length),       NUMBER(is_self_issued),
		NUMBER(is_self_signed),    NUMBER(is_tls_client),
		NUMBER(is_broken),         NUMBER(has_basic_constraints),
		NUMBER(has_subject),       NUMBER(has_readable_key),
		NUMBER(lacks_parameters),  NUMBER(algorithm),
		NUMBER(signature_digest),  NUMBER(capabilities),
	};
#undef NUMBER

	for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++)
		if (numbers[i].get(a) != numbers[i].get(b))
			return g_strdup_printf("%s: %" G_GINT64_FORMAT " and %" G_GINT64_FORMAT,
					       numbers[i].name, numbers[i].get(a),
					       numbers[i].get(b));
	return NULL;
}

/* --- lists, each as one text --- */

static char *
emails_text(const struct cert *cert)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < cert_emails(cert)->len; i++)
		g_string_append_printf(text, "%s (%s), ", mailaddr_key(cert_emails(cert)->pdata[i]),
				       mailaddr_text(cert_emails(cert)->pdata[i]));
	return g_string_free(text, FALSE);
}

static char *
urls_text(const struct cert *cert)
{
	g_autofree char *lists = g_strjoinv(" ", cert_crl_urls(cert));
	g_autofree char *ocsp = g_strjoinv(" ", cert_ocsp_urls(cert));
	g_autofree char *issuers = g_strjoinv(" ", cert_ca_issuer_urls(cert));
	g_auto(GStrv) dns = cert_dns_names(cert);
	g_autofree char *hosts = g_strjoinv(" ", dns);

	return g_strdup_printf("%s | %s | %s | %s", lists, ocsp, issuers, hosts);
}

static char *
facts_text(const struct cert *cert)
{
	g_autoptr(GPtrArray) facts = cert_facts(cert);
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < facts->len; i++) {
		const struct fact *fact = facts->pdata[i];

		g_string_append_printf(text, "%s=%s\n", fact->name, fact->value);
	}
	return g_string_free(text, FALSE);
}

static void
add_names(GString *text, const char *what, const GPtrArray *names)
{
	g_string_append_printf(text, "%s %s:", what, names != NULL ? "" : "unreadable");
	for (guint i = 0; names != NULL && i < names->len; i++) {
		const struct name *name = names->pdata[i];

		g_string_append_printf(text, " %d %s %s %s %d %d", (int)name->kind, name->text,
				       name->host, name->folded, name->subdomains, name->unusable);
		for (guint k = 0; name->parts != NULL && k < name->parts->len; k++)
			g_string_append_printf(text, "/%s", (char *)name->parts->pdata[k]);
	}
	g_string_append_c(text, '\n');
}

static char *
rules_text(const struct cert *cert)
{
	const struct cert_rules *rules = cert_rules(cert);
	GString *text = g_string_new(NULL);

	g_string_printf(text, "%s %s %d %d %d %d %d %d %d\n", rules->broken,
			rules->unknown_critical, rules->has_basic_constraints, rules->any_policy,
			rules->maps_any, rules->require_explicit, rules->inhibit_mapping,
			rules->inhibit_any, rules->policies != NULL);
	for (guint i = 0; rules->policies != NULL && i < rules->policies->len; i++)
		g_string_append_printf(text, "%s ", (char *)rules->policies->pdata[i]);
	for (guint i = 0; i < rules->mappings->len; i++) {
		const struct policy_mapping *mapping = rules->mappings->pdata[i];

		g_string_append_printf(text, "%s=%s ", mapping->issuer_policy,
				       mapping->subject_policy);
	}
	if (rules->constraints != NULL) {
		add_names(text, "permitted", rules->constraints->permitted);
		add_names(text, "excluded", rules->constraints->excluded);
	}
	add_names(text, "names", cert_names(cert));
	return g_string_free(text, FALSE);
}

static char *
usages_text(const struct cert *cert)
{
	g_autofree char *usage = chain_usage_fault(cert, CHAIN_PURPOSE_ENCRYPT, NULL);
	g_autofree char *strength = chain_strength_fault(cert, FALSE, NULL);

	return g_strdup_printf(
	    "%s %s %d %d %d", usage, strength, cert_allows_purpose(cert, "1.3.6.1.5.5.7.3.4"),
	    cert_names_purpose(cert, "serverAuth"), cert_names_purpose(cert, "clientAuth"));
}

static char *
list_difference(const struct cert *a, const struct cert *b)
{
	static const struct {
		const char *name;
		char *(*get)(const struct cert *cert);
	} lists[] = {
		{ "addresses", emails_text }, { "URLs", urls_text },   { "usages", usages_text },
		{ "rules", rules_text },      { "facts", facts_text },
	};
	char *found = NULL;

	for (gsize i = 0; found == NULL && i < G_N_ELEMENTS(lists); i++) {
		g_autofree char *left = lists[i].get(a);
		g_autofree char *right = lists[i].get(b);

		found = differ(lists[i].name, left, right);
	}
	return found;
}

/* --- the key, and what it verifies --- */

static char *
key_difference(const struct cert *a, const struct cert *b)
{
	EVP_PKEY *left = cert_pkey(a), *right = cert_pkey(b);

	if (left == NULL || right == NULL)
		return left == right ? NULL : g_strdup("one has a key, the other none");
	g_autofree char *left_text = key_text_of(left);
	g_autofree char *right_text = key_text_of(right);
	gboolean same = EVP_PKEY_eq(left, right) == 1 && strcmp(left_text, right_text) == 0 &&
			EVP_PKEY_get_base_id(left) == EVP_PKEY_get_base_id(right) &&
			EVP_PKEY_get_size(left) == EVP_PKEY_get_size(right) &&
			EVP_PKEY_get_security_bits(left) == EVP_PKEY_get_security_bits(right);
	if (!same)
		return g_strdup("the keys differ");
	if (g_strcmp0(key_weakness_of(left), key_weakness_of(right)) != 0)
		return g_strdup("the keys are not as weak");
	/* As if it were its own issuer: nearly always a no, of both. */
	return cert_verify(a, left) == (X509_verify(cert_x509(b), right) == 1)
		   ? NULL
		   : g_strdup("its own key verifies one and not the other");
}

char *
cert_difference(GBytes *der, gboolean *light)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(cert) struct cert *a = cert_parse_by(der, CERT_READER_LIGHT, NULL);

	*light = a != NULL && cert_is_light(a);
	if (!*light)
		return NULL;
	CLEANUP(cert) struct cert *b = cert_parse_by(der, CERT_READER_OPENSSL, &error);
	if (b == NULL)
		return g_strdup_printf("OpenSSL would not read it: %s", error->message);
	if (cert_is_light(b))
		return g_strdup("both are light");
	char *found = text_difference(a, b);
	if (found == NULL)
		found = number_difference(a, b);
	if (found == NULL)
		found = key_difference(a, b);
	if (found == NULL)
		found = list_difference(a, b);
	ERR_clear_error();
	return found;
}
