/*
 * posts - SQL of answered requests.
 */
#include "store/posts.h"

#include <string.h>

#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"

static const struct statement posts_find_statement = {
	"posts_find",
	"SELECT digest, status, answer FROM api_post WHERE actor = $1 AND id = $2",
};

static void
read_answer(const struct rows *rows, const char *digest, enum post_state *state, gint *status,
	    char **answer)
{
	*status = 0;
	*answer = NULL;
	if (rows_count(rows) == 0) {
		*state = POST_NEW;
	} else if (strcmp(rows_text(rows, 0, 0), digest) != 0 || rows_is_null(rows, 0, 1)) {
		*state = POST_OTHER;
	} else {
		*state = POST_ANSWERED;
		*status = (gint)rows_int(rows, 0, 1);
		*answer = g_strdup(rows_text(rows, 0, 2));
	}
}

static struct params *
find_params(const char *actor, const char *id)
{
	struct params *params = params_new();

	params_text(params, actor);
	params_text(params, id);
	return params;
}

gboolean
posts_find(struct db *db, const char *actor, const char *id, const char *digest,
	   enum post_state *state, gint *status, char **answer, GError **error)
{
	CLEANUP(rows)
	struct rows *rows = db_write(db, &posts_find_statement, find_params(actor, id), error);
	if (rows == NULL)
		return FALSE;
	read_answer(rows, digest, state, status, answer);
	return TRUE;
}

/* Waits on the unique index for a first request that is still at work. */
static const struct statement posts_begin_statement = {
	"posts_begin",
	"INSERT INTO api_post (actor, id, digest) VALUES ($1, $2, $3)"
	" ON CONFLICT (actor, id) DO NOTHING",
};

gboolean
posts_begin(struct tx *tx, const char *actor, const char *id, const char *digest,
	    enum post_state *state, gint *status, char **answer, GError **error)
{
	struct params *params = find_params(actor, id);

	params_text(params, digest);
	CLEANUP(rows) struct rows *begun = tx_query(tx, &posts_begin_statement, params, error);
	if (begun == NULL)
		return FALSE;
	*status = 0;
	*answer = NULL;
	*state = POST_NEW;
	if (rows_affected(begun) > 0)
		return TRUE;
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &posts_find_statement, find_params(actor, id), error);
	if (rows == NULL)
		return FALSE;
	read_answer(rows, digest, state, status, answer);
	return TRUE;
}

static const struct statement posts_finish_statement = {
	"posts_finish",
	"UPDATE api_post SET status = $3, answer = $4 WHERE actor = $1 AND id = $2",
};

gboolean
posts_finish(struct tx *tx, const char *actor, const char *id, gint status, const char *answer,
	     GError **error)
{
	struct params *params = find_params(actor, id);

	params_int(params, status);
	params_text(params, answer);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &posts_finish_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_affected(rows) != 1)
		return fail_false(error, PS_ERROR_BUG, "request '%s' was not begun", id);
	return TRUE;
}

static const struct statement posts_forget_statement = {
	"posts_forget",
	"DELETE FROM api_post WHERE created < $1",
};

gboolean
posts_forget(struct tx *tx, gint64 older_than, GError **error)
{
	struct params *params = params_new();

	params_time(params, older_than);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &posts_forget_statement, params, error);
	return rows != NULL;
}
