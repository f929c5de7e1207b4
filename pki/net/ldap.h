/*
 * ldap - bounded questions to LDAP servers (protocol 3, RFC 4511). The only user of libldap.
 *
 * One connection, made over address_guard_connect; referrals are not followed, nothing is asked of
 * any other server, binding is simple or anonymous (no SASL), and no configuration file of libldap
 * has a say. Limits are part of the question: what is larger is refused while it arrives, before
 * memory is taken for it. A server's own texts (diagnostics, referrals, names) never enter an
 * error. Attributes are found with and without the option ";binary" (RFC 4523 asks for it,
 * servers differ).
 * Failure: TEMPORARY when the server cannot be reached, breaks off, is too slow or too busy; DENIED
 * when it refuses the bind or the search, or its certificate does not fit; NOT_FOUND when the
 * base does not exist; INVALID when what it says is not LDAP or past a limit.
 * Threads: a client belongs to one thread. RFC 4516 (URLs), RFC 4515 (filters).
 */
#ifndef PKI_NET_LDAP_H
#define PKI_NET_LDAP_H

#include <glib.h>

#include "store/base/cleanup.h"

#define LDAP_PORT_PLAIN 389
#define LDAP_PORT_TLS 636

struct address_guard;
struct ldap_client;
struct secret;

enum ldap_depth { LDAP_DEPTH_BASE, LDAP_DEPTH_ONE, LDAP_DEPTH_SUBTREE };
enum ldap_security {
	LDAP_SECURITY_LDAPS,    /* TLS from the first byte */
	LDAP_SECURITY_STARTTLS, /* demanded: without it nothing is asked */
	LDAP_SECURITY_NONE,     /* for what is signed by itself (CRLs), and anonymous binds alone */
};

/* What an LDAP URL says. Active Directory writes some without a host (any configured server is
 * meant) and with a filter that lacks its parentheses; they are added. */
struct ldap_target {
	gboolean tls;     /* ldaps: */
	char *host;       /* NULL: names none. IPv6 addresses without brackets */
	guint port;       /* of the URL, else 389 or 636 */
	char *base;       /* may be empty */
	GStrv attributes; /* empty: all */
	enum ldap_depth depth;
	char *filter; /* with its parentheses */
};

/* INVALID: not an LDAP URL, user information, a critical extension, or longer than 8 KiB. */
struct ldap_target *ldap_target_parse(const char *url, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ldap_target_free(struct ldap_target *target); /* NULL is fine */

struct ldap_limits {
	guint timeout_ms;       /* of everything, connecting included; 0: 10 s */
	guint entries_max;      /* more are not looked at; 0: 10 */
	guint values_max;       /* in all; 0: 100 */
	gsize value_max_bytes;  /* 0: 256 KiB */
	gsize answer_max_bytes; /* of one entry as sent, and of all values; 0: 4 MiB */
};

struct ldap_server {
	const char *host;
	guint port; /* 0: 389, or 636 with LDAPS */
	enum ldap_security security;
	const char *ca_file; /* PEM; NULL: what the system trusts */
	const char *bind_dn; /* NULL: anonymous */
	const struct secret *password;
};

/* Connects, secures and binds, within the time limit of `limits`, which goes on to run for the
 * questions. guard NULL: an administrator named the server, any address will do. */
struct ldap_client *ldap_client_open(const struct ldap_server *server,
				     const struct address_guard *guard,
				     const struct ldap_limits *limits,
				     GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ldap_client_free(struct ldap_client *client); /* unbinds; NULL is fine */

struct ldap_value {
	char *attribute; /* lower case, without options: "usercertificate" */
	GBytes *bytes;   /* never empty */
};

struct ldap_answer {
	GPtrArray *values;  /* of struct ldap_value *, in the order sent */
	guint entries;      /* looked at */
	gboolean truncated; /* there was more than the limits allow, or a reference elsewhere */
};

struct ldap_question {
	const char *base;
	enum ldap_depth depth;
	const char *filter;            /* RFC 4515 */
	const char *const *attributes; /* without options; at least one; others are not returned */
};

struct ldap_answer *ldap_client_search(struct ldap_client *client,
				       const struct ldap_question *question,
				       GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ldap_answer_free(struct ldap_answer *answer); /* NULL is fine */

/* All in one, anonymously, for URLs out of certificates: the values of the URL's attributes, or
 * of `attributes` where it names none. target->host must be there. Of GBytes; never empty:
 * NOT_FOUND. TLS of ldaps is verified against the system's CAs. */
GPtrArray *ldap_fetch(const struct ldap_target *target, const char *const *attributes,
		      const struct address_guard *guard, const struct ldap_limits *limits,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* RFC 4515 section 3: * ( ) \ NUL and everything outside printable ASCII become \xx. */
char *ldap_filter_escape(const char *text);

DEFINE_CLEANUP(ldap_target, ldap_target_free)
DEFINE_CLEANUP(ldap_client, ldap_client_free)
DEFINE_CLEANUP(ldap_answer, ldap_answer_free)

#endif
