/*
 * dump - everything in the database as one stream, and back (pg_dump, pg_restore).
 *
 * The stream is pg_dump's custom format: a consistent snapshot of all tables. Restoring
 * replaces what is there, in one transaction: all or nothing. The programs run as children
 * without a shell; a password of the connection string goes by environment, not by argument.
 */
#ifndef STORE_DB_DUMP_H
#define STORE_DB_DUMP_H

#include <glib.h>

#include "store/base/sink.h"
#include "store/config/settings.h"

/* Where a stream of bytes comes from. Embed it as the first member. */
struct source {
	/* Up to length bytes; *got 0 is the end. FALSE with *error set. */
	gboolean (*read)(struct source *self, void *bytes, gsize length, gsize *got,
			 GError **error);
};

gboolean dump_write(const struct settings *settings, struct sink *sink,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean dump_restore(const struct settings *settings, struct source *source,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
