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
	group->observed = TRUE;
	g_ptr_array_add(groups->copies, group);
	return group;
}

static struct group *
group_at(const struct groups *groups, guint index)
{
	return g_ptr_array_index(groups->copies, index);
}

static gboolean
group_has(const struct group *group, guint recipient)
{
	for (guint i = 0; i < group->members->len; i++) {
		if (g_array_index(group->members, guint, i) == recipient)
			return TRUE;
	}
	return FALSE;
}

/* first: the first recipient with this one's address. */
static struct group *
group_of(struct groups *groups, const struct plan *plan, guint recipient, guint first)
{
	for (guint i = 0; i < groups->copies->len; i++) {
		struct group *group = group_at(groups, i);

		if (first != recipient ? group_has(group, first)
				       : plan_same_copy(&group->plan, plan))
			return group;
	}
	return group_add(groups, plan);
}

static void
group_join(struct group *group, const struct plan *plan, guint recipient)
{
	group->observed = group->observed && plan->observed;
	g_array_append_val(group->members, recipient);
}

static void
groups_form(struct groups *groups, const struct plan *plans, guint count, const guint *first)
{
	gboolean apart = groups->refused->len > 0;

	for (guint i = 0; i < count; i++) {
		guint same = first != NULL ? first[i] : i;

		if (apart && plans[i].outcome == OUTCOME_REFUSE)
			continue;
		group_join(group_of(groups, &plans[i], i, same), &plans[i], i);
	}
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

/* The refused are set apart where somebody else is served and their sender can be told. */
static void
groups_set_apart(struct groups *groups, const struct plan *plans, guint count,
		 const struct groups_rules *rules)
{
	for (guint i = 0; rules->notify && i < count; i++) {
		if (plans[i].outcome == OUTCOME_REFUSE)
			g_array_append_val(groups->refused, i);
	}
	if (groups->refused->len == count)
		g_array_set_size(groups->refused, 0);
}

/* ---- several copies ------------------------------------------------------------------------- */

/* How much harm a copy does in the mailbox of a stranger to it; less is better. An encrypted copy
 * for one alone names him in its recipientInfos. A quarantine can be asked for in place alone. */
static guint
plan_harm(const struct plan *plan)
{
	if (plan->quarantine)
		return 0;
	if (plan->encrypt)
		return plan->alone ? 2 : 1;
	if (plan->outcome == OUTCOME_CUT)
		return 3;
	return plan->open ? 5 : 4;
}

/* Of equals the largest, of those the first. */
static gboolean
group_is_better(const struct group *group, const struct group *than)
{
	guint harm = plan_harm(&group->plan), harm_than = plan_harm(&than->plan);

	if (harm != harm_than)
		return harm < harm_than;
	return group->members->len > than->members->len;
}

static void
groups_place(struct groups *groups)
{
	groups->in_place = 0;
	for (guint i = 1; i < groups->copies->len; i++) {
		if (group_is_better(group_at(groups, i), group_at(groups, groups->in_place)))
			groups->in_place = i;
	}
}

static gboolean
too_many_alone(const struct groups *groups, const struct groups_rules *rules)
{
	guint alone = 0;

	for (guint i = 0; i < groups->copies->len; i++)
		alone += group_at(groups, i)->plan.alone ? 1 : 0;
	return groups->copies->len > 1 && alone > rules->alone_max;
}

/* Why these copies cannot be made; FALSE when they can. */
static gboolean
groups_hindered(const struct groups *groups, const struct groups_rules *rules, enum reason *reason)
{
	if (groups->copies->len < 2 && (rules->inject || !rules->unlike))
		return FALSE;
	*reason = rules->inject ? REASON_DEFERRED_COPIES : REASON_DEFERRED_DIFFERENT;
	return !rules->inject || too_many_alone(groups, rules);
}

/* Is there anybody whom the text may only reach encrypted? */
static gboolean
is_for_few(const struct groups *groups)
{
	for (guint i = 0; i < groups->copies->len; i++) {
		const struct plan *plan = &group_at(groups, i)->plan;

		if (plan->encrypt || plan->outcome == OUTCOME_CUT)
			return TRUE;
	}
	return FALSE;
}

/* One copy for all without any protection: what is left for mail that must not be deferred. Its
 * text stays only where nobody's copy was to be encrypted. */
static void
groups_leave_all(struct groups *groups, const struct plan *plans, guint count)
{
	enum decide_row row = is_for_few(groups) ? ROW_NULL_SENDER_CUT : ROW_NULL_SENDER;
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
	for (guint i = 0; i < count; i++) {
		group_join(group, &plans[i], i);
		group->plan.quarantine |= plans[i].quarantine; /* what one wants held is held */
	}
	groups->outcome = plan.outcome;
	groups->reason = plan.reason;
}

/* The reason that speaks for the message is that of the first recipient something was done for. */
static enum reason
served_reason(const struct groups *groups, const struct plan *plans, guint count)
{
	const struct group *place = group_at(groups, groups->in_place);

	for (guint i = 0; i < count; i++) {
		if (plans[i].outcome != OUTCOME_REFUSE &&
		    plans[i].reason != REASON_PLAIN_NOT_WANTED &&
		    plans[i].reason != REASON_LEAVE_INBOUND)
			return plans[i].reason;
	}
	return place->plan.reason;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static struct groups *
groups_new(void)
{
	struct groups *groups = g_new0(struct groups, 1);

	groups->copies = g_ptr_array_new_with_free_func(group_free);
	groups->decisive = g_array_new(FALSE, FALSE, sizeof(guint));
	groups->refused = g_array_new(FALSE, FALSE, sizeof(guint));
	groups->outcome = OUTCOME_LEAVE;
	groups->reason = REASON_PLAIN_NOT_WANTED;
	return groups;
}

struct groups *
groups_make(const struct plan *plans, guint count, const struct groups_rules *rules)
{
	struct groups *groups = groups_new();
	enum reason hindrance;

	groups_set_apart(groups, plans, count, rules);
	groups_form(groups, plans, count, rules->first);
	if (count == 0 ||
	    (groups->refused->len == 0 && groups_stop(groups, plans, count, OUTCOME_REFUSE)) ||
	    groups_stop(groups, plans, count, OUTCOME_DEFER))
		return groups;
	if (groups_hindered(groups, rules, &hindrance)) {
		if (plans[0].null_sender) {
			groups_leave_all(groups, plans, count);
			return groups;
		}
		groups->outcome = OUTCOME_DEFER;
		groups->reason = hindrance;
		return groups;
	}
	groups_place(groups);
	groups->outcome = group_at(groups, groups->in_place)->plan.outcome;
	groups->reason = served_reason(groups, plans, count);
	return groups;
}

void
groups_free(struct groups *groups)
{
	if (groups == NULL)
		return;
	g_ptr_array_unref(groups->copies);
	g_array_unref(groups->decisive);
	g_array_unref(groups->refused);
	g_free(groups);
}
