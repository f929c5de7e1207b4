/*
 * spool - the exact bytes of a message or of a part that is being made.
 *
 * Bytes are appended, the spool is sealed, then any number of readers go over any range of it.
 * Small spools live in memory; larger ones in an unlinked file of the area's folder, which is
 * encrypted under a random key of the process unless the folder is on tmpfs. A spool can take
 * in a range of a sealed one without copying it.
 * An area is shared by all threads and counts what its spools hold: above its ceiling, or when
 * the file system is full, an append fails with PS_ERROR_FULL (452 4.3.1). Memory for message
 * bytes is never taken by an aborting allocation.
 * Threads: one appends; once sealed, any number read.
 */
#ifndef MILTER_MESSAGE_SPOOL_H
#define MILTER_MESSAGE_SPOOL_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/base/sink.h"
#include "store/base/source.h"

struct spool_area;
struct spool;
struct spool_reader;

/* memory_max_bytes: of one spool, before it goes to a file; total_max_bytes: of all spools of the
 * area together, memory and files. dir is opened now: a clear error when it cannot be used. */
struct spool_area *spool_area_new(const char *dir, gsize memory_max_bytes, guint64 total_max_bytes,
				  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* In memory alone, with a ceiling: tests, file commands. */
struct spool_area *spool_area_new_memory(guint64 total_max_bytes);
struct spool_area *spool_area_ref(struct spool_area *area);
void spool_area_unref(struct spool_area *area); /* its spools may outlive it */
guint64 spool_area_used(const struct spool_area *area);

struct spool *spool_new(struct spool_area *area);
struct spool *spool_ref(struct spool *spool);
void spool_unref(struct spool *spool); /* the file goes with the last one */

gboolean spool_append(struct spool *spool, gconstpointer bytes, gsize length,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean spool_append_text(struct spool *spool, const char *text,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Bytes [start, end) of a sealed spool, shared and not copied. */
gboolean spool_append_range(struct spool *spool, struct spool *sealed, guint64 start, guint64 end,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A sink that appends; it belongs to the spool. */
struct sink *spool_sink(struct spool *spool);
/* After this nothing can be appended. Sealing twice is fine. */
gboolean spool_seal(struct spool *spool, GError **error) G_GNUC_WARN_UNUSED_RESULT;
guint64 spool_size(const struct spool *spool);

/* All of a sealed spool into a sink, or the range [start, end). */
gboolean spool_write(struct spool *spool, struct sink *to,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean spool_write_range(struct spool *spool, guint64 start, guint64 end, struct sink *to,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A range as bytes; PS_ERROR_INVALID when it is longer than max_bytes. */
GBytes *spool_bytes(struct spool *spool, guint64 start, guint64 end, gsize max_bytes,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Convenience of spool_new + append + seal. */
struct spool *spool_from_bytes(struct spool_area *area, gconstpointer bytes, gsize length,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A whole open descriptor, up to max_bytes; sealed. */
struct spool *spool_from_fd(struct spool_area *area, int fd, guint64 max_bytes,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Sequential reader of [start, end). */
struct spool_reader *spool_reader_new(struct spool *sealed, guint64 start, guint64 end);
void spool_reader_free(struct spool_reader *reader);
/* The next block, without a copy where it is in memory; it stays valid until the next call.
 * 0 at the end, -1 with *error. Blocks have any length. */
gssize spool_reader_next(struct spool_reader *reader, const guint8 **bytes,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Fills the buffer (fewer only at the end); for smfi_replacebody and the like. -1 with *error. */
gssize spool_reader_fill(struct spool_reader *reader, guint8 *buffer, gsize size,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The reader as a source; it belongs to the reader. */
struct source *spool_reader_source(struct spool_reader *reader);

DEFINE_CLEANUP(spool_area, spool_area_unref)
DEFINE_CLEANUP(spool, spool_unref)
DEFINE_CLEANUP(spool_reader, spool_reader_free)

#endif
