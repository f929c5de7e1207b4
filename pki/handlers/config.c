/*
 * config - the configuration of a handler as it stands: what was set, else the defaults.
 *
 * All values are read, opened and checked when it is loaded, so that the getters cannot fail.
 */
#include "pki/handlers/config.h"

#include <string.h>

#include "pki/crypto/bundle.h"
#include "pki/handlers/config_values.h"
#include "pki/handlers/handler.h"
#include "pki/keyring.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/nearest.h"
#include "store/base/printable.h"
#include "store/handler_settings.h"

#define NAME_MAX_BYTES 64
#define HIDDEN_MIN_BYTES 4

struct value {
	gboolean is_set;
	char *text;
	gint64 number;
	GStrv words;
	struct secret *secret;
	GPtrArray *certs;
	struct key *key;
};

struct handler_config {
	const struct handler *handler;
	char *name;
	GHashTable *values; /* name, or name with <domain> for its default -> struct value */
};

const struct handler_key handler_common_keys[] = {
	{ "parallel", HANDLER_KEY_INT, "2", "1..16", FALSE,
	  "How many requests of this configuration are handed in or asked about at the same time, "
	  "by all daemons together." },
	{ "anchors", HANDLER_KEY_CERTS, "", "", FALSE,
	  "Roots that certificates of this CA may lead to, beside those of the root store." },
	{ .name = NULL },
};

gboolean
handler_has_common_keys(const struct handler *handler)
{
	return !handler->capabilities.synchronous;
}

static const struct handler_key *
key_among(const struct handler_key *keys, const char *name, struct nearest *nearest)
{
	for (; keys != NULL && keys->name != NULL; keys++) {
		if (strcmp(keys->name, name) == 0 || config_name_fits(keys->name, name))
			return keys;
		nearest_offer(nearest, keys->name);
	}
	return NULL;
}

const struct handler_key *
handler_key_find(const struct handler *handler, const char *name, GError **error)
{
	struct nearest nearest = nearest_start(name);
	const struct handler_key *key = key_among(handler->keys, name, &nearest);

	if (key == NULL && handler_has_common_keys(handler))
		key = key_among(handler_common_keys, name, &nearest);
	if (key != NULL)
		return key;
	const char *near = nearest_found(&nearest);
	g_autofree char *shown = printable(name);
	return fail(error, PS_ERROR_INVALID, "handler '%s' has no setting '%s'%s%s%s",
		    handler->name, shown, near != NULL ? ", did you mean '" : "",
		    near != NULL ? near : "", near != NULL ? "'?" : "");
}

gboolean
handler_config_name_check(const char *config, GError **error)
{
	gsize length = strlen(config);

	for (gsize i = 0; i < length; i++)
		if (!g_ascii_isalnum(config[i]) && strchr("._-", config[i]) == NULL)
			length = 0;
	if (length > 0 && length <= NAME_MAX_BYTES)
		return TRUE;
	g_autofree char *shown = printable(config);
	return fail_false(error, PS_ERROR_INVALID,
			  "'%s' is no name of a configuration: letters, digits, '.', '_', '-'",
			  shown);
}

static void
value_free(gpointer data)
{
	struct value *value = data;

	g_free(value->text);
	g_strfreev(value->words);
	secret_unref(value->secret);
	if (value->certs != NULL)
		g_ptr_array_unref(value->certs);
	key_unref(value->key);
	g_free(value);
}

static gboolean
value_from_text(struct value *value, const struct handler_key *key, const char *text,
		GError **error)
{
	value->text = g_strdup(text);
	switch (key->type) {
	case HANDLER_KEY_INT:
	case HANDLER_KEY_DURATION:
		if (*text != '\0' && !config_number_parse(key->type, text, &value->number))
			return fail_false(error, PS_ERROR_INVALID, "is no number");
		return TRUE;
	case HANDLER_KEY_BOOL:
		value->number = strcmp(text, "on") == 0;
		return TRUE;
	case HANDLER_KEY_LIST:
		value->words = config_list_parse(text, error);
		return value->words != NULL;
	case HANDLER_KEY_CERTS: {
		g_autoptr(GBytes) pem = g_bytes_new_static(text, strlen(text));
		CLEANUP(bundle)
		struct bundle *bundle =
		    *text != '\0' ? bundle_read(pem, key->name, NULL, error) : NULL;
		value->certs = bundle != NULL ? g_ptr_array_ref(bundle->certs) : NULL;
		return bundle != NULL || *text == '\0';
	}
	case HANDLER_KEY_TEXT:
	case HANDLER_KEY_SECRET:
	case HANDLER_KEY_CHOICE:
	case HANDLER_KEY_URL:
	case HANDLER_KEY_PRIVATE:
		return TRUE;
	}
	return TRUE;
}

static gboolean
value_from_sealed(struct value *value, const struct handler_config *config,
		  const struct handler_key *key, struct keyring *keyring,
		  const struct handler_setting_row *row, GError **error)
{
	g_autofree char *place =
	    g_strdup_printf("%s/%s/%s", config->handler->name, config->name, row->name);

	value->secret = keyring_unseal(keyring, "handler_setting", place, row->sealed, error);
	if (value->secret == NULL)
		return FALSE;
	if (key->type != HANDLER_KEY_PRIVATE)
		return TRUE;
	value->key = key_parse_pkcs8(value->secret, error);
	g_clear_pointer(&value->secret, secret_unref);
	return value->key != NULL;
}

/* What a former version knew and this one does not is passed over. */
static gboolean
take_row(struct handler_config *config, struct keyring *keyring,
	 const struct handler_setting_row *row, GError **error)
{
	const struct handler_key *key = handler_key_find(config->handler, row->name, NULL);

	if (key == NULL)
		return TRUE;
	struct value *value = g_new0(struct value, 1);
	value->is_set = TRUE;
	g_hash_table_insert(config->values, g_strdup(row->name), value);
	gboolean good = row->sealed != NULL
			    ? value_from_sealed(value, config, key, keyring, row, error)
			    : value_from_text(value, key, row->value, error);
	if (!good)
		g_prefix_error(error, "%s/%s %s: ", config->handler->name, config->name, row->name);
	return good;
}

static gboolean
take_defaults(struct handler_config *config, const struct handler_key *key, GError **error)
{
	for (; key != NULL && key->name != NULL; key++) {
		struct value *value;

		if (g_hash_table_contains(config->values, key->name))
			continue;
		value = g_new0(struct value, 1);
		g_hash_table_insert(config->values, g_strdup(key->name), value);
		if (!value_from_text(value, key, key->initial != NULL ? key->initial : "", error))
			return FALSE;
	}
	return TRUE;
}

struct handler_config *
handler_config_load(struct db *db, struct keyring *keyring, const struct handler *handler,
		    const char *name, GError **error)
{
	CLEANUP(handler_config) struct handler_config *config = g_new0(struct handler_config, 1);

	config->handler = handler;
	config->name = g_strdup(name != NULL && *name != '\0' ? name : "default");
	config->values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, value_free);
	if (!handler_config_name_check(config->name, error))
		return NULL;
	if (handler->keys != NULL) {
		g_autoptr(GPtrArray) rows =
		    handler_settings_load(db, handler->name, config->name, error);
		if (rows == NULL)
			return NULL;
		for (guint i = 0; i < rows->len; i++)
			if (!take_row(config, keyring, g_ptr_array_index(rows, i), error))
				return NULL;
	}
	if (!take_defaults(config, handler->keys, error) ||
	    !take_defaults(config, handler_common_keys, error))
		return NULL;
	return g_steal_pointer(&config);
}

void
handler_config_free(struct handler_config *config)
{
	if (config == NULL)
		return;
	g_hash_table_unref(config->values);
	g_free(config->name);
	g_free(config);
}

const char *
handler_config_name(const struct handler_config *config)
{
	return config->name;
}

static const struct value *
value_of(const struct handler_config *config, const char *name)
{
	static const struct value nothing;
	const struct value *value = g_hash_table_lookup(config->values, name);

	if (value != NULL)
		return value;
	const struct handler_key *key = handler_key_find(config->handler, name, NULL);
	value = key != NULL ? g_hash_table_lookup(config->values, key->name) : NULL;
	if (value != NULL)
		return value;
	log_warning("a setting was asked for that the handler does not have", "handler",
		    config->handler->name, "setting", name);
	return &nothing;
}

gboolean
handler_config_is_set(const struct handler_config *config, const char *name)
{
	return value_of(config, name)->is_set;
}

const char *
handler_config_text(const struct handler_config *config, const char *name)
{
	const char *text = value_of(config, name)->text;

	return text != NULL ? text : "";
}

gint64
handler_config_int(const struct handler_config *config, const char *name)
{
	return value_of(config, name)->number;
}

gint64
handler_config_seconds(const struct handler_config *config, const char *name)
{
	return value_of(config, name)->number;
}

gboolean
handler_config_bool(const struct handler_config *config, const char *name)
{
	return value_of(config, name)->number != 0;
}

const char *const *
handler_config_list(const struct handler_config *config, const char *name)
{
	static const char *const none[] = { NULL };
	const struct value *value = value_of(config, name);

	return value->words != NULL ? (const char *const *)value->words : none;
}

struct secret *
handler_config_secret(const struct handler_config *config, const char *name)
{
	return value_of(config, name)->secret;
}

/* Shorter ones would make other words unreadable, and hide nothing. */
void
handler_config_hide(const struct handler_config *config, char *text)
{
	GHashTableIter at;
	gpointer value;

	if (text == NULL)
		return;
	g_hash_table_iter_init(&at, config->values);
	while (g_hash_table_iter_next(&at, NULL, &value)) {
		const struct secret *secret = ((const struct value *)value)->secret;
		gsize length = secret != NULL ? strlen(secret_text(secret)) : 0;

		if (length < HIDDEN_MIN_BYTES)
			continue;
		for (char *p = text; (p = strstr(p, secret_text(secret))) != NULL; p += length)
			memset(p, '*', length);
	}
}

GPtrArray *
handler_config_certs(const struct handler_config *config, const char *name)
{
	return value_of(config, name)->certs;
}

struct key *
handler_config_key(const struct handler_config *config, const char *name)
{
	return value_of(config, name)->key;
}

static gint
compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

GStrv
handler_config_names(const struct handler_config *config)
{
	GPtrArray *names = g_ptr_array_new();
	GHashTableIter iter;
	gpointer name, value;

	g_hash_table_iter_init(&iter, config->values);
	while (g_hash_table_iter_next(&iter, &name, &value))
		if (((const struct value *)value)->is_set)
			g_ptr_array_add(names, g_strdup(name));
	g_ptr_array_sort(names, compare_names);
	g_ptr_array_add(names, NULL);
	return (GStrv)g_ptr_array_free(names, FALSE);
}

static const char *
how_to_set(const struct handler_key *key)
{
	switch (key->type) {
	case HANDLER_KEY_SECRET:
		return "--password-file FILE";
	case HANDLER_KEY_CERTS:
	case HANDLER_KEY_PRIVATE:
		return "--file FILE";
	case HANDLER_KEY_TEXT:
	case HANDLER_KEY_INT:
	case HANDLER_KEY_DURATION:
	case HANDLER_KEY_BOOL:
	case HANDLER_KEY_CHOICE:
	case HANDLER_KEY_LIST:
	case HANDLER_KEY_URL:
		break;
	}
	return "VALUE";
}

char *
handler_config_lacks(const struct handler_config *config)
{
	gboolean named = strcmp(config->name, "default") != 0;

	for (const struct handler_key *key = config->handler->keys;
	     key != NULL && key->name != NULL; key++) {
		const struct value *value = value_of(config, key->name);

		if (!key->required || value->secret != NULL || value->key != NULL ||
		    (value->text != NULL && *value->text != '\0'))
			continue;
		return g_strdup_printf("%s is not set: postseal handler config %s%s%s %s %s",
				       key->name, config->handler->name, named ? "/" : "",
				       named ? config->name : "", key->name, how_to_set(key));
	}
	return NULL;
}
