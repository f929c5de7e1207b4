/*
 * serving - who else is connected, as the server itself sees it.
 */
#include "admin/api/serving.h"

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/db.h"
#include "store/db/query.h"

#define WAIT_STEPS 20
#define STEP_US 100000

/* A site's own login in the connection string counts as well as our roles. */
static const struct statement serving_statement = {
	"serving",
	"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
	" AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
	" AND usename IN (current_user, 'postseal_daemon', 'postseal_milter', 'postseal_readonly')",
};

gboolean
serving_nobody(const struct settings *settings, GError **error)
{
	CLEANUP(db) struct db *db = db_open(settings, DB_ROLE_ADMIN, clock_system(), error);

	for (guint step = 0; db != NULL; step++) {
		CLEANUP(rows) struct rows *rows = db_query(db, &serving_statement, NULL, error);

		if (rows == NULL)
			return FALSE;
		if (rows_int(rows, 0, 0) == 0)
			return TRUE;
		if (step == WAIT_STEPS)
			return fail_false(
			    error, PS_ERROR_DENIED,
			    "the gateway is at work on this database (%" G_GINT64_FORMAT
			    " connections): stop postseald and every postseal-milter, "
			    "on other hosts too",
			    rows_int(rows, 0, 0));
		g_usleep(STEP_US);
	}
	return FALSE;
}
