/* split_fixture - see split_fixture.h. */
#include "tests/unit/milter/split_fixture.h"

#include <string.h>

#include "milter/message/edits.h"
#include "tests/unit/milter/reasons_seen.h"

struct scratch_pg *pg;
static const char *const names[SPLIT_NAMES] = { "zoe@corp.example", "bob@a.example",
						"carol@a.example", "dan@b.example",
						"eve@c.example" };

void
plan_up(struct plan_of_copies *plan, struct bench *bench)
{
	static const guint members[3][2] = { { 1, 2 }, { 3, 3 }, { 4, 4 } };

	memset(plan, 0, sizeof *plan);
	plan->gathered.facts.origin = ORIGIN_TRUSTED;
	plan->ruling.gathered = &plan->gathered;
	plan->request.message = &bench->message;
	plan->request.copies = g_ptr_array_new_with_free_func(g_free);
	plan->request.ruling = &plan->ruling;
	plan->request.mta = &bench->mta.mta;
	plan->request.area = bench->area;
	for (guint i = 0; i < 3; i++) {
		struct split_copy *copy = g_new0(struct split_copy, 1);
		g_autofree char *value = g_strdup_printf(" %u", i);

		plan->groups[i].members = g_array_new(FALSE, FALSE, sizeof(guint));
		g_array_append_vals(plan->groups[i].members, members[i], i == 0 ? 2 : 1);
		copy->group = &plan->groups[i];
		copy->edits = edits_new();
		edits_append(copy->edits, "X-Copy", value);
		g_ptr_array_add(plan->request.copies, copy);
	}
}

void
plan_down(struct plan_of_copies *plan)
{
	for (guint i = 0; i < plan->request.copies->len; i++)
		edits_free(((struct split_copy *)plan->request.copies->pdata[i])->edits);
	for (guint i = 0; i < 3; i++)
		g_array_unref(plan->groups[i].members);
	g_ptr_array_unref(plan->request.copies);
}

enum split_outcome
try_once(struct split *split, struct plan_of_copies *plan, struct split_report *report)
{
	g_autoptr(GError) error = NULL;
	gboolean good;

	memset(report, 0, sizeof *report);
	good = split_send(split, &plan->request, report, &error);
	if (error != NULL)
		g_test_message("%s", error->message);
	g_assert_cmpint(good, ==, error == NULL);
	if (!good)
		g_assert_cmpint(report->outcome, ==, SPLIT_DEFER);
	if (report->outcome != SPLIT_DONE)
		reasons_seen(report->reason);
	if (report->outcome == SPLIT_DONE)
		g_assert_true(split_accepted(split, &plan->request, &error));
	g_assert_no_error(good ? error : NULL);
	return report->outcome;
}

void
assert_copies(struct bench *bench, const guint copies[5])
{
	for (guint i = 0; i < SPLIT_NAMES; i++) {
		g_test_message("%s: %u", names[i], smtp_server_copies(bench->server, names[i]));
		g_assert_cmpuint(smtp_server_copies(bench->server, names[i]), ==, copies[i]);
	}
}

const char *
taken_text(struct bench *bench, guint index)
{
	return ((struct smtp_taken *)smtp_server_taken(bench->server)->pdata[index])->content->str;
}
