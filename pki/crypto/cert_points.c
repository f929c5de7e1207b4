/*
 * cert_points - two extensions by OpenSSL, one pair by hand.
 */
#include "pki/crypto/cert_points.h"

#include <string.h>

#include "pki/crypto/internal.h"
#include "pki/crypto/tlv.h"

#define URL_MAX_BYTES 2048

static const char *const schemes[] = { "http://", "https://", "ldap://", "ldaps://" };

/* NULL when it is nothing that is fetched; a text with a NUL inside is how one name is made to
 * look like another. */
static char *
url_of(const GENERAL_NAME *name)
{
	if (name->type != GEN_URI)
		return NULL;
	const char *bytes = (const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier);
	gsize length = (gsize)ASN1_STRING_length(name->d.uniformResourceIdentifier);

	if (length > URL_MAX_BYTES || memchr(bytes, 0, length) != NULL)
		return NULL;
	for (gsize i = 0; i < G_N_ELEMENTS(schemes); i++)
		if (length > strlen(schemes[i]) &&
		    g_ascii_strncasecmp(bytes, schemes[i], strlen(schemes[i])) == 0)
			return g_strndup(bytes, length);
	return NULL;
}

static GStrv
urls_of(const DIST_POINT_NAME *point, guint *left)
{
	g_autoptr(GStrvBuilder) urls = g_strv_builder_new();

	if (point == NULL || point->type != 0)
		return g_strv_builder_end(urls);
	for (int i = 0; i < sk_GENERAL_NAME_num(point->name.fullname) && *left > 0; i++) {
		g_autofree char *url = url_of(sk_GENERAL_NAME_value(point->name.fullname, i));

		if (url == NULL)
			continue;
		g_strv_builder_add(urls, url);
		*left -= 1;
	}
	return g_strv_builder_end(urls);
}

GPtrArray *
cert_points(const struct cert *cert, enum cert_points_kind kind)
{
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
	guint left = CERT_POINT_URLS_MAX;
	int nid = kind == CERT_POINTS_CRL ? NID_crl_distribution_points : NID_freshest_crl;
	CRL_DIST_POINTS *points = cert_extension(cert, nid, NULL);

	for (int i = 0; i < sk_DIST_POINT_num(points) && left > 0; i++) {
		g_auto(GStrv) urls = urls_of(sk_DIST_POINT_value(points, i)->distpoint, &left);

		if (*urls != NULL)
			g_ptr_array_add(found, g_steal_pointer(&urls));
	}
	sk_DIST_POINT_pop_free(points, DIST_POINT_free);
	return found;
}

gboolean
cert_pair_read(GBytes *der, GPtrArray *certs)
{
	struct tlv in = tlv_of_bytes(der);
	struct tlv pair, side;
	gboolean found = FALSE;

	if (!tlv_take(&in, TLV_SEQUENCE, &pair) || in.length != 0)
		return FALSE;
	for (guint8 n = 0; n < 2; n++) {
		if (!tlv_take(&pair, TLV_CONTEXT_CONSTRUCTED(n), &side))
			continue;
		g_autoptr(GBytes) one = g_bytes_new(side.bytes, side.length);
		struct cert *cert = cert_parse(one, NULL);

		if (cert == NULL)
			return FALSE;
		g_ptr_array_add(certs, cert);
		found = TRUE;
	}
	return found && pair.length == 0;
}
