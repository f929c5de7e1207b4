/* address_guard: every special range by its first and last address and the ones beside it, every
 * way to write IPv4 into IPv6, ports, fetch_allow, and names that resolve differently twice. */
#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "pki/net/address_guard.h"
#include "store/base/error.h"

static socklen_t
sockaddr_of(const char *text, struct sockaddr_storage *storage)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)storage;

	memset(storage, 0, sizeof(*storage));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		return sizeof(*v4);
	}
	g_assert_cmpint(inet_pton(AF_INET6, text, &v6->sin6_addr), ==, 1);
	v6->sin6_family = AF_INET6;
	return sizeof(*v6);
}

static gboolean
permits(const struct address_guard *guard, const char *host, const char *address, guint port,
	char **why)
{
	struct sockaddr_storage storage;

	sockaddr_of(address, &storage);
	return address_guard_permits(guard, host, (struct sockaddr *)&storage, port, why);
}

struct address_case {
	const char *address;
	const char *refused; /* a part of the reason; NULL: permitted */
};

static const struct address_case address_cases[] = {
	/* IPv4: both ends of each range, and the neighbours that are public */
	{ "0.0.0.0", "unspecified" },
	{ "0.255.255.255", "unspecified" },
	{ "1.0.0.0", NULL },
	{ "9.255.255.255", NULL },
	{ "10.0.0.0", "private" },
	{ "10.255.255.255", "private" },
	{ "11.0.0.0", NULL },
	{ "100.63.255.255", NULL },
	{ "100.64.0.0", "shared" },
	{ "100.127.255.255", "shared" },
	{ "100.128.0.0", NULL },
	{ "126.255.255.255", NULL },
	{ "127.0.0.0", "loopback" },
	{ "127.0.0.1", "loopback" },
	{ "127.255.255.255", "loopback" },
	{ "128.0.0.0", NULL },
	{ "169.253.255.255", NULL },
	{ "169.254.0.0", "link-local" },
	{ "169.254.169.254", "link-local" },
	{ "169.254.255.255", "link-local" },
	{ "169.255.0.0", NULL },
	{ "172.15.255.255", NULL },
	{ "172.16.0.0", "private" },
	{ "172.31.255.255", "private" },
	{ "172.32.0.0", NULL },
	{ "191.255.255.255", NULL },
	{ "192.0.0.0", "reserved" },
	{ "192.0.0.255", "reserved" },
	{ "192.0.1.0", NULL },
	{ "192.0.1.255", NULL },
	{ "192.0.2.0", "documentation" },
	{ "192.0.2.255", "documentation" },
	{ "192.0.3.0", NULL },
	{ "192.88.98.255", NULL },
	{ "192.88.99.0", "reserved" },
	{ "192.88.99.255", "reserved" },
	{ "192.88.100.0", NULL },
	{ "192.167.255.255", NULL },
	{ "192.168.0.0", "private" },
	{ "192.168.255.255", "private" },
	{ "192.169.0.0", NULL },
	{ "198.17.255.255", NULL },
	{ "198.18.0.0", "benchmarks" },
	{ "198.19.255.255", "benchmarks" },
	{ "198.20.0.0", NULL },
	{ "198.51.99.255", NULL },
	{ "198.51.100.0", "documentation" },
	{ "198.51.100.255", "documentation" },
	{ "198.51.101.0", NULL },
	{ "203.0.112.255", NULL },
	{ "203.0.113.0", "documentation" },
	{ "203.0.113.255", "documentation" },
	{ "203.0.114.0", NULL },
	{ "223.255.255.255", NULL },
	{ "224.0.0.0", "multicast" },
	{ "239.255.255.255", "multicast" },
	{ "240.0.0.0", "reserved" },
	{ "255.255.255.254", "reserved" },
	{ "255.255.255.255", "broadcast" },
	/* IPv6 */
	{ "::", "unspecified" },
	{ "::1", "loopback" },
	{ "::2", "no global" },
	{ "100::", "discarding" },
	{ "100::ffff:ffff:ffff:ffff", "discarding" },
	{ "100:0:0:1::", "no global" },
	{ "1fff:ffff::1", "no global" },
	{ "2000::", NULL },
	{ "2000:ffff::1", NULL },
	{ "2001::", "Teredo" },
	{ "2001:1ff:ffff::1", "Teredo" },
	{ "2001:200::1", NULL },
	{ "2001:db7:ffff::1", NULL },
	{ "2001:db8::", "documentation" },
	{ "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "documentation" },
	{ "2001:db9::1", NULL },
	{ "2600::1", NULL },
	{ "3ffe:ffff::1", NULL },
	{ "3fff::", "documentation" },
	{ "3fff:fff:ffff::1", "documentation" },
	{ "3fff:1000::1", NULL },
	{ "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL },
	{ "4000::1", "no global" },
	{ "5f00::1", "no global" },
	{ "fbff::1", "no global" },
	{ "fc00::", "unique local" },
	{ "fd00:ec2::254", "unique local" },
	{ "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unique local" },
	{ "fe00::1", "no global" },
	{ "fe80::", "link-local" },
	{ "fe80::a9fe:a9fe", "link-local" },
	{ "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "link-local" },
	{ "fec0::", "site-local" },
	{ "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "site-local" },
	{ "ff00::", "multicast" },
	{ "ff02::1", "multicast" },
	{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast" },
	/* Teredo's two addresses do not matter: it is refused as such */
	{ "2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo" },
	{ "2001:0:808:808::1", "Teredo" },
	/* local NAT64 has its address anywhere */
	{ "64:ff9b:1::808:808", "local translation" },
	{ "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "local translation" },
	{ "64:ff9b:2::808:808", "no global" },
	{ "64:ff9b::1:808:808", "no global" },
	/* IPv4-compatible and IPv4-translated (SIIT) are no global addresses at all */
	{ "::8.8.8.8", "no global" },
	{ "::127.0.0.1", "no global" },
	{ "::ffff:0:8.8.8.8", "no global" },
};

static void
test_addresses(void)
{
	CLEANUP(address_guard) struct address_guard *guard = address_guard_new(NULL);

	for (gsize i = 0; i < G_N_ELEMENTS(address_cases); i++) {
		const struct address_case *c = &address_cases[i];
		g_autofree char *why = NULL;
		gboolean permitted = permits(guard, "h.example", c->address, 80, &why);

		g_test_message("%s: %s", c->address, why != NULL ? why : "permitted");
		g_assert_cmpint(permitted, ==, c->refused == NULL);
		g_assert_true(c->refused == NULL || strstr(why, c->refused) != NULL);
		g_assert_true(why == NULL || strstr(why, c->address) == NULL);
	}
}

/* Each IPv4 address of the table, written into IPv6 in every way, is judged as what it is. */
static void
test_carried(void)
{
	CLEANUP(address_guard) struct address_guard *guard = address_guard_new(NULL);

	for (gsize i = 0; i < G_N_ELEMENTS(address_cases); i++) {
		const struct address_case *c = &address_cases[i];
		struct in_addr v4;

		if (inet_pton(AF_INET, c->address, &v4) != 1)
			continue;
		const guint8 *b = (const guint8 *)&v4;
		g_autofree char *hex = g_strdup_printf("%02x%02x:%02x%02x", b[0], b[1], b[2], b[3]);
		char *forms[] = {
			g_strdup_printf("::ffff:%s", c->address),
			g_strdup_printf("64:ff9b::%s", c->address),
			g_strdup_printf("2002:%s::1", hex),
			g_strdup_printf("2002:%s:1:2:3:4:5", hex),
			g_strdup_printf("2600::5efe:%s", hex),
			g_strdup_printf("2600::200:5efe:%s", hex),
		};
		for (gsize k = 0; k < G_N_ELEMENTS(forms); k++) {
			g_test_message("%s", forms[k]);
			g_assert_cmpint(permits(guard, NULL, forms[k], 443, NULL), ==,
					c->refused == NULL);
			g_free(forms[k]);
		}
	}
}

static const struct {
	const char *allow; /* one entry */
	const char *host;
	const char *address;
	guint port;
	gboolean permitted;
} allow_cases[] = {
	/* without fetch_allow: four ports of public addresses */
	{ NULL, "h", "8.8.8.8", 80, TRUE },
	{ NULL, "h", "8.8.8.8", 443, TRUE },
	{ NULL, "h", "8.8.8.8", 389, TRUE },
	{ NULL, "h", "8.8.8.8", 636, TRUE },
	{ NULL, "h", "8.8.8.8", 25, FALSE },
	{ NULL, "h", "8.8.8.8", 8080, FALSE },
	{ NULL, "h", "8.8.8.8", 0, FALSE },
	{ NULL, "h", "2600::1", 22, FALSE },
	/* a host by name */
	{ "crl.corp", "crl.corp", "10.1.2.3", 80, TRUE },
	{ "crl.corp", "CRL.Corp.", "10.1.2.3", 80, TRUE },
	{ "crl.corp.", "crl.corp", "10.1.2.3", 80, TRUE },
	{ "crl.corp", "x.crl.corp", "10.1.2.3", 80, FALSE },
	{ "crl.corp", "crl.corp.evil", "10.1.2.3", 80, FALSE },
	{ "crl.corp", NULL, "10.1.2.3", 80, FALSE },
	{ "crl.corp", "other", "10.1.2.3", 80, FALSE },
	{ "crl.corp", "crl.corp", "10.1.2.3", 8080, FALSE },
	{ "crl.corp:8080", "crl.corp", "10.1.2.3", 8080, TRUE },
	{ "crl.corp:8080", "crl.corp", "8.8.8.8", 8080, TRUE },
	{ "crl.corp:8080", "crl.corp", "10.1.2.3", 80, FALSE },
	{ "crl.corp:8080", "crl.corp", "8.8.8.8", 80, TRUE },
	{ "crl.corp:*", "crl.corp", "127.0.0.1", 25, TRUE },
	/* never, whoever says so */
	{ "crl.corp:*", "crl.corp", "0.0.0.0", 80, FALSE },
	{ "crl.corp:*", "crl.corp", "::", 80, FALSE },
	{ "crl.corp:*", "crl.corp", "224.0.0.1", 80, FALSE },
	{ "crl.corp:*", "crl.corp", "255.255.255.255", 80, FALSE },
	{ "0.0.0.0/0:*", "h", "0.0.0.0", 80, FALSE },
	{ "::/0:*", "h", "ff02::1", 80, FALSE },
	{ "::/0", "h", "::ffff:224.0.0.1", 80, FALSE },
	{ "[::]/0:*", "h", "64:ff9b::224.0.0.1", 80, FALSE },
	/* networks */
	{ "10.0.0.0/8", "h", "10.255.0.1", 80, TRUE },
	{ "10.0.0.0/8", "h", "11.0.0.1", 25, FALSE },
	{ "10.0.0.0/8", "h", "10.0.0.1", 25, FALSE },
	{ "10.0.0.0/8:25", "h", "10.0.0.1", 25, TRUE },
	{ "10.0.0.0/9", "h", "10.127.255.255", 80, TRUE },
	{ "10.0.0.0/9", "h", "10.128.0.0", 80, FALSE },
	{ "10.0.0.0/31", "h", "10.0.0.1", 80, TRUE },
	{ "10.0.0.0/31", "h", "10.0.0.2", 80, FALSE },
	{ "127.0.0.1", "h", "127.0.0.1", 80, TRUE },
	{ "127.0.0.1", "h", "127.0.0.2", 80, FALSE },
	{ "127.0.0.1:8080", "h", "127.0.0.1", 8080, TRUE },
	{ "127.0.0.1:8080", "h", "127.0.0.1", 8081, FALSE },
	{ "127.0.0.1:*", "h", "::ffff:127.0.0.1", 8081, TRUE },
	{ "::ffff:127.0.0.1", "h", "127.0.0.1", 80, TRUE },
	{ "127.0.0.1:*", "h", "::127.0.0.1", 80, FALSE },
	{ "127.0.0.1:*", "h", "64:ff9b::127.0.0.1", 80, FALSE },
	{ "127.0.0.1:*", "h", "2002:7f00:1::1", 80, FALSE },
	{ "2002:7f00:1::/48", "h", "2002:7f00:1::1", 80, TRUE },
	{ "fd00::/8", "h", "fd12::1", 80, TRUE },
	{ "fd00::/8", "h", "fc12::1", 80, FALSE },
	{ "[fd00::]/8:389", "h", "fd12::1", 389, TRUE },
	{ "[fd00::/8]:389", "h", "fd12::1", 80, FALSE },
	{ "[::1]:8080", "h", "::1", 8080, TRUE },
	{ "[::1]", "h", "::1", 80, TRUE },
	{ "::1", "h", "::1", 636, TRUE },
	{ "::1", "h", "127.0.0.1", 80, FALSE },
	{ "64:ff9b:1::/48", "h", "64:ff9b:1::a00:1", 80, TRUE },
	/* IPv4 networks say nothing of IPv6, and the other way round */
	{ "0.0.0.0/0", "h", "fd00::1", 80, FALSE },
	{ "::/0", "h", "10.0.0.1", 80, FALSE },
};

static void
test_allow(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(allow_cases); i++) {
		const char *allow[] = { allow_cases[i].allow, NULL };
		g_autoptr(GError) error = NULL;
		CLEANUP(address_guard)
		struct address_guard *guard = address_guard_new_checked(allow, &error);

		g_assert_no_error(error);
		g_test_message("%s: %s %s port %u", allow_cases[i].allow, allow_cases[i].host,
			       allow_cases[i].address, allow_cases[i].port);
		g_assert_cmpint(permits(guard, allow_cases[i].host, allow_cases[i].address,
					allow_cases[i].port, NULL),
				==, allow_cases[i].permitted);
	}
}

static void
test_entries_that_cannot_be_read(void)
{
	static const char *const bad[] = {
		"",           "10.0.0.0/33",  "10.0.0/8",    "10.0.0.0/",    "::/129",
		"a b",        "host:0",       "host:65536",  "host:x",       "host:",
		":80",        "127.0.0.1:",   "*.corp",      ".corp",        "256.1.1.1",
		"2130706433", "[::1",         "10.0.0.0/-1", "10.0.0.0/8/8", "http://h",
		"user@host",  "fe80::1%eth0", "0x7f.0.1",
	};

	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		const char *allow[] = { "good", bad[i], NULL };
		g_autoptr(GError) error = NULL;
		struct address_guard *guard = address_guard_new_checked(allow, &error);

		g_test_message("'%s'", bad[i]);
		g_assert_null(guard);
		g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
		/* The lenient form takes the good one and permits nothing for the bad one. */
		guard = address_guard_new(allow);
		g_assert_true(permits(guard, "good", "10.0.0.1", 80, NULL));
		g_assert_false(permits(guard, bad[i], "10.0.0.1", 80, NULL));
		address_guard_free(guard);
	}
}

static void
test_other_families(void)
{
	const struct sockaddr local = { .sa_family = AF_UNIX };
	const char *allow[] = { "h:*", NULL };
	CLEANUP(address_guard) struct address_guard *guard = address_guard_new(allow);
	g_autofree char *why = NULL;

	g_assert_false(address_guard_permits(guard, "h", &local, 80, &why));
	g_assert_cmpstr(why, ==, "leads to no internet address");
}

/* An entry without a port is of the usual ports: who wrote one must not read that there is none. */
static void
test_says_which_port(void)
{
	const char *allow[] = { "127.0.0.0/8", NULL };
	CLEANUP(address_guard) struct address_guard *guard = address_guard_new(allow);
	g_autofree char *why = NULL;

	g_assert_true(permits(guard, "h", "127.0.0.1", 80, NULL));
	g_assert_false(permits(guard, "h", "127.0.0.1", 8080, &why));
	g_assert_cmpstr(why, ==,
			"leads to a loopback address at port 8080, which fetch_allow does not name "
			"with this port");
}

static void
test_proxied(void)
{
	const char *allow[] = { "inner.corp:8080", "10.0.0.0/8", NULL };
	CLEANUP(address_guard) struct address_guard *guard = address_guard_new(allow);
	static const struct {
		const char *host;
		guint port;
		gboolean permitted;
	} cases[] = {
		{ "crl.example", 80, TRUE },       { "crl.example", 25, FALSE },
		{ "8.8.8.8", 80, TRUE },           { "127.0.0.1", 80, FALSE },
		{ "10.0.0.1", 80, TRUE },          { "::1", 80, FALSE },
		{ "::ffff:127.0.0.1", 80, FALSE }, { "localhost", 80, FALSE },
		{ "a.localhost.", 80, FALSE },     { "inner.corp", 8080, TRUE },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
		g_assert_cmpint(
		    address_guard_permits_proxied(guard, cases[i].host, cases[i].port, NULL), ==,
		    cases[i].permitted);
}

/* --- connecting, with a network of our own --- */

static struct {
	const char *answers[4]; /* of one look-up each, addresses split at blanks; the last stays */
	guint asked;
	guint port; /* of the server that public addresses lead to */
	guint diverted;
	GMutex lock;
	GCond changed;
	gboolean held; /* the resolver does not answer */
	guint waiting; /* look-ups that wait for it */
} stage;

/* As long as it is held. */
static void
wait_on_stage(void)
{
	g_mutex_lock(&stage.lock);
	stage.waiting++;
	while (stage.held)
		g_cond_wait(&stage.changed, &stage.lock);
	stage.waiting--;
	g_cond_broadcast(&stage.changed);
	g_mutex_unlock(&stage.lock);
}

static void
hold_stage(gboolean held)
{
	g_mutex_lock(&stage.lock);
	stage.held = held;
	g_cond_broadcast(&stage.changed);
	while (!held && stage.waiting > 0)
		g_cond_wait(&stage.changed, &stage.lock);
	g_mutex_unlock(&stage.lock);
}

static int
resolve_staged(const char *host, const char *service, const struct addrinfo *hints,
	       struct addrinfo **found)
{
	const char *answer = stage.answers[stage.asked];
	struct addrinfo **next = found;

	(void)host;
	(void)hints;
	wait_on_stage();
	if (stage.asked + 1 < G_N_ELEMENTS(stage.answers) && stage.answers[stage.asked + 1] != NULL)
		stage.asked++;
	if (answer == NULL)
		return EAI_NONAME;
	g_auto(GStrv) texts = g_strsplit(answer, " ", -1);
	*found = NULL;
	for (char **text = texts; *text != NULL; text++) {
		struct addrinfo *info = g_new0(struct addrinfo, 1);
		struct sockaddr_storage *storage = g_new0(struct sockaddr_storage, 1);

		info->ai_addrlen = sockaddr_of(*text, storage);
		((struct sockaddr_in *)storage)->sin_port = htons((guint16)atol(service));
		info->ai_addr = (struct sockaddr *)storage;
		info->ai_family = storage->ss_family;
		*next = info;
		next = &info->ai_next;
	}
	return 0;
}

static void
release_staged(struct addrinfo *found)
{
	while (found != NULL) {
		struct addrinfo *next = found->ai_next;

		g_free(found->ai_addr);
		g_free(found);
		found = next;
	}
}

static void
divert_staged(struct sockaddr *address)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;

	stage.diverted++;
	g_assert_cmpint(address->sa_family, ==, AF_INET);
	v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	v4->sin_port = htons((guint16)stage.port);
}

static const struct network staged = { resolve_staged, release_staged, divert_staged };

static int
listen_somewhere(guint *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
	g_assert_cmpint(listen(fd, 5), ==, 0);
	g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &length), ==, 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static int
connect_staged(const char *first, const char *second, GError **error)
{
	CLEANUP(address_guard) struct address_guard *guard = address_guard_new(NULL);

	stage.answers[0] = first;
	stage.answers[1] = second;
	stage.asked = 0;
	stage.diverted = 0;
	address_guard_set_network(guard, &staged);
	int fd = address_guard_connect(guard, "rebinding.example", 80, 2000, error);
	if (fd >= 0 && second != NULL) {
		close(fd);
		fd = address_guard_connect(guard, "rebinding.example", 80, 2000, error);
	}
	return fd;
}

static void
test_rebinding(void)
{
	g_autoptr(GError) error = NULL;
	int server = listen_somewhere(&stage.port);
	int fd = connect_staged("8.8.8.8", NULL, &error);

	g_assert_no_error(error);
	g_assert_cmpint(fd, >=, 0);
	close(fd);
	/* The name leads to a public address first and to this host then. */
	fd = connect_staged("8.8.8.8", "127.0.0.1", &error);
	g_assert_cmpint(fd, ==, -1);
	g_assert_error(error, PS_ERROR, PS_ERROR_DENIED);
	g_assert_nonnull(strstr(error->message, "loopback"));
	g_assert_cmpuint(stage.diverted, ==, 1);
	g_clear_error(&error);
	/* Of several addresses those that are refused are left out. */
	fd = connect_staged("127.0.0.1 10.0.0.1 8.8.8.8", NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpuint(stage.diverted, ==, 1);
	close(fd);
	close(server);
	fd = connect_staged("8.8.8.8", NULL, &error);
	g_assert_cmpint(fd, ==, -1);
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
	g_clear_error(&error);
	fd = connect_staged(NULL, NULL, &error);
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
}

/* A resolver that does not answer does not hold up for longer than the time that is given. */
static void
test_slow_resolver(void)
{
	CLEANUP(address_guard) struct address_guard *guard = address_guard_new(NULL);
	g_autoptr(GError) error = NULL;

	stage.answers[0] = "8.8.8.8";
	stage.answers[1] = NULL;
	stage.asked = 0;
	hold_stage(TRUE);
	address_guard_set_network(guard, &staged);
	g_assert_cmpint(address_guard_connect(guard, "slow.example", 80, 100, &error), ==, -1);
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
	hold_stage(FALSE);
	g_usleep(200 * 1000); /* the thread that was left behind ends by itself */
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/pki/address_guard/addresses", test_addresses);
	g_test_add_func("/pki/address_guard/carried", test_carried);
	g_test_add_func("/pki/address_guard/allow", test_allow);
	g_test_add_func("/pki/address_guard/bad-entries", test_entries_that_cannot_be_read);
	g_test_add_func("/pki/address_guard/other-families", test_other_families);
	g_test_add_func("/pki/address_guard/which-port", test_says_which_port);
	g_test_add_func("/pki/address_guard/proxied", test_proxied);
	g_test_add_func("/pki/address_guard/rebinding", test_rebinding);
	g_test_add_func("/pki/address_guard/slow-resolver", test_slow_resolver);
	return g_test_run();
}
