/*
 * settings - what is fixed at start: one row of settings.def, one member of struct settings.
 *
 * A file has lines "name = value"; "#" begins a comment at the start of a line or after a
 * blank. Errors read "FILE:LINE: what is wrong". TEXT, PATH and CHOICE are never NULL ("" when
 * empty), a LIST is never NULL, a SIZE is in bytes, a DURATION in seconds.
 * Ownership: immutable once shared, counted by references; a reload makes a new one.
 * Threads: any number may read and count; settings_set only before it is shared.
 */
#ifndef STORE_CONFIG_SETTINGS_H
#define STORE_CONFIG_SETTINGS_H

#include <glib.h>

#include "store/base/cleanup.h"

#define SETTINGS_FILE PS_SYSCONFDIR "/postseal.conf"
#define SETTINGS_FILE_MAX_BYTES (1024 * 1024)

#define SETTING_MEMBER_TEXT char *
#define SETTING_MEMBER_PATH char *
#define SETTING_MEMBER_CHOICE char *
#define SETTING_MEMBER_BOOL gboolean
#define SETTING_MEMBER_INT gint64
#define SETTING_MEMBER_SIZE gint64
#define SETTING_MEMBER_DURATION gint64
#define SETTING_MEMBER_LIST GStrv

struct settings {
#define SETTING(name, type, initial, values, programs, when, sentence) SETTING_MEMBER_##type name;
#include "store/config/settings.def"
#undef SETTING
	char *file;     /* where it came from; "" for the defaults */
	int references; /* of settings_ref */
};

enum setting_type {
	SETTING_TEXT,
	SETTING_PATH,
	SETTING_CHOICE,
	SETTING_BOOL,
	SETTING_INT,
	SETTING_SIZE,
	SETTING_DURATION,
	SETTING_LIST,
};

enum setting_program {
	SETTING_DAEMON = 1,
	SETTING_MILTER = 2,
	SETTING_CLIENT = 4,
	SETTING_ALL = 7
};
enum setting_when { SETTING_RELOAD, SETTING_RESTART };

struct setting_row {
	const char *name;
	enum setting_type type;
	const char *initial;   /* the default, as it would be written */
	const char *values;    /* "1..64", "on|off" or what the text means */
	unsigned int programs; /* of enum setting_program */
	enum setting_when when;
	const char *sentence;
};

/* NULL takes SETTINGS_FILE. The file must exist; settings_default() is without one. */
struct settings *settings_load(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same from memory; name stands in front of the errors. For tests and `config check`. */
struct settings *settings_parse(const char *text, gsize length, const char *name,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct settings *settings_default(void);
struct settings *settings_ref(const struct settings *settings);
void settings_unref(struct settings *settings); /* NULL is fine */
#define settings_free settings_unref

/* Sets one value as a line of the file would; names the setting in the error. */
gboolean settings_set(struct settings *settings, const char *name, const char *value,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The value as it would be written in the file; NULL for an unknown name. Owned by the caller. */
char *settings_get(const struct settings *settings, const char *name);
/* Names of the settings that differ and take effect only after a restart; never NULL. */
GStrv settings_restart_needed(const struct settings *before, const struct settings *after);

const struct setting_row *setting_rows(gsize *count);

DEFINE_CLEANUP(settings, settings_unref)

#endif
