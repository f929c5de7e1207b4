/*
 * protect - a header block is written in front of content that stays as it is. The block has to
 * stay within the limits that its reader has: of a message with too many fields only those that
 * people see are protected.
 */
#include "milter/mime/protect.h"

#include <string.h>

#include <gmime/gmime.h>

#include "milter/mime/content_type.h"
#include "milter/mime/legacy_display.h"
#include "milter/mime/subject.h"
#include "milter/mime/survey.h"
#include "milter/mime/type_edit.h"
#include "milter/mime/wrap.h"
#include "store/base/error.h"

#define LINE_MAX_BYTES 998
#define OUTER "HP-Outer"
#define HIDDEN_SUBJECT " [...]"
/* What a reader's limits leave for it, content fields apart. */
#define BLOCK_MAX_BYTES (HEADERS_BLOCK_MAX_BYTES / 2)
#define BLOCK_MAX_FIELDS (HEADERS_COUNT_MAX - 200)

/* At most, in a payload with a legacy display element. */
#define FIXED_BYTES 8192
#define DISPLAY_BYTES (512 * 1024)

/* How many fields are repeated: as many as fit. */
enum choice { CHOICE_ALL, CHOICE_SEEN, CHOICE_FEW };

struct block {
	GString *text;
	guint fields;
	gboolean wide; /* something is not 7-bit, or has a line that is too long */
};

/* ---- which fields --------------------------------------------------------------------------- */

#define IS_ONE_OF(field, names) header_name_among((field)->name, names, G_N_ELEMENTS(names))

/* Added on the way or removed on it, and what nobody but one recipient may see. */
static gboolean
stays_outside(const struct header *field)
{
	static const char *const prefixes[] = { "Content-", "X-Postseal-", "ARC-" };
	static const char *const names[] = {
		"Authentication-Results",
		"Apparently-To",
		"Bcc",
		"DKIM-Signature",
		"Delivered-To",
		"DomainKey-Signature",
		"Envelope-To",
		OUTER,
		"MIME-Version",
		"Received",
		"Received-SPF",
		"Resent-Bcc",
		"Return-Path",
		"X-Bcc",
		"X-Envelope-To",
		"X-Google-DKIM-Signature",
		"X-Original-To",
		"X-Received",
	};

	for (gsize i = 0; i < G_N_ELEMENTS(prefixes); i++)
		if (header_has_prefix(field, prefixes[i]))
			return TRUE;
	return IS_ONE_OF(field, names);
}

/* RFC 9787 section 1.1.2. */
static gboolean
is_seen(const struct header *field)
{
	static const char *const names[] = { "Subject",     "From",        "To",
					     "Cc",          "Date",        "Reply-To",
					     "Followup-To", "Sender",      "Message-ID",
					     "In-Reply-To", "Resent-From", "Resent-To",
					     "Resent-Cc",   "Resent-Date", "Resent-Sender" };

	return IS_ONE_OF(field, names);
}

static gboolean
belongs_inside(const struct header *field, enum choice choice)
{
	static const char *const few[] = { "Subject", "From", "Date", "Message-ID" };

	if (stays_outside(field))
		return FALSE;
	for (const char *at = field->name; *at != '\0'; at++)
		if (*at < 33 || *at > 126 || *at == ':')
			return FALSE;
	switch (choice) {
	case CHOICE_ALL:
		return TRUE;
	case CHOICE_SEEN:
		return is_seen(field);
	case CHOICE_FEW:
		break;
	}
	return IS_ONE_OF(field, few) && field->occurrence == 1;
}

/* The baseline policy drops the first two. Thread-Topic repeats the Subject. */
static gboolean
is_dropped(const struct header *field)
{
	static const char *const names[] = { "Comments", "Keywords", "Thread-Topic" };

	return IS_ONE_OF(field, names);
}

void
protect_hide(const struct headers *headers, struct edits *edits)
{
	if (headers_count_of(headers, "Subject") > 0)
		edits_replace(edits, headers, "Subject", HIDDEN_SUBJECT);
	for (guint i = 0; i < headers_count(headers); i++) {
		const struct header *field = headers_at(headers, i);

		if (is_dropped(field))
			edits_delete(edits, field->name, field->occurrence);
	}
}

/* ---- values --------------------------------------------------------------------------------- */

static gboolean
lines_fit(const char *text, gsize column)
{
	while (*text != '\0') {
		gsize length = strcspn(text, "\n");

		if (column + length > LINE_MAX_BYTES)
			return FALSE;
		column = 0;
		text += length;
		text += *text == '\n';
	}
	return TRUE;
}

static gboolean
is_address_list(const struct header *field)
{
	static const char *const names[] = { "From",
					     "To",
					     "Cc",
					     "Reply-To",
					     "Sender",
					     "Resent-From",
					     "Resent-To",
					     "Resent-Cc",
					     "Resent-Sender",
					     "Disposition-Notification-To",
					     "Mail-Followup-To" };

	return IS_ONE_OF(field, names);
}

/* Where an encoded word would be no text but part of what programs compare. */
static gboolean
is_for_programs(const struct header *field)
{
	static const char *const names[] = { "Date",        "Message-ID",  "In-Reply-To",
					     "References",  "Resent-Date", "Resent-Message-ID",
					     "Content-Type" };

	return IS_ONE_OF(field, names);
}

static char *
encoded_addresses(const char *raw_value)
{
	g_autofree char *text = g_strdup(raw_value);
	InternetAddressList *list;
	char *encoded;

	g_strdelimit(text, "\r\n", ' ');
	gmime_once();
	list = internet_address_list_parse(NULL, g_strstrip(text));
	if (list == NULL)
		return NULL;
	encoded = internet_address_list_to_string(list, NULL, TRUE);
	g_object_unref(list);
	return encoded;
}

static gboolean
is_control(char octet)
{
	return ((guchar)octet < 32 && octet != '\t' && octet != '\n') || octet == 127;
}

/* The raw value as it goes inside. Octets that no line may hold are blanks. */
static char *
clean_value(const struct header *field)
{
	char *value = g_malloc(field->length * 2 + 1);
	char *to = value;

	for (gsize i = 0; i < field->length; i++) {
		char octet = field->value[i];
		char next = i + 1 < field->length ? field->value[i + 1] : '\0';

		*to++ = is_control(octet) ? ' ' : octet;
		if (octet == '\n' && next != ' ' && next != '\t')
			*to++ = ' ';
	}
	*to = '\0';
	return value;
}

static gboolean
is_narrow(const char *value, gsize column)
{
	return (survey_bytes((const guint8 *)value, strlen(value)) & TRAIT_8BIT) == 0 &&
	       lines_fit(value, column);
}

/* 7-bit where that can be had; else as it is. */
static char *
value_inside(const struct header *field)
{
	const gsize column = strlen(OUTER ": :") + strlen(field->name);
	g_autofree char *value = clean_value(field);
	g_autofree char *encoded = NULL;

	if (is_narrow(value, column) || is_for_programs(field))
		return g_steal_pointer(&value);
	if (is_address_list(field)) {
		g_autofree char *list = encoded_addresses(value);

		encoded = list != NULL ? g_strconcat(" ", list, NULL) : NULL;
	} else {
		g_autofree char *decoded = subject_decode(value);

		encoded = subject_encode(decoded);
	}
	return encoded != NULL && is_narrow(encoded, column) ? g_steal_pointer(&encoded)
							     : g_steal_pointer(&value);
}

/* ---- the block ------------------------------------------------------------------------------ */

static void
add_value(struct block *block, const char *value)
{
	for (; *value != '\0'; value++) {
		if (*value == '\n')
			g_string_append_c(block->text, '\r');
		g_string_append_c(block->text, *value);
	}
	g_string_append(block->text, "\r\n");
	block->fields++;
}

static void
add_field(struct block *block, const char *prefix, const char *name, const char *value)
{
	g_string_append_printf(block->text, "%s%s:", prefix, name);
	block->wide |= !is_narrow(value, strlen(prefix) + strlen(name) + 1);
	add_value(block, value);
}

static void
add_outer(struct block *block, const struct header *field, const struct protect_request *request,
	  const char *value)
{
	if (request->hide && is_dropped(field))
		return;
	if (request->hide && header_is(field, "Subject")) {
		if (field->occurrence > 1)
			return;
		value = HIDDEN_SUBJECT;
	}
	add_field(block, OUTER ": ", field->name, value);
}

/* One pass, so that values are made once: the HP-Outer fields go behind all others. */
static void
write_fields(struct block *block, const struct protect_request *request, enum choice choice)
{
	struct block outer = { g_string_new(NULL), 0, FALSE };

	g_string_assign(block->text, "MIME-Version: 1.0\r\n");
	block->fields = 1;
	block->wide = FALSE;
	for (guint i = 0; i < headers_count(request->headers); i++) {
		const struct header *field = headers_at(request->headers, i);
		g_autofree char *value = NULL;

		if (!belongs_inside(field, choice))
			continue;
		value = value_inside(field);
		/* A reader refuses what nobody signed and is not plain ASCII (Efail). */
		if (!request->is_signed && !is_narrow(value, 0))
			continue;
		add_field(block, "", field->name, value);
		if (request->encrypted)
			add_outer(&outer, field, request, value);
	}
	g_string_append_len(block->text, outer.text->str, (gssize)outer.text->len);
	block->fields += outer.fields;
	block->wide |= outer.wide;
	g_string_free(outer.text, TRUE);
}

static void
make_block(struct block *block, const struct protect_request *request)
{
	for (enum choice choice = CHOICE_ALL; choice <= CHOICE_FEW; choice++) {
		write_fields(block, request, choice);
		if (block->text->len <= BLOCK_MAX_BYTES && block->fields <= BLOCK_MAX_FIELDS)
			return;
	}
}

/* ---- the payload ---------------------------------------------------------------------------- */

static const char *
parameter_of(const struct protect_request *request)
{
	return request->encrypted ? "cipher" : "clear";
}

/* The root's own fields with its new type, the body behind them. */
static gboolean
append_root(struct spool *out, const struct headers *content, const char *type,
	    struct spool *entity, guint64 body, GError **error)
{
	struct block block = { g_string_new(NULL), 0, FALSE };
	gboolean good;

	for (guint i = 0; i < headers_count(content); i++) {
		const struct header *field = headers_at(content, i);
		g_autofree char *value = clean_value(field);

		add_field(&block, "", field->name, header_is(field, "Content-Type") ? type : value);
	}
	g_string_append(block.text, "\r\n");
	good = spool_append(out, block.text->str, block.text->len, error) &&
	       spool_append_range(out, entity, body, spool_size(entity), error);
	g_string_free(block.text, TRUE);
	return good;
}

/* A multipart of one part, for content whose own type takes no parameter. */
static gboolean
append_wrapped(struct spool *out, const struct protect_request *request, struct spool *entity,
	       GError **error)
{
	g_autofree char *boundary = wrap_boundary(error);
	g_autofree char *begin = NULL;
	g_autofree char *end = NULL;

	if (boundary == NULL)
		return FALSE;
	begin = g_strdup_printf("%sContent-Type: multipart/mixed; boundary=\"%s\";\r\n"
				" hp=\"%s\"\r\n\r\n--%s\r\n",
				request->is_signed ? "" : "Content-Transfer-Encoding: 8bit\r\n",
				boundary, parameter_of(request), boundary);
	end = g_strdup_printf("\r\n--%s--\r\n", boundary);
	return spool_append_text(out, begin, error) &&
	       spool_append_range(out, entity, 0, spool_size(entity), error) &&
	       spool_append_text(out, end, error);
}

static struct spool *
payload_of(struct spool *entity, const struct protect_request *request, gboolean *needs_opaque,
	   GError **error)
{
	CLEANUP(spool) struct spool *out = spool_new(request->area);
	CLEANUP(headers) struct headers *content = NULL;
	struct block block = { g_string_new(NULL), 0, FALSE };
	g_autoptr(GString) text = block.text;
	g_autofree char *type = NULL;
	guint64 body = 0;

	content = headers_parse(entity, 0, spool_size(entity), &body, error);
	if (content == NULL)
		return NULL;
	if (headers_count_of(content, "Content-Type") == 1)
		type =
		    type_with(headers_value(content, "Content-Type"), "hp", parameter_of(request));
	make_block(&block, request);
	if (request->is_signed && block.wide)
		*needs_opaque = TRUE;
	if (!spool_append(out, text->str, text->len, error))
		return NULL;
	if (type != NULL ? !append_root(out, content, type, entity, body, error)
			 : !append_wrapped(out, request, entity, error))
		return NULL;
	return spool_seal(out, error) ? g_steal_pointer(&out) : NULL;
}

/* The text that shows the Subject to those who would see nothing but "[...]". */
static gboolean
add_display(struct spool *entity, const struct protect_request *request, struct spool **with,
	    GError **error)
{
	const char *value = headers_value(request->headers, "Subject");
	g_autofree char *subject = value != NULL ? subject_decode(value) : NULL;
	CLEANUP(headers) struct headers *content = NULL;
	CLEANUP(mime_tree) struct mime_tree *tree = NULL;
	guint64 body = 0;

	*with = NULL;
	if (!request->encrypted || !request->hide || subject == NULL || *subject == '\0')
		return TRUE;
	content = headers_parse(entity, 0, spool_size(entity), &body, error);
	if (content == NULL)
		return FALSE;
	tree = scan_message(content, entity, body, spool_size(entity), error);
	if (tree == NULL)
		return FALSE;
	return legacy_display_add(tree, subject, request->is_signed, request->area, with, error);
}

struct spool *
protect_entity(struct spool *entity, const struct protect_request *request, gboolean *needs_opaque,
	       GError **error)
{
	CLEANUP(spool) struct spool *with = NULL;

	if (!add_display(entity, request, &with, error))
		return NULL;
	return payload_of(with != NULL ? with : entity, request, needs_opaque, error);
}

/* Each field may stand there twice and encoded, the Subject five times as long in HTML; text parts
 * up to a limit get another encoding. */
guint64
protect_growth(guint64 headers_bytes, guint64 message_bytes)
{
	return 8 * headers_bytes + FIXED_BYTES + MIN(message_bytes / 2, DISPLAY_BYTES);
}
