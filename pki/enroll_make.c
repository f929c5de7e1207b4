/*
 * enroll_make - a request from what a person asks for: checked, stored; then its key and CSR.
 */
#include <string.h>

#include "pki/ca_profile.h"
#include "pki/crypto/csr.h"
#include "pki/crypto/issue.h"
#include "pki/crypto/key.h"
#include "pki/delivery.h"
#include "pki/enroll_check.h"
#include "pki/enroll_internal.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/mailaddr.h"
#include "store/cas.h"
#include "store/db/tx.h"
#include "store/requests_work.h"

#define DAY_SECONDS 86400
#define DNS_NAMES_MAX 100

static const char *
text_or(const char *text, const char *otherwise)
{
	return text != NULL && *text != '\0' ? text : otherwise;
}

/* What its configuration says, where it has such a setting. */
static const char *
setting_or(const struct handler *handler, const struct handler_config *config, const char *name,
	   const char *otherwise)
{
	return handler_key_find(handler, name, NULL) != NULL
		   ? text_or(handler_config_text(config, name), otherwise)
		   : otherwise;
}

static gint64
days_to_wait(const struct handler *handler, const struct handler_config *config,
	     const struct ca_defaults *defaults)
{
	if (handler_key_find(handler, "max_age_days", NULL) == NULL)
		return defaults->request_max_age;
	return handler_config_int(config, "max_age_days");
}

static gboolean
check_tls(const struct handler *handler, const struct enroll_order *order, GError **error)
{
	gboolean named = order->dns_names != NULL && *order->dns_names != NULL;
	gboolean tls = order->profile != NULL && g_str_has_prefix(order->profile, "tls-");

	if (g_strcmp0(order->profile, "ocsp") == 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "profile 'ocsp' is that of the daemon's own responders, which "
				  "it makes by itself; nobody else gets one");
	if (!tls)
		return !named ||
		       fail_false(error, PS_ERROR_INVALID,
				  "DNS names belong to the profiles tls-server and tls-client");
	if (!handler->capabilities.tls_names)
		return fail_false(error, PS_ERROR_INVALID,
				  "handler '%s' issues certificates for mail only", handler->name);
	if (!named && strcmp(order->profile, "tls-server") == 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "a request for tls-server needs names: --dns-name");
	for (gsize i = 0; named && order->dns_names[i] != NULL; i++)
		if (i >= DNS_NAMES_MAX || *order->dns_names[i] == '\0' ||
		    strlen(order->dns_names[i]) > 253)
			return fail_false(error, PS_ERROR_INVALID,
					  "a DNS name has 1 to 253 bytes, a request %d names",
					  DNS_NAMES_MAX);
	return TRUE;
}

static gboolean
check_key_use(const char *key_use, GError **error)
{
	static const char *const uses[] = { "dual", "sign", "encrypt", "pair", NULL };

	return g_strv_contains(uses, key_use) ||
	       fail_false(error, PS_ERROR_INVALID,
			  "a key is for dual, sign or encrypt, or a pair of both");
}

struct making {
	const struct enroll *enroll;
	const struct enroll_order *order;
	const struct handler *handler;
	struct ca_defaults *defaults;
	struct handler_config *config;
	struct mailaddr *address; /* NULL: for names alone */
	const char *key, *key_use;
};

static void
making_clear(struct making *making)
{
	handler_config_free(making->config);
	ca_defaults_free(making->defaults);
	mailaddr_unref(making->address);
}

static gboolean
check_who(struct making *making, GError **error)
{
	const struct enroll_order *order = making->order;
	gboolean tls = order->profile != NULL && g_str_has_prefix(order->profile, "tls-");

	if (text_or(order->common_name, NULL) == NULL ||
	    (!tls && text_or(order->email, NULL) == NULL))
		return fail_false(error, PS_ERROR_INVALID,
				  "a request needs an address and a common name");
	if (text_or(order->email, NULL) == NULL)
		return TRUE;
	making->address = mailaddr_parse(order->email, error);
	return making->address != NULL;
}

/* A name that was mistyped would have settings, none of which are what somebody set. */
static gboolean
check_config(const struct making *making, GError **error)
{
	const char *name = handler_config_name(making->config);
	g_auto(GStrv) set = handler_config_names(making->config);

	return strcmp(name, "default") == 0 || set[0] != NULL ||
	       fail_false(error, PS_ERROR_INVALID,
			  "handler '%s' has no configuration '%s': see 'postseal handler list'",
			  making->handler->name, name);
}

/* Everything that can be refused is refused here, before anything is made. */
static gboolean
check_order(struct making *making, GError **error)
{
	const struct enroll *enroll = making->enroll;
	const struct enroll_order *order = making->order;
	enum key_kind kind;
	unsigned int bits;

	making->defaults = ca_defaults_load(enroll->db, error);
	if (making->defaults == NULL || !check_who(making, error))
		return FALSE;
	g_auto(GStrv) by_default = g_strsplit(making->defaults->handler, "/", 2);
	gboolean named = text_or(order->handler, NULL) != NULL || by_default[0] == NULL;
	making->handler = enroll_handler(
	    enroll, named ? text_or(order->handler, "builtin") : by_default[0], error);
	if (making->handler == NULL)
		return FALSE;
	making->config = handler_config_load(enroll->db, enroll->keyring, making->handler,
					     named ? order->handler_config : by_default[1], error);
	if (making->config == NULL || !check_config(making, error) ||
	    !check_tls(making->handler, order, error) ||
	    !check_key_use(text_or(order->key_use, "dual"), error))
		return FALSE;
	making->key_use = order->profile != NULL && g_str_has_prefix(order->profile, "tls-")
			      ? "dual"
			      : text_or(making->defaults->key_pair, "dual");
	making->key = text_or(order->key, setting_or(making->handler, making->config, "key_type",
						     making->defaults->key));
	if (!key_algorithm_parse(making->key, &kind, &bits, error))
		return FALSE;
	struct handler_context context = enroll_context(enroll, making->config);
	return handler_is_ready(&context, making->handler, error);
}

static gboolean
insert(const struct making *making, struct tx *tx, const char *key_use, gint64 pair, gint64 *id,
       GError **error)
{
	const struct enroll_order *order = making->order;
	const struct ca_defaults *defaults = making->defaults;
	gint64 now = clock_now(making->enroll->clock);
	struct request_row row = {
		.state = REQUEST_NEW,
		.handler = (char *)making->handler->name,
		.handler_config = (char *)handler_config_name(making->config),
		.email = (char *)(making->address != NULL ? mailaddr_key(making->address) : ""),
		.common_name = (char *)order->common_name,
		.organisation = (char *)text_or(order->organisation, NULL),
		.first_name = (char *)text_or(order->first_name, NULL),
		.last_name = (char *)text_or(order->last_name, NULL),
		.ca = (char *)text_or(order->ca, NULL),
		.key = (char *)making->key,
		.digest = (char *)text_or(order->digest, NULL),
		.profile = (char *)text_or(order->profile, "smime"),
		.validity_days = order->validity_days != 0
				     ? order->validity_days
				     : ca_profile_days(order->profile, defaults->validity_days,
						       clock_now(making->enroll->clock)),
		.crl_url = order->crl_url == ENROLL_AS_DEFAULT ? defaults->add_crl_url
							       : order->crl_url == ENROLL_YES,
		.options = (char *)order->options,
		.requester = (char *)order->requester,
		.next_try = now,
		.names = (GStrv)order->dns_names,
		.key_use = (char *)key_use,
		.renews = (char *)text_or(order->renews, NULL),
		.batch_id = order->batch_id,
		.delivery = order->delivery != NULL,
		.pair = pair,
		.give_up = now + DAY_SECONDS * days_to_wait(making->handler, making->config,
							    making->defaults),
	};
	struct handler_context context = enroll_context(making->enroll, making->config);

	return (making->handler->vet == NULL || making->handler->vet(&context, tx, &row, error)) &&
	       requests_insert(tx, &row, id, error) &&
	       requests_note(tx, *id, REQUEST_NEW, "asked for", error);
}

static gboolean
prepare_delivery(const struct making *making, struct tx *tx, gint64 id, gint64 second,
		 GError **error)
{
	const struct enroll *enroll = making->enroll;
	const struct delivery delivery = { enroll->db, enroll->keyring, enroll->clock,
					   enroll->settings };
	const char *email = making->address != NULL ? mailaddr_key(making->address) : NULL;

	if (making->order->delivery == NULL)
		return TRUE;
	if (email == NULL)
		return fail_false(error, PS_ERROR_INVALID, "a delivery needs an address");
	return delivery_check(&delivery, email, making->order->delivery, error) &&
	       delivery_prepare(&delivery, tx, id, email, making->order->delivery, error) &&
	       (second == 0 || delivery_join(tx, id, second, error));
}

static gboolean
create(const struct making *making, struct tx *tx, gint64 *id, GError **error)
{
	const char *key_use = text_or(making->order->key_use, making->key_use);
	gboolean pair = strcmp(key_use, "pair") == 0;
	gint64 second = 0;

	if (!insert(making, tx, pair ? "sign" : key_use, 0, id, error))
		return FALSE;
	if (pair && (!requests_set_pair(tx, *id, *id, error) ||
		     !insert(making, tx, "encrypt", *id, &second, error)))
		return FALSE;
	/* A bulk run works on its own requests as long as nobody else has to be asked. */
	gboolean here = making->handler->capabilities.synchronous;
	return prepare_delivery(making, tx, *id, second, error) &&
	       ((here && making->order->batch_id != 0) ||
		requests_call_worker(tx, making->handler->name, handler_config_name(making->config),
				     here, clock_now(making->enroll->clock), error));
}

gboolean
enroll_create(const struct enroll *enroll, struct tx *tx, const struct enroll_order *order,
	      gint64 *id, GError **error)
{
	struct making making = { .enroll = enroll, .order = order };
	gboolean good = check_order(&making, error) && create(&making, tx, id, error);

	making_clear(&making);
	return good;
}

/* RFC 8551 and RFC 8823 section 3: the CSR says what the key is for. */
static unsigned int
usage_of(const struct request_row *row, const struct key *key)
{
	unsigned int sign = KEY_USAGE_DIGITAL_SIGNATURE;
	unsigned int encrypt =
	    key_kind(key) == KEY_KIND_RSA ? KEY_USAGE_KEY_ENCIPHERMENT : KEY_USAGE_KEY_AGREEMENT;

	if (strcmp(row->key_use, "sign") == 0)
		return sign;
	return strcmp(row->key_use, "encrypt") == 0 ? encrypt : sign | encrypt;
}

gboolean
enroll_make_key(const struct enroll *enroll, struct tx *tx, struct request_row *row,
		const struct handler *handler, const struct handler_config *config, GError **error)
{
	struct handler_context context = enroll_context(enroll, config);
	gboolean tls = enroll_is_tls(row);
	const char *const emails[] = { row->email, NULL };
	struct issue_names names = {
		.common_name = row->common_name,
		.organisation = row->organisation,
		.given_name = row->first_name,
		.surname = row->last_name,
		.emails = *row->email != '\0' ? emails : NULL,
		.dns_names = tls ? (const char *const *)row->names : NULL,
	};
	CLEANUP(key)
	struct key *key = keyring_generate(enroll->keyring, tx, row->key, row->id, error);

	if (key == NULL)
		return FALSE;
	if (handler->shape != NULL)
		handler->shape(&context, &names);
	row->csr = tls ? csr_make(key, &names, ALGORITHM_UNKNOWN, error)
		       : csr_make_for(key, &names, usage_of(row, key), "emailProtection",
				      ALGORITHM_UNKNOWN, error);
	if (row->csr == NULL)
		return FALSE;
	row->spki_sha256 = g_strdup(key_spki_sha256(key));
	row->state = REQUEST_KEYED;
	return TRUE;
}
