/*
 * What is typed: options anywhere, positions in order, errors that say what was meant.
 */
#include <string.h>

#include "admin/cli/command_line.h"

static const struct {
	const char *proves;
	const char *words; /* split at blanks */
	const char *error; /* NULL: accepted */
} lines[] = {
	{ "a command without noun", "status", NULL },
	{ "global options before", "-c x.conf --json status", NULL },
	{ "global options behind", "cert list --json", NULL },
	{ "a value after =", "cert list --email=a@b.example", NULL },
	{ "a short option with its value", "-cx.conf status", NULL },
	{ "positions", "ctl add 0011 allow --comment ok", NULL },
	{ "options between positions", "ctl add --comment ok 0011 allow", NULL },
	{ "several at the end", "cert delete aa bb cc --yes", NULL },
	{ "-- ends options", "cert delete -- --odd", NULL },
	{ "- is a file", "message show -", NULL },
	{ "repeatable options", "explain --from a@b --to c@d --to e@f", NULL },
	{ "passwords by file", "key import a.p12 --password-file f", NULL },
	{ "help of a noun", "cert --help", NULL },
	{ "help of a verb without its arguments", "ctl add --help", NULL },
	{ "nothing", "", "no command given; see postseal --help" },
	{ "a noun alone", "cert", "cert: no verb given; see postseal cert --help" },
	{ "a wrong noun gets the nearest", "crt list",
	  "unknown command 'crt', did you mean 'cert'?" },
	{ "a wrong command too", "statsu", "unknown command 'statsu', did you mean 'status'?" },
	{ "nothing is near", "zzzzzz", "unknown command 'zzzzzz'; see postseal --help" },
	{ "a wrong verb gets the nearest", "cert lsit",
	  "cert: unknown verb 'lsit', did you mean 'list'?" },
	{ "a wrong option gets the nearest", "cert list --emial x",
	  "cert list: unknown option '--emial', did you mean '--email'?" },
	{ "a global one too", "cert list --jsno",
	  "cert list: unknown option '--jsno', did you mean '--json'?" },
	{ "a value is missing", "cert list --email", "cert list: --email needs a value" },
	{ "an argument is missing", "ctl add 0011", "ctl add: allow|deny is missing; see --help" },
	{ "one too many", "status x", "status: 'x' is one word too many; see --help" },
	{ "a required option", "notify test", "notify test: --to ADDR is missing" },
	{ "a word outside a choice", "cert list --expired maybe",
	  "cert list: --expired: 'maybe' is none of all|no|only" },
	{ "a password is no argument", "key import a.p12 --password x",
	  "key import: a password is no argument: use --password-file or --password-fd" },
	{ "an unknown letter", "status -x", "status: unknown option '-x'" },
	{ "foreign bytes are made printable", "sta\x1b[2Jtus",
	  "unknown command 'sta\\x1b[2Jtus'; see postseal --help" },
};

static struct command_line *
parse(const char *words, GError **error)
{
	g_auto(GStrv) list = g_strsplit(words, " ", -1);
	static const char *const none[] = { NULL };

	return command_line_parse(*words != '\0' ? (const char *const *)list : none, error);
}

static void
test_lines(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(lines); i++) {
		g_autoptr(GError) error = NULL;
		CLEANUP(command_line) struct command_line *line = NULL;

		g_test_message("%s", lines[i].proves);
		line = parse(lines[i].words, &error);
		g_assert_cmpstr(error != NULL ? error->message : NULL, ==, lines[i].error);
		g_assert_true((line != NULL) == (lines[i].error == NULL));
	}
}

static void
test_values(void)
{
	CLEANUP(command_line)
	struct command_line *line =
	    parse("--json ctl add --comment why 0011 allow --expired", NULL);

	g_assert_nonnull(line);
	g_assert_cmpint(line->format, ==, OUTPUT_JSON);
	g_assert_cmpstr(command_line_text(line, "cert"), ==, "0011");
	g_assert_cmpstr(command_line_text(line, "mark"), ==, "allow");
	g_assert_cmpstr(command_line_text(line, "comment"), ==, "why");
	g_assert_true(command_line_flag(line, "expired"));
	g_assert_null(command_line_text(line, "nothing"));
}

static void
test_several(void)
{
	CLEANUP(command_line) struct command_line *line = parse("cert delete aa bb --yes cc", NULL);
	g_autofree const char **certs = command_line_texts(line, "certs");

	g_assert_cmpstr(certs[0], ==, "aa");
	g_assert_cmpstr(certs[2], ==, "cc");
	g_assert_null(certs[3]);
}

static void
test_passwords(void)
{
	CLEANUP(command_line)
	struct command_line *line = parse("key import a.p12 --password-fd 3", NULL);

	g_assert_cmpstr(g_hash_table_lookup(line->password_fds, "password"), ==, "3");
	g_assert_null(g_hash_table_lookup(line->password_files, "password"));
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/command-line/lines", test_lines);
	g_test_add_func("/command-line/values", test_values);
	g_test_add_func("/command-line/several", test_several);
	g_test_add_func("/command-line/passwords", test_passwords);
	return g_test_run();
}
