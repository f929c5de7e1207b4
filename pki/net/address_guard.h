/*
 * address_guard - to which addresses may the daemon connect for a stranger's URL.
 *
 * The URL stands in somebody's certificate, so it may name a host of our own network. Decided is
 * on the address that a socket is about to be connected to, never on the name alone: a name can
 * resolve to a public address when it is looked at and to 127.0.0.1 when it is used. Permitted
 * are global unicast addresses and the ports 80, 443, 389, 636; the setting fetch_allow adds to
 * that: HOST, ADDRESS or NETWORK/BITS for these ports, with :PORT for that one, with :* for all.
 * An IPv6 address that carries an IPv4 address (mapped, compatible, 6to4, NAT64, ISATAP) is what
 * it carries. Unspecified, multicast and broadcast addresses are never permitted.
 * Resolving and connecting are functions of struct network, so that tests have their own.
 * Threads: any; a guard is immutable.
 */
#ifndef PKI_NET_ADDRESS_GUARD_H
#define PKI_NET_ADDRESS_GUARD_H

#include <glib.h>
#include <sys/socket.h>

#include "store/base/cleanup.h"

struct addrinfo;
struct address_guard;

/* As getaddrinfo and freeaddrinfo; NULL members are these. */
struct network {
	int (*resolve)(const char *host, const char *service, const struct addrinfo *hints,
		       struct addrinfo **found);
	void (*release)(struct addrinfo *found);
	/* Called with a permitted address alone: what a socket is really connected to instead
	 * (tests lead public addresses to loopback). NULL: the address itself. */
	void (*divert)(struct sockaddr *address);
};

/* allow: entries of fetch_allow, NULL: none. An entry that cannot be read is INVALID. */
struct address_guard *address_guard_new_checked(const char *const *allow,
						GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same; an entry that cannot be read is left out: it permits nothing. */
struct address_guard *address_guard_new(const char *const *allow);
/* network stays the caller's and lives longer; NULL: the real one. */
void address_guard_set_network(struct address_guard *guard, const struct network *network);
const struct network *address_guard_network(const struct address_guard *guard);
void address_guard_free(struct address_guard *guard);

/* host: as the URL has it, or NULL. *why (may be NULL) says what is refused, one line without the
 * address itself; owned by the caller. Pure. */
gboolean address_guard_permits(const struct address_guard *guard, const char *host,
			       const struct sockaddr *address, guint port, char **why);
/* For what a proxy connects, when the name alone can be looked at: the port, and the address where
 * the host is one, and no name of the proxy's own loopback. Pure. */
gboolean address_guard_permits_proxied(const struct address_guard *guard, const char *host,
				       guint port, char **why);
/* Resolves and connects (IPv6 and IPv4 in the resolver's order) within timeout_ms altogether; each
 * address is checked. A connected blocking socket, or -1: DENIED when every address is refused,
 * TEMPORARY when none answers. */
int address_guard_connect(const struct address_guard *guard, const char *host, guint port,
			  guint timeout_ms, GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(address_guard, address_guard_free)

#endif
