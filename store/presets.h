/*
 * presets - several preferences of a domain or user in one command; data, not code.
 *
 * Static. Threads: any.
 */
#ifndef STORE_PRESETS_H
#define STORE_PRESETS_H

#include "store/preferences.h"

struct preset_entry {
	enum preference preference;
	const char *value;
};

struct preset {
	const char *name;
	const char *sentence;
	const struct preset_entry *entries;
	gsize n;
};

const struct preset *presets_all(gsize *n);
/* NULL with INVALID that offers the nearest name. */
const struct preset *preset_find(const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Sets all of it for this scope. */
gboolean preset_apply(struct tx *tx, const struct scope *scope, const struct preset *preset,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
