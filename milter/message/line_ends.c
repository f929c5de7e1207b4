/*
 * line_ends - an LF without its CR gets one; a CR alone stays what it is.
 */
#include "milter/message/line_ends.h"

#include <string.h>

static gboolean
line_ends_write(struct sink *self, gconstpointer bytes, gsize length, GError **error)
{
	struct line_ends *line_ends = (struct line_ends *)self;
	const guint8 *at = bytes;
	const guint8 *end = at + length;

	while (at < end) {
		const guint8 *from = at;
		const guint8 *lf = at;
		gboolean bare = FALSE;

		while ((lf = memchr(lf, '\n', (gsize)(end - lf))) != NULL) {
			bare = (lf > (const guint8 *)bytes ? lf[-1] : line_ends->last) != '\r';
			if (bare)
				break;
			if (++lf == end)
				break;
		}
		at = bare ? lf : end;
		if (at > from && !sink_write(line_ends->out, from, (gsize)(at - from), error))
			return FALSE;
		if (bare) {
			if (!sink_write(line_ends->out, "\r\n", 2, error))
				return FALSE;
			at++;
		}
	}
	if (length > 0)
		line_ends->last = end[-1];
	return TRUE;
}

void
line_ends_init(struct line_ends *line_ends, struct sink *out)
{
	line_ends->sink.write = line_ends_write;
	line_ends->out = out;
	line_ends->last = 0;
}
