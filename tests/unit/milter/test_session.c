/*
 * session: every order of callbacks, aborts, several messages a connection, failures that wait
 * for the end of the message.
 */
#include <glib.h>
#include <string.h>

#include "milter/envelope.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "milter/mta.h"
#include "milter/session.h"
#include "store/base/error.h"

/* What the handler saw of the last message, and a mail server that has macros alone. */
struct seen {
	struct spool_area *area;
	guint messages;
	guint begun;
	guint ended;
	GString *text; /* a line for each thing of the last message */
	enum session_answer answer;
	gboolean no_spool;
};

struct fake_mta {
	struct mta mta;
	const char *login;
	const char *queue_id;
	const char *daemon;
	const char *address;
};

static const char *
fake_macro(struct mta *mta, const char *name)
{
	const struct fake_mta *fake = (struct fake_mta *)mta;

	if (strcmp(name, "i") == 0)
		return fake->queue_id;
	if (strcmp(name, "{auth_authen}") == 0)
		return fake->login;
	if (strcmp(name, "{daemon_name}") == 0)
		return fake->daemon;
	return strcmp(name, "{client_addr}") == 0 ? fake->address : NULL;
}

static const struct mta_ops fake_ops = { .macro = fake_macro };

static struct spool *
give_spool(gpointer data, GError **error)
{
	struct seen *seen = data;

	if (seen->no_spool)
		return fail(error, PS_ERROR_FULL, "the spool is full");
	return spool_new(seen->area);
}

static void
note_body(struct seen *seen, struct spool *body)
{
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(GError) error = NULL;
	gsize length;
	const char *text;

	bytes = spool_bytes(body, 0, spool_size(body), 1 << 20, &error);
	g_assert_no_error(error);
	text = g_bytes_get_data(bytes, &length);
	g_string_append_printf(seen->text, "body %.*s\n", (int)length, text != NULL ? text : "");
}

static enum session_answer
take_message(gpointer data, const struct session_message *message, struct mta *mta)
{
	struct seen *seen = data;
	const struct envelope *e = message->envelope;

	(void)mta;
	seen->messages++;
	g_string_truncate(seen->text, 0);
	g_string_append_printf(seen->text, "id %s\nfrom %s %s\n", e->queue_id, e->sender,
			       e->sender_parameters ? e->sender_parameters : "-");
	g_string_append_printf(seen->text, "client %s login %s daemon %s\n",
			       e->client_address ? e->client_address : "-",
			       e->login ? e->login : "-", e->daemon_name ? e->daemon_name : "-");
	for (guint i = 0; i < e->recipients->len; i++) {
		const struct envelope_recipient *r = e->recipients->pdata[i];

		g_string_append_printf(seen->text, "to %s %s %s\n", r->argument, r->address,
				       r->parameters ? r->parameters : "-");
	}
	for (guint i = 0; i < headers_count(message->headers); i++) {
		const struct header *h = headers_at(message->headers, i);

		g_string_append_printf(seen->text, "field %s:%s\n", h->name, h->value);
	}
	if (message->failure != NULL)
		g_string_append_printf(seen->text, "failure %s\n", message->failure->message);
	else
		note_body(seen, message->body);
	return seen->answer;
}

static guint
note_begin(gpointer data)
{
	return ((struct seen *)data)->begun++;
}

static void
note_end(gpointer data, guint ticket)
{
	struct seen *seen = data;

	g_assert_cmpuint(ticket, ==, seen->begun - 1);
	seen->ended++;
}

/*
 * A script: one letter a callback. M mail, R recipient, H field, E end of header, B body,
 * . end of message, A abort, L a field over its limit, N null sender, P brackets missing.
 */
static enum session_answer
run_script(struct session *session, const char *script)
{
	static const char *const mail[] = { "<alice@in.example>", "SIZE=500", "BODY=8BITMIME",
					    NULL };
	static const char *const null_sender[] = { "<>", NULL };
	static const char *const bare[] = { "alice@in.example", NULL };
	static const char *const rcpt[] = { "<bob@out.example>", "NOTIFY=NEVER", NULL };
	enum session_answer answer = SESSION_CONTINUE;
	g_autofree char *large = NULL;

	for (; *script != '\0'; script++) {
		switch (*script) {
		case 'M':
			session_mail(session, mail);
			break;
		case 'N':
			session_mail(session, null_sender);
			break;
		case 'P':
			session_mail(session, bare);
			break;
		case 'R':
			session_rcpt(session, rcpt);
			break;
		case 'H':
			session_header(session, "Subject", " hello\n\tthere");
			break;
		case 'L':
			large = g_strnfill(HEADERS_FIELD_MAX_BYTES + 1, 'x');
			session_header(session, "X", large);
			g_clear_pointer(&large, g_free);
			break;
		case 'E':
			session_end_of_header(session);
			break;
		case 'B':
			session_body(session, "text\r\n", 6);
			break;
		case '.':
			answer = session_end_of_message(session);
			break;
		case 'A':
			session_abort(session);
			break;
		default:
			g_assert_not_reached();
		}
	}
	return answer;
}

#define WHO                                                                                        \
	"id 4XyZ\nfrom alice@in.example SIZE=500 BODY=8BITMIME\nclient 192.0.2.1 login - daemon "  \
	"-\n"
#define TO "to <bob@out.example> bob@out.example NOTIFY=NEVER\n"
#define FIELD "field Subject: hello\n\tthere\n"

struct order_row {
	const char *name;
	const char *script;
	enum session_answer answer; /* the handler would deliver */
	guint messages;
	const char *seen; /* of the last message */
};

static const struct order_row order_rows[] = {
	{ "a message", "MRHEBB.", SESSION_CONTINUE, 1, WHO TO FIELD "body text\r\ntext\r\n\n" },
	{ "no body and no field", "MRE.", SESSION_CONTINUE, 1, WHO TO "body \n" },
	{ "no end of header either", "MR.", SESSION_CONTINUE, 1, WHO TO "body \n" },
	{ "null sender", "NRHE.", SESSION_CONTINUE, 1,
	  "id 4XyZ\nfrom  -\nclient 192.0.2.1 login - daemon -\n" TO FIELD "body \n" },
	{ "no brackets, as pickup gives it", "PRHE.", SESSION_CONTINUE, 1,
	  "id 4XyZ\nfrom alice@in.example -\nclient 192.0.2.1 login - daemon -\n" TO FIELD
	  "body \n" },
	{ "two messages, nothing of the first is left", "MRRHEB.MRE.", SESSION_CONTINUE, 2,
	  WHO TO "body \n" },
	{ "aborted in the envelope", "MRA", SESSION_CONTINUE, 0, "" },
	{ "aborted in the body, then a message", "MRHEBAMRHEB.", SESSION_CONTINUE, 1,
	  WHO TO FIELD "body text\r\n\n" },
	{ "abort without a message", "AAMRHE.", SESSION_CONTINUE, 1, WHO TO FIELD "body \n" },
	{ "MAIL twice: the first is forgotten", "MRRMRHE.", SESSION_CONTINUE, 1,
	  WHO TO FIELD "body \n" },
	{ "no recipient", "MHEB.", SESSION_TEMPFAIL, 1,
	  WHO FIELD "failure the mail server sent a message without recipients out of order\n" },
	{ "no MAIL", "RHEB.", SESSION_TEMPFAIL, 1,
	  "id 4XyZ\nfrom  -\nclient 192.0.2.1 login - daemon -\n" TO
	  "failure the mail server sent RCPT out of order\n" },
	{ "end of message alone", ".", SESSION_TEMPFAIL, 1,
	  "id 4XyZ\nfrom  -\nclient 192.0.2.1 login - daemon -\n"
	  "failure the mail server sent the end of the message out of order\n" },
	{ "RCPT after a field", "MRHRE.", SESSION_TEMPFAIL, 1,
	  WHO TO TO FIELD "failure the mail server sent RCPT out of order\n" },
	{ "a field after the body", "MREBH.", SESSION_TEMPFAIL, 1,
	  WHO TO "failure the mail server sent a header field out of order\n" },
	{ "end of header twice", "MRHEE.", SESSION_TEMPFAIL, 1,
	  WHO TO FIELD "failure the mail server sent the end of the header out of order\n" },
	{ "a broken message spoils only itself", "RHEB.MRE.", SESSION_CONTINUE, 2,
	  WHO TO "body \n" },
};

static struct seen *
seen_new(void)
{
	struct seen *seen = g_new0(struct seen, 1);

	seen->area = spool_area_new_memory(1 << 20);
	seen->text = g_string_new(NULL);
	seen->answer = SESSION_CONTINUE;
	return seen;
}

static void
seen_free(struct seen *seen)
{
	spool_area_unref(seen->area);
	g_string_free(seen->text, TRUE);
	g_free(seen);
}

static struct session_handler
handler_of(struct seen *seen)
{
	return (struct session_handler){ .spool = give_spool,
					 .message = take_message,
					 .begins = note_begin,
					 .ends = note_end,
					 .data = seen };
}

static void
test_order(gconstpointer data)
{
	const struct order_row *row = data;
	struct seen *seen = seen_new();
	struct session_handler handler = handler_of(seen);
	struct fake_mta mta = { .mta.ops = &fake_ops, .queue_id = "4XyZ" };
	struct session *session = session_new(&handler, &mta.mta, "client.example", "192.0.2.1");

	g_assert_cmpint(run_script(session, row->script), ==, row->answer);
	g_assert_cmpuint(seen->messages, ==, row->messages);
	g_assert_cmpstr(seen->text->str, ==, row->seen);
	session_free(session);
	g_assert_cmpuint(seen->begun, ==, seen->ended);
	g_assert_cmpuint(spool_area_used(seen->area), ==, 0);
	seen_free(seen);
}

/* A handler that would let a broken message go is overruled; its own refusal stands. */
static void
test_answers(void)
{
	struct seen *seen = seen_new();
	struct session_handler handler = handler_of(seen);
	struct fake_mta mta = { .mta.ops = &fake_ops, .queue_id = "1" };
	struct session *session = session_new(&handler, &mta.mta, NULL, NULL);

	seen->answer = SESSION_REPLY;
	g_assert_cmpint(run_script(session, "MRHEB."), ==, SESSION_REPLY);
	g_assert_cmpint(run_script(session, "RHEB."), ==, SESSION_REPLY);
	seen->answer = SESSION_CONTINUE;
	g_assert_cmpint(run_script(session, "MRLHEB."), ==, SESSION_TEMPFAIL);
	g_assert_nonnull(strstr(seen->text->str, "failure "));
	seen->no_spool = TRUE;
	g_assert_cmpint(run_script(session, "MRHEB."), ==, SESSION_TEMPFAIL);
	g_assert_nonnull(strstr(seen->text->str, "failure the spool is full"));
	seen->no_spool = FALSE;
	g_assert_cmpint(run_script(session, "MRHEB."), ==, SESSION_CONTINUE);
	session_free(session);
	seen_free(seen);
}

static void
test_spool_full(void)
{
	struct seen *seen = seen_new();
	struct session_handler handler = handler_of(seen);
	struct fake_mta mta = { .mta.ops = &fake_ops, .queue_id = "1" };
	struct session *session = session_new(&handler, &mta.mta, NULL, NULL);
	g_autofree char *piece = g_strnfill(65535, 'x');

	run_script(session, "MRHE");
	for (int i = 0; i < 40; i++) /* more than the area takes */
		session_body(session, piece, 65535);
	g_assert_cmpint(session_end_of_message(session), ==, SESSION_TEMPFAIL);
	g_assert_cmpuint(seen->messages, ==, 1);
	g_assert_cmpuint(spool_area_used(seen->area), ==, 0);
	g_assert_cmpint(run_script(session, "MRHEB."), ==, SESSION_CONTINUE);
	session_free(session);
	seen_free(seen);
}

/* Login and listener are asked for at each MAIL; an address of the connection is not replaced. */
static void
test_macros(void)
{
	struct seen *seen = seen_new();
	struct session_handler handler = handler_of(seen);
	struct fake_mta mta = { .mta.ops = &fake_ops,
				.login = "alice",
				.daemon = "SUBMISSION",
				.address = "198.51.100.9" };
	struct session *session = session_new(&handler, &mta.mta, NULL, NULL);
	struct session *known = session_new(&handler, &mta.mta, "x", "192.0.2.1");

	run_script(session, "MRE.");
	g_assert_nonnull(
	    strstr(seen->text->str, "client 198.51.100.9 login alice daemon SUBMISSION"));
	mta.login = NULL;
	run_script(session, "MRE.");
	g_assert_nonnull(strstr(seen->text->str, "login - daemon SUBMISSION"));
	mta.login = "";
	run_script(known, "MRE.");
	g_assert_nonnull(strstr(seen->text->str, "client 192.0.2.1 login -"));
	session_free(session);
	session_free(known);
	seen_free(seen);
}

static void
test_bare_address(void)
{
	static const char *const rows[][2] = {
		{ "<a@b>", "a@b" }, { "a@b", "a@b" },     { "<>", "" },
		{ "", "" },         { " <a@b> ", "a@b" }, { "<\"x y\"@b>", "\"x y\"@b" },
		{ "<a@b", "<a@b" }, { "a@b>", "a@b>" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *bare = envelope_bare_address(rows[i][0]);
		g_assert_cmpstr(bare, ==, rows[i][1]);
	}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(order_rows); i++) {
		g_autofree char *path = g_strconcat("/session/order/", order_rows[i].name, NULL);
		g_test_add_data_func(path, &order_rows[i], test_order);
	}
	g_test_add_func("/session/answers", test_answers);
	g_test_add_func("/session/spool-full", test_spool_full);
	g_test_add_func("/session/macros", test_macros);
	g_test_add_func("/session/bare-address", test_bare_address);
	return g_test_run();
}
