/*
 * copies - the groups of one message carried out: one list of edits a copy.
 *
 * Everything that a copy is made of is made here, before anything leaves; nothing is handed over.
 * What is large lies in spools. A field with our marker is deleted in every copy, whatever else
 * is done or observed.
 * Failure: NULL with *error, and the message must be deferred. Threads: any, one message each.
 */
#ifndef MILTER_COPIES_H
#define MILTER_COPIES_H

#include <glib.h>

#include "store/base/cleanup.h"

struct edits;
struct gateway;
struct group;
struct mta;
struct outbound;
struct ruling;
struct session_message;
struct spool_area;
struct structure;

struct copies_request {
	struct gateway *gateway;
	struct outbound *outbound;
	const struct session_message *message;
	const struct ruling *ruling; /* not stopped: without a reply, with recipients */
	const struct structure *structure;
	struct spool_area *area;
	struct mta *mta; /* told now and then that work goes on */
};

struct copy {
	const struct group *group;
	struct edits *edits;
	guint64 size;  /* of the whole message with these edits */
	gboolean made; /* carried out; FALSE: left, but for fields of ours */
};

/* Of struct copy *, in the order of ruling->groups->copies; ends with g_ptr_array_unref. */
GPtrArray *copies_make(const struct copies_request *request,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A copy that the mail server would not take for its size; NULL: all fit. */
const struct copy *copies_too_large(const GPtrArray *copies, gint64 size_max_bytes);

#endif
