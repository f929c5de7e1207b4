/*
 * display_text - a legacy display element as text: made, and found again (RFC 9788 sections 4.5.3,
 * 5.2.2 and 5.2.3). Pure.
 *
 * HTML is looked at as a browser does that reads tags, comments, scripts and titles apart, and no
 * more; where that cannot be told, nothing is found.
 */
#ifndef MILTER_MIME_DISPLAY_TEXT_H
#define MILTER_MIME_DISPLAY_TEXT_H

#include <glib.h>

#define DISPLAY_MAX_BYTES (64 * 1024) /* of an element that is taken away */

char *display_subject(const char *subject); /* one line of valid UTF-8 without controls */
char *display_plain(const char *subject);   /* lines of UTF-8, an empty one behind them */
char *display_html(const char *subject);    /* ASCII */

/* Where the content of an HTML page begins: behind <body>, or where one would stand. */
gsize display_html_place(const char *html);
/* The element, if it is the first thing in the page's content. */
gboolean display_html_range(const char *html, gsize *start, gsize *end);
/* Behind the element at the begin of the text; 0: there is none. */
gsize display_plain_end(const char *text);

#endif
