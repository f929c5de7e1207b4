/* origin - see origin.h. */
#include "milter/policy/origin.h"

#include <gio/gio.h>
#include <string.h>

#include "milter/envelope.h"
#include "store/base/error.h"
#include "store/config/settings.h"

struct network {
	GInetAddressMask *mask;
	char *why;
};

struct origin_rules {
	GPtrArray *networks; /* of struct network * */
	GStrv trusted_daemons;
	GStrv relay_daemons;
};

static void
network_free(gpointer data)
{
	struct network *network = data;

	g_object_unref(network->mask);
	g_free(network->why);
	g_free(network);
}

static GInetAddressMask *
network_parse(const char *setting, const char *text, GError **error)
{
	GInetAddressMask *mask = g_inet_address_mask_new_from_string(text, NULL);

	if (mask != NULL)
		return mask;
	return fail(error, PS_ERROR_INVALID,
		    "%s: '%s' is no network such as 192.0.2.0/24 or 2001:db8::/32", setting, text);
}

gboolean
origin_networks_check(const char *setting, const char *const *networks, GError **error)
{
	for (guint i = 0; networks[i] != NULL; i++) {
		g_autoptr(GInetAddressMask) mask = network_parse(setting, networks[i], error);

		if (mask == NULL)
			return FALSE;
	}
	return TRUE;
}

static gboolean
rules_add_network(struct origin_rules *rules, const char *text, GError **error)
{
	GInetAddressMask *mask = network_parse("trusted_networks", text, error);
	struct network *network;

	if (mask == NULL)
		return FALSE;
	network = g_new0(struct network, 1);
	network->mask = mask;
	network->why = g_strdup_printf("trusted network %s", text);
	g_ptr_array_add(rules->networks, network);
	return TRUE;
}

struct origin_rules *
origin_rules_new(const struct settings *settings, GError **error)
{
	CLEANUP(origin_rules) struct origin_rules *rules = g_new0(struct origin_rules, 1);

	rules->networks = g_ptr_array_new_with_free_func(network_free);
	rules->trusted_daemons = g_strdupv(settings->trusted_daemons);
	rules->relay_daemons = g_strdupv(settings->relay_daemons);
	for (guint i = 0; settings->trusted_networks[i] != NULL; i++) {
		if (!rules_add_network(rules, settings->trusted_networks[i], error))
			return NULL;
	}
	for (guint i = 0; rules->relay_daemons[i] != NULL; i++) {
		if (g_strv_contains((const char *const *)rules->trusted_daemons,
				    rules->relay_daemons[i]))
			return fail(error, PS_ERROR_INVALID,
				    "relay_daemons: '%s' is in trusted_daemons too, and cannot be "
				    "both",
				    rules->relay_daemons[i]);
	}
	return g_steal_pointer(&rules);
}

void
origin_rules_free(struct origin_rules *rules)
{
	if (rules == NULL)
		return;
	g_ptr_array_unref(rules->networks);
	g_strfreev(rules->trusted_daemons);
	g_strfreev(rules->relay_daemons);
	g_free(rules);
}

/* "192.0.2.1", "2001:db8::1", "IPv6:2001:db8::1", and IPv4 in IPv6 clothes. */
static GInetAddress *
client_address(const char *text)
{
	if (text == NULL)
		return NULL;
	if (g_ascii_strncasecmp(text, "IPv6:", 5) == 0)
		text += 5;
	if (g_ascii_strncasecmp(text, "::ffff:", 7) == 0 && strchr(text + 7, '.') != NULL)
		text += 7;
	return g_inet_address_new_from_string(text);
}

gboolean
origin_client_is_in(const char *const *networks, const char *client)
{
	g_autoptr(GInetAddress) address = client_address(client);

	for (guint i = 0; address != NULL && networks[i] != NULL; i++) {
		g_autoptr(GInetAddressMask) mask =
		    g_inet_address_mask_new_from_string(networks[i], NULL);

		if (mask != NULL && g_inet_address_mask_matches(mask, address))
			return TRUE;
	}
	return FALSE;
}

static const struct network *
network_find(const struct origin_rules *rules, const char *client)
{
	g_autoptr(GInetAddress) address = client_address(client);

	for (guint i = 0; address != NULL && i < rules->networks->len; i++) {
		const struct network *network = g_ptr_array_index(rules->networks, i);

		if (g_inet_address_mask_matches(network->mask, address))
			return network;
	}
	return NULL;
}

static gboolean
is_listed(GStrv names, const char *name)
{
	return name != NULL && g_strv_contains((const char *const *)names, name);
}

enum origin
origin_judge(const struct origin_rules *rules, const struct envelope *envelope, gboolean reinjected,
	     const char **why)
{
	const struct network *network;

	*why = "reinjection listener";
	if (reinjected)
		return ORIGIN_REINJECTED;
	*why = "login";
	if (envelope->login != NULL && *envelope->login != '\0')
		return ORIGIN_TRUSTED;
	*why = "trusted daemon";
	if (is_listed(rules->trusted_daemons, envelope->daemon_name))
		return ORIGIN_TRUSTED;
	*why = "listener behind a content filter";
	if (is_listed(rules->relay_daemons, envelope->daemon_name))
		return ORIGIN_UNTRUSTED;
	network = network_find(rules, envelope->client_address);
	*why = network != NULL ? network->why : "no login, no trusted daemon or network";
	return network != NULL ? ORIGIN_TRUSTED : ORIGIN_UNTRUSTED;
}
