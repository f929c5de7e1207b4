/*
 * believing - whom a reading believes: trust and certificates of the gateway's store.
 *
 * Signers are judged as of now, with what the message brought as hints. Put the struct first into
 * one of your own where keys are looked for, too. Threads: any number, one reading each.
 */
#ifndef MILTER_BELIEVING_H
#define MILTER_BELIEVING_H

#include "milter/reading.h"

struct gateway;

struct believing {
	struct gateway *gateway;
	gboolean legacy; /* old algorithms on the signer's path, too */
};

/* Options that verify and open nothing; believing lives as long as they are used. */
struct reading_options believing_options(struct believing *believing, struct spool_area *area);
/* Certificates out of DER, as hints for trust; what cannot be parsed is left out. */
GPtrArray *believing_hints(struct gateway *gateway, const GPtrArray *ders);

#endif
