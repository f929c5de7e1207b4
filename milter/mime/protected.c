/*
 * protected - plain comparison of raw fields. Nothing here decodes a value into a header: what is
 * shown outside is taken over as it is written, or encoded anew.
 */
#include "milter/mime/protected.h"

#include <string.h>

#include "milter/mime/author.h"
#include "milter/mime/content_type.h"
#include "milter/mime/encoded_word.h"
#include "milter/mime/legacy_display.h"
#include "milter/mime/seen_values.h"
#include "milter/mime/shown.h"
#include "milter/mime/subject.h"
#include "milter/mime/type_edit.h"
#include "store/base/error.h"

#define OUTER "HP-Outer"

static void
field_free(gpointer data)
{
	struct protected_field *field = data;

	g_free(field->name);
	g_free(field->value);
	g_free(field);
}

struct protected_fields *
protected_ref(struct protected_fields *inside)
{
	g_atomic_int_inc(&inside->refs);
	return inside;
}

void
protected_unref(struct protected_fields *inside)
{
	if (inside == NULL || !g_atomic_int_dec_and_test(&inside->refs))
		return;
	g_ptr_array_unref(inside->fields);
	g_free(inside);
}

/* ---- values --------------------------------------------------------------------------------- */

/* RFC 5322 section 3.6. */
static gboolean
is_single(const char *name)
{
	static const char *const names[] = { "Subject",    "From", "Sender",     "Reply-To",
					     "To",         "Cc",   "Message-ID", "In-Reply-To",
					     "References", "Date" };

	return header_name_among(name, names, G_N_ELEMENTS(names));
}

/* ---- what was visible ----------------------------------------------------------------------- */

/* "Name: value" in the HP-Outer fields. */
static struct seen_values *
recorded_values(const struct headers *payload)
{
	struct seen_values *recorded = seen_values_new();

	for (guint i = 0; i < headers_count(payload); i++) {
		const struct header *record = headers_at(payload, i);
		const char *name = record->value + strspn(record->value, " \t\n");
		const char *colon = header_is(record, OUTER) ? strchr(name, ':') : NULL;

		if (colon != NULL && colon > name)
			seen_values_add(recorded, name, (gsize)(colon - name), colon + 1);
	}
	return recorded;
}

/* Those that the payload has, too. */
static struct seen_values *
outside_values(const struct headers *payload, const struct headers *outer)
{
	struct seen_values *outside = seen_values_new();
	g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < headers_count(payload); i++)
		g_hash_table_add(names, g_ascii_strdown(headers_at(payload, i)->name, -1));
	for (guint i = 0; i < headers_count(outer); i++) {
		const struct header *field = headers_at(outer, i);
		g_autofree char *name = g_ascii_strdown(field->name, -1);

		if (g_hash_table_contains(names, name))
			seen_values_add(outside, name, strlen(name), field->value);
	}
	return outside;
}

static gboolean
was_hidden(const struct protected_fields *inside, const struct seen_values *recorded,
	   const struct protected_field *field)
{
	if (!inside->by_encryption || !inside->cipher || field->same_outside)
		return FALSE;
	return inside->scheme != PROTECTED_HP ||
	       !seen_values_has(recorded, field->name, field->value);
}

static enum protected_state
state_of(const struct protected_fields *inside, gboolean hidden)
{
	if (inside->by_signature)
		return hidden ? PROTECTED_BOTH : PROTECTED_SIGNED;
	return hidden ? PROTECTED_ENCRYPTED : PROTECTED_NEITHER;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* MIME-Version and Content-* describe the part they stand in. */
static gboolean
is_protected(const struct header *field)
{
	return !header_has_prefix(field, "Content-") && !header_is(field, "MIME-Version") &&
	       !header_is(field, OUTER) && memchr(field->value, '\0', field->length) == NULL;
}

static void
add_fields(struct protected_fields *inside, const struct headers *payload,
	   const struct headers *outer)
{
	CLEANUP(seen_values) struct seen_values *recorded = recorded_values(payload);
	CLEANUP(seen_values) struct seen_values *outside = outside_values(payload, outer);

	for (guint i = 0; i < headers_count(payload); i++) {
		const struct header *header = headers_at(payload, i);
		struct protected_field *field;

		if (!is_protected(header))
			continue;
		if (header->occurrence > 1 && is_single(header->name))
			inside->ambiguous = TRUE;
		field = g_new0(struct protected_field, 1);
		field->name = g_strdup(header->name);
		field->value = g_strdup(header->value);
		field->same_outside = seen_values_has(outside, field->name, field->value);
		field->state = state_of(inside, was_hidden(inside, recorded, field));
		g_ptr_array_add(inside->fields, field);
	}
}

static gboolean
parameter_is(const struct part *part, const char *name, const char *value)
{
	const char *given = part_parameter(part, name);

	return given != NULL && g_ascii_strcasecmp(given, value) == 0;
}

static gboolean
same_value(const struct headers *a, const struct headers *b, const char *name)
{
	const char *left = headers_value(a, name);
	const char *right = headers_value(b, name);

	CLEANUP(seen_values) struct seen_values *seen = seen_values_new();

	if (right != NULL)
		seen_values_add(seen, name, strlen(name), right);
	return left != NULL && seen_values_has(seen, name, left);
}

/* A message inside that is this message, and no letter that was forwarded: the wrapper says so, or
 * it has the same author and identifier. */
static gboolean
is_wrapped(const struct part *root, const struct headers *outer)
{
	const struct headers *inner;
	CLEANUP(mailaddr) struct mailaddr *author = NULL;
	CLEANUP(mailaddr) struct mailaddr *outer_author = NULL;

	if (root->kind != PART_MESSAGE || root->children == NULL || root->children->len != 1)
		return FALSE;
	if (part_parameter(root, "forwarded") != NULL)
		return parameter_is(root, "forwarded", "no");
	inner = ((const struct part *)root->children->pdata[0])->headers;
	author = author_find(inner, NULL);
	outer_author = author_find(outer, NULL);
	return author != NULL && outer_author != NULL && mailaddr_equal(author, outer_author) &&
	       same_value(inner, outer, "Message-ID");
}

struct protected_fields *
protected_read(const struct mime_tree *payload, const struct headers *outer, gboolean by_signature,
	       gboolean by_encryption)
{
	const struct part *root = payload->root;
	const struct headers *fields = root->headers;
	struct protected_fields *inside;
	enum protected_scheme scheme;

	if (!by_signature && !by_encryption)
		return NULL;
	if (part_parameter(root, "hp") != NULL) {
		scheme = PROTECTED_HP;
	} else if (parameter_is(root, "protected-headers", "v1")) {
		scheme = PROTECTED_V1;
	} else if (is_wrapped(root, outer)) {
		scheme = PROTECTED_WRAPPED;
		fields = ((const struct part *)root->children->pdata[0])->headers;
	} else {
		return NULL;
	}
	inside = g_new0(struct protected_fields, 1);
	inside->refs = 1;
	inside->fields = g_ptr_array_new_with_free_func(field_free);
	inside->scheme = scheme;
	inside->by_signature = by_signature;
	inside->by_encryption = by_encryption;
	inside->cipher =
	    scheme == PROTECTED_HP ? parameter_is(root, "hp", "cipher") : by_encryption;
	add_fields(inside, fields, outer);
	return inside;
}

static guint
count_of(const struct protected_fields *inside, const char *name)
{
	guint count = 0;

	for (guint i = 0; i < inside->fields->len; i++) {
		const struct protected_field *field = inside->fields->pdata[i];

		count += g_ascii_strcasecmp(field->name, name) == 0;
	}
	return count;
}

const struct protected_field *
protected_find(const struct protected_fields *inside, const char *name)
{
	if (count_of(inside, name) != 1)
		return NULL;
	for (guint i = 0; i < inside->fields->len; i++) {
		const struct protected_field *field = inside->fields->pdata[i];

		if (g_ascii_strcasecmp(field->name, name) == 0)
			return field;
	}
	return NULL;
}

gboolean
protected_author_differs(const struct protected_fields *inside, const struct mailaddr *outer)
{
	guint count = count_of(inside, "From");
	const struct protected_field *from = protected_find(inside, "From");
	CLEANUP(mailaddr) struct mailaddr *inner = NULL;

	if (count == 0)
		return FALSE;
	if (from == NULL || outer == NULL)
		return TRUE;
	inner = author_parse(from->value, strlen(from->value), NULL);
	return inner == NULL || !mailaddr_equal(inner, outer) ||
	       shown_from_doubt(from->value, inner) != NULL;
}

/* ---- showing -------------------------------------------------------------------------------- */

static gboolean
is_clean(const char *text)
{
	for (; *text != '\0'; text++)
		if (((guchar)*text < 32 && *text != '\t') || *text == 127)
			return FALSE;
	return TRUE;
}

/* ASCII, whose only line ends are folds. */
static gboolean
is_one_field(const char *raw_value)
{
	for (const char *at = raw_value; *at != '\0'; at++) {
		if (*at == '\n' ? at[1] != ' ' && at[1] != '\t'
				: ((guchar)*at < 32 && *at != '\t') || (guchar)*at > 126)
			return FALSE;
	}
	return TRUE;
}

/* As written, unless it holds what no field may: then its text without. */
static char *
shown_value(const char *raw_value)
{
	g_autofree char *plain = header_unfolded(raw_value);
	g_autofree char *decoded = encoded_words_decode(plain);
	g_autofree char *text = NULL;

	if (*plain == '\0') /* an MTA takes no value at all for a deletion */
		return g_strdup(" ");
	if (is_one_field(raw_value) && is_clean(decoded))
		return g_strdup(raw_value);
	text = g_utf8_make_valid(decoded, -1);
	for (char *at = text; *at != '\0'; at++)
		if ((guchar)*at < 32 || *at == 127)
			*at = ' ';
	return subject_encode(g_strstrip(text));
}

static gboolean
show_subject(const struct protected_fields *inside, const struct headers *outer,
	     const struct words *words, struct edits *edits)
{
	const struct protected_field *subject = protected_find(inside, "Subject");
	g_autofree char *value = NULL;
	g_autofree char *cut = NULL;

	if (subject == NULL || (subject->same_outside && headers_count_of(outer, "Subject") == 1))
		return FALSE;
	value = shown_value(subject->value);
	if (words != NULL)
		cut = subject_cut(value, words);
	edits_replace(edits, outer, "Subject", cut != NULL ? cut : value);
	return TRUE;
}

/* All fields of a name, when one of them was hidden. */
static gboolean
show_all(const struct protected_fields *inside, const struct headers *outer, const char *name,
	 gboolean is_text, struct edits *edits)
{
	gboolean hidden = FALSE, first = TRUE;

	for (guint i = 0; i < inside->fields->len; i++) {
		const struct protected_field *field = inside->fields->pdata[i];

		if (g_ascii_strcasecmp(field->name, name) != 0)
			continue;
		hidden |= field->state == PROTECTED_BOTH || field->state == PROTECTED_ENCRYPTED;
		if (!is_text && !is_one_field(field->value))
			return FALSE;
	}
	if (!hidden || (is_single(name) && count_of(inside, name) != 1))
		return FALSE;
	for (guint i = 0; i < inside->fields->len; i++) {
		const struct protected_field *field = inside->fields->pdata[i];
		g_autofree char *value = NULL;

		if (g_ascii_strcasecmp(field->name, name) != 0)
			continue;
		value = is_text ? shown_value(field->value) : g_strdup(field->value);
		if (first)
			edits_replace(edits, outer, name, value);
		else
			edits_append(edits, name, value);
		first = FALSE;
	}
	return TRUE;
}

gboolean
protected_show(const struct protected_fields *inside, const struct headers *outer,
	       const struct words *words, struct edits *edits)
{
	static const struct {
		const char *name;
		gboolean is_text;
	} rows[] = {
		{ "Comments", TRUE },
		{ "Keywords", TRUE },
		{ "Thread-Topic", TRUE },
		{ "Organization", TRUE },
		{ "User-Agent", TRUE },
		{ "X-Mailer", TRUE },
		{ "To", FALSE },
		{ "Cc", FALSE },
		{ "Reply-To", FALSE },
		{ "Followup-To", FALSE },
		{ "Mail-Followup-To", FALSE },
		{ "Date", FALSE },
		{ "In-Reply-To", FALSE },
		{ "References", FALSE },
	};
	gboolean changed;

	if (!inside->by_encryption)
		return FALSE;
	changed = show_subject(inside, outer, words, edits);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
		changed |= show_all(inside, outer, rows[i].name, rows[i].is_text, edits);
	return changed;
}

/* A wrapped message is what is shown; NULL without an error: none is here. */
static struct spool *
unwrapped(const struct mime_tree *tree, struct spool_area *area, GError **error)
{
	const struct part *root = tree->root;
	CLEANUP(spool) struct spool *out = NULL;
	const struct part *inner;

	if (root->kind != PART_MESSAGE || root->children == NULL || root->children->len != 1)
		return NULL;
	inner = root->children->pdata[0];
	out = spool_new(area);
	if (!spool_append_range(out, tree->spool, inner->start, inner->end, error) ||
	    !spool_seal(out, error))
		return NULL;
	return g_steal_pointer(&out);
}

static gboolean
shown_bytes(const struct protected_fields *inside, const struct mime_tree *tree,
	    struct spool_area *area, struct spool **bytes, GError **error)
{
	GError *failure = NULL;

	switch (inside->scheme) {
	case PROTECTED_HP:
		return legacy_display_remove(tree, FALSE, area, bytes, error);
	case PROTECTED_V1:
		return legacy_display_remove(tree, TRUE, area, bytes, error);
	case PROTECTED_WRAPPED:
		*bytes = unwrapped(tree, area, &failure);
		break;
	}
	if (failure == NULL)
		return TRUE;
	g_propagate_error(error, failure);
	return FALSE;
}

/* NULL without an error: a header that is too large, which stays as it is. */
static struct entity *
entity_of(struct spool *bytes, GError **error)
{
	CLEANUP(headers) struct headers *headers = NULL;
	GError *failure = NULL;
	guint64 body = 0;

	headers = headers_parse(bytes, 0, spool_size(bytes), &body, &failure);
	if (headers != NULL)
		return entity_new(headers, bytes, 0, body, spool_size(bytes));
	if (g_error_matches(failure, PS_ERROR, PS_ERROR_INVALID))
		g_error_free(failure);
	else
		g_propagate_error(error, failure);
	return NULL;
}

static const char *
claim_of(enum protected_scheme scheme)
{
	switch (scheme) {
	case PROTECTED_HP:
		return "hp";
	case PROTECTED_V1:
		return "protected-headers";
	case PROTECTED_WRAPPED:
		break;
	}
	return NULL;
}

static gboolean
write_with_type(const struct entity *content, const char *type, struct spool *out, GError **error)
{
	for (guint i = 0; i < headers_count(content->headers); i++) {
		struct header field = *headers_at(content->headers, i);
		g_autofree char *value = g_strdup(type);

		if (header_is(&field, "Content-Type")) {
			field.value = value;
			field.length = strlen(value);
		}
		if (!header_write(&field, spool_sink(out), error))
			return FALSE;
	}
	return spool_append(out, "\r\n", 2, error) &&
	       spool_append_range(out, content->spool, content->body_start, content->end, error) &&
	       spool_seal(out, error);
}

/* Outside of what protected it the claim is none. NULL without an error: there is none. */
static struct entity *
without_claim(const struct protected_fields *inside, const struct entity *content,
	      struct spool_area *area, GError **error)
{
	const char *name = claim_of(inside->scheme);
	const char *raw = headers_value(content->headers, "Content-Type");
	CLEANUP(content_type) struct content_type *parsed = NULL;
	g_autofree char *type = NULL;
	CLEANUP(spool) struct spool *out = NULL;

	if (name == NULL || raw == NULL || headers_count_of(content->headers, "Content-Type") != 1)
		return NULL;
	parsed = content_type_parse(raw);
	if (parsed == NULL || content_type_parameter(parsed, name) == NULL)
		return NULL;
	type = type_without(raw, name);
	if (type == NULL)
		return NULL;
	out = spool_new(area);
	return write_with_type(content, type, out, error) ? entity_of(out, error) : NULL;
}

/* *shown: without what is there for programs that do not know header protection, if it is. */
static gboolean
without_display(const struct protected_fields *inside, const struct entity *content,
		struct spool_area *area, struct entity **shown, GError **error)
{
	CLEANUP(mime_tree) struct mime_tree *tree = NULL;
	CLEANUP(spool) struct spool *bytes = NULL;
	GError *failure = NULL;

	if (!inside->by_encryption || !inside->cipher)
		return TRUE;
	tree = scan_message(content->headers, content->spool, content->body_start, content->end,
			    error);
	if (tree == NULL)
		return FALSE;
	if (tree->malformed != NULL)
		return TRUE;
	if (!shown_bytes(inside, tree, area, &bytes, error))
		return FALSE;
	if (bytes != NULL)
		*shown = entity_of(bytes, &failure);
	if (failure != NULL)
		g_propagate_error(error, failure);
	return failure == NULL;
}

gboolean
protected_content(const struct protected_fields *inside, const struct entity *content,
		  struct spool_area *area, struct entity **shown, GError **error)
{
	GError *failure = NULL;
	struct entity *bare;

	*shown = NULL;
	if (!without_display(inside, content, area, shown, error))
		return FALSE;
	bare = without_claim(inside, *shown != NULL ? *shown : content, area, &failure);
	if (failure != NULL) {
		g_clear_pointer(shown, entity_free);
		g_propagate_error(error, failure);
		return FALSE;
	}
	if (bare != NULL) {
		entity_free(*shown);
		*shown = bare;
	}
	return TRUE;
}

const char *
protected_scheme_name(enum protected_scheme scheme)
{
	static const char *const names[] = { "hp", "protected-headers", "wrapped" };

	return names[scheme];
}

const char *
protected_state_name(enum protected_state state)
{
	static const char *const names[] = { "signed", "encrypted", "signed-and-encrypted",
					     "neither" };

	return names[state];
}
