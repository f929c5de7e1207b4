/*
 * log - lines with key=value pairs to stderr, syslog or the journal.
 */
#include "store/base/log.h"

#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "store/base/printable.h"

static struct {
	const char *program;
	enum log_target target;
	enum log_level level;
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
log_start(const char *program, enum log_target target, enum log_level level)
{
	state.program = program;
	state.target = target;
	state.level = level;
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
	return level <= state.level;
}

void
log_append_pair(GString *line, const char *key, const char *value)
{
	g_autofree char *safe = printable(value);

	if (*safe != '\0' && strpbrk(safe, " \"=") == NULL) {
		g_string_append_printf(line, " %s=%s", key, safe);
		return;
	}
	g_string_append_printf(line, " %s=\"", key);
	for (const char *p = safe; *p != '\0'; p++)
		g_string_append_c(line, *p == '"' ? '\'' : *p);
	g_string_append_c(line, '"');
}

/* One write(2) a line, so that lines of several threads do not mix. */
static void
write_line(enum log_level level, const GString *line)
{
	g_autofree char *stamp = NULL;
	g_autofree char *whole = NULL;

	if (state.target == LOG_TARGET_JOURNAL) {
		whole = g_strdup_printf("<%d>%s\n", syslog_priority[level], line->str);
	} else {
		g_autoptr(GDateTime) now = g_date_time_new_now_utc();
		stamp = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S.%fZ");
		whole = g_strdup_printf("%s %s[%d]: %s: %s\n", stamp, state.program, (int)getpid(),
					level_name[level], line->str);
	}
	ssize_t written = write(STDERR_FILENO, whole, strlen(whole));
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
	g_autoptr(GString) line = g_string_new(safe);
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
