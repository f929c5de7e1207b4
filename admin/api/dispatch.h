/*
 * dispatch - carries out one operation for one caller: role, arguments, once only, answer.
 *
 * The way in for both doors, the socket and postseald --operation. The answer is one JSON
 * document; an error is {"error": {"code": TEXT, "message": TEXT}} with the status and exit
 * status of store/base/error.h.
 */
#ifndef ADMIN_API_DISPATCH_H
#define ADMIN_API_DISPATCH_H

#include <glib.h>

#include "admin/api/arguments.h"
#include "admin/api/operation.h"

struct gateway;

struct dispatch_request {
	const struct operation *operation;
	GHashTable *query; /* for METHOD_READ over the socket; else NULL */
	GBytes *body;      /* JSON object; NULL with a query */
	const char *id;    /* of a METHOD_CHANGE over the socket */
	gint64 uid;
	const char *actor;
	enum role role;
	enum arguments_source source;
};

struct dispatch_answer {
	unsigned int status; /* HTTP */
	int exit_status;
	GBytes *body;
};

/* Always fills in *answer; its body is the caller's. */
void dispatch(struct gateway *gateway, const char *config_path,
	      const struct dispatch_request *request, struct dispatch_answer *answer);
void dispatch_fail(const GError *problem, struct dispatch_answer *answer);

#endif
