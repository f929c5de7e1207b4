/*
 * remembered - documents of peers that seldom change (a policy, a chain), kept for a time.
 *
 * For the whole program, bounded; nothing is lost with one. Threads: any.
 */
#ifndef PKI_HANDLERS_REMEMBERED_H
#define PKI_HANDLERS_REMEMBERED_H

#include <glib.h>

/* A reference of the caller's; NULL: none, or it is too old. */
GBytes *remembered_find(const char *owner, const char *what);
void remembered_keep(const char *owner, const char *what, GBytes *bytes, gint64 seconds);
/* All of one owner. */
void remembered_drop(const char *owner);

#endif
