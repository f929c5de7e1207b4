/*
 * shown - what a mail program shows as author and date, where it is not what was compared.
 *
 * The signer's address is compared with the mailbox of From; people read the name beside it, and
 * the Date. A name that shows another address, and a Date long after the signature was made, take
 * the verdict its ground. Texts are static. Threads: any.
 */
#ifndef MILTER_MIME_SHOWN_H
#define MILTER_MIME_SHOWN_H

#include "milter/message/headers.h"
#include "store/base/mailaddr.h"

/* NULL: From shows the author's mailbox and no other. Else what else it shows. */
const char *shown_author_doubt(const struct headers *headers, const struct mailaddr *author);
/* The same of one From, which may stand inside of a signature. */
const char *shown_from_doubt(const char *raw_value, const struct mailaddr *author);

/* Seconds UTC of the Date field; CLOCK_NEVER when there is none, or with *why when programs may
 * show different ones. */
gint64 shown_date(const struct headers *headers, const char **why);

#endif
