/*
 * ldap_write - changes of entries over a connection of ldap.h, for what is published.
 *
 * DNs and names of attributes are an administrator's. Limits and failures are ldap.h's; a change
 * that is answered too late may have happened: all of them may be made again.
 */
#ifndef PKI_NET_LDAP_WRITE_H
#define PKI_NET_LDAP_WRITE_H

#include "pki/net/ldap.h"

/* Replaces all values of the attribute; where the entry lacks the object class (may be NULL) that
 * it needs, that is added. NOT_FOUND: there is no such entry. */
gboolean ldap_client_replace(struct ldap_client *client, const char *dn, const char *object_class,
			     const char *attribute, GBytes *const *values, gsize count,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Makes an entry whose RDN is "cn=...", of these object classes. */
gboolean ldap_client_add(struct ldap_client *client, const char *dn,
			 const char *const *object_classes,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* One value more, or one less; it is no failure when that is so already. */
gboolean ldap_client_add_value(struct ldap_client *client, const char *dn, const char *attribute,
			       GBytes *value, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ldap_client_drop_value(struct ldap_client *client, const char *dn, const char *attribute,
				GBytes *value, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* DNs of entries, at most entries_max of them; may be empty. */
GStrv ldap_client_find(struct ldap_client *client, const char *base, const char *filter,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
