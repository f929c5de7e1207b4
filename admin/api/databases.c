/*
 * databases - the noun db: schema, and everything into one encrypted file and back.
 */
#include "admin/api/change.h"
#include "admin/api/handlers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/api/serving.h"
#include "admin/api/temporary_server.h"
#include "admin/api/transplant.h"
#include "milter/message/spool.h"
#include "pki/crypto/cms_decrypt.h"
#include "pki/crypto/cms_encrypt.h"
#include "pki/file_verify.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/certs.h"
#include "store/config/settings.h"
#include "store/db/db.h"
#include "store/db/dump.h"
#include "store/db/embedded.h"
#include "store/db/migrate.h"
#include "store/db/tx.h"
#include "store/restored.h"

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

	if (db == NULL || !migrate_run(db, &from, &to, error) || !certs_search_indexes(db, error))
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

json_t *
db_upgrade(struct call *call, GError **error)
{
	CLEANUP(settings) struct settings *settings = NULL;
	int from;
	int to;

	if (call->gateway != NULL)
		return fail(error, PS_ERROR_DENIED, "run it as root on the gateway itself");
	settings = settings_load(call->config_path, error);
	if (settings == NULL)
		return NULL;
	if (!embedded_wanted(settings))
		return fail(error, PS_ERROR_INVALID,
			    "the settings name an outside database: upgrade it where it runs");
	from = embedded_cluster_major(settings, error);
	if (from == 0 || !embedded_upgrade(settings, call_text(call, "postgres-bin"), error))
		return NULL;
	to = embedded_cluster_major(settings, error);
	return to != 0 ? json_pack("{s:i, s:i, s:s}", "from", from, "to", to, "then",
				   "start postseal-db again and run 'postseal doctor'")
		       : NULL;
}

/* --- files of a backup --- */

struct file_sink {
	struct sink sink;
	int fd;
	guint64 size;
	const char *path;
};

static gboolean
file_write(struct sink *sink, gconstpointer bytes, gsize length, GError **error)
{
	struct file_sink *self = (struct file_sink *)sink;
	const char *p = bytes;

	self->size += length;
	while (length > 0) {
		ssize_t written = write(self->fd, p, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return fail_false(error, PS_ERROR_TEMPORARY, "%s: %s", self->path,
					  g_strerror(errno));
		p += written;
		length -= (gsize)written;
	}
	return TRUE;
}

struct file_source {
	struct source source;
	int fd;
	const char *path;
	guint8 piece[65536];
};

static gboolean
file_next(struct source *source, const guint8 **bytes, gsize *length, GError **error)
{
	struct file_source *self = (struct file_source *)source;
	ssize_t got;

	do
		got = read(self->fd, self->piece, sizeof self->piece);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return fail_false(error, PS_ERROR_TEMPORARY, "%s: %s", self->path,
				  g_strerror(errno));
	*bytes = self->piece;
	*length = (gsize)got;
	return TRUE;
}

/* --- backup --- */

static gboolean
dump_encrypted(const struct settings *settings, const struct cms_recipient *recipients, gsize count,
	       const struct secret *password, struct sink *out, GError **error)
{
	struct cms_encrypt_options options = {
		.cipher = CMS_CIPHER_AES_256_GCM,
		.mixed_kinds = TRUE,
		.content_size = CMS_SIZE_UNKNOWN,
		.password = password,
	};
	CLEANUP(cms_encrypt)
	struct cms_encrypt *encrypt = cms_encrypt_new(recipients, count, &options, out, error);

	return encrypt != NULL && dump_write(settings, cms_encrypt_sink(encrypt), error) &&
	       cms_encrypt_finish(encrypt, error);
}

/* Written beside, renamed when it is whole and on the disk: no half of a backup has its name. */
static gboolean
write_backup(const struct settings *settings, const char *path,
	     const struct cms_recipient *recipients, gsize count, const struct secret *password,
	     guint64 *size, GError **error)
{
	g_autofree char *part = g_strconcat(path, ".part", NULL);
	struct file_sink file = { .sink = { file_write }, .path = path };
	gboolean good;

	file.fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file.fd < 0)
		return fail_false(error, PS_ERROR_DENIED, "%s: %s", part, g_strerror(errno));
	good = dump_encrypted(settings, recipients, count, password, &file.sink, error);
	if (good && (fsync(file.fd) != 0 || rename(part, path) != 0))
		good = fail_false(error, PS_ERROR_TEMPORARY, "%s: %s", path, g_strerror(errno));
	close(file.fd);
	if (!good)
		unlink(part);
	*size = file.size;
	return good;
}

static gboolean
audit_backup(struct tx *tx, gpointer data, GError **error)
{
	struct call *call = data;
	struct actor actor = call_actor(call);

	return audit_admin(tx, &actor, "db backup", call_text(call, "output"), NULL, error);
}

/* Issuers that stand beside a certificate are no recipients; a self-signed certificate that
 * stands alone may be marked as a CA and is one. */
static void
add_recipients(GArray *recipients, const GPtrArray *certs)
{
	for (guint i = 0; i < certs->len; i++) {
		struct cms_recipient recipient = { .cert = g_ptr_array_index(certs, i),
						   .transport = CMS_TRANSPORT_OAEP_SHA256 };

		if (!cert_is_ca(recipient.cert) || certs->len == 1)
			g_array_append_val(recipients, recipient);
	}
}

static json_t *
backup_with(struct call *call, const struct settings *settings, GError **error)
{
	g_auto(GStrv) paths = call_list(call, "cert");
	CLEANUP(secret) struct secret *password = call_password(call, "password");
	CLEANUP(file_pool) struct file_pool *pool = NULL;
	g_autoptr(GArray) recipients = g_array_new(FALSE, TRUE, sizeof(struct cms_recipient));
	CLEANUP(db) struct db *db = db_open(settings, DB_ROLE_DAEMON, clock_system(), error);
	guint64 size = 0;

	if (db == NULL || !db_transaction(db, audit_backup, call, error))
		return NULL;
	pool = file_pool_read((const char *const *)paths, NULL, NULL, NULL, error);
	if (pool == NULL)
		return NULL;
	add_recipients(recipients, pool->certs);
	if (recipients->len == 0 && (password == NULL || secret_length(password) == 0))
		return fail(
		    error, PS_ERROR_INVALID,
		    "to whom is it encrypted? Give --password-file, --password-fd or --cert");
	if (!write_backup(settings, call_text(call, "output"),
			  (const struct cms_recipient *)(gpointer)recipients->data, recipients->len,
			  password, &size, error))
		return NULL;
	return json_pack("{s:s, s:I, s:s}", "file", call_text(call, "output"), "bytes",
			 (json_int_t)size, "remember",
			 "the master key is not in it: keep that apart");
}

json_t *
db_backup(struct call *call, GError **error)
{
	CLEANUP(settings) struct settings *settings = NULL;
	struct temporary_server server;
	json_t *answer;

	if (call->gateway != NULL)
		return fail(error, PS_ERROR_DENIED, "run it as root on the gateway itself");
	if (g_file_test(call_text(call, "output"), G_FILE_TEST_EXISTS))
		return fail(error, PS_ERROR_INVALID, "%s: is there already",
			    call_text(call, "output"));
	settings = settings_load(call->config_path, error);
	if (settings == NULL || !temporary_server_start(&server, settings, error))
		return NULL;
	answer = backup_with(call, settings, error);
	temporary_server_stop(&server);
	return answer;
}

/* --- restore --- */

/* Nothing of it may reach the database before the whole has been found to be genuine: it is
 * decrypted into a spool first, whose file is encrypted with a key of this process. */
static struct spool *
open_backup(struct call *call, struct spool_area *area, GError **error)
{
	const char *key_path = call_text(call, "key");
	const char *paths[] = { key_path, NULL };
	CLEANUP(secret) struct secret *password = call_password(call, "password");
	CLEANUP(file_pool)
	struct file_pool *pool = file_pool_read(paths, password, NULL, NULL, error);
	struct cms_decrypt_options options = { .password = key_path == NULL ? password : NULL };
	g_autofree struct file_source *file = g_new0(struct file_source, 1);
	CLEANUP(spool) struct spool *plain = spool_new(area);
	CLEANUP(cms_decrypt_report) struct cms_decrypt_report *report = NULL;
	g_autoptr(GArray) keys = g_array_new(FALSE, TRUE, sizeof(struct cms_decrypt_key));

	if (pool == NULL)
		return NULL;
	for (guint i = 0; i < pool->keys->len; i++)
		for (guint k = 0; k < pool->certs->len; k++) {
			struct cms_decrypt_key key = { g_ptr_array_index(pool->certs, k),
						       g_ptr_array_index(pool->keys, i) };

			if (key_fits(key.key, key.cert))
				g_array_append_val(keys, key);
		}
	file->source.next = file_next;
	file->path = call_text(call, "input");
	file->fd = open(file->path, O_RDONLY | O_CLOEXEC);
	if (file->fd < 0)
		return fail(error, errno == ENOENT ? PS_ERROR_NOT_FOUND : PS_ERROR_DENIED, "%s: %s",
			    file->path, g_strerror(errno));
	report = cms_decrypt(&file->source, (const struct cms_decrypt_key *)(gpointer)keys->data,
			     keys->len, &options, spool_sink(plain), error);
	close(file->fd);
	if (report == NULL) {
		g_prefix_error(error, "%s: is no backup, or damaged: ", file->path);
		return NULL;
	}
	if (report->outcome != CMS_DECRYPTED)
		return fail(error, PS_ERROR_INVALID, "%s: cannot be opened: %s", file->path,
			    report->reason);
	return spool_seal(plain, error) ? spool_ref(plain) : NULL;
}

static gboolean
hold(struct tx *tx, gpointer data, GError **error)
{
	return restored_hold(tx, data, error);
}

/* A backup of an older version is brought up to this one, what was under way in it waits for a
 * person, and the keys in it must be ours. */
static gboolean
after_restore(struct call *call, const struct settings *settings, struct restored_held *held,
	      gint64 *checked, GError **error)
{
	CLEANUP(db) struct db *admin = db_open(settings, DB_ROLE_ADMIN, clock_system(), error);
	int from;
	int to;

	return admin != NULL && migrate_run(admin, &from, &to, error) &&
	       db_transaction(admin, hold, held, error) &&
	       transplant_check(call, settings, call_text(call, "input"), checked, error);
}

static json_t *
restore_with(struct call *call, const struct settings *settings, GError **error)
{
	CLEANUP(spool_area)
	struct spool_area *area =
	    spool_area_new(settings->state_dir, 16 * 1024 * 1024, G_MAXUINT64 / 2, error);
	CLEANUP(spool) struct spool *plain = area != NULL ? open_backup(call, area, error) : NULL;
	CLEANUP(spool_reader) struct spool_reader *reader = NULL;
	struct restored_held held = { 0 };
	gint64 checked = 0;

	if (plain == NULL)
		return NULL;
	if (!serving_nobody(settings, error))
		return NULL;
	reader = spool_reader_new(plain, 0, spool_size(plain));
	if (!dump_restore(settings, spool_reader_source(reader), error) ||
	    !after_restore(call, settings, &held, &checked, error))
		return NULL;
	return json_pack("{s:s, s:I, s:I, s:I, s:s, s:s}", "file", call_text(call, "input"),
			 "sealed_values_opened", (json_int_t)checked, "batches_held",
			 (json_int_t)held.batches, "deliveries_held",
			 (json_int_t)(held.deliveries + held.messages), "result", "restored",
			 "remember",
			 "what was revoked after the backup is not revoked any more: say 'ca "
			 "revoke' again");
}

json_t *
db_restore(struct call *call, GError **error)
{
	CLEANUP(settings) struct settings *settings = NULL;
	struct temporary_server server;
	json_t *answer = NULL;

	if (call->gateway != NULL)
		return fail(error, PS_ERROR_DENIED, "run it as root on the gateway itself");
	if (call_text(call, "password") == NULL && call_text(call, "key") == NULL)
		return fail(error, PS_ERROR_INVALID,
			    "what opens it? Give --password-file, --password-fd or --key");
	if (!call_is_sure(call, &answer, "everything in the database is replaced by %s",
			  call_text(call, "input")))
		return answer;
	settings = settings_load(call->config_path, error);
	if (settings == NULL || !temporary_server_start(&server, settings, error))
		return NULL;
	answer = restore_with(call, settings, error);
	temporary_server_stop(&server);
	return answer;
}
