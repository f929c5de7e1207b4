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
#include "store/base/cleanup.h"

struct cert;
struct envelope;
struct gateway;
struct headers;
struct key;
struct mailaddr;
struct preference_set;
struct selection;

/* What the message's structure says; made by the mail path from the spool, by explain from its
 * arguments. All zero: an unprotected text. */
struct structure_facts {
	enum arrived arrived;
	gboolean calendar;               /* a text/calendar part with a method */
	gboolean content_type_ambiguous; /* several differing Content-Type fields */
	enum able foreign_signature;     /* with ARRIVED_SIGNED */
	/* With ARRIVED_ENCRYPTED: "issuer-DER-hex:serial-hex" of each recipientInfo, or NULL. */
	GPtrArray *recipient_ids;
	guint64 size_bytes; /* of the message as it came, header and body */
};

struct message_source {
	const struct envelope *envelope;
	const struct headers *headers;
	const struct structure_facts *structure;
	gboolean reinjected; /* came through the reinjection listener, or with a good marker */
};

struct gathered_recipient {
	const char *written;      /* the address as the MTA gave it; borrowed from the envelope */
	struct mailaddr *address; /* NULL: not an address we understand */
	struct preference_set *preferences;
	struct selection *selection;  /* his candidates with verdicts; NULL when unknown */
	struct selection *additional; /* likewise */
	GPtrArray *certificates;      /* of struct cert *: what a copy for him is encrypted to */
	char *note;                   /* why the ability is what it is, one line; or NULL */
	struct recipient_facts facts;
};

struct gathered {
	struct message_facts facts;
	const char *origin_why;  /* "login", "network 127.0.0.0/8" ...; static or interned */
	struct mailaddr *author; /* NULL: none */
	struct mailaddr *sender; /* NULL: the null sender or not an address */
	struct preference_set *author_preferences; /* the sending side's; global with neither */
	struct preference_set *sender_preferences; /* of an internal envelope sender, or NULL */
	enum on_refuse on_refuse;
	gboolean trigger_remove;
	struct selection *signing; /* candidates of the author; NULL when not looked for */
	struct cert *signer;       /* with facts.signer == ABLE_YES */
	struct key *signer_key;
	GPtrArray *signer_chain; /* of struct cert *, without the root */
	GPtrArray *own;          /* of struct cert *: the author's own, by encrypt_to_self */
	char *signer_note;
	GPtrArray *recipients; /* of struct gathered_recipient * */
	gint64 expires;        /* these facts hold no longer than this */
};

struct gathered *gather(struct gateway *gateway, const struct message_source *source,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
void gathered_free(struct gathered *gathered); /* NULL is fine */

DEFINE_CLEANUP(gathered, gathered_free)

#endif
