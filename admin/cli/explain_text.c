/*
 * explain_text - sections, each a table or a document of admin/cli/output.
 */
#include "admin/cli/explain_text.h"

#include <glib.h>
#include <string.h>

#define COPY_ADDRESSES_MAX 5

/* Shown even where nobody set them: with their defaults they decide as well. */
static const char *const deciding[] = {
	"locality", "smime", "mode", "encrypt_mode", "sign_mode", "author_check", NULL,
};

/* These decide nothing about mail that leaves. */
static const char *const inbound_alone[] = {
	"decrypt",
	"keep_signature",
	"tag_subject",
	"tag_decrypted",
	"tag_signed",
	"tag_signed_by",
	"tag_invalid",
	"on_invalid_signature",
	"on_undecryptable",
	"on_spoofed_internal",
	"require_signed",
	"require_encrypted",
	"unauthenticated_html",
	"harvest",
	"legacy_algorithms",
	"revocation_verify",
	"ocsp_verify",
	NULL,
};

/* And these about mail that comes in. */
static const char *const inbound_deciding[] = {
	"decrypt", "on_undecryptable", "on_invalid_signature", "unauthenticated_html", NULL,
};

static const char *
text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

static void
append_section(GString *out, const char *columns, json_t *items, enum output_colour colour)
{
	json_t *answer = json_pack("{s:o}", "items", items);
	g_autofree char *text = output_text(columns, answer, OUTPUT_TABLE, colour);

	if (json_array_size(items) > 0)
		g_string_append_printf(out, "\n%s", text);
	json_decref(answer);
}

/* --- the head: what was asked and what comes of it --- */

static json_t *
triggers_of(const json_t *sender)
{
	static const char *const names[] = { "encrypt_trigger", "sign_trigger", "plain_trigger",
					     "calendar" };
	static const char *const words[] = { "encrypt", "sign", "plain", "calendar item" };
	json_t *list = json_array();

	for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
		if (json_is_true(json_object_get(sender, names[i])))
			json_array_append_new(list, json_string(words[i]));
	return list;
}

static void set_line(json_t *document, const char *name, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static void
set_line(json_t *document, const char *name, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	g_autofree char *text = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	json_object_set_new(document, name, json_string(text));
}

static void
set_reason(json_t *document, const char *reason, const char *sentence)
{
	if (strcmp(reason, sentence) == 0)
		set_line(document, "reason", "%s", reason);
	else
		set_line(document, "reason", "%s: %s", reason, sentence);
}

static gboolean
is_observed(const json_t *answer)
{
	const json_t *recipients = json_object_get(answer, "recipients");

	for (gsize i = 0; i < json_array_size(recipients); i++)
		if (json_is_true(json_object_get(
			json_object_get(json_array_get(recipients, i), "plan"), "observed")))
			return TRUE;
	return FALSE;
}

static void
set_reply(json_t *document, const json_t *reply)
{
	const json_t *lines = json_object_get(reply, "lines");

	if (!json_is_object(reply))
		return;
	g_autoptr(GString) text = g_string_new(NULL);
	for (gsize i = 0; i < json_array_size(lines); i++)
		g_string_append_printf(text, "%s%s", i > 0 ? "; " : "",
				       json_string_value(json_array_get(lines, i)));
	set_line(document, "reply", "%s %s %s", text_of(reply, "code"), text_of(reply, "status"),
		 text->str);
}

/* "bob@x, dave@x" of indices into the recipients; the first few. */
static char *
addresses_of(const json_t *answer, const json_t *indices)
{
	const json_t *recipients = json_object_get(answer, "recipients");
	GString *text = g_string_new(NULL);
	gsize count = json_array_size(indices);

	for (gsize i = 0; i < MIN(count, COPY_ADDRESSES_MAX); i++) {
		gsize at = (gsize)json_integer_value(json_array_get(indices, i));

		g_string_append_printf(text, "%s%s", i > 0 ? ", " : "",
				       text_of(json_array_get(recipients, at), "address"));
	}
	if (count > COPY_ADDRESSES_MAX)
		g_string_append_printf(text, " and %zu more", count - COPY_ADDRESSES_MAX);
	return g_string_free(text, FALSE);
}

/* Who shares a copy with whom, which one stays with the mail server, and who is taken out. */
static void
set_copies(json_t *document, const json_t *answer)
{
	const json_t *groups = json_object_get(answer, "groups");
	const json_t *copies = json_object_get(groups, "copies");
	const json_t *refused = json_object_get(groups, "refused");
	gsize in_place = (gsize)json_integer_value(json_object_get(groups, "in_place"));
	json_t *lines = json_array();

	for (gsize i = 0; json_array_size(copies) > 1 && i < json_array_size(copies); i++) {
		g_autofree char *who = addresses_of(answer, json_array_get(copies, i));
		g_autofree char *line =
		    g_strdup_printf("%s: %s", i == in_place ? "in place" : "injected", who);

		json_array_append_new(lines, json_string(line));
	}
	if (json_array_size(refused) > 0) {
		g_autofree char *who = addresses_of(answer, refused);
		g_autofree char *line =
		    g_strdup_printf("taken out, and the author is told: %s", who);

		json_array_append_new(lines, json_string(line));
	}
	if (json_array_size(lines) > 0)
		json_object_set(document, "copies", lines);
	json_decref(lines);
}

static void
append_head(GString *out, const json_t *answer, enum output_colour colour)
{
	const json_t *sender = json_object_get(answer, "sender");
	const char *author = text_of(sender, "author");
	const char *note = text_of(sender, "signer_note");
	json_t *document = json_object();
	json_t *triggers = triggers_of(sender);

	set_line(document, "author", "%s (%s), envelope sender <%s>",
		 *author != '\0' ? author : text_of(sender, "author_missing"),
		 text_of(sender, "author_check"), text_of(sender, "envelope_sender"));
	set_line(document, "origin", "%s (%s)", text_of(answer, "origin"),
		 text_of(answer, "origin_why"));
	if (json_array_size(triggers) > 0)
		json_object_set(document, "asked_for", triggers);
	if (*note != '\0')
		set_line(document, "signer", "%s", note);
	set_line(document, "outcome", "%s", text_of(answer, "outcome"));
	set_reason(document, text_of(answer, "reason"), text_of(answer, "sentence"));
	if (is_observed(answer))
		set_line(document, "observed",
			 "mode observe: this is what would be done, the message is left as it is");
	set_reply(document, json_object_get(answer, "reply"));
	set_copies(document, answer);
	g_autofree char *text = output_text("", document, OUTPUT_TABLE, colour);
	g_string_append(out, text);
	json_decref(triggers);
	json_decref(document);
}

/* --- preferences --- */

enum passage { PASSAGE_OUT, PASSAGE_IN };

static gboolean
matters(const char *name, const char *scope, enum passage passage)
{
	if (passage == PASSAGE_OUT && g_strv_contains(inbound_alone, name))
		return FALSE;
	if (strcmp(scope, "default") != 0)
		return TRUE;
	return g_strv_contains(deciding, name) ||
	       (passage == PASSAGE_IN && g_strv_contains(inbound_deciding, name));
}

static enum passage
passage_of(const json_t *recipient)
{
	return strcmp(text_of(recipient, "direction"), "inbound") == 0 ? PASSAGE_IN : PASSAGE_OUT;
}

static void
add_preferences(json_t *items, const char *of, const json_t *list, enum passage passage)
{
	for (gsize i = 0; i < json_array_size(list); i++) {
		const json_t *row = json_array_get(list, i);
		const char *name = text_of(row, "name");
		const char *scope = text_of(row, "scope");

		if (!matters(name, scope, passage))
			continue;
		json_array_append_new(items,
				      json_pack("{s:s, s:s, s:s, s:s}", "preference", name, "value",
						text_of(row, "value"), "scope", scope, "of", of));
	}
}

static json_t *
preferences_of(const json_t *answer)
{
	const json_t *sender = json_object_get(answer, "sender");
	const json_t *recipients = json_object_get(answer, "recipients");
	json_t *items = json_array();
	enum passage passage = PASSAGE_OUT;

	for (gsize i = 0; i < json_array_size(recipients); i++)
		if (passage_of(json_array_get(recipients, i)) == PASSAGE_IN)
			passage = PASSAGE_IN;
	add_preferences(items, "author", json_object_get(sender, "preferences"), passage);
	add_preferences(items, "envelope sender",
			json_object_get(sender, "envelope_sender_preferences"), passage);
	for (gsize i = 0; i < json_array_size(recipients); i++) {
		const json_t *recipient = json_array_get(recipients, i);

		add_preferences(items, text_of(recipient, "address"),
				json_object_get(recipient, "preferences"), passage_of(recipient));
	}
	return items;
}

/* --- certificates --- */

static void
add_certificates(json_t *items, const char *to, const char *of, const json_t *list)
{
	for (gsize i = 0; i < json_array_size(list); i++) {
		const json_t *row = json_array_get(list, i);
		json_t *item = json_pack("{s:s, s:s}", "to", to, "of", of);
		const char *scope = text_of(row, "scope");

		json_object_update_missing(item, (json_t *)row);
		if (*scope != '\0')
			set_line(item, "origin", "%s (%s)", text_of(row, "origin"), scope);
		json_array_append_new(items, item);
	}
}

static json_t *
certificates_of(const json_t *answer)
{
	const json_t *sender = json_object_get(answer, "sender");
	const json_t *recipients = json_object_get(answer, "recipients");
	json_t *items = json_array();

	add_certificates(items, "sign", "author", json_object_get(sender, "signing"));
	add_certificates(items, "additional", "author", json_object_get(sender, "additional"));
	for (gsize i = 0; i < json_array_size(recipients); i++) {
		const json_t *recipient = json_array_get(recipients, i);
		const char *address = text_of(recipient, "address");

		add_certificates(items, "encrypt", address,
				 json_object_get(recipient, "certificates"));
		add_certificates(items, "additional", address,
				 json_object_get(recipient, "additional"));
	}
	return items;
}

/* --- recipients --- */

static void
add_decision(json_t *items, const char *address, const char *what, const char *decision)
{
	if (*decision != '\0')
		json_array_append_new(items, json_pack("{s:s, s:s, s:s}", "recipient", address,
						       "about", what, "decided_by", decision));
}

/* What was found in a message that came in, and by which keys it was tried. */
static void
add_found(json_t *items, const char *address, const json_t *recipient)
{
	const json_t *inbound = json_object_get(recipient, "inbound");
	const json_t *keys = json_object_get(inbound, "keys");
	g_autoptr(GString) text = g_string_new(NULL);

	if (!json_is_object(inbound))
		return;
	if (strstr(text_of(inbound, "layers"), "encrypted") != NULL) {
		for (gsize i = 0; i < json_array_size(keys); i++)
			g_string_append_printf(text, "%s%.16s", i > 0 ? ", " : "",
					       json_string_value(json_array_get(keys, i)));
		add_decision(items, address, "keys",
			     text->len > 0 ? text->str : "none of his is held");
	}
	g_string_printf(text, "%s, verdict %s, layers %s", text_of(inbound, "state"),
			text_of(inbound, "verdict"), text_of(inbound, "layers"));
	if (json_is_true(json_object_get(inbound, "decrypted")))
		g_string_append_printf(text, ", integrity %s", text_of(inbound, "integrity"));
	add_decision(items, address, "found", text->str);
	add_decision(items, address, "note", text_of(recipient, "inbound_note"));
}

static json_t *
decisions_of(const json_t *answer)
{
	const json_t *recipients = json_object_get(answer, "recipients");
	json_t *items = json_array();

	for (gsize i = 0; i < json_array_size(recipients); i++) {
		const json_t *recipient = json_array_get(recipients, i);
		const json_t *plan = json_object_get(recipient, "plan");
		const char *address = text_of(recipient, "address");
		const char *note = text_of(recipient, "note");
		const char *encrypt_row = text_of(plan, "encrypt_row");
		const char *sign_row = text_of(plan, "sign_row");
		const char *row = text_of(recipient, "row");

		add_found(items, address, recipient);
		if (strcmp(encrypt_row, sign_row) != 0) {
			add_decision(items, address, "encryption", encrypt_row);
			add_decision(items, address, "signature", sign_row);
		}
		if (strcmp(encrypt_row, sign_row) == 0 ||
		    (strcmp(row, encrypt_row) != 0 && strcmp(row, sign_row) != 0))
			add_decision(items, address, "all", row);
		add_decision(items, address, "note", note);
		const char *reason = text_of(recipient, "reason");
		const char *sentence = text_of(recipient, "sentence");
		gboolean same = strcmp(reason, sentence) == 0;
		g_autofree char *result =
		    g_strdup_printf("%s, %s%s%s", text_of(recipient, "direction"), reason,
				    same ? "" : ": ", same ? "" : sentence);
		add_decision(items, address, "result", result);
	}
	return items;
}

/* --- all --- */

static gboolean
says_nothing(const json_t *value)
{
	if (json_is_null(value))
		return TRUE;
	if (json_is_string(value))
		return json_string_length(value) == 0;
	if (json_is_array(value))
		return json_array_size(value) == 0;
	return json_is_object(value) && json_object_size(value) == 0;
}

/* A message of the record, without what says nothing. */
static json_t *
shorten(const json_t *value)
{
	const char *key;
	json_t *member;
	json_t *copy;

	if (json_is_array(value)) {
		copy = json_array();
		for (gsize i = 0; i < json_array_size(value); i++)
			json_array_append_new(copy, shorten(json_array_get(value, i)));
		return copy;
	}
	if (!json_is_object(value))
		return json_incref((json_t *)value);
	copy = json_object();
	json_object_foreach((json_t *)value, key, member)
	{
		json_t *shorter = shorten(member);

		if (says_nothing(shorter))
			json_decref(shorter);
		else
			json_object_set_new(copy, key, shorter);
	}
	return copy;
}

char *
explain_text(const json_t *answer, enum output_colour colour)
{
	if (!json_is_object(json_object_get(answer, "sender"))) {
		json_t *shorter = shorten(answer);
		char *text = output_text("", shorter, OUTPUT_TABLE, colour);

		json_decref(shorter);
		return text;
	}
	GString *out = g_string_new(NULL);
	append_head(out, answer, colour);
	append_section(out, "of preference value scope", preferences_of(answer), colour);
	append_section(out, "of to thumbprint:16 subject verdict ctl used origin why revocation",
		       certificates_of(answer), colour);
	append_section(out, "recipient about decided_by", decisions_of(answer), colour);
	return g_string_free(out, FALSE);
}
