/*
 * row_difference - do two ways of reading a certificate come to the same row?
 */
#ifndef TESTS_SUPPORT_ROW_DIFFERENCE_H
#define TESTS_SUPPORT_ROW_DIFFERENCE_H

#include "store/certs.h"

struct cert_scanner;

/* NULL when they are the same; else what differs. Owned by the caller. */
char *row_difference(const struct cert_row *a, const struct cert_row *b);
/* Reads der in both ways. NULL when the scan gave up or gave the very row that OpenSSL's
 * reading gives. */
char *row_scan_difference(struct cert_scanner *scanner, GBytes *der, gboolean *scanned);

#endif
