/*
 * inbound_summary - see inbound_summary.h.
 */
#include "milter/policy/inbound_summary.h"

#include "milter/policy/describe.h"
#include "milter/policy/gather.h"
#include "milter/reading.h"
#include "milter/results.h"

static const char *
state_name(enum inbound_state state)
{
	switch (state) {
	case INBOUND_NOTHING:
		return NULL;
	case INBOUND_VERIFIED:
		return "verified";
	case INBOUND_OPENED:
		return "opened";
	case INBOUND_CLOSED:
		return "closed";
	case INBOUND_UNKNOWN:
		break;
	}
	return "unknown";
}

void
inbound_summarise(const struct gathered *found, guint recipient, struct inbound_summary *out)
{
	const struct gathered_recipient *his = g_ptr_array_index(found->recipients, recipient);
	const struct recipient_facts *r = &his->facts;
	const struct opening *opening =
	    r->opening > 0 ? g_ptr_array_index(found->openings, r->opening - 1) : NULL;

	*out = (struct inbound_summary){
		.state = state_name(r->inbound),
		.verdict =
		    r->inbound == INBOUND_UNKNOWN ? "unknown" : mail_verdict_name(r->verdict),
		.decrypted = r->inbound == INBOUND_OPENED ? "yes" : "no",
		.integrity = "-",
		.why = his->inbound_note,
	};
	if (opening != NULL)
		out->layers = results_layers(opening->reading);
	if (r->inbound == INBOUND_OPENED && opening != NULL)
		out->integrity = results_integrity(opening->reading);
}

void
inbound_summary_clear(struct inbound_summary *summary)
{
	g_free(summary->layers);
}

void
inbound_summary_describe(const struct gathered *found, guint recipient, GString *out)
{
	const struct gathered_recipient *his = g_ptr_array_index(found->recipients, recipient);
	struct inbound_summary summary;

	inbound_summarise(found, recipient, &summary);
	if (summary.state == NULL) {
		g_string_append(out, "null");
		inbound_summary_clear(&summary);
		return;
	}
	g_string_append_c(out, '{');
	describe_text_member(out, "state", summary.state);
	describe_text_member(out, "verdict", summary.verdict);
	describe_text_member(out, "layers", summary.layers);
	describe_bool_member(out, "decrypted", his->facts.inbound == INBOUND_OPENED);
	describe_text_member(out, "integrity", summary.integrity);
	describe_int_member(out, "opening", his->facts.opening);
	describe_certificates_member(out, "keys", his->keys);
	g_string_append_c(out, '}');
	inbound_summary_clear(&summary);
}
