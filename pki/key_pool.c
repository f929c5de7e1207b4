/*
 * key_pool - keys made ahead.
 */
#include "pki/key_pool.h"

#include <string.h>

#include "pki/crypto/key.h"
#include "pki/keyring.h"
#include "pki/keyring_internal.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/cas.h"
#include "store/config/settings.h"
#include "store/db/tx.h"
#include "store/ready_keys.h"
#include "store/sealed.h"

#define KINDS_MAX 8
#define COUNT_MAX 10000

static gboolean
is_pooled(const char *algorithm)
{
	return g_ascii_strncasecmp(algorithm, "rsa:", 4) == 0;
}

gboolean
key_pool_take(struct keyring *keyring, struct tx *tx, const char *algorithm, gint64 request_id,
	      struct key **key, GError **error)
{
	CLEANUP(sealed_row) struct sealed_row *row = NULL;
	g_autofree char *kind = g_ascii_strdown(algorithm, -1);
	g_autoptr(GError) why = NULL;

	*key = NULL;
	if (!is_pooled(kind))
		return TRUE;
	if (!ready_keys_take(tx, kind, keyring_generation(keyring), request_id, &row, error))
		return FALSE;
	if (row == NULL)
		return TRUE;
	*key = keyring_open_row(keyring, row, &why);
	if (*key != NULL)
		return TRUE;
	/* One that does not open is nobody's: another is made. */
	log_warning("a key that was made ahead does not open and is thrown away", "error",
		    why->message);
	return keys_delete(tx, row->row, error);
}

/* --- settings --- */

struct wish {
	char *algorithm;
	gint64 count;
};

static void
wish_clear(gpointer data)
{
	g_free(((struct wish *)data)->algorithm);
}

/* "default=4", "rsa:2048=10". */
static gboolean
read_wish(const char *entry, const struct ca_defaults *defaults, struct wish *wish)
{
	const char *equals = strrchr(entry, '=');
	g_autofree char *word =
	    equals != NULL ? g_ascii_strdown(entry, (gssize)(equals - entry)) : NULL;
	enum key_kind kind;
	unsigned int bits;

	if (word == NULL ||
	    !g_ascii_string_to_signed(equals + 1, 10, 0, COUNT_MAX, &wish->count, NULL))
		return FALSE;
	const char *named = strcmp(word, "default") == 0 ? defaults->key : word;
	if (!key_algorithm_parse(named, &kind, &bits, NULL))
		return FALSE;
	wish->algorithm = g_ascii_strdown(named, -1);
	/* Others are made faster than they are fetched. */
	if (kind != KEY_KIND_RSA)
		wish->count = 0;
	return TRUE;
}

static GArray *
read_wishes(const struct settings *settings, const struct ca_defaults *defaults)
{
	GArray *wishes = g_array_new(FALSE, FALSE, sizeof(struct wish));

	g_array_set_clear_func(wishes, wish_clear);
	for (guint i = 0; settings->key_pool != NULL && settings->key_pool[i] != NULL; i++) {
		struct wish wish;

		if (wishes->len == KINDS_MAX)
			break;
		if (read_wish(settings->key_pool[i], defaults, &wish))
			g_array_append_val(wishes, wish);
		else
			log_warning("setting key_pool: an entry is not KIND=COUNT", "entry",
				    settings->key_pool[i]);
	}
	return wishes;
}

struct purge {
	const char *kinds[KINDS_MAX];
	gsize n;
	gint64 generation;
	guint dropped;
};

static gboolean
purge(struct tx *tx, gpointer data, GError **error)
{
	struct purge *purge = data;

	return ready_keys_purge(tx, purge->kinds, purge->n, purge->generation, &purge->dropped,
				error);
}

gboolean
key_pool_tend(struct keyring *keyring, struct db *db, const struct settings *settings,
	      char **wanted, GError **error)
{
	CLEANUP(ca_defaults) struct ca_defaults *defaults = ca_defaults_load(db, error);
	struct purge work = { .generation = keyring_generation(keyring) };

	*wanted = NULL;
	if (defaults == NULL)
		return FALSE;
	g_autoptr(GArray) wishes = read_wishes(settings, defaults);
	for (guint i = 0; i < wishes->len; i++) {
		const struct wish *wish = &g_array_index(wishes, struct wish, i);

		if (wish->count > 0)
			work.kinds[work.n++] = wish->algorithm;
	}
	if (!db_transaction(db, purge, &work, error))
		return FALSE;
	if (work.dropped > 0)
		log_info("keys that were made ahead are thrown away", "keys",
			 work.dropped == 1 ? "1" : "several");
	for (guint i = 0; i < wishes->len && *wanted == NULL; i++) {
		const struct wish *wish = &g_array_index(wishes, struct wish, i);
		gint64 count = wish->count > 0
				   ? ready_keys_count(db, wish->algorithm, work.generation, error)
				   : 0;

		if (count < 0)
			return FALSE;
		if (count < wish->count)
			*wanted = g_strdup(wish->algorithm);
	}
	return TRUE;
}

gboolean
key_pool_add(struct keyring *keyring, struct db *db, const char *algorithm, GError **error)
{
	enum key_kind kind;
	unsigned int bits;

	if (!key_algorithm_parse(algorithm, &kind, &bits, error))
		return FALSE;
	CLEANUP(key) struct key *key = key_generate(kind, bits, error);
	CLEANUP(secret) struct secret *pkcs8 = key != NULL ? key_to_pkcs8(key, error) : NULL;
	if (pkcs8 == NULL)
		return FALSE;
	gint64 generation;
	g_autoptr(GBytes) sealed =
	    keyring_seal(keyring, "private_key", key_spki_sha256(key), pkcs8, &generation, error);
	if (sealed == NULL)
		return FALSE;
	const struct key_row row = {
		.spki_sha256 = (char *)key_spki_sha256(key),
		.sealed = sealed,
		.generation = generation,
		.kind = (char *)key_kind_name(key_kind(key)),
		.bits = (gint)key_bits(key),
	};
	return ready_keys_insert(db, algorithm, &row, error);
}
