/*
 * encoded_word - decodes unstructured header text (RFC 2047) as a lenient reader shows it.
 *
 * Words are found wherever they stand; octets of adjacent words in one charset are joined before
 * they are converted, so that a character may be split. What cannot be converted becomes U+FFFD,
 * never nothing: text that is hidden from us could be shown by others.
 */
#ifndef MILTER_MIME_ENCODED_WORD_H
#define MILTER_MIME_ENCODED_WORD_H

#include <glib.h>

char *encoded_words_decode(const char *text); /* valid UTF-8 */

#endif
