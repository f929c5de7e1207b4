/*
 * cert_text - certificates, verdicts and marks as JSON, the same wherever they are shown.
 */
#ifndef ADMIN_API_CERT_TEXT_H
#define ADMIN_API_CERT_TEXT_H

#include "admin/api/call.h"
#include "admin/api/paging.h"
#include "pki/crypto/cert.h"
#include "pki/trust.h"
#include "store/certs.h"

/* A row of a list (K8) with its marks; judged with the certificate of der, or not (NULL). */
json_t *cert_text_row(struct call *call, const struct cert_row *row, GBytes *der);
/* The filters of K8 as arguments: one field or free text, expired, with-key, pending. */
gboolean cert_text_filter(const struct call *call, const struct page *page,
			  struct cert_filter *filter, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* thumbprint -> DER (GBytes) of the rows of a page, in one query. */
GHashTable *cert_text_ders(struct call *call, const GPtrArray *rows,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All facts of K1 that the certificate itself has. */
json_t *cert_text_facts(GPtrArray *facts);
/* Adds verdict, reason, ctl to an object. */
void cert_text_verdict(json_t *object, const struct verdict *verdict);
/* The same for what it is judged to be now; FALSE: that cannot be known, and is said so. */
gboolean cert_text_judge(struct call *call, json_t *object, struct cert *cert);
/* By thumbprint or a prefix of it; certificate store, then root store. NOT_FOUND. */
struct cert *cert_text_find(struct call *call, const char *thumbprint,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All of them, or NULL with *error; struct cert *. */
GPtrArray *cert_text_find_all(struct call *call, const char *argument,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* {"name": …} of the file written in a format ("pem", "der", "pkcs7"); certs: of struct cert. */
json_t *cert_text_file(GPtrArray *certs, const char *format, const char *base,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The issuers of certs in the stores, appended to it, without repeats. */
void cert_text_add_chain(struct call *call, GPtrArray *certs);

#endif
