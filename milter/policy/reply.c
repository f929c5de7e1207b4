/* reply - see reply.h. */
#include "milter/policy/reply.h"

#include <string.h>

#include "store/base/printable.h"

/* "550 5.7.5" of the reason; a reason without a reply cannot stop a message: then 451. */
static struct reply *
reply_new(enum reason reason)
{
	struct reply *reply = g_new0(struct reply, 1);
	const char *code = reason_reply(reason);

	if (code == NULL || strlen(code) < 5)
		code = "451 4.3.0";
	g_strlcpy(reply->code, code, sizeof reply->code);
	g_strlcpy(reply->status, code + 4, sizeof reply->status);
	return reply;
}

/* What anybody may hear: nothing beyond what the code says. */
static const char *
line_for_strangers(const struct reply *reply)
{
	if (reply->code[0] == '4')
		return "message cannot be processed now, try again later";
	if (strcmp(reply->status, "5.3.4") == 0)
		return "message too large";
	return "message not accepted";
}

static GStrv
one_line(const char *text)
{
	GStrv lines = g_new0(char *, 2);

	lines[0] = g_strdup(text);
	return lines;
}

static char *
recipient_line(const char *address, const struct plan *plan)
{
	g_autofree char *shown = printable_ascii(address);

	return g_strdup_printf("<%s>: %s", shown, reason_sentence(plan->reason));
}

static GStrv
recipient_lines(const struct groups *groups, const struct plan *plans, const char *const *addresses,
		guint count)
{
	GStrvBuilder *builder = g_strv_builder_new();
	guint stopped = groups->decisive->len;
	GStrv lines;

	for (guint i = 0; i < MIN(stopped, REPLY_RECIPIENTS_MAX); i++) {
		guint at = g_array_index(groups->decisive, guint, i);
		g_autofree char *line = recipient_line(addresses[at], &plans[at]);

		g_strv_builder_add(builder, line);
	}
	if (stopped > REPLY_RECIPIENTS_MAX) {
		g_autofree char *more =
		    g_strdup_printf("and %u more recipients", stopped - REPLY_RECIPIENTS_MAX);

		g_strv_builder_add(builder, more);
	}
	if (count > stopped)
		g_strv_builder_add(builder, "nothing was sent to the other recipients either");
	lines = g_strv_builder_end(builder);
	g_strv_builder_unref(builder);
	return lines;
}

struct reply *
reply_make(const struct groups *groups, const struct plan *plans, const char *const *addresses,
	   guint count, enum origin origin)
{
	struct reply *reply;

	if (groups->outcome != OUTCOME_DEFER && groups->outcome != OUTCOME_REFUSE)
		return NULL;
	if (groups->decisive->len == 0 || origin == ORIGIN_UNTRUSTED)
		return reply_of_reason(groups->reason, origin);
	reply = reply_new(groups->reason);
	reply->lines = recipient_lines(groups, plans, addresses, count);
	return reply;
}

struct reply *
reply_of_reason(enum reason reason, enum origin origin)
{
	struct reply *reply = reply_new(reason);

	reply->lines = one_line(origin == ORIGIN_UNTRUSTED ? line_for_strangers(reply)
							   : reason_sentence(reason));
	return reply;
}

void
reply_free(struct reply *reply)
{
	if (reply == NULL)
		return;
	g_strfreev(reply->lines);
	g_free(reply);
}
