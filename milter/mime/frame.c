/*
 * frame - the strict side of reading: everything else here is as lenient as mail programs are, and
 * they are so in different ways.
 */
#include "milter/mime/frame.h"

#include <string.h>

#include "milter/mime/content_type.h"
#include "store/base/error.h"

#define PREAMBLE_MAX_BYTES 65536
#define ENDS_MAX_BYTES 4
#define OBJECT_FIRST_OCTET 0x30 /* of DER and BER; base64 of it is "M" */

/* --- a header --- */

/* A fold without text ends the header for some. */
static gboolean
has_empty_fold(const struct header *field)
{
	const char *fold = memchr(field->value, '\n', field->length);

	while (fold != NULL) {
		fold++;
		fold += strspn(fold, " \t");
		if (*fold == '\0' || *fold == '\n')
			return TRUE;
		fold = strchr(fold, '\n');
	}
	return FALSE;
}

const char *
frame_check_header(const struct headers *headers)
{
	for (guint i = 0; i < headers_count(headers); i++) {
		const struct header *field = headers_at(headers, i);

		if (memchr(field->value, '\0', field->length) != NULL)
			return "a header field holds a null byte";
		if (memchr(field->value, '\r', field->length) != NULL)
			return "a header field holds a bare CR";
		if (has_empty_fold(field))
			return "a header field is continued by an empty line";
	}
	return NULL;
}

/* --- Content-Type --- */

static gboolean
is_token(char c)
{
	return c > 32 && c < 127 && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

static gboolean
is_bare_value(char c)
{
	return is_token(c) || (c != '\0' && strchr("/:=?[]@,", c) != NULL);
}

static gsize
span(const char *text, gboolean (*is)(char c))
{
	gsize n = 0;

	while (is(text[n]))
		n++;
	return n;
}

/* RFC 2046 section 5.1.1, and what programs write beside it that nobody reads in another way. */
static gboolean
is_boundary(const char *text)
{
	static const char marks[] = "'()+_,-./:=? {}[]<>@!#$&*^|~";
	gsize length = strlen(text);

	if (length == 0 || length > SCAN_BOUNDARY_MAX_BYTES || text[length - 1] == ' ' ||
	    text[0] == '\'' || strstr(text, "=?") != NULL)
		return FALSE;
	for (gsize i = 0; i < length; i++)
		if (!g_ascii_isalnum(text[i]) && strchr(marks, text[i]) == NULL)
			return FALSE;
	return TRUE;
}

/* "name=value" at *text, without blanks around the equals sign. */
static gboolean
take_parameter(const char **text, char **name, char **value)
{
	gsize length = span(*text, is_token);
	const char *at = *text + length;

	if (length == 0 || *at++ != '=')
		return FALSE;
	*name = g_ascii_strdown(*text, (gssize)length);
	if (*at == '"') {
		length = strcspn(++at, "\"\\");
		if (at[length] != '"')
			return FALSE;
		*value = g_strndup(at, length);
		*text = at + length + 1;
		return TRUE;
	}
	length = span(at, is_bare_value);
	*value = g_strndup(at, length);
	*text = at + length;
	return length > 0;
}

/* Of the whole multipart: some programs give it to the parts that name none. */
static gboolean
keeps_ascii(const char *charset)
{
	static const char *const kept[] = { "us-ascii",  "ascii",    "utf-8",    "utf8",
					    "iso-8859-", "iso8859-", "windows-", "koi8-",
					    "gb2312",    "gb18030",  "big5",     "euc-",
					    "shift_jis" };

	for (gsize i = 0; i < G_N_ELEMENTS(kept); i++)
		if (g_ascii_strncasecmp(charset, kept[i], strlen(kept[i])) == 0)
			return TRUE;
	return FALSE;
}

/* Parameters on which the structure hangs have no other spelling (RFC 2231) beside. */
static gboolean
parameter_is_plain(const char *name, const char *value, const char *boundary)
{
	if (g_str_has_prefix(name, "boundary*") || g_str_has_prefix(name, "protocol*"))
		return FALSE;
	if (strcmp(name, "boundary") == 0)
		return boundary != NULL && is_boundary(value) && strcmp(value, boundary) == 0;
	return strcmp(name, "charset") != 0 || boundary == NULL || keeps_ascii(value);
}

static gboolean
text_is_clean(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 127 || (*text < 32 && *text != '\t' && *text != '\n'))
			return FALSE;
	return TRUE;
}

static const char *
skip_blanks(const char *text)
{
	return text + strspn(text, " \t\n");
}

gboolean
frame_type_is_plain(const char *raw_value, const char *boundary)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	const char *at = skip_blanks(raw_value);
	gsize type = span(at, is_token);
	gsize subtype = type > 0 && at[type] == '/' ? span(at + type + 1, is_token) : 0;

	if (subtype == 0 || !text_is_clean(raw_value))
		return FALSE;
	at = skip_blanks(at + type + 1 + subtype);
	while (*at == ';') {
		g_autofree char *name = NULL;
		g_autofree char *value = NULL;

		at = skip_blanks(at + 1);
		if (*at == ';' || *at == '\0')
			continue;
		if (!take_parameter(&at, &name, &value) ||
		    !parameter_is_plain(name, value, boundary) ||
		    !g_hash_table_add(seen, g_steal_pointer(&name)))
			return FALSE;
		at = skip_blanks(at);
	}
	return *at == '\0' && (boundary == NULL || g_hash_table_contains(seen, "boundary"));
}

/* --- the fields of a part --- */

static gboolean
encodings_differ(const struct headers *headers)
{
	guint count = headers_count_of(headers, "Content-Transfer-Encoding");
	g_autofree char *first = NULL;

	for (guint i = 1; i <= count; i++) {
		const struct header *field = headers_find(headers, "Content-Transfer-Encoding", i);
		g_autofree char *value = g_strstrip(g_ascii_strdown(field->value, -1));

		if (first == NULL)
			first = g_steal_pointer(&value);
		else if (strcmp(first, value) != 0)
			return TRUE;
	}
	return FALSE;
}

/* The header block that ends before body_start: by an empty line, or by one that is no field? */
static gboolean
ends_in_empty_line(const struct mime_tree *tree, const struct part *part, gboolean *is,
		   GError **error)
{
	guint64 from = part->body_start > ENDS_MAX_BYTES ? part->body_start - ENDS_MAX_BYTES : 0;
	g_autoptr(GBytes) bytes = NULL;
	const char *end;
	gsize length;

	*is = TRUE;
	if (part->body_start == 0) /* an MTA gave header and body apart */
		return TRUE;
	bytes = spool_bytes(tree->spool, from, part->body_start, ENDS_MAX_BYTES, error);
	if (bytes == NULL)
		return FALSE;
	end = g_bytes_get_data(bytes, &length);
	*is = (length == 2 && memcmp(end, "\r\n", 2) == 0) ||
	      (length >= 3 && memcmp(end + length - 3, "\n\r\n", 3) == 0) ||
	      (length >= 2 && memcmp(end + length - 2, "\n\n", 2) == 0);
	return TRUE;
}

static gboolean
check_part(const struct mime_tree *tree, const struct part *part, struct frame *found,
	   GError **error)
{
	const struct header *type = headers_find(part->headers, "Content-Type", 1);
	gboolean ended;

	found->malformed = frame_check_header(part->headers);
	if (found->malformed != NULL)
		return TRUE;
	if (!ends_in_empty_line(tree, part, &ended, error))
		return FALSE;
	if (!ended)
		found->malformed = "a header is ended by a line that is no field";
	else if (type == NULL || !frame_type_is_plain(type->value, part->boundary))
		found->malformed = "mail programs can read its Content-Type in several ways";
	else if (encodings_differ(part->headers))
		found->malformed = "several transfer encodings";
	return TRUE;
}

/* --- the body of an object --- */

/* Base64 and nothing beside: decoders differ in what they skip and where they stop. */
static gboolean
check_base64(const struct mime_tree *tree, const struct part *part, struct frame *found,
	     GError **error)
{
	CLEANUP(spool_reader)
	struct spool_reader *reader = spool_reader_new(tree->spool, part->body_start, part->end);
	gboolean named = strcmp(part->encoding, "base64") == 0;
	gboolean begun = FALSE;
	gboolean padded = FALSE;
	const guint8 *bytes;
	gssize n;

	while ((n = spool_reader_next(reader, &bytes, error)) > 0) {
		for (gssize i = 0; i < n; i++) {
			char c = (char)bytes[i];

			if (c == '\r' || c == '\n' || c == ' ' || c == '\t')
				continue;
			if (!begun && !named && bytes[i] == OBJECT_FIRST_OCTET)
				return TRUE; /* the object itself */
			begun = TRUE;
			padded |= c == '=';
			if (padded ? c != '=' : !g_ascii_isalnum(c) && c != '+' && c != '/') {
				found->malformed =
				    "something stands beside the base64 of the object";
				return TRUE;
			}
		}
	}
	return n == 0;
}

static gboolean
check_object(const struct mime_tree *tree, const struct part *part, struct frame *found,
	     GError **error)
{
	if (!check_part(tree, part, found, error))
		return FALSE;
	if (found->malformed != NULL || strcmp(part->encoding, "quoted-printable") == 0)
		return TRUE;
	return check_base64(tree, part, found, error);
}

/* --- around the parts of a multipart/signed --- */

enum area { AREA_PREAMBLE, AREA_DELIMITER, AREA_EPILOGUE };

static void
check_lines(const char *text, gsize length, enum area area, struct frame *found)
{
	const char *end = text + length;

	if (memchr(text, '\0', length) != NULL) {
		found->malformed = "a null byte beside the signed part";
		return;
	}
	while (text < end) {
		const char *lf = memchr(text, '\n', (gsize)(end - text));
		gsize line = (gsize)((lf != NULL ? lf : end) - text);

		if (lf != NULL && (line == 0 || text[line - 1] != '\r'))
			found->malformed = "a line end that not every mail program takes for one";
		line -= line > 0 && text[line - 1] == '\r';
		if (memchr(text, '\r', line) != NULL)
			found->malformed = "a bare CR beside the signed part";
		if (area != AREA_DELIMITER && line >= 2 && memcmp(text, "--", 2) == 0)
			found->malformed = "another delimiter beside the signed part";
		if (area != AREA_DELIMITER && line >= 8 &&
		    g_ascii_strncasecmp(text, "Content-", 8) == 0)
			found->malformed = "header fields beside the signed part";
		if (area == AREA_EPILOGUE && strspn(text, " \t") < line)
			found->partial = "text was added behind the signed part";
		text = lf != NULL ? lf + 1 : end;
	}
}

static gboolean
check_area(const struct mime_tree *tree, guint64 start, guint64 end, enum area area,
	   struct frame *found, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;
	gsize length;
	const char *text;

	if (start >= end || found->malformed != NULL)
		return TRUE;
	if (end - start > PREAMBLE_MAX_BYTES) {
		found->partial = "much text stands beside the signed part";
		return TRUE;
	}
	bytes = spool_bytes(tree->spool, start, end, PREAMBLE_MAX_BYTES, error);
	if (bytes == NULL)
		return FALSE;
	text = g_bytes_get_data(bytes, &length);
	check_lines(text, length, area, found);
	return TRUE;
}

/* Programs that go by MIME-Version show the source of a message without it: then a preamble that
 * nobody else shows is the first that is read. An entity that is no message needs none. */
static gboolean
says_mime(const struct headers *headers)
{
	const char *value = headers_value(headers, "MIME-Version");

	if (headers_count_of(headers, "From") == 0)
		return TRUE;
	return value != NULL && g_str_has_prefix(skip_blanks(value), "1.0");
}

static gboolean
has_preamble(const struct part *root)
{
	return root->preamble_end > root->body_start + 2;
}

/* RFC 1847 section 2.1. Many programs leave it out, or write the older name. */
static gboolean
protocol_fits(const struct part *root)
{
	const char *protocol = part_parameter(root, "protocol");

	return protocol == NULL ||
	       g_ascii_strcasecmp(protocol, "application/pkcs7-signature") == 0 ||
	       g_ascii_strcasecmp(protocol, "application/x-pkcs7-signature") == 0;
}

/* Which of the two a delimiter belongs to cannot be told. */
static gboolean
has_boundary(const struct part *part, const char *boundary)
{
	if (part->boundary != NULL && strcmp(part->boundary, boundary) == 0)
		return TRUE;
	for (guint i = 0; part->children != NULL && i < part->children->len; i++)
		if (has_boundary(part->children->pdata[i], boundary))
			return TRUE;
	return FALSE;
}

static gboolean
check_clear(const struct mime_tree *tree, struct frame *found, GError **error)
{
	const struct part *root = tree->root;
	const struct part *content = root->children->pdata[0];
	const struct part *signature = root->children->pdata[1];
	const guint64 tail = MIN(root->epilogue_start, root->end);

	if (!protocol_fits(root))
		found->malformed = "protocol names another kind of signature";
	else if (!part_is(signature, "application/*"))
		found->malformed = "the signature stands in a part that is shown";
	else if (has_boundary(content, root->boundary))
		found->malformed = "a part of what was signed has the same boundary";
	if (found->malformed != NULL || !check_object(tree, signature, found, error))
		return found->malformed != NULL;
	if (!check_area(tree, root->body_start, root->preamble_end, AREA_PREAMBLE, found, error) ||
	    !check_area(tree, root->preamble_end, content->start, AREA_DELIMITER, found, error) ||
	    !check_area(tree, content->end, signature->body_start, AREA_DELIMITER, found, error) ||
	    !check_area(tree, signature->end, tail, AREA_DELIMITER, found, error) ||
	    !check_area(tree, tail, root->end, AREA_EPILOGUE, found, error))
		return FALSE;
	if (has_preamble(root) && !says_mime(root->headers) && found->partial == NULL)
		found->partial = "text before the signed part, and no MIME-Version";
	return TRUE;
}

gboolean
frame_check(const struct mime_tree *tree, enum protection protection, struct frame *found,
	    GError **error)
{
	*found = (struct frame){ NULL, NULL };
	if (protection != PROTECTION_SIGNED && !part_is_plainly_cms(tree->root))
		found->malformed = "the object stands under the type or name of a document";
	if (found->malformed != NULL)
		return TRUE;
	if (protection != PROTECTION_SIGNED)
		return check_object(tree, tree->root, found, error);
	if (!check_part(tree, tree->root, found, error))
		return FALSE;
	return found->malformed != NULL || check_clear(tree, found, error);
}
