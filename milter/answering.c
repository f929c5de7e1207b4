/*
 * answering - message identifiers out of header fields, and their digests.
 */
#include "milter/answering.h"

#include <string.h>

#include "milter/gateway.h"
#include "milter/message/headers.h"
#include "pki/keyring.h"
#include "store/answers.h"
#include "store/base/error.h"
#include "store/base/log.h"

#define KEY_LABEL "decrypted-mail"
#define KEY_BYTES 32
#define IDS_MAX 30 /* the newest references; a thread may be longer */
#define ID_MAX_BYTES 1000
#define DIGESTS_MAX 1000

/* What stands between angle brackets; blanks, which some programs fold into it, do not count. */
static void
add_ids(GPtrArray *ids, const char *value)
{
	const char *at = value;

	while (at != NULL && (at = strchr(at, '<')) != NULL) {
		const char *end = strchr(at, '>');
		GString *id;

		if (end == NULL)
			return;
		id = g_string_new(NULL);
		for (const char *p = at + 1; p < end && id->len <= ID_MAX_BYTES; p++) {
			if (!g_ascii_isspace(*p))
				g_string_append_c(id, *p);
		}
		if (id->len > 0 && id->len <= ID_MAX_BYTES)
			g_ptr_array_add(ids, g_strdup(id->str));
		g_string_free(id, TRUE);
		at = end + 1;
	}
}

static GPtrArray *
ids_of(const struct headers *headers, const char *const *names)
{
	GPtrArray *ids = g_ptr_array_new_with_free_func(g_free);

	for (guint i = 0; names[i] != NULL; i++) {
		GPtrArray *found = g_ptr_array_new_with_free_func(g_free);

		for (guint n = 0; n < headers_count(headers); n++) {
			const struct header *header = headers_at(headers, n);

			if (g_ascii_strcasecmp(header->name, names[i]) == 0)
				add_ids(found, header->value);
		}
		/* The last ones are the nearest. */
		for (guint n = found->len > IDS_MAX ? found->len - IDS_MAX : 0; n < found->len; n++)
			g_ptr_array_add(ids, g_strdup(found->pdata[n]));
		g_ptr_array_unref(found);
	}
	return ids;
}

static GBytes *
digest_of(const struct secret *key, const char *recipient, const char *id)
{
	GHmac *hmac = g_hmac_new(G_CHECKSUM_SHA256, secret_bytes(key), secret_length(key));
	guint8 *digest = g_malloc(KEY_BYTES);
	gsize length = KEY_BYTES;

	/* Neither holds a NUL. */
	g_hmac_update(hmac, (const guchar *)recipient, (gssize)strlen(recipient) + 1);
	g_hmac_update(hmac, (const guchar *)id, (gssize)strlen(id) + 1);
	g_hmac_get_digest(hmac, digest, &length);
	g_hmac_unref(hmac);
	return g_bytes_new_take(digest, length);
}

static void
free_bytes(gpointer bytes)
{
	g_bytes_unref(bytes);
}

static GPtrArray *
digests_of(const GPtrArray *keys, const GPtrArray *ids, const char *const *people, gsize n)
{
	GPtrArray *digests = g_ptr_array_new_with_free_func(free_bytes);

	for (guint k = 0; k < keys->len; k++)
		for (guint i = 0; i < ids->len; i++)
			for (gsize p = 0; p < n && digests->len < DIGESTS_MAX; p++)
				g_ptr_array_add(
				    digests, digest_of(keys->pdata[k], people[p], ids->pdata[i]));
	return digests;
}

GPtrArray *
answering_digests(struct gateway *gateway, const struct headers *headers,
		  const char *const *recipient_keys, gsize n, GError **error)
{
	static const char *const names[] = { "Message-ID", NULL };
	g_autoptr(GPtrArray) ids = ids_of(headers, names);
	g_autoptr(GPtrArray) keys = NULL;
	struct secret *newest;

	if (ids->len == 0 || n == 0)
		return NULL;
	newest = keyring_derive(gateway->keyring, KEY_LABEL, KEY_BYTES, error);
	if (newest == NULL)
		return NULL;
	keys = g_ptr_array_new_with_free_func((GDestroyNotify)secret_unref);
	g_ptr_array_add(keys, newest);
	return digests_of(keys, ids, recipient_keys, n);
}

enum able
answering_find(struct gateway *gateway, const struct headers *headers,
	       const char *const *author_keys, gsize n)
{
	static const char *const names[] = { "In-Reply-To", "References", NULL };
	g_autoptr(GPtrArray) ids = ids_of(headers, names);
	g_autoptr(GPtrArray) keys = NULL;
	g_autoptr(GPtrArray) digests = NULL;
	g_autoptr(GError) error = NULL;
	gboolean found = FALSE;

	if (ids->len == 0 || n == 0)
		return ABLE_NO;
	keys = keyring_derive_all(gateway->keyring, KEY_LABEL, KEY_BYTES, &error);
	if (keys != NULL) {
		digests = digests_of(keys, ids, author_keys, n);
		if (decrypted_find(gateway->db, (GBytes *const *)digests->pdata, digests->len,
				   &found, &error))
			return found ? ABLE_YES : ABLE_NO;
	}
	log_debug("whether a message is an answer is not known", "reason", error->message);
	return ABLE_UNKNOWN;
}
