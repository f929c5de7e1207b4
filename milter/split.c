/* split - see split.h. */
#include "milter/split.h"

#include "milter/policy/reply.h"
#include "store/base/error.h"

struct split {
	struct gateway *gateway;
};

struct split *
split_new(struct gateway *gateway)
{
	struct split *split = g_new0(struct split, 1);

	split->gateway = gateway;
	return split;
}

void
split_free(struct split *split)
{
	g_free(split);
}

static void
refused_clear(gpointer data)
{
	g_free(((struct split_refused *)data)->answer);
}

gboolean
split_send(struct split *split, const struct split_request *request, struct split_report *report,
	   GError **error)
{
	(void)split;
	(void)request;
	(void)error;
	report->refused = g_array_new(FALSE, TRUE, sizeof(struct split_refused));
	g_array_set_clear_func(report->refused, refused_clear);
	report->served = g_array_new(FALSE, FALSE, sizeof(guint));
	report->outcome = SPLIT_DEFER;
	report->reason = REASON_DEFERRED_DIFFERENT;
	return TRUE;
}

void
split_report_clear(struct split_report *report)
{
	reply_free(report->reply);
	g_clear_pointer(&report->refused, g_array_unref);
	g_clear_pointer(&report->served, g_array_unref);
	g_clear_pointer(&report->detail, g_free);
	report->reply = NULL;
}

gboolean
split_served(struct split *split, const struct split_request *request, GArray *served,
	     GError **error)
{
	(void)split;
	(void)request;
	(void)served;
	(void)error;
	return TRUE;
}

gboolean
split_accepted(struct split *split, const struct split_request *request, GError **error)
{
	(void)split;
	(void)request;
	(void)error;
	return TRUE;
}

gboolean
split_notify(struct split *split, const struct split_request *request, const struct notice *notice,
	     GError **error)
{
	(void)split;
	(void)request;
	(void)notice;
	return fail_false(error, PS_ERROR_TEMPORARY,
			  "reinject_address is empty: no notice was sent");
}
