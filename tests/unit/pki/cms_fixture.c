#include "tests/unit/pki/cms_fixture.h"

#include <glib/gstdio.h>
#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/key.h"
#include "store/base/secret.h"

static struct identity identities[16];
static guint n_identities;
static char *folder;

GBytes *
fixture_read(const char *path)
{
	g_autofree char *text = NULL;
	char *start, *end;
	guchar *der;
	gsize length;

	if (!g_file_get_contents(path, &text, &length, NULL))
		return NULL;
	start = strstr(text, "-----BEGIN");
	if (start == NULL)
		return g_bytes_new_take(g_steal_pointer(&text), length);
	start = strchr(start, '\n');
	end = start == NULL ? NULL : strstr(start, "-----END");
	if (end == NULL)
		return NULL;
	*end = '\0';
	der = g_base64_decode(start, &length);
	return g_bytes_new_take(der, length);
}

struct cert *
fixture_cert_read(const char *path)
{
	g_autoptr(GBytes) der = fixture_read(path);

	return der == NULL ? NULL : cert_parse(der, NULL);
}

struct key *
fixture_key_read(const char *path)
{
	g_autoptr(GBytes) der = fixture_read(path);
	CLEANUP(secret) struct secret *secret = NULL;

	if (der == NULL)
		return NULL;
	secret = secret_new(g_bytes_get_data(der, NULL), g_bytes_get_size(der));
	return key_parse_pkcs8(secret, NULL);
}

static char *
vector_path(const char *name, const char *suffix)
{
	const char *top = g_getenv("top_srcdir");
	g_autofree char *file = g_strconcat(name, suffix, NULL);

	return g_build_filename(top == NULL ? "." : top, "tests", "vectors", "cms", file, NULL);
}

const struct identity *
fixture_identity(const char *name)
{
	struct identity *identity;

	for (guint i = 0; i < n_identities; i++)
		if (strcmp(identities[i].name, name) == 0)
			return &identities[i];
	g_assert_cmpuint(n_identities, <, G_N_ELEMENTS(identities));
	identity = &identities[n_identities++];
	identity->name = name;
	identity->cert_path = vector_path(name, ".crt.pem");
	identity->key_path = vector_path(name, ".key.pem");
	identity->cert = fixture_cert_read(identity->cert_path);
	identity->key = fixture_key_read(identity->key_path);
	g_assert_nonnull(identity->cert);
	g_assert_nonnull(identity->key);
	return identity;
}

const char *
fixture_folder(void)
{
	if (folder == NULL)
		folder = g_dir_make_tmp("postseal-cms-XXXXXX", NULL);
	g_assert_nonnull(folder);
	return folder;
}

char *
fixture_path(const char *name)
{
	return g_build_filename(fixture_folder(), name, NULL);
}

char *
fixture_write(const char *name, gconstpointer bytes, gsize length)
{
	char *path = fixture_path(name);

	g_assert_true(g_file_set_contents(path, bytes, (gssize)length, NULL));
	return path;
}

char *
fixture_data(const char *name)
{
	const char *data = g_getenv("PS_DATA");
	const char *top = g_getenv("top_srcdir");
	char *path = data != NULL ? g_build_filename(data, name, NULL)
				  : g_build_filename(top == NULL ? "." : top, "..", "shared",
						     "data", name, NULL);

	if (g_file_test(path, G_FILE_TEST_IS_DIR))
		return path;
	g_free(path);
	return NULL;
}

int
fixture_openssl(const char *first, ...)
{
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	g_autofree char *program = g_find_program_in_path("openssl");
	va_list more;
	int status = -1;

	if (program == NULL)
		return -1;
	g_ptr_array_add(argv, program);
	va_start(more, first);
	for (const char *arg = first; arg != NULL; arg = va_arg(more, const char *))
		g_ptr_array_add(argv, (gpointer)arg);
	va_end(more);
	g_ptr_array_add(argv, NULL);
	if (!g_spawn_sync(NULL, (char **)argv->pdata, NULL,
			  G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, NULL,
			  NULL, &status, NULL))
		return -1;
	return g_spawn_check_wait_status(status, NULL) ? 0 : 1;
}

gboolean
fixture_has_openssl(void)
{
	g_autofree char *program = g_find_program_in_path("openssl");

	return program != NULL;
}

void
fixture_clear(void)
{
	for (guint i = 0; i < n_identities; i++) {
		cert_unref(identities[i].cert);
		key_unref(identities[i].key);
		g_free(identities[i].cert_path);
		g_free(identities[i].key_path);
	}
	n_identities = 0;
	if (folder != NULL) {
		g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
		const char *name;

		while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
			g_autofree char *path = fixture_path(name);

			g_remove(path);
		}
		g_rmdir(folder);
	}
	g_clear_pointer(&folder, g_free);
}

GBytes *
fixture_content(gsize length)
{
	static const char start[] = "Content-Type: text/plain\r\n\r\n";
	GString *text = g_string_sized_new(length + 80);

	g_string_append(text, start);
	for (guint line = 0; text->len < length; line++)
		g_string_append_printf(text, "line %u of a mail that says nothing much\r\n", line);
	g_string_truncate(text, length);
	return g_string_free_to_bytes(text);
}
