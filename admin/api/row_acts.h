/*
 * row_acts - one act on rows that are named by number: asked about first, then all or none.
 *
 * Argument "ids" of the call. Each row that the act wants to be sure about is asked back for unless
 * --yes was given; then all are changed in one transaction, with one audit row that names them.
 */
#ifndef ADMIN_API_ROW_ACTS_H
#define ADMIN_API_ROW_ACTS_H

#include "admin/api/change.h"

struct row_act {
	const char *kind; /* of the rows, as people call them: "request" */
	const char *done; /* member of the answer that counts them: "deleted" */
	/* *question: what to be sure about, the caller's, or NULL for nothing. The row has to be
	 * there. NULL: nothing is asked about. */
	gboolean (*ask)(const struct call *call, gint64 id, char **question, GError **error);
	gboolean (*act)(const struct call *call, struct tx *tx, gint64 id, GError **error);
};

/* The answer, or the question back. */
json_t *row_act_run(struct call *call, const struct row_act *act,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
