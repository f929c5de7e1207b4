/* groups - see groups.h. */
#include "milter/policy/groups.h"

#include <string.h>

static void
group_free(gpointer data)
{
	struct group *group = data;

	g_array_unref(group->members);
	if (group->certificates != NULL)
		g_ptr_array_unref(group->certificates);
	g_free(group);
}

static struct group *
group_add(struct groups *groups, const struct plan *plan)
{
	struct group *group = g_new0(struct group, 1);

	group->plan = *plan;
	group->members = g_array_new(FALSE, FALSE, sizeof(guint));
	g_ptr_array_add(groups->copies, group);
	return group;
}

static struct group *
group_of(struct groups *groups, const struct plan *plan)
{
	if (plan->alone)
		return group_add(groups, plan);
	for (guint i = 0; i < groups->copies->len; i++) {
		struct group *group = g_ptr_array_index(groups->copies, i);

		if (plan_same_copy(&group->plan, plan))
			return group;
	}
	return group_add(groups, plan);
}

/* The recipients that stop the message, and the reason of the first; FALSE when none does. */
static gboolean
groups_stop(struct groups *groups, const struct plan *plans, guint count, enum outcome outcome)
{
	for (guint i = 0; i < count; i++) {
		if (plans[i].outcome != outcome)
			continue;
		if (groups->decisive->len == 0)
			groups->reason = plans[i].reason;
		g_array_append_val(groups->decisive, i);
	}
	if (groups->decisive->len == 0)
		return FALSE;
	groups->outcome = outcome;
	return TRUE;
}

/* Is there anybody whom the text may only reach encrypted? */
static gboolean
is_for_few(const struct plan *plans, guint count)
{
	for (guint i = 0; i < count; i++) {
		if (plans[i].encrypt || plans[i].outcome == OUTCOME_CUT)
			return TRUE;
	}
	return FALSE;
}

/* One copy for all without any protection: what is left for mail that must not be deferred. Its
 * text stays only where nobody's copy was to be encrypted. */
static void
groups_leave_all(struct groups *groups, const struct plan *plans, guint count)
{
	enum decide_row row = is_for_few(plans, count) ? ROW_NULL_SENDER_CUT : ROW_NULL_SENDER;
	struct plan plan = {
		.direction = plans[0].direction,
		.null_sender = TRUE,
		.outcome = row == ROW_NULL_SENDER_CUT ? OUTCOME_CUT : OUTCOME_LEAVE,
		.row = row,
		.reason = decide_row_reason(row),
	};
	struct group *group;

	g_ptr_array_set_size(groups->copies, 0);
	group = group_add(groups, &plan);
	for (guint i = 0; i < count; i++)
		g_array_append_val(group->members, i);
	groups->outcome = plan.outcome;
	groups->reason = plan.reason;
}

/* The reason that speaks for a group is that of the recipient something was done for. */
static enum reason
group_reason(const struct group *group, const struct plan *plans)
{
	for (guint i = 0; i < group->members->len; i++) {
		const struct plan *plan = &plans[g_array_index(group->members, guint, i)];

		if (plan->reason != REASON_PLAIN_NOT_WANTED)
			return plan->reason;
	}
	return group->plan.reason;
}

struct groups *
groups_make(const struct plan *plans, guint count)
{
	struct groups *groups = g_new0(struct groups, 1);
	struct group *first;

	groups->copies = g_ptr_array_new_with_free_func(group_free);
	groups->decisive = g_array_new(FALSE, FALSE, sizeof(guint));
	groups->outcome = OUTCOME_LEAVE;
	groups->reason = REASON_PLAIN_NOT_WANTED;
	for (guint i = 0; i < count; i++)
		g_array_append_val(group_of(groups, &plans[i])->members, i);
	if (count == 0 || groups_stop(groups, plans, count, OUTCOME_REFUSE) ||
	    groups_stop(groups, plans, count, OUTCOME_DEFER))
		return groups;
	if (groups->copies->len > 1 && plans[0].null_sender) {
		groups_leave_all(groups, plans, count);
		return groups;
	}
	if (groups->copies->len > 1) {
		groups->outcome = OUTCOME_DEFER;
		groups->reason = REASON_DEFERRED_DIFFERENT;
		return groups;
	}
	first = g_ptr_array_index(groups->copies, 0);
	groups->outcome = first->plan.outcome;
	groups->reason = group_reason(first, plans);
	return groups;
}

void
groups_free(struct groups *groups)
{
	if (groups == NULL)
		return;
	g_ptr_array_unref(groups->copies);
	g_array_unref(groups->decisive);
	g_free(groups);
}
