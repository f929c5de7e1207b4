/*
 * spool_store - where a spool's bytes are (memory, then a file); used by spool.c alone.
 *
 * Append-only until it is sealed; then any number of threads read.
 */
#ifndef MILTER_MESSAGE_SPOOL_STORE_H
#define MILTER_MESSAGE_SPOOL_STORE_H

#include "milter/message/spool.h"

#define STORE_BUFFER_BYTES (65536 + 16)

struct store;

struct store *store_new(struct spool_area *area);
struct store *store_ref(struct store *store);
void store_unref(struct store *store); /* NULL is fine */
gboolean store_append(struct store *store, const guint8 *bytes, gsize length,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean store_seal(struct store *store, GError **error) G_GNUC_WARN_UNUSED_RESULT;
guint64 store_length(const struct store *store);
gboolean store_in_memory(const struct store *store);
const guint8 *store_memory(const struct store *store);
/* Of a sealed file: up to want bytes at offset, somewhere in buffer (STORE_BUFFER_BYTES). -1 with
 * *error. */
gssize store_read(struct store *store, guint64 offset, guint64 want, guint8 *buffer,
		  const guint8 **bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
