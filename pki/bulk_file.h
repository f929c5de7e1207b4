/*
 * bulk_file - what the rows of a file ask for (C6): columns, addresses, names, duplicates.
 *
 * The first row names the columns, in any order and case: EMAIL (e), COMMONNAME (cn), ORGANISATION
 * (org, o), FIRSTNAME (fn, givenname, gn), LASTNAME (ln, surname, sn); the first two have to be
 * there. A line end inside of a name counts as a blank. Of an address that comes again, also in
 * other letter case where local_part_case folds it, the first good row stands. Pure.
 */
#ifndef PKI_BULK_FILE_H
#define PKI_BULK_FILE_H

#include <glib.h>

struct csv_limits;

/* struct bulk_row * (store/bulk.h), WAITING, BROKEN or DUPLICATE, in the order of the file; freed
 * by the array. INVALID: the file as a whole cannot be taken. */
GPtrArray *bulk_file_read(GBytes *bytes, const char *encoding, const struct csv_limits *limits,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
