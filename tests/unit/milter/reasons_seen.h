/*
 * reasons_seen - which reasons the tests have produced, for reasons_produced.sh to count.
 *
 * Each test program leaves one file of names in tests/reasons-seen of the build folder.
 */
#ifndef TESTS_UNIT_MILTER_REASONS_SEEN_H
#define TESTS_UNIT_MILTER_REASONS_SEEN_H

#include <glib.h>
#include <glib/gstdio.h>

#include "store/base/reason.h"

static inline void
reasons_seen(enum reason reason)
{
	static gboolean seen[REASON_COUNT];
	const char *top = g_getenv("top_builddir");
	g_autofree char *folder =
	    g_build_filename(top != NULL ? top : ".", "tests", "reasons-seen", NULL);
	g_autofree char *program = g_path_get_basename(g_get_prgname());
	g_autofree char *path = g_build_filename(folder, program, NULL);
	g_autoptr(GString) names = g_string_new(NULL);

	if (seen[reason])
		return;
	seen[reason] = TRUE;
	for (guint i = 0; i < REASON_COUNT; i++) {
		if (seen[i])
			g_string_append_printf(names, "%s\n", reason_name((enum reason)i));
	}
	(void)g_mkdir_with_parents(folder, 0755);
	(void)g_file_set_contents(path, names->str, -1, NULL);
}

#endif
