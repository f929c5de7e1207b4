/*
 * bench_crl - a revocation list of a million entries (P10): read, held, asked, loaded.
 *
 *     bench_crl [--entries N] [--no-database]
 *
 * The list is made in process; OpenSSL reads the same bytes in the same run, in turns. With a
 * scratch database it is loaded as the daemon does, until another node answers "revoked" for the
 * first, the middle and the last serial, and then replaced by a newer one.
 */
#include <glib.h>
#include <malloc.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "pki/crl_load.h"
#include "pki/crypto/chain.h"
#include "pki/crypto/internal.h"
#include "pki/trust.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/db/changelog.h"
#include "store/preferences.h"
#include "tests/unit/pki/store_fixture.h"
#include "tests/unit/pki/cert_fixture.h"

#define ROUNDS 5
#define LOOK_UPS 1000000
#define CHECKS 2000
#define SERIAL_BYTES 16

static gint entries = 1000000;
static gboolean no_database;
static struct node root, leaf;
static guint8 *serials; /* entries of SERIAL_BYTES, in no order */

static void
put_header(GByteArray *out, guint8 tag, gsize length)
{
	guint8 header[6] = { tag };
	guint n = 1;

	if (length < 128) {
		header[n++] = (guint8)length;
	} else {
		guint bytes = length < 256 ? 1 : length < 65536 ? 2 : length < (1 << 24) ? 3 : 4;

		header[n++] = (guint8)(0x80 | bytes);
		for (guint i = bytes; i > 0; i--)
			header[n++] = (guint8)(length >> (8 * (i - 1)));
	}
	g_byte_array_append(out, header, n);
}

static void
put(GByteArray *out, guint8 tag, const GByteArray *contents)
{
	put_header(out, tag, contents->len);
	g_byte_array_append(out, contents->data, contents->len);
}

static void
put_time(GByteArray *out, gint64 at)
{
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(at);
	g_autofree char *text = g_date_time_format(time, "%y%m%d%H%M%SZ");

	put_header(out, 0x17, 13);
	g_byte_array_append(out, (const guint8 *)text, 13);
}

/* One entry: half of them with a reason code. */
static void
put_entry(GByteArray *out, const guint8 *serial, gboolean with_reason)
{
	static const guint8 reason[] = { 0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55,
					 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01, 0x04 };

	put_header(out, 0x30, 2 + SERIAL_BYTES + 15 + (with_reason ? sizeof(reason) : 0));
	put_header(out, 0x02, SERIAL_BYTES);
	g_byte_array_append(out, serial, SERIAL_BYTES);
	g_byte_array_append(out,
			    (const guint8 *)"\x17\x0d"
					    "260101000000Z",
			    15);
	if (with_reason)
		g_byte_array_append(out, reason, sizeof(reason));
}

static void
put_extensions(GByteArray *tbs, guint number)
{
	const ASN1_OCTET_STRING *ski = X509_get0_subject_key_id(cert_x509(root.cert));
	guint8 list[] = { 0xa0, 0x2f, 0x30, 0x2d, 0x30, 0x1f, 0x06, 0x03, 0x55,
			  0x1d, 0x23, 0x04, 0x18, 0x30, 0x16, 0x80, 0x14 };
	guint8 last[] = { 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x14, 0x04, 0x03, 0x02, 0x01, 0 };

	g_assert_cmpint(ASN1_STRING_length(ski), ==, 20);
	last[11] = (guint8)number;
	g_byte_array_append(tbs, list, sizeof(list));
	g_byte_array_append(tbs, ASN1_STRING_get0_data(ski), 20);
	g_byte_array_append(tbs, last, sizeof(last));
}

static GBytes *
sign_list(const GByteArray *tbs)
{
	static const guint8 algorithm[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
					    0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };
	g_autoptr(EVP_MD_CTX) context = EVP_MD_CTX_new();
	g_autoptr(GByteArray) signature = g_byte_array_new();
	g_autoptr(GByteArray) inside = g_byte_array_sized_new(tbs->len + 200);
	g_autoptr(GByteArray) list = g_byte_array_sized_new(tbs->len + 210);
	guint8 value[200] = { 0 };
	gsize length = sizeof(value) - 1;

	g_assert_cmpint(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key_pkey(root.key)),
			==, 1);
	g_assert_cmpint(EVP_DigestSign(context, value + 1, &length, tbs->data, tbs->len), ==, 1);
	g_byte_array_append(signature, value, (guint)length + 1);
	g_byte_array_append(inside, tbs->data, tbs->len);
	g_byte_array_append(inside, algorithm, sizeof(algorithm));
	put(inside, 0x03, signature);
	put(list, 0x30, inside);
	return g_byte_array_free_to_bytes(g_steal_pointer(&list));
}

static GBytes *
make_list(guint number, gint without)
{
	static const guint8 algorithm[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
					    0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };
	g_autoptr(GByteArray) revoked = g_byte_array_sized_new((guint)entries * 50);
	g_autoptr(GByteArray) parts = g_byte_array_sized_new((guint)entries * 50 + 400);
	g_autoptr(GByteArray) tbs = g_byte_array_sized_new((guint)entries * 50 + 410);
	unsigned char *name = NULL;
	int length = i2d_X509_NAME(X509_get_subject_name(cert_x509(root.cert)), &name);

	for (gint i = without; i < entries; i++)
		put_entry(revoked, serials + (gsize)i * SERIAL_BYTES, i % 2 == 0);
	g_byte_array_append(parts, (const guint8 *)"\x02\x01\x01", 3);
	g_byte_array_append(parts, algorithm, sizeof(algorithm));
	g_byte_array_append(parts, name, (guint)length);
	OPENSSL_free(name);
	put_time(parts, PKI_NOW - 3600 + number);
	put_time(parts, PKI_NOW + 7 * PKI_DAY);
	put(parts, 0x30, revoked);
	put_extensions(parts, number);
	put(tbs, 0x30, parts);
	return sign_list(tbs);
}

/* Of this thread: others that run on the machine do not count. */
static gint64
cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

static double
cpu_since(gint64 started_us)
{
	return (double)(cpu_us() - started_us) / 1e6;
}

static double
seconds_since(gint64 started_us)
{
	return (double)(clock_monotonic_us() - started_us) / 1e6;
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *values, gsize n)
{
	qsort(values, n, sizeof(*values), compare_doubles);
	return values[n / 2];
}

static char *
serial_text(gint i)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (gint k = 0; k < SERIAL_BYTES; k++)
		g_string_append_printf(text, "%02x", serials[(gsize)i * SERIAL_BYTES + (gsize)k]);
	return g_strdup(text->str + strspn(text->str, "0"));
}

static gsize
heap_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

/* --- reading and holding --- */

static void
measure_reading(GBytes *der)
{
	double ours[ROUNDS], theirs[ROUNDS];
	gsize length, ours_bytes = 0, theirs_bytes = 0;
	const unsigned char *bytes = g_bytes_get_data(der, &length);

	for (int round = 0; round < ROUNDS; round++) {
		gsize before = heap_bytes();
		gint64 started = cpu_us();
		CLEANUP(crl)
		struct crl *crl = crl_restore(der, "x", cert_spki_sha256(root.cert), NULL);
		ours[round] = cpu_since(started);
		ours_bytes = heap_bytes() - before;
		g_assert_cmpuint(crl_entry_count(crl), ==, (gsize)entries);

		before = heap_bytes();
		const unsigned char *p = bytes;
		started = cpu_us();
		g_autoptr(X509_CRL) stock = d2i_X509_CRL(NULL, &p, (long)length);
		theirs[round] = cpu_since(started);
		theirs_bytes = heap_bytes() - before;
		g_assert_nonnull(stock);
	}
	double us = median(ours, ROUNDS), them = median(theirs, ROUNDS);
	printf("list: %d entries, %.1f MiB of DER\n", entries, (double)length / 1048576);
	printf("read into usable: %.0f ms, d2i_X509_CRL %.0f ms, ratio %.3f (goal <= 200 ms)\n",
	       us * 1e3, them * 1e3, us / them);
	printf("held: %.1f bytes an entry, X509_CRL %.1f, ratio %.3f (goal <= 30)\n",
	       (double)ours_bytes / entries, (double)theirs_bytes / entries,
	       (double)ours_bytes / (double)theirs_bytes);
}

static void
measure_look_up(GBytes *der)
{
	CLEANUP(crl) struct crl *crl = crl_restore(der, "x", cert_spki_sha256(root.cert), NULL);
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
	struct crl_item item;
	guint32 dice = 1;
	guint found = 0;

	for (guint i = 0; i < 4096; i++) {
		dice = dice * 1664525 + 1013904223;
		g_ptr_array_add(texts, serial_text((gint)(dice % (guint)entries)));
	}
	gint64 started = cpu_us();
	for (guint i = 0; i < LOOK_UPS; i++)
		found += crl_find(crl, NULL, texts->pdata[i % 4096], &item);
	g_assert_cmpuint(found, ==, LOOK_UPS);
	printf("look-up: %.3f us (goal <= 1)\n", cpu_since(started) * 1e6 / LOOK_UPS);
}

static double
check_chains(GPtrArray *crls, enum chain_revocation mode)
{
	g_autoptr(GPtrArray) anchors = pki_certs(root.cert, NULL);
	struct chain_options options = { .anchors = anchors,
					 .crls = crls,
					 .at = PKI_NOW,
					 .purpose = CHAIN_PURPOSE_ENCRYPT,
					 .revocation = mode };
	gint64 started = cpu_us();

	for (int i = 0; i < CHECKS; i++) {
		CLEANUP(chain_report)
		struct chain_report *report = chain_check(leaf.cert, &options, NULL);
		g_assert_cmpint(report->verdict, ==, CHAIN_VALID);
	}
	return cpu_since(started);
}

static void
measure_chains(GBytes *der)
{
	g_autoptr(GPtrArray) crls = g_ptr_array_new_with_free_func((GDestroyNotify)crl_unref);
	double ratios[ROUNDS], without = 0;

	g_ptr_array_add(crls, crl_restore(der, "x", cert_spki_sha256(root.cert), NULL));
	for (int round = 0; round < ROUNDS; round++) {
		without = check_chains(NULL, CHAIN_REVOCATION_OFF);
		ratios[round] = check_chains(crls, CHAIN_REVOCATION_REQUIRED) / without;
	}
	printf("verification with the list against none: %.3f (goal <= 1.05); none: %.1f us\n",
	       median(ratios, ROUNDS), without * 1e6 / CHECKS);
}

/* --- the store --- */

static void
load(struct world *world, GBytes *der, const char *what)
{
	CLEANUP(crl_loader) struct crl_loader *loader = crl_loader_new(world->db, NULL);
	g_autofree char *reason = NULL;
	g_autoptr(GError) error = NULL;
	enum crl_load_outcome outcome;
	gint64 started = clock_monotonic_us();

	g_assert_true(crl_load(loader, der, "http://x/", &outcome, &reason, &error));
	g_assert_no_error(error);
	g_assert_cmpint(outcome, ==, CRL_LOAD_IN_FORCE);
	printf("%s: %.2f s into the store\n", what, seconds_since(started));
}

static struct cert *
cert_with_serial(gint i)
{
	g_autofree char *serial = serial_text(i);
	struct leaf wanted = { .common_name = "Revoked",
			       .email = "revoked@example.com",
			       .serial = serial };
	struct node node = pki_leaf(&root, &wanted);

	key_unref(node.key);
	return node.cert;
}

static void
await_revoked(struct trust *trust, struct cert *cert)
{
	for (;;) {
		CLEANUP(verdict)
		struct verdict *verdict = trust_judge_with(
		    trust, cert, TRUST_ENCRYPT, trust_mode_of(NULL, TRUST_ENCRYPT), NULL);
		if (verdict != NULL && verdict->state == VERDICT_REVOKED)
			return;
		g_usleep(2000);
	}
}

static void
measure_store(GBytes *der)
{
	struct world world = { .pg = scratch_pg_start() };
	g_autoptr(GError) error = NULL;

	if (world.pg == NULL || !world_up(&world))
		return;
	world_root(&world, root.cert);
	struct changelog *changelog =
	    changelog_start(world.db, scratch_pg_settings(world.pg), &error);
	struct trust *node = trust_new(world.db, changelog, world.clock, world.preferences, NULL);
	struct cert *certs[] = { cert_with_serial(0), cert_with_serial(entries / 2),
				 cert_with_serial(entries - 1) };
	for (gsize i = 0; i < G_N_ELEMENTS(certs); i++)
		verdict_unref(trust_judge_with(node, certs[i], TRUST_ENCRYPT,
					       trust_mode_of(NULL, TRUST_ENCRYPT), NULL));
	load(&world, der, "first list");
	gint64 started = clock_monotonic_us();
	for (gsize i = 0; i < G_N_ELEMENTS(certs); i++)
		await_revoked(node, certs[i]);
	printf("another node says revoked for all three %.0f ms after the commit\n",
	       seconds_since(started) * 1e3);
	g_autoptr(GBytes) newer = make_list(2, entries / 100);
	load(&world, newer, "its successor, without the first hundredth");
	started = clock_monotonic_us();
	for (gsize i = 0; i < G_N_ELEMENTS(certs); i++) {
		await_revoked(node, certs[i]);
		cert_unref(certs[i]);
	}
	printf("another node has it, past revocations too, within %.0f ms\n",
	       seconds_since(started) * 1e3);
	trust_free(node);
	changelog_stop(changelog);
	world_down(&world);
	scratch_pg_stop(world.pg);
}

int
main(int argc, char **argv)
{
	static const GOptionEntry options[] = {
		{ "entries", 0, 0, G_OPTION_ARG_INT, &entries, "how many", "N" },
		{ "no-database", 0, 0, G_OPTION_ARG_NONE, &no_database, "only in memory", NULL },
		{ NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	g_autoptr(GRand) dice = g_rand_new_with_seed(1);

	g_option_context_add_main_entries(context, options, NULL);
	if (!g_option_context_parse(context, &argc, &argv, NULL) || entries < 100)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	serials = g_malloc((gsize)entries * SERIAL_BYTES);
	for (gsize i = 0; i < (gsize)entries * SERIAL_BYTES; i++)
		serials[i] =
		    (guint8)(i % SERIAL_BYTES == 0 ? 1 + g_rand_int(dice) % 127 : g_rand_int(dice));
	root = pki_root("Bench");
	struct leaf good = { .common_name = "Good", .email = "good@example.com" };
	leaf = pki_leaf(&root, &good);
	g_autoptr(GBytes) der = make_list(1, 0);
	measure_reading(der);
	measure_look_up(der);
	measure_chains(der);
	if (!no_database)
		measure_store(der);
	node_clear(&leaf);
	node_clear(&root);
	g_free(serials);
	return 0;
}
