/*
 * x509-limbo: path building corner cases. Rules for web servers (webpki::*) do not apply to mail;
 * of the rest each difference stands in the table below with its reason, and a new one fails.
 */
#include <glib.h>
#include <jansson.h>
#include <string.h>

#include "pki/crypto/bundle.h"
#include "pki/crypto/chain.h"
#include "store/base/clock.h"
#include "tests/unit/pki/cert_fixture.h"

#define FILE_NAME "x509-limbo/limbo-2023-12-02-upstream.json"

static const struct {
	const char *id, *why;
} differences[] = {
	{ "pathlen::max-chain-depth-0-exhausted", "a relying party's own limit of depth, which is "
						  "no option here: at most 16 certificates" },
	{ "pathlen::max-chain-depth-1-exhausted", "likewise" },
	{ "rfc5280::aki::critical-aki",
	  "RFC 5280 tells CAs to mark it otherwise; path validation (section 6) has no such rule" },
	{ "rfc5280::aki::leaf-missing-aki",
	  "a rule for CAs: key identifiers help to find a path and decide nothing" },
	{ "rfc5280::aki::intermediate-missing-aki", "likewise" },
	{ "rfc5280::aki::cross-signed-root-missing-aki", "likewise" },
	{ "rfc5280::eku::ee-wrong-eku", "asks for serverAuth; mail asks for emailProtection, and "
					"not where a purpose is not given" },
	{ "rfc5280::nc::permitted-dns-match-noncritical",
	  "constraints that are not critical bind all the same" },
	{ "rfc5280::nc::not-allowed-in-ee-noncritical",
	  "a rule for CAs: in an end certificate it binds nobody" },
	{ "rfc5280::nc::not-allowed-in-ee-critical",
	  "likewise; the extension is known and processed" },
	{ "rfc5280::san::noncritical-with-empty-subject",
	  "a rule for CAs; the names are read either way" },
	{ "rfc5280::serial::too-long", "NIST PKITS wants long serials accepted" },
	{ "rfc5280::serial::zero", "in use with private CAs; it only names an entry of a CRL" },
	{ "rfc5280::serial::negative", "NIST PKITS wants negative serials accepted" },
	{ "rfc5280::ski::critical-ski", "as with critical-aki" },
	{ "rfc5280::ski::root-missing-ski", "as with leaf-missing-aki" },
	{ "rfc5280::ski::intermediate-missing-ski", "likewise" },
	{ "rfc5280::ee-empty-issuer",
	  "it is the anchor that has no issuer: nobody looks above an anchor" },
	{ "rfc5280::root-non-critical-basic-constraints",
	  "a rule for CAs; an anchor is trusted by an administrator's choice" },
	{ "rfc5280::leaf-ku-keycertsign",
	  "the bit is of no use without cA: nothing below it would be valid" },
};

static const char *
difference_of(const char *id)
{
	for (gsize i = 0; i < G_N_ELEMENTS(differences); i++)
		if (strcmp(differences[i].id, id) == 0)
			return differences[i].why;
	return NULL;
}

static void
add_pem(GPtrArray *certs, const json_t *text)
{
	const char *pem = json_string_value(text);

	if (pem == NULL)
		return;
	g_autoptr(GBytes) bytes = g_bytes_new(pem, strlen(pem));
	CLEANUP(bundle) struct bundle *bundle = bundle_read(bytes, "limbo", NULL, NULL);
	for (guint i = 0; bundle != NULL && i < bundle->certs->len; i++)
		g_ptr_array_add(certs, cert_ref(bundle->certs->pdata[i]));
}

static GPtrArray *
certs_of(const json_t *row, const char *name)
{
	GPtrArray *certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	const json_t *value = json_object_get(row, name);
	gsize i;
	json_t *pem;

	if (json_is_string(value))
		add_pem(certs, value);
	json_array_foreach(value, i, pem) add_pem(certs, pem);
	return certs;
}

static gint64
time_of(const json_t *row)
{
	const char *text = json_string_value(json_object_get(row, "validation_time"));
	gint64 at = 0;

	g_autofree char *plain =
	    text != NULL ? g_strdup_printf("%.19sZ", text) : g_strdup("2023-12-02T00:00:00Z");
	g_assert_true(clock_parse(plain, &at, NULL));
	return at;
}

/* TRUE: as expected, or a difference that is explained. */
static gboolean
check_row(const json_t *row, guint *explained)
{
	const char *id = json_string_value(json_object_get(row, "id"));
	g_autoptr(GPtrArray) anchors = certs_of(row, "trusted_certs");
	g_autoptr(GPtrArray) untrusted = certs_of(row, "untrusted_intermediates");
	g_autoptr(GPtrArray) subject = certs_of(row, "peer_certificate");
	struct chain_options options = {
		.anchors = anchors,
		.untrusted = untrusted,
		.at = time_of(row),
		.revocation = CHAIN_REVOCATION_OFF,
		.allow_legacy = TRUE,
	};
	CLEANUP(chain_report)
	struct chain_report *report =
	    subject->len > 0 ? chain_check(subject->pdata[0], &options, NULL) : NULL;
	gboolean valid = report != NULL && report->verdict == CHAIN_VALID;
	gboolean wanted =
	    strcmp(json_string_value(json_object_get(row, "expected_result")), "SUCCESS") == 0;
	const char *why = difference_of(id);

	if (valid != wanted || why != NULL)
		g_test_message("%s: wanted %s, is %s %s (%s)", id, wanted ? "valid" : "invalid",
			       valid ? "valid" : "invalid",
			       report != NULL ? report->reason : "unreadable",
			       why != NULL ? why : "NOT EXPLAINED");
	*explained += valid != wanted && why != NULL;
	return (valid == wanted) == (why == NULL);
}

static void
test_limbo(void)
{
	g_autofree char *path = pki_data(FILE_NAME);
	guint right = 0, ran = 0, explained = 0;
	gsize i;
	json_t *row;

	if (path == NULL) {
		g_test_skip("the x509-limbo data is not here");
		return;
	}
	json_t *all = json_load_file(path, 0, NULL);
	g_assert_nonnull(all);
	json_array_foreach(json_object_get(all, "testcases"), i, row)
	{
		if (g_str_has_prefix(json_string_value(json_object_get(row, "id")), "webpki::"))
			continue;
		ran++;
		right += (guint)check_row(row, &explained);
	}
	json_decref(all);
	g_test_message("%u rows: %u as expected, %u otherwise for a reason", ran, right - explained,
		       explained);
	g_assert_cmpuint(right, ==, ran);
	g_assert_cmpuint(explained, ==, G_N_ELEMENTS(differences));
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/limbo/all that is not for web servers", test_limbo);
	return g_test_run();
}
