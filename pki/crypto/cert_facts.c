/*
 * cert_facts - everything there is to show of a certificate, as rows of name and value (K1).
 */
#include "pki/crypto/cert.h"

#include <openssl/err.h>
#include <string.h>

#include "pki/crypto/internal.h"
#include "store/base/clock.h"
#include "store/base/printable.h"

#define LIST_MAX 64 /* rows of one kind that are shown */

static void
add(GPtrArray *facts, const char *name, const char *value, gboolean many)
{
	if (value == NULL || *value == '\0')
		return;
	struct fact *fact = g_new0(struct fact, 1);
	fact->name = g_strdup(name);
	fact->value = g_strdup(value);
	fact->many = many;
	g_ptr_array_add(facts, fact);
}

void
fact_free(struct fact *fact)
{
	g_free(fact->name);
	g_free(fact->value);
	g_free(fact);
}

void
fact_add(GPtrArray *facts, const char *name, const char *value)
{
	add(facts, name, value, FALSE);
}

void
fact_add_many(GPtrArray *facts, const char *name, const char *value)
{
	add(facts, name, value, TRUE);
}

static void
add_names(GPtrArray *facts, const struct cert *cert)
{
	fact_add(facts, "subject", cert_subject(cert));
	fact_add(facts, "common-name", cert_common_name(cert));
	for (guint i = 0; i < cert_emails(cert)->len; i++) {
		g_autofree char *shown = printable(mailaddr_text(cert_emails(cert)->pdata[i]));
		fact_add_many(facts, "email", shown);
	}
	fact_add(facts, "issuer", cert_issuer(cert));
	fact_add(facts, "serial", cert_serial_hex(cert));
	g_autofree char *begins = clock_format(cert_not_before(cert));
	g_autofree char *ends = clock_format(cert_not_after(cert));
	fact_add(facts, "not-before", begins);
	fact_add(facts, "not-after", ends);
}

static void
add_keys(GPtrArray *facts, const struct cert *cert)
{
	static const struct {
		enum key_usage bit;
		const char *name;
	} bits[] = {
		{ KEY_USAGE_DIGITAL_SIGNATURE, "digitalSignature" },
		{ KEY_USAGE_NON_REPUDIATION, "nonRepudiation" },
		{ KEY_USAGE_KEY_ENCIPHERMENT, "keyEncipherment" },
		{ KEY_USAGE_DATA_ENCIPHERMENT, "dataEncipherment" },
		{ KEY_USAGE_KEY_AGREEMENT, "keyAgreement" },
		{ KEY_USAGE_CERT_SIGN, "keyCertSign" },
		{ KEY_USAGE_CRL_SIGN, "cRLSign" },
		{ KEY_USAGE_ENCIPHER_ONLY, "encipherOnly" },
		{ KEY_USAGE_DECIPHER_ONLY, "decipherOnly" },
	};
	unsigned int usage = cert_key_usage(cert);

	fact_add(facts, "public-key", cert_key_text(cert));
	fact_add(facts, "spki-sha256", cert_spki_sha256(cert));
	const X509_ALGOR *signature = NULL;
	const ASN1_OBJECT *object = NULL;
	X509_get0_signature(NULL, &signature, cert_x509(cert));
	X509_ALGOR_get0(&object, NULL, NULL, signature);
	g_autofree char *oid = object_dotted(object);
	fact_add(facts, "signature-algorithm",
		 cert_signature_algorithm(cert) != ALGORITHM_UNKNOWN
		     ? algorithm_name(cert_signature_algorithm(cert))
		     : oid);
	if ((usage & KEY_USAGE_ABSENT) != 0)
		fact_add(facts, "key-usage-absent", "any use of the key is allowed");
	for (gsize i = 0; (usage & KEY_USAGE_ABSENT) == 0 && i < G_N_ELEMENTS(bits); i++)
		if ((usage & bits[i].bit) != 0)
			fact_add_many(facts, "key-usage", bits[i].name);
}

static void
add_extended_usages(GPtrArray *facts, X509 *x509)
{
	EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(x509, NID_ext_key_usage, NULL, NULL);

	for (int i = 0; i < MIN(sk_ASN1_OBJECT_num(usages), LIST_MAX); i++) {
		const ASN1_OBJECT *object = sk_ASN1_OBJECT_value(usages, i);
		int nid = OBJ_obj2nid(object);
		g_autofree char *oid = object_dotted(object);

		fact_add_many(facts, "extended-key-usage",
			      nid != NID_undef ? OBJ_nid2sn(nid) : oid);
	}
	sk_ASN1_OBJECT_pop_free(usages, ASN1_OBJECT_free);
}

/* S/MIME Baseline Requirements section 7.1.6.1: 2.23.140.1.5.TYPE.GENERATION */
static char *
validation_level(const char *oid)
{
	static const char *const types[] = { "mailbox", "organization", "sponsor", "individual" };
	static const char *const generations[] = { "legacy", "multipurpose", "strict" };

	/* Others by name: CA/Browser Forum; ETSI EN 319 411-1 section 5.3, 411-2 section 5.3. */
	static const struct {
		const char *oid, *text;
	} others[] = {
		{ "2.23.140.1.1", "extended validation (web server)" },
		{ "2.23.140.1.2.1", "domain validated (web server)" },
		{ "2.23.140.1.2.2", "organization validated (web server)" },
		{ "2.23.140.1.2.3", "individual validated (web server)" },
		{ "0.4.0.2042.1.1", "normalised (NCP)" },
		{ "0.4.0.2042.1.2", "normalised, key in a secure device (NCP+)" },
		{ "0.4.0.2042.1.3", "lightweight (LCP)" },
		{ "0.4.0.194112.1.0", "qualified, natural person (QCP-n)" },
		{ "0.4.0.194112.1.1", "qualified, legal person (QCP-l)" },
		{ "0.4.0.194112.1.2",
		  "qualified, natural person, key in a qualified device (QCP-n-qscd)" },
		{ "0.4.0.194112.1.3",
		  "qualified, legal person, key in a qualified device (QCP-l-qscd)" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(others); i++)
		if (strcmp(others[i].oid, oid) == 0)
			return g_strdup(others[i].text);
	if (!g_str_has_prefix(oid, "2.23.140.1.5.") || strlen(oid) != 16 || oid[14] != '.')
		return NULL;
	int type = oid[13] - '1', generation = oid[15] - '1';
	if (type < 0 || type > 3 || generation < 0 || generation > 2)
		return NULL;
	return g_strdup_printf("%s validated, %s", types[type], generations[generation]);
}

static void
add_policies(GPtrArray *facts, X509 *x509)
{
	CERTIFICATEPOLICIES *policies =
	    X509_get_ext_d2i(x509, NID_certificate_policies, NULL, NULL);

	for (int i = 0; i < MIN(sk_POLICYINFO_num(policies), LIST_MAX); i++) {
		g_autofree char *oid = object_dotted(sk_POLICYINFO_value(policies, i)->policyid);
		g_autofree char *level = validation_level(oid);

		fact_add_many(facts, "policy", oid);
		if (level != NULL)
			fact_add_many(facts, "validation-level", level);
	}
	sk_POLICYINFO_pop_free(policies, POLICYINFO_free);
}

/* An extension as OpenSSL prints it, joined to one line. */
static char *
extension_text(const X509_EXTENSION *extension)
{
	g_autoptr(BIO) out = BIO_new(BIO_s_mem());
	char *text = NULL;

	if (X509V3_EXT_print(out, (X509_EXTENSION *)extension, 0, 0) != 1) {
		ERR_clear_error();
		return NULL;
	}
	long length = BIO_get_mem_data(out, &text);
	/* An empty one leaves text NULL, and of that GLib makes no string. */
	g_autofree char *copy = g_strndup(text != NULL ? text : "", length > 0 ? (gsize)length : 0);
	for (char *p = copy; *p != '\0'; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	return printable(g_strstrip(copy));
}

static void
add_statements(GPtrArray *facts, X509 *x509)
{
	/* RFC 3739 section 3.2.6 and ETSI EN 319 412-5 section 4 */
	static const struct {
		const char *oid;
		const char *text;
	} known[] = {
		{ "0.4.0.1862.1.1", "EU qualified certificate" },
		{ "0.4.0.1862.1.2", "limit of the value of transactions" },
		{ "0.4.0.1862.1.3", "retention period" },
		{ "0.4.0.1862.1.4", "key in a qualified device" },
		{ "0.4.0.1862.1.5", "place of the disclosure statements" },
		{ "0.4.0.1862.1.6", "type of the certificate" },
	};
	int at = X509_get_ext_by_NID(x509, NID_qcStatements, -1);

	if (at < 0)
		return;
	const ASN1_OCTET_STRING *data = X509_EXTENSION_get_data(X509_get_ext(x509, at));
	const unsigned char *p = ASN1_STRING_get0_data(data);
	ASN1_SEQUENCE_ANY *all = d2i_ASN1_SEQUENCE_ANY(NULL, &p, ASN1_STRING_length(data));
	for (int i = 0; i < MIN(sk_ASN1_TYPE_num(all), LIST_MAX); i++) {
		const ASN1_TYPE *one = sk_ASN1_TYPE_value(all, i);
		if (one->type != V_ASN1_SEQUENCE)
			continue;
		p = ASN1_STRING_get0_data(one->value.sequence);
		ASN1_SEQUENCE_ANY *statement =
		    d2i_ASN1_SEQUENCE_ANY(NULL, &p, ASN1_STRING_length(one->value.sequence));
		const ASN1_TYPE *id =
		    sk_ASN1_TYPE_num(statement) > 0 ? sk_ASN1_TYPE_value(statement, 0) : NULL;
		if (id != NULL && id->type == V_ASN1_OBJECT) {
			g_autofree char *oid = object_dotted(id->value.object);
			const char *text = oid;

			for (gsize k = 0; k < G_N_ELEMENTS(known); k++)
				if (strcmp(known[k].oid, oid) == 0)
					text = known[k].text;
			fact_add_many(facts, "qualified-statement", text);
		}
		sk_ASN1_TYPE_pop_free(statement, ASN1_TYPE_free);
	}
	sk_ASN1_TYPE_pop_free(all, ASN1_TYPE_free);
}

static void
add_access(GPtrArray *facts, X509 *x509)
{
	AUTHORITY_INFO_ACCESS *access = X509_get_ext_d2i(x509, NID_info_access, NULL, NULL);

	for (int i = 0; i < MIN(sk_ACCESS_DESCRIPTION_num(access), LIST_MAX); i++) {
		const ACCESS_DESCRIPTION *one = sk_ACCESS_DESCRIPTION_value(access, i);

		if (one->location->type != GEN_URI)
			continue;
		const ASN1_STRING *uri = one->location->d.uniformResourceIdentifier;
		g_autofree char *shown =
		    printable_bytes(ASN1_STRING_get0_data(uri), (gsize)ASN1_STRING_length(uri),
				    PRINTABLE_MAX_BYTES);
		int nid = OBJ_obj2nid(one->method);
		fact_add_many(facts,
			      nid == NID_ad_OCSP         ? "ocsp-url"
			      : nid == NID_ad_ca_issuers ? "ca-issuers-url"
							 : "access-url",
			      shown);
	}
	AUTHORITY_INFO_ACCESS_free(access);
}

static void
add_other_extensions(GPtrArray *facts, X509 *x509)
{
	static const int shown[] = {
		NID_subject_alt_name,        NID_key_usage,
		NID_ext_key_usage,           NID_basic_constraints,
		NID_certificate_policies,    NID_qcStatements,
		NID_subject_key_identifier,  NID_authority_key_identifier,
		NID_crl_distribution_points, NID_info_access,
	};

	for (int i = 0; i < X509_get_ext_count(x509); i++) {
		const X509_EXTENSION *extension = X509_get_ext(x509, i);
		const ASN1_OBJECT *object = X509_EXTENSION_get_object((X509_EXTENSION *)extension);
		int nid = OBJ_obj2nid(object);
		gboolean done = FALSE;

		for (gsize k = 0; k < G_N_ELEMENTS(shown); k++)
			done |= nid == shown[k];
		if (done)
			continue;
		g_autofree char *oid = object_dotted(object);
		g_autofree char *text = nid != NID_undef ? extension_text(extension) : NULL;
		g_autofree char *row = g_strdup_printf(
		    "%s%s%s%s", oid, X509_EXTENSION_get_critical(extension) ? " critical" : "",
		    text != NULL ? ": " : "", text != NULL ? text : "");
		fact_add_many(facts, "extension", row);
	}
}

GPtrArray *
cert_facts(const struct cert *cert)
{
	GPtrArray *facts = g_ptr_array_new_with_free_func((GDestroyNotify)fact_free);
	X509 *x509 = cert_x509(cert);

	add_names(facts, cert);
	add_keys(facts, cert);
	add_extended_usages(facts, x509);
	fact_add(facts, "ca", cert_is_ca(cert) ? "yes" : "no");
	if (cert_path_length(cert) >= 0) {
		g_autofree char *length = g_strdup_printf("%d", cert_path_length(cert));
		fact_add(facts, "path-length", length);
	}
	fact_add(facts, "kind", cert_kind(cert));
	fact_add(facts, "self-signed", cert_is_self_signed(cert) ? "yes" : "no");
	add_policies(facts, x509);
	add_statements(facts, x509);
	fact_add(facts, "authority-key-id", cert_aki(cert));
	fact_add(facts, "subject-key-id", cert_ski(cert));
	for (GStrv url = cert_crl_urls(cert); *url != NULL; url++) {
		g_autofree char *shown = printable(*url);
		fact_add_many(facts, "crl-url", shown);
	}
	add_access(facts, x509);
	add_other_extensions(facts, x509);
	fact_add(facts, "thumbprint-sha1", cert_sha1(cert));
	fact_add(facts, "thumbprint-sha256", cert_sha256(cert));
	fact_add(facts, "thumbprint", cert_thumbprint(cert));
	ERR_clear_error();
	return facts;
}

/* Usages that are absent allow it. */
gboolean
cert_is_tls_client(const struct cert *cert)
{
	return cert_has_digital_signature(cert) &&
	       X509_check_purpose(cert_x509(cert), X509_PURPOSE_SSL_CLIENT, 0) == 1;
}
