/*
 * cas_internal - what the mappers of our own CAs share.
 */
#ifndef STORE_CAS_INTERNAL_H
#define STORE_CAS_INTERNAL_H

#include "store/cas.h"

struct rows;

/* In the order of ca_row_read. */
#define CA_ROW_COLUMNS                                                                             \
	"ca.id, ca.name, ca.thumbprint, ca.root_thumbprint, ca.issuer_key, ca.spki_sha256,"        \
	" ca.root_spki_sha256, ca.is_default, ca.created, ca.crl_next, ca.csr, ca.crl_partition,"  \
	" ca.revoked_at IS NOT NULL"
#define CA_ROW_COLUMN_COUNT 13

struct ca_row *ca_row_read(const struct rows *rows, int r);

#endif
