/*
 * milter_client_internal - what the connection and the messages of a milter_client share.
 */
#ifndef TESTS_SUPPORT_MILTER_CLIENT_INTERNAL_H
#define TESTS_SUPPORT_MILTER_CLIENT_INTERNAL_H

#include "tests/support/milter_client.h"

#define STEP_LEADING_BLANK 0x100000u

struct milter_client {
	int fd;
	guint timeout_seconds;
	gboolean discard_body;
	gboolean packing; /* packets are kept in out */
	guint32 actions;
	guint32 steps;
	GByteArray *out;
	GByteArray *packet; /* the last one read: command and data */
	guint8 in[65536];
	gsize in_start, in_end;
	GArray *macros; /* struct macro */
};

guint32 milter_get_u32(const guint8 *p);
gboolean milter_out_flush(struct milter_client *client, GError **error);
/* Kept until there are enough of them, or an answer is wanted. */
gboolean milter_packet_put(struct milter_client *client, char command, gconstpointer data,
			   gsize length, GError **error);
/* The next packet of the filter, after all of ours have left. */
gboolean milter_packet_get(struct milter_client *client, GError **error);
gboolean milter_macros_put(struct milter_client *client, char stage, GError **error);
void milter_reply_take(struct milter_client *client, struct milter_reply *reply);
/* One step with its macros; the answer, or 'c' at once when none is to come. */
gboolean milter_step_send(struct milter_client *client, char command, gconstpointer data,
			  gsize length, struct milter_reply *reply, GError **error);

#endif
