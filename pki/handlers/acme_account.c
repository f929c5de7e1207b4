/*
 * acme_account - making, registering and finding again our account.
 */
#include "pki/handlers/acme_account.h"

#include <string.h>

#include "pki/crypto/jws.h"
#include "pki/crypto/key.h"
#include "pki/handlers/acme_rollover.h"
#include "pki/keyring.h"
#include "store/acme_orders.h"
#include "store/base/error.h"
#include "store/db/tx.h"

#define TABLE "acme_account"

struct act {
	struct acme *acme;
	struct acme_account_row *row;
	const char *url;
};

static gboolean
insert_tx(struct tx *tx, gpointer data, GError **error)
{
	return acme_accounts_insert(tx, ((struct act *)data)->row, error);
}

static gboolean
named_tx(struct tx *tx, gpointer data, GError **error)
{
	const struct act *act = data;

	return acme_accounts_named(tx, act->row, act->url, error);
}

static struct acme_account_row *
row_of(struct acme *acme, GError **error)
{
	return acme_accounts_find(acme->context->db, handler_config_name(acme->context->config),
				  acme->directory_url, error);
}

/* ---- the key --------------------------------------------------------------------------------- */

static gboolean
seal_key(struct acme *acme, const struct key *key, struct acme_account_row *row, GError **error)
{
	g_autofree char *place = acme_account_place(row->config, row->directory);
	CLEANUP(secret) struct secret *pkcs8 = key_to_pkcs8(key, error);

	if (pkcs8 == NULL)
		return FALSE;
	row->sealed =
	    keyring_seal(acme->context->keyring, TABLE, place, pkcs8, &row->generation, error);
	return row->sealed != NULL;
}

/* Whoever stores his key first has made the account. */
static gboolean
make_key(struct acme *acme, GError **error)
{
	const struct handler_config *config = acme->context->config;
	const char *algorithm = handler_config_text(config, "account_key");
	enum key_kind kind;
	unsigned int bits;

	if (!key_algorithm_parse(algorithm, &kind, &bits, error))
		return FALSE;
	CLEANUP(key) struct key *key = key_generate(kind, bits, error);
	CLEANUP(acme_account_row) struct acme_account_row *row = g_new0(struct acme_account_row, 1);
	if (key == NULL)
		return FALSE;
	row->config = g_strdup(handler_config_name(config));
	row->directory = g_strdup(acme->directory_url);
	row->algorithm = g_strdup(algorithm);
	row->thumbprint = jws_thumbprint(key, error);
	if (row->thumbprint == NULL || !seal_key(acme, key, row, error))
		return FALSE;
	struct act act = { .acme = acme, .row = row };
	return db_transaction(acme->context->db, insert_tx, &act, error);
}

static gboolean
take_row(struct acme *acme, const struct acme_account_row *row, GError **error)
{
	g_autofree char *place = acme_account_place(row->config, row->directory);
	CLEANUP(secret)
	struct secret *pkcs8 =
	    keyring_unseal(acme->context->keyring, TABLE, place, row->sealed, error);

	if (pkcs8 == NULL)
		return FALSE;
	acme->key = key_parse_pkcs8(pkcs8, error);
	if (acme->key == NULL)
		return FALSE;
	acme->thumbprint = jws_thumbprint(acme->key, error);
	acme->kid = g_strdup(row->url);
	return acme->thumbprint != NULL;
}

gboolean
acme_account_look(struct acme *acme, gboolean *rolled)
{
	GError *why = NULL;
	CLEANUP(acme_account_row) struct acme_account_row *row = row_of(acme, &why);

	if (rolled != NULL)
		*rolled = FALSE;
	if (row == NULL && g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		g_error_free(why);
		return TRUE;
	}
	if (row == NULL || !take_row(acme, row, &why))
		return acme_fail(acme, why);
	return acme->kid == NULL || acme_rollover_settle(acme, rolled);
}

/* ---- registration ---------------------------------------------------------------------------- */

/* RFC 8555 section 7.3.4: our public key, signed with the key that the CA has given us. */
static json_t *
external_binding(struct acme *acme, const char *kid, const struct secret *mac_text, GError **error)
{
	CLEANUP(secret) struct secret *mac = jws_secret_decode(mac_text, error);
	g_autofree char *jwk = jws_jwk(acme->key, error);

	if (mac == NULL || jwk == NULL) {
		g_prefix_error(error, "eab.hmac_key: ");
		return NULL;
	}
	json_t *header = json_pack("{s:s, s:s, s:s}", "alg", "HS256", "kid", kid, "url",
				   acme->directory->new_account);
	g_autofree char *header_text = header != NULL ? acme_json_text(header) : NULL;
	json_decref(header);
	if (header_text == NULL)
		return fail(error, PS_ERROR_INVALID, "eab.kid: not UTF-8");
	g_autofree char *jws = jws_sign_hmac(mac, header_text, jwk, error);
	return jws != NULL ? json_loads(jws, 0, NULL) : NULL;
}

static json_t *
contacts_of(struct acme *acme)
{
	const char *const *contacts = handler_config_list(acme->context->config, "contact");
	json_t *list = json_array();

	for (guint i = 0; contacts != NULL && contacts[i] != NULL; i++) {
		g_autofree char *url = strchr(contacts[i], ':') != NULL
					   ? g_strdup(contacts[i])
					   : g_strconcat("mailto:", contacts[i], NULL);
		json_array_append_new(list, json_string(url));
	}
	return list;
}

static gboolean
add_binding(struct acme *acme, json_t *payload)
{
	const struct handler_config *config = acme->context->config;
	const char *kid = handler_config_text(config, "eab.kid");
	const struct secret *mac = handler_config_secret(config, "eab.hmac_key");
	g_autoptr(GError) why = NULL;

	if (*kid == '\0' || mac == NULL) {
		if (!acme->directory->eab_required)
			return TRUE;
		return acme_stop(acme, HANDLER_RETRY, HANDLER_ERROR_CONFIG,
				 "externalAccountRequired",
				 "the CA binds accounts to a contract: set eab.kid and "
				 "eab.hmac_key as it has told you");
	}
	json_t *binding = external_binding(acme, kid, mac, &why);
	if (binding == NULL)
		return acme_stop(acme, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL, "%s",
				 why->message);
	json_object_set_new(payload, "externalAccountBinding", binding);
	return TRUE;
}

static json_t *
registration(struct acme *acme)
{
	gboolean agreed = handler_config_bool(acme->context->config, "tos_agreed");

	if (acme->directory->terms != NULL && !agreed) {
		acme_stop(acme, HANDLER_RETRY, HANDLER_ERROR_CONFIG, "userActionRequired",
			  "the CA's terms of service have to be agreed to (tos_agreed on): %s",
			  acme->directory->terms);
		return NULL;
	}
	json_t *payload = json_object();
	json_t *contacts = contacts_of(acme);
	if (agreed)
		json_object_set_new(payload, "termsOfServiceAgreed", json_true());
	if (json_array_size(contacts) > 0)
		json_object_set(payload, "contact", contacts);
	json_decref(contacts);
	if (!add_binding(acme, payload)) {
		json_decref(payload);
		return NULL;
	}
	return payload;
}

static gboolean
status_is_good(struct acme *acme, const json_t *account)
{
	const char *status = peer_json_text(account, "status", 64);

	if (status == NULL || strcmp(status, "valid") == 0)
		return TRUE;
	return acme_stop(acme, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL,
			 "the account with the CA is %s, not valid", status);
}

static gboolean
keep_name(struct acme *acme, const char *url)
{
	GError *why = NULL;
	struct acme_account_row row = {
		.config = (char *)handler_config_name(acme->context->config),
		.directory = acme->directory_url,
		.thumbprint = acme->thumbprint,
	};
	struct act act = { .acme = acme, .row = &row, .url = url };

	if (!db_transaction(acme->context->db, named_tx, &act, &why))
		return acme_fail(acme, why);
	g_free(acme->kid);
	acme->kid = g_strdup(url);
	return TRUE;
}

/* A repetition with the same key is answered with the same account. */
static gboolean
register_account(struct acme *acme)
{
	const struct acme_call call = {
		.url = acme->directory->new_account,
		.payload = registration(acme),
		.as = acme->key,
	};
	CLEANUP(http_answer) struct http_answer *got = NULL;

	if (call.payload == NULL)
		return FALSE;
	json_t *account = acme_post_json(acme, &call, &got, NULL);
	if (account == NULL)
		return FALSE;
	gboolean good = status_is_good(acme, account);
	json_decref(account);
	const char *url = http_header(got, "location");
	if (!good)
		return FALSE;
	if (url == NULL || !acme_url_is_good(url))
		return acme_stop(acme, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL,
				 "the server has not named the account's URL");
	return keep_name(acme, url);
}

gboolean
acme_account_ready(struct acme *acme)
{
	GError *why = NULL;

	if (!acme_account_look(acme, NULL))
		return FALSE;
	if (acme->key == NULL) {
		if (!make_key(acme, &why))
			return acme_fail(acme, why);
		if (!acme_account_look(acme, NULL))
			return FALSE;
	}
	return acme->kid != NULL || register_account(acme);
}

gboolean
acme_account_lost(struct acme *acme)
{
	if (!keep_name(acme, NULL))
		return FALSE;
	return acme_stop(acme, HANDLER_RETRY, HANDLER_ERROR_TRANSIENT, "accountDoesNotExist",
			 "the server does not know the account any more; it is registered again");
}

/* ---- questions about it ---------------------------------------------------------------------- */

static json_t *
account_of(struct acme *acme)
{
	const struct acme_call call = { .url = acme->kid };

	return acme_post_json(acme, &call, NULL, NULL);
}

gboolean
acme_account_check(struct acme *acme)
{
	json_t *account = account_of(acme);

	if (account == NULL)
		return FALSE;
	gboolean good = status_is_good(acme, account);
	json_decref(account);
	return good;
}

char *
acme_account_orders(struct acme *acme)
{
	json_t *account = account_of(acme);
	const char *url = peer_json_text(account, "orders", ACME_URL_MAX_BYTES);
	char *orders = url != NULL && acme_url_is_good(url) ? g_strdup(url) : NULL;

	json_decref(account);
	return orders;
}
