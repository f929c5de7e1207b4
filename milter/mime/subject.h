/*
 * subject - trigger words and tags in the Subject.
 *
 * The field is decoded (RFC 2047, also damaged and adjacent words) and matched in a normal form:
 * NFKC, no default-ignorable, bidi and control characters, blanks collapsed, without case.
 * What matches is cut from the decoded text and the field written anew; a field without a match
 * is never touched. Raw values have their leading blank and LF folds.
 */
#ifndef MILTER_MIME_SUBJECT_H
#define MILTER_MIME_SUBJECT_H

#include <glib.h>

#include "store/base/cleanup.h"

#define SUBJECT_MATCH_MAX_BYTES 8192 /* of the decoded text; what is behind is not matched */

struct words; /* compiled once, shared: any thread */

struct words *words_new(void);
struct words *words_ref(struct words *words);
void words_unref(struct words *words);
/* PS_ERROR_INVALID: not a regular expression, or one that matches the empty text. */
gboolean words_add_regex(struct words *words, const char *regex,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A literal tag; "%" stands for any text without brackets ("[signed by: %]"). */
gboolean words_add_text(struct words *words, const char *text,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean words_empty(const struct words *words);

char *subject_decode(const char *raw_value);  /* valid UTF-8, one line */
char *subject_normalise(const char *decoded); /* the form that is matched */
enum subject_match {
	SUBJECT_MATCH_NO,
	SUBJECT_MATCH_YES,
	SUBJECT_MATCH_UNKNOWN, /* none matches, and one gave up at a limit of the matcher */
};

enum subject_match subject_match(const char *raw_value, const struct words *words);
/* The value without what matches, folded before column 78; NULL when nothing matches. */
char *subject_cut(const char *raw_value, const struct words *words) G_GNUC_WARN_UNUSED_RESULT;
/* The value with text and a blank in front. raw_value may be NULL. */
char *subject_tagged(const char *raw_value, const char *text) G_GNUC_WARN_UNUSED_RESULT;
/* UTF-8 text as a raw value: encoded words where needed, folded before column 78. */
char *subject_encode(const char *text) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(words, words_unref)

#endif
