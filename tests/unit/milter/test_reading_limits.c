/*
 * reading: limits of one message, each one below and one above.
 */
#include <string.h>

#include "pki/crypto/tlv.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/key.h"
#include "reading_fixture.h"
#include "store/base/secret.h"

static struct people *people;

static void
test_layers(void)
{
	CLEANUP(spool) struct spool *six = mail_nested(people, FROM_ALICE TEXT, "ssssss");
	CLEANUP(spool) struct spool *seven = mail_nested(people, FROM_ALICE TEXT, "sssssss");
	CLEANUP(reading) struct reading *below = people_read(people, six);
	CLEANUP(reading) struct reading *above = people_read(people, seven);

	g_assert_cmpint(below->verdict, ==, MAIL_VALID);
	g_assert_cmpint(above->verdict, ==, MAIL_MALFORMED);
	g_assert_true(above->limit_exceeded);
	g_assert_nonnull(strstr(above->reason, "limit of CMS layers"));
}

/* The only signerInfo n times over. */
static GBytes *
with_signers(struct spool *message, guint n)
{
	g_autoptr(GBytes) ber = g_byte_array_free_to_bytes(mail_object(people, message));
	g_autoptr(GBytes) object = tlv_normalise(ber, 64);
	g_autoptr(GByteArray) out = g_byte_array_new();
	struct tlv in = tlv_of_bytes(object), outer, type, data, signers, whole;
	guint all = tlv_open(out), explicit_0, signed_data, set;
	guint8 tag;

	g_assert_true(tlv_take(&in, TLV_SEQUENCE, &outer));
	g_assert_true(tlv_take_whole(&outer, TLV_OID, &type));
	g_assert_true(tlv_take(&outer, TLV_CONTEXT_CONSTRUCTED(0), &in));
	g_assert_true(tlv_take(&in, TLV_SEQUENCE, &data));
	tlv_put_raw(out, type.bytes, type.length);
	explicit_0 = tlv_open(out);
	signed_data = tlv_open(out);
	while (tlv_next(&data, &tag, &signers, &whole) && data.length > 0)
		tlv_put_raw(out, whole.bytes, whole.length);
	g_assert_cmpuint(tag, ==, TLV_SET);
	set = tlv_open(out);
	for (guint i = 0; i < n; i++)
		tlv_put_raw(out, signers.bytes, signers.length);
	tlv_close(out, set, TLV_SET);
	tlv_close(out, signed_data, TLV_SEQUENCE);
	tlv_close(out, explicit_0, TLV_CONTEXT_CONSTRUCTED(0));
	tlv_close(out, all, TLV_SEQUENCE);
	return g_bytes_new(out->data, out->len);
}

static void
test_signers(void)
{
	CLEANUP(spool) struct spool *message = mail_nested(people, FROM_ALICE TEXT, "o");

	for (guint n = 15; n <= 18; n++) {
		g_autoptr(GBytes) object = with_signers(message, n);
		CLEANUP(spool) struct spool *mail = mail_of_object(people, object, NULL);
		CLEANUP(reading) struct reading *reading = people_read(people, mail);

		g_test_message("%u: %s", n, reading->reason);
		g_assert_cmpint(reading->verdict == MAIL_MALFORMED, ==, n > 16);
		g_assert_cmpuint(reading->signers->len, ==, n > 16 ? 0 : n);
	}
}

/* Signed parts with 16 signers each, and one with the rest. */
static struct spool *
many_signers(struct spool *message, guint n)
{
	g_autoptr(GString) text = g_string_new(
	    FROM_ALICE "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n");

	while (n > 0) {
		guint some = MIN(n, 16);
		g_autoptr(GBytes) object = with_signers(message, some);
		CLEANUP(spool) struct spool *mail = mail_of_object(people, object, NULL);
		g_autofree char *part = spool_text(mail);

		g_string_append_printf(text, "--b\r\n%s\r\n", strstr(part, "Content-Type"));
		n -= some;
	}
	g_string_append(text, "--b--\r\n");
	return mail_of(people, text->str);
}

static void
test_checks(void)
{
	CLEANUP(spool) struct spool *message = mail_nested(people, FROM_ALICE TEXT, "o");

	for (guint n = 100; n <= 101; n++) {
		CLEANUP(spool) struct spool *mail = many_signers(message, n);
		CLEANUP(reading) struct reading *reading = people_read(people, mail);

		g_test_message("%u: %s", n, reading->reason);
		g_assert_cmpuint(reading->signers->len, ==, n);
		g_assert_cmpint(reading->verdict, ==, n > 100 ? MAIL_MALFORMED : MAIL_PARTIAL);
		g_assert_cmpint(reading->limit_exceeded, ==, n > 100);
		if (n > 100)
			g_assert_nonnull(strstr(reading->reason, "limit of signature checks"));
	}
}

/* Compressed more than 20 times; inside of an encryption it is the one failure. */
static void
test_compressed(void)
{
	g_autoptr(GString) text = g_string_new(FROM_ALICE "Content-Type: text/plain\r\n\r\n");
	CLEANUP(spool) struct spool *bomb = NULL;
	CLEANUP(spool) struct spool *inside = NULL;
	CLEANUP(reading) struct reading *reading = NULL;
	CLEANUP(reading) struct reading *failed = NULL;

	for (guint i = 0; i < 20000; i++)
		g_string_append(text, "the same line again and again\r\n");
	bomb = mail_nested(people, text->str, "z");
	reading = people_read(people, bomb);
	g_assert_cmpint(reading->verdict, ==, MAIL_MALFORMED);
	g_assert_true(reading->limit_exceeded);
	inside = mail_encrypted(people, &people->bob, bomb, "aes-128-gcm");
	failed = people_read(people, inside);
	g_assert_cmpint(failed->closed, ==, READING_FAILED);
	g_assert_false(failed->limit_exceeded);
}

static gint64
slow_clock(gpointer data)
{
	static gint64 now;

	(void)data;
	return now += 100;
}

static void
test_cpu(void)
{
	CLEANUP(spool) struct spool *message = mail_nested(people, FROM_ALICE TEXT, "s");
	struct reading_options options = people_options(people);
	CLEANUP(reading) struct reading *below = NULL;
	CLEANUP(reading) struct reading *above = NULL;

	options.cpu_ms = slow_clock;
	options.cpu_max_ms = 10 * 100;
	below = people_read_with(people, message, &options);
	g_assert_cmpint(below->verdict, ==, MAIL_VALID);
	options.cpu_max_ms = 2 * 100;
	above = people_read_with(people, message, &options);
	g_assert_cmpint(above->verdict, ==, MAIL_MALFORMED);
	g_assert_nonnull(strstr(above->reason, "limit of CPU time"));
}

/* Not only between steps: content may be of any size. */
static void
test_cpu_inside(void)
{
	struct reading_options options = people_options(people);

	options.cpu_ms = slow_clock;
	options.cpu_max_ms = 8 * 100;
	for (guint lines = 100; lines <= 100000; lines *= 1000) {
		g_autoptr(GString) text = g_string_new(FROM_ALICE "\r\n");
		CLEANUP(spool) struct spool *message = NULL;
		CLEANUP(reading) struct reading *reading = NULL;

		for (guint i = 0; i < lines; i++)
			g_string_append(text, "thirty characters are one line\r\n");
		message = mail_nested(people, text->str, "s");
		reading = people_read_with(people, message, &options);
		g_assert_cmpint(reading->verdict, ==, lines > 100 ? MAIL_MALFORMED : MAIL_VALID);
	}
}

/* RSA with 1024 bits, which we neither make nor encrypt to any more. */
static const char weak_key[] =
    "MIICeAIBADANBgkqhkiG9w0BAQEFAASCAmIwggJeAgEAAoGBAMJq4WmDFGqb0Z6jVw/Qt9XBXdc6pclpPpDl"
    "raZcW1PW5q0oxhUZSiX321IrFldiwowYCpSAlJIU2uFtix6k/2hnfV798T0bA+zOXI4jcbcSM6FfnwmlMV/A"
    "CI9tj0hiwcm7Z6dENF4Y/H9JeE+XirvR4q2H5Kt6PGUQF5bfzzMHAgMBAAECgYEAvyqLFM2v8JfgiSVBQSrQ"
    "6J0nIa/oPmB/Bcjhc7hSkOC5l8CE7VAdqbHKdUQqxqg0db5aAOVhsTZSduDYr7w76fzH8BM0o7bYCCbToh56"
    "CjoNzeJTdcslEIH7Ba9RGq/S3Uwcn5P4haJs+Bn9ERAf+kNDkF5x/9y0e1Dv5FIjhOECQQDp4UWURBlhAeP2"
    "4TD9ApHLqA7DNcQ9CemQOoL96+FvMDchnaRvCJdVcPVrYnuXKQZRNrsqRKMJ710RfJuWHM1XAkEA1M4jmBTq"
    "speRc/Tf8ssZ5cio9uT0UrnzHR2T8ercmuKxdc8xTlwKmsaMwHb2bXEoMP5PBfGfHRW+fcnHMdiJ0QJABFNC"
    "MifAQGcEjEBF46f0gkutWjbYVjiktSIf4gpGtQOzQU/lBpimE9Ju93lux7DeiQn2FCYIzdo7YmNnjTMjKQJB"
    "AJIWST0X7t5XSpTt3+dPIiIqlEOZfVhlKs4sBeonLvZs9SJI8DI44VbLQsjFYfpTmiG4EwujiXVv/etgX4yK"
    "eGECQQCIg/2OEdJtGvS7PZZcFtt4ANURIQ/xkJ/ALvNAnVroWKt3vYPnEBkamlm1CJPOqlVUuEopuK/lu3I5"
    "9fuxU9IX";
static const char weak_certificate[] =
    "MIICEjCCAXugAwIBAgIUcr6T/5xTLHOgigz1awIGw0Tf1rkwDQYJKoZIhvcNAQELBQAwDDEKMAgGA1UEAwwB"
    "YjAgFw0yNjExMjIwMzEyNTlaGA8yMTI2MTAyOTAzMTI1OVowDDEKMAgGA1UEAwwBYjCBnzANBgkqhkiG9w0B"
    "AQEFAAOBjQAwgYkCgYEAwmrhaYMUapvRnqNXD9C31cFd1zqlyWk+kOWtplxbU9bmrSjGFRlKJffbUisWV2LC"
    "jBgKlICUkhTa4W2LHqT/aGd9Xv3xPRsD7M5cjiNxtxIzoV+fCaUxX8AIj22PSGLBybtnp0Q0Xhj8f0l4T5eK"
    "u9HirYfkq3o8ZRAXlt/PMwcCAwEAAaNvMG0wHQYDVR0OBBYEFOEGPPPwGwq/wOaXMm0ovFi1ZiK0MB8GA1Ud"
    "IwQYMBaAFOEGPPPwGwq/wOaXMm0ovFi1ZiK0MA8GA1UdEwEB/wQFMAMBAf8wGgYDVR0RBBMwEYEPYm9iQGV4"
    "YW1wbGUuY29tMA0GCSqGSIb3DQEBCwUAA4GBAHoY9SD7MmgZ+coh1so4SapHd15pq9KWh+LKH19Bn1hwasE+"
    "pEONbv2QLV+hJPj2v1bIMCZYxgjSsHT56OzwiBd52mEy+hnBFKVyq1fOjmydJdispf5K1iJXxaJvjQp99Zrf"
    "75U4RVGFnmgEqRz/V99dtXzCiG+rz6kIWDRYMR2c";
/* AES-128 in CBC to it. */
static const char to_weak_key[] =
    "MIIBNQYJKoZIhvcNAQcDoIIBJjCCASICAQAxgb4wgbsCAQAwJDAMMQowCAYDVQQDDAFiAhRyvpP/nFMsc6CK"
    "DPVrAgbDRN/WuTANBgkqhkiG9w0BAQEFAASBgAMdm2ivgciIBwX7IkfVL8Cchkbatee+whIGcw/1z3mxVhNH"
    "E7fJjNLl73Qqvey9xlSOMma6/G1V/eHDpwbynpPKnorbyIDdpxITLHw+Df7saYf+h3fmSUo4gk+fwTCZOaKR"
    "KuV0fTExsQ0qPvlwCGJF//7bpMfXuu24m7cCTPWFMFwGCSqGSIb3DQEHATAdBglghkgBZQMEAQIEEHz0xjVq"
    "xtgp9LTzffeegZCAMMv4dKkcI4mf5Dhgm7a+WntWan2Ycx0k7Zbtreb3lKlQQbOWcWHyCTlCdVNr2e7dag==";

static GBytes *
decoded(const char *text)
{
	gsize length;
	guchar *bytes = g_base64_decode(text, &length);

	return g_bytes_new_take(bytes, length);
}

/* A key that only legacy_algorithms allows is not used, which is known before. */
static void
test_weak_key(void)
{
	g_autoptr(GBytes) key = decoded(weak_key);
	g_autoptr(GBytes) der = decoded(weak_certificate);
	g_autoptr(GBytes) object = decoded(to_weak_key);
	CLEANUP(secret)
	struct secret *secret = secret_new(g_bytes_get_data(key, NULL), g_bytes_get_size(key));
	CLEANUP(spool) struct spool *message = mail_of_object(people, object, NULL);
	CLEANUP(reading) struct reading *closed = NULL;
	CLEANUP(reading) struct reading *opened = NULL;
	struct people weak = *people;
	struct reading_options options = people_options(&weak);

	weak.bob.key = key_parse_pkcs8(secret, NULL);
	weak.bob.cert = cert_parse(der, NULL);
	g_assert_nonnull(weak.bob.key);
	g_assert_nonnull(weak.bob.cert);
	closed = people_read_with(&weak, message, &options);
	g_assert_cmpint(closed->closed, ==, READING_UNSUPPORTED);
	g_assert_cmpint(closed->verdict, ==, MAIL_UNDECRYPTABLE);
	g_assert_null(closed->opened);
	options.legacy = TRUE;
	opened = people_read_with(&weak, message, &options);
	g_assert_cmpint(opened->closed, ==, READING_OPEN);
	g_assert_nonnull(opened->opened);
	key_unref(weak.bob.key);
	cert_unref(weak.bob.cert);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	people = people_new();
	g_test_add_func("/reading/limit/layers", test_layers);
	g_test_add_func("/reading/limit/CPU time", test_cpu);
	g_test_add_func("/reading/limit/CPU time inside of a step", test_cpu_inside);
	g_test_add_func("/reading/limit/signers", test_signers);
	g_test_add_func("/reading/limit/signature checks", test_checks);
	g_test_add_func("/reading/limit/compressed", test_compressed);
	g_test_add_func("/reading/limits/a key of old", test_weak_key);
	status = g_test_run();
	people_free(people);
	return status;
}
