/*
 * origin - is the host or person that handed a message in one that we believe?
 *
 * Decided by login, listener and client address alone, never by a header or an envelope address.
 * Rules are compiled once from the settings; immutable. Threads: any.
 */
#ifndef MILTER_POLICY_ORIGIN_H
#define MILTER_POLICY_ORIGIN_H

#include <glib.h>

#include "milter/policy/facts.h"
#include "store/base/cleanup.h"

struct envelope;
struct settings;
struct origin_rules;

/* INVALID names the setting and what is wrong in it. */
struct origin_rules *origin_rules_new(const struct settings *settings,
				      GError **error) G_GNUC_WARN_UNUSED_RESULT;
void origin_rules_free(struct origin_rules *rules); /* NULL is fine */

/* *why is borrowed from the rules or static: "login", "trusted network 127.0.0.0/8". */
enum origin origin_judge(const struct origin_rules *rules, const struct envelope *envelope,
			 gboolean reinjected, const char **why);

/* Is the client of the MTA in one of the networks ("192.0.2.0/24")? NULL is in none. */
gboolean origin_client_is_in(const char *const *networks, const char *client);
/* INVALID names the setting and the entry that is no network. */
gboolean origin_networks_check(const char *setting, const char *const *networks,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(origin_rules, origin_rules_free)

#endif
