/*
 * cert_difference - is a certificate that was read without OpenSSL what OpenSSL says it is?
 */
#ifndef TESTS_SUPPORT_CERT_DIFFERENCE_H
#define TESTS_SUPPORT_CERT_DIFFERENCE_H

#include <glib.h>

/* Reads der in both ways and compares every answer, the key, the rules of paths, the names, what
 * is shown. NULL when they agree, or when only OpenSSL's way would read it (*light is FALSE
 * then); else what differs. Owned by the caller. */
char *cert_difference(GBytes *der, gboolean *light);

#endif
