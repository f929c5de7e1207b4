/*
 * gateway - what a program needs at run time, built once at start and passed down.
 *
 * The members are set by gateway_open and stay until gateway_close, but for the settings, which a
 * reload replaces: ask gateway_settings() each time; what it gave stays valid until close.
 * A database that is down is no failure of opening: answers are temporary errors until it is back.
 * Threads: any.
 */
#ifndef MILTER_GATEWAY_H
#define MILTER_GATEWAY_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/cache.h"

struct cert_cache;
struct changelog;
struct clock;
struct db;
struct directory_wait;
struct enroll;
struct keyring;
struct origin_rules;
struct preference_cache;
struct select;
struct settings;
struct trigger_cache;
struct trust;

enum gateway_role { GATEWAY_MILTER, GATEWAY_DAEMON };

struct gateway {
	enum gateway_role role;
	struct clock *clock;
	struct db *db;
	struct changelog *changelog;
	struct preference_cache *preferences;
	struct trust *trust;
	struct cert_cache *brought; /* certificates that came inside of messages */
	struct select *select;
	struct keyring *keyring;
	struct directory_wait *directories;
	struct trigger_cache *triggers;
	struct cache_limits limits; /* of all caches; a reload sets them anew */
	/* private */
	struct gateway_config *config; /* the present one */
	GPtrArray *configs;            /* all since the start: readers may still hold one */
	GMutex reloading;
};

/* Takes the settings, also when it fails. NULL with *error: settings that cannot work, a master
 * key that cannot be read. */
struct gateway *gateway_open(struct settings *settings, enum gateway_role role,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same with a clock of the caller's, who keeps it. */
struct gateway *gateway_open_with_clock(struct settings *settings, enum gateway_role role,
					struct clock *clock,
					GError **error) G_GNUC_WARN_UNUSED_RESULT;
const struct settings *gateway_settings(struct gateway *gateway);
const struct origin_rules *gateway_origin_rules(struct gateway *gateway); /* likewise */
/* What requests for certificates need of the gateway; without a word when to stop. */
struct enroll gateway_enroll(struct gateway *gateway);
/* Takes the new settings; on failure the old ones stay. Connections and caches live on, the
 * master key file is read again. */
gboolean gateway_reload(struct gateway *gateway, struct settings *settings,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
void gateway_close(struct gateway *gateway); /* NULL is fine */

DEFINE_CLEANUP(gateway, gateway_close)

#endif
