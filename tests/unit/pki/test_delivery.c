/*
 * Deliveries: passwords, what is refused before anything is made, and the life of a row.
 */
#include "tests/unit/pki/pki_fixture.h"

#include "pki/delivery.h"
#include "store/base/holder.h"
#include "store/base/secret.h"
#include "store/cas.h"
#include "store/outbox_work.h"
#include "store/sealed.h"

static void
test_passwords_made(void)
{
	guint seen[256] = { 0 };

	for (guint i = 0; i < 400; i++) {
		g_autoptr(GError) error = NULL;
		CLEANUP(secret) struct secret *password = delivery_password_make(16, &error);

		g_assert_no_error(error);
		const char *text = secret_text(password);
		/* 128 bits in 26 characters of 31, and a hyphen after each four. */
		g_assert_cmpuint(strlen(text), ==, 26 + 6);
		for (guint k = 0; text[k] != '\0'; k++) {
			g_assert_cmpint(text[k] == '-', ==, k % 5 == 4);
			seen[(guchar)text[k]]++;
		}
		g_assert_true(delivery_password_check(password, "alice@x.example", &error));
	}
	for (const char *c = "01ilo"; *c != '\0'; c++)
		g_assert_cmpuint(seen[(guchar)*c], ==, 0);
	/* 10,400 characters: each of 31 about 335 times. */
	for (const char *c = "23456789abcdefghjkmnpqrstuvwxyz"; *c != '\0'; c++) {
		g_assert_cmpuint(seen[(guchar)*c], >, 220);
		g_assert_cmpuint(seen[(guchar)*c], <, 460);
	}
	g_assert_null(delivery_password_make(7, NULL));
	g_assert_null(delivery_password_make(65, NULL));
}

static void
test_passwords_given(void)
{
	static const struct {
		const char *what, *text;
		gboolean good;
	} rows[] = {
		{ "a sentence", "My 2nd horse is blue!", TRUE },
		{ "twelve characters", "kT7-wq%2Zmbx", TRUE },
		{ "eleven", "kT7-wq%2Zmb", FALSE },
		{ "one character", "aaaaaaaaaaaaaaaa", FALSE },
		{ "few characters", "abababababababab", FALSE },
		{ "a run up", "xk12345-Qwaz7t", FALSE },
		{ "a run down", "xk98765-Qwaz7t", FALSE },
		{ "digits alone", "8302946178350", FALSE },
		{ "many digits alone", "830294617835019472635", TRUE },
		{ "the user's name", "x7-Alice-Qwa%zt", FALSE },
		{ "not ASCII", "Pässwort-7-xq%z", FALSE },
		{ "a control character", "kT7-wq%2Zmbx\tq", FALSE },
		{ "blank at the end", "kT7-wq%2Zmbx ", FALSE },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		CLEANUP(secret) struct secret *password = secret_new_text(rows[i].text);

		g_test_message("%s", rows[i].what);
		g_assert_cmpint(delivery_password_check(password, "alice@x.example", &error), ==,
				rows[i].good);
		g_assert_true(error == NULL || strstr(error->message, rows[i].text) == NULL);
	}
}

/* --- rows --- */

struct act {
	struct delivery delivery;
	struct delivery_options options;
	gint64 request, further, id;
	gint what; /* of the enum below */
	gboolean again;
	struct outbox_row *row;
};
enum { PREPARE, JOIN, READY, DROP, RETRY, SAVE, ERASE, DELETE };

static gboolean
do_act(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;
	gint64 erased;

	switch (act->what) {
	case PREPARE:
		return delivery_prepare(&act->delivery, tx, act->request, "Alice@x.example",
					&act->options, error);
	case JOIN:
		return delivery_join(tx, act->request, act->further, error);
	case READY:
		return outbox_ready(tx, act->request, error);
	case DROP:
		return outbox_drop(tx, act->request, error);
	case RETRY:
		return outbox_retry(tx, act->id, act->again, error);
	case SAVE:
		return outbox_save(tx, act->row, error);
	case ERASE:
		return outbox_erase(tx, G_MAXINT32 * G_GINT64_CONSTANT(10), &erased, error);
	default:
		return outbox_delete(tx, act->id, error);
	}
}

static gboolean
run(struct act *act, gint what)
{
	g_autoptr(GError) error = NULL;

	act->what = what;
	gboolean good = db_transaction(act->delivery.db, do_act, act, &error);
	if (!good)
		g_test_message("%s", error->message);
	return good;
}

static gboolean
say(struct act *act, gint what, gint64 request)
{
	act->request = request;
	return run(act, what);
}

static enum outbox_state
state_of(struct act *act, gint64 request)
{
	g_assert_true(outbox_of_request(act->delivery.db, request, &act->id, NULL));
	g_assert_cmpint(act->id, >, 0);
	CLEANUP(outbox_row) struct outbox_row *row = outbox_find(act->delivery.db, act->id, NULL);
	g_assert_nonnull(row);
	return row->state;
}

static struct act
act_of(struct fixture *f)
{
	return (struct act){ .delivery = { f->db, f->keyring, f->clock, NULL },
			     .options = { .shown_once = TRUE } };
}

static void
test_requests(void)
{
	struct fixture f = { 0 };

	if (!fixture_up(&f))
		return;
	struct act act = act_of(&f);
	g_assert_true(say(&act, READY, 99)); /* a request without a delivery */
	/* A pair waits for both halves. */
	act.further = 2;
	g_assert_true(say(&act, PREPARE, 1) && run(&act, JOIN));
	g_assert_cmpint(state_of(&act, 2), ==, OUTBOX_WAITING);
	g_assert_false(run(&act, RETRY));
	g_assert_true(say(&act, READY, 1));
	g_assert_cmpint(state_of(&act, 1), ==, OUTBOX_WAITING);
	g_assert_true(say(&act, READY, 2));
	g_assert_cmpint(state_of(&act, 1), ==, OUTBOX_READY);
	/* One half fails: the other goes alone; all fail: cancelled, until one is tried again. */
	act.further = 4;
	g_assert_true(say(&act, PREPARE, 3) && run(&act, JOIN));
	g_assert_true(say(&act, DROP, 3));
	g_assert_cmpint(state_of(&act, 3), ==, OUTBOX_WAITING);
	g_assert_true(say(&act, DROP, 4));
	g_assert_cmpint(state_of(&act, 3), ==, OUTBOX_CANCELLED);
	g_assert_true(say(&act, READY, 4));
	g_assert_cmpint(state_of(&act, 3), ==, OUTBOX_READY);
	fixture_down(&f);
}

static struct outbox_row *
take(struct act *act, const char *holder, const char *const *dead)
{
	struct outbox_row *row = NULL;

	g_assert_true(outbox_take(act->delivery.db, holder, 60, dead, &row, NULL));
	return row;
}

static void
test_hands(void)
{
	static const char *const dead[] = { "first", NULL };
	struct fixture f = { 0 };

	if (!fixture_up(&f))
		return;
	struct act act = act_of(&f);
	g_assert_true(say(&act, PREPARE, 1) && run(&act, READY));
	CLEANUP(outbox_row) struct outbox_row *first = take(&act, "first", NULL);
	g_assert_nonnull(first);
	g_assert_null(take(&act, "second", NULL));
	g_assert_true(outbox_claim(f.db, first, NULL));
	g_assert_false(outbox_claim(f.db, first, NULL));
	act.id = first->id;
	g_assert_false(run(&act, DELETE));
	g_assert_false(run(&act, RETRY));
	/* Its holder dies in between: counted, and nothing that the dead one says counts. */
	CLEANUP(outbox_row) struct outbox_row *second = take(&act, "second", dead);
	g_assert_nonnull(second);
	g_assert_cmpint(second->repeated, ==, 1);
	g_assert_cmpint(second->state, ==, OUTBOX_READY);
	first->state = OUTBOX_SENT;
	act.row = first;
	g_assert_false(run(&act, SAVE));
	g_assert_true(outbox_claim(f.db, second, NULL));
	second->state = OUTBOX_SENT;
	second->next_try = CLOCK_NEVER;
	act.row = second;
	g_assert_true(run(&act, SAVE));
	g_assert_cmpint(state_of(&act, 1), ==, OUTBOX_SENT);
	g_assert_null(take(&act, "third", dead));
	/* By hand, once more: made anew. Then it is erased. */
	g_assert_false(run(&act, RETRY));
	act.again = TRUE;
	g_assert_true(run(&act, RETRY));
	CLEANUP(outbox_row) struct outbox_row *third = take(&act, "third", NULL);
	g_assert_nonnull(third);
	g_assert_cmpint(third->built, ==, CLOCK_NEVER);
	third->state = OUTBOX_FAILED;
	third->next_try = CLOCK_NEVER;
	act.row = third;
	g_assert_true(run(&act, SAVE) && run(&act, ERASE));
	g_autoptr(GError) error = NULL;
	g_assert_null(delivery_password(&act.delivery, act.id, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	g_assert_false(run(&act, RETRY));
	g_assert_true(run(&act, DELETE));
	fixture_down(&f);
}

static gboolean
replace(struct tx *tx, gpointer data, GError **error)
{
	g_autoptr(GPtrArray) older = sealed_take_older(tx, 99, 10, error);

	return older != NULL && older->len > 0 && sealed_replace(tx, data, error);
}

/* What is sealed can be opened where it belongs alone, and follows a rotation. */
static void
test_sealed(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;
	gint64 checked;

	if (!fixture_up(&f))
		return;
	struct act act = act_of(&f);
	CLEANUP(secret) struct secret *given = secret_new_text("My 2nd horse is blue!");
	act.options.password = given;
	g_assert_true(say(&act, PREPARE, 1));
	g_assert_cmpint(state_of(&act, 1), ==, OUTBOX_WAITING);
	CLEANUP(secret) struct secret *read = delivery_password(&act.delivery, act.id, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(secret_text(read), ==, "My 2nd horse is blue!");
	g_assert_true(keyring_verify_all(f.keyring, &checked, &error));
	g_assert_cmpint(checked, >=, 1);
	g_autofree char *place = g_strdup_printf("%" G_GINT64_FORMAT "/password", act.id);
	CLEANUP(sealed_row)
	struct sealed_row *row = sealed_find(f.db, "outbox_secret", place, &error);
	g_assert_no_error(error);
	g_assert_null(keyring_unseal(f.keyring, "outbox_secret", "7/password", row->sealed, NULL));
	g_assert_true(db_transaction(f.db, replace, row, &error));
	g_assert_cmpint(sealed_count_older(f.db, row->generation + 1, &error), ==, checked);
	fixture_down(&f);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/delivery/passwords-made", test_passwords_made);
	g_test_add_func("/delivery/passwords-given", test_passwords_given);
	g_test_add_func("/delivery/requests", test_requests);
	g_test_add_func("/delivery/hands", test_hands);
	g_test_add_func("/delivery/sealed", test_sealed);
	pg = scratch_pg_start();
	int result = g_test_run();
	scratch_pg_stop(pg);
	return result;
}
