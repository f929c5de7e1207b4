/*
 * directory_wait - what the directories know of recipients, for those who may not ask the network.
 *
 * The question goes to the daemons through the database, the answer comes back as a row. An answer
 * that still counts is taken as it is; otherwise a job is made and waited for, all addresses
 * together, until the time is over. Then, and whenever it could not be found out, the state is
 * open: not known, which is never the same as none.
 * Threads: any number share one.
 */
#ifndef PKI_DIRECTORY_WAIT_H
#define PKI_DIRECTORY_WAIT_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/base/mailaddr.h"

struct changelog;
struct clock;
struct db;
struct directory_wait;

enum directory_state {
	DIRECTORY_NOT_SERVED, /* no directory has addresses of this domain */
	DIRECTORY_NOTHING,    /* they surely have none */
	DIRECTORY_STORED,     /* what they had is in the store, and the caches have heard of it */
	DIRECTORY_OPEN,       /* not known now */
};

struct directory_query {
	const struct mailaddr *address; /* borrowed */
	enum directory_state state;     /* set */
	char *note;                     /* set; one line or NULL; the caller's */
};

/* grace: seconds for which the list of domains is believed without the database. */
struct directory_wait *directory_wait_new(struct db *db, struct changelog *changelog,
					  struct clock *clock, gint64 grace);
void directory_wait_free(struct directory_wait *wait); /* NULL is fine */
/* Sets every state; cannot fail: what could not be found out is open. Without any directory this
 * costs nothing. */
void directory_wait_ask(struct directory_wait *wait, struct directory_query *queries, gsize n,
			gint64 timeout_ms);

DEFINE_CLEANUP(directory_wait, directory_wait_free)

#endif
