/*
 * csv - a file of comma-separated values as rows (RFC 4180), each with its line and what is wrong.
 *
 * Lines end in LF or CRLF, also mixed (CR alone where a file has no LF); blank lines are passed
 * over; values may be quoted and then hold commas, quotation marks (doubled) and line ends. Blanks
 * around a value, and around the quotation marks of one, are dropped. Encoding: a byte order mark
 * decides; else a row that is UTF-8 is UTF-8, another is of the encoding that was named, and
 * without one it is broken. UTF-16 and encodings in which commas and line ends are no single bytes
 * hold for the whole file. A broken row does not hurt its neighbours. Pure; threads: any.
 */
#ifndef PKI_CSV_H
#define PKI_CSV_H

#include <glib.h>

struct csv_limits {
	gsize bytes;      /* of the file */
	guint rows;       /* without the first one, which names the columns */
	guint characters; /* of a value */
};

struct csv_row {
	guint line;        /* of the file, from 1, where it begins */
	GPtrArray *values; /* char *, UTF-8; of a broken row those that could be read */
	guint culprit;     /* the value that `why` is about, from 1; 0: the row as a whole */
	char *why;         /* NULL: nothing is wrong with it */
};

/* Rows in their order, freed by the array; the first one names the columns. encoding may be NULL.
 * INVALID: more than the limits, an encoding that is not known. */
GPtrArray *csv_read(GBytes *bytes, const char *encoding, const struct csv_limits *limits,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
void csv_row_free(struct csv_row *row);

#endif
