/*
 * cmp_setup - OpenSSL's context of a transaction from plain data.
 */
#include <openssl/crmf.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <openssl/objects.h>
#include <string.h>

#include "pki/crypto/cmp_internal.h"
#include "store/base/secret.h"

#define NAME_PARTS_MAX 16
#define VALIDITY_DAYS_MAX 36500

/* OpenSSL would write to standard error. */
static int
on_log(const char *function G_GNUC_UNUSED, const char *file G_GNUC_UNUSED, int line G_GNUC_UNUSED,
       OSSL_CMP_severity level G_GNUC_UNUSED, const char *text G_GNUC_UNUSED)
{
	return 1;
}

/* --- names --- */

/* Cuts "TYPE=VALUE" off; a backslash keeps the next character as it is. */
static char *
next_part(const char **text)
{
	GString *part = g_string_new(NULL);
	const char *p = *text;

	for (; *p != '\0' && *p != '/'; p++) {
		if (*p == '\\' && p[1] != '\0')
			p++;
		g_string_append_c(part, *p);
	}
	*text = *p == '/' ? p + 1 : p;
	return g_string_free(part, FALSE);
}

X509_NAME *
cmp_name_parse(const char *text, GError **error)
{
	g_autoptr(X509_NAME) name = X509_NAME_new();
	const char *p = text + 1;

	if (*text != '/')
		return fail(error, PS_ERROR_INVALID,
			    "a name is written as /C=DE/O=Example/CN=Example CA");
	for (int n = 0; *p != '\0'; n++) {
		g_autofree char *part = next_part(&p);
		char *equals = strchr(part, '=');

		if (equals == NULL || equals == part || n == NAME_PARTS_MAX)
			return fail(error, PS_ERROR_INVALID,
				    "a name is written as /C=DE/O=Example/CN=Example CA");
		*equals = '\0';
		if (X509_NAME_add_entry_by_txt(name, part, MBSTRING_UTF8,
					       (const unsigned char *)equals + 1, -1, -1, 0) != 1)
			return fail_openssl(error, PS_ERROR_INVALID,
					    "part %d of the name cannot be used", n + 1);
	}
	return g_steal_pointer(&name);
}

gboolean
cmp_name_check(const char *text, GError **error)
{
	g_autoptr(X509_NAME) name = cmp_name_parse(text, error);

	return name != NULL;
}

/* --- who speaks --- */

static STACK_OF(X509) * stack_of(GPtrArray *certs)
{
	STACK_OF(X509) *stack = sk_X509_new_null();

	for (guint i = 0; certs != NULL && i < certs->len; i++) {
		X509 *x509 = cert_x509(certs->pdata[i]);

		X509_up_ref(x509);
		sk_X509_push(stack, x509);
	}
	return stack;
}

static gboolean
set_credentials(OSSL_CMP_CTX *ctx, const struct cmp_peer *peer)
{
	if (peer->secret != NULL) {
		const char *reference = peer->reference != NULL ? peer->reference : "";

		if (*reference != '\0' &&
		    OSSL_CMP_CTX_set1_referenceValue(ctx, (const unsigned char *)reference,
						     (int)strlen(reference)) != 1)
			return FALSE;
		return OSSL_CMP_CTX_set1_secretValue(ctx, secret_bytes(peer->secret),
						     (int)secret_length(peer->secret)) == 1;
	}
	if (peer->signer == NULL || peer->signer_key == NULL)
		return TRUE;
	if (OSSL_CMP_CTX_set1_cert(ctx, cert_x509(peer->signer)) != 1 ||
	    OSSL_CMP_CTX_set1_pkey(ctx, key_pkey(peer->signer_key)) != 1)
		return FALSE;
	if (peer->extra_certs == NULL || peer->extra_certs->len == 0)
		return TRUE;
	STACK_OF(X509) *extra = stack_of(peer->extra_certs);
	gboolean good = OSSL_CMP_CTX_set1_untrusted(ctx, extra) == 1 &&
			OSSL_CMP_CTX_set1_extraCertsOut(ctx, extra) == 1;
	sk_X509_pop_free(extra, X509_free);
	return good;
}

/* --- whom to believe --- */

static gboolean
set_trust(OSSL_CMP_CTX *ctx, const struct cmp_peer *peer)
{
	if (peer->server_cert != NULL &&
	    OSSL_CMP_CTX_set1_srvCert(ctx, cert_x509(peer->server_cert)) != 1)
		return FALSE;
	if (peer->trusted == NULL || peer->trusted->len == 0)
		return TRUE;
	X509_STORE *store = X509_STORE_new();
	gboolean good = store != NULL;
	for (guint i = 0; good && i < peer->trusted->len; i++)
		good = X509_STORE_add_cert(store, cert_x509(peer->trusted->pdata[i])) == 1;
	/* One that was named is an anchor, self-signed or not. */
	if (good)
		X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	if (good && OSSL_CMP_CTX_set0_trustedStore(ctx, store) == 1)
		return TRUE;
	X509_STORE_free(store);
	return FALSE;
}

static gboolean
set_option(OSSL_CMP_CTX *ctx, int option, const char *algorithm, GError **error)
{
	int nid;

	if (algorithm == NULL || *algorithm == '\0')
		return TRUE;
	nid = OBJ_txt2nid(algorithm);
	if (nid == NID_undef || OSSL_CMP_CTX_set_option(ctx, option, nid) != 1)
		return fail_openssl_false(error, PS_ERROR_INVALID, "the algorithm cannot be used");
	return TRUE;
}

static gboolean
set_recipient(OSSL_CMP_CTX *ctx, const struct cmp_peer *peer, GError **error)
{
	if (peer->recipient == NULL || *peer->recipient == '\0')
		return TRUE;
	g_autoptr(X509_NAME) name = cmp_name_parse(peer->recipient, error);
	return name != NULL && (OSSL_CMP_CTX_set1_recipient(ctx, name) == 1 ||
				fail_openssl_false(error, PS_ERROR_BUG, "no recipient"));
}

OSSL_CMP_CTX *
cmp_context_new(const struct cmp_peer *peer, GError **error)
{
	g_autoptr(OSSL_CMP_CTX) ctx = OSSL_CMP_CTX_new(NULL, NULL);

	if (ctx == NULL || OSSL_CMP_CTX_set_log_cb(ctx, on_log) != 1 ||
	    OSSL_CMP_CTX_set_option(ctx, OSSL_CMP_OPT_UNPROTECTED_ERRORS,
				    peer->unprotected_errors) != 1 ||
	    !set_credentials(ctx, peer) || !set_trust(ctx, peer))
		return fail_openssl(error, PS_ERROR_INVALID,
				    "credentials and trusted certificates cannot be used");
	if (!set_option(ctx, OSSL_CMP_OPT_DIGEST_ALGNID, peer->digest, error) ||
	    !set_option(ctx, OSSL_CMP_OPT_OWF_ALGNID, peer->digest, error) ||
	    !set_option(ctx, OSSL_CMP_OPT_MAC_ALGNID, peer->mac, error) ||
	    !set_recipient(ctx, peer, error))
		return NULL;
	return g_steal_pointer(&ctx);
}

/* --- what is asked for --- */

static gboolean
set_template(OSSL_CMP_CTX *ctx, const struct cmp_order *order, X509_REQ *csr)
{
	/* Who sends, too, unless a certificate says so. */
	if (OSSL_CMP_CTX_set1_subjectName(ctx, X509_REQ_get_subject_name(csr)) != 1)
		return FALSE;
	if (order->command == CMP_P10CR)
		return OSSL_CMP_CTX_set1_p10CSR(ctx, csr) == 1;
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(csr);
	if (extensions != NULL && OSSL_CMP_CTX_set0_reqExtensions(ctx, extensions) != 1) {
		sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
		return FALSE;
	}
	return order->days == 0 ||
	       OSSL_CMP_CTX_set_option(ctx, OSSL_CMP_OPT_VALIDITY_DAYS,
				       (int)MIN(order->days, VALIDITY_DAYS_MAX)) == 1;
}

static gboolean
set_key(OSSL_CMP_CTX *ctx, const struct key *key)
{
	EVP_PKEY *pkey = key_pkey(key);

	EVP_PKEY_up_ref(pkey);
	if (OSSL_CMP_CTX_set0_newPkey(ctx, 1, pkey) == 1)
		return TRUE;
	EVP_PKEY_free(pkey);
	return FALSE;
}

gboolean
cmp_context_order(OSSL_CMP_CTX *ctx, const struct cmp_order *order,
		  const struct cmp_journal *journal, GError **error)
{
	gsize length;
	const unsigned char *p = g_bytes_get_data(order->csr, &length);
	g_autoptr(X509_REQ) csr = d2i_X509_REQ(NULL, &p, (long)length);
	g_autoptr(ASN1_OCTET_STRING) id = ASN1_OCTET_STRING_new();
	int popo = order->ra_verified ? OSSL_CRMF_POPO_RAVERIFIED : OSSL_CRMF_POPO_SIGNATURE;

	if (csr == NULL)
		return fail_openssl_false(error, PS_ERROR_INVALID, "the request cannot be read");
	p = g_bytes_get_data(journal->transaction, &length);
	if (ASN1_OCTET_STRING_set(id, p, (int)length) != 1 ||
	    OSSL_CMP_CTX_set1_transactionID(ctx, id) != 1 || !set_key(ctx, order->key) ||
	    !set_template(ctx, order, csr) ||
	    (order->old != NULL && OSSL_CMP_CTX_set1_oldCert(ctx, cert_x509(order->old)) != 1) ||
	    OSSL_CMP_CTX_set_option(ctx, OSSL_CMP_OPT_POPO_METHOD, popo) != 1 ||
	    OSSL_CMP_CTX_set_option(ctx, OSSL_CMP_OPT_IMPLICIT_CONFIRM, order->implicit_confirm) !=
		1)
		return fail_openssl_false(error, PS_ERROR_INVALID,
					  "the request cannot be put into a CMP message");
	return TRUE;
}
