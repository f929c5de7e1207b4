/*
 * change - transactions of the API.
 */
#include "admin/api/change.h"

#include <stdlib.h>
#include <string.h>

#include "admin/api/arguments.h"
#include "milter/gateway.h"
#include "admin/api/json_memory.h"
#include "store/base/error.h"
#include "store/db/tx.h"
#include "store/posts.h"

struct work {
	struct change change;
	change_act act;
	gpointer data;
	json_t *answer;
	gboolean asks_back;
};

struct actor
call_actor(const struct call *call)
{
	return (struct actor){
		.name = call->actor,
		.uid = call->actor_uid,
		.from = call->id != NULL ? "socket" : "cli",
	};
}

char *
change_digest(const struct operation *operation, const json_t *arguments)
{
	json_t *open = arguments_without_secrets(operation, arguments);
	char *text = json_dumps(open, JSON_COMPACT | JSON_SORT_KEYS);
	g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);

	g_checksum_update(checksum, (const guchar *)operation->noun, -1);
	g_checksum_update(checksum, (const guchar *)"/", 1);
	g_checksum_update(checksum, (const guchar *)operation->verb, -1);
	g_checksum_update(checksum, (const guchar *)"\n", 1);
	g_checksum_update(checksum, (const guchar *)text, (gssize)strlen(text));
	json_memory_free(text);
	json_decref(open);
	return g_strdup(g_checksum_get_string(checksum));
}

/* What is stored is {"exit": N, "answer": …}. */
static json_t *
stored_answer(struct call *call, const char *text, GError **error)
{
	json_t *whole = json_loads(text, 0, NULL);
	json_t *answer = json_incref(json_object_get(whole, "answer"));

	call->exit_status = (int)json_integer_value(json_object_get(whole, "exit"));
	json_decref(whole);
	if (answer == NULL)
		return fail(error, PS_ERROR_BUG, "the stored answer of this request is damaged");
	return answer;
}

static json_t *
repeated_answer(struct call *call, enum post_state state, const char *text, GError **error)
{
	switch (state) {
	case POST_ANSWERED:
		return stored_answer(call, text, error);
	case POST_OTHER:
		return fail(error, PS_ERROR_INVALID,
			    "the id of this request was used for another one");
	case POST_NEW:
		break;
	}
	return NULL;
}

json_t *
change_repeated(struct call *call, GError **error)
{
	g_autofree char *text = NULL;
	enum post_state state;
	gint status;

	if (call->id == NULL)
		return NULL;
	if (!posts_find(call->gateway->db, call->actor, call->id, call->digest, &state, &status,
			&text, error))
		return NULL;
	return repeated_answer(call, state, text, error);
}

static gboolean
store_answer(const struct call *call, struct tx *tx, const json_t *answer, GError **error)
{
	json_t *whole =
	    json_pack("{s:i, s:O}", "exit", call->exit_status, "answer", (json_t *)answer);
	char *text = json_dumps(whole, JSON_COMPACT);
	gboolean stored = posts_finish(tx, call->actor, call->id, call->exit_status, text, error);

	json_memory_free(text);
	json_decref(whole);
	return stored;
}

static gboolean
finish(struct change *change, struct tx *tx, const json_t *answer, GError **error)
{
	struct call *call = change->call;
	struct actor actor = call_actor(call);
	g_autofree char *name = operation_name(call->operation);

	if (!audit_admin(tx, &actor, name, change->object != NULL ? change->object : "",
			 change->detail, error))
		return FALSE;
	return call->id == NULL || store_answer(call, tx, answer, error);
}

static void
change_clear(struct change *change)
{
	g_clear_pointer(&change->object, g_free);
	g_clear_pointer(&change->detail, g_free);
}

/* *answered: *answer is that of the first time, and there is nothing left to do. */
static gboolean
begin(struct call *call, struct tx *tx, json_t **answer, GError **error)
{
	g_autofree char *text = NULL;
	g_autoptr(GError) problem = NULL;
	enum post_state state;
	gint status;

	*answer = NULL;
	if (call->id == NULL)
		return TRUE;
	if (!posts_begin(tx, call->actor, call->id, call->digest, &state, &status, &text, error))
		return FALSE;
	*answer = repeated_answer(call, state, text, &problem);
	if (problem == NULL)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&problem));
	return FALSE;
}

/* A question back is rolled back: nothing of it is remembered. */
static gboolean
in_transaction(struct tx *tx, gpointer data, GError **error)
{
	struct work *work = data;

	change_clear(&work->change);
	g_clear_pointer(&work->answer, json_decref);
	work->asks_back = FALSE;
	if (!begin(work->change.call, tx, &work->answer, error))
		return FALSE;
	if (work->answer != NULL)
		return TRUE;
	work->answer = work->act(&work->change, tx, work->data, error);
	if (work->answer == NULL)
		return FALSE;
	work->asks_back = json_object_get(work->answer, "confirm") != NULL;
	if (work->asks_back)
		return fail_false(error, PS_ERROR_INVALID, "asks back");
	return finish(&work->change, tx, work->answer, error);
}

json_t *
change_run(struct call *call, change_act act, gpointer data, GError **error)
{
	struct work work = { .change.call = call, .act = act, .data = data };

	g_autoptr(GError) problem = NULL;

	if (!db_transaction(call->gateway->db, in_transaction, &work, &problem) &&
	    !work.asks_back) {
		g_clear_pointer(&work.answer, json_decref);
		g_propagate_error(error, g_steal_pointer(&problem));
	}
	change_clear(&work.change);
	return work.answer;
}

struct record {
	struct call *call;
	const char *object;
	const char *detail;
	const json_t *answer;
};

static gboolean
record_in_transaction(struct tx *tx, gpointer data, GError **error)
{
	struct record *record = data;
	struct change change = {
		.call = record->call,
		.object = (char *)record->object,
		.detail = (char *)record->detail,
	};
	json_t *earlier = NULL;

	if (!begin(record->call, tx, &earlier, error))
		return FALSE;
	json_decref(earlier);
	return earlier != NULL || finish(&change, tx, record->answer, error);
}

gboolean
change_record(struct call *call, const char *object, const char *detail, const json_t *answer,
	      GError **error)
{
	struct record record = { call, object, detail, answer };

	return db_transaction(call->gateway->db, record_in_transaction, &record, error);
}
