/*
 * templates - the texts of the gateway's own mail that a site has set.
 *
 * part: "subject", "text", "html". Threads: any.
 */
#ifndef STORE_TEMPLATES_H
#define STORE_TEMPLATES_H

#include <glib.h>

struct db;
struct tx;

struct template_row {
	char *name, *language, *part;
	char *value;
	gint64 changed;
};

/* All of one mail, or of all (name NULL); struct template_row *. */
GPtrArray *templates_load(struct db *db, const char *name,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean templates_set(struct tx *tx, const struct template_row *row,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* language, part NULL: all; *count: how many there were. */
gboolean templates_reset(struct tx *tx, const char *name, const char *language, const char *part,
			 gint64 *count, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void template_row_free(struct template_row *row);

#endif
