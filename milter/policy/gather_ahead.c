/* gather_ahead - the selections of all recipients with one query; see gathering.h. */
#include "milter/gateway.h"
#include "milter/policy/gathering.h"
#include "pki/select.h"

static void
free_array(gpointer array)
{
	g_ptr_array_unref(array);
}

void
gather_ahead(struct gathering *g)
{
	const GPtrArray *recipients = g->found->recipients;
	g_autofree struct select_question *questions =
	    g_new0(struct select_question, (gsize)recipients->len * 2);
	g_autoptr(GPtrArray) aliases = g_ptr_array_new_with_free_func(free_array);
	gsize count = 0;

	for (guint i = 0; i < recipients->len; i++) {
		const struct gathered_recipient *recipient = recipients->pdata[i];

		if (recipient->address == NULL || (!recipient->asked && !g->source->look_up_all))
			continue;
		g_ptr_array_add(aliases, gather_aliases(g, recipient));
		questions[count++] = (struct select_question){
			.address = recipient->address,
			.aliases = g_ptr_array_index(aliases, aliases->len - 1),
			.kind = SELECTION_ENCRYPT,
		};
		questions[count++] = (struct select_question){
			.address = recipient->address,
			.kind = SELECTION_ADDITIONAL,
		};
	}
	select_prefetch(g->gateway->select, questions, count);
}
