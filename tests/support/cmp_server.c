/*
 * cmp_server - callbacks of OSSL_CMP_SRV_CTX over a CA in memory.
 */
#include "tests/support/cmp_server.h"

#include <openssl/cmp.h>
#include <openssl/crmf.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "pki/crypto/der.h"

#define CA_CERTS "1.3.6.1.5.5.7.4.17"

struct cmp_server {
	struct cmp_server_options options;
	X509 *ca, *signer;
	EVP_PKEY *ca_key, *signer_key;
	GBytes *ca_der;
	GHashTable *transactions; /* hex -> struct transaction */
	GHashTable *confirmed_keys;
	guint issued, confirmed, rejected, revoked;
};

struct transaction {
	struct cmp_server *server;
	OSSL_CMP_SRV_CTX *ctx;
	OSSL_CMP_MSG *asked; /* while the client waits */
	guint polls;
	gboolean decided;
	char *key; /* hex of the public key it issued for */
};

static int
quiet(const char *function G_GNUC_UNUSED, const char *file G_GNUC_UNUSED, int line G_GNUC_UNUSED,
      OSSL_CMP_severity level G_GNUC_UNUSED, const char *text G_GNUC_UNUSED)
{
	return 1;
}

/* --- certificates --- */

static void
add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	g_assert_nonnull(extension);
	X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
}

static X509 *
cert_new(EVP_PKEY *key, const X509_NAME *subject, int days)
{
	X509 *cert = X509_new();
	unsigned char serial[16];

	RAND_bytes(serial, sizeof(serial));
	serial[0] &= 0x7f;
	BIGNUM *number = BN_bin2bn(serial, sizeof(serial), NULL);
	BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
	BN_free(number);
	X509_set_version(cert, X509_VERSION_3);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * days);
	X509_set_subject_name(cert, subject);
	X509_set_pubkey(cert, key);
	return cert;
}

static X509 *
cert_named(EVP_PKEY *key, const char *name)
{
	X509_NAME *subject = X509_NAME_new();

	X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (const unsigned char *)"CMP test",
				   -1, -1, 0);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
				   -1, 0);
	X509 *cert = cert_new(key, subject, 365);
	X509_NAME_free(subject);
	return cert;
}

static void
sign(struct cmp_server *server, X509 *cert)
{
	X509 *issuer = server->ca != NULL ? server->ca : cert;

	X509_set_issuer_name(cert, X509_get_subject_name(issuer));
	add_extension(cert, issuer, NID_subject_key_identifier, "hash");
	add_extension(cert, issuer, NID_authority_key_identifier, "keyid");
	g_assert_cmpint(X509_sign(cert, server->ca_key, EVP_sha256()), >, 0);
}

static void
make_ca(struct cmp_server *server)
{
	unsigned char *der = NULL;

	server->ca_key = EVP_EC_gen("P-256");
	X509 *ca = cert_named(server->ca_key, "CMP test CA");
	add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE");
	add_extension(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign");
	sign(server, ca);
	server->ca = ca;
	int length = i2d_X509(ca, &der);
	server->ca_der = g_bytes_new(der, (gsize)length);
	OPENSSL_free(der);
	server->signer_key = EVP_EC_gen("P-256");
	server->signer = cert_named(server->signer_key, "CMP test signer");
	add_extension(server->signer, ca, NID_key_usage, "critical,digitalSignature");
	sign(server, server->signer);
}

/* --- what is asked for --- */

/* publicKey [6] of the template, which the API of OpenSSL 3.0 does not hand out. */
static EVP_PKEY *
template_key(const OSSL_CRMF_MSG *crm)
{
	unsigned char *der = NULL;
	int length = i2d_OSSL_CRMF_MSG(crm, &der);
	struct der_element element, request, template, part;
	struct der all = der_of(der, (gsize)length), in;
	EVP_PKEY *key = NULL;

	g_assert_true(der_next(&all, &element));
	in = der_inside(&element);
	g_assert_true(der_take(&in, DER_SEQUENCE, &request));
	in = der_inside(&request);
	g_assert_true(der_next(&in, &part) && der_take(&in, DER_SEQUENCE, &template));
	in = der_inside(&template);
	while (key == NULL && der_next(&in, &part)) {
		if (part.tag != 0xa6)
			continue;
		gsize size = (gsize)(part.end - part.start);
		g_autofree guint8 *copy = g_memdup2(part.start, size);
		const unsigned char *p = copy;
		copy[0] = DER_SEQUENCE;
		key = d2i_PUBKEY(NULL, &p, (long)size);
	}
	OPENSSL_free(der);
	return key;
}

static char *
key_text(EVP_PKEY *key)
{
	unsigned char *der = NULL;
	int length = i2d_PUBKEY(key, &der);
	char *text = g_compute_checksum_for_data(G_CHECKSUM_SHA256, der, (gsize)length);

	OPENSSL_free(der);
	return text;
}

static void
copy_extensions(struct cmp_server *server, X509 *cert, const STACK_OF(X509_EXTENSION) * extensions)
{
	for (int i = 0; i < sk_X509_EXTENSION_num(extensions); i++) {
		X509_EXTENSION *extension = sk_X509_EXTENSION_value(extensions, i);
		int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));

		if (nid == NID_subject_alt_name && !server->options.wrong_name)
			X509_add_ext(cert, extension, -1);
	}
	if (server->options.wrong_name)
		add_extension(cert, server->ca, NID_subject_alt_name, "email:else@where.example");
}

static X509 *
issue(struct transaction *transaction, const OSSL_CRMF_MSG *crm, const X509_REQ *p10)
{
	struct cmp_server *server = transaction->server;
	EVP_PKEY *key =
	    crm != NULL ? template_key(crm) : X509_REQ_get_pubkey((X509_REQ *)(guintptr)p10);
	const OSSL_CRMF_CERTTEMPLATE *template = crm != NULL ? OSSL_CRMF_MSG_get0_tmpl(crm) : NULL;
	STACK_OF(X509_EXTENSION) *asked =
	    p10 != NULL ? X509_REQ_get_extensions((X509_REQ *)(guintptr)p10) : NULL;

	g_assert_nonnull(key);
	g_free(transaction->key);
	transaction->key = key_text(key);
	if (server->options.refuse_twice &&
	    g_hash_table_contains(server->confirmed_keys, transaction->key)) {
		EVP_PKEY_free(key);
		sk_X509_EXTENSION_pop_free(asked, X509_EXTENSION_free);
		return NULL;
	}
	X509 *cert = cert_new(key,
			      template != NULL ? OSSL_CRMF_CERTTEMPLATE_get0_subject(template)
					       : X509_REQ_get_subject_name(p10),
			      365);
	copy_extensions(server, cert,
			template != NULL ? OSSL_CRMF_CERTTEMPLATE_get0_extensions(template)
					 : asked);
	add_extension(cert, server->ca, NID_key_usage,
		      EVP_PKEY_is_a(key, "RSA") ? "critical,digitalSignature,keyEncipherment"
						: "critical,digitalSignature,keyAgreement");
	add_extension(cert, server->ca, NID_ext_key_usage, "emailProtection");
	sign(server, cert);
	server->issued++;
	EVP_PKEY_free(key);
	sk_X509_EXTENSION_pop_free(asked, X509_EXTENSION_free);
	return cert;
}

/* --- callbacks --- */

static struct transaction *
transaction_of(const OSSL_CMP_SRV_CTX *ctx)
{
	return OSSL_CMP_SRV_CTX_get0_custom_ctx(ctx);
}

static void
confirm(struct transaction *transaction)
{
	transaction->server->confirmed++;
	g_hash_table_add(transaction->server->confirmed_keys, g_strdup(transaction->key));
}

static OSSL_CMP_PKISI *
on_request(OSSL_CMP_SRV_CTX *ctx, const OSSL_CMP_MSG *message, int id G_GNUC_UNUSED,
	   const OSSL_CRMF_MSG *crm, const X509_REQ *p10, X509 **out, STACK_OF(X509) * *chain,
	   STACK_OF(X509) * *ca_pubs G_GNUC_UNUSED)
{
	struct transaction *transaction = transaction_of(ctx);
	struct cmp_server *server = transaction->server;
	const struct cmp_server_options *options = &server->options;

	if (options->failure >= 0)
		return OSSL_CMP_STATUSINFO_new(OSSL_CMP_PKISTATUS_rejection, 1 << options->failure,
					       "the test says no");
	if (transaction->polls < options->polls) {
		OSSL_CMP_MSG_free(transaction->asked);
		transaction->asked = OSSL_CMP_MSG_dup(message);
		return OSSL_CMP_STATUSINFO_new(OSSL_CMP_PKISTATUS_waiting, 0, "somebody looks");
	}
	*out = issue(transaction, crm, p10);
	if (*out == NULL)
		return OSSL_CMP_STATUSINFO_new(OSSL_CMP_PKISTATUS_rejection,
					       OSSL_CMP_CTX_FAILINFO_duplicateCertReq,
					       "there is one for this key");
	*chain = sk_X509_new_null();
	X509_up_ref(server->ca);
	sk_X509_push(*chain, server->ca);
	if (options->implicit_confirm)
		confirm(transaction);
	return OSSL_CMP_STATUSINFO_new(OSSL_CMP_PKISTATUS_accepted, 0, NULL);
}

static int
on_poll(OSSL_CMP_SRV_CTX *ctx, const OSSL_CMP_MSG *message G_GNUC_UNUSED, int id G_GNUC_UNUSED,
	OSSL_CMP_MSG **asked, int64_t *check_after)
{
	struct transaction *transaction = transaction_of(ctx);

	*asked = NULL;
	transaction->polls++;
	if (transaction->asked == NULL)
		return 0;
	if (transaction->polls < transaction->server->options.polls)
		*check_after = transaction->server->options.check_after;
	else
		*asked = g_steal_pointer(&transaction->asked);
	return 1;
}

static int
on_confirm(OSSL_CMP_SRV_CTX *ctx, const OSSL_CMP_MSG *message G_GNUC_UNUSED, int id G_GNUC_UNUSED,
	   const ASN1_OCTET_STRING *hash G_GNUC_UNUSED, const OSSL_CMP_PKISI *status)
{
	struct transaction *transaction = transaction_of(ctx);
	char text[OSSL_CMP_PKISI_BUFLEN] = "";

	if (transaction->decided) {
		ERR_raise(ERR_LIB_CMP, CMP_R_ERROR_UNEXPECTED_CERTCONF);
		return 0;
	}
	transaction->decided = TRUE;
	if (status != NULL && OSSL_CMP_snprint_PKIStatusInfo(status, text, sizeof(text)) != NULL &&
	    strstr(text, "rejection") != NULL)
		transaction->server->rejected++;
	else
		confirm(transaction);
	return 1;
}

static OSSL_CMP_PKISI *
on_revocation(OSSL_CMP_SRV_CTX *ctx, const OSSL_CMP_MSG *message G_GNUC_UNUSED,
	      const X509_NAME *issuer, const ASN1_INTEGER *serial)
{
	struct cmp_server *server = transaction_of(ctx)->server;

	if (issuer == NULL || serial == NULL ||
	    X509_NAME_cmp(issuer, X509_get_subject_name(server->ca)) != 0)
		return OSSL_CMP_STATUSINFO_new(OSSL_CMP_PKISTATUS_rejection,
					       OSSL_CMP_CTX_FAILINFO_badCertId, "not one of mine");
	if (server->options.failure >= 0)
		return OSSL_CMP_STATUSINFO_new(OSSL_CMP_PKISTATUS_rejection,
					       1 << server->options.failure, "the test says no");
	server->revoked++;
	return OSSL_CMP_STATUSINFO_new(OSSL_CMP_PKISTATUS_accepted, 0, NULL);
}

static int
on_general(OSSL_CMP_SRV_CTX *ctx, const OSSL_CMP_MSG *message G_GNUC_UNUSED,
	   const STACK_OF(OSSL_CMP_ITAV) * in, STACK_OF(OSSL_CMP_ITAV) * *out)
{
	struct cmp_server *server = transaction_of(ctx)->server;
	gsize length;
	const guint8 *der = g_bytes_get_data(server->ca_der, &length);
	char oid[64];

	*out = sk_OSSL_CMP_ITAV_new_null();
	for (int i = 0; i < sk_OSSL_CMP_ITAV_num(in); i++) {
		const OSSL_CMP_ITAV *itav = sk_OSSL_CMP_ITAV_value(in, i);
		OBJ_obj2txt(oid, sizeof(oid), OSSL_CMP_ITAV_get0_type(itav), 1);
		if (strcmp(oid, CA_CERTS) != 0 || server->options.silent_about_itself)
			continue;
		GByteArray *whole = g_byte_array_new();
		const guint8 head[] = { 0x30, 0x82, (guint8)(length >> 8), (guint8)length };
		g_byte_array_append(whole, head, sizeof(head));
		g_byte_array_append(whole, der, (guint)length);
		ASN1_TYPE *value = ASN1_TYPE_new();
		ASN1_STRING *text = ASN1_STRING_type_new(V_ASN1_SEQUENCE);
		ASN1_STRING_set(text, whole->data, (int)whole->len);
		ASN1_TYPE_set(value, V_ASN1_SEQUENCE, text);
		g_byte_array_unref(whole);
		sk_OSSL_CMP_ITAV_push(*out, OSSL_CMP_ITAV_create(OBJ_txt2obj(CA_CERTS, 1), value));
	}
	return 1;
}

static void
on_error(OSSL_CMP_SRV_CTX *ctx G_GNUC_UNUSED, const OSSL_CMP_MSG *message G_GNUC_UNUSED,
	 const OSSL_CMP_PKISI *status G_GNUC_UNUSED, const ASN1_INTEGER *code G_GNUC_UNUSED,
	 const OSSL_CMP_PKIFREETEXT *details G_GNUC_UNUSED)
{
}

/* --- transactions --- */

static void
transaction_free(gpointer data)
{
	struct transaction *transaction = data;

	OSSL_CMP_SRV_CTX_free(transaction->ctx);
	OSSL_CMP_MSG_free(transaction->asked);
	g_free(transaction->key);
	g_free(transaction);
}

static struct transaction *
transaction_new(struct cmp_server *server)
{
	const struct cmp_server_options *options = &server->options;
	struct transaction *transaction = g_new0(struct transaction, 1);
	X509_STORE *store = X509_STORE_new();

	transaction->server = server;
	transaction->ctx = OSSL_CMP_SRV_CTX_new(NULL, NULL);
	OSSL_CMP_SRV_CTX_init(transaction->ctx, transaction, on_request, on_revocation, on_general,
			      on_error, on_confirm, on_poll);
	OSSL_CMP_SRV_CTX_set_accept_raverified(transaction->ctx, 1);
	OSSL_CMP_SRV_CTX_set_grant_implicit_confirm(transaction->ctx, options->implicit_confirm);
	OSSL_CMP_SRV_CTX_set_send_unprotected_errors(transaction->ctx, options->unprotected_errors);
	OSSL_CMP_CTX *ctx = OSSL_CMP_SRV_CTX_get0_cmp_ctx(transaction->ctx);
	OSSL_CMP_CTX_set_log_cb(ctx, quiet);
	if (options->secret != NULL) {
		OSSL_CMP_CTX_set1_referenceValue(ctx, (const unsigned char *)options->reference,
						 (int)strlen(options->reference));
		OSSL_CMP_CTX_set1_secretValue(ctx, (const unsigned char *)options->secret,
					      (int)strlen(options->secret));
	}
	OSSL_CMP_CTX_set1_cert(ctx, server->signer);
	OSSL_CMP_CTX_set1_pkey(ctx, server->signer_key);
	X509_STORE_add_cert(store, server->ca);
	OSSL_CMP_CTX_set0_trustedStore(ctx, store);
	return transaction;
}

GBytes *
cmp_server_answer(struct cmp_server *server, GBytes *request)
{
	gsize length;
	const unsigned char *bytes = g_bytes_get_data(request, &length);
	BIO *in = BIO_new_mem_buf(bytes, (int)length);
	OSSL_CMP_MSG *message = d2i_OSSL_CMP_MSG_bio(in, NULL);
	unsigned char *der = NULL;
	GBytes *out = NULL;

	BIO_free(in);
	if (message == NULL)
		return NULL;
	ASN1_OCTET_STRING *id = OSSL_CMP_HDR_get0_transactionID(OSSL_CMP_MSG_get0_header(message));
	char *name = id != NULL
			 ? g_base64_encode(ASN1_STRING_get0_data(id), (gsize)ASN1_STRING_length(id))
			 : g_strdup("");
	struct transaction *transaction = g_hash_table_lookup(server->transactions, name);
	if (transaction == NULL) {
		transaction = transaction_new(server);
		g_hash_table_insert(server->transactions, g_strdup(name), transaction);
	}
	OSSL_CMP_MSG *answer = OSSL_CMP_SRV_process_request(transaction->ctx, message);
	if (answer != NULL && (length = (gsize)i2d_OSSL_CMP_MSG(answer, &der)) > 0)
		out = g_bytes_new(der, length);
	OPENSSL_free(der);
	OSSL_CMP_MSG_free(answer);
	OSSL_CMP_MSG_free(message);
	g_free(name);
	ERR_clear_error();
	return out;
}

struct cmp_server *
cmp_server_new(const struct cmp_server_options *options)
{
	struct cmp_server *server = g_new0(struct cmp_server, 1);

	server->options = *options;
	server->transactions =
	    g_hash_table_new_full(g_str_hash, g_str_equal, g_free, transaction_free);
	server->confirmed_keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	make_ca(server);
	return server;
}

void
cmp_server_free(struct cmp_server *server)
{
	g_hash_table_unref(server->transactions);
	g_hash_table_unref(server->confirmed_keys);
	X509_free(server->ca);
	X509_free(server->signer);
	EVP_PKEY_free(server->ca_key);
	EVP_PKEY_free(server->signer_key);
	g_bytes_unref(server->ca_der);
	g_free(server);
}

void
cmp_server_forget(struct cmp_server *server)
{
	g_hash_table_remove_all(server->transactions);
}

struct cmp_server_options *
cmp_server_options(struct cmp_server *server)
{
	return &server->options;
}

GBytes *
cmp_server_ca(struct cmp_server *server)
{
	return server->ca_der;
}

GBytes *
cmp_server_client(struct cmp_server *server, const char *name, GBytes **key)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	X509 *cert = cert_named(pkey, name);
	unsigned char *der = NULL;

	add_extension(cert, server->ca, NID_key_usage, "critical,digitalSignature");
	sign(server, cert);
	gsize length = (gsize)i2d_X509(cert, &der);
	GBytes *out = g_bytes_new(der, length);
	OPENSSL_free(der);
	der = NULL;
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
	length = (gsize)i2d_PKCS8_PRIV_KEY_INFO(info, &der);
	*key = g_bytes_new(der, length);
	OPENSSL_free(der);
	PKCS8_PRIV_KEY_INFO_free(info);
	X509_free(cert);
	EVP_PKEY_free(pkey);
	return out;
}

guint
cmp_server_issued(struct cmp_server *server)
{
	return server->issued;
}

guint
cmp_server_confirmed(struct cmp_server *server)
{
	return server->confirmed;
}

guint
cmp_server_rejected(struct cmp_server *server)
{
	return server->rejected;
}

guint
cmp_server_revoked(struct cmp_server *server)
{
	return server->revoked;
}
