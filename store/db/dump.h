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
#include "store/base/source.h"
#include "store/config/settings.h"

gboolean dump_write(const struct settings *settings, struct sink *sink,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean dump_restore(const struct settings *settings, struct source *source,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
