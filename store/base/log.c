/*
 * log - lines with key=value pairs to stderr, syslog or the journal.
 */
#include "store/base/log.h"

#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "store/base/printable.h"

#define LINE_USUAL_BYTES 512

static struct {
	const char *program;
	enum log_target target;
	gint level; /* of enum log_level; atomic */
} state = { "postseal", LOG_TARGET_STDERR, LOG_LEVEL_INFO };

static const int syslog_priority[] = {
	[LOG_LEVEL_ERROR] = LOG_ERR,
	[LOG_LEVEL_WARNING] = LOG_WARNING,
	[LOG_LEVEL_INFO] = LOG_INFO,
	[LOG_LEVEL_DEBUG] = LOG_DEBUG,
};

static const char *const level_name[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

void
log_set_level(enum log_level level)
{
	g_atomic_int_set(&state.level, (gint)level);
}

void
log_start(const char *program, enum log_target target, enum log_level level)
{
	state.program = program;
	state.target = target;
	log_set_level(level);
	if (target == LOG_TARGET_SYSLOG)
		openlog(program, LOG_PID | LOG_NDELAY, LOG_MAIL);
}

enum log_target
log_target_default(void)
{
	return g_getenv("JOURNAL_STREAM") != NULL ? LOG_TARGET_JOURNAL : LOG_TARGET_STDERR;
}

gboolean
log_enabled(enum log_level level)
{
	return (gint)level <= g_atomic_int_get(&state.level);
}

void
log_append_pair(GString *line, const char *key, const char *value)
{
	g_autofree char *safe = printable(value);

	g_string_append_c(line, ' ');
	g_string_append(line, key);
	g_string_append_c(line, '=');
	if (*safe != '\0' && strpbrk(safe, " \"=") == NULL) {
		g_string_append(line, safe);
		return;
	}
	g_string_append_c(line, '"');
	for (const char *p = safe; *p != '\0'; p++)
		g_string_append_c(line, *p == '"' ? '\'' : *p);
	g_string_append_c(line, '"');
}

/* "2026-11-21T20:00:00.123456Z"; the date is worked out once a second and thread. */
static void
append_stamp(GString *line)
{
	static _Thread_local gint64 second = -1;
	static _Thread_local char date[32];
	gint64 now_us = g_get_real_time();

	if (now_us / G_USEC_PER_SEC != second) {
		g_autoptr(GDateTime) now = g_date_time_new_from_unix_utc(now_us / G_USEC_PER_SEC);
		g_autofree char *text = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S");

		g_strlcpy(date, text, sizeof date);
		second = now_us / G_USEC_PER_SEC;
	}
	g_string_append_printf(line, "%s.%06dZ", date, (int)(now_us % G_USEC_PER_SEC));
}

/* One write(2) a line, so that lines of several threads do not mix. */
static void
write_line(enum log_level level, const GString *text)
{
	g_autoptr(GString) line = g_string_sized_new(text->len + 128);

	if (state.target == LOG_TARGET_JOURNAL) {
		g_string_append_printf(line, "<%d>", syslog_priority[level]);
	} else {
		append_stamp(line);
		g_string_append_printf(line, " %s[%d]: %s: ", state.program, (int)getpid(),
				       level_name[level]);
	}
	g_string_append_len(line, text->str, (gssize)text->len);
	g_string_append_c(line, '\n');
	ssize_t written = write(STDERR_FILENO, line->str, line->len);
	(void)written; /* there is no further place to complain */
}

void
log_event(enum log_level level, const char *text, ...)
{
	const char *key;
	va_list pairs;

	if (!log_enabled(level))
		return;

	g_autofree char *safe = printable(text);
	g_autoptr(GString) line = g_string_sized_new(LINE_USUAL_BYTES);
	g_string_append(line, safe);
	va_start(pairs, text);
	while ((key = va_arg(pairs, const char *)) != NULL) {
		const char *value = va_arg(pairs, const char *);
		if (value != NULL)
			log_append_pair(line, key, value);
	}
	va_end(pairs);
	if (state.target == LOG_TARGET_SYSLOG)
		syslog(syslog_priority[level], "%s", line->str);
	else
		write_line(level, line);
}
