/*
 * OCSP: which answers are believed, and what they say.
 */
#include <glib.h>
#include <string.h>

#include <openssl/ocsp.h>

#include "pki/crypto/internal.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "tests/unit/pki/ocsp_fixture.h"

#define HOUR 3600
#define SENT "0123456789abcdef"

static struct node root, ca, other_ca, namesake;
static struct node leaf, sibling, stranger;
static struct node responder, unchecked_responder, no_usage, any_usage, no_sign, expired_responder,
    other_responder, below_responder, sub_ca;

struct row {
	const char *proves;
	struct answer answer;
	const char *nonce; /* that was sent */
	gint64 at;         /* 0: PKI_NOW */
	enum ocsp_status status;
	const char *why; /* part of the error; NULL: believed */
	enum crl_reason reason;
	gboolean unchecked;
	gboolean temporary;
};

#define ABOUT_LEAF                                                                                 \
	{                                                                                          \
		.cert = &leaf, .issuer = &ca                                                       \
	}
#define REVOKED_LEAF(...)                                                                          \
	{                                                                                          \
		.cert = &leaf, .issuer = &ca, .status = OCSP_REVOKED, __VA_ARGS__                  \
	}
static const struct row rows[] = {
	{ .proves = "signed by the issuer: good",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &ca } },
	{ .proves = "the issuer named by its key",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &ca, .by_key = TRUE } },
	{ .proves = "revoked, without a reason",
	  .answer = { .singles = { REVOKED_LEAF() }, .signer = &ca },
	  .status = OCSP_REVOKED },
	{ .proves = "revoked, with a reason",
	  .answer = { .singles = { REVOKED_LEAF(.reason = 1) }, .signer = &ca },
	  .status = OCSP_REVOKED,
	  .reason = REVOCATION_KEY_COMPROMISE },
	{ .proves = "a reason that does not exist is unspecified",
	  .answer = { .singles = { REVOKED_LEAF(.reason = 7) }, .signer = &ca },
	  .status = OCSP_REVOKED },
	{ .proves = "removeFromCRL is no leave to use it",
	  .answer = { .singles = { REVOKED_LEAF(.reason = 8) }, .signer = &ca },
	  .status = OCSP_REVOKED },
	{ .proves = "unknown",
	  .answer = { .singles = { { .cert = &leaf, .issuer = &ca, .status = OCSP_UNKNOWN } },
		      .signer = &ca },
	  .status = OCSP_UNKNOWN },

	{ .proves = "a CertID with SHA-256",
	  .answer = { .singles = { { .cert = &leaf, .issuer = &ca, .digest = "SHA256" } },
		      .signer = &ca } },
	{ .proves = "a CertID with MD5 names nothing",
	  .answer = { .singles = { { .cert = &leaf, .issuer = &ca, .digest = "MD5" } },
		      .signer = &ca },
	  .why = "about another certificate" },
	{ .proves = "another serial",
	  .answer = { .singles = { { .cert = &sibling, .issuer = &ca } }, .signer = &ca },
	  .why = "about another certificate" },
	{ .proves = "the serial at another issuer",
	  .answer = { .singles = { { .cert = &leaf, .issuer = &other_ca } }, .signer = &ca },
	  .why = "about another certificate" },
	{ .proves = "an issuer of the same name with another key",
	  .answer = { .singles = { { .cert = &leaf, .issuer = &namesake } }, .signer = &namesake },
	  .why = "about another certificate" },
	{ .proves = "nothing in it",
	  .answer = { .signer = &ca },
	  .why = "about another certificate" },
	{ .proves = "among others",
	  .answer = { .singles = { { .cert = &sibling, .issuer = &ca, .status = OCSP_REVOKED },
				   ABOUT_LEAF,
				   { .cert = &stranger, .issuer = &other_ca } },
		      .signer = &ca } },
	{ .proves = "two on the same: revoked counts, whatever the order",
	  .answer = { .singles = { REVOKED_LEAF(.this_update = PKI_NOW - 5 * HOUR), ABOUT_LEAF },
		      .signer = &ca },
	  .status = OCSP_REVOKED },
	{ .proves = "two on the same: revoked last",
	  .answer = { .singles = { ABOUT_LEAF, REVOKED_LEAF(.this_update = PKI_NOW - 5 * HOUR) },
		      .signer = &ca },
	  .status = OCSP_REVOKED },
	{ .proves = "two on the same: the later one",
	  .answer = { .singles = { ABOUT_LEAF,
				   { .cert = &leaf,
				     .issuer = &ca,
				     .status = OCSP_UNKNOWN,
				     .this_update = PKI_NOW - 10 } },
		      .signer = &ca },
	  .status = OCSP_UNKNOWN },

	{ .proves = "a delegated responder",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &responder, .certs = { &responder } } },
	{ .proves = "a delegated responder by key, its certificate behind others",
	  .answer = { .singles = { ABOUT_LEAF },
		      .signer = &responder,
		      .certs = { &ca, &stranger, &responder },
		      .by_key = TRUE } },
	{ .proves = "a responder that may be revoked itself",
	  .answer = { .singles = { ABOUT_LEAF },
		      .signer = &unchecked_responder,
		      .certs = { &unchecked_responder } },
	  .unchecked = TRUE },
	{ .proves = "a delegated responder whose certificate did not come along",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &responder },
	  .why = "nobody who may speak" },
	{ .proves = "a responder without the usage",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &no_usage, .certs = { &no_usage } },
	  .why = "is not for OCSP" },
	{ .proves = "any usage is not the usage",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &any_usage, .certs = { &any_usage } },
	  .why = "is not for OCSP" },
	{ .proves = "a responder whose key may not sign",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &no_sign, .certs = { &no_sign } },
	  .why = "is not for OCSP" },
	{ .proves = "a responder that has expired",
	  .answer = { .singles = { ABOUT_LEAF },
		      .signer = &expired_responder,
		      .certs = { &expired_responder } },
	  .why = "is out of date" },
	{ .proves = "a responder of another CA",
	  .answer = { .singles = { ABOUT_LEAF },
		      .signer = &other_responder,
		      .certs = { &other_responder } },
	  .why = "was not certified by" },
	{ .proves = "a responder that a CA below the issuer certified",
	  .answer = { .singles = { ABOUT_LEAF },
		      .signer = &below_responder,
		      .certs = { &below_responder, &sub_ca } },
	  .why = "was not certified by" },
	{ .proves = "the holder of a certificate of the issuer",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &sibling, .certs = { &sibling } },
	  .why = "is not for OCSP" },
	{ .proves = "the certificate itself",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &leaf, .certs = { &leaf } },
	  .why = "is not for OCSP" },
	{ .proves = "the issuer's issuer",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &root, .certs = { &root } },
	  .why = "was not certified by" },
	{ .proves = "another signer in the name of the issuer",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &stranger, .named = &ca },
	  .why = "nobody who may" },
	{ .proves = "another signer in the name of the responder",
	  .answer = { .singles = { ABOUT_LEAF },
		      .signer = &stranger,
		      .named = &responder,
		      .certs = { &responder } },
	  .why = "does not fit" },
	{ .proves = "a CA of the issuer's name with another key",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &namesake, .certs = { &namesake } },
	  .why = "was not certified by" },
	{ .proves = "a spoilt signature",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &ca, .spoilt = TRUE },
	  .why = "nobody who may" },
	{ .proves = "a spoilt signature of a responder",
	  .answer = { .singles = { ABOUT_LEAF },
		      .signer = &responder,
		      .certs = { &responder },
		      .spoilt = TRUE },
	  .why = "does not fit" },
	{ .proves = "SHA-1",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &ca, .digest = "SHA1" },
	  .why = "too weak" },
	{ .proves = "SHA-384",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &ca, .digest = "SHA384" } },

	{ .proves = "from the clock's point of view a little in the future",
	  .answer = { .singles = { { .cert = &leaf, .issuer = &ca, .this_update = PKI_NOW + 300 } },
		      .signer = &ca,
		      .produced_at = PKI_NOW + 300 } },
	{ .proves = "valid from the future on",
	  .answer = { .singles = { { .cert = &leaf, .issuer = &ca, .this_update = PKI_NOW + 301 } },
		      .signer = &ca },
	  .why = "of the future" },
	{ .proves = "made in the future",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &ca, .produced_at = PKI_NOW + 301 },
	  .why = "of the future" },
	{ .proves = "expired a little",
	  .answer = { .singles = { { .cert = &leaf, .issuer = &ca, .next_update = PKI_NOW - 300 } },
		      .signer = &ca } },
	{ .proves = "expired",
	  .answer = { .singles = { { .cert = &leaf, .issuer = &ca, .next_update = PKI_NOW - 301 } },
		      .signer = &ca },
	  .why = "expired on" },
	{ .proves = "ends before it begins",
	  .answer = { .singles = { { .cert = &leaf,
				     .issuer = &ca,
				     .this_update = PKI_NOW,
				     .next_update = PKI_NOW - 1 } },
		      .signer = &ca },
	  .why = "cannot be" },
	{ .proves = "without an end: a day",
	  .answer = { .singles = { { .cert = &leaf,
				     .issuer = &ca,
				     .this_update = PKI_NOW - 24 * HOUR,
				     .next_update = CLOCK_NEVER } },
		      .signer = &ca } },
	{ .proves = "without an end: no more than a day",
	  .answer = { .singles = { { .cert = &leaf,
				     .issuer = &ca,
				     .this_update = PKI_NOW - 24 * HOUR - 301,
				     .next_update = CLOCK_NEVER } },
		      .signer = &ca },
	  .why = "expired on" },
	{ .proves = "expired, and says revoked: that stays so",
	  .answer = { .singles = { REVOKED_LEAF(.next_update = PKI_NOW - 400, .reason = 4) },
		      .signer = &ca },
	  .status = OCSP_REVOKED,
	  .reason = REVOCATION_SUPERSEDED },
	{ .proves = "expired, and says on hold: that may have ended",
	  .answer = { .singles = { REVOKED_LEAF(.next_update = PKI_NOW - 400, .reason = 6) },
		      .signer = &ca },
	  .why = "expired on" },
	{ .proves = "on hold",
	  .answer = { .singles = { REVOKED_LEAF(.reason = 6) }, .signer = &ca },
	  .status = OCSP_REVOKED,
	  .reason = REVOCATION_CERTIFICATE_HOLD },
	{ .proves = "revoked in time to come is revoked",
	  .answer = { .singles = { REVOKED_LEAF(.revoked_at = PKI_NOW + 30 * PKI_DAY) },
		      .signer = &ca },
	  .status = OCSP_REVOKED },
	{ .proves = "asked later: expired by then",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &ca },
	  .at = PKI_NOW + 2 * PKI_DAY,
	  .why = "expired on" },
	{ .proves = "asked earlier: not yet valid then",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &ca },
	  .at = PKI_NOW - 2 * PKI_DAY,
	  .why = "of the future" },

	{ .proves = "the nonce comes back",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &ca, .nonce = SENT },
	  .nonce = SENT },
	{ .proves = "a prepared answer has none",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &ca },
	  .nonce = SENT },
	{ .proves = "another nonce",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &ca, .nonce = "fedcba9876543210" },
	  .nonce = SENT,
	  .why = "its nonce differs" },
	{ .proves = "a nonce that nobody sent",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &ca, .nonce = SENT } },
	{ .proves = "a critical extension of the answer",
	  .answer = { .singles = { ABOUT_LEAF }, .signer = &ca, .extension = "1.2.3.4" },
	  .why = "not known" },
	{ .proves = "a critical extension of the status",
	  .answer = { .singles = { { .cert = &leaf, .issuer = &ca, .extension = "1.2.3.4" } },
		      .signer = &ca },
	  .why = "not known" },
	{ .proves = "a critical extension of somebody else's status",
	  .answer = { .singles = { ABOUT_LEAF,
				   { .cert = &sibling, .issuer = &ca, .extension = "1.2.3.4" } },
		      .signer = &ca } },

	{ .proves = "malformedRequest",
	  .answer = { .status = OCSP_RESPONSE_STATUS_MALFORMEDREQUEST },
	  .why = "malformed" },
	{ .proves = "internalError",
	  .answer = { .status = OCSP_RESPONSE_STATUS_INTERNALERROR },
	  .why = "has a fault",
	  .temporary = TRUE },
	{ .proves = "tryLater",
	  .answer = { .status = OCSP_RESPONSE_STATUS_TRYLATER },
	  .why = "try later",
	  .temporary = TRUE },
	{ .proves = "sigRequired",
	  .answer = { .status = OCSP_RESPONSE_STATUS_SIGREQUIRED },
	  .why = "signed requests" },
	{ .proves = "unauthorized",
	  .answer = { .status = OCSP_RESPONSE_STATUS_UNAUTHORIZED },
	  .why = "not the one to ask" },
	{ .proves = "a status that does not exist",
	  .answer = { .status = 99 },
	  .why = "a status of its own" },
	{ .proves = "a good answer under a bad status",
	  .answer = { .status = OCSP_RESPONSE_STATUS_TRYLATER,
		      .singles = { ABOUT_LEAF },
		      .signer = &ca },
	  .why = "try later",
	  .temporary = TRUE },
	{ .proves = "successful without an answer", .answer = { .status = 0 }, .why = "is empty" },
};

static struct ocsp_finding *
read_answer(const struct row *row, GBytes *der, GError **error)
{
	g_autoptr(GBytes) nonce =
	    row->nonce != NULL ? g_bytes_new(row->nonce, strlen(row->nonce)) : NULL;
	struct ocsp_question question = {
		.cert = leaf.cert,
		.issuer = ca.cert,
		.nonce = nonce,
		.at = row->at != 0 ? row->at : PKI_NOW,
	};

	return ocsp_read(der, &question, error);
}

static void
test_row(gconstpointer data)
{
	const struct row *row = data;
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) der = answer_make(&row->answer);
	CLEANUP(ocsp_finding) struct ocsp_finding *finding = read_answer(row, der, &error);

	g_test_message("%s", error != NULL ? error->message : "believed");
	if (row->why != NULL) {
		g_assert_null(finding);
		g_assert_error(error, PS_ERROR,
			       row->temporary ? PS_ERROR_TEMPORARY : PS_ERROR_INVALID);
		g_assert_nonnull(strstr(error->message, row->why));
		return;
	}
	g_assert_no_error(error);
	g_assert_cmpstr(ocsp_status_name(finding->status), ==, ocsp_status_name(row->status));
	g_assert_cmpint(finding->reason, ==, row->reason);
	g_assert_cmpint(finding->signer_unchecked, ==, row->unchecked);
	g_assert_true(cert_equal(finding->signer, row->answer.signer->cert));
	if (row->status == OCSP_REVOKED && row->answer.singles[0].revoked_at == 0)
		g_assert_cmpint(finding->revoked_at, ==, PKI_NOW - PKI_DAY);
}

/* What is too large is not parsed; what follows an answer is not passed over. */
static void
test_sizes(void)
{
	const struct row row = { .answer = { .singles = { ABOUT_LEAF }, .signer = &ca } };
	g_autoptr(GBytes) good = answer_make(&row.answer);
	static const struct {
		gsize tail;
		const char *why;
	} tails[] = { { 1, "follow" }, { 100, "follow" }, { OCSP_ANSWER_MAX_BYTES, "too large" } };

	for (gsize i = 0; i < G_N_ELEMENTS(tails); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GBytes) longer = answer_lengthen(good, tails[i].tail);

		g_assert_null(read_answer(&row, longer, &error));
		g_assert_nonnull(strstr(error->message, tails[i].why));
	}
	for (gsize length = 0; length < g_bytes_get_size(good); length++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GBytes) shorter = g_bytes_new_from_bytes(good, 0, length);

		g_assert_null(read_answer(&row, shorter, &error));
		g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	}
}

/* No octet of an answer can be changed without its being noticed, but those that say nothing. */
static void
test_changed_octets(void)
{
	const struct row row = { .answer = { .singles = { ABOUT_LEAF }, .signer = &ca } };
	g_autoptr(GBytes) good = answer_make(&row.answer);
	gsize size, believed = 0;
	const guint8 *bytes = g_bytes_get_data(good, &size);

	for (gsize i = 0; i < size; i++) {
		g_autoptr(GError) error = NULL;
		g_autofree guint8 *copy = g_memdup2(bytes, size);
		copy[i] ^= 0x01;
		g_autoptr(GBytes) changed = g_bytes_new(copy, size);
		CLEANUP(ocsp_finding)
		struct ocsp_finding *finding = read_answer(&row, changed, &error);

		believed += finding != NULL;
		g_assert_true(finding == NULL || finding->status == OCSP_GOOD);
	}
	/* ECDSA parameters that may be there or not, and the like. */
	g_assert_cmpuint(believed, <=, 2);
}

static void
test_request(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) nonce = g_bytes_new_static(SENT, 16);
	struct ocsp_question question = { .cert = leaf.cert, .issuer = ca.cert, .at = PKI_NOW };
	g_autoptr(GBytes) plain = ocsp_request(&question, &error);
	g_autoptr(GBytes) again = ocsp_request(&question, &error);
	gsize size;

	g_assert_no_error(error);
	g_assert_true(g_bytes_equal(plain, again));
	question.nonce = nonce;
	g_autoptr(GBytes) other = ocsp_request(&question, &error);
	const unsigned char *p = g_bytes_get_data(other, &size);
	OCSP_REQUEST *request = d2i_OCSP_REQUEST(NULL, &p, (long)size);
	g_assert_nonnull(request);
	g_assert_cmpint(OCSP_request_onereq_count(request), ==, 1);
	OCSP_CERTID *expected =
	    OCSP_cert_to_id(EVP_sha1(), cert_x509(leaf.cert), cert_x509(ca.cert));
	OCSP_CERTID *named = OCSP_onereq_get0_id(OCSP_request_onereq_get0(request, 0));
	g_assert_cmpint(OCSP_id_cmp(expected, named), ==, 0);
	g_assert_cmpint(OCSP_REQUEST_get_ext_by_NID(request, NID_id_pkix_OCSP_Nonce, -1), >=, 0);
	OCSP_CERTID_free(expected);
	OCSP_REQUEST_free(request);

	g_autoptr(GBytes) too_long = g_bytes_new_static(SENT SENT SENT, 48);
	question.nonce = too_long;
	g_assert_null(ocsp_request(&question, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_BUG);
}

/* RSA: with PSS the digest hides in the parameters. */
static void
test_rsa(void)
{
	static const struct {
		const char *digest;
		gboolean pss, believed;
	} kinds[] = {
		{ "SHA256", FALSE, TRUE },
		{ "SHA1", FALSE, FALSE },
		{ "SHA256", TRUE, TRUE },
		{ "SHA1", TRUE, FALSE },
	};
	g_autoptr(GError) error = NULL;
	struct node rsa = { .key = key_generate(KEY_KIND_RSA, 2048, &error) };
	struct leaf asked = { .common_name = "OCSP RSA",
			      .extended = "OCSPSigning",
			      .key = rsa.key,
			      .key_usage = KEY_USAGE_DIGITAL_SIGNATURE,
			      .ocsp_nocheck = TRUE };

	g_assert_no_error(error);
	struct node signer = pki_leaf(&ca, &asked);
	for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
		struct row row = { .answer = { .singles = { ABOUT_LEAF },
					       .signer = &signer,
					       .certs = { &signer },
					       .digest = kinds[i].digest,
					       .pss = kinds[i].pss } };
		g_autoptr(GBytes) der = answer_make(&row.answer);
		g_autoptr(GError) why = NULL;
		CLEANUP(ocsp_finding) struct ocsp_finding *finding = read_answer(&row, der, &why);

		g_assert_cmpint(finding != NULL, ==, kinds[i].believed);
		if (!kinds[i].believed)
			g_assert_nonnull(strstr(why->message, "too weak"));
	}
	node_clear(&signer);
	node_clear(&rsa);
}

static struct node
make_responder(const struct node *issuer, const char *name, const char *usage)
{
	return pki_leaf(issuer, &(struct leaf){ .common_name = name,
						.extended = usage,
						.key_usage = KEY_USAGE_DIGITAL_SIGNATURE,
						.ocsp_nocheck = TRUE });
}

static void
make_nodes(void)
{
	root = pki_root("Root");
	ca = pki_intermediate(&root, "CA");
	namesake = pki_intermediate(&root, "CA");
	other_ca = pki_intermediate(&root, "Other CA");
	sub_ca = pki_intermediate(&ca, "Sub CA");
	leaf = pki_leaf(&ca, &(struct leaf){ .common_name = "Leaf", .serial = "0102030405" });
	sibling = pki_leaf(&ca, &(struct leaf){ .common_name = "Sibling", .serial = "0102030406" });
	stranger = pki_leaf(&other_ca, &(struct leaf){ .common_name = "Stranger" });
	responder = make_responder(&ca, "Responder", "OCSPSigning");
	unchecked_responder = pki_leaf(
	    &ca, &(struct leaf){ .common_name = "May be revoked", .extended = "OCSPSigning" });
	no_usage = make_responder(&ca, "No usage", "");
	any_usage = make_responder(&ca, "Any usage", "anyExtendedKeyUsage");
	no_sign = pki_leaf(&ca, &(struct leaf){ .common_name = "No signing",
						.extended = "OCSPSigning",
						.key_usage = KEY_USAGE_KEY_AGREEMENT });
	expired_responder = pki_leaf(&ca, &(struct leaf){ .common_name = "Expired",
							  .extended = "OCSPSigning",
							  .not_before = PKI_NOW - 20 * PKI_DAY,
							  .not_after = PKI_NOW - 1 });
	other_responder = make_responder(&other_ca, "Other responder", "OCSPSigning");
	below_responder = make_responder(&sub_ca, "Responder below", "OCSPSigning");
}

int
main(int argc, char **argv)
{
	struct node *made[] = { &root,
				&ca,
				&other_ca,
				&namesake,
				&leaf,
				&sibling,
				&stranger,
				&responder,
				&no_usage,
				&any_usage,
				&unchecked_responder,
				&expired_responder,
				&no_sign,
				&sub_ca,
				&other_responder,
				&below_responder };

	g_test_init(&argc, &argv, NULL);
	make_nodes();
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *path = g_strdup_printf("/ocsp/%02zu %s", i, rows[i].proves);
		g_test_add_data_func(path, &rows[i], test_row);
	}
	g_test_add_func("/ocsp/sizes", test_sizes);
	g_test_add_func("/ocsp/changed octets", test_changed_octets);
	g_test_add_func("/ocsp/request", test_request);
	g_test_add_func("/ocsp/rsa", test_rsa);
	int rc = g_test_run();
	for (gsize i = 0; i < G_N_ELEMENTS(made); i++)
		node_clear(made[i]);
	return rc;
}
