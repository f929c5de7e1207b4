/*
 * nearest - optimal string alignment over short names.
 */
#include "store/base/nearest.h"

#include <string.h>

#define NAME_MAX_BYTES 48

guint
nearest_distance(const char *a, const char *b)
{
	guint rows[3][NAME_MAX_BYTES + 1];
	gsize n = strlen(a);
	gsize m = strlen(b);

	if (n > NAME_MAX_BYTES || m > NAME_MAX_BYTES)
		return G_MAXUINT;
	for (gsize j = 0; j <= m; j++)
		rows[0][j] = (guint)j;
	for (gsize i = 1; i <= n; i++) {
		guint *now = rows[i % 3];
		const guint *up = rows[(i + 2) % 3];
		const guint *upper = rows[(i + 1) % 3];

		now[0] = (guint)i;
		for (gsize j = 1; j <= m; j++) {
			guint cost = a[i - 1] == b[j - 1] ? 0 : 1;

			now[j] = MIN(MIN(up[j] + 1, now[j - 1] + 1), up[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = MIN(now[j], upper[j - 2] + 1);
		}
	}
	return rows[n % 3][m];
}

struct nearest
nearest_start(const char *word)
{
	return (struct nearest){ word, NULL, G_MAXUINT };
}

void
nearest_offer(struct nearest *nearest, const char *candidate)
{
	guint allowed = CLAMP((guint)strlen(nearest->word) / 3, 1, 3);
	guint distance = nearest_distance(nearest->word, candidate);

	if (distance <= allowed && distance < nearest->distance) {
		nearest->distance = distance;
		nearest->found = candidate;
	}
}

const char *
nearest_found(const struct nearest *nearest)
{
	return nearest->found;
}
