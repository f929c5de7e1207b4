/*
 * LDAP URLs of RFC 4516 and those that Active Directory writes; escaping; and what no server is
 * asked for.
 */
#include "pki/net/ldap.h"

#include <string.h>

#include "pki/directory.h"
#include "store/base/error.h"
#include "store/base/secret.h"

static const struct {
	const char *url;
	gboolean tls;
	const char *host;
	guint port;
	const char *base, *attributes;
	enum ldap_depth depth;
	const char *filter;
} good[] = {
	{ "ldap://ldap.example.org", FALSE, "ldap.example.org", 389, "", "", LDAP_DEPTH_BASE,
	  "(objectClass=*)" },
	{ "LDAPS://Ldap.Example.ORG:1636/", TRUE, "ldap.example.org", 1636, "", "", LDAP_DEPTH_BASE,
	  "(objectClass=*)" },
	{ "ldaps://h", TRUE, "h", 636, "", "", LDAP_DEPTH_BASE, "(objectClass=*)" },
	{ "ldap://[2001:db8::7]:390/o=x", FALSE, "2001:db8::7", 390, "o=x", "", LDAP_DEPTH_BASE,
	  "(objectClass=*)" },
	/* the examples of RFC 4516 section 4 */
	{ "ldap:///o=University%20of%20Michigan,c=US", FALSE, NULL, 389,
	  "o=University of Michigan,c=US", "", LDAP_DEPTH_BASE, "(objectClass=*)" },
	{ "ldap://ldap1.example.net/o=University%20of%20Michigan,c=US?postalAddress", FALSE,
	  "ldap1.example.net", 389, "o=University of Michigan,c=US", "postalAddress",
	  LDAP_DEPTH_BASE, "(objectClass=*)" },
	{ "ldap://ldap1.example.net:6666/o=University%20of%20Michigan,c=US?\?sub?(cn=Babs%20Jensen)",
	  FALSE, "ldap1.example.net", 6666, "o=University of Michigan,c=US", "", LDAP_DEPTH_SUBTREE,
	  "(cn=Babs Jensen)" },
	{ "LDAP://ldap1.example.com/c=GB?objectClass?ONE", FALSE, "ldap1.example.com", 389, "c=GB",
	  "objectClass", LDAP_DEPTH_ONE, "(objectClass=*)" },
	{ "ldap://ldap2.example.com/o=Question%3f,c=US?mail", FALSE, "ldap2.example.com", 389,
	  "o=Question?,c=US", "mail", LDAP_DEPTH_BASE, "(objectClass=*)" },
	{ "ldap://ldap3.example.com/o=Babsco,c=US?\?\?(four-octet=%5c00%5c00%5c00%5c04)", FALSE,
	  "ldap3.example.com", 389, "o=Babsco,c=US", "", LDAP_DEPTH_BASE,
	  "(four-octet=\\00\\00\\00\\04)" },
	{ "ldap:///??sub??e-bindname=cn=Manager%2cdc=example%2cdc=com", FALSE, NULL, 389, "", "",
	  LDAP_DEPTH_SUBTREE, "(objectClass=*)" },
	/* Active Directory: no host, and a filter without its parentheses */
	{ "ldap:///CN=My%20CA,CN=host,CN=CDP,CN=Public%20Key%20Services,CN=Services,"
	  "CN=Configuration,DC=corp,DC=example?certificateRevocationList?base?"
	  "objectClass=cRLDistributionPoint",
	  FALSE, NULL, 389,
	  "CN=My CA,CN=host,CN=CDP,CN=Public Key Services,CN=Services,CN=Configuration,DC=corp,"
	  "DC=example",
	  "certificateRevocationList", LDAP_DEPTH_BASE, "(objectClass=cRLDistributionPoint)" },
	{ "ldap:///CN=CA?cACertificate;binary,crossCertificatePair?base?"
	  "objectClass=certificationAuthority",
	  FALSE, NULL, 389, "CN=CA", "cACertificate,crossCertificatePair", LDAP_DEPTH_BASE,
	  "(objectClass=certificationAuthority)" },
};

static const struct {
	const char *what, *url;
} bad[] = {
	{ "another scheme", "http://x/" },
	{ "no scheme", "x" },
	{ "nothing", "" },
	{ "user information", "ldap://user:secret@host/o=x" },
	{ "a port that is none", "ldap://h:0/" },
	{ "a port that is too large", "ldap://h:65536/" },
	{ "a port of letters", "ldap://h:ldap/" },
	{ "an empty port", "ldap://h:/" },
	{ "a host of blanks", "ldap://a b/" },
	{ "a host with a percent sign", "ldap://a%2fb/" },
	{ "a bracket that stays open", "ldap://[::1/" },
	{ "a name in brackets", "ldap://[host]/" },
	{ "a NUL", "ldap://h/o=%00x" },
	{ "a line end", "ldap://h/o=x?cn?base?(cn=%0d%0a)" },
	{ "bytes that are no text", "ldap://h/o=%ff%fe" },
	{ "a percent sign alone", "ldap://h/o=%zz" },
	{ "a scope that is none", "ldap://h/o=x?\?children" },
	{ "an empty filter", "ldap://h/o=x?\?\?%20" },
	{ "a filter of several parts without parentheses", "ldap://h/o=x?\?\?a=b)(c=d" },
	{ "a critical extension", "ldap://h/o=x?\?\?\?!bindname=cn=x" },
	{ "a critical extension, escaped", "ldap://h/o=x?\?\?\?a=b,%21c" },
	{ "too many parts", "ldap://h/o=x?a?sub?(a=b)?x?y" },
	{ "no path", "ldap://h?cn" },
	{ "an attribute without a name", "ldap://h/o=x?,cn" },
	{ "an option alone", "ldap://h/o=x?;binary" },
	{ "a strange attribute", "ldap://h/o=x?c%20n" },
	{ "a fragment", "ldap://h/o=x#y" },
};

static void
test_good(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
		g_autoptr(GError) error = NULL;
		CLEANUP(ldap_target)
		struct ldap_target *target = ldap_target_parse(good[i].url, &error);
		g_autofree char *attributes = NULL;

		g_test_message("%s", good[i].url);
		g_assert_no_error(error);
		attributes = g_strjoinv(",", target->attributes);
		g_assert_cmpint(target->tls, ==, good[i].tls);
		g_assert_cmpstr(target->host, ==, good[i].host);
		g_assert_cmpuint(target->port, ==, good[i].port);
		g_assert_cmpstr(target->base, ==, good[i].base);
		g_assert_cmpstr(attributes, ==, good[i].attributes);
		g_assert_cmpint(target->depth, ==, good[i].depth);
		g_assert_cmpstr(target->filter, ==, good[i].filter);
	}
}

static void
test_bad(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GError) error = NULL;
		struct ldap_target *target = ldap_target_parse(bad[i].url, &error);

		g_test_message("%s: %s", bad[i].what, bad[i].url);
		g_assert_null(target);
		g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
		g_assert_null(strstr(error->message, "secret"));
	}
}

static void
test_long(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *filler = g_strnfill(8192, 'x');
	g_autofree char *url = g_strconcat("ldap://h/", filler, NULL);

	g_assert_null(ldap_target_parse(url, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
}

static void
test_escape(void)
{
	static const struct {
		const char *text, *escaped;
	} rows[] = {
		{ "bob@example.org", "bob@example.org" }, { "a*b", "a\\2ab" },
		{ "x)(uid=*", "x\\29\\28uid=\\2a" },      { "back\\slash", "back\\5cslash" },
		{ "\xc3\xa4@x", "\\c3\\a4@x" },           { "\x01\x7f", "\\01\\7f" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *escaped = ldap_filter_escape(rows[i].text);
		g_assert_cmpstr(escaped, ==, rows[i].escaped);
	}
}

static void
test_filter(void)
{
	static const char *const refused[] = { "",          "mail=%s",    "(mail=x)",
					       "(mail=%s",  "(mail=%s))", "(mail=%s)x",
					       "(mail=%d)", "()%s",       "(mail=\n%s)" };
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse("\"a*)b\"@Example.org", NULL);
	g_autofree char *filter = directory_filter("(|(mail=%s)(proxyAddresses=smtp:%s))", address);

	g_assert_cmpstr(filter, ==,
			"(|(mail=\"a\\2a\\29b\"@example.org)(proxyAddresses=smtp:\"a\\2a\\29b\"@"
			"example.org))");
	g_assert_true(directory_filter_check("(|(mail=%s)(proxyAddresses=smtp:%s))", NULL));
	g_assert_true(directory_filter_check(DIRECTORY_FILTER_DEFAULT, NULL));
	for (gsize i = 0; i < G_N_ELEMENTS(refused); i++) {
		g_test_message("%s", refused[i]);
		g_assert_false(directory_filter_check(refused[i], NULL));
	}
}

/* No password in the clear, none that is empty, no URL without a host. */
static void
test_refused_before_asking(void)
{
	CLEANUP(secret) struct secret *password = secret_new_text("secret");
	CLEANUP(ldap_target) struct ldap_target *target = ldap_target_parse("ldap:///o=x", NULL);
	const char *const attributes[] = { "cACertificate", NULL };
	const struct ldap_server server = {
		.host = "127.0.0.1",
		.port = 1,
		.security = LDAP_SECURITY_NONE,
		.bind_dn = "cn=x",
		.password = password,
	};
	g_autoptr(GError) error = NULL;

	g_assert_null(ldap_client_open(&server, NULL, NULL, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_clear_error(&error);
	g_assert_null(ldap_fetch(target, attributes, NULL, NULL, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/ldap/url/good", test_good);
	g_test_add_func("/ldap/url/bad", test_bad);
	g_test_add_func("/ldap/url/too long", test_long);
	g_test_add_func("/ldap/filter/escaped", test_escape);
	g_test_add_func("/ldap/filter/of a directory", test_filter);
	g_test_add_func("/ldap/refused before asking", test_refused_before_asking);
	return g_test_run();
}
