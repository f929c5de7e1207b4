/*
 * legacy_display - parts whose text changes are written anew in the encoding they had; everything
 * else is taken over as a range of the spool.
 *
 * In HTML the text is ASCII with character references, so that no charset matters; in plain text
 * it is converted to the part's charset. Where that cannot hold it, only a part that is ASCII by
 * all signs becomes UTF-8.
 */
#include "milter/mime/legacy_display.h"

#include <string.h>

#include "milter/mime/content_type.h"
#include "milter/mime/display_text.h"
#include "milter/mime/leaf.h"
#include "milter/mime/quoted_printable.h"
#include "milter/mime/type_edit.h"
#include "pki/crypto/base64.h"

#define PARAMETER "hp-legacy-display"
#define ENCODING "Content-Transfer-Encoding"
#define PARTS_MAX 8                 /* main body parts; a message has one or two */
#define HEAD_MAX_BYTES (256 * 1024) /* of HTML that is looked through for its body */
#define ANEW_MAX_BYTES (256 * 1024) /* of plain text whose encoding has to change */
#define LINE_MAX_BYTES 998

/* One part with other bytes, or none at all. */
struct change {
	const struct part *part;
	guint64 skip_end;     /* not 0: the part goes, and what is before this offset */
	char *type;           /* raw values; encoding NULL: as it is */
	const char *encoding; /* static */
	struct spool *body;
};

struct work {
	const struct mime_tree *tree;
	struct spool_area *area;
	GArray *changes; /* of struct change, ascending */
	const char *subject;
	gboolean seven_bit;
	gboolean add;
	GError **error;
};

static void
change_clear(gpointer data)
{
	struct change *change = data;

	spool_unref(change->body);
	g_free(change->type);
}

/* ---- which parts ---------------------------------------------------------------------------- */

static gboolean
is_attached(const struct part *part)
{
	const char *value = headers_value(part->headers, "Content-Disposition");
	CLEANUP(content_type) struct content_type *disposition = NULL;

	if (value == NULL)
		return FALSE;
	disposition = content_disposition_parse(value);
	return disposition == NULL || strcmp(content_type_name(disposition), "inline") != 0;
}

static gboolean change_leaf(struct work *work, const struct part *part);

/* RFC 9787 section 7.1: the first child of each multipart, of an alternative all. */
static gboolean
change_main_parts(struct work *work, const struct part *part)
{
	guint count = part->children != NULL ? part->children->len : 0;

	if (part_is(part, "multipart/signed") || part_is(part, "multipart/encrypted"))
		return TRUE;
	if (part->kind == PART_MULTIPART) {
		if (!part_is(part, "multipart/alternative"))
			count = MIN(count, 1);
		for (guint i = 0; i < count; i++)
			if (!change_main_parts(work, part->children->pdata[i]))
				return FALSE;
		return TRUE;
	}
	if (part->kind != PART_LEAF || work->changes->len >= PARTS_MAX || part->broken_type ||
	    headers_count_of(part->headers, "Content-Type") > 1 ||
	    headers_count_of(part->headers, ENCODING) > 1 || is_attached(part) ||
	    (!part_is(part, "text/plain") && !part_is(part, "text/html")))
		return TRUE;
	return change_leaf(work, part);
}

/* ---- encodings ------------------------------------------------------------------------------ */

enum form { FORM_PLAIN, FORM_QP, FORM_BASE64, FORM_UNKNOWN };

static enum form
form_of(const char *encoding)
{
	if (strcmp(encoding, "base64") == 0)
		return FORM_BASE64;
	if (strcmp(encoding, "quoted-printable") == 0)
		return FORM_QP;
	if (strcmp(encoding, "7bit") == 0 || strcmp(encoding, "8bit") == 0 ||
	    strcmp(encoding, "binary") == 0)
		return FORM_PLAIN;
	return FORM_UNKNOWN;
}

struct piece {
	struct spool *spool; /* NULL: text */
	guint64 start, end;
	const char *text;
};

static gboolean
write_pieces(const struct piece *pieces, gsize count, struct sink *to, GError **error)
{
	for (gsize i = 0; i < count; i++) {
		const struct piece *piece = &pieces[i];

		if (piece->spool == NULL
			? !sink_write(to, piece->text, strlen(piece->text), error)
			: !spool_write_range(piece->spool, piece->start, piece->end, to, error))
			return FALSE;
	}
	return TRUE;
}

/* Decoded pieces in an encoding. */
static struct spool *
encode_pieces(struct work *work, const struct piece *pieces, gsize count, enum form form)
{
	CLEANUP(spool) struct spool *out = spool_new(work->area);
	struct base64_encoder base64;
	struct qp_encoder qp;
	gboolean good;

	if (form == FORM_BASE64) {
		base64_encoder_init(&base64, spool_sink(out));
		good = write_pieces(pieces, count, &base64.sink, work->error) &&
		       base64_encoder_finish(&base64, work->error);
	} else if (form == FORM_QP) {
		qp_encoder_init(&qp, spool_sink(out), FALSE);
		good = write_pieces(pieces, count, &qp.sink, work->error) &&
		       qp_encoder_finish(&qp, work->error);
	} else {
		good = write_pieces(pieces, count, spool_sink(out), work->error);
	}
	return good && spool_seal(out, work->error) ? g_steal_pointer(&out) : NULL;
}

static struct spool *
decoded_leaf(struct work *work, const struct part *part)
{
	CLEANUP(spool) struct spool *out = spool_new(work->area);

	if (!leaf_write(work->tree, part, spool_sink(out), work->error) ||
	    !spool_seal(out, work->error))
		return NULL;
	return g_steal_pointer(&out);
}

/* The decoded text up to a limit; NULL with an error when it cannot be read. */
static char *
head_of(struct work *work, struct spool *text, gsize max)
{
	guint64 end = MIN(spool_size(text), max);
	g_autoptr(GBytes) bytes = spool_bytes(text, 0, end, max, work->error);
	const char *data;
	gsize length;
	char *head;

	if (bytes == NULL)
		return NULL;
	data = g_bytes_get_data(bytes, &length);
	head = g_malloc(length + 1);
	for (gsize i = 0; i < length; i++)
		head[i] = data[i] == '\0' ? ' ' : data[i];
	head[length] = '\0';
	return head;
}

/* ---- adding --------------------------------------------------------------------------------- */

static gboolean
lines_fit(const char *text)
{
	while (*text != '\0') {
		gsize length = strcspn(text, "\n");

		if (length > LINE_MAX_BYTES)
			return FALSE;
		text += length + (text[length] == '\n');
	}
	return TRUE;
}

/* The element in the part's charset. NULL: it cannot be put in front there. *relabel: the part
 * has to become UTF-8. */
static char *
element_for(const struct part *part, const char *subject, gboolean *relabel)
{
	const char *charset = part_parameter(part, "charset");
	gboolean ascii = charset == NULL || g_ascii_strcasecmp(charset, "us-ascii") == 0;
	g_autofree char *text = NULL;
	g_autofree char *probe = NULL;
	char *converted;
	gsize length = 0;

	*relabel = FALSE;
	if (charset == NULL || ascii)
		charset = "us-ascii";
	if (g_ascii_strcasecmp(charset, "unknown-8bit") != 0) {
		/* UTF-16 and its like are no place for lines of ASCII */
		probe = g_convert("Subject:", -1, charset, "utf-8", NULL, &length, NULL);
		if (probe == NULL || length != 8 || memcmp(probe, "Subject:", 8) != 0)
			return NULL;
	}
	text = part_is(part, "text/html") ? display_html(subject) : display_plain(subject);
	if (g_str_is_ascii(text))
		return g_steal_pointer(&text);
	if (ascii && (part->traits & TRAIT_8BIT) == 0 && form_of(part->encoding) == FORM_PLAIN) {
		*relabel = TRUE;
		return g_steal_pointer(&text);
	}
	converted = g_convert_with_fallback(text, -1, charset, "utf-8", "?", NULL, &length, NULL);
	if (converted != NULL && strlen(converted) == length)
		return converted;
	g_free(converted);
	for (char *at = text; *at != '\0'; at++) /* in no charset that is known */
		*at = (guchar)*at > 126 ? '?' : *at;
	return g_steal_pointer(&text);
}

/* The new body: the element at its place. NULL without an error: it stays as it is. */
static struct spool *
body_with(struct work *work, struct change *change, const char *element)
{
	const struct part *part = change->part;
	gboolean html = part_is(part, "text/html");
	enum form form = form_of(part->encoding);
	gboolean narrow = g_str_is_ascii(element) && lines_fit(element);
	struct spool *text = work->tree->spool;
	CLEANUP(spool) struct spool *decoded = NULL;
	CLEANUP(spool) struct spool *front = NULL;
	guint64 start = part->body_start, end = part->end, at;
	enum form result = form;

	if (form == FORM_PLAIN && !narrow && work->seven_bit) {
		if (end - start > ANEW_MAX_BYTES)
			return NULL;
		result = FORM_QP;
		change->encoding = "quoted-printable";
	} else if (form == FORM_PLAIN && !narrow && strcmp(part->encoding, "7bit") == 0) {
		change->encoding = "8bit";
	}
	if (form == FORM_BASE64 || (html && form == FORM_QP)) {
		text = decoded = decoded_leaf(work, part);
		if (decoded == NULL)
			return NULL;
		start = 0;
		end = spool_size(decoded);
	} else if (form == FORM_QP) { /* lines in front of lines */
		const struct piece first = { .text = element };

		front = encode_pieces(work, &first, 1, FORM_QP);
		if (front == NULL)
			return NULL;
		result = FORM_PLAIN;
	}
	at = start;
	if (html) {
		CLEANUP(spool) struct spool *body = spool_new(work->area);
		g_autofree char *head = NULL;

		if (!spool_append_range(body, text, start, end, work->error) ||
		    !spool_seal(body, work->error) ||
		    (head = head_of(work, body, HEAD_MAX_BYTES)) == NULL)
			return NULL;
		at += display_html_place(head);
	}
	const struct piece pieces[] = {
		{ .spool = text, .start = start, .end = at },
		{ .spool = front, .end = front != NULL ? spool_size(front) : 0, .text = element },
		{ .spool = text, .start = at, .end = end },
	};

	return encode_pieces(work, pieces, G_N_ELEMENTS(pieces), result);
}

static gboolean
add_to_leaf(struct work *work, const struct part *part)
{
	const char *raw = headers_value(part->headers, "Content-Type");
	struct change change = { .part = part };
	g_autofree char *labelled = NULL;
	g_autofree char *element = NULL;
	gboolean relabel;
	GError *error = NULL;
	GError **caller = work->error;

	if (form_of(part->encoding) == FORM_UNKNOWN)
		return TRUE;
	element = element_for(part, work->subject, &relabel);
	if (element == NULL)
		return TRUE;
	if (raw == NULL)
		raw = " text/plain; charset=us-ascii";
	labelled = relabel ? type_with(raw, "charset", "utf-8") : g_strdup(raw);
	change.type = labelled != NULL ? type_with(labelled, PARAMETER, "1") : NULL;
	if (change.type == NULL)
		return TRUE;
	work->error = &error;
	change.body = body_with(work, &change, element);
	work->error = caller;
	if (change.body != NULL) {
		g_array_append_val(work->changes, change);
		return TRUE;
	}
	change_clear(&change);
	if (error == NULL)
		return TRUE;
	g_propagate_error(caller, error);
	return FALSE;
}

/* ---- taking away ---------------------------------------------------------------------------- */

static gboolean
element_range(struct work *work, const struct part *part, struct spool *text, gsize *start,
	      gsize *end, gboolean *found)
{
	gboolean html = part_is(part, "text/html");
	g_autofree char *head =
	    head_of(work, text, html ? HEAD_MAX_BYTES + DISPLAY_MAX_BYTES : 2 * DISPLAY_MAX_BYTES);

	if (head == NULL)
		return FALSE;
	*start = 0;
	if (html) {
		*found = display_html_range(head, start, end);
	} else {
		*end = display_plain_end(head);
		*found = *end > 0;
	}
	return TRUE;
}

static gboolean
remove_from_leaf(struct work *work, const struct part *part)
{
	const char *mark = part_parameter(part, PARAMETER);
	const char *raw = headers_value(part->headers, "Content-Type");
	enum form form = form_of(part->encoding);
	struct change change = { .part = part };
	CLEANUP(spool) struct spool *text = NULL;
	gsize start = 0, end = 0;
	gboolean found = FALSE;

	if (mark == NULL || strcmp(mark, "1") != 0 || form == FORM_UNKNOWN)
		return TRUE;
	text = decoded_leaf(work, part);
	if (text == NULL || !element_range(work, part, text, &start, &end, &found))
		return FALSE;
	if (!found || (change.type = type_without(raw, PARAMETER)) == NULL)
		return TRUE;
	const struct piece pieces[] = {
		{ .spool = text, .end = start },
		{ .spool = text, .start = end, .end = spool_size(text) },
	};

	change.body = encode_pieces(work, pieces, G_N_ELEMENTS(pieces), form);
	if (change.body == NULL) {
		g_free(change.type);
		return FALSE;
	}
	g_array_append_val(work->changes, change);
	return TRUE;
}

static gboolean
change_leaf(struct work *work, const struct part *part)
{
	return work->add ? add_to_leaf(work, part) : remove_from_leaf(work, part);
}

/* draft-autocrypt-lamps-protected-headers: the first of two parts repeats the hidden fields. */
static gboolean
is_older_display(const struct part *root)
{
	const struct part *first;
	const char *version;

	if (!part_is(root, "multipart/mixed") || root->children == NULL || root->children->len < 2)
		return FALSE;
	first = root->children->pdata[0];
	version = part_parameter(first, "protected-headers");
	return first->kind == PART_LEAF && version != NULL &&
	       g_ascii_strcasecmp(version, "v1") == 0 && !is_attached(first) &&
	       (part_is(first, "text/plain") || part_is(first, "text/rfc822-headers"));
}

/* ---- the message with its changes ----------------------------------------------------------- */

static gboolean
write_changed_header(const struct change *change, struct spool *out, GError **error)
{
	g_autoptr(GString) block = g_string_new(NULL);
	const struct headers *headers = change->part->headers;
	g_auto(GStrv) lines = g_strsplit(change->type, "\n", -1);
	g_autofree char *type = g_strjoinv("\r\n", lines);
	gboolean typed = FALSE, encoded = change->encoding == NULL;

	for (guint i = 0; i < headers_count(headers); i++) {
		const struct header *field = headers_at(headers, i);

		if (header_is(field, "Content-MD5") || header_is(field, "Content-Length"))
			continue;
		if (header_is(field, "Content-Type")) {
			g_string_append_printf(block, "%s:%s\r\n", field->name, type);
			typed = TRUE;
		} else if (change->encoding != NULL && header_is(field, ENCODING)) {
			g_string_append_printf(block, "%s: %s\r\n", field->name, change->encoding);
			encoded = TRUE;
		} else if (!spool_append(out, block->str, block->len, error) ||
			   !header_write(field, spool_sink(out), error)) {
			return FALSE;
		} else {
			g_string_truncate(block, 0);
		}
	}
	if (!typed)
		g_string_append_printf(block, "Content-Type:%s\r\n", type);
	if (!encoded)
		g_string_append_printf(block, ENCODING ": %s\r\n", change->encoding);
	g_string_append(block, "\r\n");
	return spool_append(out, block->str, block->len, error);
}

static gboolean
write_change(const struct change *change, struct spool *out, GError **error)
{
	if (change->skip_end != 0)
		return TRUE;
	return write_changed_header(change, out, error) &&
	       spool_append_range(out, change->body, 0, spool_size(change->body), error);
}

static struct spool *
message_of(struct work *work)
{
	const struct part *root = work->tree->root;
	CLEANUP(spool) struct spool *out = spool_new(work->area);
	const struct change *first = &g_array_index(work->changes, struct change, 0);
	guint64 at = root->body_start;

	if (first->part != root && (!headers_write(root->headers, spool_sink(out), work->error) ||
				    !spool_append(out, "\r\n", 2, work->error)))
		return NULL;
	for (guint i = 0; i < work->changes->len; i++) {
		const struct change *change = &g_array_index(work->changes, struct change, i);

		if (!spool_append_range(out, work->tree->spool, at, change->part->start,
					work->error) ||
		    !write_change(change, out, work->error))
			return NULL;
		at = change->skip_end != 0 ? change->skip_end : change->part->end;
	}
	if (!spool_append_range(out, work->tree->spool, at, root->end, work->error) ||
	    !spool_seal(out, work->error))
		return NULL;
	return g_steal_pointer(&out);
}

static gboolean
carry_out(struct work *work, struct spool **entity)
{
	if (work->changes->len == 0)
		return TRUE;
	*entity = message_of(work);
	return *entity != NULL;
}

gboolean
legacy_display_add(const struct mime_tree *tree, const char *subject, gboolean seven_bit,
		   struct spool_area *area, struct spool **entity, GError **error)
{
	g_autoptr(GArray) changes = g_array_new(FALSE, FALSE, sizeof(struct change));
	g_autofree char *shown = display_subject(subject);
	struct work work = { tree, area, changes, shown, seven_bit, TRUE, error };

	*entity = NULL;
	g_array_set_clear_func(changes, change_clear);
	if (tree->malformed != NULL || *shown == '\0')
		return TRUE;
	return change_main_parts(&work, tree->root) && carry_out(&work, entity);
}

gboolean
legacy_display_remove(const struct mime_tree *tree, gboolean older, struct spool_area *area,
		      struct spool **entity, GError **error)
{
	g_autoptr(GArray) changes = g_array_new(FALSE, FALSE, sizeof(struct change));
	struct work work = { tree, area, changes, NULL, FALSE, FALSE, error };

	*entity = NULL;
	g_array_set_clear_func(changes, change_clear);
	if (tree->malformed != NULL)
		return TRUE;
	if (older && is_older_display(tree->root)) {
		const struct part *second = tree->root->children->pdata[1];
		struct change change = { .part = tree->root->children->pdata[0],
					 .skip_end = second->start };

		g_array_append_val(changes, change);
	} else if (!older && !change_main_parts(&work, tree->root)) {
		return FALSE;
	}
	return carry_out(&work, entity);
}
