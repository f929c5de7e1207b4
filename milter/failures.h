/*
 * failures - how often a decryption failed lately, by envelope sender and by recipient.
 *
 * More than FAILURES_MAX of one of them within an hour: no key is tried for it any more until the
 * hour has passed over some of them. Bounded: of too many names those forgotten first are the ones
 * whose last failure is longest ago. Time is an argument. Threads: any.
 */
#ifndef MILTER_FAILURES_H
#define MILTER_FAILURES_H

#include <glib.h>

#include "store/base/cleanup.h"

#define FAILURES_MAX 20
#define FAILURES_SECONDS 3600
#define FAILURES_NAMES_MAX 10000

struct failures;

struct failures *failures_new(void);
void failures_free(struct failures *failures); /* NULL is fine */
/* names are keys of addresses, made by the caller so that a sender is no recipient. */
void failures_add(struct failures *failures, const char *name, gint64 now);
gboolean failures_exceeded(struct failures *failures, const char *name, gint64 now);
guint failures_names(struct failures *failures);

DEFINE_CLEANUP(failures, failures_free)

#endif
