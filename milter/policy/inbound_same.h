/*
 * inbound_same - do two readings of one message show and tell the same?
 *
 * Recipients with keys of their own open the same content; then they share a copy. Threads: any.
 */
#ifndef MILTER_POLICY_INBOUND_SAME_H
#define MILTER_POLICY_INBOUND_SAME_H

#include "milter/reading.h"

gboolean inbound_same(const struct reading *a, const struct reading *b);
/* Has it parts that a mail program shows as HTML? *error where it could not be read. */
gboolean inbound_has_html(const struct entity *entity, GError **error);

#endif
