/*
 * outbound - carries out sign, encrypt, sign-then-encrypt or the cut on one copy of a message.
 *
 * The canonical entity is read once to be digested and once to be written; where the body is
 * clean already its bytes are shared with the spool that holds them. What is written is exactly
 * what was signed. Nothing goes to the MTA from here: the result is a list of edits.
 * What does not change from message to message (certificate, key and chain, encoded) is kept
 * for a while. Threads: any number, one message each; no lock is held while a key is used.
 */
#ifndef MILTER_OUTBOUND_H
#define MILTER_OUTBOUND_H

#include <glib.h>

#include "store/base/cleanup.h"

struct cert;
struct edits;
struct group;
struct mime_tree;
struct outbound;
struct spool_area;

struct outbound_request {
	const struct group *group;     /* treatment, signer, certificates, format, scheme, cipher */
	const struct cert *encryption; /* the author's, announced in signatures; NULL: the signer */
	struct mime_tree *tree;        /* of the message as it came */
	struct spool_area *area;
	gint64 now; /* signingTime */
};

struct outbound *outbound_new(void);
void outbound_free(struct outbound *outbound); /* NULL is fine */

/*
 * edits may hold changes made before (trigger words, fields of ours) and get the new body and
 * content fields. On failure they are worthless, and the message must be deferred: never INVALID,
 * which somebody might take for a reason to go without.
 */
gboolean outbound_carry_out(struct outbound *outbound, const struct outbound_request *request,
			    struct edits *edits, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Of the kept signers. */
void outbound_stats(struct outbound *outbound, guint64 *hits, guint64 *misses);

DEFINE_CLEANUP(outbound, outbound_free)

#endif
