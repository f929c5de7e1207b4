/*
 * operations_gen - manual pages and completion from the table of operations, at build time.
 *
 *   operations_gen man            postseal(1)
 *   operations_gen man NOUN       postseal-NOUN(1)
 *   operations_gen bash|zsh|fish  completion
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/api/operation.h"
#include "admin/cli/help.h"

/* --- manual pages --- */

/* troff reads a leading dot or quote as a request, and backslashes and dashes as its own. */
static void
roff(const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", stdout);
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\\')
			fputs("\\e", stdout);
		else if (*p == '-')
			fputs("\\-", stdout);
		else
			putchar(*p);
	}
}

static void
heading(const char *page, const char *summary)
{
	g_autofree char *upper = g_ascii_strup(page, -1);

	printf(".TH %s 1 \"\" \"Postseal\" \"User commands\"\n.SH NAME\n", upper);
	roff(page);
	fputs(" \\- ", stdout);
	roff(summary);
	fputs("\n", stdout);
}

static void
argument_item(const struct argument *argument)
{
	fputs(".TP\n", stdout);
	if (argument->place != ARGUMENT_OPTION) {
		fputs(".I ", stdout);
		roff(argument->meta);
	} else if (argument->type == ARGUMENT_PASSWORD) {
		printf(".BR \\-\\-%s\\-file \" FILE, \" \\-\\-%s\\-fd \" N\"", argument->name,
		       argument->name);
	} else {
		fputs(".BI \"\\-\\-", stdout);
		roff(argument->name);
		fputs(argument->type == ARGUMENT_FLAG ? "\"" : " \" \"", stdout);
		if (argument->type != ARGUMENT_FLAG) {
			roff(argument->meta);
			putchar('"');
		}
	}
	putchar('\n');
	roff(argument->help);
	fputs(".\n", stdout);
}

static void
operation_section(const struct operation *operation)
{
	g_autofree char *name = operation_name(operation);
	g_autofree char *usage = help_usage(operation);

	fputs(".SS \"postseal ", stdout);
	roff(name);
	fputs("\"\n", stdout);
	if (*usage != '\0') {
		fputs(".I ", stdout);
		roff(usage);
		fputs("\n.PP\n", stdout);
	}
	roff(operation->summary);
	fputs(".\n", stdout);
	if (*operation->details != '\0') {
		roff(operation->details);
		putchar('\n');
	}
	if (operation->method != METHOD_FILE)
		printf("Needs the role %s.\n", role_name(operation->role));
	for (const struct argument *a = operation->arguments; a->name != NULL; a++)
		argument_item(a);
}

static void
common_sections(void)
{
	fputs(".SH \"OPTIONS OF ALL COMMANDS\"\n"
	      ".TP\n.B \\-\\-json\nOne JSON document on standard output.\n"
	      ".TP\n.B \\-\\-csv\nLists as CSV (RFC 4180); cells that a spreadsheet would take for "
	      "a formula are quoted.\n"
	      ".TP\n.BI \"\\-c, \\-\\-config \" FILE\nAnother settings file.\n"
	      ".TP\n.BI \"\\-\\-socket \" PATH\nAnother socket of the daemon.\n"
	      ".TP\n.B \"\\-h, \\-\\-help\"\nShow the usage and exit.\n"
	      ".SH \"EXIT STATUS\"\n"
	      ".TP\n.B 0\nDone, or the verdict is positive.\n"
	      ".TP\n.B 1\nRefused, failed, or the verdict is negative.\n"
	      ".TP\n.B 2\nWrong usage.\n"
	      ".TP\n.B 3\nThe daemon cannot be reached.\n"
	      ".TP\n.B 4\nNot permitted.\n"
	      ".TP\n.B 5\nNot found.\n",
	      stdout);
}

/* Every noun once, in the order of the table. */
static gboolean
is_first_of_noun(enum operation_id id)
{
	for (enum operation_id earlier = 0; earlier < id; earlier++)
		if (strcmp(operation_at(earlier)->noun, operation_at(id)->noun) == 0)
			return FALSE;
	return *operation_at(id)->noun != '\0';
}

static void
man_main(void)
{
	heading("postseal", "administer the S/MIME gateway");
	fputs(
	    ".SH SYNOPSIS\n.B postseal\n[\\fIOPTIONS\\fR] \\fINOUN VERB\\fR [\\fIARGUMENTS\\fR]\n"
	    ".SH DESCRIPTION\nA client of\n.BR postseald (8),\nwhich it reaches by a unix socket; "
	    "it "
	    "has neither the password of the database nor the master key. What somebody may do "
	    "is decided by his groups: the roles view, operate and keys are bound to groups in\n"
	    ".BR postseal.conf (5);\nroot has all of them.\nPasswords are read from the terminal, "
	    "from a file or from a descriptor, never from an argument.\n.SH COMMANDS\n",
	    stdout);
	for (enum operation_id id = 0; id < OPERATION_COUNT; id++)
		if (*operation_at(id)->noun == '\0')
			operation_section(operation_at(id));
	fputs(".SH NOUNS\n", stdout);
	for (enum operation_id id = 0; id < OPERATION_COUNT; id++) {
		if (!is_first_of_noun(id))
			continue;
		printf(".TP\n.BR postseal\\-%s (1)\n", operation_at(id)->noun);
		roff(help_noun_summary(operation_at(id)->noun));
		fputs(".\n", stdout);
	}
	common_sections();
	fputs(".SH \"SEE ALSO\"\n.BR postseald (8),\n.BR postseal\\-milter (8),\n"
	      ".BR postseal.conf (5)\n",
	      stdout);
}

static void
man_noun(const char *noun)
{
	g_autofree char *page = g_strconcat("postseal-", noun, NULL);

	heading(page, help_noun_summary(noun));
	printf(".SH SYNOPSIS\n.B postseal %s\n\\fIVERB\\fR [\\fIARGUMENTS\\fR]\n.SH VERBS\n", noun);
	for (enum operation_id id = 0; id < OPERATION_COUNT; id++)
		if (strcmp(operation_at(id)->noun, noun) == 0)
			operation_section(operation_at(id));
	common_sections();
	fputs(".SH \"SEE ALSO\"\n.BR postseal (1),\n.BR postseal.conf (5)\n", stdout);
}

/* --- completion --- */

static char *
words_first(void)
{
	GString *out = g_string_new(NULL);

	for (enum operation_id id = 0; id < OPERATION_COUNT; id++) {
		if (*operation_at(id)->noun == '\0')
			g_string_append_printf(out, "%s ", operation_at(id)->verb);
		else if (is_first_of_noun(id))
			g_string_append_printf(out, "%s ", operation_at(id)->noun);
	}
	return g_string_free(out, FALSE);
}

static char *
verbs_of(const char *noun)
{
	GString *out = g_string_new(NULL);

	for (enum operation_id id = 0; id < OPERATION_COUNT; id++)
		if (strcmp(operation_at(id)->noun, noun) == 0)
			g_string_append_printf(out, "%s ", operation_at(id)->verb);
	return g_string_free(out, FALSE);
}

static char *
options_of(const struct operation *operation)
{
	GString *out = g_string_new(NULL);

	for (const struct argument *a = operation->arguments; a->name != NULL; a++) {
		if (a->place != ARGUMENT_OPTION)
			continue;
		if (a->type == ARGUMENT_PASSWORD)
			g_string_append_printf(out, "--%s-file --%s-fd ", a->name, a->name);
		else
			g_string_append_printf(out, "--%s ", a->name);
	}
	g_string_append(out, "--json --csv --help");
	return g_string_free(out, FALSE);
}

/* "noun verb) words ;;" of a case, the same for bash and zsh. */
static void
cases(const char *before, const char *after)
{
	for (enum operation_id id = 0; id < OPERATION_COUNT; id++) {
		g_autofree char *name = operation_name(operation_at(id));
		g_autofree char *options = options_of(operation_at(id));

		printf("\t\"%s\") %s%s%s ;;\n", name, before, options, after);
	}
	for (enum operation_id id = 0; id < OPERATION_COUNT; id++) {
		if (!is_first_of_noun(id))
			continue;
		g_autofree char *verbs = verbs_of(operation_at(id)->noun);
		printf("\t\"%s\") %s%s%s ;;\n", operation_at(id)->noun, before, verbs, after);
	}
}

static void
bash(void)
{
	g_autofree char *first = words_first();

	fputs("# bash completion of postseal(1), made from the table of operations\n"
	      "_postseal()\n{\n\tlocal words= said= word i\n\tlocal "
	      "current=${COMP_WORDS[COMP_CWORD]}\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n\t\tword=${COMP_WORDS[i]}\n"
	      "\t\tcase $word in\n\t\t-c | --config | --socket) i=$((i + 1)) ;;\n\t\t-*) ;;\n"
	      "\t\t*) [[ $said == *' '* ]] || said=\"${said:+$said }$word\" ;;\n\t\tesac\n\tdone\n"
	      "\tcase $said in\n",
	      stdout);
	printf("\t\"\") words=\"%s\" ;;\n", first);
	cases("words=\"", "\"");
	fputs("\tesac\n"
	      "\tif [[ $current == -* || $said == '' || $said != *' '* ]]; then\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n\tfi\n"
	      "\t((${#COMPREPLY[@]})) || mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n}\n"
	      "complete -o filenames -F _postseal postseal\n",
	      stdout);
}

static void
zsh(void)
{
	g_autofree char *first = words_first();

	fputs("#compdef postseal\n# made from the table of operations\nlocal said= word list=\n"
	      "for word in ${words[2,CURRENT-1]}; do\n\t[[ $word == -* || $said == *' '* ]] || "
	      "said=\"${said:+$said }$word\"\ndone\ncase $said in\n",
	      stdout);
	printf("\t\"\") list=\"%s\" ;;\n", first);
	cases("list=\"", "\"");
	fputs("esac\ncompadd -- ${=list}\n_files\n", stdout);
}

static char *
fish_quoted(const char *text)
{
	g_auto(GStrv) parts = g_strsplit(text, "'", -1);

	return g_strjoinv("\\'", parts);
}

static void
fish_operation(const struct operation *operation)
{
	g_autofree char *summary = fish_quoted(operation->summary);
	g_autofree char *seen =
	    *operation->noun != '\0'
		? g_strdup_printf("__fish_seen_subcommand_from %s; and "
				  "__fish_seen_subcommand_from %s",
				  operation->noun, operation->verb)
		: g_strdup_printf("__fish_seen_subcommand_from %s", operation->verb);

	if (*operation->noun == '\0')
		printf("complete -c postseal -n __fish_use_subcommand -a %s -d '%s'\n",
		       operation->verb, summary);
	else
		printf("complete -c postseal -n '__fish_seen_subcommand_from %s' -a %s -d '%s'\n",
		       operation->noun, operation->verb, summary);
	for (const struct argument *a = operation->arguments; a->name != NULL; a++) {
		g_autofree char *help = fish_quoted(a->help);

		if (a->place != ARGUMENT_OPTION)
			continue;
		if (a->type == ARGUMENT_PASSWORD)
			printf("complete -c postseal -n '%s' -l %s-file -r -d '%s'\n", seen,
			       a->name, help);
		else
			printf("complete -c postseal -n '%s' -l %s %s-d '%s'\n", seen, a->name,
			       a->type == ARGUMENT_FLAG ? "" : "-r ", help);
	}
}

static void
fish(void)
{
	fputs("# fish completion of postseal(1), made from the table of operations\n", stdout);
	for (enum operation_id id = 0; id < OPERATION_COUNT; id++) {
		if (is_first_of_noun(id)) {
			g_autofree char *help =
			    fish_quoted(help_noun_summary(operation_at(id)->noun));
			printf("complete -c postseal -n __fish_use_subcommand -a %s -d '%s'\n",
			       operation_at(id)->noun, help);
		}
		fish_operation(operation_at(id));
	}
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "man") == 0 && argc > 2 && operation_has_noun(argv[2]))
		man_noun(argv[2]);
	else if (strcmp(what, "man") == 0 && argc == 2)
		man_main();
	else if (strcmp(what, "bash") == 0)
		bash();
	else if (strcmp(what, "zsh") == 0)
		zsh();
	else if (strcmp(what, "fish") == 0)
		fish();
	else
		return EXIT_FAILURE;
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
