/*
 * mailaddr - one mail address, normalised for comparison (RFC 5321 4.1.2, RFC 6531).
 *
 * The domain is compared in A-label form and lower case; the local part is folded too unless
 * the setting local_part_case says otherwise. Quoting that is not needed is dropped:
 * "bob"@x equals bob@x. No display names, no routes: a header parser cuts those off before.
 * Immutable and shared. Threads: any.
 */
#ifndef STORE_BASE_MAILADDR_H
#define STORE_BASE_MAILADDR_H

#include <glib.h>

#include "store/base/cleanup.h"

#define MAILADDR_MAX_BYTES 1000

enum mailaddr_case { MAILADDR_FOLD_LOCAL, MAILADDR_EXACT_LOCAL };

struct mailaddr;

/* Of the whole process; set once at start from the setting. The default folds. */
void mailaddr_set_case(enum mailaddr_case mode);

/* Takes "user@domain" or "<user@domain>". NULL with *error when it is none. */
struct mailaddr *mailaddr_parse(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct mailaddr *mailaddr_ref(struct mailaddr *address);
void mailaddr_unref(struct mailaddr *address); /* NULL is fine */

const char *mailaddr_text(const struct mailaddr *address);   /* as written, without brackets */
const char *mailaddr_key(const struct mailaddr *address);    /* normalised "user@domain" */
const char *mailaddr_local(const struct mailaddr *address);  /* normalised */
const char *mailaddr_domain(const struct mailaddr *address); /* A-labels, lower case */
gboolean mailaddr_equal(const struct mailaddr *a, const struct mailaddr *b);
/* The key without "+tag" before the @ ("user+tag@d" gives "user@d"), NULL when there is none. */
char *mailaddr_key_without_tag(const struct mailaddr *address, char delimiter);
/* Lower-case A-label form of a domain; NULL with *error when it is none. */
char *mailaddr_domain_key(const char *domain, GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(mailaddr, mailaddr_unref)

#endif
