#include "pki/crypto/cms.h"

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

static const char *const digest_names[] = { "sha256", "sha384", "sha512" };
static const char *const digest_micalgs[] = { "sha-256", "sha-384", "sha-512" };
static const char *const cipher_names[] = { "aes-128-cbc", "aes-192-cbc", "aes-256-cbc",
					    "aes-128-gcm", "aes-256-gcm" };
static const char *const transport_names[] = { "pkcs1", "oaep-sha1", "oaep-sha256", "oaep-sha384",
					       "oaep-sha512" };

const char *
cms_digest_name(enum cms_digest digest)
{
	return digest_names[digest];
}

const char *
cms_digest_micalg(enum cms_digest digest)
{
	return digest_micalgs[digest];
}

const char *
cms_cipher_name(enum cms_cipher cipher)
{
	return cipher_names[cipher];
}

const char *
cms_transport_name(enum cms_transport transport)
{
	return transport_names[transport];
}

gboolean
cms_cipher_is_aead(enum cms_cipher cipher)
{
	return cipher == CMS_CIPHER_AES_128_GCM || cipher == CMS_CIPHER_AES_256_GCM;
}

static gboolean
name_find(const char *const *names, guint n_names, const char *name, guint *found)
{
	for (guint i = 0; i < n_names; i++) {
		if (g_ascii_strcasecmp(names[i], name) == 0) {
			*found = i;
			return TRUE;
		}
	}
	return FALSE;
}

gboolean
cms_digest_from_name(const char *name, enum cms_digest *digest)
{
	guint found;

	if (!name_find(digest_names, G_N_ELEMENTS(digest_names), name, &found))
		return FALSE;
	*digest = (enum cms_digest)found;
	return TRUE;
}

gboolean
cms_cipher_from_name(const char *name, enum cms_cipher *cipher)
{
	guint found;

	if (!name_find(cipher_names, G_N_ELEMENTS(cipher_names), name, &found))
		return FALSE;
	*cipher = (enum cms_cipher)found;
	return TRUE;
}

gboolean
cms_transport_from_name(const char *name, enum cms_transport *transport)
{
	guint found;

	if (!name_find(transport_names, G_N_ELEMENTS(transport_names), name, &found))
		return FALSE;
	*transport = (enum cms_transport)found;
	return TRUE;
}
