/*
 * outbound - carries out sign, encrypt or sign-then-encrypt on one copy of a message.
 *
 * The canonical entity is read once to be digested and once to be written; where the body is
 * clean already its bytes are shared with the spool that holds them. What is written is exactly
 * what was signed. Nothing goes to the MTA from here: the result is a list of edits.
 * Failure: *error, and the edits are worthless. PS_ERROR_INVALID: this message cannot be
 * protected, now or later; all else may be tried again.
 * Threads: any number, one message each.
 */
#ifndef MILTER_OUTBOUND_H
#define MILTER_OUTBOUND_H

#include <glib.h>

struct edits;
struct gateway;
struct group;
struct mime_tree;

/* group: treatment, signer, certificates, format, scheme, cipher. edits may hold changes that
 * were made before (trigger words, fields of ours) and get the new body and content fields. */
gboolean outbound_carry_out(struct gateway *gateway, const struct group *group,
			    struct mime_tree *tree, struct edits *edits,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
