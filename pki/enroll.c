/*
 * enroll - the steps of a request, each in a transaction of its own.
 *
 * A synchronous handler acts inside the transaction that saves its answer. For the others the
 * row is leased by moving next_try ahead, then asked without a transaction, then the answer is
 * saved, if the attempt is still ours.
 */
#include "pki/enroll.h"

#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/csr.h"
#include "pki/crypto/issue.h"
#include "pki/crypto/key.h"
#include "pki/enroll_check.h"
#include "pki/handlers/handler.h"
#include "pki/import.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/mailaddr.h"
#include "store/base/printable.h"
#include "store/cas.h"
#include "store/db/tx.h"

#define LEASE_SECONDS 600
#define BACKOFF_FIRST 60
#define BACKOFF_MAX 3600

gint64
enroll_backoff(gint attempts)
{
	gint64 pause = BACKOFF_FIRST;

	for (gint i = 1; i < attempts && pause < BACKOFF_MAX; i++)
		pause *= 2;
	return MIN(pause, BACKOFF_MAX);
}

static struct handler_context
context_of(const struct enroll *enroll, const struct handler_config *config)
{
	return (struct handler_context){ .db = enroll->db,
					 .keyring = enroll->keyring,
					 .clock = enroll->clock,
					 .settings = enroll->settings,
					 .config = config };
}

static const char *
text_or(const char *text, const char *otherwise)
{
	return text != NULL && *text != '\0' ? text : otherwise;
}

gboolean
enroll_create(const struct enroll *enroll, struct tx *tx, const struct enroll_order *order,
	      gint64 *id, GError **error)
{
	enum key_kind kind;
	unsigned int bits;

	if (text_or(order->email, NULL) == NULL || text_or(order->common_name, NULL) == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "a request needs an address and a common name");
	CLEANUP(ca_defaults) struct ca_defaults *defaults = ca_defaults_load(enroll->db, error);
	CLEANUP(mailaddr)
	struct mailaddr *address = defaults != NULL ? mailaddr_parse(order->email, error) : NULL;
	if (address == NULL)
		return FALSE;
	const struct handler *handler =
	    handler_find(text_or(order->handler, defaults->handler), error);
	const char *key = text_or(order->key, defaults->key);
	if (handler == NULL || !key_algorithm_parse(key, &kind, &bits, error))
		return FALSE;
	struct request_row row = {
		.state = REQUEST_NEW,
		.handler = (char *)handler->name,
		.handler_config = (char *)text_or(order->handler_config, "default"),
		.email = (char *)mailaddr_key(address),
		.common_name = (char *)order->common_name,
		.organisation = (char *)text_or(order->organisation, NULL),
		.first_name = (char *)text_or(order->first_name, NULL),
		.last_name = (char *)text_or(order->last_name, NULL),
		.ca = (char *)text_or(order->ca, NULL),
		.key = (char *)key,
		.digest = (char *)text_or(order->digest, NULL),
		.profile = (char *)text_or(order->profile, "smime"),
		.validity_days =
		    order->validity_days != 0 ? order->validity_days : defaults->validity_days,
		.crl_url = order->crl_url || defaults->add_crl_url,
		.options = (char *)order->options,
		.requester = (char *)order->requester,
		.names = (GStrv)order->dns_names,
		.key_use = (char *)text_or(order->key_use, "dual"),
		.renews = (char *)text_or(order->renews, NULL),
		.batch_id = order->batch_id,
		.give_up = CLOCK_NEVER,
		.next_try = clock_now(enroll->clock),
	};
	CLEANUP(handler_config)
	struct handler_config *config =
	    handler_config_load(enroll->db, enroll->keyring, handler, row.handler_config, error);
	if (config == NULL)
		return FALSE;
	struct handler_context context = context_of(enroll, config);
	if (!handler_is_ready(&context, handler, error))
		return FALSE;
	return requests_insert(tx, &row, id, error);
}

static void
set_text(char **member, const char *text)
{
	g_free(*member);
	*member = text != NULL ? printable(text) : NULL;
}

/* The handler's own text, which may be long: made printable only where it is shown. */
static void
set_handle(struct request_row *row, const char *handle)
{
	char *copy = g_strdup(handle);

	g_free(row->handle);
	row->handle = copy;
}

static void
set_error(struct request_row *row, enum handler_error_class error_class, const char *code,
	  const char *text)
{
	set_text(&row->error_class,
		 error_class != HANDLER_ERROR_NONE ? handler_error_class_name(error_class) : NULL);
	set_text(&row->error_code, code);
	set_text(&row->error_text, text);
}

static gboolean
make_key_and_csr(const struct enroll *enroll, struct tx *tx, struct request_row *row,
		 GError **error)
{
	CLEANUP(key)
	struct key *key = keyring_generate(enroll->keyring, tx, row->key, row->id, error);
	if (key == NULL)
		return FALSE;
	struct issue_names names = {
		.common_name = row->common_name,
		.organisation = row->organisation,
		.given_name = row->first_name,
		.surname = row->last_name,
		.emails = (const char *const[]){ row->email, NULL },
	};
	row->csr = csr_make(key, &names, ALGORITHM_UNKNOWN, error);
	if (row->csr == NULL)
		return FALSE;
	row->spki_sha256 = g_strdup(key_spki_sha256(key));
	row->state = REQUEST_KEYED;
	return TRUE;
}

/* A CA's own chain helps to verify; it is never trusted for coming along. */
static gboolean
store_certs(const struct enroll *enroll, struct tx *tx, struct request_row *row, GPtrArray *certs,
	    GError **error)
{
	struct cert *issued = certs->len > 0 ? g_ptr_array_index(certs, 0) : NULL;
	struct import_options options = { .name = row->handler, .origin = "handler" };
	gboolean is_new;

	if (!enroll_check(issued, row, clock_now(enroll->clock), error))
		return FALSE;
	for (guint i = 0; i < certs->len; i++) {
		options.request_id = i == 0 ? row->id : 0;
		if (!import_cert(tx, g_ptr_array_index(certs, i), &options, &is_new, error))
			return FALSE;
	}
	g_free(row->thumbprint);
	row->thumbprint = g_strdup(cert_thumbprint(issued));
	row->state = REQUEST_ISSUED;
	row->next_try = CLOCK_NEVER;
	set_error(row, HANDLER_ERROR_NONE, NULL, NULL);
	return TRUE;
}

static void
try_again(const struct enroll *enroll, struct request_row *row, gint64 not_before)
{
	gint64 now = clock_now(enroll->clock);

	row->next_try = MAX(now + enroll_backoff(row->attempts), not_before);
	row->next_try = MIN(row->next_try, now + 86400);
}

static gboolean
take_answer(const struct enroll *enroll, struct tx *tx, struct request_row *row,
	    const struct handler_answer *answer, GError **error)
{
	set_error(row, answer->error_class, answer->code, answer->text);
	if (answer->handle != NULL)
		set_handle(row, answer->handle);
	switch (answer->status) {
	case HANDLER_ISSUED:
		return store_certs(enroll, tx, row, answer->certs, error);
	case HANDLER_PENDING:
		row->state = REQUEST_PENDING;
		try_again(enroll, row, answer->not_before);
		return TRUE;
	case HANDLER_RETRY:
		try_again(enroll, row, answer->not_before);
		return TRUE;
	case HANDLER_REJECTED:
		row->state = REQUEST_REJECTED;
		row->next_try = CLOCK_NEVER;
		return TRUE;
	}
	return fail_false(error, PS_ERROR_BUG, "handler '%s' gave no answer", row->handler);
}

struct step {
	const struct enroll *enroll;
	gint64 id;
	const struct handler *handler;
	gboolean again;   /* there is a next step, now */
	gboolean outside; /* the handler is to be asked outside of a transaction */
	struct request_row *row;
	struct handler_answer *answer; /* of outside */
	const GError *failure;
};

static gboolean
is_open(const struct request_row *row)
{
	return row->state == REQUEST_NEW || row->state == REQUEST_KEYED ||
	       row->state == REQUEST_PENDING;
}

static gboolean
submit_inside(struct step *step, struct tx *tx, struct request_row *row, GError **error)
{
	CLEANUP(handler_config)
	struct handler_config *config = handler_config_load(
	    step->enroll->db, step->enroll->keyring, step->handler, row->handler_config, error);
	if (config == NULL)
		return FALSE;
	struct handler_context context = context_of(step->enroll, config);
	struct handler_answer answer = { 0 };

	row->attempts++;
	gboolean good = step->handler->submit(&context, tx, row, &answer, error) &&
			take_answer(step->enroll, tx, row, &answer, error);
	handler_answer_clear(&answer);
	return good;
}

/* One step under the row's lock. */
static gboolean
run_step(struct tx *tx, gpointer data, GError **error)
{
	struct step *step = data;

	step->again = step->outside = FALSE;
	g_clear_pointer(&step->row, request_row_free);
	struct request_row *row = step->row = requests_lock(tx, step->id, error);
	if (row == NULL)
		return FALSE;
	if (!is_open(row))
		return TRUE;
	step->handler = handler_find(row->handler, error);
	if (step->handler == NULL)
		return FALSE;
	if (row->state == REQUEST_NEW) {
		if (!make_key_and_csr(step->enroll, tx, row, error))
			return FALSE;
		step->again = TRUE;
	} else if (step->handler->capabilities.synchronous) {
		if (!submit_inside(step, tx, row, error))
			return FALSE;
	} else {
		row->attempts++;
		row->next_try = clock_now(step->enroll->clock) + LEASE_SECONDS;
		step->outside = TRUE;
	}
	return requests_update(tx, row, error);
}

static gboolean
save_answer(struct tx *tx, gpointer data, GError **error)
{
	struct step *step = data;
	CLEANUP(request_row) struct request_row *row = requests_lock(tx, step->id, error);

	if (row == NULL)
		return FALSE;
	/* Somebody else, or an uploaded certificate, was faster: theirs stands. */
	if (!is_open(row) || row->attempts != step->row->attempts)
		return TRUE;
	return take_answer(step->enroll, tx, row, step->answer, error) &&
	       requests_update(tx, row, error);
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
	if (!is_open(row))
		return TRUE;
	row->attempts++;
	set_error(row,
		  !lasting ? HANDLER_ERROR_TRANSIENT
		  : input  ? HANDLER_ERROR_INPUT
			   : HANDLER_ERROR_CONFIG,
		  NULL, step->failure->message);
	if (lasting) {
		row->state = REQUEST_FAILED;
		row->next_try = CLOCK_NEVER;
	} else {
		try_again(step->enroll, row, 0);
	}
	return requests_update(tx, row, error);
}

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
	if (!is_open(row) || row->attempts != step->row->attempts)
		return fail_false(error, PS_ERROR_DENIED,
				  "request %" G_GINT64_FORMAT " is worked on by another", step->id);
	set_handle(row, saving->handle);
	row->next_try = clock_now(step->enroll->clock) + LEASE_SECONDS;
	return requests_update(tx, row, error);
}

static gboolean
save_handle(gpointer data, const char *handle, GError **error)
{
	struct step *step = data;
	struct saving saving = { step, handle };

	if (!db_transaction(step->enroll->db, write_handle, &saving, error))
		return FALSE;
	set_handle(step->row, handle);
	return TRUE;
}

static gboolean
is_stopping(gpointer data)
{
	const struct step *step = data;

	return step->enroll->stopping(step->enroll->data);
}

static gboolean
ask_outside(struct step *step, GError **error)
{
	CLEANUP(handler_config)
	struct handler_config *config =
	    handler_config_load(step->enroll->db, step->enroll->keyring, step->handler,
				step->row->handler_config, error);
	if (config == NULL)
		return FALSE;
	struct handler_context context = context_of(step->enroll, config);
	struct handler_answer answer = { 0 };

	context.save_handle = save_handle;
	context.stopping = step->enroll->stopping != NULL ? is_stopping : NULL;
	context.data = step;
	gboolean good = step->row->state == REQUEST_PENDING
			    ? step->handler->poll(&context, step->row, &answer, error)
			    : step->handler->submit(&context, NULL, step->row, &answer, error);
	step->answer = &answer;
	good = good && db_transaction(step->enroll->db, save_answer, step, error);
	handler_answer_clear(&answer);
	return good;
}

static gboolean
advance(struct step *step, GError **error)
{
	do {
		if (!db_transaction(step->enroll->db, run_step, step, error))
			return FALSE;
		if (step->outside && !ask_outside(step, error))
			return FALSE;
	} while (step->again);
	return TRUE;
}

gboolean
enroll_advance(const struct enroll *enroll, gint64 id, struct request_row **row, GError **error)
{
	struct step step = { .enroll = enroll, .id = id };
	g_autoptr(GError) why = NULL;

	gboolean good = advance(&step, &why);
	request_row_free(step.row);
	if (!good) {
		/* A request that is not there, or a database that is away, has no state to save. */
		CLEANUP(request_row)
		struct request_row *there = requests_find(enroll->db, id, NULL);
		step.failure = why;
		if (there == NULL || !db_transaction(enroll->db, save_failure, &step, NULL)) {
			g_propagate_error(error, g_steal_pointer(&why));
			return FALSE;
		}
	}
	if (row == NULL)
		return TRUE;
	*row = requests_find(enroll->db, id, error);
	return *row != NULL;
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

gboolean
enroll_retry(const struct enroll *enroll, struct tx *tx, gint64 id, GError **error)
{
	CLEANUP(request_row) struct request_row *row = requests_lock(tx, id, error);

	if (row == NULL)
		return FALSE;
	if (row->state == REQUEST_ISSUED)
		return fail_false(error, PS_ERROR_INVALID,
				  "request %" G_GINT64_FORMAT " has its certificate already", id);
	if (!is_open(row))
		row->state = row->csr != NULL ? REQUEST_KEYED : REQUEST_NEW;
	row->next_try = clock_now(enroll->clock);
	row->attempts = 0;
	set_error(row, HANDLER_ERROR_NONE, NULL, NULL);
	return requests_update(tx, row, error);
}

gboolean
enroll_take_cert(const struct enroll *enroll, struct tx *tx, struct cert *cert, gint64 *request_id,
		 GError **error)
{
	CLEANUP(request_row)
	struct request_row *waiting = requests_by_spki(enroll->db, cert_spki_sha256(cert), error);
	if (waiting == NULL)
		return FALSE;
	CLEANUP(request_row) struct request_row *row = requests_lock(tx, waiting->id, error);
	if (row == NULL)
		return FALSE;
	if (!is_open(row))
		return fail_false(error, PS_ERROR_INVALID,
				  "request %" G_GINT64_FORMAT " is finished already", row->id);
	g_autoptr(GPtrArray) certs = g_ptr_array_new();
	g_ptr_array_add(certs, cert);
	if (!store_certs(enroll, tx, row, certs, error))
		return FALSE;
	*request_id = row->id;
	return requests_update(tx, row, error);
}
