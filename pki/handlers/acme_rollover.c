/*
 * acme_rollover - making, asking, settling.
 */
#include "pki/handlers/acme_rollover.h"

#include <string.h>

#include "pki/crypto/jws.h"
#include "pki/crypto/key.h"
#include "pki/handlers/acme_account.h"
#include "pki/keyring.h"
#include "store/acme_next.h"
#include "store/acme_orders.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/db/tx.h"

#define TABLE "acme_account"
#define TABLE_NEXT "acme_account_next"
#define ASKED_SECONDS 3600 /* so long a question may be on its way */

struct act {
	struct acme_next_row *row;
	gboolean put;
	const char *old; /* thumbprint */
	GBytes *sealed;
	gint64 generation;
};

static gboolean
put_tx(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return acme_next_put(tx, act->row, &act->put, error);
}

static gboolean
refused_tx(struct tx *tx, gpointer data, GError **error)
{
	return acme_next_refused(tx, ((struct act *)data)->row, error);
}

static gboolean
take_tx(struct tx *tx, gpointer data, GError **error)
{
	const struct act *act = data;

	return acme_next_take(tx, act->row, act->old, act->sealed, act->generation, error);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static GBytes *
seal(struct acme *acme, const char *table, const struct acme_next_row *row, const struct key *key,
     gint64 *generation, GError **error)
{
	g_autofree char *place = acme_account_place(row->config, row->directory);
	CLEANUP(secret) struct secret *pkcs8 = key_to_pkcs8(key, error);

	return pkcs8 != NULL
		   ? keyring_seal(acme->context->keyring, table, place, pkcs8, generation, error)
		   : NULL;
}

static struct key *
key_of(struct acme *acme, const struct acme_next_row *row, GError **error)
{
	g_autofree char *place = acme_account_place(row->config, row->directory);
	CLEANUP(secret)
	struct secret *pkcs8 =
	    keyring_unseal(acme->context->keyring, TABLE_NEXT, place, row->sealed, error);

	return pkcs8 != NULL ? key_parse_pkcs8(pkcs8, error) : NULL;
}

static gboolean
find_next(struct acme *acme, struct acme_next_row **row, GError **error)
{
	return acme_next_find(acme->context->db, handler_config_name(acme->context->config),
			      acme->directory_url, row, error);
}

/* The time of asking is written with the key: from then on nobody throws it away. */
static gboolean
make_next(struct acme *acme, GError **error)
{
	const struct handler_config *config = acme->context->config;
	const char *algorithm = handler_config_text(config, "account_key");
	enum key_kind kind;
	unsigned int bits;

	if (!key_algorithm_parse(algorithm, &kind, &bits, error))
		return FALSE;
	CLEANUP(key) struct key *key = key_generate(kind, bits, error);
	CLEANUP(acme_next_row) struct acme_next_row *row = g_new0(struct acme_next_row, 1);
	if (key == NULL)
		return FALSE;
	row->config = g_strdup(handler_config_name(config));
	row->directory = g_strdup(acme->directory_url);
	row->algorithm = g_strdup(algorithm);
	row->thumbprint = jws_thumbprint(key, error);
	row->asked = clock_now(acme->context->clock);
	if (row->thumbprint == NULL)
		return FALSE;
	row->sealed = seal(acme, TABLE_NEXT, row, key, &row->generation, error);
	struct act act = { .row = row };
	return row->sealed != NULL && db_transaction(acme->context->db, put_tx, &act, error);
}

/* The server has changed: so do we. */
static gboolean
take(struct acme *acme, struct acme_next_row *row, struct key *key)
{
	struct act act = { .row = row, .old = acme->thumbprint };
	GError *why = NULL;

	act.sealed = seal(acme, TABLE, row, key, &act.generation, &why);
	gboolean good =
	    act.sealed != NULL && db_transaction(acme->context->db, take_tx, &act, &why);
	if (act.sealed != NULL)
		g_bytes_unref(act.sealed);
	if (!good)
		return acme_fail(acme, why);
	key_unref(acme->key);
	acme->key = key_ref(key);
	g_free(acme->thumbprint);
	acme->thumbprint = g_strdup(row->thumbprint);
	log_info("an ACME account has a new key", "config", row->config, "account", acme->kid);
	return TRUE;
}

/* ---- which one counts? ----------------------------------------------------------------------- */

/* RFC 8555 section 7.3.1: the account that has this key, if there is one. */
static gboolean
is_accounts(struct acme *acme, const struct key *key, gboolean *is)
{
	const struct acme_call call = {
		.url = acme->directory->new_account,
		.payload = json_pack("{s:b}", "onlyReturnExisting", 1),
		.as = key,
	};
	CLEANUP(acme_problem) struct acme_problem *problem = NULL;
	CLEANUP(http_answer) struct http_answer *got = acme_post(acme, &call, &problem);

	*is = got != NULL && g_strcmp0(http_header(got, "location"), acme->kid) == 0;
	if (got != NULL || acme_problem_is(problem, "accountDoesNotExist"))
		return TRUE;
	return problem != NULL
		   ? acme_stop_problem(acme, "which key the account has cannot be told", problem)
		   : FALSE;
}

static gboolean
settle_by(struct acme *acme, struct acme_next_row *row, gboolean *changed)
{
	GError *why = NULL;
	CLEANUP(key) struct key *key = key_of(acme, row, &why);

	if (key == NULL)
		return acme_fail(acme, why);
	return is_accounts(acme, key, changed) && (!*changed || take(acme, row, key));
}

static gboolean
refuse(struct acme *acme, struct acme_next_row *row)
{
	struct act act = { .row = row };
	GError *why = NULL;

	return db_transaction(acme->context->db, refused_tx, &act, &why) || acme_fail(acme, why);
}

gboolean
acme_rollover_settle(struct acme *acme, gboolean *changed)
{
	CLEANUP(acme_next_row) struct acme_next_row *row = NULL;
	gboolean has = FALSE;
	GError *why = NULL;

	if (changed != NULL)
		*changed = FALSE;
	if (!find_next(acme, &row, &why))
		return acme_fail(acme, why);
	if (row == NULL || row->asked == CLOCK_NEVER)
		return TRUE;
	if (!settle_by(acme, row, &has))
		return FALSE;
	if (changed != NULL)
		*changed = has;
	return has || row->asked > clock_now(acme->context->clock) - ASKED_SECONDS ||
	       refuse(acme, row);
}

gboolean
acme_rollover_is_under_way(struct acme *acme)
{
	CLEANUP(acme_next_row) struct acme_next_row *row = NULL;
	CLEANUP(acme_account_row)
	struct acme_account_row *account =
	    acme_accounts_find(acme->context->db, handler_config_name(acme->context->config),
			       acme->directory_url, NULL);

	if (account != NULL && g_strcmp0(account->thumbprint, acme->thumbprint) != 0)
		return TRUE;
	return find_next(acme, &row, NULL) && row != NULL && row->asked != CLOCK_NEVER;
}

/* ---- the change ------------------------------------------------------------------------------ */

/* Signed by the new key: that we have it, and which account is to have it. */
static json_t *
inner(struct acme *acme, const struct key *key, GError **error)
{
	g_autofree char *new_jwk = jws_jwk(key, error);
	g_autofree char *old_jwk = new_jwk != NULL ? jws_jwk(acme->key, error) : NULL;

	if (old_jwk == NULL)
		return NULL;
	json_t *header = json_pack(
	    "{s:s, s:o, s:s}", "alg", jws_algorithm(key) != NULL ? jws_algorithm(key) : "", "jwk",
	    json_loads(new_jwk, 0, NULL), "url", acme->directory->key_change);
	json_t *payload =
	    json_pack("{s:s, s:o}", "account", acme->kid, "oldKey", json_loads(old_jwk, 0, NULL));
	g_autofree char *header_text = acme_json_text(header);
	g_autofree char *payload_text = acme_json_text(payload);
	json_decref(header);
	json_decref(payload);
	g_autofree char *jws = jws_sign(key, header_text, payload_text, error);
	return jws != NULL ? json_loads(jws, 0, NULL) : NULL;
}

/* A server that has changed, and could not say so, refuses what the old key signs. */
static gboolean
change_refused(struct acme *acme, struct acme_next_row *row, const struct acme_problem *problem)
{
	gboolean changed;

	if (!settle_by(acme, row, &changed))
		return FALSE;
	if (changed)
		return TRUE;
	return refuse(acme, row) &&
	       acme_stop_problem(acme, "the new key was refused, the old one stays", problem);
}

static gboolean
change(struct acme *acme, struct acme_next_row *row)
{
	GError *why = NULL;
	CLEANUP(key) struct key *key = key_of(acme, row, &why);
	CLEANUP(acme_problem) struct acme_problem *problem = NULL;
	json_t *payload = key != NULL ? inner(acme, key, &why) : NULL;

	if (payload == NULL)
		return acme_fail(acme, why);
	const struct acme_call call = {
		.url = acme->directory->key_change,
		.payload = payload,
		.acts = TRUE,
	};
	CLEANUP(http_answer) struct http_answer *got = acme_post(acme, &call, &problem);
	if (got != NULL)
		return take(acme, row, key);
	return problem != NULL && change_refused(acme, row, problem);
}

static gboolean
is_possible(struct acme *acme)
{
	gboolean hindered;
	GError *why = NULL;

	if (acme->kid == NULL)
		return acme_stop(acme, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL,
				 "there is no account yet: it is made, with its key, with the "
				 "first request");
	if (acme->directory->key_change == NULL)
		return acme_stop(acme, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL,
				 "this CA changes no keys of accounts");
	if (!acme_next_is_hindered(acme->context->db, handler_config_name(acme->context->config),
				   clock_now(acme->context->clock), &hindered, &why))
		return acme_fail(acme, why);
	return !hindered ||
	       acme_stop(acme, HANDLER_RETRY, HANDLER_ERROR_TRANSIENT, NULL,
			 "records with the present key stand in the DNS until the CA has looked: "
			 "try again when the requests under way have ended");
}

void
acme_rollover(struct acme *acme)
{
	CLEANUP(acme_next_row) struct acme_next_row *row = NULL;
	gboolean changed = FALSE;
	GError *why = NULL;

	/* Looking settles what was begun before; that is the change that is wanted, then. */
	if (!acme_account_look(acme, &changed))
		return;
	if (!changed && !is_possible(acme))
		return;
	if (!changed && (!make_next(acme, &why) || !find_next(acme, &row, &why))) {
		acme_fail(acme, why);
		return;
	}
	if (!changed && (row == NULL || !change(acme, row)))
		return;
	handler_answer_set(acme->answer, HANDLER_ISSUED, HANDLER_ERROR_NONE, NULL,
			   "the account %s has a new key", acme->kid);
}
