/*
 * ldap_target - LDAP URLs to what they ask for, and text to filters. Nothing of libldap here: its
 * parser takes what RFC 4516 does not know, and knows nothing of the forms of Active Directory.
 */
#include "pki/net/ldap.h"

#include <string.h>

#include "store/base/error.h"

#define URL_MAX_BYTES 8192
#define ATTRIBUTES_MAX 16
#define PORT_MAX 65535
#define FILTER_ALL "(objectClass=*)"

/* The parts of a URL behind the base, in their order. */
enum { PART_ATTRIBUTES, PART_DEPTH, PART_FILTER, PART_EXTENSIONS, PARTS };

static gboolean
fail_url(GError **error, const char *why)
{
	return fail_false(error, PS_ERROR_INVALID, "not an LDAP URL that can be asked: %s", why);
}

/* Percent-decoded; NUL, controls and bytes that are no UTF-8 are refused. */
static gboolean
decode(const char *text, char **decoded, GError **error)
{
	*decoded = g_uri_unescape_string(text, NULL);
	if (*decoded == NULL || !g_utf8_validate(*decoded, -1, NULL))
		return fail_url(error, "a percent sign that decodes to no text");
	for (const char *c = *decoded; *c != '\0'; c++)
		if ((guchar)*c < 0x20 || *c == 0x7f)
			return fail_url(error, "control characters");
	return TRUE;
}

static gboolean
is_host_text(const char *host)
{
	return *host != '\0' &&
	       strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") ==
		   strlen(host);
}

static gboolean
parse_port(struct ldap_target *target, const char *text, GError **error)
{
	guint64 port;

	if (!g_ascii_string_to_unsigned(text, 10, 1, PORT_MAX, &port, NULL))
		return fail_url(error, "the port is not a number from 1 to 65535");
	target->port = (guint)port;
	return TRUE;
}

/* [address]:port, host:port, or nothing at all. */
static gboolean
parse_authority(struct ldap_target *target, const char *text, GError **error)
{
	g_autofree char *host = NULL;
	const char *port = NULL;
	const char *end;

	if (*text == '\0')
		return TRUE;
	if (strchr(text, '@') != NULL)
		return fail_url(error, "it holds user information");
	if (*text == '[') {
		end = strchr(text, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return fail_url(error, "the host is damaged");
		host = g_strndup(text + 1, (gsize)(end - text - 1));
		port = end[1] == ':' ? end + 2 : NULL;
		if (strchr(host, ':') == NULL ||
		    strspn(host, "0123456789abcdefABCDEF:.") != strlen(host))
			return fail_url(error, "the host is damaged");
	} else {
		end = strchr(text, ':');
		host = end != NULL ? g_strndup(text, (gsize)(end - text)) : g_strdup(text);
		port = end != NULL ? end + 1 : NULL;
		if (!is_host_text(host))
			return fail_url(error, "the host is damaged");
	}
	if (port != NULL && !parse_port(target, port, error))
		return FALSE;
	target->host = g_ascii_strdown(host, -1);
	return TRUE;
}

static gboolean
is_attribute_text(const char *text)
{
	return *text != '\0' && strlen(text) <= 128 &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.;") ==
		   strlen(text);
}

/* Without options: both forms are asked for in any case. */
static gboolean
parse_attributes(struct ldap_target *target, const char *part, GError **error)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) words = NULL;

	if (!decode(part, &text, error))
		return FALSE;
	words = g_strsplit(text, ",", ATTRIBUTES_MAX + 1);
	if (g_strv_length(words) > ATTRIBUTES_MAX)
		return fail_url(error, "it asks for more than 16 attributes");
	for (guint i = 0; words[i] != NULL; i++) {
		if (!is_attribute_text(words[i]))
			return fail_url(error, "an attribute has no name");
		words[i][strcspn(words[i], ";")] = '\0';
		if (words[i][0] == '\0')
			return fail_url(error, "an attribute has no name");
	}
	g_strfreev(target->attributes);
	target->attributes = g_steal_pointer(&words);
	return TRUE;
}

static gboolean
parse_depth(struct ldap_target *target, const char *part, GError **error)
{
	if (g_ascii_strcasecmp(part, "base") == 0)
		target->depth = LDAP_DEPTH_BASE;
	else if (g_ascii_strcasecmp(part, "one") == 0)
		target->depth = LDAP_DEPTH_ONE;
	else if (g_ascii_strcasecmp(part, "sub") == 0)
		target->depth = LDAP_DEPTH_SUBTREE;
	else
		return fail_url(error, "the scope is none of base, one and sub");
	return TRUE;
}

/* Active Directory leaves the parentheses of a single comparison out. */
static gboolean
parse_filter(struct ldap_target *target, const char *part, GError **error)
{
	g_autofree char *text = NULL;

	if (!decode(part, &text, error))
		return FALSE;
	g_strstrip(text);
	if (*text == '\0')
		return fail_url(error, "the filter is empty");
	if (*text != '(' && strpbrk(text, "()&|!") != NULL)
		return fail_url(error, "the filter lacks its parentheses");
	g_free(target->filter);
	target->filter = *text == '(' ? g_steal_pointer(&text) : g_strdup_printf("(%s)", text);
	return TRUE;
}

/* A critical extension asks for what is not done here (RFC 4516 section 2). */
static gboolean
parse_extensions(const char *part, GError **error)
{
	g_auto(GStrv) words = g_strsplit(part, ",", -1);

	for (guint i = 0; words[i] != NULL; i++)
		if (words[i][0] == '!' || g_ascii_strncasecmp(words[i], "%21", 3) == 0)
			return fail_url(error, "it holds a critical extension");
	return TRUE;
}

static gboolean
parse_parts(struct ldap_target *target, char **parts, guint count, GError **error)
{
	for (guint i = 0; i < count; i++) {
		gboolean good = TRUE;

		if (parts[i][0] == '\0')
			continue;
		switch (i) {
		case PART_ATTRIBUTES:
			good = parse_attributes(target, parts[i], error);
			break;
		case PART_DEPTH:
			good = parse_depth(target, parts[i], error);
			break;
		case PART_FILTER:
			good = parse_filter(target, parts[i], error);
			break;
		default:
			good = parse_extensions(parts[i], error);
		}
		if (!good)
			return FALSE;
	}
	return TRUE;
}

static gboolean
parse_after_scheme(struct ldap_target *target, const char *rest, GError **error)
{
	gsize length = strcspn(rest, "/?");
	g_autofree char *authority = g_strndup(rest, length);
	g_auto(GStrv) parts = NULL;

	if (!parse_authority(target, authority, error))
		return FALSE;
	rest += length;
	if (*rest == '?')
		return fail_url(error, "a '/' is missing behind the host");
	if (*rest == '/')
		rest++;
	parts = g_strsplit(rest, "?", PARTS + 2);
	if (g_strv_length(parts) > PARTS + 1)
		return fail_url(error, "it has too many parts");
	g_free(target->base);
	if (!decode(parts[0] != NULL ? parts[0] : "", &target->base, error))
		return FALSE;
	return parts[0] == NULL || parse_parts(target, parts + 1, g_strv_length(parts) - 1, error);
}

struct ldap_target *
ldap_target_parse(const char *url, GError **error)
{
	CLEANUP(ldap_target) struct ldap_target *target = g_new0(struct ldap_target, 1);
	const char *rest;

	target->base = g_strdup("");
	target->filter = g_strdup(FILTER_ALL);
	target->attributes = g_new0(char *, 1);
	if (strnlen(url, URL_MAX_BYTES + 1) > URL_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "an LDAP URL has more than %d bytes",
			    URL_MAX_BYTES);
	if (strchr(url, '#') != NULL) {
		fail_url(error, "it holds a fragment");
		return NULL;
	}
	if (g_ascii_strncasecmp(url, "ldap://", 7) == 0) {
		rest = url + 7;
		target->port = LDAP_PORT_PLAIN;
	} else if (g_ascii_strncasecmp(url, "ldaps://", 8) == 0) {
		rest = url + 8;
		target->tls = TRUE;
		target->port = LDAP_PORT_TLS;
	} else {
		fail_url(error, "it begins neither with ldap:// nor with ldaps://");
		return NULL;
	}
	if (!parse_after_scheme(target, rest, error))
		return NULL;
	return g_steal_pointer(&target);
}

void
ldap_target_free(struct ldap_target *target)
{
	if (target == NULL)
		return;
	g_free(target->host);
	g_free(target->base);
	g_strfreev(target->attributes);
	g_free(target->filter);
	g_free(target);
}

char *
ldap_filter_escape(const char *text)
{
	GString *out = g_string_new(NULL);

	for (const char *c = text; *c != '\0'; c++) {
		if (strchr("*()\\", *c) != NULL || (guchar)*c < 0x20 || (guchar)*c >= 0x7f)
			g_string_append_printf(out, "\\%02x", (guint)(guchar)*c);
		else
			g_string_append_c(out, *c);
	}
	return g_string_free(out, FALSE);
}
