/*
 * client - sends one call to the daemon, or as root to postseald --operation, and takes the answer.
 *
 * A change carries an id that stays the same when the call is repeated because the connection
 * broke, so that it is not done twice. Threads: one.
 */
#ifndef ADMIN_CLI_CLIENT_H
#define ADMIN_CLI_CLIENT_H

#include <jansson.h>

#include "admin/api/operation.h"
#include "store/base/cleanup.h"

struct client;

enum client_exit {
	CLIENT_EXIT_DONE = 0,
	CLIENT_EXIT_FAILED = 1,
	CLIENT_EXIT_USAGE = 2,
	CLIENT_EXIT_UNREACHABLE = 3,
	CLIENT_EXIT_DENIED = 4,
	CLIENT_EXIT_NOT_FOUND = 5,
};

struct client_answer {
	enum client_exit exit_status;
	json_t *document; /* NULL on failure */
	char *problem;    /* one line on failure */
};

struct client *client_new(const char *socket_path, const char *config_path);
void client_free(struct client *client);
/* Always fills in *answer. */
void client_call(struct client *client, const struct operation *operation, const json_t *arguments,
		 struct client_answer *answer);
void client_answer_clear(struct client_answer *answer);
/* Will this call be done by postseald --operation? */
gboolean client_is_local(const struct operation *operation);

DEFINE_CLEANUP(client, client_free)

#endif
