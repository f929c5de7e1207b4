/*
 * capabilities - SMIMECapabilities as they stand in signatures and certificates (RFC 8551 section
 * 2.5.2, RFC 4262): which ciphers and key transports somebody says he reads.
 *
 * Only what we would use is taken: AES, and RSAES-OAEP with a SHA-2 digest. Threads: any.
 */
#ifndef PKI_CRYPTO_CAPABILITIES_H
#define PKI_CRYPTO_CAPABILITIES_H

#include <glib.h>

#include "pki/crypto/tlv.h"

struct cert;

struct capabilities {
	guint ciphers;    /* 1 << enum cms_cipher */
	guint transports; /* 1 << enum cms_transport, of the OAEP ones */
};

/* `whole`: the SEQUENCE OF SMIMECapability; what cannot be read is left out. */
struct capabilities capabilities_read(struct tlv whole);
/* Of the certificate's own extension; FALSE where it has none that can be read. */
gboolean capabilities_of_cert(const struct cert *cert, struct capabilities *found);

#endif
