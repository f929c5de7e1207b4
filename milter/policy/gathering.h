/*
 * gathering - the work of gather.c under way; shared with the other gather_*.c alone.
 */
#ifndef MILTER_POLICY_GATHERING_H
#define MILTER_POLICY_GATHERING_H

#include "milter/policy/gather.h"

struct settings;

struct gathering {
	struct gateway *gateway;
	const struct settings *settings;
	const struct message_source *source;
	struct gathered *found;
	gboolean author_internal;
	gboolean sender_internal;
	gboolean any_opaque;         /* somebody gets signatures in opaque form */
	gboolean any_header_protection;
	gboolean additional_unknown; /* the author's additional certificates */
	GHashTable *named;           /* keys of To, Cc, Resent-To, Resent-Cc; made when needed */
	GHashTable *additional_sets; /* thumbprints in a row -> number */
};

/* Preferences of every recipient, and the facts that come from them alone. */
gboolean gather_recipient_preferences(struct gathering *g,
				      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Certificates of those for whom the decision asks. Cannot fail: unknown is a fact. */
void gather_recipient_certificates(struct gathering *g);
/* The certificates of one recipient, from the store; again when there may be more by now. */
void gather_certificates(struct gathering *g, struct gathered_recipient *recipient);
/* Aliases of one of ours, and his address without its tag, which count as his. */
GPtrArray *gather_aliases(struct gathering *g, const struct gathered_recipient *recipient);
/* Makes ready what gather_certificates will ask, for all recipients at once. */
void gather_ahead(struct gathering *g);
/* Asks the directories for those who should have a certificate and have no valid one. */
void gather_directories(struct gathering *g);
/* Reads the message for those it is inbound to, with their keys. What cannot be asked is unknown, a
 * fact; that its bytes cannot be kept (FULL) is an error. */
gboolean gather_inbound(struct gathering *g, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Is it an answer to what was decrypted for its author? After the preferences of all. */
void gather_answer(struct gathering *g);
/* Is a certificate asked for, for the author? After it is known that he has none. */
void gather_request(struct gathering *g);
/* Auto-Submitted says that a program wrote it. */
gboolean gather_is_automatic(const struct headers *headers);
/* Of a selection that uses nothing: no, or unknown where a verdict could not be found. */
enum able selection_able(const struct selection *selection);

#endif
