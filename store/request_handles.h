/*
 * request_handles - the names that a CA gave to the requests of one configuration.
 *
 * For a handler whose CA counts its requests: the newest tells where to look for one that was lost.
 * Threads: any.
 */
#ifndef STORE_REQUEST_HANDLES_H
#define STORE_REQUEST_HANDLES_H

#include <glib.h>

struct db;

/* Handles that begin with prefix, newest request first, at most limit; char *. */
GPtrArray *request_handles(struct db *db, const char *handler, const char *config,
			   const char *prefix, gint limit,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
