/*
 * inbound_keys - selections turned round: what others encrypt to, we open.
 */
#include "milter/policy/inbound_keys.h"

#include "milter/gateway.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/cms_inspect.h"
#include "pki/named_certs.h"
#include "pki/select.h"

struct inbound_keys {
	GPtrArray *certs;  /* struct cert * */
	GHashTable *spkis; /* borrowed from them */
};

struct named_keys {
	struct gateway *gateway;
	const struct cms_info *info;
	GPtrArray
	    *stored; /* struct cert *: what the store has under these names; NULL: not asked */
};

/* ---- whose they are ------------------------------------------------------------------------- */

static gboolean
has_address(const struct cert *cert, const struct mailaddr *address, const GPtrArray *aliases)
{
	if (cert_has_email(cert, address))
		return TRUE;
	for (guint i = 0; i < aliases->len; i++)
		if (cert_has_email(cert, aliases->pdata[i]))
			return TRUE;
	return FALSE;
}

static gboolean
is_his(const struct candidate *candidate, const struct mailaddr *address, const GPtrArray *aliases)
{
	if (!candidate->has_key)
		return FALSE;
	return candidate->decrypts ||
	       (!candidate->by_itself && has_address(candidate->cert, address, aliases));
}

static void
add_his(struct inbound_keys *keys, const struct selection *selection,
	const struct mailaddr *address, const GPtrArray *aliases)
{
	for (guint i = 0; i < selection->candidates->len; i++) {
		const struct candidate *candidate = selection->candidates->pdata[i];

		if (!is_his(candidate, address, aliases) ||
		    cert_is_among(candidate->cert, keys->certs))
			continue;
		g_ptr_array_add(keys->certs, cert_ref(candidate->cert));
		g_hash_table_add(keys->spkis, (gpointer)cert_spki_sha256(candidate->cert));
	}
}

struct inbound_keys *
inbound_keys_find(struct gateway *gateway, const struct mailaddr *address, GPtrArray *aliases,
		  GError **error)
{
	CLEANUP(inbound_keys) struct inbound_keys *keys = g_new0(struct inbound_keys, 1);
	CLEANUP(selection)
	struct selection *own = select_encryption_aliases(gateway->select, address, aliases, error);
	CLEANUP(selection) struct selection *additional = NULL;

	keys->certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	keys->spkis = g_hash_table_new(g_str_hash, g_str_equal);
	if (own == NULL)
		return NULL;
	additional = select_additional(gateway->select, address, error);
	if (additional == NULL)
		return NULL;
	add_his(keys, own, address, aliases);
	add_his(keys, additional, address, aliases);
	return g_steal_pointer(&keys);
}

void
inbound_keys_free(struct inbound_keys *keys)
{
	if (keys == NULL)
		return;
	g_hash_table_unref(keys->spkis);
	g_ptr_array_unref(keys->certs);
	g_free(keys);
}

GPtrArray *
inbound_keys_certs(const struct inbound_keys *keys)
{
	return keys->certs;
}

/* ---- which of them an object names ---------------------------------------------------------- */

struct named_keys *
named_keys_new(struct gateway *gateway, const struct cms_info *info)
{
	struct named_keys *named = g_new0(struct named_keys, 1);

	named->gateway = gateway;
	named->info = info;
	return named;
}

void
named_keys_free(struct named_keys *named)
{
	if (named == NULL)
		return;
	if (named->stored != NULL)
		g_ptr_array_unref(named->stored);
	g_free(named);
}

static gboolean
ask_store(struct named_keys *named, GError **error)
{
	g_autoptr(GPtrArray) stored = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	const GPtrArray *infos = named->info->recipients;

	for (guint i = 0; i < infos->len && i < NAMED_KEYS_MAX; i++) {
		const struct cms_recipient_info *info = infos->pdata[i];
		g_autoptr(GPtrArray) found = named_certs(named->gateway->db, &info->id, error);

		if (found == NULL)
			return FALSE;
		for (guint k = 0; k < found->len; k++)
			g_ptr_array_add(stored, cert_ref(found->pdata[k]));
	}
	named->stored = g_steal_pointer(&stored);
	return TRUE;
}

GPtrArray *
named_keys_of(struct named_keys *named, const struct inbound_keys *keys, GError **error)
{
	g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);

	for (guint i = 0; i < keys->certs->len; i++)
		if (cms_info_names(named->info, keys->certs->pdata[i]))
			g_ptr_array_add(found, cert_ref(keys->certs->pdata[i]));
	if (found->len > 0 || keys->certs->len == 0)
		return g_steal_pointer(&found);
	if (named->stored == NULL && !ask_store(named, error))
		return NULL;
	for (guint i = 0; i < named->stored->len; i++) {
		struct cert *cert = named->stored->pdata[i];

		if (g_hash_table_contains(keys->spkis, cert_spki_sha256(cert)) &&
		    !cert_is_among(cert, found))
			g_ptr_array_add(found, cert_ref(cert));
	}
	return g_steal_pointer(&found);
}
