/*
 * import_bulk - certificates by the hundred thousand into the certificate store (K6, P8).
 *
 * Files are given one after the other; their certificates are parsed by worker threads and
 * written in batches by COPY, a transaction each, in the order in which they came. Each object
 * is reported: new, already there, or rejected and why; one bad object does not stop the rest.
 * What was reported is stored: an import that breaks off is repeated and goes on where it was.
 * Memory is bounded by the batches under way, however much is given. Several imports of the
 * same files at once store each certificate once.
 * Threads: one calls; the function is called in that thread.
 */
#ifndef PKI_IMPORT_BULK_H
#define PKI_IMPORT_BULK_H

#include <glib.h>

#include "pki/import.h"
#include "store/base/cleanup.h"

struct import_bulk;

/* Lives during the call. file as it was given with the bytes. */
typedef void (*import_bulk_func)(const char *file, const struct import_item *item, gpointer data);

/* Is there nothing but certificates in it, in PEM or DER? Others are for import_bytes. */
gboolean import_bulk_fits(GBytes *bytes);

/* options: origin, request_id and pending count; name is of each file. They live longer. */
struct import_bulk *import_bulk_new(struct db *db, const struct import_options *options,
				    import_bulk_func func, gpointer data);
void import_bulk_free(struct import_bulk *bulk); /* what is not written yet is dropped */
/* Takes a file that fits. FALSE when the database fails: then nothing more can be given. */
gboolean import_bulk_add(struct import_bulk *bulk, GBytes *bytes, const char *file,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Writes and reports all that is left; revocation lists that waited for a CA among it are looked
 * at again. */
gboolean import_bulk_finish(struct import_bulk *bulk, GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(import_bulk, import_bulk_free)

#endif
