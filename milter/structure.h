/*
 * structure - what the bytes of a message say to the decision: how it arrived, how large it is.
 *
 * Failure: NULL with *error when the spool could not be read. Threads: any.
 */
#ifndef MILTER_STRUCTURE_H
#define MILTER_STRUCTURE_H

#include "milter/message/headers.h"
#include "milter/mime/scan.h"
#include "milter/policy/gather.h"

struct detection;

struct structure {
	struct mime_tree *tree;
	struct detection *detection;
	struct structure_facts facts;
};

struct structure *structure_read(struct headers *headers, struct spool *body,
				 GError **error) G_GNUC_WARN_UNUSED_RESULT;
void structure_free(struct structure *structure); /* NULL is fine */

DEFINE_CLEANUP(structure, structure_free)

#endif
