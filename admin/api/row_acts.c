/* row_acts - see row_acts.h. */
#include "admin/api/row_acts.h"

#include "admin/api/numbers.h"

struct rows {
	const struct row_act *act;
	GArray *ids;
};

static json_t *
act_on_all(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct rows *rows = data;

	for (guint i = 0; i < rows->ids->len; i++)
		if (!rows->act->act(change->call, tx, g_array_index(rows->ids, gint64, i), error))
			return NULL;
	change->object = numbers_text(rows->act->kind, rows->ids);
	return json_pack("{s:i}", rows->act->done, (int)rows->ids->len);
}

json_t *
row_act_run(struct call *call, const struct row_act *act, GError **error)
{
	g_autoptr(GArray) ids = numbers_of(call, "ids", act->kind, error);
	struct rows rows = { act, ids };
	json_t *answer = NULL;

	if (ids == NULL)
		return NULL;
	for (guint i = 0; act->ask != NULL && i < ids->len; i++) {
		g_autofree char *question = NULL;

		if (!act->ask(call, g_array_index(ids, gint64, i), &question, error))
			return NULL;
		if (question != NULL && !call_is_sure(call, &answer, "%s", question))
			return answer;
	}
	return change_run(call, act_on_all, &rows, error);
}
