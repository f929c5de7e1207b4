/*
 * help - usage texts. Also linked by the generators of manual and completion.
 */
#include "admin/cli/help.h"

#include <string.h>

#define COLUMN 28

static const struct {
	const char *noun;
	const char *summary;
} nouns[] = {
	{ "cert", "certificates of users and intermediates" },
	{ "key", "private keys" },
	{ "root", "roots, which all trust begins at" },
	{ "crl", "certificate revocation lists" },
	{ "directory", "LDAP servers that are asked for certificates of recipients" },
	{ "ctl", "the certificate trust list: allow or deny single certificates" },
	{ "user", "preferences of one mail address" },
	{ "domain", "preferences of a domain, or of all below it (*.example.com)" },
	{ "global", "preferences of everybody" },
	{ "select", "which certificates are used for whom" },
	{ "ca", "the built-in certification authorities" },
	{ "request", "requests for certificates" },
	{ "bulk", "requests by the thousand, from a CSV file" },
	{ "handler", "where certificates are requested: the settings of each CA" },
	{ "outbox", "keys and mail on their way to users" },
	{ "template", "the texts of the gateway's own mail" },
	{ "notify", "mail of the gateway itself" },
	{ "sms", "passwords by text message" },
	{ "job", "work in the background" },
	{ "audit", "who changed what, and when" },
	{ "db", "the database" },
	{ "config", "the settings file" },
	{ "message", "messages in files, without daemon and database" },
};

const char *
help_noun_summary(const char *noun)
{
	for (gsize i = 0; i < G_N_ELEMENTS(nouns); i++)
		if (strcmp(nouns[i].noun, noun) == 0)
			return nouns[i].summary;
	return "";
}

static void
append_row(GString *out, const char *left, const char *right)
{
	if (strlen(left) + 4 > COLUMN)
		g_string_append_printf(out, "  %s\n%*s%s\n", left, COLUMN, "", right);
	else
		g_string_append_printf(out, "  %-*s%s\n", COLUMN - 2, left, right);
}

static char *
option_text(const struct argument *argument)
{
	switch (argument->type) {
	case ARGUMENT_FLAG:
		return g_strdup_printf("--%s", argument->name);
	case ARGUMENT_PASSWORD:
		return g_strdup_printf("--%s-file FILE | --%s-fd N", argument->name,
				       argument->name);
	case ARGUMENT_TEXT:
	case ARGUMENT_INT:
	case ARGUMENT_TIME:
	case ARGUMENT_CHOICE:
	case ARGUMENT_LIST:
	case ARGUMENT_FILE:
	case ARGUMENT_FILES:
	case ARGUMENT_PATH:
	case ARGUMENT_PATHS:
		break;
	}
	return g_strdup_printf("--%s %s", argument->name, argument->meta);
}

static gboolean
is_repeatable(const struct argument *argument)
{
	return argument->type == ARGUMENT_LIST || argument->type == ARGUMENT_FILES ||
	       argument->type == ARGUMENT_PATHS || argument->place == ARGUMENT_REST;
}

char *
help_usage(const struct operation *operation)
{
	GString *out = g_string_new(NULL);

	for (const struct argument *a = operation->arguments; a->name != NULL; a++) {
		g_autofree char *text =
		    a->place == ARGUMENT_OPTION ? option_text(a) : g_strdup(a->meta);

		if (out->len > 0)
			g_string_append_c(out, ' ');
		g_string_append_printf(out, a->required ? "%s" : "[%s]", text);
		if (is_repeatable(a))
			g_string_append(out, "...");
	}
	return g_string_free(out, FALSE);
}

static void
append_globals(GString *out)
{
	append_row(out, "--json", "one JSON document on standard output");
	append_row(out, "--csv", "lists as CSV");
	append_row(out, "-c, --config FILE", "another settings file");
	append_row(out, "--socket PATH", "another socket of the daemon");
	append_row(out, "-h, --help", "this text");
}

char *
help_overview(void)
{
	GString *out = g_string_new("usage: postseal [OPTIONS] COMMAND [ARGUMENTS]\n\n");

	for (enum operation_id id = 0; id < OPERATION_COUNT; id++)
		if (*operation_at(id)->noun == '\0')
			append_row(out, operation_at(id)->verb, operation_at(id)->summary);
	g_string_append_c(out, '\n');
	for (gsize i = 0; i < G_N_ELEMENTS(nouns); i++)
		if (operation_has_noun(nouns[i].noun))
			append_row(out, nouns[i].noun, nouns[i].summary);
	g_string_append_c(out, '\n');
	append_globals(out);
	append_row(out, "--version", "the version of this program");
	g_string_append(out, "\n'postseal NOUN --help' shows the verbs of a noun.\n");
	return g_string_free(out, FALSE);
}

char *
help_noun(const char *noun)
{
	GString *out = g_string_new(NULL);

	g_string_append_printf(out, "usage: postseal %s VERB [ARGUMENTS]: %s\n\n", noun,
			       help_noun_summary(noun));
	for (enum operation_id id = 0; id < OPERATION_COUNT; id++)
		if (strcmp(operation_at(id)->noun, noun) == 0)
			append_row(out, operation_at(id)->verb, operation_at(id)->summary);
	g_string_append_printf(out, "\n'postseal %s VERB --help' shows the options of a verb.\n",
			       noun);
	return g_string_free(out, FALSE);
}

char *
help_operation(const struct operation *operation)
{
	GString *out = g_string_new(NULL);
	g_autofree char *name = operation_name(operation);
	g_autofree char *usage = help_usage(operation);

	g_string_append_printf(out, "usage: postseal %s %s\n\n%s\n", name, usage,
			       operation->summary);
	if (*operation->details != '\0')
		g_string_append_printf(out, "%s\n", operation->details);
	g_string_append_c(out, '\n');
	for (const struct argument *a = operation->arguments; a->name != NULL; a++) {
		g_autofree char *text =
		    a->place == ARGUMENT_OPTION ? option_text(a) : g_strdup(a->meta);
		append_row(out, text, a->help);
	}
	append_globals(out);
	return g_string_free(out, FALSE);
}
