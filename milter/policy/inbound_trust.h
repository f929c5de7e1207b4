/*
 * inbound_trust - who is believed: the answers that a reading of mail asks for, from the store.
 *
 * Signers are judged as of now. Certificates of the message are hints, never trusted. What path
 * validation needs at a responder that is being asked is unknown, not invalid. Put the struct first
 * into one of your own where keys are looked for, too. Threads: any, one message each.
 */
#ifndef MILTER_POLICY_INBOUND_TRUST_H
#define MILTER_POLICY_INBOUND_TRUST_H

#include "milter/reading.h"
#include "pki/trust.h"

struct gateway;
struct preference_set;

struct inbound_trust {
	struct gateway *gateway;
	struct trust_mode mode;
	gboolean legacy;
};

/* revocation_verify and ocsp_verify of the recipient and of the author, the stricter of each. */
struct trust_mode inbound_trust_mode(const struct preference_set *recipient,
				     const struct preference_set *author_or_null);
/* Options that verify and open nothing; trust lives as long as they are used, and is their data. */
struct reading_options inbound_trust_options(struct inbound_trust *trust, struct spool_area *area);
/* Certificates out of DER, as hints for trust; what cannot be parsed is left out. */
GPtrArray *inbound_trust_hints(struct gateway *gateway, const GPtrArray *ders);

#endif
