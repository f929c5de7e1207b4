/* holder - see holder.h. */
#include "store/base/holder.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIELDS_BEFORE_START 19 /* behind the command's name: proc(5), field 22 */

/* When a process began, in ticks since the boot; NULL: it is not told. *over: it is a zombie, which
 * holds nothing any more. */
static char *
start_of(gint64 pid, gboolean *over)
{
	g_autofree char *path = g_strdup_printf("/proc/%" G_GINT64_FORMAT "/stat", pid);
	g_autofree char *text = NULL;

	*over = FALSE;
	if (!g_file_get_contents(path, &text, NULL, NULL))
		return NULL;
	/* The name may hold anything, and ends at the last bracket. */
	const char *at = strrchr(text, ')');
	g_auto(GStrv) fields = at != NULL ? g_strsplit(at + 1, " ", FIELDS_BEFORE_START + 3) : NULL;
	if (fields == NULL || g_strv_length(fields) <= FIELDS_BEFORE_START + 1)
		return NULL;
	*over = strcmp(fields[1], "Z") == 0 || strcmp(fields[1], "X") == 0;
	return g_strdup(fields[FIELDS_BEFORE_START + 1]);
}

/* Boot and process namespace: where a process id means the same. NULL: not known. */
static char *
place_here(void)
{
	g_autofree char *boot = NULL;
	struct stat namespace;

	if (!g_file_get_contents("/proc/sys/kernel/random/boot_id", &boot, NULL, NULL) ||
	    stat("/proc/self/ns/pid", &namespace) != 0)
		return NULL;
	return g_strdup_printf("%.8s-%lu", boot, (gulong) namespace.st_ino);
}

static char *
make_name(void)
{
	g_autofree char *place = place_here();
	gboolean over;
	g_autofree char *start = start_of(getpid(), &over);

	if (place == NULL || start == NULL)
		return g_strdup_printf("%s/%d", g_get_host_name(), (int)getpid());
	return g_strdup_printf("%s/%d/%s-%s", g_get_host_name(), (int)getpid(), place, start);
}

const char *
holder_name(void)
{
	static char *name;

	if (g_once_init_enter(&name))
		g_once_init_leave(&name, make_name());
	return name;
}

gboolean
holder_is_dead(const char *name)
{
	g_autofree char *place = place_here();
	g_auto(GStrv) parts = g_strsplit(name, "/", 3);
	gboolean over;
	gint64 pid;

	if (place == NULL || g_strv_length(parts) != 3 || !g_str_has_prefix(parts[2], place) ||
	    parts[2][strlen(place)] != '-' ||
	    !g_ascii_string_to_signed(parts[1], 10, 1, G_MAXINT32, &pid, NULL))
		return FALSE;
	g_autofree char *start = start_of(pid, &over);
	if (start != NULL)
		return over || strcmp(start, parts[2] + strlen(place) + 1) != 0;
	/* Processes of others can be hidden: then it is there, all the same. */
	return kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

GStrv
holder_dead_among(const char *const *names)
{
	g_autoptr(GPtrArray) dead = g_ptr_array_new();

	for (; *names != NULL; names++)
		if (holder_is_dead(*names))
			g_ptr_array_add(dead, g_strdup(*names));
	g_ptr_array_add(dead, NULL);
	return (GStrv)g_ptr_array_free(g_steal_pointer(&dead), FALSE);
}
