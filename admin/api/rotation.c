/*
 * rotation - key rotate-master: a new generation in the key files, then everything sealed anew.
 *
 * The order keeps every program able to open everything at any moment: first both key files have
 * the new generation, then the job that seals under it is a row. The daemon and the filter read
 * their files again when they meet a generation that they do not know.
 */
#include "admin/api/change.h"
#include "admin/api/handlers.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pki/crypto/seal.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/config/settings.h"
#include "store/db/db.h"
#include "store/db/tx.h"
#include "store/jobs.h"

static unsigned int
newest_generation(const char *path, GError **error)
{
	CLEANUP(master_keys) struct master_keys *keys = master_keys_load(path, error);

	return keys != NULL ? master_keys_current(keys) : 0;
}

/* The copy belongs to the filter's user, as before. */
static gboolean
copy_to_milter(const struct settings *settings, GError **error)
{
	struct stat info;
	const char *to = settings->milter_master_key_file;
	gboolean there = stat(to, &info) == 0;

	if (!there)
		return TRUE; /* no filter on this host */
	if (!master_keys_copy(settings->master_key_file, to, 0600, error))
		return FALSE;
	if (geteuid() == 0 && chown(to, info.st_uid, info.st_gid) != 0)
		return fail_false(error, PS_ERROR_DENIED, "%s: %s", to, g_strerror(errno));
	return TRUE;
}

/* Adds a generation, unless an earlier run added one and did not come further. */
static unsigned int
prepare(const struct settings *settings, GError **error)
{
	const char *mine = settings->master_key_file;
	unsigned int newest = newest_generation(mine, error);
	unsigned int copied = newest;

	if (newest == 0)
		return 0;
	if (g_file_test(settings->milter_master_key_file, G_FILE_TEST_EXISTS)) {
		copied = newest_generation(settings->milter_master_key_file, error);
		if (copied == 0)
			return 0;
	}
	if (copied == newest && !master_keys_add_generation(mine, &newest, error))
		return 0;
	return copy_to_milter(settings, error) ? newest : 0;
}

struct beginning {
	const struct actor *actor;
	unsigned int generation;
};

static gboolean
begin_job(struct tx *tx, gpointer data, GError **error)
{
	const struct beginning *beginning = data;
	g_autofree char *detail = g_strdup_printf("generation %u", beginning->generation);

	return jobs_enqueue(tx, "rewrap", detail, NULL, tx_now(tx), error) &&
	       audit_admin(tx, beginning->actor, "key rotate-master", "master key", detail, error);
}

static gboolean
begin(struct call *call, const struct settings *settings, unsigned int generation, GError **error)
{
	struct actor actor = call_actor(call);
	struct beginning beginning = { &actor, generation };
	CLEANUP(db) struct db *db = db_open(settings, DB_ROLE_DAEMON, clock_system(), error);

	return db != NULL && db_transaction(db, begin_job, &beginning, error);
}

json_t *
key_rotate_master(struct call *call, GError **error)
{
	CLEANUP(settings) struct settings *settings = NULL;
	gboolean only_prepare = call_flag(call, "prepare");
	gboolean only_begin = call_flag(call, "begin");
	unsigned int generation;

	if (call->gateway != NULL)
		return fail(error, PS_ERROR_DENIED, "run it as root on the gateway itself");
	if (only_prepare && only_begin)
		return fail(error, PS_ERROR_INVALID, "--prepare and --begin are two steps");
	settings = settings_load(call->config_path, error);
	if (settings == NULL)
		return NULL;
	generation = only_begin ? newest_generation(settings->master_key_file, error)
				: prepare(settings, error);
	if (generation == 0 || (!only_prepare && !begin(call, settings, generation, error)))
		return NULL;
	return json_pack("{s:i, s:s, s:s}", "generation", (int)generation, "result",
			 only_prepare ? "written to the key files of this host"
				      : "the daemon seals everything anew; see 'job list --open'",
			 "keep_in_a_safe", settings->master_key_file);
}
