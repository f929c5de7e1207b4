/*
 * public - the table of what is published.
 */
#include "admin/http/public.h"

#include <unistd.h>

#include "milter/gateway.h"
#include "store/base/error.h"
#include "store/config/settings.h"

struct public
{
	struct gateway *gateway;
	struct public_server *server;
};

static const struct public_route routes[] = {
	{ NULL, 0, NULL, 0, NULL, NULL },
};

static void
close_all(GArray *fds)
{
	for (guint i = 0; i < fds->len; i++)
		close(g_array_index(fds, int, i));
	g_array_unref(fds);
}

GArray *
public_listen(const struct settings *settings, GError **error)
{
	GArray *fds = g_array_new(FALSE, FALSE, sizeof(int));

	for (char **address = settings->public_listen; *address != NULL; address++) {
		int fd = public_server_listen(*address, error);

		if (fd < 0) {
			close_all(fds);
			return NULL;
		}
		g_array_append_val(fds, fd);
	}
	return fds;
}

static struct public_limits
limits_of(const struct settings *settings)
{
	struct public_limits limits = public_default_limits;

	limits.connections = (unsigned int)settings->public_connections_max;
	limits.connections_per_address = MAX(limits.connections / 8, 4);
	limits.threads = (unsigned int)settings->public_threads;
	return limits;
}

struct public *
public_start(struct gateway *gateway, GArray *fds, GError **error)
{
	struct public_limits limits = limits_of(gateway_settings(gateway));

	struct public *public = g_new0(struct public, 1);
	public->gateway = gateway;
	public->server = public_server_start((const int *)(const void *)fds->data, fds->len, routes,
					     &limits, gateway->clock, public, error);
	g_array_unref(fds);
	if (public->server == NULL) {
		public_stop(public);
		return NULL;
	}
	return public;
}

void
public_stop(struct public *public)
{
	if (public == NULL)
		return;
	public_server_stop(public->server);
	g_free(public);
}

struct gateway *
public_gateway(struct public *public)
{
	return public->gateway;
}
