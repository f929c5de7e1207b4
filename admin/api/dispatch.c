/*
 * dispatch - from bytes to a handler and back.
 */
#include "admin/api/dispatch.h"

#include <string.h>

#include "admin/api/call.h"
#include "admin/api/change.h"
#include "admin/api/json_memory.h"
#include "milter/gateway.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/db/changelog.h"
#include "store/base/printable.h"

#define ID_MAX_BYTES 128

static GBytes *
dump(const json_t *document)
{
	char *text = json_dumps(document, JSON_COMPACT | JSON_ENCODE_ANY);

	if (text == NULL)
		return g_bytes_new_static("{}", 2);
	/* It may hold a key or a password: not copied, and wiped when it is sent. */
	return g_bytes_new_with_free_func(text, strlen(text), (GDestroyNotify)json_memory_free,
					  text);
}

void
dispatch_fail(const GError *problem, struct dispatch_answer *answer)
{
	json_t *document = json_pack("{s:{s:s, s:o}}", "error", "code", error_code_name(problem),
				     "message", answer_text(problem->message));

	answer->status = error_http_status(problem);
	answer->exit_status = error_exit_status(problem);
	answer->body = dump(document);
	json_decref(document);
}

static json_t *
arguments_of(const struct dispatch_request *request, GError **error)
{
	json_error_t where;
	gsize length;

	if (request->body == NULL)
		return arguments_from_texts(request->operation, request->query, error);
	const char *text = g_bytes_get_data(request->body, &length);
	if (length == 0)
		return json_object();
	json_t *arguments = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
	if (arguments == NULL)
		return fail(error, PS_ERROR_INVALID, "the request is not JSON: line %d",
			    where.line);
	return arguments;
}

static gboolean
check_role(const struct dispatch_request *request, GError **error)
{
	g_autofree char *name = operation_name(request->operation);

	if (request->role >= request->operation->role)
		return TRUE;
	return fail_false(error, PS_ERROR_DENIED,
			  "%s: %s may not do this: it needs the role '%s' (a group, see doctor)",
			  name, request->actor, role_name(request->operation->role));
}

static gboolean
needs_id(const struct dispatch_request *request)
{
	return request->operation->method == METHOD_CHANGE &&
	       request->source == ARGUMENTS_FROM_SOCKET;
}

/* Who asks next sees what was done, and not a verdict from before. */
static void
see_own_changes(const struct gateway *gateway, const struct operation *operation)
{
	g_autoptr(GError) problem = NULL;

	if (gateway == NULL || operation->method != METHOD_CHANGE)
		return;
	if (!changelog_poll(gateway->changelog, &problem))
		log_warning("changes cannot be read", "reason", problem->message);
}

static void
run_handler(struct gateway *gateway, const char *config_path,
	    const struct dispatch_request *request, json_t *arguments,
	    struct dispatch_answer *answer)
{
	operation_handler handler = handler_of(operation_id_of(request->operation));
	g_autofree char *name = operation_name(request->operation);
	g_autoptr(GError) problem = NULL;
	struct call call = {
		.operation = request->operation,
		.gateway = gateway,
		.config_path = config_path,
		.actor = request->actor,
		.actor_uid = request->uid,
		.role = request->role,
		.arguments = arguments,
	};
	g_autofree char *digest = NULL;

	if (needs_id(request)) {
		digest = change_digest(request->operation, arguments);
		call.id = request->id;
		call.digest = digest;
	}
	json_t *result = change_repeated(&call, &problem);
	if (result == NULL && problem == NULL)
		result = handler(&call, &problem);
	see_own_changes(gateway, request->operation);
	if (result == NULL) {
		if (problem == NULL)
			fail(&problem, PS_ERROR_BUG, "%s: failed without a reason", name);
		log_info("operation failed", "operation", name, "actor", request->actor, "error",
			 problem->message);
		dispatch_fail(problem, answer);
		return;
	}
	answer->status = 200;
	answer->exit_status = call.exit_status;
	answer->body = dump(result);
	gboolean asks_back = json_object_get(result, "confirm") != NULL;
	json_decref(result);
	if (request->operation->method == METHOD_CHANGE && !asks_back)
		log_info("operation done", "operation", name, "actor", request->actor);
}

void
dispatch(struct gateway *gateway, const char *config_path, const struct dispatch_request *request,
	 struct dispatch_answer *answer)
{
	g_autoptr(GError) problem = NULL;
	json_t *arguments = NULL;

	if (!check_role(request, &problem)) {
		dispatch_fail(problem, answer);
		return;
	}
	if (needs_id(request) &&
	    (request->id == NULL || *request->id == '\0' || strlen(request->id) > ID_MAX_BYTES)) {
		fail(&problem, PS_ERROR_INVALID, "a change needs an id (header Postseal-Request)");
		dispatch_fail(problem, answer);
		return;
	}
	arguments = arguments_of(request, &problem);
	if (arguments == NULL ||
	    !arguments_check(request->operation, arguments, request->source, &problem))
		dispatch_fail(problem, answer);
	else
		run_handler(gateway, config_path, request, arguments, answer);
	json_decref(arguments);
}
