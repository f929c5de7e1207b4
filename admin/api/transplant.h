/*
 * transplant - a database that has just been filled from a backup or from another database.
 *
 * It is ours only when the master key of this host opens what is sealed in it.
 */
#ifndef ADMIN_API_TRANSPLANT_H
#define ADMIN_API_TRANSPLANT_H

#include <glib.h>

struct call;
struct settings;

/* Writes the call into the audit of that database (object: what was done to or with), and opens
 * every sealed value in it; *opened counts. The schema is of this version. */
gboolean transplant_check(const struct call *call, const struct settings *settings,
			  const char *object, gint64 *opened,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
