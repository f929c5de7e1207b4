/*
 * settings: what a line may say, what is refused and in which words.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "store/base/error.h"
#include "store/config/settings.h"

struct bad_row {
	const char *name;
	const char *text;
	const char *message;
};

static const struct bad_row bad_rows[] = {
	{ "unknown name: the nearest is offered", "databse = x\n",
	  "t.conf:1: unknown setting 'databse', did you mean 'database'?" },
	{ "unknown name far from all: nothing is offered", "zzzzzzzzqqqq = 1\n",
	  "t.conf:1: unknown setting 'zzzzzzzzqqqq'" },
	{ "the line is counted", "# one\n\nlog_level = info\nlog_levle = info\n",
	  "t.conf:4: unknown setting 'log_levle', did you mean 'log_level'?" },
	{ "no equals sign", "database embedded\n",
	  "t.conf:1: 'database embedded' is not 'name = value'" },
	{ "nothing before the equals sign", "= x\n", "t.conf:1: '= x' is not 'name = value'" },
	{ "set twice", "log_level = info\nlog_level = debug\n",
	  "t.conf:2: log_level is set twice" },
	{ "number out of range", "database_pool = 91\n",
	  "t.conf:1: database_pool must be from 1 to 90, not '91'" },
	{ "number below range", "database_pool = 0\n",
	  "t.conf:1: database_pool must be from 1 to 90, not '0'" },
	{ "no number", "database_pool = many\n",
	  "t.conf:1: database_pool must be a number, not 'many'" },
	{ "negative number", "database_pool = -1\n",
	  "t.conf:1: database_pool must be a number, not '-1'" },
	{ "number with a unit", "database_pool = 8K\n",
	  "t.conf:1: database_pool must be a number, not '8K'" },
	{ "number past 64 bits", "spool_max = 99999999999999999999\n",
	  "t.conf:1: spool_max must be a size such as 512K, 100M or 1G, not "
	  "'99999999999999999999'" },
	{ "unit past 64 bits", "spool_max = 9999999999T\n",
	  "t.conf:1: spool_max must be a size such as 512K, 100M or 1G, not '9999999999T'" },
	{ "duration without a unit", "cache_grace = 300\n",
	  "t.conf:1: cache_grace must be a duration such as 30s, 5m, 6h or 400d, not '300'" },
	{ "duration with a size's unit", "cache_grace = 5M\n",
	  "t.conf:1: cache_grace must be a duration such as 30s, 5m, 6h or 400d, not '5M'" },
	{ "duration out of range", "cache_grace = 2h\n",
	  "t.conf:1: cache_grace must be from 0s to 1h, not '2h'" },
	{ "choice", "log_level = loud\n",
	  "t.conf:1: log_level must be one of error, warning, info, debug, not 'loud'" },
	{ "empty choice", "log_level =\n",
	  "t.conf:1: log_level must be one of error, warning, info, debug, not ''" },
	{ "switch", "sign_bounces = maybe\n",
	  "t.conf:1: sign_bounces must be on or off, not 'maybe'" },
	{ "relative path", "state_dir = var\n",
	  "t.conf:1: state_dir must be an absolute path, not 'var'" },
	{ "bytes that are no text", "log_level = \xff\n", "t.conf:1: line is not UTF-8 text" },
	{ "escape sequences are shown harmless", "log\x1b[2J = x\n",
	  "t.conf:1: unknown setting 'log\\x1b[2J'" },
};

static void
test_bad(gconstpointer data)
{
	const struct bad_row *row = data;
	g_autoptr(GError) error = NULL;
	CLEANUP(settings)
	struct settings *settings = settings_parse(row->text, strlen(row->text), "t.conf", &error);

	g_assert_null(settings);
	g_assert_nonnull(error);
	g_assert_true(error->domain == PS_ERROR);
	g_assert_cmpstr(error->message, ==, row->message);
}

struct good_row {
	const char *name;
	const char *text;
	const char *setting;
	const char *value;
};

static const struct good_row good_rows[] = {
	{ "nothing set: the default", "", "database", "embedded" },
	{ "value with equals signs", "database = host=a dbname=b\n", "database",
	  "host=a dbname=b" },
	{ "no blanks", "database_pool=3\n", "database_pool", "3" },
	{ "many blanks, CRLF", "  database_pool \t=  3  \r\n", "database_pool", "3" },
	{ "no line end at the end", "database_pool = 3", "database_pool", "3" },
	{ "comment behind a value", "database_pool = 3 # three\n", "database_pool", "3" },
	{ "# inside of a word stays", "authserv_id = a#b\n", "authserv_id", "a#b" },
	{ "empty text", "recipient_delimiter =\n", "recipient_delimiter", "" },
	{ "sizes in the largest whole unit", "spool_max = 2048M\n", "spool_max", "2G" },
	{ "size without a unit is bytes", "spool_memory_max = 5000\n", "spool_memory_max", "5000" },
	{ "durations in the largest whole unit", "cache_grace = 120s\n", "cache_grace", "2m" },
	{ "zero needs no unit", "cache_grace = 0\n", "cache_grace", "0s" },
	{ "yes is on", "sign_bounces = yes\n", "sign_bounces", "on" },
	{ "false is off", "prepared_statements = false\n", "prepared_statements", "off" },
	{ "list with blanks and commas", "trusted_networks = 10.0.0.0/8,  ::1/128 a\n",
	  "trusted_networks", "10.0.0.0/8 ::1/128 a" },
	{ "empty list", "trusted_networks =\n", "trusted_networks", "" },
	{ "bounds are inside", "database_pool = 90\n", "database_pool", "90" },
};

static void
test_good(gconstpointer data)
{
	const struct good_row *row = data;
	g_autoptr(GError) error = NULL;
	CLEANUP(settings)
	struct settings *settings = settings_parse(row->text, strlen(row->text), "t.conf", &error);

	g_assert_no_error(error);
	g_autofree char *value = settings_get(settings, row->setting);
	g_assert_cmpstr(value, ==, row->value);
}

static void
test_members(void)
{
	static const char text[] = "spool_max = 2G\ncache_grace = 90s\ntrusted_networks = a b\n";
	g_autoptr(GError) error = NULL;
	CLEANUP(settings)
	struct settings *settings = settings_parse(text, strlen(text), "t.conf", &error);

	g_assert_no_error(error);
	g_assert_cmpint(settings->spool_max, ==, G_GINT64_CONSTANT(2) << 30);
	g_assert_cmpint(settings->cache_grace, ==, 90);
	g_assert_cmpuint(g_strv_length(settings->trusted_networks), ==, 2);
	g_assert_cmpstr(settings->file, ==, "t.conf");
	g_assert_null(settings_get(settings, "nothing"));
}

/* Every default is inside of its own range and reads back as it is written. */
static void
test_defaults(void)
{
	CLEANUP(settings) struct settings *settings = settings_default();
	gsize count = 0;
	const struct setting_row *rows = setting_rows(&count);

	for (gsize i = 0; i < count; i++) {
		g_autoptr(GError) error = NULL;
		g_autofree char *value = settings_get(settings, rows[i].name);
		if (rows[i].type != SETTING_DURATION && rows[i].type != SETTING_SIZE)
			g_assert_cmpstr(value, ==, rows[i].initial);
		g_assert_true(settings_set(settings, rows[i].name, value, &error));
		g_assert_no_error(error);
		g_assert_cmpuint(strlen(rows[i].sentence), >, 5);
		g_assert_true(g_str_has_suffix(rows[i].sentence, "."));
	}
}

static void
test_file(void)
{
	g_autofree char *folder = g_dir_make_tmp("postseal-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(folder, "postseal.conf", NULL);
	g_autoptr(GError) error = NULL;
	struct settings *settings = settings_load(path, &error);

	g_assert_null(settings);
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	g_assert_nonnull(strstr(error->message, "run 'postseal setup'"));
	g_clear_error(&error);

	g_assert_true(g_file_set_contents(path, "database_pool = 5\n", -1, NULL));
	settings = settings_load(path, &error);
	g_assert_no_error(error);
	g_assert_cmpint(settings->database_pool, ==, 5);
	settings_unref(settings);

	g_autofree char *large = g_strnfill(SETTINGS_FILE_MAX_BYTES + 1, '#');
	g_assert_true(g_file_set_contents(path, large, -1, NULL));
	g_assert_null(settings_load(path, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_unlink(path);
	g_rmdir(folder);
}

static void
test_restart_needed(void)
{
	CLEANUP(settings) struct settings *before = settings_default();
	CLEANUP(settings) struct settings *after = settings_default();
	g_auto(GStrv) none = settings_restart_needed(before, after);

	g_assert_cmpuint(g_strv_length(none), ==, 0);
	g_assert_true(settings_set(after, "log_level", "debug", NULL));
	g_assert_true(settings_set(after, "database_pool", "9", NULL));
	g_auto(GStrv) names = settings_restart_needed(before, after);
	g_assert_cmpuint(g_strv_length(names), ==, 1);
	g_assert_cmpstr(names[0], ==, "database_pool");
}

static void
test_references(void)
{
	struct settings *settings = settings_default();
	struct settings *second = settings_ref(settings);

	settings_unref(settings);
	g_assert_cmpstr(second->database, ==, "embedded");
	settings_unref(second);
	settings_unref(NULL);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(bad_rows); i++) {
		g_autofree char *path = g_strdup_printf("/settings/bad/%s", bad_rows[i].name);
		g_test_add_data_func(path, &bad_rows[i], test_bad);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(good_rows); i++) {
		g_autofree char *path = g_strdup_printf("/settings/good/%s", good_rows[i].name);
		g_test_add_data_func(path, &good_rows[i], test_good);
	}
	g_test_add_func("/settings/members", test_members);
	g_test_add_func("/settings/defaults", test_defaults);
	g_test_add_func("/settings/file", test_file);
	g_test_add_func("/settings/restart-needed", test_restart_needed);
	g_test_add_func("/settings/references", test_references);
	return g_test_run();
}
