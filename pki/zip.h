/*
 * zip - the files of a ZIP archive, small ones, within limits.
 *
 * PKWARE's APPNOTE 6.3: the central directory decides; entries are stored or deflated, neither
 * encrypted nor ZIP64. Names are for texts only: nothing is ever written under them. Threads: any.
 */
#ifndef PKI_ZIP_H
#define PKI_ZIP_H

#include <glib.h>

#define ZIP_FILES_MAX 500
#define ZIP_FILE_MAX_BYTES (4 * 1024 * 1024)
#define ZIP_TOTAL_MAX_BYTES (32 * 1024 * 1024) /* of what comes out */

struct zip_file {
	char *name; /* its last part, printable */
	GBytes *content;
};

/* Begins it like an archive? */
gboolean zip_is(GBytes *bytes);
/* struct zip_file *, folders left out; INVALID says what is wrong. */
GPtrArray *zip_read(GBytes *bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
