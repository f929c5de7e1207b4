/*
 * url - the URLs that are fetched: absolute, http, https, ldap or ldaps, strictly read.
 *
 * RFC 3986, in ASCII (IA5String of certificates; a name in other letters is written xn--). No user
 * info, no fragment kept, no control characters or blanks. A host is a name, a dotted-quad IPv4
 * address or a bracketed IPv6 address without zone; other spellings of IPv4 addresses (one
 * number, octal, hex) are refused, as are empty labels. Threads: any.
 */
#ifndef PKI_NET_URL_H
#define PKI_NET_URL_H

#include <glib.h>

#include "store/base/cleanup.h"

#define URL_MAX_BYTES 2000

enum url_scheme { URL_HTTP, URL_HTTPS, URL_LDAP, URL_LDAPS };

struct url {
	enum url_scheme scheme;
	char *host; /* lower case, without brackets and trailing dot; "" for ldap:///… */
	guint port; /* the scheme's when none is given */
	char *rest; /* path and query, begins with "/" */
	char *text; /* the whole, normalised: what is compared and fetched */
};

/* INVALID, with a text that does not repeat the URL. */
struct url *url_parse(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void url_free(struct url *url);
const char *url_scheme_name(enum url_scheme scheme);
/* names: hosts (with all below them), ".domain" (what is below it), addresses, "*"; or NULL. */
gboolean url_host_is_among(const struct url *url, const char *const *names);

DEFINE_CLEANUP(url, url_free)

#endif
