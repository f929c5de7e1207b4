/*
 * cert_uses - for whom a certificate is selected, and how (K1, S6): by itself because an address
 * matches, by hand, or inherited from a domain or from everybody; what is selected and not used
 * says why.
 *
 * The addresses of the certificate are asked about one by one, the first USES_ADDRESSES_MAX of
 * them; choices by hand of others stand beside them.
 */
#ifndef ADMIN_API_CERT_USES_H
#define ADMIN_API_CERT_USES_H

#include "admin/api/call.h"
#include "pki/crypto/cert.h"
#include "store/selections.h"

#define USES_ADDRESSES_MAX 20

struct cert_use {
	enum selection_kind kind;
	char *whom;    /* "bob@x", "domain x", "global" */
	char *how;     /* "automatic", "by hand", "inherited from domain x" … */
	gboolean used; /* or only chosen */
	char *why;     /* why not; NULL when it is */
};

/* struct cert_use *; an empty array when there is none. */
GPtrArray *cert_uses(struct call *call, const struct cert *cert,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* "encrypt for bob@x (automatic)"; owned by the caller. */
char *cert_use_text(const struct cert_use *use);

#endif
