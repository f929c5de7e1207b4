/*
 * Addresses as they are compared: folded, unquoted, A-labels; and what is none.
 */
#include "store/base/mailaddr.h"

#include "store/base/error.h"

static void
test_keys(void)
{
	static const struct {
		const char *name, *text, *key; /* key NULL: not an address */
	} rows[] = {
		{ "as it is", "bob@example.com", "bob@example.com" },
		{ "in brackets", "<bob@example.com>", "bob@example.com" },
		{ "folded", "Bob@EXAMPLE.com", "bob@example.com" },
		{ "every mark of an atom", "!#$%&'*+-/=?^_`{|}~.@x.example",
		  "!#$%&'*+-/=?^_`{|}~.@x.example" },
		{ "quotes that are not needed", "\"bob\"@example.com", "bob@example.com" },
		{ "quotes that are", "\"Bob B\"@example.com", "\"bob b\"@example.com" },
		{ "an at sign in quotes", "\"a@b\"@example.com", "\"a@b\"@example.com" },
		{ "a final dot", "bob@example.com.", "bob@example.com" },
		{ "a domain that is not ASCII", "bob@b\303\274cher.example",
		  "bob@xn--bcher-kva.example" },
		{ "its A-label", "bob@XN--BCHER-KVA.example", "bob@xn--bcher-kva.example" },
		{ "a local part that is not ASCII, folded and composed", "JU\314\210RGEN@x.example",
		  "j\303\274rgen@x.example" },
		{ "a sign that only becomes ASCII, Kelvin", "\342\204\252im@x.example", NULL },
		{ "an address literal", "bob@[192.0.2.1]", "bob@[192.0.2.1]" },
		{ "nothing", "", NULL },
		{ "no domain", "bob", NULL },
		{ "no local part", "@example.com", NULL },
		{ "empty labels", "bob@example..com", NULL },
		{ "a blank", "bob b@example.com", NULL },
		{ "a line end", "bob@example.com\r\nX", NULL },
		{ "a control character", "b\001b@example.com", NULL },
		{ "not UTF-8", "b\377b@example.com", NULL },
		{ "an open quote", "\"bob@example.com", NULL },
		{ "two mailboxes", "a@x.example, b@x.example", NULL },
		{ "a name", "Bob <bob@example.com>", NULL },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(rows[i].text, &error);

		g_test_message("%s", rows[i].name);
		if (rows[i].key == NULL) {
			g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
			continue;
		}
		g_assert_no_error(error);
		g_assert_cmpstr(mailaddr_key(address), ==, rows[i].key);
	}
}

static void
test_limit(void)
{
	g_autofree char *local = g_strnfill(MAILADDR_MAX_BYTES - 9, 'a');
	g_autofree char *fits = g_strconcat(local, "@x.exampl", NULL);
	g_autofree char *large = g_strconcat(local, "@x.example", NULL);
	g_autoptr(GError) error = NULL;
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(fits, &error);

	g_assert_no_error(error);
	g_assert_nonnull(address);
	g_assert_null(mailaddr_parse(large, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
}

static void
test_tag(void)
{
	static const struct {
		const char *text, *untagged;
	} rows[] = {
		{ "bob+news@x.example", "bob@x.example" },
		{ "bob+a+b@x.example", "bob@x.example" },
		{ "bob@x.example", NULL },
		{ "+bob@x.example", NULL },
		{ "\"bob b+x\"@x.example", NULL },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(rows[i].text, NULL);
		g_autofree char *key = mailaddr_key_without_tag(address, '+');

		g_test_message("%s", rows[i].text);
		g_assert_cmpstr(key, ==, rows[i].untagged);
	}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/mailaddr/keys", test_keys);
	g_test_add_func("/mailaddr/limit", test_limit);
	g_test_add_func("/mailaddr/tag", test_tag);
	return g_test_run();
}
