/*
 * The marker of our own copies: what counts, and everything a thief could do with one.
 */
#include <glib.h>
#include <string.h>

#include "milter/envelope.h"
#include "milter/marker.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "pki/crypto/seal.h"
#include "pki/keyring.h"
#include "store/base/error.h"
#include "store/config/settings.h"
#include "store/ledger.h"
#include "tests/unit/milter/copies_fixture.h"

struct scratch_pg *pg;

static const char *const recipients[] = { "bob@partner.example", "carol@partner.example",
					  "dan@partner.example" };

/* How it arrives. */
struct arrival {
	const char *what;
	const char *sender;        /* NULL: the right one */
	const char *recipients[4]; /* likewise */
	const char *body;          /* likewise */
	const char *client;        /* likewise; "" none */
	gint64 later;              /* seconds */
	const char *(*spoil)(char *value);
	enum marker_check check;
};

#define BODY "line one\r\n\r\n.\r\nlast line\r\n"

static const char *
cut_short(char *value)
{
	value[strlen(value) - 1] = '\0';
	return value;
}

static const char *
flip_mac(char *value)
{
	char *digit = value + strlen(value) - 1;

	*digit = *digit == '0' ? '1' : '0';
	return value;
}

static const char *
flip_nonce(char *value)
{
	char *digit = strstr(value, "n=") + 2;

	*digit = *digit == '0' ? '1' : '0';
	return value;
}

static const char *
other_generation(char *value)
{
	strstr(value, "g=1;")[2] = '2';
	return value;
}

static const char *
later_time(char *value)
{
	char *digit = strstr(value, "t=1795310507");

	digit[11] = '8';
	return value;
}

static const char *
upper_case(char *value)
{
	for (char *c = strstr(value, "n=") + 2; *c != '\0'; c++)
		*c = g_ascii_toupper(*c);
	return value;
}

static const char *
other_version(char *value)
{
	strstr(value, "v=1")[2] = '2';
	return value;
}

static const char *
more(char *value)
{
	static char text[512];

	g_snprintf(text, sizeof text, "%s; x=1", value);
	return text;
}

static const char *
padded(char *value)
{
	static char text[1024];

	g_snprintf(text, sizeof text, "%400s%s", "", value);
	return text;
}

static const char *
nothing(char *value)
{
	(void)value;
	return "";
}

static const char *
refolded(char *value)
{
	static char text[512];
	char *fold = strchr(value, '\n');

	*fold = ' ';
	g_snprintf(text, sizeof text, "\t%s ", value);
	return text;
}

static const struct arrival arrivals[] = {
	{ .what = "as it was made", .check = MARKER_GOOD },
	{ .what = "folded by somebody on the way", .spoil = refolded, .check = MARKER_GOOD },
	{ .what = "recipients in another order",
	  .recipients = { "dan@partner.example", "bob@partner.example", "carol@partner.example" },
	  .check = MARKER_GOOD },
	{ .what = "lines with bare LF",
	  .body = "line one\n\n.\nlast line\n",
	  .check = MARKER_GOOD },
	{ .what = "without the last line end",
	  .body = "line one\r\n\r\n.\r\nlast line",
	  .check = MARKER_GOOD },
	{ .what = "nine minutes later", .later = 540, .check = MARKER_GOOD },
	{ .what = "a clock that is behind", .later = -50, .check = MARKER_GOOD },
	{ .what = "another body",
	  .body = "line one\r\n\r\n.\r\nlast linE\r\n",
	  .check = MARKER_WRONG },
	{ .what = "a longer body", .body = BODY "more\r\n", .check = MARKER_WRONG },
	{ .what = "an empty line less",
	  .body = "line one\r\n.\r\nlast line\r\n",
	  .check = MARKER_WRONG },
	{ .what = "another sender", .sender = "mallory@corp.example", .check = MARKER_WRONG },
	{ .what = "the null sender", .sender = "", .check = MARKER_WRONG },
	{ .what = "another recipient",
	  .recipients = { "bob@partner.example", "carol@partner.example", "eve@evil.example" },
	  .check = MARKER_WRONG },
	{ .what = "one recipient more",
	  .recipients = { "bob@partner.example", "carol@partner.example", "dan@partner.example",
			  "eve@evil.example" },
	  .check = MARKER_WRONG },
	{ .what = "one recipient less",
	  .recipients = { "bob@partner.example", "carol@partner.example" },
	  .check = MARKER_WRONG },
	{ .what = "two recipients in one",
	  .recipients = { "bob@partner.examplecarol@partner.example", "dan@partner.example" },
	  .check = MARKER_WRONG },
	{ .what = "too late", .later = 601, .check = MARKER_TIME },
	{ .what = "from the future", .later = -61, .check = MARKER_TIME },
	{ .what = "from outside", .client = "198.51.100.7", .check = MARKER_NETWORK },
	{ .what = "from nowhere", .client = "", .check = MARKER_NETWORK },
	{ .what = "from what is no address", .client = "unknown", .check = MARKER_NETWORK },
	{ .what = "cut short", .spoil = cut_short, .check = MARKER_MALFORMED },
	{ .what = "another HMAC", .spoil = flip_mac, .check = MARKER_WRONG },
	{ .what = "another nonce", .spoil = flip_nonce, .check = MARKER_WRONG },
	{ .what = "a generation that does not exist",
	  .spoil = other_generation,
	  .check = MARKER_WRONG },
	{ .what = "made younger", .spoil = later_time, .check = MARKER_WRONG },
	{ .what = "in capitals", .spoil = upper_case, .check = MARKER_MALFORMED },
	{ .what = "another version", .spoil = other_version, .check = MARKER_MALFORMED },
	{ .what = "with something more", .spoil = more, .check = MARKER_MALFORMED },
	{ .what = "much too long", .spoil = padded, .check = MARKER_MALFORMED },
	{ .what = "empty", .spoil = nothing, .check = MARKER_MALFORMED },
};

static struct marker_subject
subject_of(const struct arrival *arrival, struct spool *body)
{
	const char *const *list = arrival->recipients[0] != NULL ? arrival->recipients : recipients;
	guint count = 0;

	while (count < (arrival->recipients[0] != NULL ? 4 : G_N_ELEMENTS(recipients)) &&
	       list[count] != NULL)
		count++;
	return (struct marker_subject){
		.sender = arrival->sender != NULL ? arrival->sender : "alice@corp.example",
		.recipients = list,
		.count = count,
		.body = body,
	};
}

static char *
make(struct bench *bench)
{
	static const struct arrival right = { .what = "" };
	CLEANUP(spool)
	struct spool *body = spool_from_bytes(bench->area, BODY, strlen(BODY), NULL);
	const struct marker_subject subject = subject_of(&right, body);
	g_autoptr(GError) error = NULL;
	char *marker = marker_make(bench->gateway->keyring, &subject, BENCH_NOW, &error);

	g_assert_no_error(error);
	return marker;
}

static enum marker_check
arrive(struct bench *bench, const struct arrival *arrival, const char *value, guint times)
{
	const char *text = arrival->body != NULL ? arrival->body : BODY;
	const char *client = arrival->client != NULL ? arrival->client : "127.0.0.1";
	CLEANUP(spool)
	struct spool *body = spool_from_bytes(bench->area, text, strlen(text), NULL);
	const struct marker_subject subject = subject_of(arrival, body);
	CLEANUP(headers) struct headers *headers = headers_new();
	g_autoptr(GError) error = NULL;
	enum marker_check check;

	for (guint i = 0; i < times; i++)
		g_assert_true(
		    headers_add(headers, "x-postseal-MARKER", value, strlen(value), NULL));
	check = marker_verify(
	    bench->gateway->keyring, bench->gateway->db, gateway_settings(bench->gateway), headers,
	    *client != '\0' ? client : NULL, &subject, BENCH_NOW + arrival->later, &error);
	g_assert_cmpint(error != NULL, ==, check == MARKER_UNKNOWN);
	return check;
}

static void
test_arrivals(void)
{
	struct bench bench;

	if (!bench_up(&bench))
		return;
	bench_set(&bench, "reinject_marker", "on");
	for (guint i = 0; i < G_N_ELEMENTS(arrivals); i++) {
		g_autofree char *marker = make(&bench);
		const char *value = arrivals[i].spoil != NULL ? arrivals[i].spoil(marker) : marker;
		enum marker_check check = arrive(&bench, &arrivals[i], value, 1);

		g_test_message("%s: %s", arrivals[i].what, marker_check_text(check));
		g_assert_cmpint(check, ==, arrivals[i].check);
	}
	bench_down(&bench);
}

static void
test_once(void)
{
	static const struct arrival right = { .what = "" };
	static const struct arrival wrong = { .body = "x" };
	struct bench bench;

	if (!bench_up(&bench))
		return;
	bench_set(&bench, "reinject_marker", "on");
	g_autofree char *marker = make(&bench);
	/* A wrong use does not use it up, and two of them are none. */
	g_assert_cmpint(arrive(&bench, &wrong, marker, 1), ==, MARKER_WRONG);
	g_assert_cmpint(arrive(&bench, &right, marker, 2), ==, MARKER_MALFORMED);
	g_assert_cmpint(arrive(&bench, &right, marker, 1), ==, MARKER_GOOD);
	g_assert_cmpint(arrive(&bench, &right, marker, 1), ==, MARKER_USED);
	g_assert_cmpint(arrive(&bench, &right, marker, 0), ==, MARKER_NONE);
	/* No two are alike. */
	g_autofree char *second = make(&bench);
	g_assert_cmpstr(marker, !=, second);
	g_assert_cmpint(arrive(&bench, &right, second, 1), ==, MARKER_GOOD);
	g_assert_cmpint(bench_count(&bench, "SELECT count(*) FROM ledger WHERE state = 'consumed'"
					    " AND expires > now() + interval '15 minutes'"),
			==, 2);
	bench_down(&bench);
}

static void
test_off_and_networks(void)
{
	static const struct arrival right = { .what = "" };
	static const struct arrival far = { .client = "198.51.100.7" };
	struct bench bench;

	if (!bench_up(&bench))
		return;
	g_autofree char *marker = make(&bench);
	g_assert_cmpint(arrive(&bench, &right, marker, 1), ==, MARKER_OFF);
	bench_set(&bench, "reinject_marker", "on");
	bench_set(&bench, "reinject_networks", "198.51.100.0/24");
	g_assert_cmpint(arrive(&bench, &right, marker, 1), ==, MARKER_NETWORK);
	g_assert_cmpint(arrive(&bench, &far, marker, 1), ==, MARKER_GOOD);
	bench_down(&bench);
}

/* The master key is rotated while copies are under way; the filter reads its file again. */
static void
test_rotation(void)
{
	static const struct arrival right = { .what = "" };
	struct bench bench;
	unsigned int generation;

	if (!bench_up(&bench))
		return;
	bench_set(&bench, "reinject_marker", "on");
	g_autofree char *before = make(&bench);
	g_assert_true(master_keys_add_generation(bench.key_file, &generation, NULL));
	g_assert_true(keyring_reload(bench.gateway->keyring, NULL));
	g_autofree char *after = make(&bench);
	g_autofree char *names = g_strdup_printf("g=%u;", generation);
	g_assert_nonnull(strstr(after, names));
	g_assert_cmpint(arrive(&bench, &right, before, 1), ==, MARKER_GOOD);
	g_assert_cmpint(arrive(&bench, &right, after, 1), ==, MARKER_GOOD);
	/* The number is under the HMAC: it cannot be led to another key. */
	g_autofree char *third = make(&bench);
	strstr(third, names)[2] = '1';
	g_assert_cmpint(arrive(&bench, &right, third, 1), ==, MARKER_WRONG);
	g_assert_true(master_keys_drop_generation(bench.key_file, 1, NULL));
	g_assert_true(keyring_reload(bench.gateway->keyring, NULL));
	g_assert_cmpint(arrive(&bench, &right, before, 1), ==, MARKER_WRONG);
	bench_down(&bench);
}

/* Whether it was used cannot be found out: then nothing is. */
static void
test_no_database(void)
{
	static const struct arrival right = { .what = "" };
	struct bench bench;

	if (!bench_up(&bench))
		return;
	bench_set(&bench, "reinject_marker", "on");
	g_autofree char *marker = make(&bench);
	scratch_pg_down(pg);
	g_assert_cmpint(arrive(&bench, &right, marker, 1), ==, MARKER_UNKNOWN);
	scratch_pg_up(pg);
	g_assert_cmpint(arrive(&bench, &right, marker, 1), ==, MARKER_GOOD);
	bench_down(&bench);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/marker/arrivals", test_arrivals);
	g_test_add_func("/marker/once", test_once);
	g_test_add_func("/marker/off and networks", test_off_and_networks);
	g_test_add_func("/marker/no database", test_no_database);
	g_test_add_func("/marker/rotation of the master key", test_rotation);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
