/*
 * config_set - one setting of a handler, checked, sealed where it is a secret, and stored.
 */
#include <string.h>

#include "pki/crypto/bundle.h"
#include "pki/handlers/config.h"
#include "pki/handlers/config_values.h"
#include "pki/handlers/handler.h"
#include "pki/keyring.h"
#include "store/base/error.h"
#include "store/db/tx.h"
#include "store/handler_settings.h"
#include "store/requests_work.h"

#define SECRET_MAX_BYTES 4096

static char *
certs_text(const struct secret *file, const struct secret *password, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(secret_bytes(file), secret_length(file));
	CLEANUP(bundle) struct bundle *bundle = bundle_read(bytes, "file", password, error);

	if (bundle == NULL)
		return NULL;
	if (bundle->certs->len == 0)
		return fail(error, PS_ERROR_INVALID, "the file holds no certificate");
	g_autoptr(GBytes) pem = bundle_write_pem(bundle->certs, error);
	if (pem == NULL)
		return NULL;
	if (g_bytes_get_size(pem) > CONFIG_VALUE_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "the file holds too many certificates");
	return g_strndup(g_bytes_get_data(pem, NULL), g_bytes_get_size(pem));
}

static struct secret *
private_bytes(const struct secret *file, const struct secret *password, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(secret_bytes(file), secret_length(file));
	CLEANUP(bundle) struct bundle *bundle = bundle_read(bytes, "file", password, error);

	if (bundle == NULL)
		return NULL;
	if (bundle->keys->len != 1 && bundle->rejected->len > 0) {
		const struct bundle_rejected *rejected = g_ptr_array_index(bundle->rejected, 0);
		return fail(error, PS_ERROR_INVALID, "%s: %s", rejected->what, rejected->why);
	}
	if (bundle->keys->len != 1)
		return fail(error, PS_ERROR_INVALID, "the file holds %u private keys, not one",
			    bundle->keys->len);
	return key_to_pkcs8(g_ptr_array_index(bundle->keys, 0), error);
}

static gboolean
seal_into(struct handler_setting_row *row, struct keyring *keyring, const struct handler *handler,
	  const char *config, struct secret *secret, GError **error)
{
	g_autofree char *place = g_strdup_printf("%s/%s/%s", handler->name, config, row->name);

	row->sealed =
	    keyring_seal(keyring, "handler_setting", place, secret, &row->generation, error);
	return row->sealed != NULL;
}

static gboolean
fill_row(struct handler_setting_row *row, struct keyring *keyring, const struct handler *handler,
	 const char *config, const struct handler_key *key, const struct secret *value,
	 const struct secret *password, GError **error)
{
	CLEANUP(secret) struct secret *sealed = NULL;

	switch (key->type) {
	case HANDLER_KEY_SECRET:
		if (secret_length(value) == 0 || secret_length(value) > SECRET_MAX_BYTES)
			return fail_false(error, PS_ERROR_INVALID, "takes 1 to %d bytes",
					  SECRET_MAX_BYTES);
		sealed = secret_new(secret_bytes(value), secret_length(value));
		return seal_into(row, keyring, handler, config, sealed, error);
	case HANDLER_KEY_PRIVATE:
		sealed = private_bytes(value, password, error);
		return sealed != NULL && seal_into(row, keyring, handler, config, sealed, error);
	case HANDLER_KEY_CERTS:
		row->value = certs_text(value, password, error);
		return row->value != NULL;
	case HANDLER_KEY_TEXT:
	case HANDLER_KEY_INT:
	case HANDLER_KEY_DURATION:
	case HANDLER_KEY_BOOL:
	case HANDLER_KEY_CHOICE:
	case HANDLER_KEY_LIST:
	case HANDLER_KEY_URL:
		break;
	}
	if (memchr(secret_bytes(value), '\0', secret_length(value)) != NULL)
		return fail_false(error, PS_ERROR_INVALID, "takes text");
	row->value = config_value_check(key, secret_text(value), error);
	return row->value != NULL;
}

/* Requests that stopped for their settings are tried with the new ones. */
static gboolean
wake(struct tx *tx, const struct handler *handler, const char *config, GError **error)
{
	gint64 woken;

	if (!requests_wake(tx, handler->name, config, tx_now(tx), &woken, error))
		return FALSE;
	return woken == 0 ||
	       requests_call_worker(tx, handler->name, config, handler->capabilities.synchronous,
				    tx_now(tx), error);
}

gboolean
handler_config_set(struct tx *tx, struct keyring *keyring, const struct handler *handler,
		   const char *config, const char *name, const struct secret *value,
		   const struct secret *password, GError **error)
{
	const char *of = config != NULL && *config != '\0' ? config : "default";
	const struct handler_key *key = handler_key_find(handler, name, error);

	if (key == NULL || !handler_config_name_check(of, error))
		return FALSE;
	if (strchr(name, '<') != NULL)
		return fail_false(error, PS_ERROR_INVALID, "%s: write a name in the place of <...>",
				  name);
	if (value == NULL)
		return handler_settings_drop(tx, handler->name, of, name, NULL, error) &&
		       wake(tx, handler, of, error);
	CLEANUP(handler_setting_row)
	struct handler_setting_row *row = g_new0(struct handler_setting_row, 1);
	row->name = g_strdup(name);
	if (!fill_row(row, keyring, handler, of, key, value, password, error)) {
		g_prefix_error(error, "%s: ", name);
		return FALSE;
	}
	return handler_settings_put(tx, handler->name, of, row, error) &&
	       wake(tx, handler, of, error);
}

gboolean
handler_config_delete(struct tx *tx, const struct handler *handler, const char *config,
		      GError **error)
{
	gint64 dropped = 0;

	if (!handler_settings_drop(tx, handler->name, config, NULL, &dropped, error))
		return FALSE;
	return dropped > 0 || fail_false(error, PS_ERROR_NOT_FOUND, "nothing is set of %s/%s",
					 handler->name, config);
}
