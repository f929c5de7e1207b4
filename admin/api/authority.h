/*
 * authority - what the files of the noun ca share.
 */
#ifndef ADMIN_API_AUTHORITY_H
#define ADMIN_API_AUTHORITY_H

#include "admin/api/call.h"
#include "store/cas.h"

/* The CA of the argument "ca", or the default one; with advice where there is none at all. */
struct ca_row *authority_find(struct call *call, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* As "warnings" of an answer; ca given: they are logged, too. */
void authority_add_warnings(json_t *answer, const GPtrArray *warnings, const char *ca_or_null);
/* Rows of store/ca_issuing as a list; profile NULL: all. */
json_t *authority_extensions(const GPtrArray *rows, const char *profile);

#endif
