/*
 * cms_oid - the object identifiers that CMS needs, as the content octets of their DER.
 */
#ifndef PKI_CRYPTO_CMS_OID_H
#define PKI_CRYPTO_CMS_OID_H

#include "pki/crypto/tlv.h"

/* content types (RFC 5652, 5083, 3274) */
extern const struct tlv oid_data;
extern const struct tlv oid_signed_data;
extern const struct tlv oid_enveloped_data;
extern const struct tlv oid_digested_data;
extern const struct tlv oid_encrypted_data;
extern const struct tlv oid_authenticated_data;
extern const struct tlv oid_compressed_data;
extern const struct tlv oid_auth_enveloped_data;

/* attributes (RFC 5652 section 11, RFC 8551 section 2.5) */
extern const struct tlv oid_content_type;
extern const struct tlv oid_message_digest;
extern const struct tlv oid_signing_time;
extern const struct tlv oid_smime_capabilities;
extern const struct tlv oid_encryption_preference;

/* digests */
extern const struct tlv oid_sha1;
extern const struct tlv oid_sha256;
extern const struct tlv oid_sha384;
extern const struct tlv oid_sha512;

/* signatures and key transport */
extern const struct tlv oid_rsa_encryption;
extern const struct tlv oid_rsaes_oaep;
extern const struct tlv oid_mgf1;
extern const struct tlv oid_ecdsa_sha256;
extern const struct tlv oid_ecdsa_sha384;
extern const struct tlv oid_ecdsa_sha512;

/* key agreement (RFC 5753) */
extern const struct tlv oid_ec_public_key;
extern const struct tlv oid_ecdh_sha1;
extern const struct tlv oid_ecdh_sha224;
extern const struct tlv oid_ecdh_sha256;
extern const struct tlv oid_ecdh_sha384;
extern const struct tlv oid_ecdh_sha512;
extern const struct tlv oid_ecdh_cofactor_sha1;
extern const struct tlv oid_ecdh_cofactor_sha224;
extern const struct tlv oid_ecdh_cofactor_sha256;
extern const struct tlv oid_ecdh_cofactor_sha384;
extern const struct tlv oid_ecdh_cofactor_sha512;
extern const struct tlv oid_aes128_wrap;
extern const struct tlv oid_aes192_wrap;
extern const struct tlv oid_aes256_wrap;
extern const struct tlv oid_des3_wrap;

/* content encryption */
extern const struct tlv oid_aes128_cbc;
extern const struct tlv oid_aes192_cbc;
extern const struct tlv oid_aes256_cbc;
extern const struct tlv oid_aes128_gcm;
extern const struct tlv oid_aes192_gcm;
extern const struct tlv oid_aes256_gcm;
extern const struct tlv oid_rc2_cbc;
extern const struct tlv oid_des_ede3_cbc;

/* compression (RFC 3274) */
extern const struct tlv oid_zlib;

/* certificate extensions */
extern const struct tlv oid_subject_key_identifier;

/* The name in the table of algorithms ("sha256", "aes-256-gcm"), else the OID in dots. */
char *oid_algorithm_name(const struct tlv *oid);
/* The field's name ("rsaEncryption", "ecdsa-with-SHA256"), else the OID in dots. */
char *oid_field_name(const struct tlv *oid);

#endif
