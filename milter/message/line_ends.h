/*
 * line_ends - a sink that makes every line end CRLF: files come with LF, mail has CRLF.
 */
#ifndef MILTER_MESSAGE_LINE_ENDS_H
#define MILTER_MESSAGE_LINE_ENDS_H

#include "store/base/sink.h"

struct line_ends {
	struct sink sink; /* first */
	struct sink *out;
	guint8 last;
};

void line_ends_init(struct line_ends *line_ends, struct sink *out);

#endif
