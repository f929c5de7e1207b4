/*
 * Whose keys open a message that comes in, how often it is read for how many recipients, and what
 * is known when the store is away.
 */
#include <string.h>

#include "milter/copies.h"
#include "milter/envelope.h"
#include "milter/failures.h"
#include "milter/file_message.h"
#include "milter/message/edits.h"
#include "milter/inbound.h"
#include "milter/mta.h"
#include "milter/reading.h"
#include "milter/session.h"
#include "milter/structure.h"
#include "store/base/error.h"
#include "tests/unit/milter/site_fixture.h"

#define NOW G_GINT64_CONSTANT(1790000000)
#define PLAIN                                                                                      \
	"From: stranger@partner.example\r\nTo: x@corp.example\r\nSubject: s\r\n"                   \
	"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nthe secret text\r\n"

static struct site *site;
static struct spool_area *area;

/* A message encrypted to these, NULL at the end. */
static struct spool *
encrypted_to(struct cert *const *certs)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) to = g_ptr_array_new();
	CLEANUP(spool)
	struct spool *plain = message_from_bytes(area, PLAIN, strlen(PLAIN), &error);
	struct message_encrypt_options options = { .recipients = to };
	struct spool *message;

	for (guint i = 0; certs[i] != NULL; i++)
		g_ptr_array_add(to, certs[i]);
	message = message_encrypt(area, plain, &options, &error);
	g_assert_no_error(error);
	return message;
}

struct asked {
	struct headers *headers;
	struct spool *body;
	struct envelope *envelope;
	struct structure *structure;
	struct ruling *ruling;
};

static void
asked_clear(struct asked *asked)
{
	ruling_free(asked->ruling);
	structure_free(asked->structure);
	envelope_free(asked->envelope);
	headers_unref(asked->headers);
	spool_unref(asked->body);
}

static struct asked
rule(struct spool *message, const char *recipients, struct failures *failures, GError **error)
{
	struct asked asked = { .envelope = envelope_new(), .body = spool_new(area) };
	g_auto(GStrv) to = g_strsplit(recipients, " ", -1);
	struct message_source source = { .failures = failures, .area = area };
	guint64 start = 0;

	asked.headers = headers_parse(message, 0, spool_size(message), &start, NULL);
	g_assert_true(spool_append_range(asked.body, message, start, spool_size(message), NULL));
	g_assert_true(spool_seal(asked.body, NULL));
	asked.structure = structure_read(asked.headers, asked.body, NULL);
	envelope_set_sender(asked.envelope, "<stranger@partner.example>", NULL);
	asked.envelope->client_address = g_strdup("192.0.2.1");
	for (guint i = 0; to[i] != NULL; i++)
		envelope_add_recipient(asked.envelope, to[i], NULL);
	source.envelope = asked.envelope;
	source.headers = asked.headers;
	source.structure = &asked.structure->facts;
	source.body = asked.body;
	asked.ruling = ruling_make(site_gateway(site), &source, error);
	return asked;
}

/* The states of the recipients in letters, and how many readings there are. */
static char *
states(const struct asked *asked)
{
	static const char letters[] = "-voc?";
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < asked->ruling->count; i++) {
		const struct gathered_recipient *recipient =
		    asked->ruling->gathered->recipients->pdata[i];

		g_string_append_c(text, letters[recipient->facts.inbound]);
	}
	g_string_append_printf(text, " %u", asked->ruling->gathered->openings->len);
	return g_string_free(text, FALSE);
}

static void
check(struct spool *message, const char *recipients, const char *expected)
{
	g_autoptr(GError) error = NULL;
	struct asked asked = rule(message, recipients, NULL, &error);
	g_autofree char *found = NULL;

	g_assert_no_error(error);
	found = states(&asked);
	g_test_message("%s: %s", recipients, found);
	g_assert_cmpstr(found, ==, expected);
	asked_clear(&asked);
}

static void
start(void)
{
	site_forget_preferences(site);
	site_prefer(site, "corp.example", "locality", "internal");
}

static void
test_whose(void)
{
	CLEANUP(cert)
	struct cert *dora = site_issue(site, "dora@corp.example", KEY_KIND_RSA, SITE_KEY_HELD);
	struct cert *const to[] = { dora, NULL };
	CLEANUP(spool) struct spool *message = encrypted_to(to);

	if (site_skip(site))
		return;
	start();
	check(message, "dora@corp.example", "o 1");
	check(message, "dora+tag@corp.example", "o 1");
	check(message, "emil@corp.example", "c 1");
	check(message, "dora@corp.example emil@corp.example", "oc 2");
	check(message, "boss@corp.example", "c 1");
	site_prefer(site, "dora@corp.example", "aliases", "boss@corp.example");
	check(message, "boss@corp.example", "o 1");
	site_prefer(site, "dora@corp.example", "decrypt", "off");
	check(message, "dora@corp.example", "c 1");
	site_prefer(site, "dora@corp.example", "smime", "off");
	check(message, "dora@corp.example", "- 0");
	check(message, "dora@partner.example", "- 0");
}

/* A certificate with one's own address over somebody else's public key opens nothing if it came by
 * itself; what an administrator imported is his decision. */
static void
test_borrowed_key(void)
{
	struct cert *mallorys, *deputys;
	CLEANUP(cert)
	struct cert *director = site_issue_twins(site, "director@corp.example",
						 "mallory@corp.example", "harvest", &mallorys);
	CLEANUP(cert)
	struct cert *chief =
	    site_issue_twins(site, "chief@corp.example", "deputy@corp.example", NULL, &deputys);
	struct cert *const to_director[] = { director, NULL };
	struct cert *const to_chief[] = { chief, NULL };
	CLEANUP(spool) struct spool *one = encrypted_to(to_director);
	CLEANUP(spool) struct spool *two = encrypted_to(to_chief);

	start();
	check(one, "mallory@corp.example", "c 1");
	check(one, "director@corp.example", "o 1");
	/* named under the other certificate of the same key */
	check(two, "deputy@corp.example", "o 1");
	cert_unref(mallorys);
	cert_unref(deputys);
}

static void
test_domain_key(void)
{
	CLEANUP(cert)
	struct cert *shared = site_issue(site, "gate@corp.example", KEY_KIND_RSA, SITE_KEY_HELD);
	struct cert *const to[] = { shared, NULL };
	CLEANUP(spool) struct spool *message = encrypted_to(to);
	GString *many = g_string_new("a0@corp.example");
	GString *expected = g_string_new("o");

	start();
	check(message, "fritz@corp.example", "c 1");
	site_select(site, "corp.example", "encrypt", shared);
	check(message, "fritz@corp.example", "c 1");
	site_select_decrypting(site, "corp.example", shared);
	check(message, "fritz@corp.example", "o 1");
	for (guint i = 1; i < 50; i++) {
		g_string_append_printf(many, " a%u@corp.example", i);
		g_string_append_c(expected, 'o');
	}
	g_string_append(expected, " 1");
	check(message, many->str, expected->str);
	g_string_free(many, TRUE);
	g_string_free(expected, TRUE);
}

/* Keys of their own, the same content: one copy for all. */
static void
test_many_keys(void)
{
	struct cert *to[6] = { NULL };
	g_autoptr(GString) names = g_string_new(NULL);
	CLEANUP(spool) struct spool *message = NULL;

	start();
	for (guint i = 0; i < 5; i++) {
		g_autofree char *name = g_strdup_printf("many%u@corp.example", i);

		to[i] = site_issue(site, name, KEY_KIND_RSA, SITE_KEY_HELD);
		g_string_append_printf(names, "%s%s", i > 0 ? " " : "", name);
	}
	message = encrypted_to(to);
	check(message, names->str, "ooooo 1");
	for (guint i = 0; i < 5; i++)
		cert_unref(to[i]);
}

/* The last octets of the base64 changed. */
static struct spool *
broken(struct spool *message)
{
	g_autoptr(GBytes) bytes = spool_bytes(message, 0, spool_size(message), 1 << 20, NULL);
	gsize size;
	g_autofree char *text = g_memdup2(g_bytes_get_data(bytes, &size), g_bytes_get_size(bytes));

	for (guint i = 0; i < 4; i++)
		text[size - 20 - i] = text[size - 20 - i] == 'A' ? 'B' : 'A';
	return spool_from_bytes(area, text, size, NULL);
}

static void
test_failures(void)
{
	CLEANUP(cert)
	struct cert *ida = site_issue(site, "ida@corp.example", KEY_KIND_RSA, SITE_KEY_HELD);
	struct cert *const to[] = { ida, NULL };
	CLEANUP(spool) struct spool *message = encrypted_to(to);
	CLEANUP(spool) struct spool *bad = broken(message);
	CLEANUP(failures) struct failures *failures = failures_new();

	start();
	for (guint i = 0; i <= FAILURES_MAX; i++) {
		struct asked asked = rule(bad, "ida@corp.example", failures, NULL);
		const struct gathered_recipient *recipient =
		    asked.ruling->gathered->recipients->pdata[0];

		g_assert_cmpint(recipient->facts.inbound, ==, INBOUND_CLOSED);
		g_assert_true(recipient->facts.key_named);
		asked_clear(&asked);
	}
	{
		struct asked asked = rule(message, "ida@corp.example", failures, NULL);
		const struct gathered_recipient *recipient =
		    asked.ruling->gathered->recipients->pdata[0];

		g_assert_cmpint(recipient->facts.inbound, ==, INBOUND_CLOSED);
		g_assert_true(recipient->facts.key_named);
		g_assert_cmpstr(reason_name(asked.ruling->plans[0].reason), ==,
				"leave.undecryptable");
		asked_clear(&asked);
	}
}

/* A key that does not open is not "no key". */
static void
test_unknown(void)
{
	CLEANUP(cert)
	struct cert *kurt = site_issue(site, "kurt@corp.example", KEY_KIND_RSA, SITE_KEY_HELD);
	CLEANUP(cert)
	struct cert *lena = site_issue(site, "lena@corp.example", KEY_KIND_RSA, SITE_KEY_HELD);
	struct cert *const to[] = { kurt, lena, NULL };
	CLEANUP(spool) struct spool *message = encrypted_to(to);
	struct asked asked;

	start();
	site_copy_key(site, lena, kurt);
	check(message, "kurt@corp.example", "? 1");
	check(message, "kurt@corp.example lena@corp.example", "?o 2");
	asked = rule(message, "kurt@corp.example", NULL, NULL);
	g_assert_cmpstr(reason_name(asked.ruling->groups->reason), ==, "deferred.inbound");
	g_assert_cmpstr(asked.ruling->reply->code, ==, "451");
	asked_clear(&asked);
}

/* What the sender is told of a message that opens, and of the same one damaged. */
static void
check_answer(struct spool *message, const char *recipients, const char *code)
{
	CLEANUP(spool) struct spool *bad = broken(message);
	struct spool *const both[] = { message, bad };

	for (guint i = 0; i < G_N_ELEMENTS(both); i++) {
		g_autoptr(GError) error = NULL;
		struct asked asked = rule(both[i], recipients, NULL, &error);

		g_assert_no_error(error);
		g_test_message("%s %u", recipients, i);
		g_assert_cmpstr(asked.ruling->reply != NULL ? asked.ruling->reply->code : "250", ==,
				code);
		asked_clear(&asked);
	}
}

/* Without a listener copies cannot be made: needing them must not tell what was inside. */
static void
test_no_oracle(void)
{
	CLEANUP(cert)
	struct cert *olga = site_issue(site, "olga@corp.example", KEY_KIND_RSA, SITE_KEY_HELD);
	CLEANUP(cert)
	struct cert *pia = site_issue(site, "pia@corp.example", KEY_KIND_RSA, SITE_KEY_HELD);
	struct cert *const to[] = { olga, pia, NULL };
	CLEANUP(spool) struct spool *message = encrypted_to(to);

	start();
	check_answer(message, "olga@corp.example", "250");
	check_answer(message, "olga@corp.example pia@corp.example", "250");
	check_answer(message, "quentin@corp.example rosa@corp.example", "250");
	check_answer(message, "quentin@corp.example olga@corp.example", "451");
	check_answer(message, "olga@corp.example stranger@partner.example", "451");
	site_prefer(site, "pia@corp.example", "tag_subject", "on");
	check_answer(message, "olga@corp.example pia@corp.example", "451");
	site_set(site, "reinject_address", "127.0.0.1:1");
	check_answer(message, "quentin@corp.example olga@corp.example", "250");
	site_set(site, "reinject_address", "");
}

/* One person's copy is not the other's, whose name differs in its case alone. */
static void
test_exact_case(void)
{
	CLEANUP(cert) struct cert *sam = NULL;
	CLEANUP(spool) struct spool *message = NULL;
	struct asked asked;

	mailaddr_set_case(MAILADDR_EXACT_LOCAL);
	sam = site_issue(site, "Sam@corp.example", KEY_KIND_RSA, SITE_KEY_HELD);
	message = encrypted_to((struct cert *const[]){ sam, NULL });
	start();
	site_set(site, "reinject_address", "127.0.0.1:1");
	asked = rule(message, "Sam@corp.example sam@corp.example SAM@CORP.example Sam@CORP.example",
		     NULL, NULL);
	mailaddr_set_case(MAILADDR_FOLD_LOCAL);
	site_set(site, "reinject_address", "");
	g_assert_cmpuint(asked.ruling->groups->copies->len, ==, 2);
	{
		struct group *of_sam = asked.ruling->groups->copies->pdata[0];

		g_assert_cmpuint(of_sam->members->len, ==, 2);
		g_assert_cmpuint(g_array_index(of_sam->members, guint, 1), ==, 3);
	}
	asked_clear(&asked);
}

/* What is found inside is no reason to refuse for its size what the mail server has taken. */
static void
test_grown(void)
{
	CLEANUP(cert)
	struct cert *tina = site_issue(site, "tina@corp.example", KEY_KIND_RSA, SITE_KEY_HELD);
	struct cert *const to[] = { tina, NULL };
	CLEANUP(spool) struct spool *message = encrypted_to(to);
	CLEANUP(spool) struct spool *bad = broken(message);
	struct spool *const both[] = { message, bad };
	g_autofree char *limit = g_strdup_printf("%" G_GUINT64_FORMAT, spool_size(message));

	start();
	for (guint i = 0; i < G_N_ELEMENTS(both); i++) {
		struct asked asked = rule(both[i], "tina@corp.example", NULL, NULL);
		const struct session_message whole = { .envelope = asked.envelope,
						       .headers = asked.headers,
						       .body = asked.body };
		struct copies_request request = { .gateway = site_gateway(site),
						  .message = &whole,
						  .ruling = asked.ruling,
						  .structure = asked.structure,
						  .area = area };
		g_autoptr(GPtrArray) free_size = copies_make(&request, NULL);
		g_autoptr(GPtrArray) limited = NULL;
		const struct copy *copy;

		site_set(site, "message_size_max", limit);
		limited = copies_make(&request, NULL);
		site_set(site, "message_size_max", "100M");
		g_assert_true(((struct copy *)free_size->pdata[0])->made);
		copy = limited->pdata[0];
		/* damaged: the results alone would make it too large */
		g_assert_true(copy->made == (i == 0));
		g_assert_null(copies_too_large(limited, (gint64)spool_size(message)));
		g_assert_cmpuint(copy->size, <=, spool_size(message));
		asked_clear(&asked);
	}
}

/* What is delivered, field by field. */
static void
test_carried_out(void)
{
	CLEANUP(cert)
	struct cert *nora = site_issue(site, "nora@corp.example", KEY_KIND_RSA, SITE_KEY_HELD);
	struct cert *const to[] = { nora, NULL };
	CLEANUP(spool) struct spool *message = encrypted_to(to);
	CLEANUP(edits) struct edits *edits = edits_new();
	CLEANUP(spool) struct spool *out = spool_new(area);
	g_autoptr(GBytes) bytes = NULL;
	g_autofree char *text = NULL;
	struct asked asked;

	start();
	site_prefer(site, "nora@corp.example", "tag_subject", "on");
	asked = rule(message, "nora@corp.example", NULL, NULL);
	{
		struct inbound_request request = {
			.gateway = site_gateway(site),
			.ruling = asked.ruling,
			.group = asked.ruling->groups->copies->pdata[0],
			.headers = asked.headers,
			.area = area,
		};
		g_assert_true(inbound_carry_out(&request, edits, NULL));
	}
	g_assert_true(
	    edits_apply_to_message(edits, asked.headers, asked.body, spool_sink(out), NULL));
	g_assert_true(spool_seal(out, NULL));
	bytes = spool_bytes(out, 0, spool_size(out), 1 << 20, NULL);
	text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
	g_test_message("%s", text);
	g_assert_true(g_str_has_prefix(text, "Authentication-Results: "));
	g_assert_nonnull(strstr(text, "\r\nSubject: [decrypted] s\r\n"));
	g_assert_nonnull(strstr(text, "\r\n\r\nthe secret text"));
	g_assert_nonnull(strstr(text, "\r\nX-Postseal-Decryption-Integrity: none\r\n"));
	g_assert_null(strstr(text, "pkcs7-mime"));
	g_assert_null(strstr(text, "Content-Disposition"));
	asked_clear(&asked);
}

struct sender_mta {
	struct mta mta;
	char *changed; /* argument and parameters */
};

static gboolean
note_sender(struct mta *mta, const char *argument, const char *parameters)
{
	struct sender_mta *noted = (struct sender_mta *)mta;

	g_assert_null(noted->changed);
	noted->changed = g_strdup_printf("%s %s", argument, parameters);
	return TRUE;
}

/* The bounce of what was decrypted is its header alone. */
static void
test_parameters(void)
{
	static const struct mta_ops ops = { .change_sender = note_sender };
	static const struct plan plan = { .headers_only = TRUE };
	static const struct {
		const char *sender, *given, *expected;
	} rows[] = {
		{ "<a@partner.example>", NULL, "<a@partner.example> RET=HDRS" },
		{ "a@partner.example", "SIZE=500 BODY=8BITMIME", "<a@partner.example> RET=HDRS" },
		{ "<a@partner.example>", "RET=FULL ENVID=abc",
		  "<a@partner.example> RET=HDRS ENVID=abc" },
		{ "<a@partner.example>", "ret=full", "<a@partner.example> RET=HDRS" },
		{ "<>", "RET=FULL", NULL },
	};

	for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct sender_mta noted = { { &ops }, NULL };
		CLEANUP(envelope) struct envelope *envelope = envelope_new();

		envelope_set_sender(envelope, rows[i].sender, rows[i].given);
		g_assert_true(inbound_hand_over(&plan, envelope, &noted.mta));
		g_assert_cmpstr(noted.changed, ==, rows[i].expected);
		g_free(noted.changed);
	}
}

/* The database is away: nothing is guessed. */
static void
test_store_away(void)
{
	CLEANUP(cert)
	struct cert *olga = site_issue(site, "olga@corp.example", KEY_KIND_RSA, SITE_KEY_HELD);
	struct cert *const to[] = { olga, NULL };
	CLEANUP(spool) struct spool *message = encrypted_to(to);
	g_autoptr(GError) error = NULL;
	struct asked asked;

	start();
	site_database_down(site);
	asked = rule(message, "olga@corp.example", NULL, &error);
	if (asked.ruling != NULL)
		g_assert_cmpint(asked.ruling->groups->outcome, ==, OUTCOME_DEFER);
	else
		g_assert_true(g_error_matches(error, PS_ERROR, PS_ERROR_TEMPORARY));
	asked_clear(&asked);
	site_database_up(site);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	site = site_start(NOW);
	area = spool_area_new_memory(64 << 20);
	g_test_add_func("/gather/inbound/parameters", test_parameters);
	if (site != NULL) {
		g_test_add_func("/gather/inbound/whose", test_whose);
		g_test_add_func("/gather/inbound/borrowed-key", test_borrowed_key);
		g_test_add_func("/gather/inbound/domain-key", test_domain_key);
		g_test_add_func("/gather/inbound/many-keys", test_many_keys);
		g_test_add_func("/gather/inbound/failures", test_failures);
		g_test_add_func("/gather/inbound/unknown", test_unknown);
		g_test_add_func("/gather/inbound/no-oracle", test_no_oracle);
		g_test_add_func("/gather/inbound/exact-case", test_exact_case);
		g_test_add_func("/gather/inbound/grown", test_grown);
		g_test_add_func("/gather/inbound/carried-out", test_carried_out);
		g_test_add_func("/gather/inbound/store-away", test_store_away);
	}
	status = g_test_run();
	spool_area_unref(area);
	site_stop(site);
	return status;
}
