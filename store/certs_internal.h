/*
 * certs_internal - what the parts of the certificate store share: columns and their mapping.
 */
#ifndef STORE_CERTS_INTERNAL_H
#define STORE_CERTS_INTERNAL_H

#include <glib.h>

struct cert_filter;
struct params;
struct rows;

/* What is written of a new row, by whichever way it comes: id and e-mail addresses apart. */
#define CERT_NEW_COLUMNS                                                                           \
	"thumbprint, der, subject, issuer, subject_key, issuer_key, serial, not_before,"           \
	" not_after, spki_sha256, ski, aki, is_ca, self_signed, key_kind, key_bits, origin,"       \
	" origin_detail, request_id, own_ca, pending, issued"

/* Lists leave the DER out, so that a page of a million stays small. */
#define CERT_COLUMNS(der)                                                                          \
	"SELECT c.id, c.thumbprint, " der ", c.subject, c.issuer, c.subject_key, c.issuer_key,"    \
	" c.serial, c.not_before, c.not_after, c.spki_sha256, c.ski, c.aki, c.is_ca,"              \
	" c.self_signed, c.key_kind, c.key_bits, c.origin, c.origin_detail, c.request_id,"         \
	" c.own_ca, c.pending, c.issued, c.created,"                                               \
	" ARRAY(SELECT e.email FROM certificate_email e WHERE e.certificate_id = c.id"             \
	" ORDER BY e.email),"                                                                      \
	" EXISTS (SELECT 1 FROM private_key k WHERE k.spki_sha256 = c.spki_sha256),"               \
	" (SELECT t.kind || CASE WHEN t.allow_expired THEN '-expired' ELSE '' END"                 \
	" FROM ctl_entry t WHERE t.thumbprint = c.thumbprint)"                                     \
	" FROM certificate c"

/* Takes the rows of CERT_COLUMNS; NULL gives NULL. struct cert_row *, freed by the array. */
GPtrArray *cert_rows_read(struct rows *rows);
/* The statement of a page and its parameters; for the test that explains it. */
char *certs_list_sql(const struct cert_filter *filter, struct params **params, GError **error);

#endif
