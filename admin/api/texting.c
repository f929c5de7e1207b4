/*
 * texting - the noun sms (C10): its transport, and a try of it.
 */
#include "admin/api/change.h"
#include "admin/api/delivering.h"
#include "admin/api/handlers.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/handlers/config.h"
#include "pki/handlers/handler.h"
#include "pki/keyring.h"
#include "pki/sms.h"
#include "store/base/error.h"
#include "store/base/secret.h"
#include "store/db/tx.h"

static json_t *
value_of(const struct handler_config *config, const struct handler_key *key)
{
	switch (key->type) {
	case HANDLER_KEY_SECRET:
	case HANDLER_KEY_PRIVATE:
		return json_string(handler_config_secret(config, key->name) != NULL ? "set" : "");
	case HANDLER_KEY_CERTS:
		return json_string(handler_config_is_set(config, key->name) ? "set" : "");
	case HANDLER_KEY_TEXT:
	case HANDLER_KEY_INT:
	case HANDLER_KEY_DURATION:
	case HANDLER_KEY_BOOL:
	case HANDLER_KEY_CHOICE:
	case HANDLER_KEY_LIST:
	case HANDLER_KEY_URL:
		break;
	}
	return answer_text(handler_config_text(config, key->name));
}

static json_t *
show_config(struct call *call, GError **error)
{
	const char *only = call_text(call, "name");
	CLEANUP(handler_config)
	struct handler_config *config = handler_config_load(
	    call->gateway->db, call->gateway->keyring, &handler_sms, NULL, error);
	json_t *items;

	if (config == NULL || (only != NULL && handler_key_find(&handler_sms, only, error) == NULL))
		return NULL;
	items = json_array();
	for (const struct handler_key *key = handler_sms.keys; key->name != NULL; key++)
		if (only == NULL || strcmp(only, key->name) == 0)
			json_array_append_new(items, json_pack("{s:s, s:o, s:s}", "name", key->name,
							       "value", value_of(config, key),
							       "meaning", key->sentence));
	return answer_list(items, NULL);
}

struct setting {
	const struct handler_key *key;
	struct secret *value; /* NULL: the default */
};

static json_t *
set_config(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct setting *setting = data;

	if (!handler_config_set(tx, change->call->gateway->keyring, &handler_sms, "default",
				setting->key->name, setting->value, NULL, error))
		return NULL;
	change->object = g_strdup(setting->key->name);
	change->detail = g_strdup(setting->value != NULL ? "set" : "reset");
	return json_pack("{s:s}", "set", setting->key->name);
}

static struct secret *
given_value(const struct call *call, const struct handler_key *key, GError **error)
{
	const char *name;

	if (key->type == HANDLER_KEY_SECRET) {
		struct secret *secret = call_password(call, "password");

		return secret != NULL ? secret
				      : fail(error, PS_ERROR_INVALID,
					     "a secret is no argument: use --password-file or "
					     "--password-fd");
	}
	if (key->type != HANDLER_KEY_CERTS)
		return secret_new_text(call_text(call, "value"));
	g_autoptr(GBytes) bytes = call_file(call, "file", 0, &name, error);
	gsize length;
	return bytes != NULL ? secret_new(g_bytes_get_data(bytes, &length), g_bytes_get_size(bytes))
			     : NULL;
}

json_t *
sms_config(struct call *call, GError **error)
{
	const char *name = call_text(call, "name");
	gboolean changes = call_text(call, "value") != NULL || call_flag(call, "unset") ||
			   call_text(call, "password") != NULL || call_file_count(call, "file") > 0;

	if (name == NULL || !changes)
		return show_config(call, error);
	struct setting setting = { handler_key_find(&handler_sms, name, error), NULL };
	if (setting.key == NULL)
		return NULL;
	if (call->role < ROLE_KEYS)
		return fail(error, PS_ERROR_DENIED,
			    "who changes where passwords go needs the role 'keys'");
	CLEANUP(secret)
	struct secret *value =
	    call_flag(call, "unset") ? NULL : given_value(call, setting.key, error);
	if (value == NULL && !call_flag(call, "unset"))
		return NULL;
	setting.value = value;
	return change_run(call, set_config, &setting, error);
}

/* A text without a secret; what came of it is the answer. */
json_t *
sms_test(struct call *call, GError **error)
{
	struct delivery delivery = delivering_of(call);
	g_autofree char *number = sms_number(call_text(call, "to"), error);
	struct sms_outcome outcome = { 0 };
	CLEANUP(secret)
	struct secret *text = secret_new_text("Test message of the mail gateway");

	if (number == NULL || !sms_ready(&delivery, error))
		return NULL;
	json_t *earlier = change_repeated(call, error);
	if (earlier != NULL)
		return earlier;
	sms_send(&delivery, number, text, &outcome);
	call->exit_status = outcome.result == SMS_SENT ? 0 : 1;
	json_t *answer = json_pack("{s:s, s:s, s:o}", "to", number, "result",
				   outcome.result == SMS_SENT      ? "sent"
				   : outcome.result == SMS_UNKNOWN ? "it may have been sent"
								   : "not sent",
				   "why", answer_text(outcome.text));
	g_free(outcome.text);
	if (!change_record(call, number, call->exit_status == 0 ? "sent" : "failed", answer, error))
		g_clear_pointer(&answer, json_decref);
	return answer;
}
