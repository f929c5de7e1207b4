/*
 * handler_settings - rows of handler_setting: what was set of each configuration of a handler.
 *
 * This layer moves text and sealed bytes; pki/handlers/config.c knows keys, types and defaults.
 * Threads: any.
 */
#ifndef STORE_HANDLER_SETTINGS_H
#define STORE_HANDLER_SETTINGS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

struct handler_setting_row {
	char *name;
	char *value;       /* NULL for a secret */
	GBytes *sealed;    /* for the row "handler/config/name"; NULL for plain text */
	gint64 generation; /* of the master key it is sealed under */
	gint64 changed;    /* read only */
};

struct handler_config_name { /* one that was made, or that a request uses */
	char *handler, *config;
};

/* What was set, by name; from the primary. struct handler_setting_row *. */
GPtrArray *handler_settings_load(struct db *db, const char *handler, const char *config,
				 GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean handler_settings_put(struct tx *tx, const char *handler, const char *config,
			      const struct handler_setting_row *row,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* name NULL: all of the configuration. *dropped (may be NULL) counts. */
gboolean handler_settings_drop(struct tx *tx, const char *handler, const char *config,
			       const char *name, gint64 *dropped,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Every configuration of which something is set; struct handler_config_name *. */
GPtrArray *handler_settings_configs(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;

void handler_setting_row_free(struct handler_setting_row *row);
void handler_config_name_free(struct handler_config_name *name);
DEFINE_CLEANUP(handler_setting_row, handler_setting_row_free)

#endif
