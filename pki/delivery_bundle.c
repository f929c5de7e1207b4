/*
 * delivery_bundle - the PKCS#12 file of a delivery: its certificates, their keys, the way to the
 * root.
 */
#include "pki/delivery.h"

#include "pki/crypto/bundle.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/key.h"
#include "pki/keyring.h"
#include "store/base/error.h"
#include "store/base/secret.h"
#include "store/certs.h"
#include "store/roots.h"

#define CHAIN_MAX 8

/* Whoever issued it, of these rows, if not there yet. */
static struct cert *
issuer_among(const struct cert *cert, GPtrArray *rows, GBytes *(*der_of)(gconstpointer row))
{
	for (guint i = 0; i < rows->len; i++) {
		CLEANUP(cert) struct cert *issuer = cert_parse(der_of(rows->pdata[i]), NULL);

		if (issuer != NULL && cert_is_ca(issuer) && cert_is_issued_by(cert, issuer))
			return cert_ref(issuer);
	}
	return NULL;
}

static GBytes *
der_of_root(gconstpointer row)
{
	return ((const struct root_row *)row)->der;
}

static GBytes *
der_of_cert(gconstpointer row)
{
	return ((const struct cert_row *)row)->der;
}

/* A root of ours ends the way; else the store's CA certificates lead on. *issuer NULL: none. */
static gboolean
find_issuer(const struct delivery *delivery, const struct cert *cert, GPtrArray *roots,
	    struct cert **issuer, GError **error)
{
	const char *names[] = { cert_issuer_key(cert) };

	*issuer = issuer_among(cert, roots, der_of_root);
	if (*issuer != NULL)
		return TRUE;
	g_autoptr(GPtrArray) rows = certs_issuers(delivery->db, names, 1, error);
	if (rows == NULL)
		return FALSE;
	*issuer = issuer_among(cert, rows, der_of_cert);
	return TRUE;
}

static gboolean
add_chain(const struct delivery *delivery, struct cert *from, GPtrArray *roots, GPtrArray *chain,
	  GError **error)
{
	CLEANUP(cert) struct cert *cert = cert_ref(from);

	for (guint i = 0; i < CHAIN_MAX && !cert_is_self_signed(cert); i++) {
		struct cert *issuer;

		if (!find_issuer(delivery, cert, roots, &issuer, error))
			return FALSE;
		if (issuer == NULL)
			break;
		if (!cert_is_among(issuer, chain))
			g_ptr_array_add(chain, cert_ref(issuer));
		cert_unref(cert);
		cert = issuer;
	}
	return TRUE;
}

static void
entry_clear(gpointer data)
{
	struct pkcs12_entry *entry = data;

	cert_unref((struct cert *)entry->cert);
	key_unref((struct key *)entry->key);
}

/* A part without a key goes along; a CA's key never does. */
static gboolean
add_part(const struct delivery *delivery, const struct outbox_part *part, GArray *entries,
	 GPtrArray *chain, GError **error)
{
	CLEANUP(cert_row)
	struct cert_row *row = certs_find(delivery->db, part->thumbprint, error);
	struct pkcs12_entry entry = { 0 };
	gboolean held = FALSE;

	if (row == NULL)
		return FALSE;
	CLEANUP(cert) struct cert *cert = cert_parse(row->der, error);
	if (cert == NULL)
		return FALSE;
	if (!cert_is_ca(cert) &&
	    !keyring_holds(delivery->keyring, cert_spki_sha256(cert), &held, error))
		return FALSE;
	if (!held) {
		g_ptr_array_add(chain, cert_ref(cert));
		return TRUE;
	}
	entry.key = keyring_find(delivery->keyring, cert_spki_sha256(cert), error);
	if (entry.key == NULL)
		return FALSE;
	entry.cert = cert_ref(cert);
	entry.label = *cert_common_name(cert) != '\0' ? cert_common_name(cert) : NULL;
	g_array_append_val(entries, entry);
	return TRUE;
}

static gboolean
collect(const struct delivery *delivery, gint64 id, GArray *entries, GPtrArray *chain,
	GError **error)
{
	g_autoptr(GPtrArray) parts = outbox_parts(delivery->db, id, error);
	g_autoptr(GPtrArray) roots = parts != NULL ? roots_all(delivery->db, error) : NULL;

	if (roots == NULL)
		return FALSE;
	for (guint i = 0; i < parts->len; i++) {
		const struct outbox_part *part = parts->pdata[i];

		if (part->dropped || part->thumbprint == NULL)
			continue;
		if (!add_part(delivery, part, entries, chain, error))
			return FALSE;
	}
	if (entries->len == 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "no private key of these certificates is held here");
	for (guint i = 0; i < entries->len; i++) {
		const struct pkcs12_entry *entry = &g_array_index(entries, struct pkcs12_entry, i);

		if (!add_chain(delivery, (struct cert *)entry->cert, roots, chain, error))
			return FALSE;
	}
	return TRUE;
}

GBytes *
delivery_bundle(const struct delivery *delivery, const struct outbox_row *row,
		struct delivery_content *content, GError **error)
{
	g_autoptr(GArray) entries = g_array_new(FALSE, TRUE, sizeof(struct pkcs12_entry));
	g_autoptr(GPtrArray) chain = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	CLEANUP(secret) struct secret *password = NULL;

	g_array_set_clear_func(entries, entry_clear);
	if (!collect(delivery, row->id, entries, chain, error))
		return NULL;
	password = delivery_password(delivery, row->id, error);
	if (password == NULL)
		return NULL;
	content->keys = entries->len;
	content->root = NULL;
	for (guint i = 0; i < chain->len; i++)
		if (cert_is_self_signed(chain->pdata[i]))
			content->root = g_strdup(cert_subject(chain->pdata[i]));
	const struct pkcs12_entry *first = (const struct pkcs12_entry *)(gpointer)entries->data;
	content->name = g_strdup(first->label != NULL ? first->label : row->email);
	content->not_after = cert_not_after(first->cert);
	return bundle_write_pkcs12(first, entries->len, chain, password,
				   row->compatible ? PKCS12_COMPATIBLE : PKCS12_MODERN, error);
}

void
delivery_content_clear(struct delivery_content *content)
{
	g_clear_pointer(&content->name, g_free);
	g_clear_pointer(&content->root, g_free);
}
