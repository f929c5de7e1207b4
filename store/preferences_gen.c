/*
 * preferences_gen - prints the manual page of the preferences from preferences.def.
 * Runs at build time; needs no library.
 */
#include <stdio.h>
#include <string.h>

enum { SIDE_SENDER = 1, SIDE_RECIPIENT = 2, SIDE_BOTH = 3 };
enum { IN_USER = 1, IN_DOMAIN = 2, IN_GLOBAL = 4, IN_ALL = 7 };

/* A preference, or a value of the one before it (sentence NULL). */
struct row {
	const char *name;
	const char *type;
	const char *initial;
	int scopes, sides;
	const char *sentence;
};

static const struct row rows[] = {
#define PREFERENCE(id, name, type, initial, scopes, sides, sentence)                               \
	{ name, #type, initial, scopes, sides, sentence },
#define VALUE(preference, id, text) { text, NULL, NULL, 0, 0, NULL },
#include "store/preferences.def"
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* What a value is made of, where it is not one of a list. */
static const char *
kind_of(const char *type)
{
	static const char *const kinds[][2] = {
		{ "PREF_PATTERN", "a regular expression, or off" },
		{ "PREF_HEADER", "Field-Name: pattern, or off" },
		{ "PREF_SIZE", "a number of bytes, also with K, M or G behind it; 0 is no limit" },
		{ "PREF_ADDRESSES", "addresses or names with blanks between" },
		{ "PREF_PHONE", "an international number such as +4912345678" },
		{ "PREF_SECRET", "a secret, kept sealed and never shown in lists" },
		{ "PREF_CERTIFICATE", "the whole SHA-512 thumbprint of a certificate, or off" },
		{ "PREF_NAME", "a name of letters, digits and -_.:, or off" },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i][0], type) == 0)
			return kinds[i][1];
	return "printable text";
}

static void
print_roff(const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", stdout);
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else
			putchar(*text);
	}
}

static void
print_values(size_t at)
{
	if (at + 1 == ROWS || rows[at + 1].sentence != NULL) {
		print_roff(kind_of(rows[at].type));
		return;
	}
	for (size_t i = at + 1; i < ROWS && rows[i].sentence == NULL; i++) {
		if (i > at + 1)
			fputs(", ", stdout);
		fputs("\\fB", stdout);
		print_roff(rows[i].name);
		fputs("\\fR", stdout);
	}
}

static void
print_preference(size_t at)
{
	const struct row *row = &rows[at];

	fputs(".TP\n.B ", stdout);
	print_roff(row->name);
	fputs("\n", stdout);
	print_roff(row->sentence);
	fputs(".\n.br\nTakes ", stdout);
	print_values(at);
	fputs("; default: ", stdout);
	print_roff(*row->initial != '\0' ? row->initial : "none");
	printf(".\nOf %s", row->sides == SIDE_BOTH     ? "sender and recipient"
			   : row->sides == SIDE_SENDER ? "the sender"
						       : "the recipient");
	if (row->scopes != IN_ALL)
		printf("; set for%s%s%s alone", (row->scopes & IN_USER) != 0 ? " users" : "",
		       (row->scopes & IN_DOMAIN) != 0 ? " domains" : "",
		       (row->scopes & IN_GLOBAL) != 0 ? " everybody" : "");
	puts(".");
}

int
main(void)
{
	puts(".TH POSTSEAL\\-PREFERENCES 7 \"\" \"Postseal\" \"Administration\"\n.SH NAME\n"
	     "postseal\\-preferences \\- what is done with whose mail\n.SH DESCRIPTION\n"
	     "A preference is set for everybody, for a domain (example.com, or *.example.com for "
	     "all below it), or for one address; the nearest counts, and the default below where "
	     "none is set.\n"
	     ".B postseal user show\n"
	     "tells each value with where it comes from.\n"
	     "Values of a list stand from weak to strict. Of what is taken from sender and "
	     "recipient "
	     "the stricter counts.\n"
	     ".SH PREFERENCES");
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].sentence != NULL)
			print_preference(i);
	puts(".SH \"SEE ALSO\"\n.BR postseal\\-user (1),\n.BR postseal\\-domain (1),\n"
	     ".BR postseal\\-global (1),\n.BR postseal.conf (5)");
	return fflush(stdout) == 0 ? 0 : 1;
}
