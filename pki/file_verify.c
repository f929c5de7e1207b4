/*
 * file_verify - reading files and folders, and path validation over what they hold.
 */
#include "pki/file_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/error.h"
#include "store/base/printable.h"

#define FOLDER_DEPTH_MAX 8
#define GRACE_SECONDS (7 * 24 * 3600)

struct reader {
	struct file_pool *pool;
	const struct secret *password;
	file_broken_func broken;
	gpointer data;
	guint files;
	GHashTable *seen; /* thumbprints: one object in several files counts once */
};

static struct file_pool *
pool_new(void)
{
	struct file_pool *pool = g_new0(struct file_pool, 1);

	pool->certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	pool->keys = g_ptr_array_new_with_free_func((GDestroyNotify)key_unref);
	pool->crls = g_ptr_array_new_with_free_func((GDestroyNotify)crl_unref);
	return pool;
}

void
file_pool_free(struct file_pool *pool)
{
	if (pool == NULL)
		return;
	g_ptr_array_unref(pool->certs);
	g_ptr_array_unref(pool->keys);
	g_ptr_array_unref(pool->crls);
	g_free(pool);
}

static void
report_broken(struct reader *reader, const char *path, const char *why)
{
	if (reader->broken != NULL)
		reader->broken(path, why, reader->data);
}

/* At most one byte more than the limit, which bundle_read then refuses by name. */
static GBytes *
read_descriptor(int fd, GError **error)
{
	g_autoptr(GByteArray) all = g_byte_array_new();
	g_autofree guint8 *buffer = g_malloc(64 * 1024);

	while (all->len <= BUNDLE_SIZE_MAX_BYTES) {
		ssize_t got = read(fd, buffer, 64 * 1024);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(error, PS_ERROR_TEMPORARY, "%s", g_strerror(errno));
		if (got == 0)
			return g_byte_array_free_to_bytes(g_steal_pointer(&all));
		g_byte_array_append(all, buffer, (guint)got);
	}
	return fail(error, PS_ERROR_INVALID, "larger than %d bytes", BUNDLE_SIZE_MAX_BYTES);
}

static GBytes *
read_file(const char *path, GError **error)
{
	struct stat status;
	gboolean standard_input = strcmp(path, "-") == 0;
	int fd = standard_input ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	GBytes *bytes = NULL;

	if (fd < 0)
		return fail(error, PS_ERROR_NOT_FOUND, "%s", g_strerror(errno));
	if (fstat(fd, &status) != 0)
		fail(error, PS_ERROR_TEMPORARY, "%s", g_strerror(errno));
	else if (!standard_input && !S_ISREG(status.st_mode))
		fail(error, PS_ERROR_INVALID, "not a regular file");
	else if (S_ISREG(status.st_mode) && status.st_size > BUNDLE_SIZE_MAX_BYTES)
		fail(error, PS_ERROR_INVALID, "larger than %d bytes", BUNDLE_SIZE_MAX_BYTES);
	else
		bytes = read_descriptor(fd, error);
	(void)close(fd);
	return bytes;
}

static void
add_all(struct reader *reader, GPtrArray *to, GPtrArray *from, gboolean *any,
	const char *(*id)(const void *), gpointer (*ref)(gpointer))
{
	for (guint i = 0; i < from->len; i++) {
		*any = TRUE;
		if (g_hash_table_add(reader->seen, g_strdup(id(from->pdata[i]))))
			g_ptr_array_add(to, ref(from->pdata[i]));
	}
}

static const char *
cert_id(const void *cert)
{
	return cert_thumbprint(cert);
}

static const char *
crl_id(const void *crl)
{
	return crl_thumbprint(crl);
}

static const char *
key_id(const void *key)
{
	return key_spki_sha256(key);
}

static gpointer
take_cert(gpointer cert)
{
	return cert_ref(cert);
}

static gpointer
take_crl(gpointer crl)
{
	return crl_ref(crl);
}

static gpointer
take_key(gpointer key)
{
	return key_ref(key);
}

static void
add_file(struct reader *reader, const char *path)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = read_file(path, &error);
	CLEANUP(bundle) struct bundle *bundle = NULL;
	gboolean any = FALSE;

	if (bytes == NULL) {
		report_broken(reader, path, error->message);
		return;
	}
	bundle = bundle_read(bytes, path, reader->password, &error);
	if (bundle == NULL) {
		/* The text begins with the path, which the caller shows anyway. */
		g_autofree char *shown = printable(path);
		gsize skip = g_str_has_prefix(error->message, shown) ? strlen(shown) + 2 : 0;
		report_broken(reader, path, error->message + skip);
		return;
	}
	add_all(reader, reader->pool->certs, bundle->certs, &any, cert_id, take_cert);
	add_all(reader, reader->pool->keys, bundle->keys, &any, key_id, take_key);
	add_all(reader, reader->pool->crls, bundle->crls, &any, crl_id, take_crl);
	for (guint i = 0; i < bundle->rejected->len; i++) {
		const struct bundle_rejected *rejected = bundle->rejected->pdata[i];
		g_autofree char *why = g_strdup_printf("%s: %s", rejected->what, rejected->why);
		report_broken(reader, path, why);
	}
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Regular files alone, in the order of their names, so that every run says the same. */
static gboolean
add_folder(struct reader *reader, const char *path, int depth, GError **error)
{
	g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	const char *name;

	if (folder == NULL) {
		report_broken(reader, path, "the folder cannot be read");
		return TRUE;
	}
	while ((name = g_dir_read_name(folder)) != NULL) {
		if (names->len >= FILE_VERIFY_FILES_MAX)
			return fail_false(error, PS_ERROR_INVALID, "%s: more than %d files", path,
					  FILE_VERIFY_FILES_MAX);
		g_ptr_array_add(names, g_build_filename(path, name, NULL));
	}
	g_ptr_array_sort(names, compare_names);
	for (guint i = 0; i < names->len; i++) {
		struct stat status;

		if (lstat(names->pdata[i], &status) != 0)
			continue;
		if (S_ISLNK(status.st_mode) && stat(names->pdata[i], &status) == 0 &&
		    S_ISDIR(status.st_mode))
			continue; /* no round trips through links */
		if (S_ISDIR(status.st_mode) && depth < FOLDER_DEPTH_MAX &&
		    !add_folder(reader, names->pdata[i], depth + 1, error))
			return FALSE;
		if (!S_ISREG(status.st_mode))
			continue;
		if (++reader->files > FILE_VERIFY_FILES_MAX)
			return fail_false(error, PS_ERROR_INVALID, "more than %d files in all",
					  FILE_VERIFY_FILES_MAX);
		add_file(reader, names->pdata[i]);
	}
	return TRUE;
}

struct file_pool *
file_pool_read(const char *const *paths, const struct secret *password, file_broken_func broken,
	       gpointer data, GError **error)
{
	CLEANUP(file_pool) struct file_pool *pool = pool_new();
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	struct reader reader = {
		.pool = pool, .password = password, .broken = broken, .data = data, .seen = seen
	};

	for (gsize i = 0; paths != NULL && paths[i] != NULL; i++) {
		struct stat status;

		if (strcmp(paths[i], "-") != 0 && stat(paths[i], &status) != 0)
			return fail(error, PS_ERROR_NOT_FOUND, "%s: %s", paths[i],
				    g_strerror(errno));
		if (strcmp(paths[i], "-") != 0 && S_ISDIR(status.st_mode)) {
			if (!add_folder(&reader, paths[i], 0, error))
				return NULL;
		} else {
			add_file(&reader, paths[i]);
		}
	}
	return g_steal_pointer(&pool);
}

/* The certificate to be judged must be readable: here a broken file is an error. */
static struct file_pool *
read_subject(const char *path, GError **error)
{
	g_autoptr(GError) why = NULL;
	g_autofree char *shown = printable(path);
	g_autoptr(GBytes) bytes = read_file(path, &why);
	CLEANUP(bundle) struct bundle *bundle = NULL;

	if (bytes == NULL)
		return fail(error, (enum ps_error)why->code, "%s: %s", shown, why->message);
	bundle = bundle_read(bytes, path, NULL, error);
	if (bundle == NULL)
		return NULL;
	if (bundle->certs->len == 0) {
		const struct bundle_rejected *first =
		    bundle->rejected->len > 0 ? bundle->rejected->pdata[0] : NULL;
		return fail(error, PS_ERROR_INVALID, "%s: %s", shown,
			    first != NULL ? first->why : "there is no certificate in it");
	}
	struct file_pool *pool = pool_new();
	for (guint i = 0; i < bundle->certs->len; i++)
		g_ptr_array_add(pool->certs, cert_ref(bundle->certs->pdata[i]));
	for (guint i = 0; i < bundle->crls->len; i++)
		g_ptr_array_add(pool->crls, crl_ref(bundle->crls->pdata[i]));
	return pool;
}

static void
append_all(GPtrArray *to, GPtrArray *from, guint begin)
{
	for (guint i = begin; i < from->len; i++)
		g_ptr_array_add(to, from->pdata[i]);
}

struct chain_report *
file_verify_run(const struct file_verify *verify, file_broken_func broken, gpointer data,
		GError **error)
{
	CLEANUP(file_pool)
	struct file_pool *subject = NULL, *roots = NULL, *untrusted = NULL, *crls = NULL;
	g_autoptr(GPtrArray) candidates = g_ptr_array_new();
	g_autoptr(GPtrArray) lists = g_ptr_array_new();
	struct chain_options options = verify->options;

	if ((subject = read_subject(verify->cert, error)) == NULL ||
	    (roots = file_pool_read(verify->roots, NULL, broken, data, error)) == NULL ||
	    (untrusted = file_pool_read(verify->untrusted, NULL, broken, data, error)) == NULL ||
	    (crls = file_pool_read(verify->crls, NULL, broken, data, error)) == NULL)
		return NULL;
	append_all(candidates, subject->certs, 1);
	append_all(candidates, untrusted->certs, 0);
	append_all(candidates, crls->certs, 0);
	append_all(lists, crls->crls, 0);
	append_all(lists, subject->crls, 0);
	append_all(lists, roots->crls, 0);
	append_all(lists, untrusted->crls, 0);
	options.anchors = roots->certs;
	options.untrusted = candidates;
	options.crls = lists;
	options.crl_grace = GRACE_SECONDS;
	/* Without a purpose it is path validation alone: the algorithms of its time are taken. */
	options.allow_legacy |= options.purpose == CHAIN_PURPOSE_ANY;
	if (options.where == NULL)
		options.where = "among the given files";
	return chain_check(subject->certs->pdata[0], &options, error);
}
