/*
 * peer - the role of a local user, by uid and groups.
 *
 * Root has every role. Others have the highest role that a group of theirs is bound to;
 * groups come from getgrouplist, so that they are today's and not those of the log-in.
 */
#ifndef ADMIN_HTTP_PEER_H
#define ADMIN_HTTP_PEER_H

#include <glib.h>
#include <sys/types.h>

#include "admin/api/operation.h"

struct role_groups {
	const char *view; /* group names; empty or NULL: nobody but root */
	const char *operate;
	const char *keys;
};

/* An unknown user has ROLE_NOBODY. */
enum role peer_role(uid_t uid, const struct role_groups *groups);
/* Pure: the role of somebody in these groups. */
enum role peer_role_of_groups(const gid_t *gids, gsize count, const struct role_groups *groups);
/* "alice (uid 1000)"; owned by the caller. */
char *peer_name(uid_t uid);

#endif
