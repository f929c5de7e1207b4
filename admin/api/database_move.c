/*
 * database_move - everything from the embedded cluster to an outside PostgreSQL.
 */
#include "admin/api/change.h"
#include "admin/api/handlers.h"

#include <string.h>

#include "admin/api/serving.h"
#include "admin/api/temporary_server.h"
#include "admin/api/transplant.h"
#include "milter/message/spool.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/config/settings.h"
#include "store/db/db.h"
#include "store/db/dump.h"
#include "store/db/embedded.h"
#include "store/db/migrate.h"
#include "store/db/tx.h"

#define SPOOL_MEMORY_BYTES ((gsize)16 * 1024 * 1024)

/* The settings as they will be. */
static struct settings *
target_settings(struct call *call, GError **error)
{
	const char *conninfo = call_text(call, "conninfo");
	CLEANUP(settings) struct settings *settings = NULL;

	if (strcmp(conninfo, "embedded") == 0)
		return fail(error, PS_ERROR_INVALID, "that is where everything is already");
	if (strstr(conninfo, "password=") != NULL)
		return fail(error, PS_ERROR_INVALID,
			    "a password does not belong into an argument: name a file of passwords "
			    "with passfile=PATH");
	settings = settings_load(call->config_path, error);
	if (settings == NULL || !settings_set(settings, "database", conninfo, error))
		return NULL;
	return g_steal_pointer(&settings);
}

static const struct statement move_present_statement = {
	"move_present",
	"SELECT (SELECT count(*) FROM certificate) + (SELECT count(*) FROM private_key)"
	" + (SELECT count(*) FROM scope WHERE kind <> 'global')",
};

/* What is there would be replaced: that is asked about. */
static gboolean
target_is_ours(struct call *call, struct db *target, json_t **question, GError **error)
{
	int from;
	int to;

	if (!migrate_run(target, &from, &to, error))
		return FALSE;
	CLEANUP(rows) struct rows *rows = db_query(target, &move_present_statement, NULL, error);
	if (rows == NULL)
		return FALSE;
	return rows_int(rows, 0, 0) == 0 ||
	       call_is_sure(call, question,
			    "that database holds a gateway's data, which would be "
			    "replaced");
}

static gboolean
copy_all(const struct settings *from, const struct settings *to, GError **error)
{
	CLEANUP(spool_area)
	struct spool_area *area =
	    spool_area_new(from->state_dir, SPOOL_MEMORY_BYTES, G_MAXUINT64 / 2, error);
	CLEANUP(spool) struct spool *all = NULL;
	CLEANUP(spool_reader) struct spool_reader *reader = NULL;

	if (area == NULL)
		return FALSE;
	all = spool_new(area);
	if (!dump_write(from, spool_sink(all), error) || !spool_seal(all, error))
		return FALSE;
	reader = spool_reader_new(all, 0, spool_size(all));
	return dump_restore(to, spool_reader_source(reader), error);
}

static json_t *
move_with(struct call *call, const struct settings *from, const struct settings *to, GError **error)
{
	CLEANUP(db) struct db *target = db_open(to, DB_ROLE_ADMIN, clock_system(), error);
	json_t *question = NULL;
	gint64 opened = 0;

	if (target == NULL || !serving_nobody(from, error))
		return NULL;
	if (!target_is_ours(call, target, &question, error))
		return question;
	if (!copy_all(from, to, error) || !transplant_check(call, to, "database", &opened, error))
		return NULL;
	return json_pack("{s:I, s:s, s:s}", "sealed_values_opened", (json_int_t)opened, "result",
			 "moved; the embedded database is as it was", "then",
			 "set database in postseal.conf to this connection string and start the "
			 "programs again");
}

json_t *
db_move(struct call *call, GError **error)
{
	CLEANUP(settings) struct settings *from = NULL;
	CLEANUP(settings) struct settings *to = NULL;
	struct temporary_server server;
	json_t *answer;

	if (call->gateway != NULL)
		return fail(error, PS_ERROR_DENIED, "run it as root on the gateway itself");
	from = settings_load(call->config_path, error);
	to = from != NULL ? target_settings(call, error) : NULL;
	if (to == NULL)
		return NULL;
	if (!embedded_wanted(from))
		return fail(error, PS_ERROR_INVALID,
			    "the settings name an outside database already: 'db backup' and "
			    "'db restore' take it elsewhere");
	if (!temporary_server_start(&server, from, error))
		return NULL;
	answer = move_with(call, from, to, error);
	temporary_server_stop(&server);
	return answer;
}
