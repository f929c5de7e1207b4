/*
 * fuzz_session - any bytes as the callbacks of a milter: an octet chooses the callback, those
 * after it its argument.
 *
 * Held in every order: the handler is called once for each end of message; a message that did
 * not come as MAIL, RCPT, fields, end of header, pieces, end (those between RCPT and end may be
 * missing) has a failure, and is not let through; what begins also ends.
 */
#include <glib.h>
#include <stdint.h>
#include <string.h>

#include "milter/envelope.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "milter/mta.h"
#include "milter/session.h"
#include "store/base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PIECE_MAX_BYTES 63

/* The order as this test sees it, apart from the session's own states. */
enum stage { STAGE_NONE, STAGE_MAIL, STAGE_RCPT, STAGE_FIELDS, STAGE_BODY };

struct world {
	struct mta mta; /* first */
	struct spool_area *area;
	const uint8_t *at, *end;
	enum stage stage;
	gboolean in_order;
	gboolean whole; /* nothing was refused for want of spool */
	guint asked, called, begun, ended;
};

static const char *
world_macro(struct mta *mta, const char *name)
{
	(void)mta;
	return strcmp(name, "i") == 0 ? "Q1" : NULL;
}

static const struct mta_ops world_ops = { .macro = world_macro };

static uint8_t
take(struct world *world)
{
	return world->at < world->end ? *world->at++ : 0;
}

static struct spool *
give_spool(gpointer data, GError **error)
{
	struct world *world = data;

	if (take(world) == 0xff) {
		world->whole = FALSE;
		return fail(error, PS_ERROR_FULL, "no spool");
	}
	return spool_new(world->area);
}

static enum session_answer
take_message(gpointer data, const struct session_message *message, struct mta *mta)
{
	struct world *world = data;

	g_assert_true(mta == &world->mta);
	world->called++;
	if (!world->in_order || !world->whole)
		g_assert_nonnull(message->failure);
	if (message->failure == NULL) {
		g_assert_cmpuint(message->envelope->recipients->len, >, 0);
		(void)spool_size(message->body);
	}
	return SESSION_CONTINUE;
}

static guint
note_begin(gpointer data)
{
	return ++((struct world *)data)->begun;
}

static void
note_end(gpointer data, guint ticket)
{
	struct world *world = data;

	g_assert_cmpuint(ticket, ==, world->begun);
	world->ended++;
}

/* A piece of the input, NUL-terminated. */
static char *
take_text(struct world *world)
{
	gsize wanted = take(world) & PIECE_MAX_BYTES;
	gsize length = MIN(wanted, (gsize)(world->end - world->at));
	char *text = g_strndup((const char *)world->at, length);

	world->at += length;
	return text;
}

static void
move_to(struct world *world, gboolean allowed, enum stage stage)
{
	if (!allowed)
		world->in_order = FALSE;
	world->stage = MAX(world->stage, stage);
}

static void
end_message(struct world *world, struct session *session)
{
	enum session_answer answer;

	move_to(world, world->stage >= STAGE_RCPT, STAGE_RCPT);
	world->asked++;
	answer = session_end_of_message(session);
	if (!world->in_order || !world->whole)
		g_assert_cmpint(answer, !=, SESSION_CONTINUE);
	world->stage = STAGE_NONE;
	world->in_order = TRUE;
}

static void
call_one(struct world *world, struct session *session)
{
	uint8_t which = take(world) % 8;
	g_autofree char *text = take_text(world);
	g_autofree char *more = which == 3 ? take_text(world) : NULL;
	const char *arguments[] = { text, "NOTIFY=NEVER", NULL };

	/* What comes without a MAIL begins a message of its own, which fails. */
	if (world->stage == STAGE_NONE && which != 0 && which != 7) {
		world->whole = TRUE;
		world->in_order = FALSE;
	}
	switch (which) {
	case 0:
		world->whole = world->in_order = TRUE;
		world->stage = STAGE_MAIL;
		session_mail(session, arguments);
		break;
	case 1:
	case 2:
		move_to(world, world->stage <= STAGE_RCPT, STAGE_RCPT);
		session_rcpt(session, arguments);
		break;
	case 3:
		move_to(world, world->stage >= STAGE_RCPT && world->stage <= STAGE_FIELDS,
			STAGE_FIELDS);
		session_header(session, text, more);
		break;
	case 4:
		move_to(world, world->stage >= STAGE_RCPT && world->stage <= STAGE_FIELDS,
			STAGE_BODY);
		session_end_of_header(session);
		break;
	case 5:
		move_to(world, world->stage >= STAGE_RCPT, STAGE_BODY);
		session_body(session, text, strlen(text));
		break;
	case 6:
		end_message(world, session);
		break;
	case 7:
		session_abort(session);
		world->stage = STAGE_NONE;
		world->in_order = TRUE;
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(spool_area) struct spool_area *area = spool_area_new_memory(1024 * 1024);
	struct world world = {
		.mta.ops = &world_ops,
		.area = area,
		.at = data,
		.end = data + size,
		.in_order = TRUE,
		.whole = TRUE,
	};
	const struct session_handler handler = {
		.spool = give_spool,
		.message = take_message,
		.begins = note_begin,
		.ends = note_end,
		.data = &world,
	};
	struct session *session = session_new(&handler, &world.mta, "client", "192.0.2.1");

	while (world.at < world.end)
		call_one(&world, session);
	session_free(session);
	g_assert_cmpuint(world.called, ==, world.asked);
	g_assert_cmpuint(world.begun, ==, world.ended);
	return 0;
}
