/*
 * spool_stream - a range of a spool as a GMime stream, for reading and seeking.
 */
#ifndef MILTER_MIME_SPOOL_STREAM_H
#define MILTER_MIME_SPOOL_STREAM_H

#include <gmime/gmime.h>

#include "milter/message/spool.h"

/* Keeps the spool; g_object_unref. */
GMimeStream *spool_stream_new(struct spool *sealed);

#endif
