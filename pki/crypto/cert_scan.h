/*
 * cert_scan - the store's row of a certificate in one light pass over its DER.
 *
 * For bulk import: OpenSSL decodes the key of each certificate at once, which costs five times
 * what the row needs. What is read here is plain DER of the common kind (version 3, RSA or EC on
 * a named curve, a name that differs from the issuer's, extensions of the usual form); everything
 * else gives NULL, which is no judgement: cert_parse then decides what it is. What is read gives
 * the very row that cert_parse and cert_row_from give.
 * Limits of cert.h come first. Threads: a scanner belongs to one thread.
 */
#ifndef PKI_CRYPTO_CERT_SCAN_H
#define PKI_CRYPTO_CERT_SCAN_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/certs.h"

struct cert_scanner;

struct cert_scanner *cert_scanner_new(void);
void cert_scanner_free(struct cert_scanner *scanner); /* NULL is fine */

/* The row refs der; its origin is "import". NULL: not of the common kind, ask cert_parse. */
struct cert_row *cert_scan(struct cert_scanner *scanner, GBytes *der) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(cert_scanner, cert_scanner_free)

#endif
