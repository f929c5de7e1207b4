/*
 * enroll_answer - what an answer makes of a row: the transitions of the state machine.
 */
#include <string.h>

#include "pki/crypto/bundle.h"
#include "pki/crypto/cert.h"
#include "pki/enroll_check.h"
#include "pki/enroll_internal.h"
#include "pki/enroll_schedule.h"
#include "pki/import.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/printable.h"
#include "store/db/tx.h"
#include "store/outbox.h"

#define CERTS_MAX 20
#define HANDLE_MAX_BYTES (1024 * 1024) /* the journal of a CMP transaction */
#define HUMAN_PAUSE 900

void
enroll_set_text(char **member, const char *text)
{
	char *copy = text != NULL ? printable(text) : NULL;

	g_free(*member);
	*member = copy;
}

/* Kept as it is, for it is said to the CA again. */
gboolean
enroll_set_handle(struct request_row *row, const char *handle, GError **error)
{
	if (strlen(handle) > HANDLE_MAX_BYTES || !g_utf8_validate(handle, -1, NULL))
		return fail_false(error, PS_ERROR_BUG,
				  "handler '%s' gave a handle that cannot be kept", row->handler);
	char *copy = g_strdup(handle);
	g_free(row->handle);
	row->handle = copy;
	return TRUE;
}

void
enroll_set_error(struct request_row *row, enum handler_error_class error_class, const char *code,
		 const char *text)
{
	enroll_set_text(&row->error_class, error_class != HANDLER_ERROR_NONE
					       ? handler_error_class_name(error_class)
					       : NULL);
	enroll_set_text(&row->error_code, code);
	enroll_set_text(&row->error_text, text);
}

gboolean
enroll_save(struct tx *tx, struct request_row *row, const char *text, GError **error)
{
	return requests_update(tx, row, error) &&
	       (text == NULL || requests_note(tx, row->id, row->state, text, error));
}

gboolean
enroll_end(struct tx *tx, struct request_row *row, enum request_state state, const char *text,
	   GError **error)
{
	row->state = state;
	row->next_try = CLOCK_NEVER;
	row->lease_until = CLOCK_NEVER;
	g_clear_pointer(&row->asking, g_free);
	return enroll_save(tx, row, text, error) && outbox_drop(tx, row->id, error);
}

/* A CA's own chain helps to verify; it is never trusted for coming along, and a root is a person's
 * business. */
static gboolean
import_all(struct tx *tx, struct request_row *row, GPtrArray *certs, GError **error)
{
	struct import_options options = { .name = row->handler, .origin = "handler" };
	gboolean is_new;

	for (guint i = 0; i < certs->len && i < CERTS_MAX; i++) {
		const struct cert *cert = g_ptr_array_index(certs, i);

		options.request_id = i == 0 ? row->id : 0;
		if (i > 0 && (!cert_is_ca(cert) || cert_is_self_signed(cert)))
			continue;
		if (!import_cert(tx, cert, &options, &is_new, error))
			return FALSE;
	}
	return TRUE;
}

/* What a CA has issued is not lost for being refused: a person may look at it and take it. */
static gboolean
keep_refused(struct tx *tx, struct request_row *row, GPtrArray *certs, const char *why,
	     GError **error)
{
	g_autofree char *text =
	    g_strdup_printf("what the CA gave was not taken: %s; see request show, then request "
			    "accept or request retry",
			    why);

	if (certs->len > 0) {
		g_autoptr(GBytes) kept = bundle_write_pkcs7(certs, FALSE, error);
		if (kept == NULL)
			return FALSE;
		g_clear_pointer(&row->returned, g_bytes_unref);
		row->returned = g_steal_pointer(&kept);
	}
	enroll_set_error(row, HANDLER_ERROR_CONFIG, "refused", text);
	return enroll_end(tx, row, REQUEST_FAILED, row->error_text, error);
}

static gboolean
check_certs(const struct enroll *enroll, const struct request_row *row, GPtrArray *certs,
	    const struct handler_config *config, enum enroll_trust trust, GError **error)
{
	struct cert *issued = certs->len > 0 ? g_ptr_array_index(certs, 0) : NULL;
	gint64 now = clock_now(enroll->clock);

	if (trust == ENROLL_ACCEPTED)
		return enroll_check_key(issued, row, error);
	if (!enroll_check(issued, row, now, error))
		return FALSE;
	return trust == ENROLL_CHAIN_MAY_LACK ||
	       enroll_check_chain(enroll->db, issued, certs,
				  config != NULL ? handler_config_certs(config, "anchors") : NULL,
				  now, error);
}

gboolean
enroll_store_certs(const struct enroll *enroll, struct tx *tx, struct request_row *row,
		   GPtrArray *certs, const struct handler_config *config, enum enroll_trust trust,
		   GError **error)
{
	if (!check_certs(enroll, row, certs, config, trust, error) ||
	    !import_all(tx, row, certs, error))
		return FALSE;
	g_free(row->thumbprint);
	row->thumbprint = g_strdup(cert_thumbprint(g_ptr_array_index(certs, 0)));
	row->state = REQUEST_ISSUED;
	row->next_try = row->lease_until = CLOCK_NEVER;
	g_clear_pointer(&row->asking, g_free);
	g_clear_pointer(&row->returned, g_bytes_unref);
	enroll_set_error(row, HANDLER_ERROR_NONE, NULL, NULL);
	g_autofree char *text = g_strdup_printf("the certificate is there: %.16s", row->thumbprint);
	return enroll_save(tx, row, text, error) && outbox_ready(tx, row->id, error);
}

static gboolean
issued(const struct enroll *enroll, struct tx *tx, struct request_row *row,
       const struct handler *handler, const struct handler_config *config,
       const struct handler_answer *answer, GError **error)
{
	g_autoptr(GPtrArray) none = g_ptr_array_new();
	g_autoptr(GError) why = NULL;
	GPtrArray *all = answer->certs != NULL ? answer->certs : none;
	g_autofree char *remark = answer->text != NULL ? printable(answer->text) : NULL;

	if (remark != NULL && !requests_note(tx, row->id, row->state, remark, error))
		return FALSE;

	/* Our own CA is what it is, trusted or not; and what it made goes away with the
	 * transaction. */
	if (handler->capabilities.synchronous)
		return enroll_store_certs(enroll, tx, row, all, config, ENROLL_CHAIN_MAY_LACK,
					  error);
	if (enroll_store_certs(enroll, tx, row, all, config, ENROLL_CHECKED, &why))
		return TRUE;
	if (!g_error_matches(why, PS_ERROR, PS_ERROR_INVALID)) {
		g_propagate_error(error, g_steal_pointer(&why));
		return FALSE;
	}
	log_warning("what a CA has issued does not pass the checks", "handler", row->handler,
		    "address", row->email, "error", why->message);
	return keep_refused(tx, row, all, why->message, error);
}

static gboolean
later(const struct enroll *enroll, struct tx *tx, struct request_row *row, gint64 not_before,
      const char *text, GError **error)
{
	gint64 now = clock_now(enroll->clock);

	row->tries++;
	row->next_try = enroll_next_try(now, row->tries, g_random_int(), not_before);
	/* A last look at the very end, then no more. */
	if (row->give_up != CLOCK_NEVER && now >= row->give_up)
		return enroll_end(tx, row, REQUEST_FAILED,
				  "given up: it was not finished in the time it may take", error);
	if (row->next_try != CLOCK_NEVER)
		row->next_try = MIN(row->next_try, MAX(row->give_up, now + 1));
	return enroll_save(tx, row, text, error);
}

/* It waits for an administrator: until the settings are changed, or request retry. */
static gboolean
park(struct tx *tx, struct request_row *row, GError **error)
{
	row->next_try = CLOCK_NEVER;
	return enroll_save(tx, row, row->error_text != NULL ? row->error_text : "stopped", error);
}

static gboolean
lost(const struct enroll *enroll, struct tx *tx, struct request_row *row,
     const struct handler_answer *answer, GError **error)
{
	/* With a handle the CA is asked about the order: that is no blind repetition. */
	if (row->handle == NULL)
		row->lost++;
	if (row->lost <= ENROLL_LOST_MAX)
		return later(enroll, tx, row, answer->not_before,
			     row->error_text != NULL ? row->error_text : "the answer was lost",
			     error);
	g_autofree char *text = g_strdup_printf(
	    "the answer was lost %d times, and the CA may have issued: look there, then request "
	    "upload or request retry%s%s",
	    row->lost, row->error_text != NULL ? "; " : "",
	    row->error_text != NULL ? row->error_text : "");
	enroll_set_error(row, HANDLER_ERROR_CONFLICT, answer->code, text);
	return park(tx, row, error);
}

static gboolean
refused(const struct enroll *enroll, struct tx *tx, struct request_row *row,
	const struct handler_answer *answer, GError **error)
{
	switch (answer->error_class) {
	case HANDLER_ERROR_CONFIG:
		return park(tx, row, error);
	case HANDLER_ERROR_TRANSIENT:
		return later(enroll, tx, row, answer->not_before, row->error_text, error);
	case HANDLER_ERROR_CONFLICT:
		return lost(enroll, tx, row, answer, error);
	case HANDLER_ERROR_NONE:
	case HANDLER_ERROR_INPUT:
	case HANDLER_ERROR_HUMAN:
		break;
	}
	return enroll_end(tx, row, REQUEST_REJECTED,
			  row->error_text != NULL ? row->error_text : "the CA said no", error);
}

static gboolean
again(const struct enroll *enroll, struct tx *tx, struct request_row *row,
      const struct handler_answer *answer, GError **error)
{
	gint64 not_before = answer->not_before;

	switch (answer->error_class) {
	case HANDLER_ERROR_CONFIG:
	case HANDLER_ERROR_INPUT:
	case HANDLER_ERROR_CONFLICT:
		return refused(enroll, tx, row, answer, error);
	case HANDLER_ERROR_HUMAN:
		if (not_before == 0)
			not_before = clock_now(enroll->clock) + HUMAN_PAUSE;
		break;
	case HANDLER_ERROR_NONE:
	case HANDLER_ERROR_TRANSIENT:
		break;
	}
	return later(enroll, tx, row, not_before, row->error_text, error);
}

static gboolean
pending(const struct enroll *enroll, struct tx *tx, struct request_row *row,
	const struct handler_answer *answer, GError **error)
{
	gint64 not_before = answer->not_before;

	if (row->state != REQUEST_PENDING)
		row->tries = row->lost = 0;
	row->state = REQUEST_PENDING;
	if (answer->error_class == HANDLER_ERROR_HUMAN && not_before == 0)
		not_before = clock_now(enroll->clock) + HUMAN_PAUSE;
	return later(enroll, tx, row, not_before,
		     row->error_text != NULL ? row->error_text : "handed in, not finished there",
		     error);
}

gboolean
enroll_take_answer(const struct enroll *enroll, struct tx *tx, struct request_row *row,
		   const struct handler *handler, const struct handler_config *config,
		   const struct handler_answer *answer, GError **error)
{
	enroll_set_error(row, answer->error_class, answer->code, answer->text);
	if (answer->handle != NULL && !enroll_set_handle(row, answer->handle, error))
		return FALSE;
	g_clear_pointer(&row->asking, g_free);
	row->lease_until = CLOCK_NEVER;
	switch (answer->status) {
	case HANDLER_ISSUED:
		return issued(enroll, tx, row, handler, config, answer, error);
	case HANDLER_PENDING:
		return pending(enroll, tx, row, answer, error);
	case HANDLER_RETRY:
		return again(enroll, tx, row, answer, error);
	case HANDLER_REJECTED:
		return refused(enroll, tx, row, answer, error);
	}
	return fail_false(error, PS_ERROR_BUG, "handler '%s' gave no answer", row->handler);
}
