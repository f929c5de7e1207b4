/*
 * crl_fixture - revocation lists of any kind, made on the spot: deltas, parts, damaged ones.
 */
#ifndef TESTS_UNIT_PKI_CRL_FIXTURE_H
#define TESTS_UNIT_PKI_CRL_FIXTURE_H

#include <glib.h>

#include "tests/unit/pki/cert_fixture.h"

struct crl_sample_entry {
	const char *serial; /* hex; NULL ends */
	enum crl_reason reason;
};

struct crl_sample {
	const struct node *issuer;
	gint64 this_update, next_update; /* next_update 0: none */
	gint64 number;                   /* 0: none */
	gint64 base;                     /* of a delta; 0: complete */
	const char *point;               /* URI of its distribution point (IDP), or NULL */
	const struct crl_sample_entry *entries;
	gboolean no_key_id;
	gboolean critical; /* an extension that nobody knows */
	gboolean damaged;  /* a bit of the signature */
};

GBytes *crl_sample_make(const struct crl_sample *sample);

#endif
