/*
 * upload_pieces - many files, or long ones, as the "files" of several calls.
 *
 * A call gets as many files as fit. A PEM text that is longer than one call takes goes over in
 * parts that end behind a whole block, and is never in memory as a whole; anything else has to be
 * of at most 64 MiB. Files that cannot be read are reported and skipped, unless there is only
 * one. Threads: one.
 */
#ifndef ADMIN_CLI_UPLOAD_PIECES_H
#define ADMIN_CLI_UPLOAD_PIECES_H

#include <glib.h>
#include <jansson.h>

#include "store/base/cleanup.h"

struct upload_pieces;

struct upload_pieces *upload_pieces_new(GStrv paths); /* borrowed, of upload_expand */
void upload_pieces_free(struct upload_pieces *pieces);
/* The files of the next call; NULL with *error when the only one cannot be read. */
json_t *upload_pieces_next(struct upload_pieces *pieces, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean upload_pieces_left(const struct upload_pieces *pieces);
/* Of all files that are not streams, in bytes. */
void upload_pieces_progress(const struct upload_pieces *pieces, guint64 *done, guint64 *total);

DEFINE_CLEANUP(upload_pieces, upload_pieces_free)

#endif
