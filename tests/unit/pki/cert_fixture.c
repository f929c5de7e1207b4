/*
 * cert_fixture - see the header.
 */
#include "tests/unit/pki/cert_fixture.h"

#include <string.h>

void
node_clear(struct node *node)
{
	cert_unref(node->cert);
	key_unref(node->key);
	node->cert = NULL;
	node->key = NULL;
}

static struct node
make_ca(const struct node *issuer, const char *common_name, int path_length)
{
	g_autoptr(GError) error = NULL;
	struct node node = { .key = key_generate(KEY_KIND_EC, 256, &error) };
	struct issue_spec spec = {
		.names = { .common_name = common_name, .organisation = "Test" },
		.spki = key_spki(node.key),
		.not_before = issuer == NULL ? PKI_NOW - 1000 * PKI_DAY : PKI_NOW - 900 * PKI_DAY,
		.not_after = issuer == NULL ? PKI_NOW + 3000 * PKI_DAY : PKI_NOW + 2000 * PKI_DAY,
		.ca = TRUE,
		.path_length = path_length,
		.key_usage = KEY_USAGE_CERT_SIGN | KEY_USAGE_CRL_SIGN,
	};

	node.cert = issue_cert(&spec, issuer != NULL ? issuer->cert : NULL,
			       issuer != NULL ? issuer->key : node.key, &error);
	g_assert_no_error(error);
	return node;
}

struct node
pki_root(const char *common_name)
{
	return make_ca(NULL, common_name, -1);
}

struct node
pki_intermediate(const struct node *issuer, const char *common_name)
{
	return make_ca(issuer, common_name, -1);
}

static GBytes *
serial_bytes(const char *hex)
{
	guint8 bytes[20];
	gsize length = strlen(hex) / 2;

	for (gsize i = 0; i < length; i++)
		bytes[i] = (guint8)(g_ascii_xdigit_value(hex[2 * i]) << 4 |
				    g_ascii_xdigit_value(hex[2 * i + 1]));
	return g_bytes_new(bytes, length);
}

struct node
pki_leaf(const struct node *issuer, const struct leaf *leaf)
{
	g_autoptr(GError) error = NULL;
	struct node node = { NULL, NULL };
	const char *emails[] = { leaf->email, NULL };
	const char *extended[] = { leaf->extended != NULL ? leaf->extended : "emailProtection",
				   NULL };
	const char *urls[] = { leaf->crl_url, NULL };
	const char *ocsp_urls[] = { leaf->ocsp_url, leaf->second_ocsp_url, NULL };
	g_autoptr(GBytes) serial = leaf->serial != NULL ? serial_bytes(leaf->serial) : NULL;

	node.key = leaf->key != NULL ? key_ref((struct key *)leaf->key)
				     : key_generate(KEY_KIND_EC, 256, &error);
	struct issue_spec spec = {
		.names = { .common_name = leaf->common_name,
			   .emails = emails,
			   .email_in_subject = leaf->subject_email },
		.spki = key_spki(node.key),
		.not_before = leaf->not_before != 0 ? leaf->not_before : PKI_NOW - 100 * PKI_DAY,
		.not_after = leaf->not_after != 0 ? leaf->not_after : PKI_NOW + 265 * PKI_DAY,
		.serial = serial,
		.ca = leaf->ca,
		.path_length = -1,
		.key_usage = leaf->key_usage != 0
				 ? leaf->key_usage
				 : KEY_USAGE_DIGITAL_SIGNATURE | KEY_USAGE_KEY_AGREEMENT,
		.extended_usages = *extended[0] != '\0' ? extended : NULL,
		.crl_urls = urls,
		.ocsp_urls = ocsp_urls,
		.no_check = leaf->ocsp_nocheck,
	};
	node.cert = issue_cert(&spec, issuer->cert, issuer->key, &error);
	g_assert_no_error(error);
	return node;
}

struct crl *
pki_crl(const struct node *issuer, gint64 this_update, gint64 next_update, guint64 number,
	const char *const *serials, enum crl_reason reason)
{
	g_autoptr(GError) error = NULL;
	struct issue_revoked revoked[16];
	gsize count = 0;

	for (; serials != NULL && serials[count] != NULL; count++)
		revoked[count] = (struct issue_revoked){ serials[count], this_update - 60, reason };
	struct issue_crl_spec spec = {
		.this_update = this_update,
		.next_update = next_update,
		.number = number,
		.revoked = revoked,
		.revoked_count = count,
	};
	struct crl *crl = issue_crl(&spec, issuer->cert, issuer->key, &error);
	g_assert_no_error(error);
	return crl;
}

GPtrArray *
pki_certs(struct cert *first, ...)
{
	GPtrArray *certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	va_list arguments;

	va_start(arguments, first);
	for (struct cert *cert = first; cert != NULL; cert = va_arg(arguments, struct cert *))
		g_ptr_array_add(certs, cert_ref(cert));
	va_end(arguments);
	return certs;
}

char *
pki_data(const char *relative)
{
	const char *data = g_getenv("PS_DATA");
	const char *source = g_getenv("top_srcdir");
	g_autofree char *folder = data != NULL ? g_strdup(data)
					       : g_build_filename(source != NULL ? source : ".",
								  "..", "shared", "data", NULL);
	char *path = g_build_filename(folder, relative, NULL);

	if (!g_file_test(path, G_FILE_TEST_EXISTS))
		g_clear_pointer(&path, g_free);
	return path;
}

GBytes *
pki_read(const char *path)
{
	char *bytes = NULL;
	gsize length = 0;

	if (!g_file_get_contents(path, &bytes, &length, NULL))
		g_error("cannot read %s", path);
	return g_bytes_new_take(bytes, length);
}
