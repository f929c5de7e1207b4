/* postconf - see postconf.h. */
#include "admin/api/postconf.h"

#include <gio/gio.h>
#include <string.h>

#include "store/base/error.h"

static char *
postconf_run(const char *folder, const char *what, GError **error)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new();
	g_autofree char *out = NULL;

	g_ptr_array_add(words, (gpointer) "postconf");
	if (folder != NULL) {
		g_ptr_array_add(words, (gpointer) "-c");
		g_ptr_array_add(words, (gpointer)folder);
	}
	if (what != NULL)
		g_ptr_array_add(words, (gpointer)what);
	g_ptr_array_add(words, NULL);
	g_autoptr(GSubprocess) child = g_subprocess_newv(
	    (const char *const *)words->pdata,
	    G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, error);
	if (child == NULL || !g_subprocess_communicate_utf8(child, NULL, NULL, &out, NULL, error))
		return NULL;
	if (!g_subprocess_get_successful(child))
		return fail(error, PS_ERROR_TEMPORARY, "postconf failed");
	return g_steal_pointer(&out);
}

/* "name = value" lines. */
static GHashTable *
pairs(const char *text)
{
	GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (char **line = lines; *line != NULL; line++) {
		char *equals = strstr(*line, " =");

		if (equals == NULL)
			continue;
		*equals = '\0';
		g_hash_table_replace(table, g_strdup(*line), g_strstrip(g_strdup(equals + 2)));
	}
	return table;
}

static void
service_free(gpointer data)
{
	struct postconf_service *service = data;

	g_free(service->name);
	g_free(service->address);
	g_free(service->kind);
	g_free(service->command);
	g_free(service);
}

/* Fields of master(5): name, type, private, unpriv, chroot, wakeup, maxproc, command. */
static GPtrArray *
services(const char *text)
{
	GPtrArray *found = g_ptr_array_new_with_free_func(service_free);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (char **line = lines; *line != NULL; line++) {
		g_auto(GStrv) raw = g_strsplit_set(*line, " \t", -1);
		const char *fields[8] = { NULL };
		struct postconf_service *service;
		gsize count = 0;

		for (char **field = raw; *field != NULL && count < 8; field++)
			if (**field != '\0')
				fields[count++] = *field;
		if (count < 8 || **line == ' ' || **line == '\t')
			continue;
		service = g_new0(struct postconf_service, 1);
		service->name = g_strconcat(fields[0], "/", fields[1], NULL);
		service->address = g_strdup(fields[0]);
		service->kind = g_strdup(fields[1]);
		service->command = g_strdup(fields[7]);
		/* "-" is default_process_limit, 0 no limit */
		service->processes =
		    strcmp(fields[6], "-") == 0 ? -1 : (gint)g_ascii_strtoll(fields[6], NULL, 10);
		g_ptr_array_add(found, service);
	}
	return found;
}

gboolean
postconf_listens(const struct postconf_service *service)
{
	return strcmp(service->command, "smtpd") == 0 &&
	       (strcmp(service->kind, "inet") == 0 || strcmp(service->kind, "unix") == 0 ||
		strcmp(service->kind, "pass") == 0);
}

struct postconf *
postconf_read(const char *folder, GError **error)
{
	g_autofree char *all = postconf_run(folder, NULL, error);
	g_autofree char *master = all != NULL ? postconf_run(folder, "-M", error) : NULL;
	g_autofree char *overrides = master != NULL ? postconf_run(folder, "-P", error) : NULL;
	struct postconf *postconf;

	if (overrides == NULL)
		return NULL;
	postconf = g_new0(struct postconf, 1);
	postconf->parameters = pairs(all);
	postconf->services = services(master);
	postconf->overrides = pairs(overrides);
	return postconf;
}

void
postconf_free(struct postconf *postconf)
{
	if (postconf == NULL)
		return;
	g_hash_table_unref(postconf->parameters);
	g_hash_table_unref(postconf->overrides);
	g_ptr_array_unref(postconf->services);
	g_free(postconf);
}

/* $name in a value stands for another parameter; once is enough for what people write. */
static char *
expand(const struct postconf *postconf, const char *value)
{
	GString *out = g_string_new(NULL);

	for (const char *p = value; *p != '\0';) {
		gsize n;

		if (*p != '$') {
			g_string_append_c(out, *p++);
			continue;
		}
		gboolean braced = p[1] == '{';
		const char *name = p + (braced ? 2 : 1);
		n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
		g_autofree char *key = g_strndup(name, n);
		const char *other = g_hash_table_lookup(postconf->parameters, key);
		g_string_append(out, other != NULL ? other : "");
		p = name + n + (braced && name[n] == '}' ? 1 : 0);
	}
	return g_string_free(out, FALSE);
}

char *
postconf_parameter(const struct postconf *postconf, const char *name)
{
	const char *value = g_hash_table_lookup(postconf->parameters, name);

	return expand(postconf, value != NULL ? value : "");
}

/* As a service has it: its own -o, else main.cf's. */
char *
postconf_service_parameter(const struct postconf *postconf, const char *service, const char *name)
{
	g_autofree char *key = g_strconcat(service, "/", name, NULL);
	const char *own = g_hash_table_lookup(postconf->overrides, key);

	return own != NULL ? expand(postconf, own) : postconf_parameter(postconf, name);
}

gint64
postconf_seconds(const char *value)
{
	char *end;
	gint64 number = g_ascii_strtoll(value, &end, 10);

	switch (*end) {
	case 'w':
		return number * 7 * 86400;
	case 'd':
		return number * 86400;
	case 'h':
		return number * 3600;
	case 'm':
		return number * 60;
	default:
		return number;
	}
}
