/*
 * chain_maker - certificates and lists as a table describes them, broken ones too.
 *
 * OpenSSL builds and signs them directly, as our own issuing refuses most of what is wanted here.
 * Keys are P-256, one for each label, made once a maker.
 */
#ifndef TESTS_UNIT_PKI_CHAIN_MAKER_H
#define TESTS_UNIT_PKI_CHAIN_MAKER_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/crl.h"

#define MAKER_NOW 1800000000 /* 2027-01-15T08:00:00Z */

enum made_flag {
	MADE_CA = 1,
	MADE_BAD_SIGNATURE = 2,
	MADE_UTF8 = 4,     /* names as UTF8String; else PrintableString */
	MADE_BARE = 8,     /* no extensions but those of ext */
	MADE_NO_LIST = 16, /* no list is made for it by itself */
	MADE_ANCHOR = 32,
	MADE_DSA = 64, /* the key */
};

struct made {
	const char *id;          /* NULL ends a table */
	const char *issuer;      /* its id; NULL: signed by itself */
	const char *subject;     /* "CN=x,O=y"; NULL: "O=Test,CN=" and the id */
	const char *issuer_name; /* as it is spelt here; NULL: as there */
	const char *key;         /* label; NULL: the id */
	const char *ext; /* lines of an OpenSSL configuration, in place of the defaults' own */
	const char *from, *to; /* as in ASN.1; NULL: 2020 to 2040 */
	const char *serial;    /* decimal or 0x…, may be negative; NULL: counted */
	unsigned int flags;
};

struct made_list {
	const char *issuer;      /* id; NULL ends a table */
	const char *issuer_name; /* as it is spelt here */
	const char *key;         /* label of who really signs; NULL: the issuer's */
	const char *revoked;     /* "serial[=reason[=id of issuer]] …", decimal or 0x… */
	const char *ext;
	const char *from, *to;  /* NULL: 2026-12 to 2027-12 */
	long number, base;      /* 0: number 1; a base makes it a delta */
	unsigned int flags;     /* MADE_BAD_SIGNATURE, MADE_BARE */
	gboolean unknown_entry; /* entries have a critical extension that nobody knows */
};

struct maker;
struct maker *maker_new(void);
void maker_free(struct maker *maker);
/* Everything made so far is forgotten, the keys are not. */
void maker_clear(struct maker *maker);
void maker_certs(struct maker *maker, const struct made *table);
/* A list without entries for each CA that has none in the table (may be NULL). */
void maker_lists(struct maker *maker, const struct made_list *table);
struct cert *maker_cert(struct maker *maker, const char *id); /* borrowed */
GPtrArray *maker_anchors(struct maker *maker);                /* struct cert, borrowed */
GPtrArray *maker_others(struct maker *maker);
GPtrArray *maker_crls(struct maker *maker);

DEFINE_CLEANUP(maker, maker_free)

#endif
