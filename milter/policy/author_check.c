/* author_check - see author_check.h. */
#include "milter/policy/author_check.h"

#include <string.h>

#include "milter/policy/side.h"
#include "store/base/mailaddr.h"

/* The author's key, or without its tag: alice+news@corp is written by alice@corp; or whose alias
 * the author is. */
static gboolean
is_author(const struct author_question *q, const char *key)
{
	g_autofree char *untagged = NULL;
	CLEANUP(mailaddr) struct mailaddr *owner = side_alias_owner(q->preferences);

	if (owner != NULL && strcmp(mailaddr_key(owner), key) == 0)
		return TRUE;
	if (strcmp(mailaddr_key(q->author), key) == 0)
		return TRUE;
	if (q->delimiter != '\0')
		untagged = mailaddr_key_without_tag(q->author, q->delimiter);
	return untagged != NULL && strcmp(untagged, key) == 0;
}

/* Only ASCII letters fold: what a mail server keeps apart as two logins must stay two. */
static gboolean
login_matches(const char *pattern, const char *login)
{
	g_autofree char *folded_pattern = g_ascii_strdown(pattern, -1);
	g_autofree char *folded_login = g_ascii_strdown(login, -1);

	if (strchr(pattern, '*') == NULL)
		return strcmp(folded_pattern, folded_login) == 0;
	if (!g_utf8_validate(login, -1, NULL)) /* the matcher reads characters */
		return FALSE;
	return g_pattern_match_simple(folded_pattern, folded_login);
}

static gboolean
login_allowed(const struct author_question *q)
{
	const char *const *logins = preference_list(q->preferences, PREF_LOGINS);
	struct mailaddr *address;
	gboolean same;

	for (guint i = 0; logins[i] != NULL; i++) {
		if (login_matches(logins[i], q->login))
			return TRUE;
	}
	if (logins[0] != NULL)
		return FALSE;
	if (strcmp(q->login, mailaddr_key(q->author)) == 0)
		return TRUE;
	address = g_utf8_validate(q->login, -1, NULL) ? mailaddr_parse(q->login, NULL) : NULL;
	same = address != NULL && is_author(q, mailaddr_key(address));
	mailaddr_unref(address);
	return same;
}

/* Without a login the MTA vouches for the host, and the host for its envelope senders. */
static gboolean
sender_allowed(const struct author_question *q)
{
	const char *const *aliases;

	if (*q->sender == '\0')
		return TRUE;
	if (q->sender_address == NULL)
		return FALSE;
	if (q->sender_internal || is_author(q, mailaddr_key(q->sender_address)))
		return TRUE;
	aliases = preference_list(q->preferences, PREF_ALIASES);
	for (guint i = 0; aliases[i] != NULL; i++) {
		if (strcmp(aliases[i], mailaddr_key(q->sender_address)) == 0)
			return TRUE;
	}
	return FALSE;
}

enum author_state
author_check(const struct author_question *q)
{
	if (q->author == NULL)
		return AUTHOR_NONE;
	if (q->resent)
		return AUTHOR_RESENT;
	if (!q->author_internal)
		return AUTHOR_EXTERNAL;
	if (q->check == VALUE_AUTHOR_CHECK_NETWORK)
		return AUTHOR_CONFIRMED;
	if (q->login != NULL && *q->login != '\0')
		return login_allowed(q) ? AUTHOR_CONFIRMED : AUTHOR_LOGIN;
	if (q->check != VALUE_AUTHOR_CHECK_LOGIN)
		return AUTHOR_NO_LOGIN;
	return sender_allowed(q) ? AUTHOR_CONFIRMED : AUTHOR_SENDER;
}
