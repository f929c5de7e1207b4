/*
 * public - what the daemon publishes: CRLs, CA certificates, OCSP answers, the page about them.
 *
 * The table in public.c: path prefix -> handler, over pki and store alone. Nothing here changes
 * anything that an administrator sees, and nothing needs a role. Without public_listen there is
 * no listener; a handler's data is the struct public.
 */
#ifndef ADMIN_HTTP_PUBLIC_H
#define ADMIN_HTTP_PUBLIC_H

#include <glib.h>

#include "admin/http/public_server.h"

struct gateway;
struct public;
struct settings;

/* Binds what public_listen names, while still root: GArray of int; INVALID, TEMPORARY, DENIED. */
GArray *public_listen(const struct settings *settings, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Takes the descriptors, which are one or more. */
struct public *public_start(struct gateway *gateway, GArray *fds,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
void public_stop(struct public *public); /* NULL is fine */

/* For handlers. */

DEFINE_CLEANUP(public, public_stop)

#endif
