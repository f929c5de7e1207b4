/*
 * cert_ocsp - what responders answered about a certificate, for those who show it.
 */
#ifndef ADMIN_API_CERT_OCSP_H
#define ADMIN_API_CERT_OCSP_H

#include "admin/api/call.h"

struct cert;

/* Adds "ocsp": a sentence for each answer or failure that is kept; nothing when there is none. */
void cert_ocsp_add(struct call *call, json_t *object, const struct cert *cert);

#endif
