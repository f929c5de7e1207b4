/*
 * apart - the recipients who do not get the copy that stays in place: their copies are injected,
 * the refused are told of to the sender, and all of them are to be taken out of the envelope.
 *
 * Called when every copy is made and fits, before anything is handed over in place. Whatever went
 * out is in the ledger; a message that is deferred after it can be tried again.
 * Threads: any, one message each.
 */
#ifndef MILTER_APART_H
#define MILTER_APART_H

#include <glib.h>

#include "milter/split.h"
#include "store/base/cleanup.h"

struct apart_request {
	struct split *split; /* NULL: nothing is injected, one copy alone is possible */
	const struct split_request *message; /* its copies: those to inject; may be none */
	const char *host;                    /* who reports in a notice */
	gint64 now;
};

struct apart {
	struct split_report report;
	enum split_outcome outcome; /* DONE: go on; REPLY, DEFER: this is the message's answer */
	enum reason reason;
	const struct reply *reply; /* with REPLY where the server gave one; else by the reason */
	GArray *gone;    /* of guint: to be taken out of the envelope; each once, ascending */
	guint refused;   /* of them: those the sender was told about */
	gboolean noted;  /* the ledger holds something of this message */
	gboolean nobody; /* all are gone: the message is to be accepted and dropped */
};

/* FALSE with *error: defer by apart->reason. Fills *apart in any case: apart_clear it. */
gboolean apart_deal(const struct apart_request *request, struct apart *apart,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The last before the message is accepted. FALSE: defer. */
gboolean apart_accepted(const struct apart_request *request, const struct apart *apart,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
void apart_clear(struct apart *apart);

#endif
