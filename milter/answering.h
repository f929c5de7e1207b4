/*
 * answering - is this message an answer to one that we decrypted? (preference reply_encrypt)
 *
 * A message that was decrypted for a recipient is remembered by a digest: HMAC-SHA-256, under a
 * key derived from the master key, over the recipient and the Message-ID. An answer names it in
 * In-Reply-To or References; its author is who was the recipient. Threads: any.
 */
#ifndef MILTER_ANSWERING_H
#define MILTER_ANSWERING_H

#include <glib.h>

#include "milter/policy/facts.h"

struct gateway;
struct headers;

/* The digest by which a message will be known; NULL: it has no Message-ID, or *error. recipients:
 * mailaddr_key. GBytes. */
GPtrArray *answering_digests(struct gateway *gateway, const struct headers *headers,
			     const char *const *recipient_keys, gsize n,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Who answers, by any of these names (mailaddr_key)? ABLE_UNKNOWN: the store could not be asked.
 * One query, and none where nothing is answered. */
enum able answering_find(struct gateway *gateway, const struct headers *headers,
			 const char *const *author_keys, gsize n);

#endif
