/*
 * inbound_trust - who is believed: the answers that a reading of mail asks for, from the store.
 *
 * Certificates of the message are hints, never trusted. What path validation needs at a responder
 * that is being asked is unknown, not invalid. Threads: any, one message each.
 */
#ifndef MILTER_POLICY_INBOUND_TRUST_H
#define MILTER_POLICY_INBOUND_TRUST_H

#include "milter/reading.h"
#include "pki/trust.h"

struct gateway;
struct side;

struct inbound_trust {
	struct gateway *gateway;
	struct trust_mode mode;
	gboolean legacy;
};

/* revocation_verify and ocsp_verify of the recipient and of the author, the stricter of each. */
struct trust_mode inbound_trust_mode(const struct preference_set *recipient,
				     const struct preference_set *author_or_null);
gboolean inbound_trust_judge(const struct inbound_trust *trust,
			     const struct cms_verify_report *object,
			     const struct cms_signer_report *signer, struct signer_judgement *out,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A signer's certificate that the message did not bring; NULL without *error: the store has none. */
struct cert *inbound_trust_find(const struct inbound_trust *trust, const struct cms_signer_id *id,
				GError **error);

#endif
