/*
 * ocsp_responder - answers OCSP for what our own CAs and roots issued (C17).
 *
 * Answers are signed by a responder certificate of each issuer, which is made when it is needed and
 * renewed in time, kept in the database, signed anew before half of their validity, and given by
 * all daemons alike. "good" is said only of what stands in the books of the CA and is not revoked;
 * about all else there is no answer but "unauthorized" (RFC 5019 section 2.2.3). What somebody
 * asks about with a nonce of his (where it is repeated), or about several certificates at once,
 * is signed for him alone and not kept.
 * Threads: any. Failures are OCSP responses, too; why is logged.
 * RFC 6960, RFC 5019, S/MIME BR 4.9.9 and 4.9.10.
 */
#ifndef PKI_OCSP_RESPONDER_H
#define PKI_OCSP_RESPONDER_H

#include <glib.h>

#include "pki/crypto/ocsp_answer.h"
#include "store/base/cleanup.h"

struct changelog;
struct clock;
struct db;
struct keyring;
struct ocsp_responder;

#define OCSP_RESPONDER_DAYS 30         /* validity of responder certificates */
#define OCSP_ASKED_SECONDS 604800      /* what nobody asked for so long is not signed anew */
#define OCSP_REFRESH_AHEAD_SECONDS 900 /* by the job, before those who ask have to wait for it */

struct ocsp_policy {
	gint64 validity_seconds; /* of answers: 8 hours to 10 days */
	gboolean repeat_nonce;
};

/* All stay the caller's and live longer; changelog may be NULL. */
struct ocsp_responder *ocsp_responder_new(struct db *db, struct changelog *changelog,
					  struct clock *clock, struct keyring *keyring);
void ocsp_responder_free(struct ocsp_responder *responder);

#define OCSP_NAME_BYTES 96
/* From memory: names the answer that this request gets, for a cache. */
enum ocsp_naming {
	OCSP_NAMED,   /* in name; *tag_length octets of it are the key */
	OCSP_NOBODYS, /* about no issuer of ours: unauthorized */
	OCSP_UNNAMED, /* ocsp_responder_answer() has to be asked */
};
enum ocsp_naming ocsp_responder_name(struct ocsp_responder *responder,
				     const struct ocsp_inquiry *inquiry,
				     const struct ocsp_policy *policy, char name[OCSP_NAME_BYTES]);

struct ocsp_reply {
	GBytes *der;
	gint64 this_update, next_update;
	gint64 refresh; /* to be kept so long; 0: not at all */
	char *rests_on; /* key of CHANGE_OCSP, where it is kept */
};
/* Never NULL. May wait for the database. */
struct ocsp_reply *ocsp_responder_answer(struct ocsp_responder *responder,
					 const struct ocsp_inquiry *inquiry,
					 const struct ocsp_policy *policy);
void ocsp_reply_free(struct ocsp_reply *reply);

/* For the job: responder certificates that are due, then at most limit answers. *left: there are
 * more. An issuer whose key is not here is passed over; stop asks whether to leave. */
gboolean ocsp_responder_work(struct ocsp_responder *responder, const struct ocsp_policy *policy,
			     gint limit, gboolean *left, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Pure: when an answer is signed anew. */
gint64 ocsp_answer_refresh_at(gint64 this_update, gint64 next_update);

DEFINE_CLEANUP(ocsp_responder, ocsp_responder_free)
DEFINE_CLEANUP(ocsp_reply, ocsp_reply_free)

#endif
