/*
 * cms_id - the names under which CMS objects know certificates.
 *
 * Issuer and serial number, or the subject key identifier (RFC 5652 sections 5.3 and 6.2).
 */
#ifndef PKI_CRYPTO_CMS_ID_H
#define PKI_CRYPTO_CMS_ID_H

#include "pki/crypto/cms_verify.h"
#include "pki/crypto/tlv.h"

/* Issuer Name and serial INTEGER as whole elements, cut out of the certificate's DER. */
gboolean cms_cert_names(GBytes *cert_der, struct tlv *issuer, struct tlv *serial);
/* Appends IssuerAndSerialNumber under that tag (SEQUENCE, or an implicit one). */
void cms_put_issuer_and_serial(GByteArray *out, guint8 tag, const struct cert *cert);

/* Content of IssuerAndSerialNumber, or of a key identifier; FALSE when malformed. */
gboolean cms_signer_id_read(struct cms_signer_id *id, struct tlv issuer_and_serial);
void cms_signer_id_read_key_id(struct cms_signer_id *id, const struct tlv *key_id);
/* The same as cms_signer_id_matches on a certificate that is not parsed yet. */
gboolean cms_signer_id_matches_der(const struct cms_signer_id *id, GBytes *cert_der);

#endif
