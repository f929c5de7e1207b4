/*
 * ldap_internal - what asking and writing share: one connection, its time, its errors.
 */
#ifndef PKI_NET_LDAP_INTERNAL_H
#define PKI_NET_LDAP_INTERNAL_H

#include <ldap.h>

#include "pki/net/ldap.h"

struct ldap_client {
	LDAP *ld;
	char *name; /* of the server, for texts */
	struct ldap_limits limits;
	gint64 deadline_us;
};

/* Our words for libldap's numbers, never the server's own. */
gboolean ldap_fail_code(const struct ldap_client *client, int code, const char *what,
			GError **error);
gboolean ldap_fail_late(const struct ldap_client *client, GError **error);
/* FALSE when there is none. */
gboolean ldap_time_left(const struct ldap_client *client, struct timeval *left);
/* One message of the answer. */
gboolean ldap_receive(struct ldap_client *client, int id, LDAPMessage **message, GError **error);
/* The result of an operation that has no other answer. */
gboolean ldap_receive_result(struct ldap_client *client, int id, const char *what, GError **error);

#endif
