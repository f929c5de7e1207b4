/*
 * The table of operations is consistent, and arguments are checked against it.
 */
#include <string.h>

#include "admin/api/arguments.h"
#include "admin/api/call.h"
#include "admin/cli/help.h"
#include "store/base/error.h"

static void
test_names_are_unique(void)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (enum operation_id id = 0; id < OPERATION_COUNT; id++) {
		const struct operation *operation = operation_at(id);
		char *name = operation_name(operation);

		g_test_message("%s", name);
		g_assert_true(operation == operation_find(operation->noun, operation->verb));
		g_assert_cmpint(operation_id_of(operation), ==, id);
		g_assert_true(g_hash_table_add(seen, name));
		g_assert_cmpstr(operation->summary, !=, "");
		g_assert_false(g_str_has_suffix(operation->summary, "."));
	}
}

static void
test_every_noun_has_a_summary(void)
{
	for (enum operation_id id = 0; id < OPERATION_COUNT; id++)
		if (*operation_at(id)->noun != '\0')
			g_assert_cmpstr(help_noun_summary(operation_at(id)->noun), !=, "");
}

static void
check_arguments_of(const struct operation *operation)
{
	gboolean rest = FALSE;
	gboolean optional = FALSE;
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

	for (const struct argument *a = operation->arguments; a->name != NULL; a++) {
		g_test_message("%s %s %s", operation->noun, operation->verb, a->name);
		g_assert_true(g_hash_table_add(seen, (gpointer)a->name));
		g_assert_cmpstr(a->help, !=, "");
		if (a->type == ARGUMENT_CHOICE)
			g_assert_nonnull(strchr(a->meta, '|'));
		if (a->type != ARGUMENT_FLAG && a->type != ARGUMENT_PASSWORD)
			g_assert_cmpstr(a->meta, !=, "");
		if (a->place == ARGUMENT_OPTION)
			continue;
		/* What takes all that is left stands last; nothing required after the optional. */
		g_assert_false(rest);
		g_assert_false(optional && a->required);
		rest = a->place == ARGUMENT_REST;
		optional = !a->required;
	}
}

static void
test_arguments_are_in_order(void)
{
	for (enum operation_id id = 0; id < OPERATION_COUNT; id++)
		check_arguments_of(operation_at(id));
}

static void
test_handlers_and_roles(void)
{
	for (enum operation_id id = 0; id < OPERATION_COUNT; id++) {
		const struct operation *operation = operation_at(id);

		g_assert_nonnull(handler_of(id));
		g_assert_true((operation->method == METHOD_FILE) ==
			      (operation->place == PLACE_CLIENT));
		g_assert_true((operation->role == ROLE_NOBODY) ==
			      (operation->method == METHOD_FILE));
		/* Nothing is changed by somebody who may only look. */
		if (operation->method == METHOD_CHANGE)
			g_assert_cmpint(operation->role, >=, ROLE_OPERATE);
	}
	static const enum operation_id of_keys[] = { OPERATION_KEY_IMPORT, OPERATION_KEY_EXPORT,
						     OPERATION_KEY_DELETE, OPERATION_KEY_ROTATE,
						     OPERATION_CA_CREATE,  OPERATION_DB_BACKUP,
						     OPERATION_DB_RESTORE, OPERATION_SETUP };
	for (gsize i = 0; i < G_N_ELEMENTS(of_keys); i++)
		g_assert_cmpint(operation_at(of_keys[i])->role, ==, ROLE_KEYS);
}

static void
test_help_names_every_option(void)
{
	for (enum operation_id id = 0; id < OPERATION_COUNT; id++) {
		const struct operation *operation = operation_at(id);
		g_autofree char *help = help_operation(operation);

		for (const struct argument *a = operation->arguments; a->name != NULL; a++)
			g_assert_nonnull(
			    strstr(help, a->place == ARGUMENT_OPTION ? a->name : a->meta));
	}
}

/* --- arguments --- */

static const struct {
	const char *proves;
	enum operation_id operation;
	enum arguments_source source;
	const char *arguments;
	const char *error; /* NULL: accepted */
} checks[] = {
	{ "nothing is required of a list", OPERATION_CERT_LIST, ARGUMENTS_FROM_SOCKET, "{}", NULL },
	{ "a text", OPERATION_CERT_LIST, ARGUMENTS_FROM_SOCKET, "{\"email\":\"a@b.example\"}",
	  NULL },
	{ "an unknown name gets the nearest one", OPERATION_CERT_LIST, ARGUMENTS_FROM_SOCKET,
	  "{\"emial\":\"a@b.example\"}", "unknown option '--emial', did you mean '--email'?" },
	{ "a number is no text", OPERATION_CERT_LIST, ARGUMENTS_FROM_SOCKET, "{\"email\":1}",
	  "--email has a value of the wrong kind" },
	{ "a NUL in a text is refused", OPERATION_CERT_LIST, ARGUMENTS_FROM_SOCKET,
	  "{\"email\":\"a\\u0000b\"}", "--email has a value of the wrong kind" },
	{ "a word outside the choice", OPERATION_CERT_LIST, ARGUMENTS_FROM_SOCKET,
	  "{\"expired\":\"maybe\"}", "--expired: 'maybe' is none of all|no|only" },
	{ "a flag is true or false", OPERATION_CERT_LIST, ARGUMENTS_FROM_SOCKET,
	  "{\"with-key\":\"yes\"}", "--with-key has a value of the wrong kind" },
	{ "what is required", OPERATION_CERT_SHOW, ARGUMENTS_FROM_SOCKET, "{}",
	  "FILE|CERT is missing" },
	{ "an empty list is nothing", OPERATION_CERT_SHOW, ARGUMENTS_FROM_SOCKET, "{\"certs\":[]}",
	  "FILE|CERT is missing" },
	{ "files have name and content", OPERATION_CERT_IMPORT, ARGUMENTS_FROM_SOCKET,
	  "{\"files\":[{\"name\":\"a\"}]}", "--files has a value of the wrong kind" },
	{ "a file", OPERATION_CERT_IMPORT, ARGUMENTS_FROM_SOCKET,
	  "{\"files\":[{\"name\":\"a\",\"content\":\"\"}]}", NULL },
	{ "nobody names a path over the socket", OPERATION_CONFIG_CHECK, ARGUMENTS_FROM_SOCKET,
	  "{\"file\":\"/etc/shadow\"}",
	  "--file names a file of this host: run the command as root" },
	{ "root may", OPERATION_CONFIG_CHECK, ARGUMENTS_FROM_ROOT, "{\"file\":\"/etc/x\"}", NULL },
	{ "a time", OPERATION_TRACE, ARGUMENTS_FROM_SOCKET, "{\"since\":\"2026-11-21\"}", NULL },
	{ "no time", OPERATION_TRACE, ARGUMENTS_FROM_SOCKET, "{\"since\":\"yesterday\"}",
	  "'yesterday' is not a time: write it as 2026-11-21T19:00:00Z" },
	{ "no object", OPERATION_TRACE, ARGUMENTS_FROM_SOCKET, "[]",
	  "the arguments are no JSON object" },
};

static void
test_arguments_check(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(checks); i++) {
		json_t *arguments = json_loads(checks[i].arguments, JSON_ALLOW_NUL, NULL);
		g_autoptr(GError) error = NULL;

		g_test_message("%s", checks[i].proves);
		g_assert_nonnull(arguments);
		gboolean good = arguments_check(operation_at(checks[i].operation), arguments,
						checks[i].source, &error);
		g_assert_cmpstr(error != NULL ? error->message : NULL, ==, checks[i].error);
		g_assert_true(good == (checks[i].error == NULL));
		json_decref(arguments);
	}
}

static void
test_secrets_stay_out_of_copies(void)
{
	json_t *arguments = json_loads("{\"password\":\"secret\",\"files\":[]}", 0, NULL);
	json_t *copy = arguments_without_secrets(operation_at(OPERATION_KEY_IMPORT), arguments);

	g_assert_null(json_object_get(copy, "password"));
	g_assert_nonnull(json_object_get(copy, "files"));
	json_decref(copy);
	json_decref(arguments);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/operations/names", test_names_are_unique);
	g_test_add_func("/operations/nouns", test_every_noun_has_a_summary);
	g_test_add_func("/operations/order", test_arguments_are_in_order);
	g_test_add_func("/operations/handlers", test_handlers_and_roles);
	g_test_add_func("/operations/help", test_help_names_every_option);
	g_test_add_func("/arguments/check", test_arguments_check);
	g_test_add_func("/arguments/secrets", test_secrets_stay_out_of_copies);
	return g_test_run();
}
