/*
 * command - a program of the site's own speaks to the CA (C18).
 *
 * It is run for each question with the action as its first argument, gets the question on standard
 * input and answers on standard output (command_message.h). Its exit status is 0 with an answer,
 * 75 when it should be asked again later, else it has failed. A submit that did not end in an
 * answer may have reached the CA: the next one says so (answer_was_lost). No secret is ever an
 * argument or in the environment. Threads: any.
 */
#include <string.h>
#include <sysexits.h>

#include "pki/crypto/cert.h"
#include "pki/handlers/command_message.h"
#include "pki/handlers/program.h"
#include "pki/handlers/table.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/requests.h"

static const struct handler_key keys[] = {
	{ "program", HANDLER_KEY_TEXT, "", "/path/of/the/program", TRUE,
	  "The program: an absolute path, a file that only its owner may write." },
	{ "arguments", HANDLER_KEY_LIST, "", "", FALSE,
	  "Further arguments, after the action; never a secret." },
	{ "settings", HANDLER_KEY_LIST, "", "NAME=VALUE ...", FALSE,
	  "What the program is told besides, on its standard input." },
	{ "secret", HANDLER_KEY_SECRET, "", "", FALSE,
	  "A password or key of the CA's interface, told on standard input alone." },
	{ "timeout", HANDLER_KEY_DURATION, "60s", "1s..10m", FALSE,
	  "After this the program and what it has started are killed." },
	{ "revokes", HANDLER_KEY_BOOL, "off", "", FALSE, "The program knows the action revoke." },
	{ "chain", HANDLER_KEY_BOOL, "off", "", FALSE, "The program knows the action chain." },
	{ .name = NULL },
};

static char *
command_lacks(const struct handler_context *context, GError **error G_GNUC_UNUSED)
{
	g_autoptr(GError) why = NULL;

	if (program_check(handler_config_text(context->config, "program"), &why))
		return NULL;
	return g_strdup(why->message);
}

static gboolean
goes_on(gpointer data)
{
	const struct handler_context *context = data;

	return context->stopping == NULL || !context->stopping(context->data);
}

static char **
argv_of(const struct handler_config *config, const char *action)
{
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

	g_strv_builder_add(builder, handler_config_text(config, "program"));
	g_strv_builder_add(builder, action);
	g_strv_builder_addv(builder, (const char **)handler_config_list(config, "arguments"));
	return g_strv_builder_end(builder);
}

/* What a program that gave no answer leaves behind: at a submit nobody knows. */
static gboolean
no_answer(gboolean may_have_acted, const char *why, struct handler_answer *answer)
{
	handler_answer_set(answer, HANDLER_RETRY,
			   may_have_acted ? HANDLER_ERROR_CONFLICT : HANDLER_ERROR_TRANSIENT, NULL,
			   "%s", why);
	return TRUE;
}

static gboolean
take_output(const struct handler_context *context, const struct program_result *result,
	    gboolean acts, struct handler_answer *answer)
{
	g_autoptr(GError) why = NULL;
	g_autofree char *said = NULL;

	if (result->status == EX_TEMPFAIL)
		return no_answer(
		    FALSE, *result->message != '\0' ? result->message : "the program says: later",
		    answer);
	if (result->status != 0) {
		said = g_strdup_printf("the program ended with status %d%s%s", result->status,
				       *result->message != '\0' ? ": " : "", result->message);
		return no_answer(acts, said, answer);
	}
	if (command_answer_read(result->output, clock_now(context->clock), answer, &why))
		return TRUE;
	handler_answer_clear(answer);
	return no_answer(acts, why->message, answer);
}

static gboolean
run(const struct handler_context *context, const char *action, gboolean acts, GBytes *question,
    struct handler_answer *answer)
{
	g_auto(GStrv) argv = argv_of(context->config, action);
	const struct program program = {
		.argv = (const char *const *)argv,
		.input = question,
		.timeout_seconds = (unsigned int)handler_config_seconds(context->config, "timeout"),
		.output_max_bytes = COMMAND_OUTPUT_MAX_BYTES,
		.waiting = goes_on,
		.waiting_data = (gpointer)context,
	};
	struct program_result result = { 0 };
	g_autoptr(GError) why = NULL;

	if (program_call(&program, &result, &why))
		take_output(context, &result, acts, answer);
	else if (g_error_matches(why, PS_ERROR, PS_ERROR_INVALID))
		handler_answer_set(answer, HANDLER_REJECTED, HANDLER_ERROR_CONFIG, NULL, "%s",
				   why->message);
	else
		no_answer(acts && result.started, why->message, answer);
	program_result_clear(&result);
	return TRUE;
}

static gboolean
command_submit(const struct handler_context *context, struct tx *tx G_GNUC_UNUSED,
	       const struct request_row *request, struct handler_answer *answer, GError **error)
{
	g_autoptr(GBytes) question = command_question("submit", context, request, NULL, error);

	return question != NULL && run(context, "submit", TRUE, question, answer);
}

static gboolean
command_poll(const struct handler_context *context, const struct request_row *request,
	     struct handler_answer *answer, GError **error)
{
	g_autoptr(GBytes) question = command_question("poll", context, request, NULL, error);

	return question != NULL && run(context, "poll", FALSE, question, answer);
}

static gboolean
command_revoke(const struct handler_context *context, struct tx *tx G_GNUC_UNUSED,
	       const struct handler_revocation *revocation, struct handler_answer *answer,
	       GError **error)
{
	if (!handler_config_bool(context->config, "revokes")) {
		handler_answer_set(answer, HANDLER_REJECTED, HANDLER_ERROR_CONFIG, NULL,
				   "the program does not revoke: see its setting revokes");
		return TRUE;
	}
	g_autoptr(GBytes) question = command_question("revoke", context, NULL, revocation, error);
	return question != NULL && run(context, "revoke", FALSE, question, answer);
}

static gboolean
command_check(const struct handler_context *context, struct handler_answer *answer, GError **error)
{
	g_autoptr(GBytes) question = command_question("check", context, NULL, NULL, error);

	return question != NULL && run(context, "check", FALSE, question, answer);
}

static GPtrArray *
command_chain(const struct handler_context *context, GError **error)
{
	struct handler_answer answer = { 0 };
	GPtrArray *certs = NULL;

	if (!handler_config_bool(context->config, "chain"))
		return fail(error, PS_ERROR_INVALID,
			    "the program does not know its chain: see its setting chain");
	g_autoptr(GBytes) question = command_question("chain", context, NULL, NULL, error);
	if (question == NULL)
		return NULL;
	run(context, "chain", FALSE, question, &answer);
	if (answer.status == HANDLER_ISSUED && answer.certs != NULL)
		certs = g_ptr_array_ref(answer.certs);
	else
		(void)fail(error, PS_ERROR_INVALID, "%s",
			   answer.text != NULL ? answer.text : "the program gave no chain");
	handler_answer_clear(&answer);
	return certs;
}

const struct handler handler_command = {
	.name = "command",
	.sentence = "a program of your own that speaks to the CA",
	.capabilities = { .revokes = TRUE,
			  .knows_chain = TRUE,
			  .csr_download = TRUE,
			  .csr_upload = TRUE,
			  .tests = TRUE,
			  .tls_names = TRUE },
	.keys = keys,
	.lacks = command_lacks,
	.submit = command_submit,
	.poll = command_poll,
	.revoke = command_revoke,
	.chain = command_chain,
	.check = command_check,
};
