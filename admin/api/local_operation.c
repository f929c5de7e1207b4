/*
 * local_operation - postseald --operation.
 */
#include "admin/api/local_operation.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/api/dispatch.h"
#include "admin/http/peer.h"
#include "milter/gateway.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/secret.h"
#include "store/config/settings.h"

#define INPUT_MAX_BYTES (64 * 1024 * 1024)

static GBytes *
read_input(GError **error)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	guint8 piece[65536];
	ssize_t got;

	while ((got = read(STDIN_FILENO, piece, sizeof piece)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 || bytes->len + (gsize)got > INPUT_MAX_BYTES)
			return fail(error, PS_ERROR_INVALID, "the arguments cannot be read");
		g_byte_array_append(bytes, piece, (guint)got);
	}
	wipe(piece, sizeof piece);
	return g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
}

static const struct operation *
find(const char *name, GError **error)
{
	g_auto(GStrv) words = g_strsplit(name, " ", 2);
	const struct operation *operation = g_strv_length(words) == 2
						? operation_find(words[0], words[1])
						: operation_find("", name);

	if (operation == NULL || operation->place != PLACE_LOCAL)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "%s: no operation that works without the "
			    "daemon",
			    name);
	return operation;
}

/* These bring what they need themselves: they are for when something is missing. */
static gboolean
does_without_gateway(const struct operation *operation)
{
	static const enum operation_id ids[] = {
		OPERATION_SETUP,       OPERATION_DOCTOR,     OPERATION_CONFIG_CHECK,
		OPERATION_CONFIG_SHOW, OPERATION_DB_MIGRATE, OPERATION_DB_BACKUP,
		OPERATION_DB_UPGRADE,  OPERATION_DB_RESTORE, OPERATION_DB_MOVE,
		OPERATION_KEY_ROTATE,
	};

	for (gsize i = 0; i < G_N_ELEMENTS(ids); i++)
		if (ids[i] == operation_id_of(operation))
			return TRUE;
	return FALSE;
}

static struct gateway *
open_gateway(const char *config_path, GError **error)
{
	struct settings *settings = settings_load(config_path, error);

	return settings != NULL ? gateway_open(settings, GATEWAY_DAEMON, error) : NULL;
}

static void
run(const char *config_path, const char *name, struct dispatch_answer *answer)
{
	g_autoptr(GError) problem = NULL;
	const struct operation *operation = find(name, &problem);
	g_autoptr(GBytes) body = operation != NULL ? read_input(&problem) : NULL;
	CLEANUP(gateway) struct gateway *gateway = NULL;
	g_autofree char *actor = peer_name(getuid());

	if (body != NULL && !does_without_gateway(operation))
		gateway = open_gateway(config_path, &problem);
	if (problem != NULL) {
		dispatch_fail(problem, answer);
		return;
	}
	/* Who may run this as another user has that user's rights on files and database: the
	 * role stops nobody here, and root is who is meant. */
	struct dispatch_request request = {
		.operation = operation,
		.body = body,
		.uid = (gint64)getuid(),
		.actor = actor,
		.role = ROLE_KEYS,
		.source = ARGUMENTS_FROM_ROOT,
	};
	dispatch(gateway, config_path, &request, answer);
}

int
local_operation_run(const char *config_path, const char *name)
{
	struct dispatch_answer answer = { 0 };
	gsize length;

	/* A child that ends before it has read its input is an error, not our end. */
	signal(SIGPIPE, SIG_IGN);
	log_start("postseald", LOG_TARGET_STDERR, LOG_LEVEL_WARNING);
	run(config_path, name, &answer);
	const char *text = g_bytes_get_data(answer.body, &length);
	printf("{\"exit\":%d,\"answer\":%.*s}\n", answer.exit_status, (int)length, text);
	g_bytes_unref(answer.body);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
