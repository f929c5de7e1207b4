/*
 * publish - what is open at a target; folders.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pki/publish_internal.h"
#include "pki/published.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"

#define RETRY_SECONDS 60
#define RETRY_MAX_SECONDS 3600

/* --- what is open --- */

gboolean
publish_run_start(struct publish_run *run, const struct publishing *publishing, char *target,
		  GError **error)
{
	run->publishing = publishing;
	run->target = target;
	run->now = clock_now(publishing->clock);
	run->known = publications_list(publishing->db, target, error);
	return run->known != NULL;
}

void
publish_run_clear(struct publish_run *run)
{
	g_free(run->target);
	if (run->known != NULL)
		g_ptr_array_unref(run->known);
}

static const struct publication *
known_find(const struct publish_run *run, const char *object)
{
	for (guint i = 0; i < run->known->len; i++) {
		const struct publication *row = g_ptr_array_index(run->known, i);

		if (strcmp(row->object, object) == 0)
			return row;
	}
	return NULL;
}

gboolean
publish_run_wants(const struct publish_run *run, const char *object, const char *digest)
{
	const struct publication *row = known_find(run, object);

	if (row == NULL)
		return TRUE;
	if (row->next_try != CLOCK_NEVER && row->next_try > run->now)
		return FALSE;
	return strcmp(row->digest, digest) != 0 || row->next_try != CLOCK_NEVER;
}

gboolean
publish_run_done(const struct publish_run *run, const char *object, const char *digest,
		 const GError *why, GError **error)
{
	const struct publication *was = known_find(run, object);
	gint attempts = was != NULL ? was->attempts : 0;
	struct publication row = {
		.target = run->target,
		.object = (char *)object,
		.digest = (char *)(why == NULL   ? digest
				   : was != NULL ? was->digest
						 : ""),
		.published = why == NULL   ? run->now
			     : was != NULL ? was->published
					   : CLOCK_NEVER,
		.attempts = why == NULL ? 0 : attempts + 1,
		.next_try = why == NULL ? CLOCK_NEVER
					: run->now + MIN(RETRY_SECONDS << MIN(attempts, 6),
							 RETRY_MAX_SECONDS),
		.error = (char *)(why == NULL ? "" : why->message),
	};

	if (why != NULL && attempts == 0)
		log_warning("publishing failed, it is tried again", "target", run->target, "object",
			    object, "error", why->message);
	return publications_save(run->publishing->db, &row, error);
}

/* --- folders --- */

char *
publish_folder_target(const char *folder)
{
	return g_strdup_printf("dir:%s:%s", g_get_host_name(), folder);
}

static gboolean
fail_file(const char *path, GError **error)
{
	return fail_false(error, PS_ERROR_TEMPORARY, "%s: could not be written: %s", path,
			  g_strerror(errno));
}

static gboolean
write_all(int fd, GBytes *bytes)
{
	gsize length;
	const guint8 *p = g_bytes_get_data(bytes, &length);

	while (length > 0) {
		ssize_t n = write(fd, p, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return FALSE;
		p += n;
		length -= (gsize)n;
	}
	return fchmod(fd, 0644) == 0 && fsync(fd) == 0;
}

/* Who reads sees the old file or the new one, whole. */
static gboolean
replace_file(const char *folder, const char *object, GBytes *bytes, GError **error)
{
	g_autofree char *path = g_build_filename(folder, object, NULL);
	g_autofree char *parent = g_path_get_dirname(path);
	g_autofree char *temporary = g_strdup_printf("%s/.postseal-XXXXXX", parent);

	if (!g_file_test(folder, G_FILE_TEST_IS_DIR))
		return fail_false(error, PS_ERROR_TEMPORARY, "%s: is no folder", folder);
	if (g_mkdir(parent, 0755) != 0 && errno != EEXIST)
		return fail_file(path, error);
	int fd = g_mkstemp_full(temporary, O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_file(path, error);
	gboolean good = write_all(fd, bytes);
	good = close(fd) == 0 && good;
	if (good && g_rename(temporary, path) == 0)
		return TRUE;
	fail_file(path, error);
	g_unlink(temporary);
	return FALSE;
}

static gboolean
is_there(const char *folder, const char *object)
{
	g_autofree char *path = g_build_filename(folder, object, NULL);

	return g_file_test(path, G_FILE_TEST_IS_REGULAR);
}

static gboolean
put_file(const struct publish_run *run, const char *folder, const char *object, GBytes *bytes,
	 GError **error)
{
	g_autofree char *digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);
	g_autoptr(GError) why = NULL;
	const struct publication *was = known_find(run, object);
	gboolean lost = was != NULL && was->next_try == CLOCK_NEVER && !is_there(folder, object);

	if (!publish_run_wants(run, object, digest) && !lost)
		return TRUE;
	(void)replace_file(folder, object, bytes, &why);
	return publish_run_done(run, object, digest, why, error);
}

static gboolean
put_lists(const struct publish_run *run, const char *folder, GError **error)
{
	g_autoptr(GPtrArray) lists = published_lists_all(run->publishing->db, TRUE, error);

	for (guint i = 0; lists != NULL && i < lists->len; i++) {
		const struct published_list *list = g_ptr_array_index(lists, i);
		g_autofree char *object = list->partition > 0
					      ? g_strdup_printf("crl/%s-%" G_GINT64_FORMAT ".crl",
								list->key_id, list->partition)
					      : g_strdup_printf("crl/%s.crl", list->key_id);

		if (!put_file(run, folder, object, list->der, error))
			return FALSE;
	}
	return lists != NULL;
}

static gboolean
put_cas(const struct publish_run *run, const char *folder, GError **error)
{
	static const char *const suffixes[] = {
		[PUBLISHED_DER] = "cer", [PUBLISHED_PEM] = "pem", [PUBLISHED_PKCS7] = "p7c"
	};
	g_autoptr(GPtrArray) cas = published_cas(run->publishing->db, error);

	for (guint i = 0; cas != NULL && i < cas->len; i++) {
		const struct published_ca *ca = g_ptr_array_index(cas, i);

		if (published_cas_find(cas, ca->key_id) != ca)
			continue;
		for (int form = PUBLISHED_DER; form <= PUBLISHED_PKCS7; form++) {
			g_autofree char *object =
			    g_strdup_printf("ca/%s.%s", ca->key_id, suffixes[form]);
			g_autoptr(GBytes) bytes =
			    published_ca_write(ca, (enum published_form)form, error);

			if (bytes == NULL || !put_file(run, folder, object, bytes, error))
				return FALSE;
		}
	}
	return cas != NULL;
}

gboolean
publish_folder(const struct publishing *publishing, const char *folder, GError **error)
{
	struct publish_run run = { 0 };
	gboolean good = publish_run_start(&run, publishing, publish_folder_target(folder), error) &&
			put_lists(&run, folder, error) && put_cas(&run, folder, error);

	publish_run_clear(&run);
	return good;
}
