/*
 * peer - roles by groups.
 */
#include "admin/http/peer.h"

#include <grp.h>
#include <pwd.h>

#include "store/base/printable.h"

#define GROUPS_MAX 4096
#define RECORD_MAX_BYTES 65536

/* FALSE for a group that is not set or does not exist: nobody is in it. */
static gboolean
group_id(const char *name, gid_t *gid)
{
	g_autofree char *buffer = NULL;
	struct group record;
	struct group *found = NULL;

	if (name == NULL || *name == '\0')
		return FALSE;
	buffer = g_malloc(RECORD_MAX_BYTES);
	if (getgrnam_r(name, &record, buffer, RECORD_MAX_BYTES, &found) != 0 || found == NULL)
		return FALSE;
	*gid = found->gr_gid;
	return TRUE;
}

static gboolean
among(const gid_t *gids, gsize count, const char *group)
{
	gid_t wanted;

	if (!group_id(group, &wanted))
		return FALSE;
	for (gsize i = 0; i < count; i++)
		if (gids[i] == wanted)
			return TRUE;
	return FALSE;
}

enum role
peer_role_of_groups(const gid_t *gids, gsize count, const struct role_groups *groups)
{
	if (among(gids, count, groups->keys))
		return ROLE_KEYS;
	if (among(gids, count, groups->operate))
		return ROLE_OPERATE;
	if (among(gids, count, groups->view))
		return ROLE_VIEW;
	return ROLE_NOBODY;
}

enum role
peer_role(uid_t uid, const struct role_groups *groups)
{
	g_autofree char *buffer = g_malloc(RECORD_MAX_BYTES);
	g_autofree gid_t *gids = g_new(gid_t, GROUPS_MAX);
	struct passwd record;
	struct passwd *found = NULL;
	int count = GROUPS_MAX;

	if (uid == 0)
		return ROLE_KEYS;
	if (getpwuid_r(uid, &record, buffer, RECORD_MAX_BYTES, &found) != 0 || found == NULL)
		return ROLE_NOBODY;
	if (getgrouplist(found->pw_name, found->pw_gid, gids, &count) < 0)
		return ROLE_NOBODY;
	return peer_role_of_groups(gids, (gsize)count, groups);
}

char *
peer_name(uid_t uid)
{
	g_autofree char *buffer = g_malloc(RECORD_MAX_BYTES);
	struct passwd record;
	struct passwd *found = NULL;

	if (getpwuid_r(uid, &record, buffer, RECORD_MAX_BYTES, &found) != 0 || found == NULL)
		return g_strdup_printf("uid %u", (unsigned int)uid);
	g_autofree char *safe = printable(found->pw_name);
	return g_strdup_printf("%s (uid %u)", safe, (unsigned int)uid);
}
