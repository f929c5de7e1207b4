/*
 * setting_up - setup: everything that a new gateway needs, and nothing twice.
 *
 * Steps in order: settings file, folders, master keys, database, schema, check that the master
 * key opens what is sealed. Each says what it found or made; the first that fails ends it.
 */
#include "admin/api/handlers.h"
#include "admin/api/temporary_server.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pki/crypto/seal.h"
#include "pki/keyring.h"
#include "store/base/error.h"
#include "store/config/settings.h"
#include "store/db/db.h"
#include "store/db/embedded.h"
#include "store/db/migrate.h"

struct setup {
	const char *path; /* of the settings file */
	struct settings *settings;
	json_t *steps;
	gboolean new_key;
};

static void
add_step(struct setup *setup, const char *step, const char *result)
{
	json_array_append_new(setup->steps,
			      json_pack("{s:s, s:o}", "step", step, "result", answer_text(result)));
}

/* --- the settings file --- */

static gboolean
write_settings(const char *path, const char *database, GError **error)
{
	g_autofree char *folder = g_path_get_dirname(path);
	g_autofree char *text =
	    g_strdup_printf("# Settings of Postseal; each is explained in postseal.conf(5) and by\n"
			    "# 'postseal config show'. What is not said here has its default.\n"
			    "\ndatabase = %s\n",
			    database);
	gboolean secret = strstr(database, "password") != NULL || strstr(database, "://") != NULL;

	if (g_mkdir_with_parents(folder, 0755) != 0)
		return fail_false(error, PS_ERROR_DENIED, "%s: %s", folder, g_strerror(errno));
	if (!g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT,
				      secret ? 0640 : 0644, error))
		return FALSE;
	return TRUE;
}

static gboolean
settings_step(struct setup *setup, const char *database, GError **error)
{
	gboolean there = g_file_test(setup->path, G_FILE_TEST_EXISTS);

	if (!there && !write_settings(setup->path, database != NULL ? database : "embedded", error))
		return FALSE;
	setup->settings = settings_load(setup->path, error);
	if (setup->settings == NULL)
		return FALSE;
	if (there && database != NULL && strcmp(database, setup->settings->database) != 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "%s says another database than --database: change the file, or "
				  "leave the option out",
				  setup->path);
	g_autofree char *result =
	    g_strdup_printf("%s %s", setup->path, there ? "was there" : "written");
	add_step(setup, "settings", result);
	return TRUE;
}

/* --- users and folders --- */

/* Without root everything belongs to who runs it (development). NULL with *error: no such user. */
static const struct passwd *
user_of(const char *name, GError **error)
{
	const struct passwd *user = geteuid() == 0 ? getpwnam(name) : getpwuid(geteuid());

	if (user == NULL)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "there is no user '%s': make it with systemd-sysusers, or with useradd "
			    "--system --user-group --no-create-home %s",
			    name, name);
	return user;
}

static gboolean
make_folder(const char *path, const char *user_name, mode_t mode, GError **error)
{
	const struct passwd *user = user_of(user_name, error);
	g_autofree char *parent = g_path_get_dirname(path);
	struct stat info;

	if (user == NULL)
		return FALSE;
	if (stat(path, &info) == 0)
		return TRUE;
	if (g_mkdir_with_parents(parent, 0755) != 0 || mkdir(path, mode) != 0 ||
	    chmod(path, mode) != 0)
		return fail_false(error, PS_ERROR_DENIED, "%s: cannot be made: %s", path,
				  g_strerror(errno));
	if (geteuid() == 0 && chown(path, user->pw_uid, user->pw_gid) != 0)
		return fail_false(error, PS_ERROR_DENIED, "%s: cannot be given to %s: %s", path,
				  user_name, g_strerror(errno));
	return TRUE;
}

static gboolean
make_below(const char *folder, const char *name, const char *user, mode_t mode, GError **error)
{
	g_autofree char *path = g_build_filename(folder, name, NULL);

	return make_folder(path, user, mode, error);
}

static gboolean
folders_step(struct setup *setup, GError **error)
{
	const struct settings *s = setup->settings;
	g_autofree char *socket_folder = g_path_get_dirname(s->api_socket);

	if (!make_below(s->state_dir, "daemon", s->daemon_user, 0700, error) ||
	    !make_below(s->state_dir, "milter", s->milter_user, 0700, error) ||
	    !make_below(s->run_dir, "daemon", s->daemon_user, 0755, error) ||
	    !make_below(s->run_dir, "milter", s->milter_user, 0755, error) ||
	    !make_folder(socket_folder, s->daemon_user, 0755, error))
		return FALSE;
	add_step(setup, "folders", "ready");
	return TRUE;
}

/* --- master keys --- */

static gboolean
give_file(const char *path, const char *user_name, GError **error)
{
	const struct passwd *user = user_of(user_name, error);

	if (user == NULL)
		return FALSE;
	if (chmod(path, 0600) != 0 ||
	    (geteuid() == 0 && chown(path, user->pw_uid, user->pw_gid) != 0))
		return fail_false(error, PS_ERROR_DENIED, "%s: cannot be given to %s: %s", path,
				  user_name, g_strerror(errno));
	return TRUE;
}

static gboolean
make_key_folder(const char *file, const char *user, GError **error)
{
	g_autofree char *folder = g_path_get_dirname(file);

	return make_folder(folder, user, 0700, error);
}

static gboolean
same_key(const char *one, const char *other, GError **error)
{
	CLEANUP(master_keys) struct master_keys *a = master_keys_load(one, error);
	CLEANUP(master_keys)
	struct master_keys *b = a != NULL ? master_keys_load(other, error) : NULL;

	if (b == NULL)
		return FALSE;
	g_autofree char *id_a = master_keys_id(a, master_keys_current(a));
	g_autofree char *id_b = master_keys_id(b, master_keys_current(b));
	if (strcmp(id_a, id_b) != 0)
		return fail_false(
		    error, PS_ERROR_INVALID,
		    "%s and %s hold different keys: copy the right one over the other", one, other);
	return TRUE;
}

static gboolean
copy_key(const char *from, const char *to, const char *user, GError **error)
{
	return make_key_folder(to, user, error) && master_keys_copy(from, to, 0600, error) &&
	       give_file(to, user, error);
}

static gboolean
keys_step(struct setup *setup, GError **error)
{
	const struct settings *s = setup->settings;
	const char *mine = s->master_key_file;
	const char *other = s->milter_master_key_file;
	gboolean has_mine = g_file_test(mine, G_FILE_TEST_EXISTS);
	gboolean has_other = g_file_test(other, G_FILE_TEST_EXISTS);

	if (has_mine && has_other) {
		add_step(setup, "master key", "was there");
		return same_key(mine, other, error);
	}
	if (!has_mine && has_other) {
		add_step(setup, "master key", "the daemon's copied from the milter's");
		return copy_key(other, mine, s->daemon_user, error);
	}
	if (!has_mine) {
		if (!make_key_folder(mine, s->daemon_user, error) ||
		    !master_keys_create(mine, error) || !give_file(mine, s->daemon_user, error))
			return FALSE;
		setup->new_key = TRUE;
	}
	add_step(setup, "master key", has_mine ? "the milter's copied from the daemon's" : "made");
	return copy_key(mine, other, s->milter_user, error);
}

/* --- database --- */

static gboolean
cluster_step(struct setup *setup, GError **error)
{
	const struct settings *s = setup->settings;

	if (!embedded_wanted(s)) {
		add_step(setup, "database", "an outside one, as the settings say");
		return TRUE;
	}
	if (embedded_exists(s)) {
		add_step(setup, "database", "was there");
		return TRUE;
	}
	if (!embedded_create(s, error))
		return FALSE;
	add_step(setup, "database", "made");
	return TRUE;
}

static gboolean
check_sealed(struct setup *setup, struct db *db, GError **error)
{
	struct keyring *keyring =
	    keyring_open(db, NULL, clock_system(), setup->settings->master_key_file, NULL, error);
	gint64 checked = 0;

	if (keyring == NULL)
		return FALSE;
	gboolean good = keyring_verify_all(keyring, &checked, error);
	keyring_free(keyring);
	if (!good) {
		g_prefix_error(error, "the master key does not fit the database: ");
		return FALSE;
	}
	g_autofree char *result =
	    g_strdup_printf("%" G_GINT64_FORMAT " sealed values, all open", checked);
	add_step(setup, "sealed values", result);
	return TRUE;
}

static gboolean
schema_step(struct setup *setup, GError **error)
{
	CLEANUP(db)
	struct db *admin = db_open(setup->settings, DB_ROLE_ADMIN, clock_system(), error);
	CLEANUP(db) struct db *db = NULL;
	int from;
	int to;

	if (admin == NULL || !migrate_run(admin, &from, &to, error))
		return FALSE;
	g_autofree char *result = from == to ? g_strdup_printf("version %d, was there", to)
					     : g_strdup_printf("from version %d to %d", from, to);
	add_step(setup, "schema", result);
	db = db_open(setup->settings, DB_ROLE_DAEMON, clock_system(), error);
	return db != NULL && check_sealed(setup, db, error);
}

/* The embedded server may be running under its supervisor, or not yet. */
static gboolean
database_step(struct setup *setup, GError **error)
{
	struct temporary_server server;

	if (!cluster_step(setup, error) || !temporary_server_start(&server, setup->settings, error))
		return FALSE;
	gboolean good = schema_step(setup, error);
	temporary_server_stop(&server);
	return good;
}

/* --- all --- */

static void
say_what_to_keep(const struct setup *setup, json_t *answer)
{
	g_autofree char *text = g_strdup_printf(
	    "%s: without it no private key of this gateway can ever be opened again. Copy it to a "
	    "place outside of this host and its backups, now; 'postseal db backup' does not hold "
	    "it.",
	    setup->settings->master_key_file);

	json_object_set_new(answer, "keep_in_a_safe", answer_text(text));
}

json_t *
setup_run(struct call *call, GError **error)
{
	struct setup setup = {
		.path = call->config_path != NULL ? call->config_path : SETTINGS_FILE,
		.steps = json_array(),
	};
	json_t *answer = NULL;

	if (call->gateway != NULL) {
		fail(error, PS_ERROR_DENIED, "run it as root on the gateway itself");
	} else if (settings_step(&setup, call_text(call, "database"), error) &&
		   folders_step(&setup, error) && keys_step(&setup, error) &&
		   database_step(&setup, error)) {
		answer = json_pack("{s:O}", "items", setup.steps);
		if (setup.new_key)
			say_what_to_keep(&setup, answer);
		json_object_set_new(answer, "then",
				    json_string("start postseal-db, postseald and postseal-milter, "
						"then run 'postseal doctor'"));
	}
	settings_unref(setup.settings);
	json_decref(setup.steps);
	return answer;
}
