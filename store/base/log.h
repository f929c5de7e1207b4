/*
 * log - one line per event, key=value after the text; to stderr, syslog or the journal.
 *
 * Lines are written whole, from any thread. Values pass printable(); a value with blanks is
 * quoted. Never give it a key, a password, a body or a subject.
 */
#ifndef STORE_BASE_LOG_H
#define STORE_BASE_LOG_H

#include <glib.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_target { LOG_TARGET_STDERR, LOG_TARGET_SYSLOG, LOG_TARGET_JOURNAL };

/* At start; program must be a static string. Before it, lines go to stderr. */
void log_start(const char *program, enum log_target target, enum log_level level);
/* stderr for a terminal or a pipe; the journal when JOURNAL_STREAM says that stderr is it. */
enum log_target log_target_default(void);
gboolean log_enabled(enum log_level level);
void log_set_level(enum log_level level); /* any time later, from any thread */

/* Pairs of (const char *key, const char *value), ended by NULL; a NULL value is left out. */
void log_event(enum log_level level, const char *text, ...) G_GNUC_NULL_TERMINATED;
#define log_error(...) log_event(LOG_LEVEL_ERROR, __VA_ARGS__, NULL)
#define log_warning(...) log_event(LOG_LEVEL_WARNING, __VA_ARGS__, NULL)
#define log_info(...) log_event(LOG_LEVEL_INFO, __VA_ARGS__, NULL)
#define log_debug(...) log_event(LOG_LEVEL_DEBUG, __VA_ARGS__, NULL)

/* Appends " key=value" in the log's own quoting to a line that is being built. */
void log_append_pair(GString *line, const char *key, const char *value);

#endif
