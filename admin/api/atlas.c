/*
 * atlas - what only GlobalSign Atlas needs of the noun handler: the mTLS certificate, and claims of
 * domains (C12).
 */
#include <string.h>

#include "admin/api/change.h"
#include "admin/api/handlers.h"
#include "milter/gateway.h"
#include "pki/crypto/bundle.h"
#include "pki/crypto/csr.h"
#include "pki/handlers/atlas_claims.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"

#define KEY_NEXT "client_key_next"

/* A handler and one of its configurations, as a command names them: "atlas" or "atlas/test". */
struct account {
	const struct handler *handler;
	char *name;
	struct handler_config *config;
	struct handler_context context;
	GBytes *cert;                    /* of mtls-import: PEM */
	struct key *key;                 /* of mtls-request */
	const struct atlas_claim *claim; /* of claim-add */
	const char *place;               /* of its record; NULL: the domain itself */
};

static void
account_clear(struct account *account)
{
	handler_config_free(account->config);
	g_clear_pointer(&account->cert, g_bytes_unref);
	key_unref(account->key);
	g_free(account->name);
}

static gboolean
account_open(struct call *call, struct account *account, GError **error)
{
	const char *text = call_text(call, "handler");
	g_auto(GStrv) parts = g_strsplit(text != NULL ? text : "atlas", "/", 2);

	account->handler = handler_find(parts[0], error);
	if (account->handler == NULL)
		return FALSE;
	if (strcmp(account->handler->name, "atlas") != 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "handler '%s' has none of that: atlas has", parts[0]);
	account->name = g_strdup(parts[1] != NULL && *parts[1] != '\0' ? parts[1] : "default");
	account->config = handler_config_load(call->gateway->db, call->gateway->keyring,
					      account->handler, account->name, error);
	account->context = (struct handler_context){ .db = call->gateway->db,
						     .keyring = call->gateway->keyring,
						     .clock = call->gateway->clock,
						     .settings = gateway_settings(call->gateway),
						     .config = account->config };
	return account->config != NULL;
}

static gboolean
set(struct change *change, struct tx *tx, const struct account *account, const char *name,
    const struct secret *value, GError **error)
{
	return handler_config_set(tx, change->call->gateway->keyring, account->handler,
				  account->name, name, value, NULL, error);
}

/* As account_open, and ready to be asked: key and secret are there. */
static gboolean
account_ready(struct call *call, struct account *account, GError **error)
{
	return account_open(call, account, error) &&
	       handler_is_ready(&account->context, account->handler, error);
}

/* --- the mTLS certificate --- */

static json_t *
keep_key(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct account *account = data;
	const char *common_name = call_text(change->call, "common-name");
	struct issue_names names = { .common_name =
					 common_name != NULL ? common_name : "Postseal gateway" };
	g_autoptr(GBytes) csr = csr_make(account->key, &names, ALGORITHM_UNKNOWN, error);
	g_autofree char *pem = csr != NULL ? csr_to_pem(csr) : NULL;
	CLEANUP(secret)
	struct secret *key = pem != NULL ? bundle_write_key_pem(account->key, NULL, error) : NULL;

	if (key == NULL || !set(change, tx, account, KEY_NEXT, key, error))
		return NULL;
	change->object = g_strconcat("atlas/", account->name, NULL);
	change->detail = g_strdup("key for mTLS made");
	g_autoptr(GBytes) bytes = g_bytes_new(pem, strlen(pem));
	return json_pack("{s:[o]}", "files", answer_file("mtls.csr", bytes));
}

json_t *
handler_mtls_request(struct call *call, GError **error)
{
	struct account account = { 0 };
	const char *algorithm = call_text(call, "key");
	enum key_kind kind;
	unsigned int bits;
	json_t *answer = NULL;

	if (account_open(call, &account, error) &&
	    key_algorithm_parse(algorithm != NULL ? algorithm : "rsa:2048", &kind, &bits, error)) {
		/* One that waits for its certificate already would be lost. */
		if (handler_config_key(account.config, KEY_NEXT) == NULL ||
		    call_is_sure(call, &answer,
				 "a key of atlas/%s waits for its certificate already; make "
				 "another in its place?",
				 account.name))
			account.key = key_generate(kind, bits, error);
		if (account.key != NULL)
			answer = change_run(call, keep_key, &account, error);
	}
	account_clear(&account);
	return answer;
}

/* Certificate and key change together, or not at all. */
static json_t *
take_cert(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct account *account = data;
	gsize length;
	const char *pem = g_bytes_get_data(account->cert, &length);
	CLEANUP(secret) struct secret *certs = secret_new(pem, length);
	CLEANUP(secret)
	struct secret *key = bundle_write_key_pem(account->key, NULL, error);

	if (key == NULL || !set(change, tx, account, "client_cert", certs, error) ||
	    !set(change, tx, account, "client_key", key, error) ||
	    !set(change, tx, account, KEY_NEXT, NULL, error))
		return NULL;
	change->object = g_strconcat("atlas/", account->name, NULL);
	change->detail = g_strdup("mTLS certificate taken");
	return json_pack("{s:o, s:s}", "handler", answer_text(change->object), "result", "taken");
}

/* The key that the certificate is for: the one that waits, else the one in use. */
static gboolean
find_key(struct account *account, const struct bundle *bundle, GError **error)
{
	struct key *keys[] = { handler_config_key(account->config, KEY_NEXT),
			       handler_config_key(account->config, "client_key") };

	for (guint c = 0; c < bundle->certs->len; c++)
		for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
			struct cert *cert = g_ptr_array_index(bundle->certs, c);

			if (keys[i] == NULL || !key_fits(keys[i], cert))
				continue;
			/* Ours stands first, whatever the order of the file. */
			g_autoptr(GPtrArray) sorted = g_ptr_array_new();
			g_ptr_array_add(sorted, cert);
			for (guint k = 0; k < bundle->certs->len; k++)
				if (k != c)
					g_ptr_array_add(sorted,
							g_ptr_array_index(bundle->certs, k));
			account->key = key_ref(keys[i]);
			account->cert = bundle_write_pem(sorted, error);
			return account->cert != NULL;
		}
	return fail_false(
	    error, PS_ERROR_INVALID,
	    "no certificate of the file is for the key that handler mtls-request made");
}

json_t *
handler_mtls_import(struct call *call, GError **error)
{
	struct account account = { 0 };
	const char *name = NULL;
	g_autoptr(GBytes) bytes = call_file(call, "file", 0, &name, error);
	json_t *answer = NULL;

	if (bytes != NULL && account_open(call, &account, error)) {
		CLEANUP(bundle) struct bundle *bundle = bundle_read(bytes, name, NULL, error);

		if (bundle != NULL && find_key(&account, bundle, error))
			answer = change_run(call, take_cert, &account, error);
	}
	account_clear(&account);
	return answer;
}

/* --- claims --- */

static json_t *
time_or_null(gint64 seconds)
{
	return seconds > 0 ? answer_time(seconds) : json_null();
}

/* A row to be pasted into a zone. */
static char *
record_of(const struct atlas_claim *claim, const char *place)
{
	g_autofree char *value = atlas_claim_value(claim);

	return value != NULL ? g_strdup_printf("%s. 3600 IN TXT \"%s\"", place, value) : NULL;
}

static json_t *
log_of(const struct atlas_claim *claim)
{
	json_t *log = json_array();

	for (guint i = 0; i < claim->log->len; i++) {
		const struct atlas_claim_line *line = g_ptr_array_index(claim->log, i);
		g_autofree char *at = clock_format(line->at);
		g_autofree char *text =
		    g_strdup_printf("%s %s: %s", at, line->status != NULL ? line->status : "",
				    line->text != NULL ? line->text : "");

		json_array_append_new(log, answer_text(text));
	}
	return log;
}

static json_t *
claim_object(const struct atlas_claim *claim, const char *place)
{
	g_autofree char *record = record_of(claim, place);

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "domain",
			 answer_text(claim->domain), "id", answer_text(claim->id), "status",
			 answer_text(claim->status), "record", answer_text(record), "counts_until",
			 time_or_null(claim->assert_by), "expires", time_or_null(claim->expires),
			 "created", time_or_null(claim->created), "log", log_of(claim));
}

json_t *
claim_list(struct call *call, GError **error)
{
	struct account account = { 0 };
	g_autoptr(GPtrArray) claims = account_ready(call, &account, error)
					  ? atlas_claims(&account.context, NULL, error)
					  : NULL;
	json_t *items = claims != NULL ? json_array() : NULL;

	for (guint i = 0; claims != NULL && i < claims->len; i++) {
		const struct atlas_claim *claim = g_ptr_array_index(claims, i);
		json_array_append_new(
		    items, claim_object(claim, atlas_claim_place(&account.context, claim)));
	}
	account_clear(&account);
	return items != NULL ? answer_list(items, NULL) : NULL;
}

json_t *
claim_show(struct call *call, GError **error)
{
	struct account account = { 0 };
	CLEANUP(atlas_claim)
	struct atlas_claim *claim =
	    account_ready(call, &account, error)
		? atlas_claim_find(&account.context, call_text(call, "claim"), error)
		: NULL;
	json_t *answer =
	    claim != NULL ? claim_object(claim, atlas_claim_place(&account.context, claim)) : NULL;

	account_clear(&account);
	return answer;
}

/* Where its record stands is kept for the check that comes again by itself. */
static json_t *
keep_place(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct account *account = data;
	const char *domain = account->claim->domain;
	g_autofree char *name = g_strdup_printf("claims.%s.authorization_domain", domain);
	CLEANUP(secret)
	struct secret *value = account->place != NULL ? secret_new_text(account->place) : NULL;

	if (!set(change, tx, account, name, value, error))
		return NULL;
	change->object = g_strdup(domain);
	change->detail = g_strdup("domain claimed");
	return claim_object(account->claim, account->place != NULL ? account->place : domain);
}

json_t *
claim_add(struct call *call, GError **error)
{
	struct account account = { .place = call_text(call, "authorization-domain") };
	CLEANUP(atlas_claim)
	struct atlas_claim *claim =
	    account_ready(call, &account, error)
		? atlas_claim_add(&account.context, call_text(call, "domain"), error)
		: NULL;

	account.claim = claim;
	json_t *answer = claim != NULL ? change_run(call, keep_place, &account, error) : NULL;
	account_clear(&account);
	return answer;
}

/* Nobody is asked to look for what is not there; what cannot be seen from here may be seen from
 * there. */
static json_t *
validate(struct call *call, const struct account *account, const struct atlas_claim *claim,
	 GError **error)
{
	const char *asked = call_text(call, "authorization-domain");
	const char *place = asked != NULL ? asked : atlas_claim_place(&account->context, claim);
	g_autofree char *record = record_of(claim, place);
	gboolean verified = FALSE;
	gboolean found = TRUE;

	if (!atlas_claim_published(&account->context, claim, place, &found, NULL))
		found = TRUE;
	if (found && !atlas_claim_validate(&account->context, claim, place, &verified, error))
		return NULL;
	call->exit_status = verified ? 0 : 1;
	return json_pack("{s:o, s:s, s:o}", "domain", answer_text(claim->domain), "result",
			 verified ? "verified"
			 : found  ? "accepted, not verified yet"
				  : "the record is not in the DNS yet",
			 "record", answer_text(record));
}

json_t *
claim_validate(struct call *call, GError **error)
{
	struct account account = { 0 };
	CLEANUP(atlas_claim)
	struct atlas_claim *claim =
	    account_ready(call, &account, error)
		? atlas_claim_find(&account.context, call_text(call, "claim"), error)
		: NULL;
	json_t *answer = claim != NULL ? validate(call, &account, claim, error) : NULL;

	account_clear(&account);
	return answer;
}

json_t *
claim_delete(struct call *call, GError **error)
{
	struct account account = { 0 };
	CLEANUP(atlas_claim)
	struct atlas_claim *claim =
	    account_ready(call, &account, error)
		? atlas_claim_find(&account.context, call_text(call, "claim"), error)
		: NULL;
	json_t *answer = NULL;

	if (claim != NULL &&
	    call_is_sure(call, &answer, "delete the claim %s for %s (%s)?", claim->id,
			 claim->domain, claim->status) &&
	    atlas_claim_delete(&account.context, claim->id, error)) {
		answer = json_pack("{s:o, s:o, s:s}", "domain", answer_text(claim->domain), "id",
				   answer_text(claim->id), "result", "deleted");
		if (!change_record(call, claim->domain, "domain claim deleted", answer, error))
			g_clear_pointer(&answer, json_decref);
	}
	account_clear(&account);
	return answer;
}
