/*
 * seal - secrets of the database, encrypted under a master key that is not in the database.
 *
 * AES-256-GCM with a fresh key per blob by HKDF-SHA-256 from the master key and a random salt;
 * table and row id are associated data, so that a blob copied onto another row does not open.
 * The file holds lines `generation base64-of-32-bytes`; the highest generation seals, all open.
 * Blob: "PSS1", generation (4 bytes), id of the master key (8), salt (32), nonce (12),
 * ciphertext, tag (16).
 * Threads: any; struct master_keys is immutable after loading.
 */
#ifndef PKI_CRYPTO_SEAL_H
#define PKI_CRYPTO_SEAL_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/base/secret.h"

struct master_keys;

/* Refuses a file that others than its owner can read, or whose folder others can write. */
struct master_keys *master_keys_load(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct master_keys *master_keys_parse(const struct secret *text,
				      GError **error) G_GNUC_WARN_UNUSED_RESULT;
void master_keys_free(struct master_keys *keys);
unsigned int master_keys_current(const struct master_keys *keys); /* the generation that seals */
/* The i-th generation, newest first; 0 after the last. */
unsigned int master_keys_nth(const struct master_keys *keys, unsigned int i);
gboolean master_keys_has(const struct master_keys *keys, unsigned int generation);
/* Short hex name of a generation's key, for doctor: says whether two hosts hold the same. */
char *master_keys_id(const struct master_keys *keys, unsigned int generation);

/* Makes the file with generation 1, mode 0600; fails when it exists. */
gboolean master_keys_create(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Adds a random generation after the highest: a new file put in place atomically, with owner
 * and mode of the old one. */
gboolean master_keys_add_generation(const char *path, unsigned int *generation,
				    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Takes a generation out, when nothing is sealed under it any more; never the current one. */
gboolean master_keys_drop_generation(const char *path, unsigned int generation,
				     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Writes the same lines to another file (the milter's copy) with the given mode; atomic. */
gboolean master_keys_copy(const char *from, const char *to, unsigned int mode,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;

GBytes *seal(const struct master_keys *keys, const char *table, const char *row_id,
	     const struct secret *plain, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* One clear line tells apart: another master key, another row, a damaged blob. */
struct secret *unseal(const struct master_keys *keys, const char *table, const char *row_id,
		      GBytes *blob, GError **error) G_GNUC_WARN_UNUSED_RESULT;
unsigned int seal_generation(GBytes *blob); /* 0 when it is no sealed blob */
/* Keys for other uses ("marker", "audit"), of the given generation; 0 means the current one. */
struct secret *master_keys_derive(const struct master_keys *keys, unsigned int generation,
				  const char *label, gsize length,
				  GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(master_keys, master_keys_free)

#endif
