/* transplant - see transplant.h. */
#include "admin/api/transplant.h"

#include "admin/api/change.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/config/settings.h"
#include "store/db/db.h"
#include "store/db/tx.h"

struct record {
	const struct call *call;
	const char *object;
};

static gboolean
write_audit(struct tx *tx, gpointer data, GError **error)
{
	const struct record *record = data;
	struct actor actor = call_actor(record->call);
	g_autofree char *name = operation_name(record->call->operation);

	return audit_admin(tx, &actor, name, record->object, NULL, error);
}

gboolean
transplant_check(const struct call *call, const struct settings *settings, const char *object,
		 gint64 *opened, GError **error)
{
	CLEANUP(db) struct db *db = db_open(settings, DB_ROLE_DAEMON, clock_system(), error);
	CLEANUP(keyring) struct keyring *keyring = NULL;
	struct record record = { call, object };

	if (db == NULL || !db_transaction(db, write_audit, &record, error))
		return FALSE;
	keyring = keyring_open(db, NULL, clock_system(), settings->master_key_file, NULL, error);
	if (keyring == NULL)
		return FALSE;
	if (keyring_verify_all(keyring, opened, error))
		return TRUE;
	g_prefix_error(error, "the data is there, but the master key of this host does not open "
			      "its private keys; put the right one in its place: ");
	return FALSE;
}
