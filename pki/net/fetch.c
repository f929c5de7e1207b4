/*
 * fetch - settings into requests, answers into values.
 */
#include "pki/net/fetch.h"

#include <string.h>

#include "pki/net/address_guard.h"
#include "pki/net/http.h"
#include "pki/net/ldap.h"
#include "pki/net/url.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/printable.h"
#include "store/config/settings.h"

#define REDIRECTS_MAX 3
#define LOW_SPEED_SECONDS 30
#define LDAP_TIMEOUT_MAX_MS 60000U /* it cannot be broken off when the program stops */

struct fetcher {
	struct address_guard *guard;
	GStrv no_proxy;
	char *proxy;
	char *ldap_server;
	gboolean tls_verify;
	guint timeout_ms;
};

struct fetcher *
fetcher_new_with(const struct settings *settings, const struct network *network)
{
	struct fetcher *fetcher = g_new0(struct fetcher, 1);
	g_autoptr(GError) unread = NULL;
	const char *const *allow = (const char *const *)settings->fetch_allow;

	fetcher->guard = address_guard_new_checked(allow, &unread);
	if (fetcher->guard == NULL) {
		log_warning("an entry of a setting has no effect", "error", unread->message);
		fetcher->guard = address_guard_new(allow);
	}
	address_guard_set_network(fetcher->guard, network);
	fetcher->no_proxy = g_strdupv(settings->fetch_no_proxy);
	fetcher->proxy = g_strdup(settings->fetch_proxy);
	fetcher->ldap_server = g_strdup(settings->fetch_ldap_server);
	fetcher->tls_verify = settings->fetch_tls_verify;
	fetcher->timeout_ms = (guint)(settings->fetch_timeout * 1000);
	return fetcher;
}

struct fetcher *
fetcher_new(const struct settings *settings)
{
	return fetcher_new_with(settings, NULL);
}

void
fetcher_free(struct fetcher *fetcher)
{
	if (fetcher == NULL)
		return;
	address_guard_free(fetcher->guard);
	g_strfreev(fetcher->no_proxy);
	g_free(fetcher->proxy);
	g_free(fetcher->ldap_server);
	g_free(fetcher);
}

void
fetch_answer_free(struct fetch_answer *answer)
{
	if (answer == NULL)
		return;
	if (answer->values != NULL)
		g_ptr_array_unref(answer->values);
	g_free(answer->etag);
	g_free(answer->url);
	g_free(answer);
}

static struct fetch_answer *
answer_new(const char *url)
{
	struct fetch_answer *answer = g_new0(struct fetch_answer, 1);

	answer->values = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
	answer->max_age = -1;
	answer->url = g_strdup(url);
	return answer;
}

static gsize
size_max(const struct fetch_options *options)
{
	return options->size_max_bytes != 0 ? options->size_max_bytes : FETCH_CERT_MAX_BYTES;
}

static guint
timeout_of(const struct fetcher *fetcher, const struct fetch_options *options)
{
	return options->timeout_ms != 0 ? options->timeout_ms : fetcher->timeout_ms;
}

/* --- http, https --- */

/* Of an answer that is no document: what its status means. */
static struct fetch_answer *
fail_status(const char *url, unsigned int status, GError **error)
{
	g_autofree char *safe = printable(url);
	gboolean for_good =
	    status >= 400 && status < 500 && status != 408 && status != 425 && status != 429;

	return fail(error, for_good ? PS_ERROR_INVALID : PS_ERROR_TEMPORARY,
		    "%s: the server answered with status %u", safe, status);
}

static struct fetch_answer *
read_http(const struct http_answer *got, const struct fetch_options *options, const char *url,
	  GError **error)
{
	gboolean conditional = options->etag != NULL || options->modified_since != 0;
	g_autofree char *safe = printable(url);

	if (got->status == 304 ? !conditional : got->status != 200)
		return fail_status(url, got->status, error);
	if (got->status == 200 && g_bytes_get_size(got->body) == 0)
		return fail(error, PS_ERROR_INVALID, "%s: the answer is empty", safe);
	struct fetch_answer *answer = answer_new(got->url);
	answer->unchanged = got->status == 304;
	answer->etag = g_strdup(got->etag);
	answer->last_modified = got->last_modified;
	answer->max_age = got->max_age;
	if (!answer->unchanged)
		g_ptr_array_add(answer->values, g_bytes_ref(got->body));
	return answer;
}

static struct fetch_answer *
fetch_http(struct fetcher *fetcher, const struct url *url, const struct fetch_options *options,
	   GError **error)
{
	g_autofree char *accept =
	    options->accept != NULL ? g_strconcat("Accept: ", options->accept, NULL) : NULL;
	const char *const headers[] = { accept, NULL };
	const struct http_request request = {
		.method = options->body != NULL ? "POST" : "GET",
		.url = url->text,
		.content_type = options->content_type,
		.body = options->body,
		.headers = headers,
		.answer_max_bytes = size_max(options),
		.timeout_ms = timeout_of(fetcher, options),
		.guard = fetcher->guard,
		.redirects_max = REDIRECTS_MAX,
		.if_none_match = options->etag,
		.if_modified_since = options->modified_since,
		.proxy = fetcher->proxy,
		.no_proxy = (const char *const *)fetcher->no_proxy,
		.tls_unverified = !fetcher->tls_verify,
		.low_speed_seconds = LOW_SPEED_SECONDS,
		.waiting = options->waiting,
		.waiting_data = options->waiting_data,
	};
	CLEANUP(http_client) struct http_client *client = http_client_new();
	CLEANUP(http_answer) struct http_answer *got = http_send(client, &request, error);

	if (got == NULL)
		return NULL;
	if (options->retry_after != NULL)
		*options->retry_after = got->retry_after;
	return read_http(got, options, url->text, error);
}

/* --- ldap, ldaps --- */

static gboolean
is_wanted(const char *attribute, const char *const *wanted)
{
	gsize length = strcspn(attribute, ";");

	for (; wanted != NULL && *wanted != NULL; wanted++)
		if (strlen(*wanted) == length &&
		    g_ascii_strncasecmp(*wanted, attribute, length) == 0)
			return TRUE;
	return FALSE;
}

/* A URL must not make us ask for anything but what is looked for. */
static void
keep_wanted(struct ldap_target *target, const char *const *wanted)
{
	g_autoptr(GStrvBuilder) kept = g_strv_builder_new();

	for (char **attribute = target->attributes; attribute != NULL && *attribute != NULL;
	     attribute++)
		if (is_wanted(*attribute, wanted))
			g_strv_builder_add(kept, *attribute);
	g_strfreev(target->attributes);
	target->attributes = g_strv_builder_end(kept);
}

/* Active Directory's URLs name no host: the one of the settings is meant. */
static gboolean
fill_host(const struct fetcher *fetcher, struct ldap_target *target, GError **error)
{
	if (*fetcher->ldap_server == '\0')
		return fail_false(error, PS_ERROR_DENIED,
				  "the LDAP URL names no host; the setting fetch_ldap_server says "
				  "which one is asked");
	CLEANUP(url) struct url *server = url_parse(fetcher->ldap_server, error);
	if (server == NULL) {
		g_prefix_error(error, "fetch_ldap_server: ");
		return FALSE;
	}
	if ((server->scheme != URL_LDAP && server->scheme != URL_LDAPS) || *server->host == '\0')
		return fail_false(error, PS_ERROR_INVALID,
				  "fetch_ldap_server is no ldap://HOST or ldaps://HOST");
	g_free(target->host);
	target->host = g_strdup(server->host);
	target->port = server->port;
	target->tls = server->scheme == URL_LDAPS;
	return TRUE;
}

static struct fetch_answer *
fetch_ldap(struct fetcher *fetcher, const struct url *url, const struct fetch_options *options,
	   GError **error)
{
	CLEANUP(ldap_target) struct ldap_target *target = ldap_target_parse(url->text, error);
	const struct ldap_limits limits = {
		.timeout_ms = MIN(timeout_of(fetcher, options), LDAP_TIMEOUT_MAX_MS),
		.entries_max = FETCH_VALUES_MAX,
		.values_max = FETCH_VALUES_MAX,
		.value_max_bytes = size_max(options),
		.answer_max_bytes = size_max(options),
	};

	if (target == NULL)
		return NULL;
	gboolean configured = target->host == NULL;
	keep_wanted(target, options->attributes);
	if (configured && !fill_host(fetcher, target, error))
		return NULL;
	g_autoptr(GPtrArray) values = ldap_fetch(
	    target, options->attributes, configured ? NULL : fetcher->guard, &limits, error);
	if (values == NULL)
		return NULL;
	struct fetch_answer *answer = answer_new(url->text);
	for (guint i = 0; i < values->len; i++)
		g_ptr_array_add(answer->values, g_bytes_ref(g_ptr_array_index(values, i)));
	return answer;
}

struct fetch_answer *
fetch_url(struct fetcher *fetcher, const char *text, const struct fetch_options *options,
	  GError **error)
{
	CLEANUP(url) struct url *url = url_parse(text, error);

	if (url == NULL)
		return NULL;
	if (options->retry_after != NULL)
		*options->retry_after = -1;
	switch (url->scheme) {
	case URL_HTTP:
	case URL_HTTPS:
		return fetch_http(fetcher, url, options, error);
	case URL_LDAP:
	case URL_LDAPS:
		return fetch_ldap(fetcher, url, options, error);
	}
	return fail(error, PS_ERROR_BUG, "no such scheme");
}
