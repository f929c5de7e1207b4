/*
 * decide - facts to the plan of one recipient. PURE: no I/O, no clock, no allocation.
 *
 * A plan says what happens to this recipient's copy, and which row of the decision said so. What
 * is needed and unknown defers, what is needed and impossible refuses; the default of every switch
 * is the strict answer. Mail with the null sender is never refused nor deferred by policy: where
 * its text must not leave in plain, it leaves without.
 * Threads: any.
 */
#ifndef MILTER_POLICY_DECIDE_H
#define MILTER_POLICY_DECIDE_H

#include "milter/policy/facts.h"
#include "store/base/reason.h"

enum direction {
	DIRECTION_LEAVE,    /* our own copy comes back, or internal mail: as it is */
	DIRECTION_OUTBOUND, /* ours to somebody */
	DIRECTION_RELAY,    /* of a stranger to a stranger: the recipient's wishes alone */
	DIRECTION_INBOUND,  /* a stranger's to one of ours */
};

enum need { NEED_NO, NEED_TRY, NEED_MUST }; /* of encryption: plain, try, must */

enum outcome {
	OUTCOME_LEAVE,  /* goes on without protection of ours */
	OUTCOME_DO,     /* sign, encrypt or both */
	OUTCOME_READ,   /* inbound: results are told, and perhaps other content or a quarantine */
	OUTCOME_CUT,    /* mail that nobody wrote: its text is removed */
	OUTCOME_DEFER,  /* 451 */
	OUTCOME_REFUSE, /* 550, 552 */
};

enum decide_row {
#define ROW(id, reason, text) ROW_##id,
#include "milter/policy/rows.def"
#undef ROW
	ROW_COUNT
};

struct plan {
	enum direction direction;
	enum outcome outcome;
	gboolean sign; /* both FALSE unless OUTCOME_DO */
	gboolean encrypt;
	gboolean observed; /* mode = observe: outcome is LEAVE, and `would` says what it had been */
	enum outcome would;
	gboolean would_sign;
	gboolean would_encrypt;

	gboolean null_sender; /* mail that nobody wrote: neither refused nor deferred */
	gboolean request;     /* auto_request: a certificate is to be asked for, for the author */

	/* of the copy, when something is done to it; 0 otherwise */
	enum signing_format format;
	enum signature_scheme scheme;
	enum copy_digest digest;
	gboolean include_chain;
	enum copy_cipher cipher;
	enum copy_transport transport;
	enum copy_keys keys;
	guint additional_set;
	gboolean alone; /* encrypted for somebody who is named nowhere, or wants it so: shared with
			   nobody */

	/* SIGNED: fields inside, hp="clear" or on an encrypted copy "cipher"; SIGNED_AND_ENCRYPTED,
	 * of an encrypted copy only: Subject and the like are hidden outside */
	enum header_protection hp;
	/* of an inbound copy, with OUTCOME_READ; 0 otherwise */
	guint opening;         /* whose reading it is made of; 0: nobody's, nothing of it is told */
	gboolean open;         /* its content is what was decrypted */
	gboolean strip;        /* without its signatures */
	gboolean defuse;       /* without references out of its HTML */
	gboolean results;      /* Authentication-Results and X-Postseal-* are added */
	guint tag_set;         /* tags go in front of the Subject; 0: none */
	gboolean quarantine;   /* the MTA holds it: always the untouched original */
	gboolean headers_only; /* RET=HDRS: a bounce of it must not return its body */

	enum need encrypt_need;
	enum need sign_need;
	enum decide_row row;         /* the one that decided */
	enum decide_row encrypt_row; /* why encrypted or not */
	enum decide_row sign_row;    /* why signed or not */
	enum reason reason;          /* of `row` */
};

/* Fills every member of *plan. */
void decide(const struct message_facts *message, const struct recipient_facts *recipient,
	    struct plan *plan);

/* Where a message to this recipient goes; rests on origin and locality alone. */
enum direction decide_direction(const struct message_facts *message,
				const struct recipient_facts *recipient);

const char *decide_row_text(enum decide_row row); /* "5: encryption: must, ..." */
enum reason decide_row_reason(enum decide_row row);
const char *decide_direction_name(enum direction direction);
const char *decide_outcome_name(enum outcome outcome);
const char *decide_need_name(enum need need);

/* Would one copy do for both? Compares what is done, not why. */
gboolean plan_same_copy(const struct plan *a, const struct plan *b);

#endif
