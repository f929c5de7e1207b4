/*
 * mime_sample - messages out of text, for the tests of milter/mime.
 */
#ifndef TESTS_UNIT_MILTER_MIME_SAMPLE_H
#define TESTS_UNIT_MILTER_MIME_SAMPLE_H

#include <glib.h>
#include <string.h>

#include "milter/mime/scan.h"

struct sample {
	struct spool *spool;
	struct headers *headers;
	guint64 body;
	struct mime_tree *tree;
};

static inline void
sample_init(struct sample *sample, struct spool_area *area, const void *text, gsize length)
{
	GError *error = NULL;

	sample->spool = spool_from_bytes(area, text, length, &error);
	g_assert_no_error(error);
	sample->headers = headers_parse(sample->spool, 0, length, &sample->body, &error);
	g_assert_no_error(error);
	sample->tree = scan_message(sample->headers, sample->spool, sample->body, length, &error);
	g_assert_no_error(error);
}

static inline void
sample_clear(struct sample *sample)
{
	mime_tree_free(sample->tree);
	headers_unref(sample->headers);
	spool_unref(sample->spool);
}

static inline char *
spool_text(struct spool *spool, gsize *length)
{
	GError *error = NULL;
	g_autoptr(GBytes) bytes = spool_bytes(spool, 0, spool_size(spool), 200000000, &error);
	gsize size;
	const void *data;
	char *text;

	g_assert_no_error(error);
	data = g_bytes_get_data(bytes, &size);
	text = g_malloc(size + 1);
	memcpy(text, data, size);
	text[size] = '\0';
	if (length != NULL)
		*length = size;
	return text;
}

#endif
