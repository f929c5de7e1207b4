/*
 * service - what both programs do alike as services of the system: log, user, reload.
 *
 * service_start_log and service_become belong to the start, before there are other threads;
 * service_reload to the main thread.
 */
#ifndef MILTER_SERVICE_H
#define MILTER_SERVICE_H

#include <glib.h>

struct gateway;
struct settings;

struct service_user {
	const char *setting; /* which names the user, for the error text */
	const char *name;
	const char *folder_setting; /* likewise */
	const char *folder;         /* of the sockets: made where nobody has, for that user */
};

/* As log_target and log_level say; in the foreground to standard error. */
void service_start_log(const char *program, const struct settings *settings, gboolean foreground);

/*
 * Gives root up for good; who is not root stays who he is. From then on no core file is written,
 * for it would hold keys, and one that a debugger writes holds no memory. INVALID: there is no such user; DENIED: the system says no.
 */
gboolean service_become(const struct service_user *user, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Reads the settings again and puts them, with their log level, to use; what takes effect after
 * a restart only is logged by name. On failure the old ones stay. NULL: the default file.
 */
gboolean service_reload(struct gateway *gateway, const char *config_file,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
