/*
 * cert_tls - what a certificate for TLS says: DNS names and purposes.
 */
#include <string.h>

#include "pki/crypto/internal.h"

#define NAMES_MAX 1000

gboolean
cert_names_purpose(const struct cert *cert, const char *purpose)
{
	EXTENDED_KEY_USAGE *usages = cert_extension(cert, NID_ext_key_usage, NULL);
	int wanted = OBJ_sn2nid(purpose);
	gboolean found = FALSE;

	for (int i = 0; i < sk_ASN1_OBJECT_num(usages); i++) {
		int nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(usages, i));

		found |= nid != NID_undef && (nid == wanted || nid == NID_anyExtendedKeyUsage);
	}
	sk_ASN1_OBJECT_pop_free(usages, ASN1_OBJECT_free);
	return found;
}

GStrv
cert_dns_names(const struct cert *cert)
{
	g_autoptr(GENERAL_NAMES) names = cert_extension(cert, NID_subject_alt_name, NULL);
	g_autoptr(GStrvBuilder) found = g_strv_builder_new();

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && i < NAMES_MAX; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != GEN_DNS)
			continue;
		gsize length = (gsize)ASN1_STRING_length(name->d.dNSName);
		const char *bytes = (const char *)ASN1_STRING_get0_data(name->d.dNSName);
		if (memchr(bytes, 0, length) != NULL)
			continue;
		g_autofree char *lower = g_ascii_strdown(bytes, (gssize)length);
		g_strv_builder_add(found, lower);
	}
	return g_strv_builder_end(found);
}
