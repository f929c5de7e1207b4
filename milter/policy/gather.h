/*
 * gather - envelope, header and structure of a message to the facts of the decision (I/O).
 *
 * Every fact remembers the preference and the scope it came from, every certificate its verdict,
 * so that explain can show them. What could not be found out about a certificate or key is
 * ABLE_UNKNOWN in the facts; that the store gave no preferences at all is an error
 * (PS_ERROR_TEMPORARY), since then nothing is known. Everything comes from caches while nothing
 * has changed. Threads: any; a result is immutable and belongs to its caller.
 */
#ifndef MILTER_POLICY_GATHER_H
#define MILTER_POLICY_GATHER_H

#include <glib.h>

#include "milter/policy/facts.h"
#include "milter/policy/side.h"
#include "store/base/cleanup.h"

struct cert;
struct cms_info;
struct entity;
struct envelope;
struct failures;
struct gateway;
struct headers;
struct key;
struct mailaddr;
struct mime_tree;
struct reading;
struct selection;
struct spool;
struct spool_area;

/* What the message's structure says; made by the mail path from the spool, by explain from its
 * arguments. All zero: an unprotected text. */
struct structure_facts {
	enum arrived arrived;
	gboolean calendar;               /* a text/calendar part with a method */
	gboolean content_type_ambiguous; /* several differing Content-Type fields */
	gboolean report;                 /* a delivery report or receipt as a whole */
	const struct mime_tree *tree; /* with ARRIVED_SIGNED, to look at the signature; borrowed */
	const struct cms_info *cms;   /* with ARRIVED_ENCRYPTED, else NULL; borrowed */
	gboolean reencode;            /* not 7-bit: grows before it can be signed */
	gboolean worth_reading;     /* something in it is signed, encrypted or named so (S/MIME) */
	gboolean signature_claimed; /* the whole of it is a signed message, or named one */
	guint64 size_bytes;         /* of the message as it came, header and body */
};

struct message_source {
	const struct envelope *envelope;
	const struct headers *headers;
	const struct structure_facts *structure;
	struct spool *body;        /* sealed; NULL: nothing is read */
	struct spool_area *area;   /* for what is read; with body */
	struct failures *failures; /* of decryptions; NULL: not counted */
	gboolean reinjected;  /* came through the reinjection listener, or with a good marker */
	gboolean look_up_all; /* explain: certificates too that the decision did not ask for */
};

struct gathered_recipient {
	const char *written;      /* the address as the MTA gave it; borrowed from the envelope */
	struct mailaddr *address; /* NULL: not an address we understand */
	struct preference_set *preferences;
	struct selection *selection;  /* his candidates with verdicts; NULL: not asked or unknown */
	struct selection *additional; /* likewise, of his scopes */
	GPtrArray *certificates; /* of struct cert *: what a copy for him is encrypted to, without
				  * the author's own */
	char *note;              /* why the ability is what it is, one line; or NULL */
	GPtrArray *keys;         /* of struct cert *: whose private keys are his; NULL: not asked */
	char *inbound_note;      /* why the message is closed or unknown for him; for the log */
	gboolean asked;          /* the decision needs to know of his certificates */
	struct recipient_facts facts;
};

/* One reading of the message with the keys that some recipients share. */
struct opening {
	struct reading *reading;
	struct entity *defused; /* what was opened without references out of its HTML; or NULL */
	struct entity *bare_defused; /* likewise without its signatures; or NULL */
	enum opened_html html;
};

struct gathered {
	struct message_facts facts;
	const char *origin_why;  /* borrowed from the gateway's rules, or static */
	struct mailaddr *author; /* NULL: none */
	const char *author_why;  /* static: why there is none, or NULL */
	struct mailaddr *sender; /* NULL: the null sender, or not an address */
	struct side side;        /* whose preferences speak for the sending side */
	enum on_refuse on_refuse;
	gboolean
	    sender_told; /* a notice may go to the envelope sender: one of ours, who wrote it */
	gboolean trigger_remove;
	gboolean signer_asked;     /* the decision may need to know of the author's certificate */
	struct selection *signing; /* candidates of the author; NULL: not asked or unknown */
	struct selection *additional; /* of the author's scopes; likewise */
	struct cert *signer;          /* with facts.signer == ABLE_YES */
	struct key *signer_key;
	GPtrArray *signer_chain; /* of struct cert *, without the root; never NULL */
	GPtrArray *own;        /* of struct cert *: the author's, by encrypt_to_self; never NULL */
	char *signer_note;     /* why the ability to sign is what it is; or NULL */
	GPtrArray *recipients; /* of struct gathered_recipient * */
	GPtrArray *openings;   /* of struct opening *; facts.opening is an index from 1 */
	GPtrArray *tags;       /* of char *: in front of a Subject; facts.tag_set, likewise */
};

struct gathered *gather(struct gateway *gateway, const struct message_source *source,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
void gathered_free(struct gathered *gathered); /* NULL is fine */

DEFINE_CLEANUP(gathered, gathered_free)

#endif
