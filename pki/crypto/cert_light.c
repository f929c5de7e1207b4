/*
 * cert_light - a certificate of the common kind out of its fields; nothing of OpenSSL's is made.
 */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

#include "pki/crypto/cert_internal.h"
#include "pki/crypto/cert_scan_internal.h"
#include "store/base/hex.h"

static char *
hex_or_null(const struct tlv *octets)
{
	return octets->length > 0 ? hex_encode(octets->bytes, octets->length) : NULL;
}

/* FALSE: a name that cannot be read, or the issuer's own: whether it is self-signed only its
 * signature says. */
static gboolean
read_names(struct cert *cert, const struct cert_fields *fields)
{
	struct scan_name issuer, subject = { NULL, NULL, NULL };
	gboolean good = scan_name_read(&issuer, &fields->issuer) &&
			scan_name_read(&subject, &fields->subject) &&
			strcmp(issuer.key, subject.key) != 0 &&
			scan_addresses(cert->emails, fields, subject.emails);

	if (good) {
		cert->issuer = g_steal_pointer(&issuer.text);
		cert->issuer_key = g_steal_pointer(&issuer.key);
		cert->subject = g_steal_pointer(&subject.text);
		cert->subject_key = g_steal_pointer(&subject.key);
	} else {
		g_ptr_array_set_size(cert->emails, 0);
	}
	scan_name_clear(&issuer);
	scan_name_clear(&subject);
	return good;
}

/* As key_text_of. */
static char *
fields_key_text(const struct cert_fields *fields)
{
	return g_strdup_printf("%s %s%u", key_kind_name(fields->key_kind),
			       fields->key_kind == KEY_KIND_EC ? "P-" : "", fields->key_bits);
}

static enum algorithm
algorithm_of_oid(const struct tlv *oid)
{
	g_autofree char *dotted = tlv_oid_text(oid);

	return dotted != NULL ? algorithm_by_oid(dotted) : ALGORITHM_UNKNOWN;
}

/* What is decoded when somebody asks has to be there then: a certificate that OpenSSL would refuse
 * in part is refused now, and wholly. */
static gboolean
openssl_reads(const struct cert_fields *fields)
{
	const unsigned char *subject = fields->subject.bytes, *issuer = fields->issuer.bytes,
			    *extensions = fields->extensions.bytes;
	X509_NAME *names[] = {
		d2i_X509_NAME(NULL, &subject, (long)fields->subject.length),
		d2i_X509_NAME(NULL, &issuer, (long)fields->issuer.length),
	};
	X509_EXTENSIONS *all =
	    d2i_X509_EXTENSIONS(NULL, &extensions, (long)fields->extensions.length);
	gboolean good = names[0] != NULL && names[1] != NULL && all != NULL;

	for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
		X509_NAME_free(names[i]);
	sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
	ERR_clear_error();
	return good;
}

gboolean
cert_read_light(struct cert *cert)
{
	struct tlv der = tlv_of_bytes(cert->der);
	struct cert_fields fields;

	if (!cert_fields_read(&fields, der) || !openssl_reads(&fields) ||
	    !read_names(cert, &fields))
		return FALSE;
	cert->light = TRUE;
	cert->fields = fields;
	cert->thumbprint = digest_hex("SHA512", der.bytes, der.length);
	cert->spki_sha256 = digest_hex("SHA256", fields.spki.bytes, fields.spki.length);
	cert->serial = number_hex(fields.serial.bytes, fields.serial.length);
	cert->ski = hex_or_null(&fields.subject_key_id);
	cert->aki = hex_or_null(&fields.authority_key_id);
	cert->not_before = fields.not_before;
	cert->not_after = fields.not_after;
	cert->key_kind = fields.key_kind;
	cert->key_bits = fields.key_bits;
	cert->key_text = fields_key_text(&fields);
	cert->signature = algorithm_of_oid(&fields.signature_oid);
	cert->key_usage = fields.key_usage;
	cert->email_purpose = fields.email_purpose;
	cert->has_basic_constraints = fields.has_basic_constraints;
	cert->ca = fields.is_ca;
	cert->path_length = fields.path_length;
	return TRUE;
}
