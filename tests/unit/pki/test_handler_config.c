/*
 * Settings of handlers: types, defaults, secrets, files, names with <domain>.
 */
#include "pki/crypto/bundle.h"
#include "pki/handlers/handler.h"
#include "store/handler_settings.h"
#include "tests/unit/pki/pki_fixture.h"

static const struct handler_key keys[] = {
	{ "url", HANDLER_KEY_URL, "", "http|https", TRUE, "Where it is." },
	{ "password", HANDLER_KEY_SECRET, "", "", TRUE, "Its password." },
	{ "mode", HANDLER_KEY_CHOICE, "async", "async|sync", FALSE, "How." },
	{ "days", HANDLER_KEY_INT, "30", "1..90", FALSE, "Days." },
	{ "timeout", HANDLER_KEY_DURATION, "30s", "1s..1h", FALSE, "Patience." },
	{ "chain", HANDLER_KEY_BOOL, "on", "", FALSE, "With its chain?" },
	{ "names", HANDLER_KEY_LIST, "a \"b c\"", "", FALSE, "Names." },
	{ "client_cert", HANDLER_KEY_CERTS, "", "", FALSE, "Certificates." },
	{ "client_key", HANDLER_KEY_PRIVATE, "", "", FALSE, "Its key." },
	{ "per.<domain>.id", HANDLER_KEY_TEXT, "all", "", FALSE, "Of a domain." },
	{ .name = NULL },
};
static const struct handler fake = { .name = "fake", .keys = keys };

struct setting {
	struct fixture *f;
	const char *name;
	struct secret *value, *password;
};

static gboolean
set_tx(struct tx *tx, gpointer data, GError **error)
{
	const struct setting *setting = data;

	return handler_config_set(tx, setting->f->keyring, &fake, NULL, setting->name,
				  setting->value, setting->password, error);
}

static gboolean
set(struct fixture *f, const char *name, const char *text, GError **error)
{
	CLEANUP(secret) struct secret *value = text != NULL ? secret_new_text(text) : NULL;
	struct setting setting = { f, name, value, NULL };

	return db_transaction(f->db, set_tx, &setting, error);
}

static struct handler_config *
load(struct fixture *f)
{
	g_autoptr(GError) error = NULL;
	struct handler_config *config = handler_config_load(f->db, f->keyring, &fake, NULL, &error);

	g_assert_no_error(error);
	return config;
}

static void
test_defaults(void)
{
	struct fixture f = { 0 };

	if (!fixture_up(&f))
		return;
	CLEANUP(handler_config) struct handler_config *config = load(&f);
	g_assert_cmpstr(handler_config_name(config), ==, "default");
	g_assert_cmpstr(handler_config_text(config, "url"), ==, "");
	g_assert_cmpstr(handler_config_text(config, "mode"), ==, "async");
	g_assert_cmpint(handler_config_int(config, "days"), ==, 30);
	g_assert_cmpint(handler_config_seconds(config, "timeout"), ==, 30);
	g_assert_true(handler_config_bool(config, "chain"));
	g_assert_cmpstr(handler_config_list(config, "names")[1], ==, "b c");
	g_assert_null(handler_config_secret(config, "password"));
	g_assert_null(handler_config_certs(config, "client_cert"));
	g_assert_null(handler_config_key(config, "client_key"));
	g_assert_cmpstr(handler_config_text(config, "per.example.org.id"), ==, "all");
	g_assert_cmpint(handler_config_int(config, "parallel"), ==, 2);
	g_autofree char *lacks = handler_config_lacks(config);
	g_assert_cmpstr(lacks, ==, "url is not set: postseal handler config fake url VALUE");
	fixture_down(&f);
}

static const struct {
	const char *name, *value, *refusal; /* NULL: taken */
} values[] = {
	{ "url", "https://ca.example/", NULL },
	{ "url", "ldap://ca.example/", "http" },
	{ "url", "", "must not be empty" },
	{ "mode", "sync", NULL },
	{ "mode", "other", "async|sync" },
	{ "days", "90", NULL },
	{ "days", "91", "1..90" },
	{ "days", "-1", "a number" },
	{ "timeout", "1h", NULL },
	{ "timeout", "2h", "1s..1h" },
	{ "timeout", "5", "a duration" },
	{ "chain", "off", NULL },
	{ "chain", "maybe", "on or off" },
	{ "names", "x 'y z'", NULL },
	{ "names", "'x", "in quotes" },
	{ "per.example.org.id", "7", NULL },
	{ "per.<domain>.id", "7", "in the place of" },
	{ "per.a/b.id", "7", "no setting" },
	{ "dyas", "3", "did you mean 'days'" },
	{ "client_key", "nonsense", "file" },
	{ "mode", "a\nb", "async|sync" },
	{ "parallel", "17", "1..16" },
};

static void
test_values(void)
{
	struct fixture f = { 0 };

	if (!fixture_up(&f))
		return;
	for (gsize i = 0; i < G_N_ELEMENTS(values); i++) {
		g_autoptr(GError) error = NULL;
		gboolean good = set(&f, values[i].name, values[i].value, &error);

		if (values[i].refusal == NULL) {
			g_assert_no_error(error);
			g_assert_true(good);
			continue;
		}
		g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
		if (strstr(error->message, values[i].refusal) == NULL)
			g_error("%s: %s", values[i].name, error->message);
	}
	CLEANUP(handler_config) struct handler_config *config = load(&f);
	g_assert_cmpstr(handler_config_text(config, "mode"), ==, "sync");
	g_assert_cmpint(handler_config_int(config, "days"), ==, 90);
	g_assert_cmpint(handler_config_seconds(config, "timeout"), ==, 3600);
	g_assert_false(handler_config_bool(config, "chain"));
	g_assert_cmpstr(handler_config_list(config, "names")[1], ==, "y z");
	g_assert_cmpstr(handler_config_text(config, "per.example.org.id"), ==, "7");
	g_assert_cmpstr(handler_config_text(config, "per.example.net.id"), ==, "all");
	fixture_down(&f);
}

static void
test_secret(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	g_assert_true(set(&f, "password", "hush-hush", &error));
	g_assert_true(set(&f, "url", "https://ca.example/", &error));
	CLEANUP(handler_config) struct handler_config *config = load(&f);
	g_assert_cmpstr(secret_text(handler_config_secret(config, "password")), ==, "hush-hush");
	char echo[] = "no hush-hush for hush-hushhush-hush";
	handler_config_hide(config, echo);
	g_assert_cmpstr(echo, ==, "no ********* for ******************");
	handler_config_hide(config, NULL);
	g_assert_cmpstr(handler_config_text(config, "password"), ==, "");
	g_assert_null(handler_config_lacks(config));
	g_autoptr(GPtrArray) rows = handler_settings_load(f.db, "fake", "default", &error);
	const struct handler_setting_row *row = g_ptr_array_index(rows, 0);
	g_assert_cmpstr(row->name, ==, "password");
	g_assert_null(row->value);
	g_assert_nonnull(row->sealed);
	g_assert_true(set(&f, "password", NULL, &error));
	CLEANUP(handler_config) struct handler_config *without = load(&f);
	g_assert_null(handler_config_secret(without, "password"));
	fixture_down(&f);
}

static void
test_files(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	CLEANUP(key)
	struct key *key = keyring_find(f.keyring, cert_spki_sha256(ca.intermediate), &error);
	const struct pkcs12_entry entry = { ca.intermediate, key, NULL };
	CLEANUP(secret) struct secret *password = secret_new_text("letmein42");
	g_autoptr(GBytes) file =
	    bundle_write_pkcs12(&entry, 1, NULL, password, PKCS12_MODERN, &error);
	g_assert_no_error(error);
	CLEANUP(secret)
	struct secret *value = secret_new(g_bytes_get_data(file, NULL), g_bytes_get_size(file));
	struct setting setting = { &f, "client_key", value, NULL };
	g_assert_false(db_transaction(f.db, set_tx, &setting, &error));
	g_assert_nonnull(strstr(error->message, "password"));
	g_clear_error(&error);
	setting.password = password;
	g_assert_true(db_transaction(f.db, set_tx, &setting, &error));
	setting.name = "client_cert";
	g_assert_true(db_transaction(f.db, set_tx, &setting, &error));
	CLEANUP(handler_config) struct handler_config *config = load(&f);
	g_assert_cmpstr(key_spki_sha256(handler_config_key(config, "client_key")), ==,
			cert_spki_sha256(ca.intermediate));
	GPtrArray *certs = handler_config_certs(config, "client_cert");
	g_assert_cmpuint(certs->len, ==, 1);
	g_assert_cmpstr(cert_thumbprint(g_ptr_array_index(certs, 0)), ==,
			cert_thumbprint(ca.intermediate));
	ca_created_clear(&ca);
	fixture_down(&f);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/handler_config/defaults", test_defaults);
	g_test_add_func("/handler_config/values", test_values);
	g_test_add_func("/handler_config/secret", test_secret);
	g_test_add_func("/handler_config/files", test_files);
	pg = scratch_pg_start();
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
