/*
 * address_guard - the tables of addresses, and the decision.
 */
#include "pki/net/address_guard.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "store/base/error.h"
#include "store/base/printable.h"

static const guint standard_ports[] = { 80, 443, 389, 636 };

struct address {
	gboolean v6;
	guint8 bytes[16];
};

struct prefix {
	struct address address;
	guint bits;
};

enum allowed_ports { PORTS_STANDARD, PORTS_ONE, PORTS_ANY };

struct allowed {
	char *host; /* or NULL: prefix */
	struct prefix prefix;
	enum allowed_ports ports;
	guint port;
};

struct address_guard {
	GPtrArray *allowed;
	GArray *special; /* struct prefix, in the order of special_ranges */
	struct network network;
};

/* What is no global unicast address: the registries of RFC 6890 as they stand, and older ones. */
static const struct {
	const char *network;
	gboolean never; /* whatever fetch_allow says */
	const char *what;
} special_ranges[] = {
	{ "0.0.0.0/8", TRUE, "an unspecified address" },
	{ "10.0.0.0/8", FALSE, "a private address" },
	{ "100.64.0.0/10", FALSE, "a shared address" },
	{ "127.0.0.0/8", FALSE, "a loopback address" },
	{ "169.254.0.0/16", FALSE, "a link-local address" },
	{ "172.16.0.0/12", FALSE, "a private address" },
	{ "192.0.0.0/24", FALSE, "a reserved address" },
	{ "192.0.2.0/24", FALSE, "an address of documentation" },
	{ "192.88.99.0/24", FALSE, "a reserved address" },
	{ "192.168.0.0/16", FALSE, "a private address" },
	{ "198.18.0.0/15", FALSE, "an address of benchmarks" },
	{ "198.51.100.0/24", FALSE, "an address of documentation" },
	{ "203.0.113.0/24", FALSE, "an address of documentation" },
	{ "224.0.0.0/4", TRUE, "a multicast address" },
	{ "255.255.255.255/32", TRUE, "a broadcast address" },
	{ "240.0.0.0/4", FALSE, "a reserved address" },
	{ "::/128", TRUE, "an unspecified address" },
	{ "::1/128", FALSE, "a loopback address" },
	{ "64:ff9b:1::/48", FALSE, "an address of local translation" },
	{ "100::/64", FALSE, "a discarding address" },
	{ "2001::/23", FALSE, "an address of Teredo or another protocol" },
	{ "2001:db8::/32", FALSE, "an address of documentation" },
	{ "3fff::/20", FALSE, "an address of documentation" },
	{ "fc00::/7", FALSE, "a unique local address" },
	{ "fe80::/10", FALSE, "a link-local address" },
	{ "fec0::/10", FALSE, "a site-local address" },
	{ "ff00::/8", TRUE, "a multicast address" },
};

/* --- addresses --- */

static gboolean
address_read(const char *text, struct address *address)
{
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, text, address->bytes) == 1)
		return TRUE;
	address->v6 = TRUE;
	return inet_pton(AF_INET6, text, address->bytes) == 1;
}

static gboolean
has_prefix(const struct address *address, const struct prefix *prefix)
{
	guint whole = prefix->bits / 8;
	guint rest = prefix->bits % 8;

	if (address->v6 != prefix->address.v6 ||
	    memcmp(address->bytes, prefix->address.bytes, whole) != 0)
		return FALSE;
	if (rest == 0)
		return TRUE;
	guint8 mask = (guint8)(0xff << (8 - rest));
	return (address->bytes[whole] & mask) == (prefix->address.bytes[whole] & mask);
}

/* "ADDRESS" or "ADDRESS/BITS". */
static gboolean
prefix_read(const char *text, struct prefix *prefix)
{
	const char *slash = strchr(text, '/');
	g_autofree char *address =
	    g_strndup(text, slash != NULL ? (gsize)(slash - text) : strlen(text));
	guint64 bits;

	if (!address_read(address, &prefix->address))
		return FALSE;
	prefix->bits = prefix->address.v6 ? 128 : 32;
	if (slash == NULL)
		return TRUE;
	if (!g_ascii_string_to_unsigned(slash + 1, 10, 0, prefix->bits, &bits, NULL))
		return FALSE;
	prefix->bits = (guint)bits;
	return TRUE;
}

static gboolean
starts_with(const struct address *address, const void *bytes, gsize length)
{
	return address->v6 && memcmp(address->bytes, bytes, length) == 0;
}

static void
take_v4(const struct address *address, guint at, struct address *inner)
{
	memset(inner, 0, sizeof(*inner));
	memcpy(inner->bytes, address->bytes + at, 4);
}

/* ::ffff:a.b.c.d is the IPv4 address itself. */
static void
unmap(struct address *address)
{
	static const guint8 mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct address inner;

	if (!starts_with(address, mapped, sizeof(mapped)))
		return;
	take_v4(address, 12, &inner);
	*address = inner;
}

/* An IPv4 address that a router or this host makes out of it. */
static gboolean
carries_v4(const struct address *address, struct address *inner)
{
	static const guint8 nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
	static const guint8 six_to_four[2] = { 0x20, 0x02 };
	static const guint8 isatap[3] = { 0x00, 0x5e, 0xfe };

	if (starts_with(address, nat64, sizeof(nat64))) {
		take_v4(address, 12, inner);
		return TRUE;
	}
	if (starts_with(address, six_to_four, sizeof(six_to_four))) {
		take_v4(address, 2, inner);
		return TRUE;
	}
	if (address->v6 && (address->bytes[8] & 0xfd) == 0 &&
	    memcmp(address->bytes + 9, isatap, sizeof(isatap)) == 0) {
		take_v4(address, 12, inner);
		return TRUE;
	}
	return FALSE;
}

static gboolean
address_of(const struct sockaddr *sockaddr, struct address *address)
{
	memset(address, 0, sizeof(*address));
	if (sockaddr->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)sockaddr;

		memcpy(address->bytes, &v4->sin_addr, 4);
		return TRUE;
	}
	if (sockaddr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)sockaddr;

		address->v6 = TRUE;
		memcpy(address->bytes, &v6->sin6_addr, 16);
		unmap(address);
		return TRUE;
	}
	return FALSE;
}

/* What is special about an address; NULL for global unicast. *never: nothing can permit it. */
static const char *
special(const struct address_guard *guard, const struct address *address, gboolean *never)
{
	struct address inner;
	gboolean carried = carries_v4(address, &inner);
	const char *what = carried ? special(guard, &inner, never) : NULL;

	if (what != NULL)
		return what;
	for (guint i = 0; i < guard->special->len; i++)
		if (has_prefix(address, &g_array_index(guard->special, struct prefix, i))) {
			*never = special_ranges[i].never;
			return special_ranges[i].what;
		}
	/* 64:ff9b::/96 is the one global prefix outside of 2000::/3. */
	if (address->v6 && (address->bytes[0] & 0xe0) != 0x20 && !carried)
		return "no global address";
	return NULL;
}

/* --- fetch_allow --- */

static void
allowed_free(gpointer data)
{
	struct allowed *allowed = data;

	g_free(allowed->host);
	g_free(allowed);
}

static char *
host_normal(const char *host)
{
	gsize length = strlen(host);

	if (length > 0 && host[length - 1] == '.')
		length--;
	return g_ascii_strdown(host, (gssize)length);
}

static gboolean
ports_read(const char *text, struct allowed *allowed)
{
	guint64 port;

	if (strcmp(text, "*") == 0) {
		allowed->ports = PORTS_ANY;
		return TRUE;
	}
	if (!g_ascii_string_to_unsigned(text, 10, 1, 65535, &port, NULL))
		return FALSE;
	allowed->ports = PORTS_ONE;
	allowed->port = (guint)port;
	return TRUE;
}

/* Takes the port off the end; what is left is an address, a network or a host. */
static char *
split_port(const char *entry, struct allowed *allowed)
{
	const char *bracket = strrchr(entry, ']');
	const char *colon = strrchr(entry, ':');
	const char *slash = strrchr(entry, '/');
	gboolean bare_v6 = bracket == NULL && colon != NULL && strchr(entry, ':') != colon &&
			   (slash == NULL || colon < slash);

	if (bare_v6 || colon == NULL || (bracket != NULL && colon < bracket))
		return g_strdup(entry);
	if (!ports_read(colon + 1, allowed))
		return NULL;
	return g_strndup(entry, (gsize)(colon - entry));
}

/* "[ADDRESS]/BITS" and "[ADDRESS/BITS]" without their brackets. */
static void
drop_brackets(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0'; from++)
		if (*from != '[' && *from != ']')
			*to++ = *from;
	*to = '\0';
}

static gboolean
is_host_name(const char *text)
{
	if (*text == '\0' || *text == '.' || g_ascii_isdigit(text[strlen(text) - 1]))
		return FALSE;
	for (const char *p = text; *p != '\0'; p++)
		if (!g_ascii_isalnum(*p) && strchr("-_.", *p) == NULL)
			return FALSE;
	return TRUE;
}

static struct allowed *
allowed_read(const char *entry)
{
	struct allowed *allowed = g_new0(struct allowed, 1);
	g_autofree char *text = split_port(entry, allowed);

	if (text != NULL && *text == '[' && strchr(text, ']') != NULL)
		drop_brackets(text);
	if (text != NULL && prefix_read(text, &allowed->prefix)) {
		struct address *address = &allowed->prefix.address;

		if (allowed->prefix.bits == 128)
			unmap(address);
		if (!address->v6 && allowed->prefix.bits == 128)
			allowed->prefix.bits = 32;
		return allowed;
	}
	if (text != NULL && is_host_name(text)) {
		allowed->host = host_normal(text);
		return allowed;
	}
	allowed_free(allowed);
	return NULL;
}

static gboolean
is_standard_port(guint port)
{
	for (gsize i = 0; i < G_N_ELEMENTS(standard_ports); i++)
		if (standard_ports[i] == port)
			return TRUE;
	return FALSE;
}

static gboolean
allows_port(const struct allowed *allowed, guint port)
{
	switch (allowed->ports) {
	case PORTS_ANY:
		return TRUE;
	case PORTS_ONE:
		return allowed->port == port;
	case PORTS_STANDARD:
		return is_standard_port(port);
	}
	return FALSE;
}

/* address may be NULL: by name alone. */
static gboolean
is_allowed(const struct address_guard *guard, const char *host, const struct address *address,
	   guint port)
{
	g_autofree char *name = host != NULL ? host_normal(host) : NULL;

	for (guint i = 0; i < guard->allowed->len; i++) {
		const struct allowed *allowed = g_ptr_array_index(guard->allowed, i);

		if (!allows_port(allowed, port))
			continue;
		if (allowed->host != NULL
			? name != NULL && strcmp(allowed->host, name) == 0
			: address != NULL && has_prefix(address, &allowed->prefix))
			return TRUE;
	}
	return FALSE;
}

struct address_guard *
address_guard_new_checked(const char *const *allow, GError **error)
{
	struct address_guard *guard = g_new0(struct address_guard, 1);

	guard->network = (struct network){ getaddrinfo, freeaddrinfo, NULL };
	guard->allowed = g_ptr_array_new_with_free_func(allowed_free);
	guard->special = g_array_new(FALSE, FALSE, sizeof(struct prefix));
	for (gsize i = 0; i < G_N_ELEMENTS(special_ranges); i++) {
		struct prefix prefix;

		if (!prefix_read(special_ranges[i].network, &prefix))
			g_error("%s is no network", special_ranges[i].network);
		g_array_append_val(guard->special, prefix);
	}
	for (const char *const *entry = allow; entry != NULL && *entry != NULL; entry++) {
		struct allowed *allowed = allowed_read(*entry);

		if (allowed != NULL) {
			g_ptr_array_add(guard->allowed, allowed);
			continue;
		}
		g_autofree char *safe = printable(*entry);
		fail(error, PS_ERROR_INVALID,
		     "fetch_allow: '%s' is no host, address or network, with :PORT or :* behind it",
		     safe);
		address_guard_free(guard);
		return NULL;
	}
	return guard;
}

struct address_guard *
address_guard_new(const char *const *allow)
{
	struct address_guard *guard = address_guard_new_checked(NULL, NULL);

	for (const char *const *entry = allow; entry != NULL && *entry != NULL; entry++) {
		struct allowed *allowed = allowed_read(*entry);

		if (allowed != NULL)
			g_ptr_array_add(guard->allowed, allowed);
	}
	return guard;
}

void
address_guard_set_network(struct address_guard *guard, const struct network *network)
{
	guard->network = (struct network){ getaddrinfo, freeaddrinfo, NULL };
	if (network == NULL)
		return;
	if (network->resolve != NULL) {
		guard->network.resolve = network->resolve;
		guard->network.release = network->release;
	}
	guard->network.divert = network->divert;
}

const struct network *
address_guard_network(const struct address_guard *guard)
{
	return &guard->network;
}

void
address_guard_free(struct address_guard *guard)
{
	if (guard == NULL)
		return;
	g_ptr_array_unref(guard->allowed);
	g_array_unref(guard->special);
	g_free(guard);
}

/* --- the decision --- */

static gboolean
refuse(char **why, char *text)
{
	if (why != NULL)
		*why = text;
	else
		g_free(text);
	return FALSE;
}

static gboolean
permits(const struct address_guard *guard, const char *host, const struct address *address,
	guint port, char **why)
{
	gboolean never = FALSE;
	const char *what = special(guard, address, &never);

	if (!never && is_allowed(guard, host, address, port))
		return TRUE;
	if (what != NULL && never)
		return refuse(why, g_strdup_printf("leads to %s", what));
	if (what != NULL && !is_standard_port(port))
		return refuse(why,
			      g_strdup_printf("leads to %s at port %u, which fetch_allow does not "
					      "name with this port",
					      what, port));
	if (what != NULL)
		return refuse(
		    why, g_strdup_printf("leads to %s, which fetch_allow does not name", what));
	if (!is_standard_port(port))
		return refuse(
		    why, g_strdup_printf("port %u is not permitted, fetch_allow does not name it",
					 port));
	return TRUE;
}

gboolean
address_guard_permits(const struct address_guard *guard, const char *host,
		      const struct sockaddr *sockaddr, guint port, char **why)
{
	struct address address;

	if (!address_of(sockaddr, &address))
		return refuse(why, g_strdup("leads to no internet address"));
	return permits(guard, host, &address, port, why);
}

gboolean
address_guard_permits_proxied(const struct address_guard *guard, const char *host, guint port,
			      char **why)
{
	g_autofree char *name = host_normal(host);
	struct address address;

	if (address_read(name, &address)) {
		unmap(&address);
		return permits(guard, host, &address, port, why);
	}
	if (is_allowed(guard, name, NULL, port))
		return TRUE;
	if (strcmp(name, "localhost") == 0 || g_str_has_suffix(name, ".localhost"))
		return refuse(why, g_strdup("leads to a loopback address, which fetch_allow does "
					    "not name"));
	if (!is_standard_port(port))
		return refuse(
		    why, g_strdup_printf("port %u is not permitted, fetch_allow does not name it",
					 port));
	return TRUE;
}
