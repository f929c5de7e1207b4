/*
 * secret - bytes that are wiped when they are no longer needed.
 *
 * The memory is locked and kept out of core dumps where the system allows it. A secret is
 * reference-counted and immutable. Threads: any. secret_read_file refuses a file that others
 * than its owner can read, or whose folder others can write.
 */
#ifndef STORE_BASE_SECRET_H
#define STORE_BASE_SECRET_H

#include <glib.h>

#include "store/base/cleanup.h"

struct secret;

struct secret *secret_new(gconstpointer bytes, gsize length); /* copies */
/* Copies a C string; the original is the caller's to wipe. The secret is followed by a NUL. */
struct secret *secret_new_text(const char *text);
struct secret *secret_new_random(gsize length, GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct secret *secret_read_file(const char *path, gsize max_bytes,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* One line from an open descriptor (--password-fd), without its line end. */
struct secret *secret_read_line(int fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct secret *secret_ref(struct secret *secret);
void secret_unref(struct secret *secret); /* wipes with the last reference; NULL is fine */
gconstpointer secret_bytes(const struct secret *secret);
gsize secret_length(const struct secret *secret);
const char *secret_text(const struct secret *secret); /* NUL-terminated view */
void wipe(void *bytes, gsize length);                 /* never optimised away */

DEFINE_CLEANUP(secret, secret_unref)

#endif
