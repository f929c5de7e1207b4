/* milter_status - see milter_status.h. */
#include "admin/api/milter_status.h"

#include "milter/status.h"

char *
milter_status_ask(const char *run_dir, const char *what, GError **error)
{
	g_autofree char *path = status_socket_path(run_dir);

	return status_ask(path, what, error);
}
