/*
 * protected - the header fields that a signature or an encryption covers (RFC 9788, and the two
 * schemes before it).
 *
 * Values count only where somebody covers them: a payload that claims protection without has none.
 * Who signed, and whether he may speak for From, is the verdict's. What was hidden on the way is
 * judged by what the payload says (HP-Outer) and by what was seen outside: a lie in either cannot
 * make a field look hidden that was not. Raw values have their leading blank and LF folds.
 * Immutable. Threads: any.
 */
#ifndef MILTER_MIME_PROTECTED_H
#define MILTER_MIME_PROTECTED_H

#include "milter/message/edits.h"
#include "milter/mime/entity.h"
#include "milter/mime/scan.h"

struct mailaddr;
struct words;

enum protected_scheme {
	PROTECTED_HP,      /* RFC 9788: hp= of the payload's Content-Type */
	PROTECTED_V1,      /* protected-headers="v1" */
	PROTECTED_WRAPPED, /* RFC 8551 section 3.1: a whole message/rfc822 */
};

enum protected_state {
	PROTECTED_SIGNED,
	PROTECTED_ENCRYPTED, /* hidden on the way, but nobody signed it */
	PROTECTED_BOTH,
	PROTECTED_NEITHER, /* inside of an encryption, but it was seen outside as well */
};

struct protected_field {
	char *name;
	char *value;
	enum protected_state state;
	gboolean same_outside; /* the message's own header has the same field, same value */
};

struct protected_fields {
	gint refs;
	enum protected_scheme scheme;
	gboolean cipher; /* the author meant it to be encrypted; guessed for the older schemes */
	gboolean by_signature;
	gboolean by_encryption;
	gboolean ambiguous; /* a field that may be there once is there several times */
	GPtrArray *fields;  /* struct protected_field *, in their order */
};

/*
 * payload is what is inside of all layers that could be opened, outer the fields of the message
 * as it came. by_signature: a signature that is mathematically good covers all of the payload;
 * by_encryption: it came out of an encryption. NULL: no fields are protected.
 */
struct protected_fields *protected_read(const struct mime_tree *payload,
					const struct headers *outer, gboolean by_signature,
					gboolean by_encryption);
struct protected_fields *protected_ref(struct protected_fields *inside);
void protected_unref(struct protected_fields *inside); /* NULL is fine */

/* NULL: not there, or several. */
const struct protected_field *protected_find(const struct protected_fields *inside,
					     const char *name);
/* A protected From, if there is any, that is not exactly the mailbox of the outer one: then the
 * verdict must not be better than the outer one deserves. outer NULL: there is no author. */
gboolean protected_author_differs(const struct protected_fields *inside,
				  const struct mailaddr *outer);
/*
 * For a message that is delivered decrypted: the outer fields become what the author wrote, for
 * Subject and the others that a policy may hide; never From, Sender and what others go by. words,
 * or NULL, are cut from the Subject (tags and triggers that nobody may send us). TRUE: something
 * was changed. Changes made before to the same fields are replaced.
 */
gboolean protected_show(const struct protected_fields *inside, const struct headers *outer,
			const struct words *words, struct edits *edits);
/*
 * For content that is delivered decrypted, or without its signature: *shown is what a mail program
 * that knows nothing of all this should show: without the legacy display element, or out of its
 * wrapping, and without the claim, which would protect nothing there. Of its fields only Content-*
 * are for the delivered message. What is still signed is not changed. NULL: as it is.
 */
gboolean protected_content(const struct protected_fields *inside, const struct entity *content,
			   struct spool_area *area, struct entity **shown,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

const char *protected_scheme_name(enum protected_scheme scheme); /* "hp", "protected-headers" ... */
const char *protected_state_name(enum protected_state state);    /* "signed" ... */

DEFINE_CLEANUP(protected_fields, protected_unref)

#endif
