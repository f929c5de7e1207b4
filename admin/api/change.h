/*
 * change - an act, its audit row and its stored answer in one transaction.
 *
 * So a change is audited if and only if it happened, and a request that is repeated under the
 * same id gets the answer of the first time, whatever happened in between.
 */
#ifndef ADMIN_API_CHANGE_H
#define ADMIN_API_CHANGE_H

#include "admin/api/call.h"
#include "store/audit.h"

struct db;
struct tx;

struct change {
	struct call *call;
	/* Set by the act, g_strdup'ed; for the audit row. Never a secret. */
	char *object;
	char *detail;
};

/* Gives the answer; may run more than once (serialisation), and then starts afresh. */
typedef json_t *(*change_act)(struct change *change, struct tx *tx, gpointer data, GError **error);

json_t *change_run(struct call *call, change_act act, gpointer data,
		   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* For acts of several transactions: what was done before, audit row and answer follow. */
gboolean change_record(struct call *call, const char *object, const char *detail,
		       const json_t *answer, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The answer of the first time, or NULL without *error when this is the first time. */
json_t *change_repeated(struct call *call, GError **error);
/* SHA-256 over operation and arguments without secrets; owned by the caller. */
char *change_digest(const struct operation *operation, const json_t *arguments);
struct actor call_actor(const struct call *call);

#endif
