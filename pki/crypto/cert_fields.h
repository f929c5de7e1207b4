/*
 * cert_fields - where the fields of a certificate stand, and what they say, without an X509.
 *
 * OpenSSL decodes the key of each certificate at once, which costs five times all the rest. What
 * is read here is plain DER of the common kind (version 3, RSA or EC on a named curve, extensions
 * of the usual form); everything else is FALSE, which is no judgement: OpenSSL then says what it
 * is. What is read, d2i_X509 reads too, and every field is what OpenSSL would say: where it gives
 * an answer only if all extensions that it knows are well-formed (EXFLAG_INVALID), these are read
 * to the same depth. Slices point into the caller's bytes. Threads: any.
 */
#ifndef PKI_CRYPTO_CERT_FIELDS_H
#define PKI_CRYPTO_CERT_FIELDS_H

#include <glib.h>

#include "pki/crypto/algorithms.h"
#include "pki/crypto/tlv.h"

#define CERT_EXTENSIONS_MAX 64

struct cert_fields {
	struct tlv signed_part;       /* what the signature covers, with its header */
	struct tlv signature_oid;     /* content; the same inside and outside */
	struct tlv signature;         /* octets */
	struct tlv serial;            /* content, not negative */
	struct tlv issuer, subject;   /* with their headers; not looked into */
	struct tlv spki, extensions;  /* with their headers */
	struct tlv subject_key_id;    /* octets; empty when absent */
	struct tlv authority_key_id;  /* likewise */
	struct tlv alternative_names; /* GeneralNames, content; empty when absent */
	struct tlv modulus, exponent; /* RSA: content, not negative; the exponent is safe */
	struct tlv point;             /* EC: uncompressed, and on its curve */
	const char *curve;            /* EC: OpenSSL's name of the group */
	enum key_kind key_kind;       /* RSA or EC */
	unsigned int key_bits;
	gint64 not_before, not_after;
	gboolean has_basic_constraints, is_ca;
	int path_length;        /* -1: no limit */
	unsigned int key_usage; /* enum key_usage */
	gboolean email_purpose;
	unsigned int known; /* mask of extensions seen that may come once */
};

/* Takes exactly one certificate. FALSE: not of the common kind. */
gboolean cert_fields_read(struct cert_fields *fields, struct tlv der) G_GNUC_WARN_UNUSED_RESULT;

/* Calls add for each address of the alternative names, without a NUL in it; FALSE when it does. */
typedef gboolean (*cert_fields_address_func)(gpointer data, const struct tlv *text);
gboolean cert_fields_addresses(const struct cert_fields *fields, cert_fields_address_func add,
			       gpointer data);

#endif
