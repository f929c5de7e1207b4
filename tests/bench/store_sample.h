/*
 * store_sample - a store as large sites have it: certificate N of a million, made on the spot.
 *
 * One in five is issued by one of four CAs under one root, to one of `addresses` people; there
 * are as many duplicates as it takes. The others are noise: issuers that nobody has, half of the
 * keys RSA. Keys come from a pool, signatures of noise are random octets. The same N gives the
 * same certificate but for random octets of signatures. Threads: any.
 */
#ifndef TESTS_BENCH_STORE_SAMPLE_H
#define TESTS_BENCH_STORE_SAMPLE_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/key.h"

#define SAMPLE_ISSUED_EVERY 5
#define SAMPLE_CAS 4

struct store_sample;

struct store_sample *store_sample_new(guint addresses);
void store_sample_free(struct store_sample *sample);
GBytes *store_sample_cert(const struct store_sample *sample, guint number);
char *store_sample_address(guint address); /* of a person, from 0 */
const struct cert *store_sample_root(const struct store_sample *sample);
const struct cert *store_sample_ca(const struct store_sample *sample, guint ca);
const struct key *store_sample_ca_key(const struct store_sample *sample, guint ca);
/* A revocation list of this CA with so many entries, `serials` (octets of the INTEGER) at its
 * start, in its middle and at its end. */
GBytes *store_sample_crl(const struct store_sample *sample, guint ca, GBytes *const serials[3],
			 guint entries);
/* The CA that issues certificate `number` (one that is issued). */
guint store_sample_ca_of(guint number);

#endif
