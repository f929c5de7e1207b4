/*
 * public - the table of what is published.
 */
#include "admin/http/public.h"

#include <unistd.h>

#include "admin/http/public_private.h"
#include "milter/gateway.h"
#include "pki/ocsp_responder.h"
#include "store/base/error.h"
#include "store/config/settings.h"

#define FILES_MAX_BYTES ((gsize)1024 * 1024 * 1024)
#define OCSP_TYPE "application/ocsp-request"

static const struct public_route routes[] = {
	{ "/", PUBLIC_GET, NULL, 0, public_file_peek, public_page_handle },
	{ "/crl/", PUBLIC_GET, NULL, 0, public_file_peek, public_crl_handle },
	{ "/ca/", PUBLIC_GET, NULL, 0, public_file_peek, public_ca_handle },
	{ "/ocsp", PUBLIC_POST, OCSP_TYPE, OCSP_REQUEST_MAX_BYTES, public_ocsp_peek,
	  public_ocsp_handle },
	{ "/ocsp/", PUBLIC_GET | PUBLIC_POST, OCSP_TYPE, OCSP_REQUEST_MAX_BYTES, public_ocsp_peek,
	  public_ocsp_handle },
	{ "/.well-known/acme-challenge/", PUBLIC_GET, NULL, 0, NULL, public_acme_handle },
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

static gpointer
answer_ref(gpointer answer)
{
	return public_answer_ref(answer);
}

static void
answer_unref(gpointer answer)
{
	public_answer_unref(answer);
}

static struct cache *
answers_cache(struct gateway *gateway, const struct cache_limits *limits)
{
	return cache_new(gateway->changelog, gateway->clock, limits, CACHE_WHOLE, answer_ref,
			 answer_unref);
}

struct public *
public_start(struct gateway *gateway, GArray *fds, GError **error)
{
	struct public_limits limits = limits_of(gateway_settings(gateway));

	struct public *public = g_new0(struct public, 1);
	public->gateway = gateway;
	public->responder =
	    ocsp_responder_new(gateway->db, gateway->changelog, gateway->clock, gateway->keyring);
	public->answers = answers_cache(gateway, &gateway->limits);
	/* A list of a hundred thousand entries has 5 MB, and one entry has but a share of a cache.
	 */
	cache_limits_set(&public->file_limits, gateway->limits.grace_seconds, FILES_MAX_BYTES);
	public->files = answers_cache(gateway, &public->file_limits);
	public->malformed = public_ocsp_refusal(OCSP_MALFORMED);
	public->unauthorized = public_ocsp_refusal(OCSP_UNAUTHORIZED);
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
	cache_free(public->answers);
	cache_free(public->files);
	ocsp_responder_free(public->responder);
	public_answer_unref(public->malformed);
	public_answer_unref(public->unauthorized);
	g_free(public);
}
