/*
 * file_verify - path validation over files and folders, without store or daemon.
 *
 * A path is a file of any format or a folder of such files (regular files only, at most 64 MiB
 * each and 100,000 in all); a broken file is named through `broken` and skipped.
 */
#ifndef PKI_FILE_VERIFY_H
#define PKI_FILE_VERIFY_H

#include <glib.h>

#include "pki/crypto/bundle.h"
#include "pki/crypto/chain.h"

#define FILE_VERIFY_FILES_MAX 100000

/* Called for each file or object that is skipped, with its name and the reason. */
typedef void (*file_broken_func)(const char *path, const char *why, gpointer data);

struct file_pool {
	GPtrArray *certs;
	GPtrArray *keys;
	GPtrArray *crls;
};

/* Reads all of paths. A path that does not exist is an error; "-" is standard input. */
struct file_pool *file_pool_read(const char *const *paths, const struct secret *password,
				 file_broken_func broken, gpointer data,
				 GError **error) G_GNUC_WARN_UNUSED_RESULT;
void file_pool_free(struct file_pool *pool);

struct file_verify {
	const char *cert; /* the file; its first certificate is judged, others are hints */
	const char *const *roots;
	const char *const *untrusted;
	const char *const *crls;
	/* anchors, untrusted, crls are filled from the files; the rest is taken as it is. */
	struct chain_options options;
};

/* NULL with *error where a file cannot be read; what is wrong with the certificate is in the
 * report, the caller's to free. What cannot be read of a folder goes to broken. */
struct chain_report *file_verify_run(const struct file_verify *verify, file_broken_func broken,
				     gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(file_pool, file_pool_free)

#endif
