/*
 * cert_fixture - a small PKI made on the spot (P-256, so that it is fast), for tests.
 *
 *     Root -> Intermediate -> whatever fixture_leaf is told to make
 */
#ifndef TESTS_UNIT_PKI_CERT_FIXTURE_H
#define TESTS_UNIT_PKI_CERT_FIXTURE_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/crl.h"
#include "pki/crypto/issue.h"
#include "pki/crypto/key.h"

#define PKI_NOW 1800000000 /* 2027-01-15; everything is made around it */
#define PKI_DAY 86400

struct node {
	struct cert *cert;
	struct key *key;
};

struct leaf {
	const char *common_name;
	const char *email;            /* SAN; NULL: none */
	const char *subject_email;    /* emailAddress of the subject; NULL: none */
	unsigned int key_usage;       /* 0: digitalSignature and keyAgreement */
	const char *extended;         /* one OID or name; NULL: emailProtection; "": none */
	gint64 not_before, not_after; /* 0: a year around PKI_NOW */
	gboolean ca;
	const char *crl_url;
	const char *ocsp_url, *second_ocsp_url;
	const char *serial;    /* NULL: random */
	const struct key *key; /* NULL: a new one */
	gboolean ocsp_nocheck;
};

void node_clear(struct node *node);
struct node pki_root(const char *common_name);
struct node pki_intermediate(const struct node *issuer, const char *common_name);
struct node pki_leaf(const struct node *issuer, const struct leaf *leaf);
/* serials ends with NULL and may be NULL. */
struct crl *pki_crl(const struct node *issuer, gint64 this_update, gint64 next_update,
		    guint64 number, const char *const *serials, enum crl_reason reason);
GPtrArray *pki_certs(struct cert *first, ...) G_GNUC_NULL_TERMINATED; /* refs */
/* Path in the folder of foreign test data, or NULL when it is not there. */
char *pki_data(const char *relative);
GBytes *pki_read(const char *path);

#endif
