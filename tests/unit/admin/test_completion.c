/*
 * What can follow on a command line: nouns, verbs, options, choices, preferences, and what the
 * daemon knows.
 */
#include <string.h>

#include "admin/cli/completion.h"

/* Of each list two rows: "<column> one" and "<column> two"; thumbprints begin as was asked. */
static GPtrArray *
ask(enum operation_id list, const char *column, const char *argument, const char *value,
    gpointer data)
{
	GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);

	(void)list;
	(void)data;
	if (argument != NULL) {
		g_ptr_array_add(texts,
				g_strdup_printf("%s%s", value, "00112233445566778899aabbccddeeff"));
		return texts;
	}
	g_ptr_array_add(texts, g_strdup_printf("%s one", column));
	g_ptr_array_add(texts, g_strdup_printf("%s two", column));
	return texts;
}

static const struct {
	const char *proves;
	const char *typed; /* words parted by blanks; a blank at the end begins a new one */
	const char *found; /* of this, parted by commas; in any place */
	const char *not_found;
} rows[] = {
	{ "nouns and commands at first", "", "cert,setup,select,ca", "list" },
	{ "the beginning of a noun", "ce", "cert", "ca" },
	{ "verbs", "select ", "show,candidates,auto", "cert" },
	{ "options", "cert list --e", "--email,--expired", "--json" },
	{ "and those of all commands", "cert list --j", "--json", "--email" },
	{ "a password has two", "cert export --pass", "--password-file,--password-fd",
	  "--password" },
	{ "a choice as an option", "cert export --format ", "pem,der,pkcs7,pkcs12", "--json" },
	{ "and in one word", "cert export --format=pk", "--format=pkcs7,--format=pkcs12", "pem" },
	{ "and as bash parts it", "cert export --format = pk", "pkcs7,pkcs12", "pem" },
	{ "a choice in its place", "ctl add aabbccdd ", "allow,deny", "global" },
	{ "preferences of a user", "user set a@x encrypt_", "encrypt_mode", "domain_signer" },
	{ "preferences of a domain alone", "domain set x domain_", "domain_signer",
	  "encrypt_mode" },
	{ "values of the one that was named", "domain set x encrypt_mode ", "none,force", "on" },
	{ "presets", "domain preset x str", "strict", "encrypt_mode" },
	{ "CAs by name", "ca show ", "name one,name two", "global" },
	{ "an option's CA", "ca revoke --ca ", "name one,name two", "--yes" },
	{ "everybody, domains, users", "select show ", "global,name one", "show" },
	{ "numbers of requests", "request show ", "id one,id two", "show" },
	{ "keys by first digits", "key show ", "spki one", "show" },
	{ "certificates by what was typed", "cert show ab", "ab00112233445566", "cert" },
	{ "never all certificates", "cert show ", "", "thumbprint one" },
	{ "several of them", "cert delete aabbccdd ab", "ab00112233445566", "cert" },
	{ "options of before are passed over", "-c x --json cert list --exp", "--expired",
	  "--json" },
	{ "a flag takes no value", "cert list --pending --exp", "--expired", "--json" },
	{ "nothing for a file", "cert import ", "", "list" },
	{ "nothing after a wrong noun", "nonsense ", "", "list" },
	{ "nothing after the last place", "ca show x ", "", "name one" },
};

static gboolean
has(const GPtrArray *found, const char *word)
{
	for (guint i = 0; i < found->len; i++) {
		const char *text = g_ptr_array_index(found, i);
		gsize length = strlen(word);

		if (strncmp(text, word, length) == 0 &&
		    (text[length] == '\0' || text[length] == '\t'))
			return TRUE;
	}
	return FALSE;
}

static void
test_rows(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(GStrv) words = g_strsplit(rows[i].typed, " ", -1);
		g_auto(GStrv) wanted = g_strsplit(rows[i].found, ",", -1);
		const char *nothing[] = { "", NULL };
		g_autoptr(GPtrArray) found = completion_words(
		    words[0] != NULL ? (const char *const *)words : nothing, ask, NULL);

		g_test_message("%s: %u", rows[i].proves, found->len);
		for (char **word = wanted; *word != NULL; word++)
			if (**word != '\0')
				g_assert_true(has(found, *word));
		g_assert_false(has(found, rows[i].not_found));
		if (*rows[i].found == '\0')
			g_assert_cmpuint(found->len, ==, 0);
	}
}

/* No daemon: what the tables know is offered all the same. */
static void
test_alone(void)
{
	static const char *const words[] = { "select", "show", "", NULL };
	g_autoptr(GPtrArray) found = completion_words(words, NULL, NULL);

	g_assert_cmpuint(found->len, ==, 1);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/completion/what can follow", test_rows);
	g_test_add_func("/completion/without a daemon", test_alone);
	return g_test_run();
}
