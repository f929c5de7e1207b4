/* url: what is taken, in one spelling, and what is refused. */
#include <glib.h>
#include <string.h>

#include "pki/net/url.h"
#include "store/base/error.h"

static const struct {
	const char *text, *normal, *host;
	guint port;
	const char *rest;
} good[] = {
	{ "http://a.example/x.crl", "http://a.example/x.crl", "a.example", 80, "/x.crl" },
	{ "HTTP://A.Example/X.crl", "http://a.example/X.crl", "a.example", 80, "/X.crl" },
	{ "https://a.example", "https://a.example/", "a.example", 443, "/" },
	{ "http://a.example?q=1", "http://a.example/?q=1", "a.example", 80, "/?q=1" },
	{ "http://a.example:80/", "http://a.example/", "a.example", 80, "/" },
	{ "http://a.example:/", "http://a.example/", "a.example", 80, "/" },
	{ "http://a.example:8080/", "http://a.example:8080/", "a.example", 8080, "/" },
	{ "https://a.example:80/", "https://a.example:80/", "a.example", 80, "/" },
	{ "http://a.example./x", "http://a.example/x", "a.example", 80, "/x" },
	{ "http://a.example/x#frag", "http://a.example/x", "a.example", 80, "/x" },
	{ "http://a.example/x@y:z", "http://a.example/x@y:z", "a.example", 80, "/x@y:z" },
	{ "http://xn--bcher-kva.example/", "http://xn--bcher-kva.example/", "xn--bcher-kva.example",
	  80, "/" },
	{ "http://a_b.example/", "http://a_b.example/", "a_b.example", 80, "/" },
	{ "http://localhost/", "http://localhost/", "localhost", 80, "/" },
	{ "http://1.2.3.4/", "http://1.2.3.4/", "1.2.3.4", 80, "/" },
	{ "http://3com.example/", "http://3com.example/", "3com.example", 80, "/" },
	{ "http://[::1]/", "http://[::1]/", "::1", 80, "/" },
	{ "http://[2001:DB8:0:0::1]:8080/", "http://[2001:db8::1]:8080/", "2001:db8::1", 8080,
	  "/" },
	{ "http://[::ffff:127.0.0.1]/", "http://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1", 80, "/" },
	{ "ldap://d.example/cn=x?certificateRevocationList;binary?base",
	  "ldap://d.example/cn=x?certificateRevocationList;binary?base", "d.example", 389,
	  "/cn=x?certificateRevocationList;binary?base" },
	{ "ldap:///CN=X,DC=y?a?base?objectClass=z", "ldap:///CN=X,DC=y?a?base?objectClass=z", "",
	  389, "/CN=X,DC=y?a?base?objectClass=z" },
	{ "ldaps://d.example:636", "ldaps://d.example/", "d.example", 636, "/" },
};

static void
test_good(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
		g_autoptr(GError) error = NULL;
		CLEANUP(url) struct url *url = url_parse(good[i].text, &error);

		g_test_message("%s", good[i].text);
		g_assert_no_error(error);
		g_assert_cmpstr(url->text, ==, good[i].normal);
		g_assert_cmpstr(url->host, ==, good[i].host);
		g_assert_cmpuint(url->port, ==, good[i].port);
		g_assert_cmpstr(url->rest, ==, good[i].rest);
		/* Reading it again changes nothing. */
		CLEANUP(url) struct url *again = url_parse(url->text, &error);
		g_assert_no_error(error);
		g_assert_cmpstr(again->text, ==, url->text);
	}
}

static const char *const bad[] = {
	/* schemes */
	"",
	"a.example/x",
	"//a.example/x",
	"file:///etc/passwd",
	"ftp://a.example/",
	"gopher://a/",
	"http:/a.example/",
	"http:a.example",
	" http://a.example/",
	"javascript:alert(1)",
	"http",
	"http://",
	"http:///x",
	"https://?x",
	"dict://127.0.0.1:6379/",
	/* user info */
	"http://user@a.example/",
	"http://user:pw@a.example/",
	"http://@a.example/",
	"http://a.example:80@127.0.0.1/",
	"http://a.example%40b@c/",
	/* other spellings of addresses */
	"http://2130706433/",
	"http://0x7f000001/",
	"http://0x7f.0.0.1/",
	"http://0177.0.0.1/",
	"http://127.1/",
	"http://127.0.1/",
	"http://127.0.0.01/",
	"http://127.0.0.0x1/",
	"http://1.2.3.4.5/",
	"http://256.0.0.1/",
	"http://0x/",
	"http://a.0x1/",
	"http://[127.0.0.1]/",
	"http://[::1%25lo]/",
	"http://[fe80::1%25eth0]/",
	"http://[::1]x/",
	/* hosts */
	"http://.a.example/",
	"http://a..example/",
	"http://a.example../",
	"http://-a.example/",
	"http://a-.example/",
	"http://a%2eexample/",
	"http://a,b/",
	"http://a;b/",
	"http://a!b/",
	"http://b\303\274cher.example/",
	"http://a\tb/",
	"http://a b/",
	"http://a\\@b/",
	"http://127.0.0.1\\.a.example/",
	"http://./",
	"http://*/",
	"http://a&b/",
	/* ports */
	"http://a.example:0/",
	"http://a.example:65536/",
	"http://a.example:99999/",
	"http://a.example:+80/",
	"http://a.example:80a/",
	"http://a.example:8 0/",
	"http://a.example:000080/",
	"http://a.example:-1/",
	"http://a.example:80:80/",
	/* characters */
	"http://a.example/\r\nHost: b",
	"http://a.example/\x7f",
	"http://a.example/<x>",
	"http://a.example/a b",
	"http://a.example/%zz",
	"http://a.example/%2",
	"http://a.example/\302\240",
	"http://a.example/{address}",
};

static void
test_bad(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;
		struct url *url = url_parse(bad[i], &error);

		g_test_message("%s", bad[i]);
		g_assert_null(url);
		g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	}
}

static void
test_length(void)
{
	g_autofree char *path = g_strnfill(URL_MAX_BYTES - strlen("http://a.example/"), 'x');
	g_autofree char *fits = g_strconcat("http://a.example/", path, NULL);
	g_autofree char *longer = g_strconcat(fits, "x", NULL);
	g_autofree char *label = g_strnfill(64, 'a');
	g_autofree char *host = g_strconcat("http://", label, ".example/", NULL);
	CLEANUP(url) struct url *url = url_parse(fits, NULL);

	g_assert_nonnull(url);
	g_assert_null(url_parse(longer, NULL));
	g_assert_null(url_parse(host, NULL));
	label[63] = '\0';
	g_autofree char *shorter = g_strconcat("http://", label, ".example/", NULL);
	CLEANUP(url) struct url *short_url = url_parse(shorter, NULL);
	g_assert_nonnull(short_url);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/pki/url/good", test_good);
	g_test_add_func("/pki/url/bad", test_bad);
	g_test_add_func("/pki/url/length", test_length);
	return g_test_run();
}
