/*
 * The responder's half of OCSP: which requests are read, and that our own verifier believes what
 * is answered.
 */
#include <glib.h>
#include <string.h>

#include "pki/crypto/ocsp_answer.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "tests/unit/pki/cert_fixture.h"

#define HOUR 3600

static struct node root, ca, leaf, responder, stranger;

/* --- requests, written by hand --- */

/* Takes inside. */
static GByteArray *
tlv(guint8 tag, GByteArray *inside)
{
	GByteArray *out = g_byte_array_new();
	guint8 head[4] = { tag, (guint8)inside->len, 0, 0 };

	if (inside->len > 255) {
		head[1] = 0x82;
		head[2] = (guint8)(inside->len >> 8);
		head[3] = (guint8)inside->len;
		g_byte_array_append(out, head, 4);
	} else if (inside->len > 127) {
		head[1] = 0x81;
		head[2] = (guint8)inside->len;
		g_byte_array_append(out, head, 3);
	} else {
		g_byte_array_append(out, head, 2);
	}
	g_byte_array_append(out, inside->data, inside->len);
	g_byte_array_unref(inside);
	return out;
}

static GByteArray *
raw(const char *bytes, guint length)
{
	return g_byte_array_append(g_byte_array_new(), (const guint8 *)bytes, length);
}

/* Takes more; NULL: nothing. */
static GByteArray *
join(GByteArray *first, GByteArray *more)
{
	if (more != NULL) {
		g_byte_array_append(first, more->data, more->len);
		g_byte_array_unref(more);
	}
	return first;
}

struct request_row {
	const char *proves;
	gboolean good;
	guint singles;      /* 0: 1 */
	guint hash_length;  /* 0: 20 */
	const char *serial; /* NULL: 1 */
	guint serial_length;
	guint nonce;           /* octets; 0: none */
	guint nonces;          /* how many; 0: 1 */
	const char *extension; /* OID of 9 octets, not critical */
	const char *critical;  /* likewise, critical */
	gboolean none, no_parameters, version_1, version_2, name, signature, sha256, unknown_hash;
	gboolean tail, inner_tail, single_tail, critical_in_single;
};

#define OID_NONCE "\x2b\x06\x01\x05\x05\x07\x30\x01\x02"
#define OID_RESPONSE "\x2b\x06\x01\x05\x05\x07\x30\x01\x04"
#define OID_STRANGE "\x2b\x06\x01\x05\x05\x07\x30\x01\x7f"

static const struct request_row request_rows[] = {
	{ .proves = "SHA-1", .good = TRUE },
	{ .proves = "SHA-256", .good = TRUE, .sha256 = TRUE, .hash_length = 32 },
	{ .proves = "without parameters", .good = TRUE, .no_parameters = TRUE },
	{ .proves = "another digest is nobody's", .good = TRUE, .unknown_hash = TRUE },
	{ .proves = "hash too short", .hash_length = 19 },
	{ .proves = "hash of another digest", .hash_length = 32 },
	{ .proves = "version 1", .good = TRUE, .version_1 = TRUE },
	{ .proves = "version 2", .version_2 = TRUE },
	{ .proves = "requestor's name", .good = TRUE, .name = TRUE },
	{ .proves = "signed", .good = TRUE, .signature = TRUE },
	{ .proves = "bytes behind it", .tail = TRUE },
	{ .proves = "bytes behind the extensions", .inner_tail = TRUE },
	{ .proves = "bytes behind a single request", .single_tail = TRUE },
	{ .proves = "about nothing", .none = TRUE },
	{ .proves = "eight certificates", .good = TRUE, .singles = 8 },
	{ .proves = "nine certificates", .singles = 9 },
	{ .proves = "serial of 21 octets", .good = TRUE, .serial = "", .serial_length = 21 },
	{ .proves = "serial of 22 octets", .serial = "", .serial_length = 22 },
	{ .proves = "empty serial", .serial = "", .serial_length = 0 },
	{ .proves = "nonce of 1 octet", .good = TRUE, .nonce = 1 },
	{ .proves = "nonce of 32 octets", .good = TRUE, .nonce = 32 },
	{ .proves = "nonce of 33 octets", .nonce = 33 },
	{ .proves = "two nonces", .nonce = 8, .nonces = 2 },
	{ .proves = "a strange extension", .good = TRUE, .extension = OID_STRANGE },
	{ .proves = "a strange critical extension", .critical = OID_STRANGE },
	{ .proves = "acceptable responses, critical", .good = TRUE, .critical = OID_RESPONSE },
	{ .proves = "a strange critical extension of a single", .critical_in_single = TRUE },
	{ .proves = "seventeen extensions", .nonces = 17, .extension = OID_STRANGE },
};

static GByteArray *
extension_bytes(const char *oid, gboolean critical, GByteArray *value)
{
	GByteArray *parts = tlv(0x06, raw(oid, 9));

	if (critical)
		join(parts, tlv(0x01, raw("\xff", 1)));
	return tlv(0x30, join(parts, tlv(0x04, value)));
}

static GByteArray *
extensions_bytes(const struct request_row *row)
{
	GByteArray *list = g_byte_array_new();
	guint times = MAX(row->nonces, 1);

	for (guint i = 0; i < times && row->nonce > 0; i++) {
		g_autofree char *nonce = g_strnfill(row->nonce, 'n');
		join(list, extension_bytes(OID_NONCE, FALSE, tlv(0x04, raw(nonce, row->nonce))));
	}
	for (guint i = 0; i < times && row->extension != NULL; i++)
		join(list, extension_bytes(row->extension, FALSE, raw("\x05\x00", 2)));
	if (row->critical != NULL)
		join(list, extension_bytes(row->critical, TRUE, raw("\x05\x00", 2)));
	return tlv(0xa2, tlv(0x30, list));
}

static GByteArray *
single_bytes(const struct request_row *row)
{
	guint length = row->hash_length > 0 ? row->hash_length : 20;
	g_autofree char *hash = g_strnfill(length, 'h');
	g_autofree char *zeros = g_malloc0(32);
	GByteArray *oid = row->sha256         ? raw("\x60\x86\x48\x01\x65\x03\x04\x02\x01", 9)
			  : row->unknown_hash ? raw("\x2b\x0e\x03\x02\x1b", 5)
					      : raw("\x2b\x0e\x03\x02\x1a", 5);
	GByteArray *algorithm = tlv(0x06, oid);

	if (!row->no_parameters)
		join(algorithm, raw("\x05\x00", 2));
	zeros[1] = 5;
	GByteArray *id = tlv(0x30, algorithm);
	join(id, tlv(0x04, raw(hash, length)));
	join(id, tlv(0x04, raw(hash, length)));
	join(id, tlv(0x02, row->serial == NULL ? raw("\x01", 1) : raw(zeros, row->serial_length)));
	GByteArray *single = tlv(0x30, id);
	if (row->critical_in_single)
		join(single,
		     tlv(0xa0, tlv(0x30, extension_bytes(OID_STRANGE, TRUE, raw("\x05\x00", 2)))));
	if (row->single_tail)
		join(single, raw("\x05\x00", 2));
	return tlv(0x30, single);
}

static GByteArray *
request_bytes(const struct request_row *row)
{
	GByteArray *tbs = g_byte_array_new();
	GByteArray *list = g_byte_array_new();

	if (row->version_1 || row->version_2)
		join(tbs, tlv(0xa0, tlv(0x02, raw(row->version_2 ? "\x01" : "\x00", 1))));
	if (row->name)
		join(tbs, tlv(0xa1, tlv(0x82, raw("x.example", 9))));
	for (guint i = 0; i < MAX(row->singles, 1) && !row->none; i++)
		join(list, single_bytes(row));
	join(tbs, tlv(0x30, list));
	if (row->nonce > 0 || row->extension != NULL || row->critical != NULL)
		join(tbs, extensions_bytes(row));
	if (row->inner_tail)
		join(tbs, raw("\x05\x00", 2));
	GByteArray *request = tlv(0x30, tbs);
	if (row->signature)
		join(request, tlv(0xa0, tlv(0x30, raw("\x05\x00", 2))));
	request = tlv(0x30, request);
	return row->tail ? join(request, raw("", 1)) : request;
}

static void
test_request(gconstpointer data)
{
	const struct request_row *row = data;
	g_autoptr(GByteArray) bytes = request_bytes(row);
	struct ocsp_inquiry inquiry;
	g_autoptr(GError) error = NULL;
	gboolean good = ocsp_inquiry_read(bytes->data, bytes->len, &inquiry, &error);

	g_assert_cmpint(good, ==, row->good);
	g_assert_cmpint(good, ==, error == NULL);
	if (!good)
		return;
	g_assert_cmpuint(inquiry.count, ==, MAX(row->singles, 1));
	g_assert_cmpuint(inquiry.nonce_length, ==, row->nonce);
	g_assert_cmpint(inquiry.ids[0].hash, ==,
			row->sha256         ? ALGORITHM_SHA256
			: row->unknown_hash ? ALGORITHM_UNKNOWN
					    : ALGORITHM_SHA1);
	/* Any octet less is an error; so is any length that does not fit. */
	for (guint n = 0; n < bytes->len; n++)
		g_assert_false(ocsp_inquiry_read(bytes->data, n, &inquiry, NULL));
}

static void
test_size(void)
{
	g_autofree char *large = g_malloc0(OCSP_REQUEST_MAX_BYTES + 1);
	struct ocsp_inquiry inquiry;

	g_assert_false(ocsp_inquiry_read(large, OCSP_REQUEST_MAX_BYTES + 1, &inquiry, NULL));
	g_assert_false(ocsp_inquiry_read(NULL, 0, &inquiry, NULL));
}

static void
test_serial(void)
{
	static const struct {
		const char *bytes;
		gsize length;
		const char *hex;
	} rows[] = {
		{ "\x01", 1, "1" },     { "\x00\x80", 2, "80" }, { "\x7f\xff", 2, "7fff" },
		{ "\x00\x01", 2, "1" }, { "\x00", 1, NULL },     { "\x80", 1, NULL },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct ocsp_id id = { .serial = (const guint8 *)rows[i].bytes,
				      .serial_length = rows[i].length };
		g_autofree char *hex = ocsp_id_serial(&id);
		g_assert_cmpstr(hex, ==, rows[i].hex);
	}
}

/* --- answers, as our own verifier sees them --- */

struct answer_row {
	const char *proves;
	enum ocsp_status status;
	enum crl_reason reason;
	enum algorithm hash;
	const char *nonce;
	gboolean by_stranger;
};

static const struct answer_row answer_rows[] = {
	{ .proves = "good", .status = OCSP_GOOD, .hash = ALGORITHM_SHA1 },
	{ .proves = "good, SHA-256", .status = OCSP_GOOD, .hash = ALGORITHM_SHA256 },
	{ .proves = "good, with a nonce",
	  .status = OCSP_GOOD,
	  .hash = ALGORITHM_SHA1,
	  .nonce = "0123456789abcdef0123456789abcdef" },
	{ .proves = "unknown", .status = OCSP_UNKNOWN, .hash = ALGORITHM_SHA1 },
	{ .proves = "revoked", .status = OCSP_REVOKED, .hash = ALGORITHM_SHA1 },
	{ .proves = "revoked, with a reason",
	  .status = OCSP_REVOKED,
	  .reason = REVOCATION_KEY_COMPROMISE,
	  .hash = ALGORITHM_SHA256 },
	{ .proves = "on hold",
	  .status = OCSP_REVOKED,
	  .reason = REVOCATION_CERTIFICATE_HOLD,
	  .hash = ALGORITHM_SHA1 },
	{ .proves = "a responder of another CA is not believed",
	  .hash = ALGORITHM_SHA1,
	  .by_stranger = TRUE },
};

static GBytes *
answer_for(const struct answer_row *row, GError **error)
{
	const struct node *by = row->by_stranger ? &stranger : &responder;
	struct ocsp_single single = {
		.hash = row->hash,
		.serial_hex = cert_serial_hex(leaf.cert),
		.status = row->status,
		.revoked_at = PKI_NOW - HOUR,
		.reason = row->reason,
	};
	struct ocsp_answer_spec spec = {
		.issuer = ca.cert,
		.singles = &single,
		.count = 1,
		.this_update = PKI_NOW,
		.next_update = PKI_NOW + 8 * HOUR,
		.nonce = (const guint8 *)row->nonce,
		.nonce_length = row->nonce != NULL ? strlen(row->nonce) : 0,
	};

	return ocsp_answer_sign(&spec, by->cert, by->key, error);
}

static void
test_answer(gconstpointer data)
{
	const struct answer_row *row = data;
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) answer = answer_for(row, &error);
	g_autoptr(GBytes) nonce =
	    row->nonce != NULL ? g_bytes_new_static(row->nonce, strlen(row->nonce)) : NULL;
	const struct ocsp_question question = {
		.cert = leaf.cert, .issuer = ca.cert, .nonce = nonce, .at = PKI_NOW
	};

	g_assert_no_error(error);
	CLEANUP(ocsp_finding) struct ocsp_finding *finding = ocsp_read(answer, &question, &error);
	if (row->by_stranger) {
		g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
		return;
	}
	g_assert_no_error(error);
	g_assert_cmpint(finding->status, ==, row->status);
	g_assert_cmpint(finding->produced_at, ==, PKI_NOW);
	g_assert_cmpint(finding->this_update, ==, PKI_NOW);
	g_assert_cmpint(finding->next_update, ==, PKI_NOW + 8 * HOUR);
	g_assert_false(finding->signer_unchecked);
	if (row->status == OCSP_REVOKED) {
		g_assert_cmpint(finding->revoked_at, ==, PKI_NOW - HOUR);
		g_assert_cmpint(finding->reason, ==, row->reason);
	}
}

/* What our own client asks is read, and is about the issuer. */
static void
test_own_request(void)
{
	g_autoptr(GBytes) nonce = g_bytes_new_static("0123456789abcdef", 16);
	const struct ocsp_question question = {
		.cert = leaf.cert, .issuer = ca.cert, .nonce = nonce, .at = PKI_NOW
	};
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) request = ocsp_request(&question, &error);
	struct ocsp_issuer_hashes own, another;
	struct ocsp_inquiry inquiry;
	gsize length;

	g_assert_no_error(error);
	gconstpointer der = g_bytes_get_data(request, &length);
	g_assert_true(ocsp_inquiry_read(der, length, &inquiry, &error));
	g_assert_cmpuint(inquiry.count, ==, 1);
	g_assert_cmpmem(inquiry.nonce, inquiry.nonce_length, "0123456789abcdef", 16);
	g_autofree char *serial = ocsp_id_serial(&inquiry.ids[0]);
	g_assert_cmpstr(serial, ==, cert_serial_hex(leaf.cert));
	ocsp_issuer_hash(ca.cert, &own);
	ocsp_issuer_hash(root.cert, &another);
	g_assert_true(ocsp_id_is_of(&inquiry.ids[0], &own));
	g_assert_false(ocsp_id_is_of(&inquiry.ids[0], &another));
}

static void
test_refused(void)
{
	struct ocsp_single single = { .hash = ALGORITHM_SHA1, .serial_hex = "1" };
	struct ocsp_answer_spec spec = {
		.issuer = ca.cert,
		.singles = &single,
		.count = 1,
		.this_update = PKI_NOW,
		.next_update = PKI_NOW + HOUR,
	};
	g_autoptr(GError) key = NULL, late = NULL, early = NULL;
	g_autoptr(GBytes) refusal = ocsp_answer_refuse(OCSP_UNAUTHORIZED);

	g_assert_null(ocsp_answer_sign(&spec, responder.cert, stranger.key, &key));
	g_assert_error(key, PS_ERROR, PS_ERROR_INVALID);
	spec.next_update = cert_not_after(responder.cert) + 1;
	g_assert_null(ocsp_answer_sign(&spec, responder.cert, responder.key, &late));
	g_assert_error(late, PS_ERROR, PS_ERROR_INVALID);
	spec.next_update = spec.this_update;
	g_assert_null(ocsp_answer_sign(&spec, responder.cert, responder.key, &early));
	g_assert_error(early, PS_ERROR, PS_ERROR_INVALID);
	g_assert_cmpmem(g_bytes_get_data(refusal, NULL), g_bytes_get_size(refusal),
			"\x30\x03\x0a\x01\x06", 5);
}

static struct node
make_responder(const struct node *issuer)
{
	const struct leaf made = {
		.common_name = "OCSP responder",
		.extended = "OCSPSigning",
		.key_usage = KEY_USAGE_DIGITAL_SIGNATURE,
		.ocsp_nocheck = TRUE,
	};

	return pki_leaf(issuer, &made);
}

int
main(int argc, char **argv)
{
	struct node *made[] = { &root, &ca, &leaf, &responder, &stranger };

	g_test_init(&argc, &argv, NULL);
	root = pki_root("Root");
	ca = pki_intermediate(&root, "CA");
	leaf = pki_leaf(&ca, &(struct leaf){ .common_name = "Bob", .email = "bob@example.org" });
	responder = make_responder(&ca);
	stranger = make_responder(&root);
	for (gsize i = 0; i < G_N_ELEMENTS(request_rows); i++) {
		g_autofree char *path =
		    g_strdup_printf("/ocsp-answer/request %s", request_rows[i].proves);
		g_test_add_data_func(path, &request_rows[i], test_request);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(answer_rows); i++) {
		g_autofree char *path =
		    g_strdup_printf("/ocsp-answer/answer %s", answer_rows[i].proves);
		g_test_add_data_func(path, &answer_rows[i], test_answer);
	}
	g_test_add_func("/ocsp-answer/size", test_size);
	g_test_add_func("/ocsp-answer/serial", test_serial);
	g_test_add_func("/ocsp-answer/own request", test_own_request);
	g_test_add_func("/ocsp-answer/refused", test_refused);
	int rc = g_test_run();
	for (gsize i = 0; i < G_N_ELEMENTS(made); i++)
		node_clear(made[i]);
	return rc;
}
