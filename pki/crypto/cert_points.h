/*
 * cert_points - the distribution points of a certificate, name by name, and pairs of cross
 * certificates out of directories.
 *
 * The names of one point lead to the same list (RFC 5280 section 4.2.1.13); the points of a
 * certificate lead to different ones. Names that are no http, https, ldap or ldaps URLs are left
 * out, and points without any other. Threads: any.
 */
#ifndef PKI_CRYPTO_CERT_POINTS_H
#define PKI_CRYPTO_CERT_POINTS_H

#include <glib.h>

#include "pki/crypto/cert.h"

#define CERT_POINT_URLS_MAX 8 /* of all points together */

enum cert_points_kind {
	CERT_POINTS_CRL,      /* complete lists */
	CERT_POINTS_FRESHEST, /* delta lists, section 4.2.1.15 */
};

/* GStrv, one a point; at most CERT_POINT_URLS_MAX names in all, the first ones. Never NULL; owned
 * by the caller. */
GPtrArray *cert_points(const struct cert *cert, enum cert_points_kind kind);
/* Appends what a crossCertificatePair (RFC 4523 section 2.4) holds: struct cert. FALSE when it is
 * none. */
gboolean cert_pair_read(GBytes *der, GPtrArray *certs);

#endif
