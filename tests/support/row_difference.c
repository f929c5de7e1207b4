/*
 * row_difference - member by member.
 */
#include "tests/support/row_difference.h"

#include "pki/crypto/cert.h"
#include "pki/crypto/cert_scan.h"
#include "pki/crypto/internal.h"
#include "pki/import.h"

static char *
differ(const char *name, const char *a, const char *b)
{
	return g_strdup_printf("%s: '%s' and '%s'", name, a != NULL ? a : "(none)",
			       b != NULL ? b : "(none)");
}

static char *
text_difference(const struct cert_row *a, const struct cert_row *b)
{
	const struct {
		const char *name, *a, *b;
	} texts[] = {
		{ "thumbprint", a->thumbprint, b->thumbprint },
		{ "subject", a->subject, b->subject },
		{ "issuer", a->issuer, b->issuer },
		{ "subject_key", a->subject_key, b->subject_key },
		{ "issuer_key", a->issuer_key, b->issuer_key },
		{ "serial", a->serial, b->serial },
		{ "spki", a->spki_sha256, b->spki_sha256 },
		{ "ski", a->ski, b->ski },
		{ "aki", a->aki, b->aki },
		{ "key_kind", a->key_kind, b->key_kind },
		{ "origin", a->origin, b->origin },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
		if (g_strcmp0(texts[i].a, texts[i].b) != 0)
			return differ(texts[i].name, texts[i].a, texts[i].b);
	return NULL;
}

char *
row_difference(const struct cert_row *a, const struct cert_row *b)
{
	char *difference = text_difference(a, b);

	if (difference != NULL)
		return difference;
	if (!g_strv_equal((const char *const *)a->emails, (const char *const *)b->emails)) {
		g_autofree char *left = g_strjoinv(" ", a->emails);
		g_autofree char *right = g_strjoinv(" ", b->emails);
		return differ("emails", left, right);
	}
	if (!g_bytes_equal(a->der, b->der))
		return g_strdup("der");
	if (a->not_before != b->not_before || a->not_after != b->not_after)
		return g_strdup("dates");
	if (a->is_ca != b->is_ca || a->self_signed != b->self_signed)
		return g_strdup("is_ca or self_signed");
	if (a->key_bits != b->key_bits)
		return g_strdup_printf("key_bits: %d and %d", a->key_bits, b->key_bits);
	return NULL;
}

char *
row_scan_difference(struct cert_scanner *scanner, GBytes *der, gboolean *scanned)
{
	CLEANUP(cert_row) struct cert_row *row = cert_scan(scanner, der);
	g_autoptr(GError) error = NULL;

	*scanned = row != NULL;
	if (row == NULL)
		return NULL;
	CLEANUP(cert) struct cert *cert = cert_parse_by(der, CERT_READER_OPENSSL, &error);
	if (cert == NULL)
		return g_strdup_printf("read by the scan, but: %s", error->message);
	CLEANUP(cert_row) struct cert_row *other = cert_row_from(cert);
	return row_difference(row, other);
}
