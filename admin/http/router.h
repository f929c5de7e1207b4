/*
 * router - path and method -> operation, with the check of roles and arguments.
 *
 * Routes are /v1/NOUN/VERB and /v1/VERB. Errors are {"error": {"code": …, "message": …}}.
 * A METHOD_CHANGE needs an id (header Postseal-Request); the answer is stored under user, id and
 * a digest of what was asked, and a repeated request is answered from there. The same id with
 * another request is refused.
 */
#ifndef ADMIN_HTTP_ROUTER_H
#define ADMIN_HTTP_ROUTER_H

#include "admin/http/peer.h"
#include "admin/http/server.h"

struct gateway;
struct router;

struct router *router_new(struct gateway *gateway, const char *config_path,
			  const struct role_groups *groups);
void router_free(struct router *router);
/* After a reload. */
void router_set_groups(struct router *router, const struct role_groups *groups);
/* A server_handler; data is the router. */
void router_handle(const struct request *request, struct response *response, gpointer data);

DEFINE_CLEANUP(router, router_free)

#endif
