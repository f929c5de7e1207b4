/*
 * nearest - which known name was meant by a mistyped one.
 *
 * Edit distance with transpositions; a name counts as near up to a third of the word's length
 * (at least 1, at most 3). Plain data, no allocation. Threads: any.
 */
#ifndef STORE_BASE_NEAREST_H
#define STORE_BASE_NEAREST_H

#include <glib.h>

struct nearest {
	const char *word;
	const char *found;
	guint distance;
};

struct nearest nearest_start(const char *word);
void nearest_offer(struct nearest *nearest, const char *candidate); /* kept, not copied */
const char *nearest_found(const struct nearest *nearest);           /* NULL: nothing is near */
guint nearest_distance(const char *a, const char *b);

#endif
