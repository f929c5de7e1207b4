/*
 * run_files - calls with more files than one takes: piece by piece, printed as they are done.
 */
#include "admin/cli/run_internal.h"

#include <errno.h>
#include <string.h>

#include "admin/cli/output.h"
#include "admin/cli/output_list.h"
#include "admin/cli/upload.h"
#include "admin/cli/upload_pieces.h"
#include "store/base/error.h"

struct delivery {
	struct client *client;
	const struct command_line *line;
	struct upload_pieces *pieces;
	struct progress progress;
	struct output_list *list; /* NULL: nothing was printed yet */
	json_t *total;
	int exit_status;
};

static void
add_totals(json_t *sum, const json_t *more)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)more, name, value)
	{
		json_int_t number =
		    json_integer_value(json_object_get(sum, name)) + json_integer_value(value);

		json_object_set_new(sum, name, json_integer(number));
	}
}

static gboolean
fail_output(struct client_answer *answer)
{
	client_answer_clear(answer);
	answer->problem = g_strdup_printf("standard output: %s", g_strerror(errno));
	answer->exit_status = CLIENT_EXIT_FAILED;
	return FALSE;
}

/* The lines of this call. */
static gboolean
print_piece(struct delivery *delivery, struct client_answer *answer)
{
	g_autoptr(GString) text = g_string_new(NULL);

	if (delivery->list == NULL)
		delivery->list = output_list_new(delivery->line->operation->columns,
						 delivery->line->format, output_colour_of(stdout));
	progress_end(&delivery->progress);
	output_list_page(delivery->list, json_object_get(answer->document, "items"), text);
	add_totals(delivery->total, json_object_get(answer->document, "total"));
	delivery->exit_status = MAX(delivery->exit_status, (int)answer->exit_status);
	if (!run_print_text(text))
		return fail_output(answer);
	client_answer_clear(answer);
	return TRUE;
}

static void
print_end(struct delivery *delivery, struct client_answer *answer)
{
	g_autoptr(GString) text = g_string_new(NULL);

	output_list_end(delivery->list, delivery->total, text);
	if (!run_print_text(text)) {
		(void)fail_output(answer);
		return;
	}
	if (delivery->line->format == OUTPUT_TABLE)
		run_print_total(delivery->total);
	answer->document = json_null();
	answer->exit_status = (enum client_exit)delivery->exit_status;
}

/* FALSE: it is over, and *answer says how. What was printed stays true then as well. */
static gboolean
deliver_piece(struct delivery *delivery, const char *argument, json_t *arguments,
	      struct client_answer *answer)
{
	g_autoptr(GError) problem = NULL;
	json_t *files = upload_pieces_next(delivery->pieces, &problem);
	guint64 done, total;

	if (files == NULL) {
		run_fail(answer, problem);
		return FALSE;
	}
	json_object_set_new(arguments, argument, files);
	run_once(delivery->client, delivery->line, arguments, answer);
	gboolean left = upload_pieces_left(delivery->pieces);
	gboolean is_list = json_is_array(json_object_get(answer->document, "items"));
	if (answer->problem != NULL || !is_list || (!left && delivery->list == NULL))
		return FALSE;
	if (!print_piece(delivery, answer))
		return FALSE;
	upload_pieces_progress(delivery->pieces, &done, &total);
	progress_show(&delivery->progress, "sent, in KiB", (gsize)(done / 1024),
		      (gsize)(total / 1024));
	if (!left)
		print_end(delivery, answer);
	return left;
}

void
run_with_files(struct client *client, const struct command_line *line,
	       const struct argument *argument, json_t *arguments, struct client_answer *answer)
{
	g_autofree const char **named = command_line_texts(line, argument->name);
	g_autoptr(GError) problem = NULL;
	g_auto(GStrv) paths = upload_expand(named, &problem);

	if (paths == NULL) {
		run_fail(answer, problem);
		return;
	}
	CLEANUP(upload_pieces) struct upload_pieces *pieces = upload_pieces_new(paths);
	struct delivery delivery = { .client = client, .line = line, .pieces = pieces };
	delivery.total = json_object();
	progress_start(&delivery.progress);
	while (deliver_piece(&delivery, argument->name, arguments, answer)) {
	}
	progress_end(&delivery.progress);
	output_list_free(delivery.list);
	json_decref(delivery.total);
}
