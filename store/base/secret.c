/*
 * secret - locked memory with a reference count, wiped at the end.
 */
#include "store/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/error.h"

#define SECRET_LINE_MAX_BYTES 4096

struct secret {
	gint references;
	gsize length;
	gsize mapped; /* bytes of the mapping that holds this struct and the text */
	unsigned char bytes[];
};

/*
 * What was copied last stands in the vector registers of its thread, up to 64 bytes each, and a
 * core file holds those of all threads. Copies of the sizes for which memcpy(3) takes other
 * registers put zeros there.
 */
static void
wipe_registers(void)
{
	static const gsize sizes[] = { 12, 24, 48, 96, 200, 400 };
	static const guint8 zeros[400];
	void *(*volatile copy)(void *, const void *, size_t) = memcpy; /* not to be left out */
	guint8 to[sizeof zeros];

	for (guint i = 0; i < G_N_ELEMENTS(sizes); i++)
		copy(to, zeros, sizes[i]);
}

void
wipe(void *bytes, gsize length)
{
	if (bytes == NULL)
		return;
	explicit_bzero(bytes, length);
	wipe_registers();
}

static struct secret *
secret_allocate(gsize length)
{
	gsize mapped = sizeof(struct secret) + length + 1;
	struct secret *secret =
	    mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (secret == MAP_FAILED)
		g_error("no memory for a secret of %zu bytes", length);
	/* Best effort: a small RLIMIT_MEMLOCK is no reason to refuse work. */
	(void)mlock(secret, mapped);
	(void)madvise(secret, mapped, MADV_DONTDUMP);
	secret->references = 1;
	secret->length = length;
	secret->mapped = mapped;
	return secret;
}

struct secret *
secret_new(gconstpointer bytes, gsize length)
{
	struct secret *secret = secret_allocate(length);

	if (length > 0)
		memcpy(secret->bytes, bytes, length);
	return secret;
}

struct secret *
secret_new_text(const char *text)
{
	return secret_new(text, strlen(text));
}

struct secret *
secret_new_random(gsize length, GError **error)
{
	struct secret *secret = secret_allocate(length);
	gsize done = 0;

	while (done < length) {
		ssize_t got = getrandom(secret->bytes + done, length - done, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			secret_unref(secret);
			return fail(error, PS_ERROR_TEMPORARY, "no random bytes: %s",
				    g_strerror(errno));
		}
		done += (gsize)got;
	}
	return secret;
}

static gboolean
check_private(int fd, const char *path, GError **error)
{
	struct stat file;
	struct stat folder;
	g_autofree char *parent = g_path_get_dirname(path);

	if (fstat(fd, &file) != 0 || stat(parent, &folder) != 0)
		return fail_false(error, PS_ERROR_TEMPORARY, "%s: %s", path, g_strerror(errno));
	if (!S_ISREG(file.st_mode))
		return fail_false(error, PS_ERROR_INVALID, "%s: not a regular file", path);
	if ((file.st_mode & 077) != 0)
		return fail_false(error, PS_ERROR_DENIED,
				  "%s: others than its owner have rights on it: chmod 600 it",
				  path);
	/* Root reads the files of the users that the programs run as: setup, doctor. */
	if (file.st_uid != geteuid() && file.st_uid != 0 && geteuid() != 0)
		return fail_false(error, PS_ERROR_DENIED, "%s: belongs to another user: chown it",
				  path);
	if ((folder.st_mode & 022) != 0 && (folder.st_mode & S_ISVTX) == 0)
		return fail_false(error, PS_ERROR_DENIED,
				  "%s: its folder can be written by others: chmod go-w %s", path,
				  parent);
	return TRUE;
}

/* Reads to the end of the file into a secret; the buffer on the way is wiped. */
static struct secret *
read_whole(int fd, const char *path, gsize max_bytes, GError **error)
{
	g_autofree unsigned char *buffer = g_malloc(max_bytes + 1);
	struct secret *secret = NULL;
	gsize length = 0;
	ssize_t got = 1;

	while (got != 0 && length <= max_bytes) {
		got = read(fd, buffer + length, max_bytes + 1 - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		length += (gsize)got;
	}
	if (got < 0)
		fail(error, PS_ERROR_TEMPORARY, "%s: %s", path, g_strerror(errno));
	else if (length > max_bytes)
		fail(error, PS_ERROR_INVALID, "%s: larger than %zu bytes", path, max_bytes);
	else
		secret = secret_new(buffer, length);
	wipe(buffer, max_bytes + 1);
	return secret;
}

struct secret *
secret_read_file(const char *path, gsize max_bytes, GError **error)
{
	struct secret *secret = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return fail(error, errno == ENOENT ? PS_ERROR_NOT_FOUND : PS_ERROR_DENIED, "%s: %s",
			    path, g_strerror(errno));
	if (check_private(fd, path, error))
		secret = read_whole(fd, path, max_bytes, error);
	close(fd);
	return secret;
}

struct secret *
secret_read_line(int fd, GError **error)
{
	char line[SECRET_LINE_MAX_BYTES];
	struct secret *secret = NULL;
	gsize length = 0;

	/* Byte by byte: what follows the line belongs to somebody else. */
	while (length < sizeof line) {
		ssize_t got = read(fd, line + length, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || line[length] == '\n')
			break;
		length++;
	}
	if (length == sizeof line)
		fail(error, PS_ERROR_INVALID, "password longer than %d bytes",
		     SECRET_LINE_MAX_BYTES - 1);
	else if (length > 0 && line[length - 1] == '\r')
		secret = secret_new(line, length - 1);
	else
		secret = secret_new(line, length);
	wipe(line, sizeof line);
	return secret;
}

struct secret *
secret_ref(struct secret *secret)
{
	g_atomic_int_inc(&secret->references);
	return secret;
}

void
secret_unref(struct secret *secret)
{
	if (secret == NULL || !g_atomic_int_dec_and_test(&secret->references))
		return;
	gsize mapped = secret->mapped;
	wipe(secret, mapped);
	munmap(secret, mapped);
}

gconstpointer
secret_bytes(const struct secret *secret)
{
	return secret->bytes;
}

gsize
secret_length(const struct secret *secret)
{
	return secret->length;
}

const char *
secret_text(const struct secret *secret)
{
	return (const char *)secret->bytes;
}
