/*
 * cert - parsing one certificate and answering what was asked of it.
 */
#include "pki/crypto/cert.h"

#include <string.h>

#include "pki/crypto/cert_internal.h"

/* What a certificate takes beside its DER when all of it was asked for, measured: our own texts,
 * the key, extensions; OpenSSL's tree only where it had to read it. */
#define LIGHT_COST_FACTOR 2
#define LIGHT_COST_FIXED 5632
#define WHOLE_COST_FACTOR 4
#define WHOLE_COST_FIXED 8192

struct cert *
cert_new(GBytes *der)
{
	struct cert *cert = g_new0(struct cert, 1);

	cert->references = 1;
	cert->der = g_bytes_ref(der);
	cert->emails = g_ptr_array_new_with_free_func((GDestroyNotify)mailaddr_unref);
	return cert;
}

static X509 *
x509_of(const unsigned char *start, gsize length, GError **error)
{
	const unsigned char *p = start;
	X509 *x509 = d2i_X509(NULL, &p, (long)length);

	if (x509 == NULL)
		return fail_openssl(error, PS_ERROR_INVALID, "not a certificate, or damaged");
	if (p == start + length)
		return x509;
	X509_free(x509);
	return fail(error, PS_ERROR_INVALID, "%td bytes follow the certificate",
		    start + length - p);
}

struct cert *
cert_parse_by(GBytes *der, enum cert_reader reader, GError **error)
{
	gsize length;
	const unsigned char *bytes = g_bytes_get_data(der, &length);

	if (length > CERT_SIZE_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "a certificate of %zu bytes is too large",
			    length);
	if (length == 0)
		return fail(error, PS_ERROR_INVALID, "not a certificate: empty");
	CLEANUP(cert) struct cert *cert = cert_new(der);
	if (reader == CERT_READER_LIGHT && cert_read_light(cert))
		return g_steal_pointer(&cert);
	X509 *x509 = x509_of(bytes, length, error);
	if (x509 == NULL || !cert_read_whole(cert, x509, error))
		return NULL;
	return g_steal_pointer(&cert);
}

struct cert *
cert_parse(GBytes *der, GError **error)
{
	return cert_parse_by(der, CERT_READER_LIGHT, error);
}

char *
cert_thumbprint_of(GBytes *der)
{
	gsize length;
	const guint8 *bytes = g_bytes_get_data(der, &length);

	return digest_hex("SHA512", bytes, length);
}

struct cert *
cert_parse_x509(X509 *x509, GError **error)
{
	unsigned char *der = NULL;
	int length = i2d_X509(x509, &der);

	if (length <= 0)
		return fail_openssl(error, PS_ERROR_INVALID, "not a certificate");
	g_autoptr(GBytes) bytes = bytes_take_openssl(der, length);
	return cert_parse(bytes, error);
}

struct cert *
cert_ref(struct cert *cert)
{
	g_atomic_int_inc(&cert->references);
	return cert;
}

void
cert_unref(struct cert *cert)
{
	if (cert == NULL || !g_atomic_int_dec_and_test(&cert->references))
		return;
	static const GDestroyNotify free_slot[CERT_SLOTS] = {
		[CERT_SLOT_RULES] = cert_rules_free,
		[CERT_SLOT_NAMES] = cert_names_free,
		[CERT_SLOT_POINTS] = cert_points_free,
		[CERT_SLOT_SIGNERS] = cert_signers_free,
		[CERT_SLOT_X509] = cert_x509_free,
		[CERT_SLOT_KEY] = cert_key_free,
		[CERT_SLOT_EXTENSIONS] = cert_extensions_free,
		[CERT_SLOT_SHOWN] = cert_shown_free,
		[CERT_SLOT_URLS] = cert_urls_free,
	};

	for (int i = 0; i < CERT_SLOTS; i++)
		g_clear_pointer(&cert->slots[i], free_slot[i]);
	X509_free(cert->original);
	g_bytes_unref(cert->der);
	g_free(cert->thumbprint);
	g_free(cert->subject);
	g_free(cert->issuer);
	g_free(cert->serial);
	g_free(cert->subject_key);
	g_free(cert->issuer_key);
	g_free(cert->ski);
	g_free(cert->aki);
	g_free(cert->spki_sha256);
	g_free(cert->key_text);
	g_ptr_array_unref(cert->emails);
	g_free(cert);
}

gboolean
cert_equal(const struct cert *a, const struct cert *b)
{
	return a == b || g_bytes_equal(a->der, b->der);
}

gboolean
cert_is_among(const struct cert *cert, const GPtrArray *certs_or_null)
{
	for (guint i = 0; certs_or_null != NULL && i < certs_or_null->len; i++)
		if (cert_equal(certs_or_null->pdata[i], cert))
			return TRUE;
	return FALSE;
}

/* Plain getters: one fact each. */
#define GETTER(type, name, member)                                                                 \
	type cert_##name(const struct cert *cert)                                                  \
	{                                                                                          \
		return cert->member;                                                               \
	}
GETTER(GBytes *, der, der)
GETTER(const char *, thumbprint, thumbprint)
GETTER(const char *, subject, subject)
GETTER(const char *, issuer, issuer)
GETTER(const char *, serial_hex, serial)
GETTER(const char *, subject_key, subject_key)
GETTER(const char *, issuer_key, issuer_key)
GETTER(const char *, ski, ski)
GETTER(const char *, aki, aki)
GETTER(gint64, not_before, not_before)
GETTER(gint64, not_after, not_after)
GETTER(GPtrArray *, emails, emails)
GETTER(const char *, spki_sha256, spki_sha256)
GETTER(enum key_kind, key_kind, key_kind)
GETTER(unsigned int, key_bits, key_bits)
GETTER(const char *, key_text, key_text)
GETTER(enum algorithm, signature_algorithm, signature)
GETTER(unsigned int, key_usage, key_usage)
GETTER(gboolean, has_email_purpose, email_purpose)
GETTER(gboolean, is_ca, ca)
GETTER(int, path_length, path_length)
GETTER(gboolean, is_self_issued, self_issued)
GETTER(gboolean, is_self_signed, self_signed)
GETTER(gboolean, has_basic_constraints, has_basic_constraints)
GETTER(gboolean, is_broken, broken)
GETTER(gboolean, is_light, light)
#undef GETTER

gboolean
cert_has_email(const struct cert *cert, const struct mailaddr *address)
{
	for (guint i = 0; i < cert->emails->len; i++)
		if (mailaddr_equal(cert->emails->pdata[i], address))
			return TRUE;
	return FALSE;
}

gboolean
cert_may_encrypt(const struct cert *cert)
{
	switch (cert->key_kind) {
	case KEY_KIND_RSA:
		return (cert->key_usage & KEY_USAGE_KEY_ENCIPHERMENT) != 0;
	case KEY_KIND_EC:
	case KEY_KIND_X25519:
	case KEY_KIND_X448:
		return (cert->key_usage & KEY_USAGE_KEY_AGREEMENT) != 0;
	case KEY_KIND_OTHER:
	case KEY_KIND_RSA_PSS:
	case KEY_KIND_ED25519:
	case KEY_KIND_ED448:
	case KEY_KIND_DSA:
		return FALSE;
	}
	return FALSE;
}

gboolean
cert_may_sign(const struct cert *cert)
{
	if (cert->key_kind == KEY_KIND_X25519 || cert->key_kind == KEY_KIND_X448)
		return FALSE;
	return (cert->key_usage & (KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_NON_REPUDIATION)) != 0;
}

gboolean
cert_has_digital_signature(const struct cert *cert)
{
	return cert_may_sign(cert) && (cert->key_usage & KEY_USAGE_DIGITAL_SIGNATURE) != 0;
}

const char *
cert_kind(const struct cert *cert)
{
	if (cert->self_signed && (cert->ca || cert->version_1))
		return "root";
	return cert->ca ? "intermediate" : "end user";
}

gpointer *
cert_slot_place(const struct cert *cert, enum cert_slot slot)
{
	return &((struct cert *)cert)->slots[slot];
}

gconstpointer
cert_slot(const struct cert *cert, enum cert_slot slot, gpointer (*make)(const struct cert *),
	  GDestroyNotify free_func)
{
	gpointer *place = cert_slot_place(cert, slot);
	gpointer made, kept = g_atomic_pointer_get(place);

	if (kept != NULL)
		return kept;
	made = make(cert);
	if (g_atomic_pointer_compare_and_exchange(place, NULL, made))
		return made;
	free_func(made);
	return g_atomic_pointer_get(place);
}

gsize
cert_memory(const struct cert *cert)
{
	gsize length = g_bytes_get_size(cert->der);

	return cert->light ? length * LIGHT_COST_FACTOR + LIGHT_COST_FIXED
			   : length * WHOLE_COST_FACTOR + WHOLE_COST_FIXED;
}

gboolean
cert_is_issued_by(const struct cert *cert, const struct cert *issuer)
{
	guint effort = 0;

	return cert_is_signed_by(cert, issuer, &effort);
}
