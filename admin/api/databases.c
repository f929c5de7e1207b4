/*
 * databases - the noun db: schema, and everything into one encrypted file and back.
 */
#include "admin/api/change.h"
#include "admin/api/handlers.h"

#include "admin/api/temporary_server.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/config/settings.h"
#include "store/db/db.h"
#include "store/db/migrate.h"
#include "store/db/tx.h"

/* --- migrate --- */

static gboolean
audit_migration(struct tx *tx, gpointer data, GError **error)
{
	const struct call *call = data;
	struct actor actor = call_actor(call);

	return audit_admin(tx, &actor, "db migrate", "schema", NULL, error);
}

static json_t *
migrate_with(struct call *call, const struct settings *settings, GError **error)
{
	CLEANUP(db) struct db *db = db_open(settings, DB_ROLE_ADMIN, clock_system(), error);
	int from;
	int to;

	if (db == NULL || !migrate_run(db, &from, &to, error))
		return NULL;
	if (from != to && !db_transaction(db, audit_migration, call, error))
		return NULL;
	return json_pack("{s:i, s:i, s:s}", "from", from, "to", to, "result",
			 from == to ? "nothing to do" : "done");
}

json_t *
db_migrate(struct call *call, GError **error)
{
	CLEANUP(settings) struct settings *settings = NULL;
	struct temporary_server server;
	json_t *answer;

	if (call->gateway != NULL)
		return fail(error, PS_ERROR_DENIED, "run it as root on the gateway itself");
	settings = settings_load(call->config_path, error);
	if (settings == NULL || !temporary_server_start(&server, settings, error))
		return NULL;
	answer = migrate_with(call, settings, error);
	temporary_server_stop(&server);
	return answer;
}
