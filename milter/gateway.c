/* gateway - see gateway.h. */
#include "milter/gateway.h"

#include <string.h>

#include "milter/policy/origin.h"
#include "milter/policy/triggers.h"
#include "milter/split.h"
#include "pki/cert_cache.h"
#include "pki/directory_wait.h"
#include "pki/enroll.h"
#include "pki/keyring.h"
#include "pki/select.h"
#include "pki/trust.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/mailaddr.h"
#include "store/config/settings.h"
#include "store/db/changelog.h"
#include "store/db/db.h"
#include "store/preferences.h"

/* What a reload replaces as one. */
struct gateway_config {
	struct settings *settings;
	struct origin_rules *rules;
};

static void
config_free(gpointer data)
{
	struct gateway_config *config = data;

	settings_unref(config->settings);
	origin_rules_free(config->rules);
	g_free(config);
}

/* Takes the settings only when it succeeds. */
static gboolean
config_install(struct gateway *gateway, struct settings *settings, GError **error)
{
	struct origin_rules *rules = NULL;
	struct gateway_config *config;

	if (split_settings_check(settings, error))
		rules = origin_rules_new(settings, error);
	if (rules == NULL)
		return FALSE;
	config = g_new0(struct gateway_config, 1);
	config->settings = settings;
	config->rules = rules;
	g_ptr_array_add(gateway->configs, config);
	g_atomic_pointer_set(&gateway->config, config);
	cache_limits_set(&gateway->limits, settings->cache_grace, (gsize)settings->cache_memory);
	return TRUE;
}

const struct settings *
gateway_settings(struct gateway *gateway)
{
	return ((struct gateway_config *)g_atomic_pointer_get(&gateway->config))->settings;
}

struct enroll
gateway_enroll(struct gateway *gateway)
{
	return (struct enroll){
		.db = gateway->db,
		.keyring = gateway->keyring,
		.clock = gateway->clock,
		.settings = gateway_settings(gateway),
	};
}

const struct origin_rules *
gateway_origin_rules(struct gateway *gateway)
{
	return ((struct gateway_config *)g_atomic_pointer_get(&gateway->config))->rules;
}

static gboolean
open_store(struct gateway *gateway, GError **error)
{
	const struct settings *settings = gateway_settings(gateway);
	gboolean daemon = gateway->role == GATEWAY_DAEMON;

	mailaddr_set_case(strcmp(settings->local_part_case, "exact") == 0 ? MAILADDR_EXACT_LOCAL
									  : MAILADDR_FOLD_LOCAL);
	gateway->db =
	    db_open(settings, daemon ? DB_ROLE_DAEMON : DB_ROLE_MILTER, gateway->clock, error);
	if (gateway->db == NULL)
		return FALSE;
	gateway->changelog = changelog_start(gateway->db, settings, error);
	if (gateway->changelog == NULL)
		return FALSE;
	gateway->preferences = preference_cache_new(
	    gateway->db, gateway->changelog, *settings->recipient_delimiter, &gateway->limits);
	return TRUE;
}

static gboolean
open_pki(struct gateway *gateway, GError **error)
{
	const struct settings *settings = gateway_settings(gateway);
	gboolean daemon = gateway->role == GATEWAY_DAEMON;

	gateway->keyring =
	    keyring_open(gateway->db, gateway->changelog, gateway->clock,
			 daemon ? settings->master_key_file : settings->milter_master_key_file,
			 &gateway->limits, error);
	if (gateway->keyring == NULL)
		return FALSE;
	/* As of now, whatever time is explained: nobody asks a directory about another day. */
	gateway->directories = directory_wait_new(gateway->db, gateway->changelog, clock_system(),
						  settings->cache_grace);
	gateway->trust = trust_new(gateway->db, gateway->changelog, gateway->clock,
				   gateway->preferences, &gateway->limits);
	trust_set_crl_memory(gateway->trust, (gsize)settings->crl_memory);
	gateway->brought = cert_cache_new(&gateway->limits, CACHE_BROUGHT);
	gateway->select =
	    select_new(gateway->db, gateway->changelog, gateway->clock, gateway->trust,
		       gateway->preferences, *settings->recipient_delimiter, &gateway->limits);
	return TRUE;
}

struct gateway *
gateway_open_with_clock(struct settings *settings, enum gateway_role role, struct clock *clock,
			GError **error)
{
	CLEANUP(gateway) struct gateway *gateway = g_new0(struct gateway, 1);

	g_mutex_init(&gateway->reloading);
	gateway->role = role;
	gateway->clock = clock;
	gateway->configs = g_ptr_array_new_with_free_func(config_free);
	gateway->triggers = trigger_cache_new();
	if (!config_install(gateway, settings, error)) {
		settings_unref(settings);
		return NULL;
	}
	if (!open_store(gateway, error) || !open_pki(gateway, error))
		return NULL;
	return g_steal_pointer(&gateway);
}

struct gateway *
gateway_open(struct settings *settings, enum gateway_role role, GError **error)
{
	return gateway_open_with_clock(settings, role, clock_system(), error);
}

gboolean
gateway_reload(struct gateway *gateway, struct settings *settings, GError **error)
{
	gboolean installed;

	g_mutex_lock(&gateway->reloading);
	installed =
	    keyring_reload(gateway->keyring, error) && config_install(gateway, settings, error);
	if (installed)
		trust_set_crl_memory(gateway->trust, (gsize)gateway_settings(gateway)->crl_memory);
	g_mutex_unlock(&gateway->reloading);
	if (!installed)
		settings_unref(settings);
	return installed;
}

void
gateway_close(struct gateway *gateway)
{
	if (gateway == NULL)
		return;
	select_free(gateway->select);
	cert_cache_free(gateway->brought);
	trust_free(gateway->trust);
	directory_wait_free(gateway->directories);
	keyring_free(gateway->keyring);
	preference_cache_free(gateway->preferences);
	changelog_stop(gateway->changelog);
	db_close(gateway->db);
	trigger_cache_free(gateway->triggers);
	g_ptr_array_unref(gateway->configs);
	g_mutex_clear(&gateway->reloading);
	g_free(gateway);
}
