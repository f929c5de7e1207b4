/*
 * lookups - the statements of the mail path, by name, for the test that explains each of them.
 *
 * Nobody else uses this: the aggregates' functions are the way to rows.
 */
#ifndef STORE_LOOKUPS_H
#define STORE_LOOKUPS_H

#include "store/db/query.h"

extern const struct statement certs_by_thumbprints_statement;
extern const struct statement candidates_statement;
extern const struct statement certs_by_emails_statement;
extern const struct statement certs_issuers_statement;
extern const struct statement certs_by_subject_statement;
extern const struct statement certs_by_issuer_serial_statement;
extern const struct statement certs_by_ski_statement;
extern const struct statement certs_by_spki_statement;
extern const struct statement keys_find_statement;
extern const struct statement keys_held_statement;
extern const struct statement crls_held_statement;
extern const struct statement crls_revoked_statement;
extern const struct statement ctl_by_thumbprints_statement;
extern const struct statement ocsp_by_certs_statement;
extern const struct statement scope_rows_statement;
extern const struct statement selections_by_scopes_statement;

#endif
