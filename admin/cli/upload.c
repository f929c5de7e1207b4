/*
 * upload - reads what a command sends.
 */
#include "admin/cli/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "store/base/error.h"
#include "store/base/printable.h"

#define DEPTH_MAX 16

static gint
compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static gboolean
add_folder(GPtrArray *files, const char *folder, guint depth, GError **error)
{
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	const char *name;

	if (dir == NULL)
		return fail_false(error, PS_ERROR_DENIED, "%s: cannot be read", folder);
	if (depth > DEPTH_MAX)
		return fail_false(error, PS_ERROR_INVALID, "%s: folders are nested too deeply",
				  folder);
	while ((name = g_dir_read_name(dir)) != NULL && names->len <= UPLOAD_FILES_MAX)
		g_ptr_array_add(names, g_strdup(name));
	g_ptr_array_sort(names, compare_names);
	for (guint i = 0; i < names->len; i++) {
		char *path = g_build_filename(folder, g_ptr_array_index(names, i), NULL);
		struct stat info;

		if (lstat(path, &info) == 0 && S_ISREG(info.st_mode)) {
			g_ptr_array_add(files, path);
			continue;
		}
		gboolean go_on =
		    !S_ISDIR(info.st_mode) || add_folder(files, path, depth + 1, error);
		g_free(path);
		if (!go_on)
			return FALSE;
	}
	if (files->len > UPLOAD_FILES_MAX)
		return fail_false(error, PS_ERROR_INVALID, "%s: more than %d files", folder,
				  UPLOAD_FILES_MAX);
	return TRUE;
}

GStrv
upload_expand(const char *const *paths, GError **error)
{
	g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);

	for (; *paths != NULL; paths++) {
		struct stat info;

		if (strcmp(*paths, "-") == 0) {
			g_ptr_array_add(files, g_strdup("-"));
		} else if (stat(*paths, &info) != 0) {
			return fail(error, errno == ENOENT ? PS_ERROR_NOT_FOUND : PS_ERROR_DENIED,
				    "%s: %s", *paths, g_strerror(errno));
		} else if (S_ISDIR(info.st_mode)) {
			if (!add_folder(files, *paths, 0, error))
				return NULL;
		} else {
			g_ptr_array_add(files, g_strdup(*paths));
		}
	}
	g_ptr_array_add(files, NULL);
	return (GStrv)g_ptr_array_free(g_steal_pointer(&files), FALSE);
}

static gboolean
read_all(int fd, GByteArray *bytes)
{
	guint8 piece[65536];
	ssize_t got;

	do {
		got = read(fd, piece, sizeof piece);
		if (got < 0 && errno == EINTR)
			continue;
		if (got > 0)
			g_byte_array_append(bytes, piece, (guint)got);
	} while (got != 0 && (got > 0 || errno == EINTR) && bytes->len <= UPLOAD_FILE_MAX_BYTES);
	wipe(piece, sizeof piece);
	return got == 0;
}

static json_t *
as_argument(const char *path, const GByteArray *bytes)
{
	char *text = g_base64_encode(bytes->data, bytes->len);
	g_autofree char *name = g_path_get_basename(path);
	g_autofree char *valid = g_utf8_make_valid(name, -1);
	json_t *file = json_pack("{s:s, s:s}", "name", valid, "content", text);

	wipe(text, strlen(text));
	g_free(text);
	return file;
}

json_t *
upload_file(const char *path, GError **error)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	gboolean is_input = strcmp(path, "-") == 0;
	int fd = is_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	json_t *file = NULL;

	if (fd < 0)
		return fail(error, errno == ENOENT ? PS_ERROR_NOT_FOUND : PS_ERROR_DENIED, "%s: %s",
			    path, g_strerror(errno));
	if (!read_all(fd, bytes) && bytes->len <= UPLOAD_FILE_MAX_BYTES)
		fail(error, PS_ERROR_INVALID, "%s: %s", path, g_strerror(errno));
	else if (bytes->len > UPLOAD_FILE_MAX_BYTES)
		fail(error, PS_ERROR_INVALID, "%s: larger than 64 MiB", path);
	else
		file = as_argument(path, bytes);
	if (!is_input)
		close(fd);
	if (bytes->data != NULL)
		wipe(bytes->data, bytes->len);
	return file;
}

/* --- passwords --- */

static struct secret *
ask_terminal(const char *prompt, GError **error)
{
	struct termios before;
	struct secret *secret = NULL;
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 || tcgetattr(fd, &before) != 0) {
		if (fd >= 0)
			close(fd);
		return fail(error, PS_ERROR_INVALID,
			    "no terminal to ask for a password: use --password-file or "
			    "--password-fd");
	}
	struct termios silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO);
	silent.c_lflag |= ECHONL;
	tcsetattr(fd, TCSAFLUSH, &silent);
	if (write(fd, prompt, strlen(prompt)) >= 0)
		secret = secret_read_line(fd, error);
	tcsetattr(fd, TCSAFLUSH, &before);
	close(fd);
	return secret;
}

static struct secret *
ask_twice(const char *prompt, GError **error)
{
	CLEANUP(secret) struct secret *first = ask_terminal(prompt, error);
	CLEANUP(secret) struct secret *second = NULL;

	if (first == NULL)
		return NULL;
	second = ask_terminal("Again: ", error);
	if (second == NULL)
		return NULL;
	if (strcmp(secret_text(first), secret_text(second)) != 0)
		return fail(error, PS_ERROR_INVALID, "the two passwords differ");
	return secret_ref(first);
}

static struct secret *
read_password_file(const char *path, GError **error)
{
	struct secret *secret;
	int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fail(error, errno == ENOENT ? PS_ERROR_NOT_FOUND : PS_ERROR_DENIED, "%s: %s",
			    path, g_strerror(errno));
	secret = secret_read_line(fd, error);
	if (fd != STDIN_FILENO)
		close(fd);
	return secret;
}

struct secret *
upload_password(const struct command_line *line, const char *name, const char *prompt,
		enum upload_ask ask, GError **error)
{
	const char *path = g_hash_table_lookup(line->password_files, name);
	const char *number = g_hash_table_lookup(line->password_fds, name);
	guint64 fd;

	if (path != NULL)
		return read_password_file(path, error);
	if (number != NULL) {
		if (!g_ascii_string_to_unsigned(number, 10, 0, 1023, &fd, NULL))
			return fail(error, PS_ERROR_INVALID, "--%s-fd: '%s' is no descriptor", name,
				    number);
		return secret_read_line((int)fd, error);
	}
	switch (ask) {
	case UPLOAD_ASK_ONCE:
		return ask_terminal(prompt, error);
	case UPLOAD_ASK_TWICE:
		return ask_twice(prompt, error);
	case UPLOAD_ASK_NEVER:
		break;
	}
	return NULL;
}
