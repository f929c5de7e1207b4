/*
 * operations_gen - manual pages and completion from the table of operations, at build time.
 *
 *   operations_gen man            postseal(1)
 *   operations_gen man NOUN       postseal-NOUN(1)
 *   operations_gen bash|zsh|fish  completion, the same for all operations
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
	fputs(".SH \"SEE ALSO\"\n.BR postseal (1),\n.BR postseal.conf (5),\n"
	      ".BR postseal\\-preferences (7)\n",
	      stdout);
}

/* --- completion --- */

/* The shells know nothing themselves: the program says what can follow (admin/cli/completion.h).
 * Where it says nothing, a file is meant. */
static const char bash_text[] =
    "# bash completion of postseal(1): the program itself says what can follow\n"
    "_postseal()\n{\n"
    "\tlocal line current=${COMP_WORDS[COMP_CWORD]}\n"
    "\tlocal typed=(\"${COMP_WORDS[@]:1:COMP_CWORD}\")\n"
    "\tCOMPREPLY=()\n"
    "\twhile IFS= read -r line; do\n"
    "\t\tCOMPREPLY+=(\"$(printf '%q' \"${line%%$'\\t'*}\")\")\n"
    "\tdone < <(\"${COMP_WORDS[0]}\" complete -- \"${typed[@]//\\\\/}\" 2>/dev/null)\n"
    "\tif ((${#COMPREPLY[@]} == 0)); then\n"
    "\t\tcompopt -o filenames 2>/dev/null\n"
    "\t\t[[ $current == '=' ]] && current=\n"
    "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
    "\tfi\n}\n"
    "complete -F _postseal postseal\n";

static const char zsh_text[] =
    "#compdef postseal\n"
    "# the program itself says what can follow\n"
    "local -a found\n"
    "found=(${(f)\"$(${words[1]} complete -- \"${(@Q)words[2,CURRENT]}\" 2>/dev/null)\"})\n"
    "if (( $#found )); then\n\tcompadd -- ${found%%$'\\t'*}\nelse\n\t_files\nfi\n";

static const char fish_text[] =
    "# fish completion of postseal(1): the program itself says what can follow\n"
    "function __postseal_complete\n"
    "\tset -l typed (commandline -opc) (commandline -ct)\n"
    "\tset -l found ($typed[1] complete -- $typed[2..-1] 2>/dev/null)\n"
    "\tif test (count $found) -gt 0\n"
    "\t\tprintf '%s\\n' $found\n"
    "\telse\n"
    "\t\t__fish_complete_path (commandline -ct)\n"
    "\tend\nend\n"
    "complete -c postseal -f -a '(__postseal_complete)'\n";

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "man") == 0 && argc > 2 && operation_has_noun(argv[2]))
		man_noun(argv[2]);
	else if (strcmp(what, "man") == 0 && argc == 2)
		man_main();
	else if (strcmp(what, "bash") == 0)
		fputs(bash_text, stdout);
	else if (strcmp(what, "zsh") == 0)
		fputs(zsh_text, stdout);
	else if (strcmp(what, "fish") == 0)
		fputs(fish_text, stdout);
	else
		return EXIT_FAILURE;
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
