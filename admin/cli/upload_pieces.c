/*
 * upload_pieces - reading, cutting and wrapping: base64 in JSON, below the daemon's limit.
 */
#include "admin/cli/upload_pieces.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/cli/upload.h"
#include "pki/crypto/pem_cut.h"
#include "store/base/error.h"
#include "store/base/secret.h"

#define PIECE_MAX_BYTES (16 * 1024 * 1024)
#define PIECE_FILES_MAX 4000
#define PART_BYTES (8 * 1024 * 1024)
#define READ_BYTES 65536

struct upload_pieces {
	GStrv paths;
	gsize next;
	guint64 done, total;
	/* The file that is being read; fd -1: none. */
	int fd;
	gboolean at_end;
	guint part; /* how many parts of it went over */
	GByteArray *held;
};

struct upload_pieces *
upload_pieces_new(GStrv paths)
{
	struct upload_pieces *pieces = g_new0(struct upload_pieces, 1);

	pieces->paths = paths;
	pieces->fd = -1;
	pieces->held = g_byte_array_new();
	for (; *paths != NULL; paths++) {
		struct stat info;

		if (strcmp(*paths, "-") != 0 && stat(*paths, &info) == 0)
			pieces->total += (guint64)info.st_size;
	}
	return pieces;
}

/* There may be private keys in it. */
static void
forget(GByteArray *bytes)
{
	if (bytes->len > 0)
		wipe(bytes->data, bytes->len);
	g_byte_array_set_size(bytes, 0);
}

static void
close_file(struct upload_pieces *pieces)
{
	if (pieces->fd > STDIN_FILENO)
		close(pieces->fd);
	pieces->fd = -1;
	forget(pieces->held);
}

void
upload_pieces_free(struct upload_pieces *pieces)
{
	if (pieces == NULL)
		return;
	close_file(pieces);
	g_byte_array_unref(pieces->held);
	g_free(pieces);
}

gboolean
upload_pieces_left(const struct upload_pieces *pieces)
{
	return pieces->fd >= 0 || pieces->paths[pieces->next] != NULL;
}

void
upload_pieces_progress(const struct upload_pieces *pieces, guint64 *done, guint64 *total)
{
	*done = pieces->done;
	*total = MAX(pieces->total, pieces->done);
}

static const char *
current_path(const struct upload_pieces *pieces)
{
	return pieces->paths[pieces->next - 1];
}

static gboolean
open_next(struct upload_pieces *pieces, GError **error)
{
	const char *path = pieces->paths[pieces->next++];

	pieces->fd =
	    strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	pieces->at_end = FALSE;
	pieces->part = 0;
	if (pieces->fd < 0)
		return fail_false(error, errno == ENOENT ? PS_ERROR_NOT_FOUND : PS_ERROR_DENIED,
				  "%s: %s", path, g_strerror(errno));
	return TRUE;
}

static gboolean
fill(struct upload_pieces *pieces, gsize wanted, GError **error)
{
	guint8 piece[READ_BYTES];

	while (!pieces->at_end && pieces->held->len < wanted) {
		ssize_t got = read(pieces->fd, piece, sizeof piece);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail_false(error, PS_ERROR_INVALID, "%s: %s", current_path(pieces),
					  g_strerror(errno));
		pieces->at_end = got == 0;
		g_byte_array_append(pieces->held, piece, (guint)got);
		pieces->done += (guint64)got;
	}
	wipe(piece, sizeof piece);
	return TRUE;
}

static json_t *
wrap(const struct upload_pieces *pieces, gsize length)
{
	char *text = g_base64_encode(pieces->held->data, length);
	g_autofree char *base = g_path_get_basename(current_path(pieces));
	g_autofree char *part =
	    pieces->part > 0 ? g_strdup_printf("%s (part %u)", base, pieces->part + 1) : NULL;
	g_autofree char *name = g_utf8_make_valid(part != NULL ? part : base, -1);
	json_t *file = json_pack("{s:s, s:s}", "name", name, "content", text);

	wipe(text, strlen(text));
	g_free(text);
	return file;
}

/* How much of what is held goes over now: all at the end of a file, whole blocks before. */
static gboolean
cut(struct upload_pieces *pieces, gsize *length, GError **error)
{
	for (gsize wanted = PART_BYTES;; wanted += PART_BYTES) {
		if (!fill(pieces, wanted, error))
			return FALSE;
		const char *text = (const char *)pieces->held->data;

		*length = pieces->held->len;
		if (pieces->at_end)
			return TRUE;
		if (text[0] != 0x30)
			*length = pem_cut_whole(text, pieces->held->len);
		if (text[0] != 0x30 && *length > 0)
			return TRUE;
		if (wanted > UPLOAD_FILE_MAX_BYTES)
			return fail_false(error, PS_ERROR_INVALID, "%s: larger than 64 MiB",
					  current_path(pieces));
	}
}

/* What is left of a file behind its last block is no object. */
static gboolean
is_rest(const struct upload_pieces *pieces)
{
	return pieces->at_end && pieces->part > 0 &&
	       (pieces->held->len == 0 ||
		memmem(pieces->held->data, pieces->held->len, "-----BEGIN ", 11) == NULL);
}

/* *file stays NULL when there was nothing more in the file. */
static gboolean
next_file(struct upload_pieces *pieces, json_t **file, GError **error)
{
	gsize length = 0;

	*file = NULL;
	if ((pieces->fd < 0 && !open_next(pieces, error)) || !cut(pieces, &length, error)) {
		close_file(pieces);
		return FALSE;
	}
	if (!is_rest(pieces))
		*file = wrap(pieces, length);
	if (pieces->at_end) {
		close_file(pieces);
		return TRUE;
	}
	gsize left = pieces->held->len - length;
	memmove(pieces->held->data, pieces->held->data + length, left);
	wipe(pieces->held->data + left, length);
	g_byte_array_set_size(pieces->held, (guint)left);
	pieces->part++;
	return TRUE;
}

json_t *
upload_pieces_next(struct upload_pieces *pieces, GError **error)
{
	json_t *files = json_array();
	gboolean only = pieces->paths[0] != NULL && pieces->paths[1] == NULL;
	gsize bytes = 0;

	while (upload_pieces_left(pieces) && bytes < PIECE_MAX_BYTES &&
	       json_array_size(files) < PIECE_FILES_MAX) {
		g_autoptr(GError) problem = NULL;
		json_t *file;

		if (!next_file(pieces, &file, &problem)) {
			if (only) {
				g_propagate_error(error, g_steal_pointer(&problem));
				json_decref(files);
				return NULL;
			}
			fprintf(stderr, "postseal: skipped: %s\n", problem->message);
			continue;
		}
		if (file == NULL)
			continue;
		bytes += json_string_length(json_object_get(file, "content"));
		json_array_append_new(files, file);
	}
	return files;
}
