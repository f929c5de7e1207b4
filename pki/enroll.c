/*
 * enroll - the steps of a request, each in a transaction of its own.
 *
 * A synchronous handler acts inside the transaction that saves its answer. For the others the
 * row is leased, then somebody is asked without a transaction, then the answer is saved, if the
 * attempt is still ours.
 */
#include "pki/enroll.h"

#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/enroll_internal.h"
#include "pki/enroll_schedule.h"
#include "pki/import.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/db/tx.h"
#include "store/requests_work.h"

#define SAVE_TRIES 60
#define SAVE_PAUSE_US (G_USEC_PER_SEC / 2)

const struct handler *
enroll_handler(const struct enroll *enroll, const char *name, GError **error)
{
	return enroll->find_handler != NULL ? enroll->find_handler(name, error)
					    : handler_find(name, error);
}

struct handler_context
enroll_context(const struct enroll *enroll, const struct handler_config *config)
{
	return (struct handler_context){ .db = enroll->db,
					 .keyring = enroll->keyring,
					 .clock = enroll->clock,
					 .settings = enroll->settings,
					 .config = config };
}

gboolean
enroll_is_open(const struct request_row *row)
{
	return row->state == REQUEST_NEW || row->state == REQUEST_KEYED ||
	       row->state == REQUEST_PENDING;
}

gboolean
enroll_is_asked(const struct request_row *row, gint64 now)
{
	return row->lease_until != CLOCK_NEVER && row->lease_until > now && enroll_is_open(row);
}

struct step {
	const struct enroll *enroll;
	gint64 id; /* 0: the oldest due one of the configuration */
	const struct handler *handler;
	const struct handler_config *config;
	gboolean may_ask;  /* others, too */
	gboolean again;    /* there is a next step, now */
	gboolean outside;  /* the handler is to be asked outside of a transaction */
	gboolean answered; /* and has answered */
	struct request_row *row;
	const struct handler_answer *answer; /* of outside */
	const GError *failure;
};

static gboolean
submit_inside(struct step *step, struct tx *tx, struct request_row *row, GError **error)
{
	struct handler_context context = enroll_context(step->enroll, step->config);
	struct handler_answer answer = { 0 };

	row->attempts++;
	gboolean good =
	    step->handler->submit(&context, tx, row, &answer, error) &&
	    enroll_take_answer(step->enroll, tx, row, step->handler, step->config, &answer, error);
	handler_answer_clear(&answer);
	return good;
}

/* An attempt that left no answer died on the way: the CA may have heard it. TRUE: not again
 * without a person. */
static gboolean
note_dead_attempt(struct request_row *row)
{
	if (g_strcmp0(row->asking, "submit") != 0)
		return FALSE;
	if (row->handle == NULL)
		row->lost++;
	enroll_set_error(
	    row, HANDLER_ERROR_CONFLICT, NULL,
	    row->lost > ENROLL_LOST_MAX
		? "the program stopped while the CA was asked, time and again, and the "
		  "CA may have issued: look there, then request upload or request retry"
		: "the program stopped while the CA was asked");
	g_clear_pointer(&row->asking, g_free);
	row->lease_until = CLOCK_NEVER;
	return row->lost > ENROLL_LOST_MAX;
}

static gboolean
begin_asking(struct step *step, struct tx *tx, struct request_row *row, GError **error)
{
	gboolean died = row->asking != NULL;

	if (note_dead_attempt(row)) {
		row->next_try = CLOCK_NEVER;
		return enroll_save(tx, row, row->error_text, error);
	}
	row->attempts++;
	g_free(row->asking);
	row->asking = g_strdup(row->state == REQUEST_PENDING ? "poll" : "submit");
	row->lease_until = clock_now(step->enroll->clock) + ENROLL_LEASE_SECONDS;
	step->outside = TRUE;
	return enroll_save(tx, row, died ? row->error_text : NULL, error);
}

static gboolean
find_row(struct step *step, struct tx *tx, GError **error)
{
	g_clear_pointer(&step->row, request_row_free);
	if (step->id == 0)
		return requests_lock_due(tx, step->handler->name, handler_config_name(step->config),
					 clock_now(step->enroll->clock), &step->row, error);
	step->row = requests_lock(tx, step->id, error);
	return step->row != NULL;
}

/* One step under the row's lock. */
static gboolean
run_step(struct tx *tx, gpointer data, GError **error)
{
	struct step *step = data;
	gint64 now = clock_now(step->enroll->clock);

	step->again = step->outside = step->answered = FALSE;
	if (!find_row(step, tx, error))
		return FALSE;
	struct request_row *row = step->row;
	if (row == NULL || !enroll_is_open(row) || enroll_is_asked(row, now))
		return TRUE;
	if (row->state == REQUEST_NEW) {
		step->again = TRUE;
		return enroll_make_key(step->enroll, tx, row, step->handler, step->config, error) &&
		       enroll_save(tx, row, "key and CSR are made", error);
	}
	/* A person's turn: it is not pushed. */
	if (row->next_try == CLOCK_NEVER)
		return TRUE;
	if (step->handler->capabilities.synchronous)
		return submit_inside(step, tx, row, error);
	return !step->may_ask || begin_asking(step, tx, row, error);
}

/* Somebody else, or an uploaded certificate, was faster: theirs stands. But what a CA has issued
 * for a key of ours is kept even then. */
static gboolean
keep_late(struct tx *tx, const struct request_row *row, const struct handler_answer *answer,
	  GError **error)
{
	struct import_options options = { .name = row->handler,
					  .origin = "handler",
					  .request_id = row->id };
	gboolean is_new;

	if (answer->status != HANDLER_ISSUED || answer->certs == NULL || answer->certs->len == 0)
		return TRUE;
	struct cert *cert = g_ptr_array_index(answer->certs, 0);
	if (row->spki_sha256 == NULL || strcmp(cert_spki_sha256(cert), row->spki_sha256) != 0)
		return TRUE;
	return import_cert(tx, cert, &options, &is_new, error) &&
	       requests_note(tx, row->id, row->state,
			     "the CA gave a certificate when nobody waited for it any more; it is "
			     "in the store",
			     error);
}

static gboolean
save_answer(struct tx *tx, gpointer data, GError **error)
{
	struct step *step = data;
	CLEANUP(request_row) struct request_row *row = requests_lock(tx, step->id, error);

	if (row == NULL)
		return FALSE;
	if (!enroll_is_open(row) || row->attempts != step->row->attempts)
		return keep_late(tx, row, step->answer, error);
	return enroll_take_answer(step->enroll, tx, row, step->handler, step->config, step->answer,
				  error);
}

/* What cannot be done is a state with its reason; whether time heals it the class says. */
static gboolean
save_failure(struct tx *tx, gpointer data, GError **error)
{
	struct step *step = data;
	CLEANUP(request_row) struct request_row *row = requests_lock(tx, step->id, error);
	gboolean lasting = g_error_matches(step->failure, PS_ERROR, PS_ERROR_INVALID) ||
			   g_error_matches(step->failure, PS_ERROR, PS_ERROR_DENIED) ||
			   g_error_matches(step->failure, PS_ERROR, PS_ERROR_NOT_FOUND) ||
			   g_error_matches(step->failure, PS_ERROR, PS_ERROR_BUG);
	gboolean input = g_error_matches(step->failure, PS_ERROR, PS_ERROR_INVALID);

	if (row == NULL)
		return FALSE;
	/* Another has begun an attempt of his own meanwhile. */
	if (!enroll_is_open(row) || (step->row != NULL && row->attempts > step->row->attempts))
		return TRUE;
	row->attempts++;
	row->tries++;
	row->lease_until = CLOCK_NEVER;
	g_clear_pointer(&row->asking, g_free);
	enroll_set_error(row,
			 !lasting ? HANDLER_ERROR_TRANSIENT
			 : input  ? HANDLER_ERROR_INPUT
				  : HANDLER_ERROR_CONFIG,
			 NULL, step->failure->message);
	if (lasting)
		return enroll_end(tx, row, REQUEST_FAILED, row->error_text, error);
	row->next_try =
	    enroll_next_try(clock_now(step->enroll->clock), row->tries, g_random_int(), 0);
	return enroll_save(tx, row, row->error_text, error);
}

/* --- the question --- */

struct saving {
	const struct step *step;
	const char *handle;
};

static gboolean
write_handle(struct tx *tx, gpointer data, GError **error)
{
	const struct saving *saving = data;
	const struct step *step = saving->step;
	CLEANUP(request_row) struct request_row *row = requests_lock(tx, step->id, error);

	if (row == NULL)
		return FALSE;
	if (!enroll_is_open(row) || row->attempts != step->row->attempts)
		return fail_false(error, PS_ERROR_DENIED,
				  "request %" G_GINT64_FORMAT " is worked on by another", step->id);
	row->lease_until = clock_now(step->enroll->clock) + ENROLL_LEASE_SECONDS;
	return enroll_set_handle(row, saving->handle, error) && requests_update(tx, row, error);
}

static gboolean
save_handle(gpointer data, const char *handle, GError **error)
{
	struct step *step = data;
	struct saving saving = { step, handle };

	return db_transaction(step->enroll->db, write_handle, &saving, error) &&
	       enroll_set_handle(step->row, handle, error);
}

static gboolean
is_stopping(gpointer data)
{
	const struct step *step = data;

	return step->enroll->stopping(step->enroll->data);
}

static gboolean
ask(struct step *step, struct handler_answer *answer, GError **error)
{
	struct handler_context context = enroll_context(step->enroll, step->config);
	CLEANUP(enroll_lease)
	G_GNUC_UNUSED struct enroll_lease *lease =
	    enroll_lease_keep(step->enroll->db, step->enroll->clock, step->id, step->row->attempts);
	g_autoptr(GError) why = NULL;

	context.save_handle = save_handle;
	context.stopping = step->enroll->stopping != NULL ? is_stopping : NULL;
	context.data = step;
	if (!handler_is_ready(&context, step->handler, &why)) {
		if (!g_error_matches(why, PS_ERROR, PS_ERROR_INVALID)) {
			g_propagate_error(error, g_steal_pointer(&why));
			return FALSE;
		}
		handler_answer_set(answer, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL, "%s",
				   why->message);
		return TRUE;
	}
	gboolean good = step->row->state == REQUEST_PENDING
			    ? step->handler->poll(&context, step->row, answer, error)
			    : step->handler->submit(&context, NULL, step->row, answer, error);
	handler_config_hide(step->config, answer->text);
	handler_config_hide(step->config, answer->code);
	return good;
}

/* An answer is worth waiting for the database: asking again may mean a second certificate. */
static gboolean
save_patiently(struct step *step, GError **error)
{
	for (gint tries = 1;; tries++) {
		g_autoptr(GError) why = NULL;

		if (db_transaction(step->enroll->db, save_answer, step, &why))
			return TRUE;
		if (tries >= SAVE_TRIES || !g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY)) {
			g_propagate_error(error, g_steal_pointer(&why));
			return FALSE;
		}
		g_usleep(SAVE_PAUSE_US);
	}
}

static gboolean
ask_outside(struct step *step, GError **error)
{
	struct handler_answer answer = { 0 };
	gboolean good = ask(step, &answer, error);

	step->answer = &answer;
	step->answered = good;
	good = good && save_patiently(step, error);
	step->answer = NULL;
	handler_answer_clear(&answer);
	return good;
}

static gboolean
advance(struct step *step, GError **error)
{
	do {
		if (!db_transaction(step->enroll->db, run_step, step, error))
			return FALSE;
		if (step->row != NULL)
			step->id = step->row->id;
		if (step->outside && !ask_outside(step, error))
			return FALSE;
	} while (step->again);
	return TRUE;
}

/* What failed becomes a state, if there is a row and a database to keep it. */
static gboolean
run(struct step *step, GError **error)
{
	g_autoptr(GError) why = NULL;
	gboolean good = advance(step, &why);

	if (!good && step->answered) {
		/* The lease runs out, and the next attempt knows that an answer was lost. */
		log_warning("the answer of a CA could not be saved", "error", why->message);
	} else if (!good && step->id != 0) {
		CLEANUP(request_row)
		struct request_row *there = requests_find(step->enroll->db, step->id, NULL);
		step->failure = why;
		good = there != NULL && db_transaction(step->enroll->db, save_failure, step, NULL);
	}
	g_clear_pointer(&step->row, request_row_free);
	if (!good)
		g_propagate_error(error, g_steal_pointer(&why));
	return good;
}

static gboolean
go_on(const struct enroll *enroll, gint64 id, gboolean may_ask, struct request_row **row,
      GError **error)
{
	CLEANUP(request_row) struct request_row *there = requests_find(enroll->db, id, error);
	CLEANUP(handler_config) struct handler_config *config = NULL;
	struct step step = { .enroll = enroll, .id = id, .may_ask = may_ask };

	if (there == NULL)
		return FALSE;
	if (enroll_is_open(there)) {
		step.handler = enroll_handler(enroll, there->handler, error);
		if (step.handler == NULL)
			return FALSE;
		config = handler_config_load(enroll->db, enroll->keyring, step.handler,
					     there->handler_config, error);
		step.config = config;
		if (config == NULL || !run(&step, error))
			return FALSE;
	}
	if (row == NULL)
		return TRUE;
	*row = requests_find(enroll->db, id, error);
	return *row != NULL;
}

gboolean
enroll_advance(const struct enroll *enroll, gint64 id, struct request_row **row, GError **error)
{
	return go_on(enroll, id, TRUE, row, error);
}

gboolean
enroll_prepare(const struct enroll *enroll, gint64 id, struct request_row **row, GError **error)
{
	return go_on(enroll, id, FALSE, row, error);
}

gboolean
enroll_work_one(const struct enroll *enroll, const char *handler, const char *config_name,
		gint64 *id, GError **error)
{
	struct step step = { .enroll = enroll, .may_ask = TRUE };
	CLEANUP(handler_config) struct handler_config *config = NULL;

	*id = 0;
	step.handler = enroll_handler(enroll, handler, error);
	if (step.handler == NULL)
		return FALSE;
	config = handler_config_load(enroll->db, enroll->keyring, step.handler, config_name, error);
	step.config = config;
	if (config == NULL)
		return FALSE;
	gboolean good = run(&step, error);
	*id = step.id;
	return good;
}

gboolean
enroll_run_due(const struct enroll *enroll, gint limit, guint *worked, GError **error)
{
	g_autoptr(GPtrArray) due = requests_due(enroll->db, clock_now(enroll->clock), limit, error);

	*worked = 0;
	if (due == NULL)
		return FALSE;
	for (guint i = 0; i < due->len; i++) {
		const struct request_row *row = g_ptr_array_index(due, i);
		g_autoptr(GError) why = NULL;
		if (enroll_advance(enroll, row->id, NULL, &why)) {
			(*worked)++;
		} else if (g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY)) {
			g_propagate_error(error, g_steal_pointer(&why));
			return FALSE;
		} else {
			log_warning("request was not worked on", "error", why->message);
		}
	}
	return TRUE;
}
