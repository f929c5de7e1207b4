/*
 * run - calls with their files and passwords; answers with their files.
 */
#include "admin/cli/run.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/api/arguments.h"
#include "admin/cli/bulk_wait.h"
#include "admin/cli/explain_text.h"
#include "admin/cli/fetch_wait.h"
#include "admin/cli/output.h"
#include "admin/cli/output_list.h"
#include "admin/cli/run_internal.h"
#include "admin/cli/upload.h"
#include "store/base/error.h"
#include "store/base/printable.h"

/* Large enough to be quick, small enough for an answer within seconds. */
#define PAGE_ROWS 500

/* --- arguments --- */

static gboolean
is_upload(const struct argument *argument)
{
	return argument->type == ARGUMENT_FILE || argument->type == ARGUMENT_FILES;
}

/* A path that only we use: --output of an operation that the daemon carries out. */
static gboolean
stays_here(const struct operation *operation, const struct argument *argument)
{
	return (argument->type == ARGUMENT_PATH || argument->type == ARGUMENT_PATHS) &&
	       !client_is_local(operation);
}

/* Paths are told to another process: make them absolute. */
static void
add_absolute(GPtrArray *texts)
{
	for (guint i = 0; i < texts->len; i++) {
		char *path = g_ptr_array_index(texts, i);

		if (strcmp(path, "-") == 0 || g_path_is_absolute(path))
			continue;
		texts->pdata[i] = g_canonicalize_filename(path, NULL);
		g_free(path);
	}
}

static json_t *
plain_arguments(const struct command_line *line, GError **error)
{
	g_autoptr(GHashTable) texts = g_hash_table_new(g_str_hash, g_str_equal);
	GHashTableIter at;
	gpointer name;
	gpointer values;

	g_hash_table_iter_init(&at, line->texts);
	while (g_hash_table_iter_next(&at, &name, &values)) {
		const struct argument *argument = operation_argument(line->operation, name);

		if (is_upload(argument) || stays_here(line->operation, argument))
			continue;
		if (argument->type == ARGUMENT_PATH || argument->type == ARGUMENT_PATHS)
			add_absolute(values);
		g_hash_table_insert(texts, name, values);
	}
	return arguments_from_texts(line->operation, texts, error);
}

/* A key file without a password option: worth asking for, if somebody is there. */
static gboolean
may_want_password(const struct command_line *line)
{
	g_autofree const char **files = command_line_texts(line, "files");

	if (!isatty(STDIN_FILENO))
		return FALSE;
	for (gsize i = 0; files[i] != NULL; i++)
		if (g_str_has_suffix(files[i], ".p12") || g_str_has_suffix(files[i], ".pfx"))
			return TRUE;
	return FALSE;
}

/* What is written with private keys wants a password, if somebody is there to be asked. */
static gboolean
writes_keys(const struct command_line *line)
{
	const char *format = operation_argument(line->operation, "format") != NULL
				 ? command_line_text(line, "format")
				 : NULL;

	return format != NULL && strcmp(format, "pkcs12") == 0 && isatty(STDIN_FILENO);
}

static gboolean
add_passwords(const struct command_line *line, json_t *arguments, GError **error)
{
	for (const struct argument *a = line->operation->arguments; a->name != NULL; a++) {
		g_autoptr(GError) problem = NULL;
		enum upload_ask ask = UPLOAD_ASK_NEVER;

		if (a->type != ARGUMENT_PASSWORD)
			continue;
		if (a->required || writes_keys(line))
			ask = UPLOAD_ASK_TWICE;
		else if (may_want_password(line))
			ask = UPLOAD_ASK_ONCE;
		g_autofree char *prompt =
		    g_strdup_printf("%c%s: ", g_ascii_toupper(a->name[0]), a->name + 1);
		CLEANUP(secret)
		struct secret *secret = upload_password(line, a->name, prompt, ask, &problem);
		if (problem != NULL) {
			g_propagate_error(error, g_steal_pointer(&problem));
			return FALSE;
		}
		if (secret != NULL)
			json_object_set_new(arguments, a->name, json_string(secret_text(secret)));
	}
	return TRUE;
}

static gboolean
add_single_files(const struct command_line *line, json_t *arguments, GError **error)
{
	for (const struct argument *a = line->operation->arguments; a->name != NULL; a++) {
		const char *path = command_line_text(line, a->name);

		if (a->type != ARGUMENT_FILE || path == NULL)
			continue;
		json_t *file = upload_file(path, error);
		if (file == NULL)
			return FALSE;
		json_object_set_new(arguments, a->name, file);
	}
	return TRUE;
}

/* --- calls --- */

void
run_fail(struct client_answer *answer, const GError *problem)
{
	answer->problem = g_strdup(problem->message);
	answer->exit_status = (enum client_exit)error_exit_status(problem);
}

/* Does the answer ask back, and is the reply yes? */
static gboolean
confirmed(const struct client_answer *answer)
{
	const char *question = json_string_value(json_object_get(answer->document, "confirm"));
	char reply[16];

	if (question == NULL || !isatty(STDIN_FILENO))
		return FALSE;
	g_autofree char *safe = printable_bytes(question, strlen(question), 4096);
	fprintf(stderr, "%s\nGo on? [y/N] ", safe);
	return fgets(reply, sizeof reply, stdin) != NULL && (reply[0] == 'y' || reply[0] == 'Y');
}

void
run_once(struct client *client, const struct command_line *line, json_t *arguments,
	 struct client_answer *answer)
{
	client_call(client, line->operation, arguments, answer);
	if (answer->document == NULL || json_object_get(answer->document, "confirm") == NULL)
		return;
	if (!confirmed(answer)) {
		const char *question =
		    json_string_value(json_object_get(answer->document, "confirm"));
		char *problem = g_strdup_printf("%s; add --yes to do it all the same", question);

		client_answer_clear(answer);
		answer->problem = problem;
		answer->exit_status = CLIENT_EXIT_FAILED;
		return;
	}
	client_answer_clear(answer);
	json_object_set_new(arguments, "yes", json_true());
	client_call(client, line->operation, arguments, answer);
}

void
run_call(struct client *client, const struct command_line *line, struct client_answer *answer)
{
	g_autoptr(GError) problem = NULL;
	const struct argument *files = NULL;
	json_t *arguments = plain_arguments(line, &problem);

	memset(answer, 0, sizeof *answer);
	for (const struct argument *a = line->operation->arguments; a->name != NULL; a++)
		if (a->type == ARGUMENT_FILES && command_line_text(line, a->name) != NULL)
			files = a;
	if (arguments == NULL || !add_passwords(line, arguments, &problem) ||
	    !add_single_files(line, arguments, &problem))
		run_fail(answer, problem);
	else if (files != NULL)
		run_with_files(client, line, files, arguments, answer);
	else
		run_once(client, line, arguments, answer);
	if (operation_id_of(line->operation) == OPERATION_CRL_UPDATE && answer->document != NULL &&
	    !json_is_true(json_object_get(arguments, "no-wait")) &&
	    !json_is_true(json_object_get(arguments, "forget")))
		fetch_wait(client, answer);
	if (operation_id_of(line->operation) == OPERATION_BULK_SUBMIT && answer->document != NULL &&
	    !json_is_true(json_object_get(arguments, "no-wait")))
		bulk_wait(client, answer);
	json_decref(arguments);
}

/* --- lists of any length --- */

gboolean
run_wants_all(const struct command_line *line)
{
	return operation_argument(line->operation, "after") != NULL &&
	       operation_argument(line->operation, "all") != NULL && command_line_flag(line, "all");
}

gboolean
run_print_text(GString *text)
{
	gboolean printed = fputs(text->str, stdout) >= 0 && fflush(stdout) == 0;

	g_string_truncate(text, 0);
	return printed;
}

/* One page; FALSE when it was the last one or something failed. */
static gboolean
next_page(struct client *client, const struct command_line *line, json_t *arguments,
	  struct output_list *list, struct client_answer *answer)
{
	g_autoptr(GString) text = g_string_new(NULL);

	client_call(client, line->operation, arguments, answer);
	if (answer->problem != NULL)
		return FALSE;
	const char *next = json_string_value(json_object_get(answer->document, "next"));
	output_list_page(list, json_object_get(answer->document, "items"), text);
	if (next != NULL)
		json_object_set_new(arguments, "after", json_string(next));
	else
		output_list_end(list, NULL, text);
	if (!run_print_text(text)) {
		answer->problem = g_strdup_printf("standard output: %s", g_strerror(errno));
		answer->exit_status = CLIENT_EXIT_FAILED;
		return FALSE;
	}
	if (next == NULL)
		return FALSE;
	client_answer_clear(answer);
	return TRUE;
}

void
run_all(struct client *client, const struct command_line *line, struct client_answer *answer)
{
	g_autoptr(GError) problem = NULL;
	json_t *arguments = plain_arguments(line, &problem);
	CLEANUP(output_list)
	struct output_list *list =
	    output_list_new(line->operation->columns, line->format, output_colour_of(stdout));

	memset(answer, 0, sizeof *answer);
	if (arguments == NULL) {
		run_fail(answer, problem);
		return;
	}
	json_object_del(arguments, "all");
	if (json_object_get(arguments, "limit") == NULL)
		json_object_set_new(arguments, "limit", json_integer(PAGE_ROWS));
	while (next_page(client, line, arguments, list, answer)) {
	}
	json_decref(arguments);
}

/* --- output --- */

/* Private keys may be in it: nobody else reads it. A file that is there is replaced. */
static gboolean
write_file(const char *path, const json_t *file, GError **error)
{
	const char *text = json_string_value(json_object_get(file, "content"));
	gsize length;
	guchar *bytes = g_base64_decode(text != NULL ? text : "", &length);
	gboolean written;

	if (path == NULL || strcmp(path, "-") == 0)
		written = fwrite(bytes, 1, length, stdout) == length && fflush(stdout) == 0;
	else
		written = g_file_set_contents_full(
		    path, (const char *)bytes, (gssize)length,
		    G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600, NULL);
	wipe(bytes, length);
	g_free(bytes);
	if (!written)
		return fail_false(error, PS_ERROR_TEMPORARY, "%s: cannot be written: %s",
				  path != NULL ? path : "standard output", g_strerror(errno));
	return TRUE;
}

/* *written: where they are now, as a document; the caller's. */
static gboolean
write_files(const json_t *files, const char *output, json_t **written, GError **error)
{
	json_t *paths = json_array();
	gboolean is_folder = output != NULL && g_file_test(output, G_FILE_TEST_IS_DIR);

	*written = json_pack("{s:o}", "files", paths);
	if (json_array_size(files) > 1 && !is_folder)
		return fail_false(error, PS_ERROR_INVALID,
				  "there are %zu files: --output must name a folder",
				  json_array_size(files));
	for (gsize i = 0; i < json_array_size(files); i++) {
		const json_t *file = json_array_get(files, i);
		g_autofree char *name =
		    g_path_get_basename(json_string_value(json_object_get(file, "name")));
		g_autofree char *path =
		    is_folder ? g_build_filename(output, name, NULL) : g_strdup(output);

		if (!write_file(path, file, error))
			return FALSE;
		if (path != NULL)
			json_array_append_new(paths, json_pack("{s:s}", "name", path));
	}
	return TRUE;
}

void
run_print_total(const json_t *total)
{
	GString *out = g_string_new(NULL);
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)total, name, value)
	{
		g_autofree char *label = g_strdup(name);

		g_string_append_printf(out, "%s%" JSON_INTEGER_FORMAT " %s",
				       out->len > 0 ? ", " : "", json_integer_value(value),
				       g_strdelimit(label, "_", ' '));
	}
	printf("%s\n", out->str);
	g_string_free(out, TRUE);
}

/* Outcomes that no message had are left out: there are some forty. */
static json_t *
without_zeros(const json_t *answer)
{
	json_t *copy = json_deep_copy(answer);
	json_t *messages = json_object_get(json_object_get(copy, "milter"), "messages");
	const char *name;
	json_t *value;
	void *next;

	json_object_foreach_safe(messages, next, name, value)
	{
		if (json_is_integer(value) && json_integer_value(value) == 0)
			json_object_del(messages, name);
	}
	return copy;
}

static gboolean
print_answer(const struct command_line *line, const json_t *answer)
{
	if (operation_id_of(line->operation) == OPERATION_STATUS && line->format != OUTPUT_JSON) {
		json_t *shorter = without_zeros(answer);
		gboolean printed = output_print("", shorter, line->format);

		json_decref(shorter);
		return printed;
	}
	if (operation_id_of(line->operation) != OPERATION_EXPLAIN || line->format == OUTPUT_JSON)
		return output_print(line->operation->columns, answer, line->format);
	g_autofree char *text = explain_text(answer, output_colour_of(stdout));
	return fputs(text, stdout) >= 0 && fflush(stdout) == 0;
}

/* With --json the files' place is the document, but where standard output is the file's. */
static gboolean
put_files(const struct command_line *line, const json_t *files, const char *output, GError **error)
{
	json_t *written = NULL;
	gboolean good = write_files(files, output, &written, error);

	if (good && line->format == OUTPUT_JSON && strcmp(output, "-") != 0 &&
	    !output_print("", written, OUTPUT_JSON))
		good =
		    fail_false(error, PS_ERROR_TEMPORARY, "standard output: %s", g_strerror(errno));
	json_decref(written);
	return good;
}

gboolean
run_print(const struct command_line *line, const json_t *answer, GError **error)
{
	const json_t *files = json_object_get(answer, "files");
	const json_t *total = json_object_get(answer, "total");
	const char *next = json_string_value(json_object_get(answer, "next"));
	const char *output = operation_argument(line->operation, "output") != NULL
				 ? command_line_text(line, "output")
				 : NULL;

	if (json_is_null(answer))
		return TRUE;
	if (json_is_array(files) && (line->format != OUTPUT_JSON || output != NULL))
		return put_files(line, files, output, error);
	if (!print_answer(line, answer))
		return fail_false(error, PS_ERROR_TEMPORARY, "standard output: %s",
				  g_strerror(errno));
	if (line->format == OUTPUT_TABLE && json_is_object(total))
		run_print_total(total);
	if (line->format == OUTPUT_TABLE && next != NULL)
		fprintf(stderr, "there are more: --after %s\n", next);
	return TRUE;
}
