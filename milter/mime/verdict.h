/*
 * verdict - what the reader of a message may believe, in one word.
 *
 * It speaks for the message as a mail program shows it: valid only if everything shown is
 * covered by a good signature of a trusted signer whose address is the From address. Pure.
 */
#ifndef MILTER_MIME_VERDICT_H
#define MILTER_MIME_VERDICT_H

#include <glib.h>

#include "store/base/mailaddr.h"

enum mail_verdict {
	MAIL_VALID,
	MAIL_UNTRUSTED,
	MAIL_MISMATCH,
	MAIL_BAD,
	MAIL_UNSIGNED,
	MAIL_PARTIAL,
	MAIL_UNDECRYPTABLE,
	MAIL_MALFORMED,
};

enum signer_signature { SIGNATURE_GOOD, SIGNATURE_BAD, SIGNATURE_UNKNOWN };
enum signer_trust { SIGNER_VALID, SIGNER_INVALID, SIGNER_REVOKED };

struct signer_finding {
	enum signer_signature signature;
	enum signer_trust trust;
	gboolean from_matches;
	const char *reason;  /* of whichever is not good; borrowed */
	gint64 signing_time; /* CLOCK_NEVER: he gave none */
};

struct verdict_input {
	const char *malformed;     /* NULL, or why */
	const char *undecryptable; /* NULL, or why */
	gboolean is_signed;        /* a signed layer was found where it covers all that is shown */
	const char *partial;       /* NULL, or what is shown without being covered */
	gboolean single_author;
	const char *author_doubt; /* NULL, or what From shows beside the author's mailbox */
	gint64 date;              /* what is shown as the day of writing; CLOCK_NEVER: nothing */
	const char *date_doubt;   /* NULL, or why that cannot be told */
	const struct signer_finding *signers;
	guint signer_count;
};

/* A Date that is later than the signature by more than this is somebody else's: an old letter that
 * was sent again. (An earlier one is ordinary: mail waits before a gateway signs it.) */
#define VERDICT_DATE_AFTER_MAX_S (24 * 3600)

/* *reason is borrowed from the input or static. */
enum mail_verdict verdict_decide(const struct verdict_input *input, const char **reason);
const char *mail_verdict_name(enum mail_verdict verdict);
const char *signer_signature_name(enum signer_signature signature); /* "good" */
const char *signer_trust_name(enum signer_trust trust);             /* "valid" */

#endif
