/*
 * trust_mode - how strictly revocation is looked at: preferences revocation_* and ocsp_*.
 *
 * Both run from weak to strict, as their preferences do. Pure. Threads: any.
 */
#ifndef PKI_TRUST_MODE_H
#define PKI_TRUST_MODE_H

#include "pki/crypto/chain.h"

struct preference_set;

enum trust_purpose {
	TRUST_ENCRYPT, /* encrypt to it */
	TRUST_SIGN,    /* sign with it */
	TRUST_VERIFY,  /* believe a signature made with it */
	TRUST_ANY,     /* shown in a list: path and dates, no usage */
};

struct trust_mode {
	enum chain_revocation revocation;
	enum chain_status_use ocsp;
};

/* The mode that a set of preferences asks for; NULL: the defaults. */
struct trust_mode trust_mode_of(const struct preference_set *set, enum trust_purpose purpose);
/* Of each half the stricter. */
struct trust_mode trust_mode_stricter(struct trust_mode a, struct trust_mode b);

#endif
