/*
 * request_handlers - the noun handler: which CAs can be asked, their settings, test and chain (C4,
 * K10).
 */
#include <string.h>

#include "admin/api/change.h"
#include "admin/api/handlers.h"
#include "milter/gateway.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/key.h"
#include "pki/handlers/handler.h"
#include "pki/handlers/remembered.h"
#include "pki/import.h"
#include "store/base/error.h"
#include "store/db/tx.h"
#include "store/handler_settings.h"
#include "store/requests.h"

#define SHOWN_SECONDS 600 /* so long a question waits for its yes */

/* "ejbca" or "ejbca/test" as it was written. */
struct named {
	const struct handler *handler;
	char *name; /* of the configuration */
	struct handler_config *config;
};

static void
named_clear(struct named *named)
{
	handler_config_free(named->config);
	g_free(named->name);
}

static gboolean
read_named(struct call *call, const char *text, struct named *named, GError **error)
{
	g_auto(GStrv) parts = g_strsplit(text, "/", 2);

	named->handler = handler_find(parts[0], error);
	if (named->handler == NULL)
		return FALSE;
	named->name = g_strdup(parts[1] != NULL && *parts[1] != '\0' ? parts[1] : "default");
	named->config = handler_config_load(call->gateway->db, call->gateway->keyring,
					    named->handler, named->name, error);
	return named->config != NULL;
}

static struct handler_context
context_of(const struct call *call, const struct handler_config *config)
{
	return (struct handler_context){ .db = call->gateway->db,
					 .keyring = call->gateway->keyring,
					 .clock = call->gateway->clock,
					 .settings = gateway_settings(call->gateway),
					 .config = config };
}

static char *
title(const struct handler *handler, const char *config)
{
	return strcmp(config, "default") == 0 ? g_strdup(handler->name)
					      : g_strdup_printf("%s/%s", handler->name, config);
}

static json_t *
row_of(struct call *call, const struct handler *handler, const char *name, GError **error)
{
	json_t *object = json_object();
	g_autofree char *shown = title(handler, name);
	g_autoptr(GError) why = NULL;
	CLEANUP(handler_config)
	struct handler_config *config =
	    handler_config_load(call->gateway->db, call->gateway->keyring, handler, name, &why);
	struct handler_context context = context_of(call, config);
	gboolean ready = config != NULL && handler_is_ready(&context, handler, &why);

	if (!ready && !g_error_matches(why, PS_ERROR, PS_ERROR_INVALID)) {
		json_decref(object);
		g_propagate_error(error, g_steal_pointer(&why));
		return NULL;
	}
	/* "request handler 'x' is not ready: " says the row itself. */
	const char *lacks = why != NULL ? strstr(why->message, "not ready: ") : NULL;
	lacks = lacks != NULL ? lacks + strlen("not ready: ") : why != NULL ? why->message : NULL;
	json_object_set_new(object, "handler", answer_text(shown));
	json_object_set_new(object, "ready", json_boolean(ready));
	json_object_set_new(object, "what", answer_text(handler->sentence));
	json_object_set_new(object, "lacks", answer_text(lacks));
	return object;
}

static gboolean
add_row(struct call *call, json_t *items, const struct handler *handler, const char *name,
	GError **error)
{
	json_t *row = row_of(call, handler, name, error);

	return row != NULL && json_array_append_new(items, row) == 0;
}

json_t *
handler_list(struct call *call, GError **error)
{
	g_autoptr(GPtrArray) configs = handler_settings_configs(call->gateway->db, error);
	json_t *items = json_array();
	gboolean good = configs != NULL;
	gsize n;
	const struct handler *const *all = handlers_all(&n);

	for (gsize i = 0; good && i < n; i++) {
		good = add_row(call, items, all[i], "default", error);
		for (guint k = 0; good && k < configs->len; k++) {
			const struct handler_config_name *one = g_ptr_array_index(configs, k);
			if (strcmp(one->handler, all[i]->name) == 0 &&
			    strcmp(one->config, "default") != 0)
				good = add_row(call, items, all[i], one->config, error);
		}
	}
	if (good)
		return answer_list(items, NULL);
	json_decref(items);
	return NULL;
}

/* --- settings --- */

static const char *
takes(const struct handler_key *key)
{
	static const char *const types[] = {
		[HANDLER_KEY_TEXT] = "text",    [HANDLER_KEY_SECRET] = "--password-file",
		[HANDLER_KEY_INT] = "number",   [HANDLER_KEY_DURATION] = "duration",
		[HANDLER_KEY_BOOL] = "on|off",  [HANDLER_KEY_CHOICE] = "",
		[HANDLER_KEY_LIST] = "words",   [HANDLER_KEY_URL] = "URL",
		[HANDLER_KEY_CERTS] = "--file", [HANDLER_KEY_PRIVATE] = "--file",
	};

	return key->values != NULL && *key->values != '\0' ? key->values : types[key->type];
}

/* A secret is never shown; of files who they are about. */
static char *
shown_value(const struct handler_config *config, const struct handler_key *key, const char *name)
{
	const struct key *private = handler_config_key(config, name);
	GPtrArray *certs = handler_config_certs(config, name);
	g_autoptr(GString) subjects = g_string_new(NULL);

	if (key->type == HANDLER_KEY_SECRET)
		return g_strdup(handler_config_secret(config, name) != NULL ? "(set)" : "");
	if (key->type == HANDLER_KEY_PRIVATE)
		return private == NULL ? g_strdup("")
				       : g_strdup_printf("%s, SPKI %.16s", key_text(private),
							 key_spki_sha256(private));
	if (key->type != HANDLER_KEY_CERTS)
		return g_strdup(handler_config_text(config, name));
	for (guint i = 0; certs != NULL && i < certs->len; i++)
		g_string_append_printf(subjects, "%s%s", i > 0 ? "; " : "",
				       cert_subject(g_ptr_array_index(certs, i)));
	return g_strdup(subjects->str);
}

static void
add_setting(json_t *items, const struct named *named, const struct handler_key *key,
	    const char *name)
{
	g_autofree char *value = shown_value(named->config, key, name);
	gboolean set = strchr(name, '<') == NULL && handler_config_is_set(named->config, name);

	json_array_append_new(items,
			      json_pack("{s:o, s:o, s:b, s:b, s:o, s:o}", "name", answer_text(name),
					"value", answer_text(value), "set", (int)set, "required",
					(int)key->required, "takes", answer_text(takes(key)),
					"meaning", answer_text(key->sentence)));
}

static json_t *
settings_of(const struct named *named)
{
	const struct handler_key *tables[] = { named->handler->keys,
					       handler_has_common_keys(named->handler)
						   ? handler_common_keys
						   : NULL };
	g_auto(GStrv) names = handler_config_names(named->config);
	json_t *items = json_array();

	for (gsize t = 0; t < G_N_ELEMENTS(tables); t++)
		for (const struct handler_key *key = tables[t]; key != NULL && key->name != NULL;
		     key++) {
			add_setting(items, named, key, key->name);
			if (strchr(key->name, '<') == NULL)
				continue;
			for (char **name = names; *name != NULL; name++)
				if (handler_key_find(named->handler, *name, NULL) == key)
					add_setting(items, named, key, *name);
		}
	return items;
}

static json_t *
abilities(const struct handler_capabilities *can)
{
	const struct {
		gboolean has;
		const char *name;
	} all[] = {
		{ can->synchronous && !can->csr_upload, "answers at once" },
		{ can->csr_download, "its CSRs can be downloaded" },
		{ can->csr_upload, "takes uploads" },
		{ can->revokes, "revokes" },
		{ can->uses_crl_url, "puts CRL distribution points in" },
		{ can->knows_chain, "knows its chain" },
		{ can->tests, "can be tested" },
		{ can->tls_names, "issues for DNS names" },
	};
	json_t *list = json_array();

	for (gsize i = 0; i < G_N_ELEMENTS(all); i++)
		if (all[i].has)
			json_array_append_new(list, json_string(all[i].name));
	return list;
}

json_t *
handler_show(struct call *call, GError **error)
{
	struct named named = { 0 };
	json_t *object = NULL;

	if (read_named(call, call_text(call, "handler"), &named, error))
		object = row_of(call, named.handler, named.name, error);
	if (object != NULL) {
		json_object_set_new(object, "abilities", abilities(&named.handler->capabilities));
		json_object_set_new(object, "settings", settings_of(&named));
	}
	named_clear(&named);
	return object;
}

struct setting {
	struct named named;
	const char *name;
	struct secret *value, *password; /* value NULL: back to the default */
};

static json_t *
set(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct setting *setting = data;
	g_autofree char *shown = title(setting->named.handler, setting->named.name);

	if (!handler_config_set(tx, change->call->gateway->keyring, setting->named.handler,
				setting->named.name, setting->name, setting->value,
				setting->password, error))
		return NULL;
	change->object = g_strdup_printf("handler %s", shown);
	change->detail =
	    g_strdup_printf("%s %s", setting->name, setting->value != NULL ? "set" : "unset");
	return json_pack("{s:[]}", "items");
}

/* A value of the argument, a file or a password, as the type of the key wants it. */
static gboolean
read_value(struct call *call, struct setting *setting, GError **error)
{
	const struct handler_key *key =
	    handler_key_find(setting->named.handler, setting->name, error);
	const char *text = call_text(call, "value");
	CLEANUP(secret) struct secret *password = call_password(call, "password");
	const char *name;

	if (key == NULL)
		return FALSE;
	gboolean file = key->type == HANDLER_KEY_CERTS || key->type == HANDLER_KEY_PRIVATE;
	if (key->type == HANDLER_KEY_SECRET) {
		setting->value = g_steal_pointer(&password);
		return (text == NULL && setting->value != NULL) ||
		       fail_false(error, PS_ERROR_USAGE,
				  "%s is a secret: it is given by --password (asked for on the "
				  "terminal), --password-file or --password-fd",
				  setting->name);
	}
	if (!file) {
		setting->value = text != NULL ? secret_new_text(text) : NULL;
		return text != NULL || fail_false(error, PS_ERROR_USAGE,
						  "%s needs a value, or --unset", setting->name);
	}
	if (text != NULL || call_file_count(call, "file") != 1)
		return fail_false(error, PS_ERROR_USAGE, "%s is taken from a file: --file FILE",
				  setting->name);
	g_autoptr(GBytes) bytes = call_file(call, "file", 0, &name, error);
	if (bytes == NULL)
		return FALSE;
	setting->value = secret_new(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
	setting->password = g_steal_pointer(&password);
	return TRUE;
}

static json_t *
change_setting(struct call *call, struct setting *setting, GError **error)
{
	struct named after = { 0 };
	json_t *answer = NULL;

	if (!call_flag(call, "unset") && !read_value(call, setting, error))
		return NULL;
	json_t *done = change_run(call, set, setting, error);
	if (done == NULL)
		return NULL;
	json_decref(done);
	if (read_named(call, call_text(call, "handler"), &after, error)) {
		const struct handler_key *key =
		    handler_key_find(after.handler, setting->name, error);
		json_t *items = json_array();
		add_setting(items, &after, key, setting->name);
		answer = answer_list(items, NULL);
	}
	named_clear(&after);
	return answer;
}

json_t *
handler_configure(struct call *call, GError **error)
{
	struct setting setting = { .name = call_text(call, "name") };
	json_t *answer = NULL;

	if (!read_named(call, call_text(call, "handler"), &setting.named, error))
		;
	else if (setting.name != NULL)
		answer = change_setting(call, &setting, error);
	else
		answer = answer_list(settings_of(&setting.named), NULL);
	secret_unref(setting.value);
	secret_unref(setting.password);
	named_clear(&setting.named);
	return answer;
}

static json_t *
drop(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct named *named = data;

	if (!handler_config_delete(tx, named->handler, named->name, error))
		return NULL;
	change->object = g_strdup_printf("handler %s/%s", named->handler->name, named->name);
	return json_pack("{s:b}", "deleted", 1);
}

json_t *
handler_delete(struct call *call, GError **error)
{
	struct named named = { 0 };
	json_t *answer = NULL;

	if (read_named(call, call_text(call, "handler"), &named, error)) {
		const struct request_filter filter = { .only_open = TRUE,
						       .handler = named.handler->name,
						       .config = named.name,
						       .limit = 1 };
		g_autoptr(GPtrArray) open = requests_list(call->gateway->db, &filter, error);

		if (open != NULL &&
		    (open->len == 0 ||
		     call_is_sure(call, &answer, "requests wait for this configuration")))
			answer = change_run(call, drop, &named, error);
	}
	named_clear(&named);
	return answer;
}

/* --- keys of accounts --- */

/* The CA has changed before our books say so: what was done is recorded behind it. */
static json_t *
rekey(struct call *call, const struct named *named, const char *shown, GError **error)
{
	struct handler_context context = context_of(call, named->config);
	struct handler_answer result = { 0 };
	json_t *answer = NULL;

	if (named->handler->rekey == NULL)
		return fail(error, PS_ERROR_INVALID,
			    "handler '%s' has no account with a key of its own", shown);
	gboolean good = handler_is_ready(&context, named->handler, error) &&
			named->handler->rekey(&context, &result, error);
	handler_config_hide(named->config, result.text);
	if (good && result.status == HANDLER_ISSUED) {
		answer = json_pack("{s:o, s:s, s:o}", "handler", answer_text(shown), "result",
				   "changed", "text", answer_text(result.text));
		if (!change_record(call, shown, "the account has a new key", answer, error))
			g_clear_pointer(&answer, json_decref);
	} else if (good) {
		fail(error, PS_ERROR_INVALID, "handler '%s': %s", shown,
		     result.text != NULL ? result.text : "the CA gave no reason");
	}
	handler_answer_clear(&result);
	return answer;
}

json_t *
handler_rekey(struct call *call, GError **error)
{
	struct named named = { 0 };
	json_t *answer = NULL;

	if (read_named(call, call_text(call, "handler"), &named, error)) {
		g_autofree char *shown = title(named.handler, named.name);

		if (call_is_sure(call, &answer, "give the account of '%s' a new key?", shown))
			answer = rekey(call, &named, shown, error);
	}
	named_clear(&named);
	return answer;
}

/* --- test and chain --- */

json_t *
handler_test(struct call *call, GError **error)
{
	struct named named = { 0 };
	struct handler_answer result = { 0 };
	json_t *answer = NULL;

	if (!read_named(call, call_text(call, "handler"), &named, error)) {
		named_clear(&named);
		return NULL;
	}
	g_autofree char *shown = title(named.handler, named.name);
	struct handler_context context = context_of(call, named.config);
	/* What is missing is said first, before anybody is asked. */
	g_autofree char *lacks = handler_config_lacks(named.config);
	gboolean good = TRUE;
	if (named.handler->check == NULL)
		good = fail_false(error, PS_ERROR_INVALID,
				  "handler '%s' has nothing to test: it asks nobody", shown);
	else if (lacks != NULL)
		good = fail_false(error, PS_ERROR_INVALID, "handler '%s': %s", shown, lacks);
	else
		good = named.handler->check(&context, &result, error);
	handler_config_hide(named.config, result.text);
	handler_config_hide(named.config, result.code);
	if (good) {
		gboolean passed = result.status == HANDLER_ISSUED;
		call->exit_status = passed ? 0 : 1;
		answer = json_pack(
		    "{s:o, s:s, s:o, s:o, s:o}", "handler", answer_text(shown), "result",
		    passed ? "good" : "failed", "class",
		    answer_text(passed ? NULL : handler_error_class_name(result.error_class)),
		    "code", answer_text(result.code), "text", answer_text(result.text));
	}
	handler_answer_clear(&result);
	named_clear(&named);
	return answer;
}

struct chain {
	GPtrArray *certs;
	const struct handler *handler;
	char *title;
};

static json_t *
import_chain(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct chain *chain = data;
	json_t *items = json_array();

	for (guint i = 0; i < chain->certs->len; i++) {
		const struct cert *cert = g_ptr_array_index(chain->certs, i);
		const struct import_options options = { .name = chain->title, .origin = "handler" };
		gboolean root = cert_is_self_signed(cert), is_new = FALSE;
		gboolean good =
		    !cert_is_ca(cert) || (root ? import_root(tx, cert, "handler", &is_new, error)
					       : import_cert(tx, cert, &options, &is_new, error));

		if (!good) {
			json_decref(items);
			return NULL;
		}
		json_array_append_new(items,
				      json_pack("{s:o, s:s, s:s, s:o}", "subject",
						answer_text(cert_subject(cert)), "kind",
						cert_kind(cert), "outcome",
						!cert_is_ca(cert) ? "passed over: not of a CA"
						: is_new          ? "new"
								  : "already there",
						"thumbprint", answer_text(cert_thumbprint(cert))));
	}
	change->object = g_strdup_printf("handler %s", chain->title);
	return answer_list(items, NULL);
}

/* The chain is fetched again when the answer is yes: it is to be the one that was shown. */
static gboolean
is_as_shown(struct call *call, const char *title, const GString *roots, GError **error)
{
	g_autofree char *owner = g_strconcat("import-chain ", title, NULL);
	g_autoptr(GBytes) now = g_bytes_new(roots->str, roots->len);
	g_autoptr(GBytes) shown = remembered_find(owner, "shown");

	if (!call_flag(call, "yes"))
		remembered_keep(owner, "shown", now, SHOWN_SECONDS);
	else
		remembered_drop(owner);
	return !call_flag(call, "yes") || shown == NULL || g_bytes_equal(shown, now) ||
	       fail_false(error, PS_ERROR_INVALID,
			  "the CA gives other roots now than those that were shown: %s",
			  roots->str);
}

/* All trust begins with a root: it is named with its digest before it is taken. */
static gboolean
ask_for_roots(struct call *call, const char *title, const GPtrArray *certs, json_t **answer,
	      GError **error)
{
	g_autoptr(GString) roots = g_string_new(NULL);

	for (guint i = 0; i < certs->len; i++) {
		const struct cert *cert = g_ptr_array_index(certs, i);
		if (cert_is_ca(cert) && cert_is_self_signed(cert))
			g_string_append_printf(roots, "%s%s (SHA-256 %s)",
					       roots->len > 0 ? "; " : "", cert_subject(cert),
					       cert_sha256(cert));
	}
	return is_as_shown(call, title, roots, error) &&
	       (roots->len == 0 ||
		call_is_sure(call, answer, "this makes a root trusted, for all mail: %s",
			     roots->str));
}

json_t *
handler_import_chain(struct call *call, GError **error)
{
	struct named named = { 0 };
	json_t *answer = NULL;

	if (read_named(call, call_text(call, "handler"), &named, error)) {
		struct handler_context context = context_of(call, named.config);
		struct chain chain = { .handler = named.handler,
				       .title = title(named.handler, named.name) };

		if (named.handler->chain == NULL)
			(void)fail(error, PS_ERROR_INVALID,
				   "handler '%s' does not know its CA's chain: root import and "
				   "cert import take it from files",
				   chain.title);
		else if (handler_is_ready(&context, named.handler, error))
			chain.certs = named.handler->chain(&context, error);
		if (chain.certs != NULL &&
		    ask_for_roots(call, chain.title, chain.certs, &answer, error))
			answer = change_run(call, import_chain, &chain, error);
		if (chain.certs != NULL)
			g_ptr_array_unref(chain.certs);
		g_free(chain.title);
	}
	named_clear(&named);
	return answer;
}
