/*
 * cmp - certificates by the Certificate Management Protocol (RFC 4210, 9480, 9481, 9483): the
 * messages, their protection, and transactions that outlive the program. The only user of
 * OSSL_CMP_...; the bytes travel through the caller.
 *
 * What came back is believed when its protection verifies: with the shared secret, with the one
 * certificate that was named, or up to a trusted one. A transaction is kept as a text, the journal:
 * its id, and each answer that counts. The journal is saved before the first message leaves and
 * before the next one follows an answer. A program that finds it plays the answers to a new
 * transaction of that id, where each is verified again, and goes on from there. A certificate is
 * confirmed only after the journal holds it and the caller accepts it.
 * Threads: any; nothing is kept between calls.
 */
#ifndef PKI_CRYPTO_CMP_H
#define PKI_CRYPTO_CMP_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/key.h"

#define CMP_MESSAGE_MAX_BYTES (256 * 1024)
#define CMP_JOURNAL_MAX_BYTES (1024 * 1024)

enum cmp_command { CMP_IR, CMP_CR, CMP_P10CR, CMP_KUR };

/* With whom, how and under which credentials; all borrowed. */
struct cmp_peer {
	const char *reference; /* of the secret; NULL: none */
	const struct secret *secret;
	const struct cert *signer; /* or this signs; NULL: none */
	const struct key *signer_key;
	GPtrArray *extra_certs;         /* its chain, struct cert; NULL: none */
	GPtrArray *trusted;             /* struct cert; NULL: none */
	const struct cert *server_cert; /* the only one that may sign answers; NULL: any trusted */
	const char *recipient;          /* "/C=DE/CN=The CA"; NULL, "": as the certificates say */
	const char *digest;             /* "SHA256" of signatures, proofs and one-way functions */
	const char *mac;                /* "hmacWithSHA256", "hmac-sha1": with the secret */
	gboolean unprotected_errors;    /* an unprotected "no" counts as one */
	/* Sends one message, DER both ways, CMP_MESSAGE_MAX_BYTES at most. */
	GBytes *(*exchange)(gpointer data, GBytes *request, GError **error);
	/* Commits the journal; FALSE ends the transaction where it stands. */
	gboolean (*save)(gpointer data, const char *journal, GError **error);
	/* Is this what was asked for? FALSE: the CA is told that it is not accepted. */
	gboolean (*accept)(gpointer data, struct cert *cert, GError **error);
	gpointer data;
};

struct cmp_order {
	enum cmp_command command;
	const struct key *key;
	GBytes *csr;            /* its subject and extensions, also when it is not sent itself */
	const struct cert *old; /* of CMP_KUR */
	gint64 days;            /* of validity, 0: the CA's choice; not in a p10cr */
	gboolean implicit_confirm;
	gboolean ra_verified; /* instead of a proof of possession; for RAs that are believed */
	const char *journal;  /* of a transaction to go on with; NULL: a new one */
	guint round;          /* of new ones: counted in the journal */
};

enum cmp_outcome {
	CMP_DONE,
	CMP_WAITING,      /* ask again after check_after seconds */
	CMP_REFUSED,      /* the CA's no */
	CMP_NOT_ACCEPTED, /* what came is not what was asked for, and the CA was told */
	CMP_UNBELIEVABLE, /* an answer that does not verify, or is none */
};

struct cmp_result {
	enum cmp_outcome outcome;
	GPtrArray *certs; /* struct cert: the issued one first */
	gint64 check_after;
	guint32 failure; /* bits of PKIFailureInfo */
	gboolean failed; /* refused by an error message, not by an answer to the request */
	gboolean late;   /* done, but the CA did not acknowledge the confirmation */
	char *text;      /* the CA's words, or why it cannot be believed; foreign text */
};

enum cmp_stage {
	CMP_STAGE_NONE,     /* no journal, or none that can be read */
	CMP_STAGE_ASKED,    /* sent, or nearly; nothing came back */
	CMP_STAGE_ANSWERED, /* the CA said wait, or the certificate is there, perhaps unconfirmed */
};

/* FALSE with *error: a message could not be exchanged, or the journal not saved. */
gboolean cmp_enroll(const struct cmp_peer *peer, const struct cmp_order *order,
		    struct cmp_result *result, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* reason: as RFC 5280 numbers it, -1 none. */
gboolean cmp_revoke(const struct cmp_peer *peer, const struct cert *cert, int reason,
		    struct cmp_result *result, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A general message that asks for the CA's certificates; DONE without any: it has answered. */
gboolean cmp_ca_certs(const struct cmp_peer *peer, struct cmp_result *result,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
void cmp_result_clear(struct cmp_result *result);

/* What a journal tells without talking to anybody; *round counts new transactions. */
enum cmp_stage cmp_journal_stage(const char *journal, guint *round);
/* The same transaction as if nothing had come back; NULL when it is no journal. */
char *cmp_journal_unanswered(const char *journal);
/* Can it be read as the name of a recipient? */
gboolean cmp_name_check(const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The name of a bit of PKIFailureInfo, "badAlg"; NULL past the last. */
const char *cmp_failure_name(guint bit);

#endif
