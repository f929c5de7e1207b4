/* explain - see explain.h. */
#include "milter/explain.h"

#include <string.h>

#include "milter/envelope.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "milter/mime/author.h"
#include "milter/mime/subject.h"
#include "milter/policy/describe.h"
#include "milter/policy/inbound_summary.h"
#include "milter/structure.h"
#include "pki/crypto/cert.h"
#include "pki/select.h"
#include "store/base/clock.h"
#include "store/base/error.h"

#define QUESTION_SPOOL_MAX_BYTES (1024 * 1024)
#define READING_ROOM 8 /* what reading a message may take, in its size */

/* ---- the question as a message -------------------------------------------------------------- */

struct asked {
	struct envelope *envelope;
	struct headers *headers;
	struct spool *body;
	struct structure *structure;
};

static void
asked_clear(struct asked *asked)
{
	structure_free(asked->structure);
	spool_unref(asked->body);
	headers_unref(asked->headers);
	envelope_free(asked->envelope);
}

static gboolean
add_field(struct headers *headers, const char *name, const char *value, GError **error)
{
	g_autofree char *raw = g_strconcat(" ", value, NULL);

	return headers_add(headers, name, raw, strlen(raw), error);
}

/* "Name: value" as a person writes it. */
static gboolean
add_line(struct headers *headers, const char *line, GError **error)
{
	const char *colon = strchr(line, ':');
	g_autofree char *name = NULL;
	g_autofree char *value = NULL;

	if (colon == NULL || colon == line || strpbrk(line, "\r\n") != NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "'%s' is no header field: write it as 'Name: value'", line);
	name = g_strstrip(g_strndup(line, (gsize)(colon - line)));
	value = g_strstrip(g_strdup(colon + 1));
	return add_field(headers, name, value, error);
}

static gboolean
add_to(struct headers *headers, const char *const *recipients, GError **error)
{
	g_autofree char *all = g_strjoinv(", ", (char **)recipients);

	return add_field(headers, "To", all, error);
}

static gboolean
has_line(const char *const *lines, const char *name)
{
	gsize length = strlen(name);

	for (guint i = 0; lines != NULL && lines[i] != NULL; i++) {
		if (g_ascii_strncasecmp(lines[i], name, length) == 0 && lines[i][length] == ':')
			return TRUE;
	}
	return FALSE;
}

static gboolean
add_lines(struct headers *headers, const struct explain_question *question, GError **error)
{
	const char *const *lines = question->header_lines;

	for (guint i = 0; lines != NULL && lines[i] != NULL; i++) {
		if (!add_line(headers, lines[i], error))
			return FALSE;
	}
	return TRUE;
}

static struct headers *
question_headers(const struct explain_question *question, GError **error)
{
	CLEANUP(headers) struct headers *headers = headers_new();
	const char *from = question->from != NULL ? question->from : question->sender;
	g_autofree char *subject = NULL;

	if (question->subject != NULL)
		subject = subject_encode(question->subject);
	if (from != NULL && *from != '\0' && !add_field(headers, "From", from, error))
		return NULL;
	if (!has_line(question->header_lines, "To") &&
	    !add_to(headers, question->recipients, error))
		return NULL;
	if (subject != NULL && !headers_add(headers, "Subject", subject, strlen(subject), error))
		return NULL;
	if (!add_lines(headers, question, error))
		return NULL;
	if (question->content_type != NULL &&
	    (!add_field(headers, "MIME-Version", "1.0", error) ||
	     !add_field(headers, "Content-Type", question->content_type, error)))
		return NULL;
	return g_steal_pointer(&headers);
}

static gboolean
ask_message(const struct explain_question *question, struct spool_area *area, struct asked *asked,
	    GError **error)
{
	guint64 start = 0;

	asked->body = spool_new(area);
	if (question->message == NULL) {
		asked->headers = question_headers(question, error);
		return asked->headers != NULL && spool_seal(asked->body, error);
	}
	asked->headers =
	    headers_parse(question->message, 0, spool_size(question->message), &start, error);
	return asked->headers != NULL && add_lines(asked->headers, question, error) &&
	       spool_append_range(asked->body, question->message, start,
				  spool_size(question->message), error) &&
	       spool_seal(asked->body, error);
}

static void
ask_envelope(const struct explain_question *question, struct asked *asked)
{
	struct envelope *envelope = asked->envelope = envelope_new();
	struct mailaddr *author = author_find(asked->headers, NULL);
	gboolean elsewhere = question->login != NULL || question->daemon_name != NULL;

	if (question->sender != NULL)
		envelope_set_sender(envelope, question->sender, NULL);
	else if (author != NULL)
		envelope_set_sender(envelope, mailaddr_text(author), NULL);
	mailaddr_unref(author);
	for (guint i = 0; question->recipients[i] != NULL; i++)
		envelope_add_recipient(envelope, question->recipients[i], NULL);
	envelope->login = g_strdup(question->login);
	envelope->daemon_name = g_strdup(question->daemon_name);
	if (question->client_address != NULL)
		envelope->client_address = g_strdup(question->client_address);
	else if (!elsewhere)
		envelope->client_address = g_strdup("127.0.0.1");
}

char *
explain_question(struct gateway *gateway, const struct explain_question *question, GError **error)
{
	CLEANUP(spool_area)
	struct spool_area *area = spool_area_new_memory(
	    QUESTION_SPOOL_MAX_BYTES +
	    (question->message != NULL ? READING_ROOM * spool_size(question->message) : 0));
	struct asked asked = { NULL, NULL, NULL, NULL };
	struct message_source source = { .look_up_all = TRUE };
	CLEANUP(ruling) struct ruling *ruling = NULL;
	char *text = NULL;

	if (question->recipients == NULL || question->recipients[0] == NULL)
		return fail(error, PS_ERROR_INVALID, "explain needs at least one recipient");
	if (ask_message(question, area, &asked, error)) {
		ask_envelope(question, &asked);
		asked.structure = structure_read(asked.headers, asked.body, error);
	}
	if (asked.structure != NULL) {
		if (question->size_bytes > 0)
			asked.structure->facts.size_bytes = question->size_bytes;
		source.envelope = asked.envelope;
		source.headers = asked.headers;
		source.structure = &asked.structure->facts;
		source.body = asked.body;
		source.area = area;
		ruling = ruling_make(gateway, &source, error);
	}
	if (ruling != NULL)
		text = explain_ruling(ruling);
	asked_clear(&asked);
	return text;
}

/* ---- the ruling told ------------------------------------------------------------------------ */

/* Preferences that one side of a message is asked for. */
static void
tell_preferences(GString *out, const struct preference_set *set, enum preference_sides side)
{
	gboolean first = TRUE;

	g_string_append_c(out, '[');
	for (guint i = 0; set != NULL && i < PREF_COUNT; i++) {
		enum preference preference = (enum preference)i;

		if ((preference_sides(preference) & side) == 0)
			continue;
		g_string_append(out, first ? "{" : ", {");
		first = FALSE;
		describe_text_member(out, "name", preference_name(preference));
		describe_text_member(out, "value", preference_text(set, preference));
		describe_text_member(out, "scope", preference_scope(set, preference));
		g_string_append_c(out, '}');
	}
	g_string_append_c(out, ']');
}

static void
tell_candidate(GString *out, const struct candidate *candidate)
{
	g_autofree char *from = clock_format(cert_not_before(candidate->cert));
	g_autofree char *until = clock_format(cert_not_after(candidate->cert));
	g_autofree char *mark = verdict_mark(candidate->verdict);

	g_string_append_c(out, '{');
	describe_text_member(out, "thumbprint", cert_thumbprint(candidate->cert));
	describe_text_member(out, "subject", cert_subject(candidate->cert));
	describe_text_member(out, "issuer", cert_issuer(candidate->cert));
	describe_text_member(out, "serial", cert_serial_hex(candidate->cert));
	describe_text_member(out, "key", cert_key_text(candidate->cert));
	describe_text_member(out, "not_before", from);
	describe_text_member(out, "not_after", until);
	describe_text_member(out, "origin", candidate_origin_name(candidate->origin));
	describe_text_member(out, "scope", candidate->scope);
	describe_bool_member(out, "used", candidate->used);
	describe_bool_member(out, "has_key", candidate->has_key);
	describe_text_member(out, "why", candidate->why);
	describe_text_member(out, "verdict", verdict_state_name(candidate->verdict->state));
	describe_text_member(out, "reason", candidate->verdict->reason);
	describe_text_member(out, "revocation", candidate->verdict->revocation);
	describe_text_member(out, "ctl", mark);
	describe_text_member(out, "ctl_entry", candidate->verdict->ctl_thumbprint);
	g_string_append_c(out, '}');
}

static void
tell_selection(GString *out, const char *name, const struct selection *selection)
{
	describe_member(out, name);
	g_string_append_c(out, '[');
	for (guint i = 0; selection != NULL && i < selection->candidates->len; i++) {
		if (i > 0)
			g_string_append(out, ", ");
		tell_candidate(out, g_ptr_array_index(selection->candidates, i));
	}
	g_string_append_c(out, ']');
}

static void
tell_sender(GString *out, const struct gathered *found)
{
	const struct message_facts *facts = &found->facts;

	g_string_append_c(out, '{');
	describe_text_member(out, "author",
			     found->author != NULL ? mailaddr_key(found->author) : NULL);
	describe_text_member(out, "author_missing", found->author_why);
	describe_text_member(out, "author_check", describe_author(facts->author));
	describe_text_member(out, "envelope_sender",
			     found->sender != NULL ? mailaddr_key(found->sender) : NULL);
	describe_bool_member(out, "internal", facts->sender_internal);
	describe_bool_member(out, "encrypt_trigger", facts->encrypt_trigger);
	describe_bool_member(out, "sign_trigger", facts->sign_trigger);
	describe_bool_member(out, "plain_trigger", facts->plain_trigger);
	describe_bool_member(out, "calendar", facts->calendar);
	describe_text_member(out, "answers_decrypted", describe_able(facts->answer));
	describe_text_member(out, "signer", describe_able(facts->signer));
	describe_text_member(out, "signer_note", found->signer_note);
	for (guint i = 0; i < found->side.count; i++) {
		describe_member(out, i == 0 ? "preferences" : "envelope_sender_preferences");
		tell_preferences(out, found->side.sets[i], SIDE_SENDER);
	}
	tell_selection(out, "signing", found->signing);
	tell_selection(out, "additional", found->additional);
	g_string_append_c(out, '}');
}

static void
tell_recipient(GString *out, const struct ruling *ruling, guint index)
{
	const struct gathered_recipient *recipient =
	    g_ptr_array_index(ruling->gathered->recipients, index);
	const struct plan *plan = &ruling->plans[index];
	const struct recipient_facts *facts = &recipient->facts;

	g_string_append_c(out, '{');
	describe_text_member(out, "address", recipient->written);
	describe_text_member(out, "direction", decide_direction_name(plan->direction));
	describe_bool_member(out, "internal", facts->locality == LOCALITY_INTERNAL);
	describe_text_member(out, "certificate", describe_able(facts->certificate));
	describe_text_member(out, "note", recipient->note);
	describe_text_member(out, "row", decide_row_text(plan->row));
	describe_text_member(out, "reason", reason_name(plan->reason));
	describe_text_member(out, "sentence", reason_sentence(plan->reason));
	describe_member(out, "inbound");
	inbound_summary_describe(ruling->gathered, index, out);
	describe_text_member(out, "inbound_note", recipient->inbound_note);
	describe_member(out, "plan");
	plan_describe(plan, out);
	describe_member(out, "preferences");
	tell_preferences(out, recipient->preferences, SIDE_RECIPIENT);
	tell_selection(out, "certificates", recipient->selection);
	tell_selection(out, "additional", recipient->additional);
	g_string_append_c(out, '}');
}

char *
explain_ruling(const struct ruling *ruling)
{
	const struct gathered *found = ruling->gathered;
	GString *out = g_string_new("{");

	describe_text_member(out, "origin", describe_origin(found->facts.origin));
	describe_text_member(out, "origin_why", found->origin_why);
	describe_member(out, "sender");
	tell_sender(out, found);
	describe_member(out, "recipients");
	g_string_append_c(out, '[');
	for (guint i = 0; i < ruling->count; i++) {
		if (i > 0)
			g_string_append(out, ", ");
		tell_recipient(out, ruling, i);
	}
	g_string_append_c(out, ']');
	describe_text_member(out, "outcome", decide_outcome_name(ruling->groups->outcome));
	describe_text_member(out, "reason", reason_name(ruling->groups->reason));
	describe_text_member(out, "sentence", reason_sentence(ruling->groups->reason));
	describe_member(out, "reply");
	reply_describe(ruling->reply, out);
	describe_member(out, "groups");
	groups_describe(ruling->groups, out);
	describe_member(out, "ruling");
	ruling_describe(ruling, out);
	g_string_append_c(out, '}');
	return g_string_free(out, FALSE);
}
