#include "pki/crypto/cms.h"

#include "pki/crypto/algorithms.h"

const struct cms_limits cms_limits_default = {
	.signers = 16,
	.certs = 64,
	.recipients = 5000,
	.depth = 64,
	.head_bytes = 8 << 20,
	.tag_min_bytes = 16,
	.inflate_bytes = 200 << 20,
	.inflate_factor = 20,
};

static const enum algorithm digests[] = { ALGORITHM_SHA256, ALGORITHM_SHA384, ALGORITHM_SHA512 };
static const char *const digest_micalgs[] = { "sha-256", "sha-384", "sha-512" };
static const enum algorithm ciphers[] = { ALGORITHM_AES_128_CBC, ALGORITHM_AES_192_CBC,
					  ALGORITHM_AES_256_CBC, ALGORITHM_AES_128_GCM,
					  ALGORITHM_AES_256_GCM };

const char *
cms_digest_name(enum cms_digest digest)
{
	return algorithm_name(digests[digest]);
}

const char *
cms_digest_micalg(enum cms_digest digest)
{
	return digest_micalgs[digest];
}

const char *
cms_cipher_name(enum cms_cipher cipher)
{
	return algorithm_name(ciphers[cipher]);
}

gboolean
cms_cipher_is_aead(enum cms_cipher cipher)
{
	return cipher == CMS_CIPHER_AES_128_GCM || cipher == CMS_CIPHER_AES_256_GCM;
}

static gboolean
find_named(const enum algorithm *rows, guint n_rows, const char *name, guint *found)
{
	enum algorithm wanted = algorithm_by_name(name);

	for (*found = 0; *found < n_rows; (*found)++)
		if (rows[*found] == wanted)
			return TRUE;
	return FALSE;
}

gboolean
cms_digest_from_name(const char *name, enum cms_digest *digest)
{
	guint found;

	if (!find_named(digests, G_N_ELEMENTS(digests), name, &found))
		return FALSE;
	*digest = (enum cms_digest)found;
	return TRUE;
}

gboolean
cms_cipher_from_name(const char *name, enum cms_cipher *cipher)
{
	guint found;

	if (!find_named(ciphers, G_N_ELEMENTS(ciphers), name, &found))
		return FALSE;
	*cipher = (enum cms_cipher)found;
	return TRUE;
}
