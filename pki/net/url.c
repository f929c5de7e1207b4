/*
 * url - one strict reading, so that what is checked and what is fetched are the same.
 */
#include "pki/net/url.h"

#include <arpa/inet.h>
#include <string.h>

#include "store/base/error.h"

#define HOST_MAX_BYTES 253
#define LABEL_MAX_BYTES 63

static const struct {
	const char *name;
	guint port;
} schemes[] = {
	[URL_HTTP] = { "http", 80 },
	[URL_HTTPS] = { "https", 443 },
	[URL_LDAP] = { "ldap", 389 },
	[URL_LDAPS] = { "ldaps", 636 },
};

const char *
url_scheme_name(enum url_scheme scheme)
{
	return schemes[scheme].name;
}

void
url_free(struct url *url)
{
	if (url == NULL)
		return;
	g_free(url->host);
	g_free(url->rest);
	g_free(url->text);
	g_free(url);
}

/* Visible ASCII without what RFC 3986 has no place for; a percent sign begins two hex digits. */
static gboolean
characters_fit(const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~' || strchr("\"<>\\^`{|}", *p) != NULL)
			return FALSE;
		if (*p == '%' && (!g_ascii_isxdigit(p[1]) || !g_ascii_isxdigit(p[2])))
			return FALSE;
	}
	return TRUE;
}

static gboolean
read_scheme(struct url *url, const char **rest)
{
	for (gsize i = 0; i < G_N_ELEMENTS(schemes); i++) {
		gsize length = strlen(schemes[i].name);

		if (g_ascii_strncasecmp(*rest, schemes[i].name, length) == 0 &&
		    strncmp(*rest + length, "://", 3) == 0) {
			url->scheme = (enum url_scheme)i;
			*rest += length + 3;
			return TRUE;
		}
	}
	return FALSE;
}

static gboolean
read_port(struct url *url, const char *text)
{
	gsize length = strlen(text);
	guint port = 0;

	url->port = schemes[url->scheme].port;
	if (length == 0)
		return TRUE;
	if (length > 5 || strspn(text, "0123456789") != length)
		return FALSE;
	for (const char *p = text; *p != '\0'; p++)
		port = port * 10 + (guint)(*p - '0');
	url->port = port;
	return port >= 1 && port <= 65535;
}

/* What inet_aton and some resolvers take for an address: "2130706433", "0x7f.1", "127.1". */
static gboolean
ends_in_a_number(const char *last)
{
	gsize length = strlen(last);

	if (strspn(last, "0123456789") == length)
		return TRUE;
	return last[0] == '0' && (last[1] == 'x' || last[1] == 'X') &&
	       strspn(last + 2, "0123456789abcdefABCDEF") == length - 2;
}

static gboolean
host_fits(const char *host)
{
	struct in_addr address;
	g_auto(GStrv) labels = g_strsplit(host, ".", -1);
	const char *last = "";

	if (strlen(host) > HOST_MAX_BYTES)
		return FALSE;
	for (char **label = labels; *label != NULL; label++) {
		gsize length = strlen(*label);

		last = *label;
		if (length == 0 || length > LABEL_MAX_BYTES || last[0] == '-' ||
		    last[length - 1] == '-')
			return FALSE;
		for (const char *p = *label; *p != '\0'; p++)
			if (!g_ascii_isalnum(*p) && *p != '-' && *p != '_')
				return FALSE;
	}
	return !ends_in_a_number(last) || inet_pton(AF_INET, host, &address) == 1;
}

static gboolean
read_bracketed(struct url *url, const char *authority)
{
	const char *end = strchr(authority, ']');
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (end == NULL || (end[1] != '\0' && end[1] != ':'))
		return FALSE;
	g_autofree char *inside = g_strndup(authority + 1, (gsize)(end - authority - 1));
	if (inet_pton(AF_INET6, inside, &address) != 1 ||
	    inet_ntop(AF_INET6, &address, text, sizeof(text)) == NULL)
		return FALSE;
	url->host = g_strdup(text);
	return read_port(url, end[1] == ':' ? end + 2 : "");
}

static gboolean
read_authority(struct url *url, const char *authority)
{
	const char *colon = strchr(authority, ':');

	if (*authority == '[')
		return read_bracketed(url, authority);
	gsize length = colon != NULL ? (gsize)(colon - authority) : strlen(authority);
	if (length > 0 && authority[length - 1] == '.')
		length--;
	url->host = g_ascii_strdown(authority, (gssize)length);
	if (!read_port(url, colon != NULL ? colon + 1 : ""))
		return FALSE;
	if (*authority == '\0')
		return url->scheme == URL_LDAP || url->scheme == URL_LDAPS;
	return host_fits(url->host);
}

static char *
normal_text(const struct url *url)
{
	gboolean bracket = strchr(url->host, ':') != NULL;
	g_autofree char *port = url->port != schemes[url->scheme].port
				    ? g_strdup_printf(":%u", url->port)
				    : g_strdup("");

	return g_strconcat(schemes[url->scheme].name, "://", bracket ? "[" : "", url->host,
			   bracket ? "]" : "", port, url->rest, NULL);
}

struct url *
url_parse(const char *text, GError **error)
{
	CLEANUP(url) struct url *url = g_new0(struct url, 1);
	const char *rest = text;

	if (strlen(text) > URL_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "the URL is longer than %d bytes",
			    URL_MAX_BYTES);
	if (!characters_fit(text))
		return fail(error, PS_ERROR_INVALID,
			    "the URL has characters that a URL cannot have");
	if (!read_scheme(url, &rest))
		return fail(error, PS_ERROR_INVALID,
			    "the URL is not one of http, https, ldap and ldaps");
	gsize length = strcspn(rest, "/?#");
	g_autofree char *authority = g_strndup(rest, length);
	rest += length;
	if (strchr(authority, '@') != NULL)
		return fail(error, PS_ERROR_INVALID, "the URL has a user name or password");
	if (!read_authority(url, authority))
		return fail(error, PS_ERROR_INVALID, "the host or port of the URL is not valid");
	g_autofree char *path = g_strndup(rest, strcspn(rest, "#"));
	url->rest = g_strconcat(*path == '/' ? "" : "/", path, NULL);
	url->text = normal_text(url);
	return g_steal_pointer(&url);
}

gboolean
url_host_is_among(const struct url *url, const char *const *names)
{
	for (const char *const *name = names; name != NULL && *name != NULL; name++) {
		const char *plain = **name == '.' ? *name + 1 : *name;
		g_autofree char *below = g_strconcat(".", plain, NULL);
		gsize host = strlen(url->host);
		gsize tail = strlen(below);

		if (strcmp(*name, "*") == 0 ||
		    (**name != '.' && g_ascii_strcasecmp(url->host, plain) == 0))
			return TRUE;
		if (host > tail && g_ascii_strcasecmp(url->host + host - tail, below) == 0)
			return TRUE;
	}
	return FALSE;
}
