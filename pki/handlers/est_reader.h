/*
 * est_reader - what an EST server answers (RFC 7030, RFC 8951): base64 of a certs-only PKCS#7, and
 * of the attributes it wants in a request.
 *
 * Sizes first; trailing bytes are an error. Pure. Threads: any. INVALID says what is wrong.
 */
#ifndef PKI_HANDLERS_EST_READER_H
#define PKI_HANDLERS_EST_READER_H

#include <glib.h>

#include "pki/crypto/algorithms.h"
#include "store/base/cleanup.h"

#define EST_CERTS_MAX 64

/* Base64 in lines of any length; nothing else may be in between (RFC 8951 section 3). */
GBytes *est_decode(GBytes *body, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* In lines of 64 with CRLF. */
GBytes *est_encode(GBytes *der);
/* struct cert, in the order they came. DER of a certs-only PKCS#7. */
GPtrArray *certs_only_read(GBytes *der, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* CsrAttrs (RFC 7030 section 4.5.2): of it, what a key must be; the rest is told. */
struct est_attributes {
	enum key_kind kind; /* KEY_KIND_OTHER: it does not say */
	guint bits;         /* 0: it does not say */
	gboolean challenge; /* a password in the request, which needs TLS before 1.3 */
	char *text;         /* OIDs, "" for none */
};
struct est_attributes *est_attributes_read(GBytes *der, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void est_attributes_free(struct est_attributes *attributes);

DEFINE_CLEANUP(est_attributes, est_attributes_free)

#endif
