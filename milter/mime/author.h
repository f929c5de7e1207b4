/*
 * author - who wrote a message: the mailbox of From, if there is exactly one From field with
 * exactly one mailbox; otherwise nobody. What people read is From: Sender and
 * Reply-To do not count.
 */
#ifndef MILTER_MIME_AUTHOR_H
#define MILTER_MIME_AUTHOR_H

#include "milter/message/headers.h"
#include "store/base/mailaddr.h"

/* NULL when there is none; *why is then a static text ("two From fields"). why may be NULL. */
struct mailaddr *author_find(const struct headers *headers, const char **why);
/* The single mailbox of a raw field value; NULL with *why when it is not exactly one. */
struct mailaddr *author_parse(const char *raw_value, gsize length, const char **why);
/* All mailboxes of all fields of that name, groups opened, what cannot be parsed left out:
 * GPtrArray of struct mailaddr *. */
GPtrArray *author_mailboxes(const struct headers *headers, const char *name);
gboolean author_is_resent(const struct headers *headers);

#endif
