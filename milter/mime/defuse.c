/*
 * defuse - leaves that a mail program may show as markup are written anew, all else is kept.
 *
 * What is delivered of such a leaf is what was looked at: where its transfer encoding leaves room
 * for another reading it is encoded again, changed or not.
 */
#include "milter/mime/defuse.h"

#include <string.h>

#include "milter/mime/content_type.h"
#include "milter/mime/defuse_text.h"
#include "milter/mime/leaf.h"
#include "milter/mime/quoted_printable.h"
#include "pki/crypto/base64.h"
#include "store/base/error.h"

#define MARKUP_MAX_BYTES (8 * 1024 * 1024)

struct defuse {
	const struct mime_tree *tree;
	struct spool *out;
	guint64 copied; /* up to here the original is in out */
	gboolean changed;
};

/* --- which leaves --- */

static const char *
file_name(const struct part *part, struct content_type **disposition)
{
	const char *value = headers_value(part->headers, "Content-Disposition");
	const char *name = NULL;

	*disposition = value != NULL ? content_disposition_parse(value) : NULL;
	if (*disposition != NULL)
		name = content_type_parameter(*disposition, "filename");
	return name != NULL ? name : part_parameter(part, "name");
}

static gboolean
name_is_markup(const struct part *part)
{
	static const char *const ends[] = { ".html", ".htm", ".xhtml", ".xht",  ".svg",
					    ".xml",  ".css", ".mht",   ".shtml" };
	CLEANUP(content_type) struct content_type *disposition = NULL;
	const char *name = file_name(part, &disposition);
	g_autofree char *lower = name != NULL ? g_ascii_strdown(name, -1) : NULL;

	for (gsize i = 0; lower != NULL && i < G_N_ELEMENTS(ends); i++)
		if (g_str_has_suffix(lower, ends[i]))
			return TRUE;
	return FALSE;
}

static gboolean
is_xml(const struct part *part)
{
	return strstr(part->type, "xml") != NULL || strstr(part->type, "svg") != NULL;
}

static gboolean
is_markup(const struct part *part)
{
	return strstr(part->type, "html") != NULL || is_xml(part) || part_is(part, "text/css") ||
	       name_is_markup(part);
}

static gboolean
is_encoded(const struct part *part)
{
	return strcmp(part->encoding, "base64") == 0 ||
	       strcmp(part->encoding, "quoted-printable") == 0;
}

/* --- writing --- */

struct bytes_sink {
	struct sink sink;
	GByteArray *bytes;
};

static gboolean
bytes_write(struct sink *self, gconstpointer bytes, gsize length, GError **error)
{
	struct bytes_sink *sink = (struct bytes_sink *)self;

	if (length > MARKUP_MAX_BYTES - sink->bytes->len)
		return fail_false(error, PS_ERROR_INVALID, "HTML of more than %d bytes",
				  MARKUP_MAX_BYTES);
	g_byte_array_append(sink->bytes, bytes, (guint)length);
	return TRUE;
}

static gboolean
write_encoded(const struct part *part, const GByteArray *bytes, struct sink *to, GError **error)
{
	if (strcmp(part->encoding, "base64") == 0) {
		struct base64_encoder encoder;

		base64_encoder_init(&encoder, to);
		return sink_write(&encoder.sink, bytes->data, bytes->len, error) &&
		       base64_encoder_finish(&encoder, error);
	}
	if (strcmp(part->encoding, "quoted-printable") == 0) {
		struct qp_encoder encoder;

		qp_encoder_init(&encoder, to, FALSE);
		return sink_write(&encoder.sink, bytes->data, bytes->len, error) &&
		       qp_encoder_finish(&encoder, error);
	}
	return sink_write(to, bytes->data, bytes->len, error);
}

static gboolean
copy_until(struct defuse *defuse, guint64 end, GError **error)
{
	guint64 start = defuse->copied;

	defuse->copied = end;
	return spool_append_range(defuse->out, defuse->tree->spool, start, end, error);
}

static gboolean
defuse_leaf(struct defuse *defuse, const struct part *part, GError **error)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();
	struct bytes_sink sink = { { bytes_write }, bytes };
	gboolean encoded = is_encoded(part);
	const char *charset = part_parameter(part, "charset");
	gboolean changed = FALSE;
	const char *doubt;

	if (charset != NULL && !defuse_text_charset(charset))
		return fail_false(error, PS_ERROR_INVALID, "HTML in a charset of its own");
	if (!leaf_write(defuse->tree, part, &sink.sink, error))
		return FALSE;
	doubt = defuse_text((char *)bytes->data, bytes->len, is_xml(part), &changed);
	if (doubt != NULL)
		return fail_false(error, PS_ERROR_INVALID, "%s", doubt);
	if (bytes->len == 0 || (!changed && !encoded))
		return TRUE;
	defuse->changed = TRUE;
	if (!copy_until(defuse, part->body_start, error) ||
	    !write_encoded(part, bytes, spool_sink(defuse->out), error))
		return FALSE;
	defuse->copied = part->end;
	return TRUE;
}

static gboolean
defuse_part(struct defuse *defuse, const struct part *part, GError **error)
{
	if (part_is(part, "message/external-body"))
		return fail_false(error, PS_ERROR_INVALID, "a part that lies elsewhere");
	if ((part_is(part, "message/*") || part_is(part, "multipart/*")) && is_encoded(part))
		return fail_false(error, PS_ERROR_INVALID, "a %s that is encoded", part->type);
	if (part->kind == PART_LEAF && is_markup(part))
		return defuse_leaf(defuse, part, error);
	for (guint i = 0; part->children != NULL && i < part->children->len; i++)
		if (!defuse_part(defuse, part->children->pdata[i], error))
			return FALSE;
	return TRUE;
}

struct entity *
defuse_html(const struct entity *entity, struct spool_area *area, gboolean *changed, GError **error)
{
	CLEANUP(mime_tree)
	struct mime_tree *tree =
	    scan_message(entity->headers, entity->spool, entity->body_start, entity->end, error);
	CLEANUP(spool) struct spool *out = spool_new(area);
	struct defuse defuse = { tree, out, entity->start, FALSE };
	guint64 header = entity->body_start - entity->start;

	*changed = FALSE;
	if (tree == NULL)
		return NULL;
	if (tree->malformed != NULL)
		return fail(error, PS_ERROR_INVALID, "a structure that cannot be told");
	if (!defuse_part(&defuse, tree->root, error) || !copy_until(&defuse, entity->end, error) ||
	    !spool_seal(out, error))
		return NULL;
	*changed = defuse.changed;
	return defuse.changed ? entity_new(entity->headers, out, 0, header, spool_size(out))
			      : entity_copy(entity);
}
