/*
 * settings_gen - prints the sample file ("sample") or the manual page ("man") from settings.def.
 * Runs at build time; needs no library.
 */
#include <stdio.h>
#include <string.h>

struct row {
	const char *section; /* of a heading; then the rest is NULL */
	const char *name;
	const char *type;
	const char *initial;
	const char *values;
	const char *programs;
	const char *when;
	const char *sentence;
};

static const struct row rows[] = {
#define SECTION(title) { title, NULL, NULL, NULL, NULL, NULL, NULL, NULL },
#define SETTING(name, type, initial, values, programs, when, sentence)                             \
	{ NULL, #name, #type, initial, values, #programs, #when, sentence },
#include "store/config/settings.def"
};

#define COLUMN_MAX 78

/* Comment lines of at most COLUMN_MAX characters. */
static void
print_wrapped(const char *text)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t length = strcspn(text, " ");
		if (column == 0 || column + 1 + length > COLUMN_MAX) {
			printf("%s# ", column == 0 ? "" : "\n");
			column = 2;
		} else {
			putchar(' ');
			column++;
		}
		printf("%.*s", (int)length, text);
		column += length;
		text += length;
		text += strspn(text, " ");
	}
	putchar('\n');
}

static void
print_sample(void)
{
	puts("# Settings of Postseal. Each line is 'name = value'; what is commented out has the\n"
	     "# value shown. See postseal.conf(5).");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].section != NULL) {
			printf("\n## %s\n", rows[i].section);
			continue;
		}
		putchar('\n');
		print_wrapped(rows[i].sentence);
		printf("# (%s)\n", rows[i].values);
		printf("#%s =%s%s\n", rows[i].name, *rows[i].initial != '\0' ? " " : "",
		       rows[i].initial);
	}
}

/* roff: a backslash, a hyphen and a dot or quote at the start of a line have meanings. */
static void
print_roff(const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", stdout);
	for (; *text != '\0'; text++) {
		if (*text == '-')
			fputs("\\-", stdout);
		else if (*text == '\\')
			fputs("\\e", stdout);
		else
			putchar(*text);
	}
}

static void
print_upper(const char *text)
{
	for (; *text != '\0'; text++)
		putchar(*text >= 'a' && *text <= 'z' ? *text - 'a' + 'A' : *text);
}

static const char *
reader(const char *programs)
{
	if (strcmp(programs, "DAEMON") == 0)
		return "postseald";
	if (strcmp(programs, "MILTER") == 0)
		return "postseal-milter";
	return strcmp(programs, "CLIENT") == 0 ? "postseal" : "all programs";
}

static void
print_setting(const struct row *row)
{
	fputs(".TP\n.BR ", stdout);
	print_roff(row->name);
	fputs(" \" = ", stdout);
	print_roff(row->initial);
	fputs("\"\n", stdout);
	print_roff(row->sentence);
	fputs("\n.br\nValues: ", stdout);
	print_roff(row->values);
	fputs(". Read by ", stdout);
	print_roff(reader(row->programs));
	printf("; a change takes effect with %s.\n",
	       strcmp(row->when, "RELOAD") == 0 ? "a reload" : "a restart");
}

static void
print_man(void)
{
	puts(".TH POSTSEAL.CONF 5 \"\" \"Postseal\" \"Postseal\"\n"
	     ".SH NAME\npostseal.conf \\- settings of Postseal\n"
	     ".SH DESCRIPTION\n"
	     "Each line is\n.IR name \" = \" value .\n"
	     "A # at the start of a line or after a blank begins a comment. A setting may be given "
	     "once; one that does not exist is refused, and the nearest name is offered. What is "
	     "not set has the default that is shown here.\n"
	     ".PP\n"
	     "Sizes have the units K, M, G and T (powers of 1024), durations s, m, h and d. "
	     "Switches are on or off. Members of lists are separated by blanks or commas. Paths "
	     "are absolute.\n"
	     ".PP\n"
	     "What depends on a user or a domain is a preference, in the database, not a setting.");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].section == NULL) {
			print_setting(&rows[i]);
			continue;
		}
		fputs(".SH ", stdout);
		print_upper(rows[i].section);
		putchar('\n');
	}
	puts(".SH FILES\n.I " PS_SYSCONFDIR "/postseal.conf\n"
	     ".SH SEE ALSO\n.BR postseal (1),\n.BR postseald (8),\n.BR postseal\\-milter (8)");
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "sample") == 0) {
		print_sample();
	} else if (argc == 2 && strcmp(argv[1], "man") == 0) {
		print_man();
	} else {
		fputs("usage: settings_gen sample|man\n", stderr);
		return 2;
	}
	return fflush(stdout) == 0 && ferror(stdout) == 0 ? 0 : 1;
}
