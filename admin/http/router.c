/*
 * router - routes of /v1.
 */
#include "admin/http/router.h"

#include <string.h>

#include "admin/api/dispatch.h"
#include "store/base/error.h"
#include "store/base/printable.h"

#define PREFIX "/v1/"

struct router {
	struct gateway *gateway;
	char *config_path;
	GMutex lock;
	struct role_groups *groups; /* replaced as a whole */
	GPtrArray *retired;         /* those of before: requests may still be reading them */
};

static void
groups_free(gpointer data)
{
	struct role_groups *groups = data;

	g_free((char *)groups->view);
	g_free((char *)groups->operate);
	g_free((char *)groups->keys);
	g_free(groups);
}

void
router_set_groups(struct router *router, const struct role_groups *groups)
{
	struct role_groups *copy = g_new0(struct role_groups, 1);

	copy->view = g_strdup(groups->view);
	copy->operate = g_strdup(groups->operate);
	copy->keys = g_strdup(groups->keys);
	g_mutex_lock(&router->lock);
	g_ptr_array_add(router->retired, copy);
	g_atomic_pointer_set(&router->groups, copy);
	g_mutex_unlock(&router->lock);
}

struct router *
router_new(struct gateway *gateway, const char *config_path, const struct role_groups *groups)
{
	struct router *router = g_new0(struct router, 1);

	router->gateway = gateway;
	router->config_path = g_strdup(config_path);
	router->retired = g_ptr_array_new_with_free_func(groups_free);
	g_mutex_init(&router->lock);
	router_set_groups(router, groups);
	return router;
}

void
router_free(struct router *router)
{
	if (router == NULL)
		return;
	g_ptr_array_unref(router->retired);
	g_mutex_clear(&router->lock);
	g_free(router->config_path);
	g_free(router);
}

static const struct operation *
route(const char *path, GError **error)
{
	const struct operation *operation = NULL;

	if (g_str_has_prefix(path, PREFIX)) {
		g_auto(GStrv) parts = g_strsplit(path + strlen(PREFIX), "/", 3);
		guint count = g_strv_length(parts);

		if (count == 1)
			operation = operation_find("", parts[0]);
		else if (count == 2)
			operation = operation_find(parts[0], parts[1]);
	}
	if (operation == NULL || operation->method == METHOD_FILE) {
		g_autofree char *safe = printable(path);
		return fail(error, PS_ERROR_NOT_FOUND, "%s: there is no such operation", safe);
	}
	return operation;
}

static void
answer_with(const struct dispatch_answer *answer, struct response *response)
{
	response->status = answer->status;
	response->exit_status = answer->exit_status;
	response->body = answer->body;
	response->content_type = "application/json";
}

void
router_handle(const struct request *request, struct response *response, gpointer data)
{
	struct router *router = data;
	struct dispatch_answer answer = { 0 };
	g_autoptr(GError) problem = NULL;
	const struct operation *operation = route(request->path, &problem);
	gboolean is_read = operation != NULL && operation->method == METHOD_READ;

	if (operation != NULL && strcmp(request->method, is_read ? "GET" : "POST") != 0) {
		fail(&problem, PS_ERROR_INVALID, "%s is asked for with %s", request->path,
		     is_read ? "GET" : "POST");
		dispatch_fail(problem, &answer);
		answer.status = 405;
		answer_with(&answer, response);
		return;
	}
	if (operation == NULL) {
		dispatch_fail(problem, &answer);
		answer_with(&answer, response);
		return;
	}
	g_autofree char *actor = peer_name(request->uid);
	struct dispatch_request asked = {
		.operation = operation,
		.query = is_read ? request->query : NULL,
		.body = is_read ? NULL : request->body,
		.id = request->id,
		.uid = (gint64)request->uid,
		.actor = actor,
		.role = peer_role(request->uid, g_atomic_pointer_get(&router->groups)),
		.source = ARGUMENTS_FROM_SOCKET,
	};
	dispatch(router->gateway, router->config_path, &asked, &answer);
	answer_with(&answer, response);
}
