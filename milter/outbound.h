/*
 * outbound - carries out sign, encrypt or sign-then-encrypt on one copy of a message.
 *
 * The canonical entity is read once to be digested and once to be written; nothing is held twice
 * in memory. What is written is exactly what was signed. The result goes straight to the sink
 * (the MTA's replaced body) after its size is known and found within the limit.
 * Failure: *error; PS_ERROR_INVALID with nothing written where the message would grow too large,
 * else what the layer below said. Whatever was written then is worthless and must be refused.
 * Threads: any number, one message each.
 */
#ifndef MILTER_OUTBOUND_H
#define MILTER_OUTBOUND_H

#include <glib.h>

#include "store/base/sink.h"

struct edits;
struct gateway;
struct group;
struct headers;
struct spool;

struct outbound {
	struct gateway *gateway;
	const struct group *group;     /* treatment, signer, certificates, format, scheme, cipher */
	const struct headers *headers; /* as they will leave, after removal of ours and triggers */
	struct spool *body;
	gsize size_max_bytes; /* of the message as it leaves; 0: no limit */
};

/* Header edits are added to `edits`, the new body is written to `out`, its size to *size. */
gboolean outbound_carry_out(const struct outbound *outbound, struct edits *edits, struct sink *out,
			    gsize *size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
