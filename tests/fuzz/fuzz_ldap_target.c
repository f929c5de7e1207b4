/*
 * fuzz_ldap_target - any text as an LDAP URL, as an address in a filter, and as a filter.
 */
#include <stdint.h>
#include <string.h>

#include "pki/directory.h"
#include "pki/net/ldap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_target(const struct ldap_target *target)
{
	if (target->port == 0 || target->port > 65535 || target->filter[0] != '(')
		g_error("a port or a filter that cannot be");
	if (target->host != NULL && strpbrk(target->host, "/?#@%[] ") != NULL)
		g_error("a host that cannot be");
	for (guint i = 0; target->attributes[i] != NULL; i++)
		if (strpbrk(target->attributes[i], ";, ()") != NULL || !target->attributes[i][0])
			g_error("an attribute that cannot be");
	if (!g_utf8_validate(target->base, -1, NULL) || !g_utf8_validate(target->filter, -1, NULL))
		g_error("not UTF-8");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup(size > 0 ? (const char *)data : "", size);
	g_autoptr(GError) error = NULL;
	CLEANUP(ldap_target) struct ldap_target *target = ldap_target_parse(text, &error);
	g_autofree char *escaped = ldap_filter_escape(text);
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(text, NULL);

	if ((target == NULL) != (error != NULL))
		g_error("neither a target nor an error, or both");
	if (target != NULL)
		check_target(target);
	if (strpbrk(escaped, "*()\r\n") != NULL)
		g_error("an escape that lets a filter through");
	if (directory_filter_check(text, NULL) && strstr(text, "%s") == NULL)
		g_error("a filter without a place for the address");
	if (address != NULL) {
		g_autofree char *filter = directory_filter("(mail=%s)", address);

		if (strchr(filter, ')') != filter + strlen(filter) - 1)
			g_error("an address that ends a filter");
	}
	return 0;
}
