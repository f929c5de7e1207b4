/*
 * ldap_write - changes of entries, for what is published.
 */
#include "pki/net/ldap_write.h"

#include <string.h>

#include "pki/net/ldap_internal.h"
#include "store/base/error.h"

/* One change of one attribute. */
static int
modify(struct ldap_client *client, const char *dn, int how, const char *attribute,
       struct berval **values, GError **error)
{
	LDAPMod change = { .mod_op = how | LDAP_MOD_BVALUES, .mod_type = (char *)attribute };
	LDAPMod *changes[] = { &change, NULL };
	LDAPMessage *message = NULL;
	int id = 0, code = LDAP_OTHER;

	change.mod_bvalues = values;
	int rc = ldap_modify_ext(client->ld, dn, changes, NULL, NULL, &id);
	if (rc != LDAP_SUCCESS) {
		ldap_fail_code(client, rc, "writing", error);
		return rc;
	}
	if (!ldap_receive(client, id, &message, error))
		return LDAP_TIMEOUT;
	rc = ldap_parse_result(client->ld, message, &code, NULL, NULL, NULL, NULL, 1);
	if (rc == LDAP_SUCCESS)
		rc = code;
	if (rc != LDAP_SUCCESS)
		ldap_fail_code(client, rc, "writing", error);
	return rc;
}

static struct berval
berval_of(GBytes *bytes)
{
	gsize length;
	gconstpointer data = g_bytes_get_data(bytes, &length);

	return (struct berval){ .bv_len = length, .bv_val = (char *)data };
}

/* `fine`: the code that says that it is so already. */
static gboolean
modify_value(struct ldap_client *client, const char *dn, int how, const char *attribute,
	     struct berval *value, int fine, GError **error)
{
	struct berval *values[] = { value, NULL };
	g_autoptr(GError) why = NULL;
	int rc = modify(client, dn, how, attribute, values, &why);

	if (rc == LDAP_SUCCESS || rc == fine)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&why));
	return FALSE;
}

gboolean
ldap_client_add_value(struct ldap_client *client, const char *dn, const char *attribute,
		      GBytes *value, GError **error)
{
	struct berval one = berval_of(value);

	return modify_value(client, dn, LDAP_MOD_ADD, attribute, &one, LDAP_TYPE_OR_VALUE_EXISTS,
			    error);
}

gboolean
ldap_client_drop_value(struct ldap_client *client, const char *dn, const char *attribute,
		       GBytes *value, GError **error)
{
	struct berval one = berval_of(value);

	return modify_value(client, dn, LDAP_MOD_DELETE, attribute, &one, LDAP_NO_SUCH_ATTRIBUTE,
			    error);
}

static gboolean
replace(struct ldap_client *client, const char *dn, const char *attribute, struct berval **values,
	int *code, GError **error)
{
	*code = modify(client, dn, LDAP_MOD_REPLACE, attribute, values, error);
	return *code == LDAP_SUCCESS;
}

gboolean
ldap_client_replace(struct ldap_client *client, const char *dn, const char *object_class,
		    const char *attribute, GBytes *const *values, gsize count, GError **error)
{
	g_autofree struct berval *all = g_new0(struct berval, count + 1);
	g_autofree struct berval **pointers = g_new0(struct berval *, count + 1);
	g_autoptr(GError) why = NULL;
	int code;

	for (gsize i = 0; i < count; i++) {
		all[i] = berval_of(values[i]);
		pointers[i] = &all[i];
	}
	if (replace(client, dn, attribute, pointers, &code, &why))
		return TRUE;
	if (code == LDAP_OBJECT_CLASS_VIOLATION && object_class != NULL) {
		struct berval name = { .bv_len = strlen(object_class),
				       .bv_val = (char *)object_class };

		return modify_value(client, dn, LDAP_MOD_ADD, "objectClass", &name,
				    LDAP_TYPE_OR_VALUE_EXISTS, error) &&
		       replace(client, dn, attribute, pointers, &code, error);
	}
	g_propagate_error(error, g_steal_pointer(&why));
	return FALSE;
}

/* "cn=Test CA,ou=x" -> "Test CA"; NULL for an RDN of another kind, or of several parts. */
static char *
common_name_of(const char *dn)
{
	LDAPDN parsed = NULL;
	char *name = NULL;

	if (ldap_str2dn(dn, &parsed, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS)
		return NULL;
	if (parsed != NULL && parsed[0] != NULL && parsed[0][0] != NULL && parsed[0][1] == NULL) {
		const LDAPAVA *ava = parsed[0][0];

		if (ava->la_attr.bv_len == 2 &&
		    g_ascii_strncasecmp(ava->la_attr.bv_val, "cn", 2) == 0)
			name = g_strndup(ava->la_value.bv_val, ava->la_value.bv_len);
	}
	ldap_dnfree(parsed);
	return name;
}

gboolean
ldap_client_add(struct ldap_client *client, const char *dn, const char *const *object_classes,
		GError **error)
{
	g_autofree char *name = common_name_of(dn);
	char *names[] = { name, NULL };
	LDAPMod classes = { .mod_op = LDAP_MOD_ADD, .mod_type = (char *)"objectClass" };
	LDAPMod cn = { .mod_op = LDAP_MOD_ADD, .mod_type = (char *)"cn" };
	LDAPMod *attributes[] = { &classes, &cn, NULL };
	int id = 0;

	if (name == NULL)
		return fail_false(error, PS_ERROR_NOT_FOUND,
				  "%s: there is no entry of this name, and only one that begins "
				  "with cn= is made: make it there",
				  client->name);
	classes.mod_values = (char **)object_classes;
	cn.mod_values = names;
	int rc = ldap_add_ext(client->ld, dn, attributes, NULL, NULL, &id);
	if (rc != LDAP_SUCCESS)
		return ldap_fail_code(client, rc, "making an entry", error);
	return ldap_receive_result(client, id, "making an entry", error);
}

static gboolean
take_names(struct ldap_client *client, int id, GPtrArray *names, GError **error)
{
	for (;;) {
		LDAPMessage *message = NULL;
		int code = LDAP_OTHER;

		if (!ldap_receive(client, id, &message, error))
			return FALSE;
		if (ldap_msgtype(message) == LDAP_RES_SEARCH_ENTRY) {
			char *dn = ldap_get_dn(client->ld, message);

			if (dn != NULL && names->len < client->limits.entries_max)
				g_ptr_array_add(names, g_strdup(dn));
			ldap_memfree(dn);
		}
		if (ldap_msgtype(message) != LDAP_RES_SEARCH_RESULT) {
			ldap_msgfree(message);
			continue;
		}
		int rc = ldap_parse_result(client->ld, message, &code, NULL, NULL, NULL, NULL, 1);
		if (rc == LDAP_SUCCESS && (code == LDAP_SUCCESS || code == LDAP_SIZELIMIT_EXCEEDED))
			return TRUE;
		return ldap_fail_code(client, rc != LDAP_SUCCESS ? rc : code, "searching", error);
	}
}

GStrv
ldap_client_find(struct ldap_client *client, const char *base, const char *filter, GError **error)
{
	static char *none[] = { (char *)LDAP_NO_ATTRS, NULL };
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	struct timeval left;
	int id = 0;

	if (!ldap_time_left(client, &left)) {
		ldap_fail_late(client, error);
		return NULL;
	}
	left.tv_sec++;
	int rc = ldap_search_ext(client->ld, base, LDAP_SCOPE_SUBTREE, filter, none, 0, NULL, NULL,
				 &left, (int)client->limits.entries_max, &id);
	if (rc != LDAP_SUCCESS) {
		ldap_fail_code(client, rc, "searching", error);
		return NULL;
	}
	if (!take_names(client, id, names, error))
		return NULL;
	g_ptr_array_add(names, NULL);
	return (GStrv)g_ptr_array_free(g_steal_pointer(&names), FALSE);
}
