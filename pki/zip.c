/*
 * zip - a reader of small archives.
 */
#include "pki/zip.h"

#include <gio/gio.h>
#include <string.h>

#include "store/base/error.h"
#include "store/base/printable.h"

#define END_BYTES 22
#define END_COMMENT_MAX 65535
#define ENTRY_BYTES 46
#define LOCAL_BYTES 30
#define METHOD_STORED 0
#define METHOD_DEFLATED 8
#define FLAG_ENCRYPTED 1

struct zip {
	const guint8 *start;
	gsize length;
	gsize total; /* came out so far */
	GPtrArray *files;
};

static guint16
u16(const guint8 *p)
{
	return (guint16)(p[0] | p[1] << 8);
}

static guint32
u32(const guint8 *p)
{
	return (guint32)p[0] | (guint32)p[1] << 8 | (guint32)p[2] << 16 | (guint32)p[3] << 24;
}

gboolean
zip_is(GBytes *bytes)
{
	gsize length;
	const guint8 *start = g_bytes_get_data(bytes, &length);

	return length >= END_BYTES &&
	       (memcmp(start, "PK\003\004", 4) == 0 || memcmp(start, "PK\005\006", 4) == 0);
}

static void
zip_file_free(gpointer data)
{
	struct zip_file *file = data;

	g_free(file->name);
	g_bytes_unref(file->content);
	g_free(file);
}

/* From the end backwards: a comment may follow. */
static const guint8 *
find_end(const struct zip *zip)
{
	gsize least = zip->length > END_BYTES + END_COMMENT_MAX
			  ? zip->length - END_BYTES - END_COMMENT_MAX
			  : 0;

	for (gsize at = zip->length - END_BYTES + 1; at-- > least;)
		if (memcmp(zip->start + at, "PK\005\006", 4) == 0 &&
		    at + END_BYTES + u16(zip->start + at + 20) == zip->length)
			return zip->start + at;
	return NULL;
}

static GBytes *
inflate(const guint8 *packed, gsize packed_length, gsize length, GError **error)
{
	g_autoptr(GConverter) converter =
	    G_CONVERTER(g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_RAW));
	g_autofree guint8 *out = g_malloc(length + 1);
	gsize read_all = 0, written_all = 0;
	GConverterResult result = G_CONVERTER_CONVERTED;

	while (result == G_CONVERTER_CONVERTED && written_all <= length) {
		gsize read = 0, written = 0;

		result = g_converter_convert(converter, packed + read_all, packed_length - read_all,
					     out + written_all, length + 1 - written_all,
					     G_CONVERTER_INPUT_AT_END, &read, &written, NULL);
		read_all += read;
		written_all += written;
		if (read == 0 && written == 0)
			break;
	}
	if (result != G_CONVERTER_FINISHED || written_all != length)
		return fail(error, PS_ERROR_INVALID, "a file of the archive is damaged");
	return g_bytes_new_take(g_steal_pointer(&out), length);
}

static GBytes *
content_of(struct zip *zip, const guint8 *entry, GError **error)
{
	guint16 method = u16(entry + 10);
	gsize packed = u32(entry + 20), length = u32(entry + 24), local = u32(entry + 42);

	if ((u16(entry + 8) & FLAG_ENCRYPTED) != 0)
		return fail(error, PS_ERROR_INVALID, "a file of the archive is encrypted");
	if (length > ZIP_FILE_MAX_BYTES || length > ZIP_TOTAL_MAX_BYTES - zip->total)
		return fail(error, PS_ERROR_INVALID, "what is in the archive is too large");
	zip->total += length;
	if (local > zip->length || zip->length - local < LOCAL_BYTES ||
	    memcmp(zip->start + local, "PK\003\004", 4) != 0)
		return fail(error, PS_ERROR_INVALID, "the archive is damaged");
	gsize begin =
	    local + LOCAL_BYTES + u16(zip->start + local + 26) + u16(zip->start + local + 28);
	if (begin > zip->length || packed > zip->length - begin)
		return fail(error, PS_ERROR_INVALID, "the archive is damaged");
	if (method == METHOD_STORED && packed == length)
		return g_bytes_new(zip->start + begin, length);
	if (method == METHOD_DEFLATED)
		return inflate(zip->start + begin, packed, length, error);
	return fail(error, PS_ERROR_INVALID, "a file of the archive is packed in an unknown way");
}

static gboolean
take_entry(struct zip *zip, const guint8 *entry, gsize name_length, GError **error)
{
	const char *name = (const char *)entry + ENTRY_BYTES;

	if (name_length > 0 && name[name_length - 1] == '/')
		return TRUE;
	GBytes *content = content_of(zip, entry, error);
	if (content == NULL)
		return FALSE;
	gsize begin = name_length;
	while (begin > 0 && name[begin - 1] != '/' && name[begin - 1] != '\\')
		begin--;
	struct zip_file *file = g_new0(struct zip_file, 1);
	file->name = printable_bytes(name + begin, name_length - begin, PRINTABLE_MAX_BYTES);
	file->content = content;
	g_ptr_array_add(zip->files, file);
	return TRUE;
}

static gboolean
read_entries(struct zip *zip, const guint8 *end, GError **error)
{
	gsize count = u16(end + 10), size = u32(end + 12), at = u32(end + 16);
	gsize limit = (gsize)(end - zip->start);

	if (count > ZIP_FILES_MAX)
		return fail_false(error, PS_ERROR_INVALID,
				  "the archive has %zu files, more than %d", count, ZIP_FILES_MAX);
	if (at > limit || size > limit - at)
		return fail_false(error, PS_ERROR_INVALID, "the archive is damaged");
	limit = at + size;
	for (gsize i = 0; i < count; i++) {
		const guint8 *entry = zip->start + at;
		if (limit - at < ENTRY_BYTES || memcmp(entry, "PK\001\002", 4) != 0)
			return fail_false(error, PS_ERROR_INVALID, "the archive is damaged");
		gsize name_length = u16(entry + 28);
		gsize whole = ENTRY_BYTES + name_length + u16(entry + 30) + u16(entry + 32);
		if (whole > limit - at)
			return fail_false(error, PS_ERROR_INVALID, "the archive is damaged");
		if (!take_entry(zip, entry, name_length, error))
			return FALSE;
		at += whole;
	}
	return TRUE;
}

GPtrArray *
zip_read(GBytes *bytes, GError **error)
{
	struct zip zip = { 0 };

	zip.start = g_bytes_get_data(bytes, &zip.length);
	const guint8 *end = zip.length >= END_BYTES ? find_end(&zip) : NULL;
	if (end == NULL)
		return fail(error, PS_ERROR_INVALID, "not a whole ZIP archive");
	zip.files = g_ptr_array_new_with_free_func(zip_file_free);
	if (read_entries(&zip, end, error))
		return zip.files;
	g_ptr_array_unref(zip.files);
	return NULL;
}
