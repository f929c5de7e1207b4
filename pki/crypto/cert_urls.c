/*
 * cert_urls - where a certificate says that more is to be had (CRLs, OCSP, its issuer), and what
 * it is for.
 */
#include <string.h>

#include "pki/crypto/internal.h"

#define URLS_MAX 16
#define URL_MAX_BYTES 2048

static gboolean
has_scheme(const char *url, const char *const *schemes)
{
	for (; *schemes != NULL; schemes++)
		if (g_ascii_strncasecmp(url, *schemes, strlen(*schemes)) == 0)
			return TRUE;
	return FALSE;
}

static const char *const fetched[] = { "http://", "https://", "ldap://", "ldaps://", NULL };
static const char *const asked[] = { "http://", "https://", NULL };

/* A text with a NUL inside is how one name is made to look like another. */
static void
add_url(GPtrArray *urls, const GENERAL_NAME *name, const char *const *schemes)
{
	if (name->type != GEN_URI || urls->len >= URLS_MAX)
		return;
	const unsigned char *bytes = ASN1_STRING_get0_data(name->d.uniformResourceIdentifier);
	gsize length = (gsize)ASN1_STRING_length(name->d.uniformResourceIdentifier);
	if (length > URL_MAX_BYTES || memchr(bytes, 0, length) != NULL)
		return;
	g_autofree char *url = g_strndup((const char *)bytes, length);
	if (has_scheme(url, schemes))
		g_ptr_array_add(urls, g_steal_pointer(&url));
}

static GStrv
finish(GPtrArray *urls)
{
	g_ptr_array_add(urls, NULL);
	return (GStrv)g_ptr_array_free(urls, FALSE);
}

GStrv
cert_read_crl_urls(const struct cert *cert)
{
	GPtrArray *urls = g_ptr_array_new();
	CRL_DIST_POINTS *points = cert_extension(cert, NID_crl_distribution_points, NULL);

	for (int i = 0; i < sk_DIST_POINT_num(points); i++) {
		const DIST_POINT_NAME *point = sk_DIST_POINT_value(points, i)->distpoint;

		if (point == NULL || point->type != 0)
			continue;
		for (int k = 0; k < sk_GENERAL_NAME_num(point->name.fullname); k++)
			add_url(urls, sk_GENERAL_NAME_value(point->name.fullname, k), fetched);
	}
	sk_DIST_POINT_pop_free(points, DIST_POINT_free);
	return finish(urls);
}

GStrv
cert_read_access_urls(const struct cert *cert, int method)
{
	GPtrArray *urls = g_ptr_array_new();
	AUTHORITY_INFO_ACCESS *access = cert_extension(cert, NID_info_access, NULL);

	for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(access); i++) {
		const ACCESS_DESCRIPTION *one = sk_ACCESS_DESCRIPTION_value(access, i);

		if (OBJ_obj2nid(one->method) == method)
			add_url(urls, one->location, method == NID_ad_OCSP ? asked : fetched);
	}
	AUTHORITY_INFO_ACCESS_free(access);
	return finish(urls);
}

gboolean
cert_allows_purpose(const struct cert *cert, const char *oid)
{
	int critical = 0;
	EXTENDED_KEY_USAGE *usages = cert_extension(cert, NID_ext_key_usage, &critical);
	g_autoptr(ASN1_OBJECT) wanted = OBJ_txt2obj(oid, 1);
	gboolean found = FALSE;

	if (usages == NULL)
		return critical == -1; /* absent; unreadable or repeated is a no */
	for (int i = 0; i < sk_ASN1_OBJECT_num(usages) && wanted != NULL; i++) {
		const ASN1_OBJECT *usage = sk_ASN1_OBJECT_value(usages, i);

		found = found || OBJ_cmp(usage, wanted) == 0 ||
			OBJ_obj2nid(usage) == NID_anyExtendedKeyUsage;
	}
	sk_ASN1_OBJECT_pop_free(usages, ASN1_OBJECT_free);
	return found;
}
