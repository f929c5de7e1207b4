/*
 * CMP: transactions with a CA in the process (tests/support/cmp_server), cut at every message.
 */
#include <glib.h>
#include <string.h>

#include "pki/crypto/cmp.h"
#include "pki/crypto/csr.h"
#include "pki/handlers/cmp_failure.h"
#include "store/base/error.h"
#include "store/base/secret.h"
#include "tests/support/cmp_server.h"

#define SECRET "correct horse"

struct side {
	struct cmp_server *server;
	struct cmp_peer peer;
	struct key *key;
	GBytes *csr;
	char *journal;
	guint sent, cut_at;  /* number of the message that is not answered; 0: none */
	gboolean cut_before; /* it does not even reach the server */
	gboolean unwanted, spoil;
	guint saves;
	GPtrArray *trusted;
	struct secret *secret;
};

static GBytes *
exchange(gpointer data, GBytes *message, GError **error)
{
	struct side *side = data;
	gboolean cut = ++side->sent == side->cut_at;

	if (cut && side->cut_before)
		return fail(error, PS_ERROR_TEMPORARY, "cut");
	GBytes *answer = cmp_server_answer(side->server, message);
	if (cut) {
		g_bytes_unref(answer);
		return fail(error, PS_ERROR_TEMPORARY, "cut");
	}
	if (side->spoil && answer != NULL) {
		gsize length;
		guint8 *bytes = g_bytes_unref_to_data(answer, &length);
		guint8 *name = memmem(bytes, length, "CMP test", 8); /* the sender */
		g_assert_nonnull(name);
		name[4] ^= 1;
		answer = g_bytes_new_take(bytes, length);
	}
	return answer != NULL ? answer : g_bytes_new_static("nothing", 7);
}

static gboolean
save(gpointer data, const char *journal, GError **error G_GNUC_UNUSED)
{
	struct side *side = data;

	g_free(side->journal);
	side->journal = g_strdup(journal);
	side->saves++;
	return TRUE;
}

static gboolean
take(gpointer data, struct cert *cert, GError **error)
{
	struct side *side = data;

	return !side->unwanted && key_fits(side->key, cert)
		   ? TRUE
		   : fail_false(error, PS_ERROR_INVALID, "it is not mine");
}

static void
side_up(struct side *side, const struct cmp_server_options *options)
{
	struct issue_names names = { .common_name = "Anna",
				     .emails =
					 (const char *const[]){ "anna@inside.example", NULL } };
	struct cmp_server_options all = *options;

	if (all.failure == 0)
		all.failure = -1;
	if (all.secret == NULL) {
		all.reference = "ref";
		all.secret = SECRET;
	}
	*side = (struct side){ .server = cmp_server_new(&all) };
	side->key = key_generate(KEY_KIND_EC, 256, NULL);
	side->csr = csr_make(side->key, &names, ALGORITHM_UNKNOWN, NULL);
	side->trusted = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	g_ptr_array_add(side->trusted, cert_parse(cmp_server_ca(side->server), NULL));
	side->secret = secret_new_text(SECRET);
	side->peer = (struct cmp_peer){ .reference = "ref",
					.secret = side->secret,
					.trusted = side->trusted,
					.digest = "sha256",
					.mac = "hmacWithSHA256",
					.exchange = exchange,
					.save = save,
					.accept = take,
					.data = side };
}

static void
side_down(struct side *side)
{
	cmp_server_free(side->server);
	key_unref(side->key);
	g_bytes_unref(side->csr);
	g_free(side->journal);
	g_ptr_array_unref(side->trusted);
	secret_unref(side->secret);
}

static gboolean
enroll(struct side *side, enum cmp_command command, gboolean implicit, struct cmp_result *result)
{
	g_autofree char *journal = g_strdup(side->journal);
	struct cmp_order order = { .command = command,
				   .key = side->key,
				   .csr = side->csr,
				   .implicit_confirm = implicit,
				   .journal = journal };
	g_autoptr(GError) error = NULL;

	gboolean good = cmp_enroll(&side->peer, &order, result, &error);
	g_assert_true(good == (error == NULL));
	return good;
}

static void
assert_certified(struct side *side, struct cmp_result *result)
{
	if (result->outcome != CMP_DONE)
		g_test_message("%s", result->text);
	g_assert_cmpint(result->outcome, ==, CMP_DONE);
	g_assert_cmpuint(result->certs->len, >=, 1);
	g_assert_true(key_fits(side->key, result->certs->pdata[0]));
	g_assert_cmpuint(cmp_server_confirmed(side->server), ==, 1);
	g_assert_cmpuint(cmp_server_issued(side->server), ==, 1);
}

/* Every command, at once and with waiting, each with and without implicit confirmation. */
static void
test_issue(void)
{
	static const enum cmp_command commands[] = { CMP_IR, CMP_CR, CMP_P10CR };

	for (guint i = 0; i < G_N_ELEMENTS(commands) * 4; i++) {
		gboolean implicit = (i & 1) != 0, waits = (i & 2) != 0;
		struct cmp_server_options options = { .polls = waits ? 3 : 0,
						      .check_after = 7,
						      .implicit_confirm = implicit };
		struct cmp_result result = { 0 };
		struct side side;
		guint rounds = 0;

		side_up(&side, &options);
		g_test_message("command %u, implicit %d, waits %d", i / 4, implicit, waits);
		g_assert_true(enroll(&side, commands[i / 4], implicit, &result));
		while (result.outcome == CMP_WAITING) {
			g_assert_cmpint(result.check_after, ==, 7);
			g_assert_cmpuint(++rounds, <, 10);
			cmp_result_clear(&result);
			g_assert_true(enroll(&side, commands[i / 4], implicit, &result));
		}
		if (result.outcome != CMP_DONE)
			g_test_message("%s", result.text);
		assert_certified(&side, &result);
		g_assert_cmpuint(rounds, ==, waits ? 2 : 0);
		cmp_result_clear(&result);
		side_down(&side);
	}
}

/* One message of the transaction gets no answer, before or after the CA has heard it; the next go
 * takes the journal. With confirmation there is one confirmed certificate in the end. */
static void
test_cut(void)
{
	for (guint i = 0; i < 7 * 2; i++) {
		struct cmp_server_options options = { .polls = 3, .check_after = 1 };
		struct cmp_result result = { 0 };
		struct side side;
		guint goes = 0, round;

		side_up(&side, &options);
		side.cut_at = i / 2 + 1;
		side.cut_before = (i & 1) == 0;
		g_test_message("message %u is lost %s", side.cut_at,
			       side.cut_before ? "before" : "after");
		for (;;) {
			gboolean good = enroll(&side, CMP_IR, FALSE, &result);
			if (good && result.outcome == CMP_DONE)
				break;
			/* What the handler does with a transaction that was never answered, or that
			 * the CA does not know any more. */
			if (!good && cmp_journal_stage(side.journal, &round) == CMP_STAGE_ASKED)
				g_clear_pointer(&side.journal, g_free);
			if (good && result.outcome == CMP_REFUSED) {
				g_assert_true(cmp_failure_forgotten(&result));
				g_clear_pointer(&side.journal, g_free);
			}
			g_assert_cmpuint(++goes, <, 20);
			cmp_result_clear(&result);
		}
		g_assert_cmpuint(cmp_server_confirmed(side.server), ==, 1);
		g_assert_true(key_fits(side.key, result.certs->pdata[0]));
		cmp_result_clear(&result);
		side_down(&side);
	}
}

static void
test_refused(void)
{
	/* C config, I input, T transient, L look first; by number of the bit */
	static const char classes[] = "CCITIICICIILCTTIIITICLCCTTL";
	static const char letters[] = { [HANDLER_ERROR_INPUT] = 'I',
					[HANDLER_ERROR_CONFIG] = 'C',
					[HANDLER_ERROR_TRANSIENT] = 'T',
					[HANDLER_ERROR_CONFLICT] = 'L' };

	g_assert_cmpuint(strlen(classes), ==, 27);
	for (int bit = 0; bit <= 26; bit++) {
		struct cmp_server_options options = { .failure = bit == 0 ? -1 : bit };
		struct cmp_result result = { 0 };
		struct side side;
		const char *name;

		side_up(&side, &options);
		cmp_server_options(side.server)->failure = bit;
		g_assert_true(enroll(&side, CMP_IR, FALSE, &result));
		g_assert_cmpint(result.outcome, ==, CMP_REFUSED);
		g_assert_cmpuint(result.failure, ==, 1u << bit);
		g_assert_cmpstr(result.text, ==, "the test says no");
		g_assert_false(result.failed);
		g_assert_cmpint(letters[cmp_failure_class(result.failure, &name)], ==,
				classes[bit]);
		g_assert_cmpstr(name, ==, cmp_failure_name((guint)bit));
		cmp_result_clear(&result);
		side_down(&side);
	}
	g_assert_null(cmp_failure_name(27));
}

static void
test_classes(void)
{
	static const struct {
		guint32 bits;
		enum handler_error_class error_class;
		const char *name;
	} rows[] = {
		{ 0, HANDLER_ERROR_INPUT, NULL },
		{ 1u << 24 | 1u << 25, HANDLER_ERROR_TRANSIENT, "systemUnavail" },
		{ 1u << 24 | 1u << 2, HANDLER_ERROR_INPUT, "badRequest" },
		{ 1u << 2 | 1u << 23, HANDLER_ERROR_CONFIG, "notAuthorized" },
		{ 1u << 23 | 1u << 26, HANDLER_ERROR_CONFLICT, "duplicateCertReq" },
		{ 1u << 31, HANDLER_ERROR_INPUT, NULL },
	};
	const char *name;

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_assert_cmpint(cmp_failure_class(rows[i].bits, &name), ==, rows[i].error_class);
		g_assert_cmpstr(name, ==, rows[i].name);
	}
}

/* What cannot be believed is no answer: a turned bit, a wrong secret, no message at all. */
static void
test_unbelievable(void)
{
	struct cmp_server_options options = { 0 };
	struct cmp_result result = { 0 };
	struct side side;

	side_up(&side, &options);
	side.spoil = TRUE;
	g_assert_true(enroll(&side, CMP_IR, FALSE, &result));
	g_assert_cmpint(result.outcome, ==, CMP_UNBELIEVABLE);
	g_assert_cmpuint(cmp_server_confirmed(side.server), ==, 0);
	g_assert_null(strchr(side.journal + 5, ' '));
	cmp_result_clear(&result);
	side_down(&side);

	side_up(&side, &options);
	CLEANUP(secret) struct secret *wrong = secret_new_text("wrong");
	side.peer.secret = wrong;
	side.peer.trusted = NULL;
	g_assert_true(enroll(&side, CMP_IR, FALSE, &result));
	g_assert_cmpint(result.outcome, ==, CMP_UNBELIEVABLE);
	g_assert_true(result.failed);
	g_assert_cmpuint(cmp_server_issued(side.server), ==, 0);
	cmp_result_clear(&result);
	side_down(&side);
}

/* What is not what was asked for goes back to the CA. */
static void
test_sent_back(void)
{
	struct cmp_server_options options = { 0 };
	struct cmp_result result = { 0 };
	struct side side;

	side_up(&side, &options);
	side.unwanted = TRUE;
	g_assert_true(enroll(&side, CMP_P10CR, FALSE, &result));
	g_assert_cmpint(result.outcome, ==, CMP_NOT_ACCEPTED);
	g_assert_cmpstr(result.text, ==, "it is not mine");
	g_assert_cmpuint(cmp_server_rejected(side.server), ==, 1);
	g_assert_cmpuint(cmp_server_confirmed(side.server), ==, 0);
	cmp_result_clear(&result);
	side_down(&side);
}

/* Signatures both ways; a renewal under the old certificate; revocation; the CA's certificates. */
static void
test_life(void)
{
	struct cmp_server_options options = { 0 };
	struct cmp_result result = { 0 };
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) key_der = NULL;
	struct side side;

	side_up(&side, &options);
	g_autoptr(GBytes) ra_der = cmp_server_client(side.server, "the RA", &key_der);
	CLEANUP(cert) struct cert *ra = cert_parse(ra_der, &error);
	CLEANUP(secret)
	struct secret *pkcs8 =
	    secret_new(g_bytes_get_data(key_der, NULL), g_bytes_get_size(key_der));
	CLEANUP(key) struct key *ra_key = key_parse_pkcs8(pkcs8, &error);
	side.peer.secret = NULL;
	side.peer.signer = ra;
	side.peer.signer_key = ra_key;
	g_assert_true(enroll(&side, CMP_CR, FALSE, &result));
	assert_certified(&side, &result);
	CLEANUP(cert) struct cert *first = cert_ref(result.certs->pdata[0]);
	cmp_result_clear(&result);

	CLEANUP(key) struct key *next = key_generate(KEY_KIND_EC, 256, NULL);
	struct cmp_order order = { .command = CMP_KUR, .key = next, .csr = side.csr, .old = first };
	struct key *old_key = side.key;
	side.peer.signer = first;
	side.peer.signer_key = old_key;
	side.key = next;
	g_assert_true(cmp_enroll(&side.peer, &order, &result, &error));
	g_assert_cmpint(result.outcome, ==, CMP_DONE);
	g_assert_true(key_fits(next, result.certs->pdata[0]));
	cmp_result_clear(&result);
	side.key = old_key;

	g_assert_true(cmp_revoke(&side.peer, first, 4, &result, &error));
	g_assert_cmpint(result.outcome, ==, CMP_DONE);
	g_assert_cmpuint(cmp_server_revoked(side.server), ==, 1);
	cmp_result_clear(&result);
	cmp_server_options(side.server)->failure = 10;
	g_assert_true(cmp_revoke(&side.peer, first, -1, &result, &error));
	g_assert_cmpint(result.outcome, ==, CMP_REFUSED);
	g_assert_cmpuint(result.failure, ==, 1u << 10);
	cmp_result_clear(&result);

	g_assert_true(cmp_ca_certs(&side.peer, &result, &error));
	g_assert_cmpint(result.outcome, ==, CMP_DONE);
	g_assert_cmpuint(result.certs->len, ==, 1);
	g_assert_true(cert_equal(result.certs->pdata[0], side.trusted->pdata[0]));
	cmp_result_clear(&result);
	side_down(&side);
}

static void
test_journal(void)
{
	static const struct {
		const char *text;
		enum cmp_stage stage;
		guint round;
	} rows[] = {
		{ "", CMP_STAGE_NONE, 0 },
		{ "held", CMP_STAGE_NONE, 0 },
		{ "cmp1:0:00112233445566778899aabbccddeeff", CMP_STAGE_ASKED, 0 },
		{ "cmp1:2:00112233445566778899aabbccddeeff", CMP_STAGE_ASKED, 2 },
		{ "cmp1:2:00112233445566778899aabbccddeef", CMP_STAGE_NONE, 0 },
		{ "cmp1:-1:00112233445566778899aabbccddeeff", CMP_STAGE_NONE, 0 },
		{ "cmp1:2000:00112233445566778899aabbccddeeff", CMP_STAGE_NONE, 0 },
		{ "cmp1:2:00112233445566778899aabbccddeeff:MAA=", CMP_STAGE_ANSWERED, 2 },
		{ "cmp1:2:00112233445566778899aabbccddeeff:", CMP_STAGE_NONE, 0 },
		{ "cmp1:2:00112233445566778899aabbccddeeff:MAA=:MAA=:MAA=:MAA=", CMP_STAGE_NONE,
		  0 },
	};
	guint round;

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("%s", rows[i].text);
		g_assert_cmpint(cmp_journal_stage(rows[i].text, &round), ==, rows[i].stage);
		g_assert_cmpuint(round, ==, rows[i].round);
	}
	g_assert_cmpint(cmp_journal_stage(NULL, &round), ==, CMP_STAGE_NONE);
	g_autofree char *bare =
	    cmp_journal_unanswered("cmp1:2:00112233445566778899aabbccddeeff:MAA=");
	g_assert_cmpstr(bare, ==, "cmp1:2:00112233445566778899aabbccddeeff");
}

static void
test_names(void)
{
	static const struct {
		const char *text;
		gboolean good;
	} rows[] = {
		{ "/C=DE/O=Example/CN=Example CA", TRUE },
		{ "/CN=a\\/b", TRUE },
		{ "CN=Example", FALSE },
		{ "/CN", FALSE },
		{ "/=x", FALSE },
		{ "/Nonsense=x", FALSE },
		{ "/C=Germany", FALSE },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		g_test_message("%s", rows[i].text);
		g_assert_true(cmp_name_check(rows[i].text, &error) == rows[i].good);
		g_assert_true((error == NULL) == rows[i].good);
	}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cmp/issue", test_issue);
	g_test_add_func("/cmp/cut", test_cut);
	g_test_add_func("/cmp/refused", test_refused);
	g_test_add_func("/cmp/classes", test_classes);
	g_test_add_func("/cmp/unbelievable", test_unbelievable);
	g_test_add_func("/cmp/sent-back", test_sent_back);
	g_test_add_func("/cmp/life", test_life);
	g_test_add_func("/cmp/journal", test_journal);
	g_test_add_func("/cmp/names", test_names);
	return g_test_run();
}
