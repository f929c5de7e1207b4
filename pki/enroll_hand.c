/*
 * enroll_hand - what a person does to a request: retry, accept, cancel, delete, upload; and what
 * time does to it.
 */
#include <string.h>

#include "pki/crypto/bundle.h"
#include "pki/crypto/cert.h"
#include "pki/enroll_check.h"
#include "pki/enroll_internal.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/printable.h"
#include "store/cas.h"
#include "store/db/tx.h"
#include "store/outbox.h"
#include "store/requests_work.h"

#define DAY_SECONDS 86400

static gboolean
not_asked(const struct enroll *enroll, const struct request_row *row, GError **error)
{
	return !enroll_is_asked(row, clock_now(enroll->clock)) ||
	       fail_false(error, PS_ERROR_DENIED,
			  "the CA is being asked about request %" G_GINT64_FORMAT
			  " right now; try again in a minute",
			  row->id);
}

static struct handler_config *
config_of(const struct enroll *enroll, const struct request_row *row,
	  const struct handler **handler, GError **error)
{
	*handler = enroll_handler(enroll, row->handler, error);
	if (*handler == NULL)
		return NULL;
	return handler_config_load(enroll->db, enroll->keyring, *handler, row->handler_config,
				   error);
}

/* What was kept, the issued certificate first. */
static GPtrArray *
certs_kept(const struct request_row *row, GError **error)
{
	CLEANUP(bundle) struct bundle *bundle = NULL;
	g_autoptr(GPtrArray) certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);

	if (row->returned == NULL)
		return fail(error, PS_ERROR_INVALID,
			    "of request %" G_GINT64_FORMAT " nothing is kept that could be taken",
			    row->id);
	bundle = bundle_read(row->returned, "what was kept", NULL, error);
	if (bundle == NULL)
		return NULL;
	for (int ours = 1; ours >= 0; ours--)
		for (guint i = 0; i < bundle->certs->len; i++) {
			struct cert *cert = g_ptr_array_index(bundle->certs, i);
			if ((g_strcmp0(cert_spki_sha256(cert), row->spki_sha256) == 0) == ours)
				g_ptr_array_add(certs, cert_ref(cert));
		}
	return g_steal_pointer(&certs);
}

static gboolean
take_kept(const struct enroll *enroll, struct tx *tx, struct request_row *row,
	  enum enroll_trust trust, GError **error)
{
	const struct handler *handler;
	CLEANUP(handler_config)
	struct handler_config *config = config_of(enroll, row, &handler, error);
	g_autoptr(GPtrArray) certs = config != NULL ? certs_kept(row, error) : NULL;

	return certs != NULL && enroll_store_certs(enroll, tx, row, certs, config, trust, error);
}

static gboolean
is_finished(const struct request_row *row, GError **error)
{
	return row->state == REQUEST_ISSUED
		   ? !fail_false(error, PS_ERROR_INVALID,
				 "request %" G_GINT64_FORMAT " has its certificate already",
				 row->id)
		   : FALSE;
}

gboolean
enroll_retry(const struct enroll *enroll, struct tx *tx, gint64 id, gboolean anew, GError **error)
{
	CLEANUP(request_row) struct request_row *row = requests_lock(tx, id, error);
	CLEANUP(ca_defaults) struct ca_defaults *defaults = NULL;
	gint64 now = clock_now(enroll->clock);

	if (row == NULL || is_finished(row, error) || !not_asked(enroll, row, error))
		return FALSE;
	if (row->returned != NULL && !anew)
		return take_kept(enroll, tx, row, ENROLL_CHECKED, error);
	const struct handler *handler = enroll_handler(enroll, row->handler, error);
	defaults = handler != NULL ? ca_defaults_load(enroll->db, error) : NULL;
	if (defaults == NULL)
		return FALSE;
	/* What the CA may know of is looked for first; what it refused, or who says anew, is not.
	 */
	if (anew || row->state == REQUEST_REJECTED) {
		g_clear_pointer(&row->handle, g_free);
		anew = TRUE;
	} else if (!enroll_is_open(row) && row->handle != NULL) {
		enroll_set_error(row, HANDLER_ERROR_CONFLICT, NULL, row->error_text);
	}
	if (anew || !enroll_is_open(row))
		row->state = row->csr == NULL ? REQUEST_NEW : REQUEST_KEYED;
	g_clear_pointer(&row->returned, g_bytes_unref);
	row->next_try = now;
	row->tries = row->lost = 0;
	row->give_up = MAX(row->give_up, now + DAY_SECONDS * defaults->request_max_age);
	if (g_strcmp0(row->error_class, handler_error_class_name(HANDLER_ERROR_CONFLICT)) != 0 ||
	    anew)
		enroll_set_error(row, HANDLER_ERROR_NONE, NULL, NULL);
	return enroll_save(tx, row, "to be tried again, by hand", error) &&
	       requests_call_worker(tx, row->handler, row->handler_config,
				    handler->capabilities.synchronous, now, error);
}

gboolean
enroll_accept(const struct enroll *enroll, struct tx *tx, gint64 id, GError **error)
{
	CLEANUP(request_row) struct request_row *row = requests_lock(tx, id, error);

	return row != NULL && !is_finished(row, error) && not_asked(enroll, row, error) &&
	       take_kept(enroll, tx, row, ENROLL_ACCEPTED, error);
}

gboolean
enroll_cancel(const struct enroll *enroll, struct tx *tx, gint64 id, const char *who,
	      GError **error)
{
	CLEANUP(request_row) struct request_row *row = requests_lock(tx, id, error);

	if (row == NULL || !not_asked(enroll, row, error))
		return FALSE;
	if (!enroll_is_open(row))
		return fail_false(error, PS_ERROR_INVALID,
				  "request %" G_GINT64_FORMAT " is finished already", id);
	g_autofree char *text = g_strdup_printf("cancelled by %s", who);
	enroll_set_error(row, HANDLER_ERROR_NONE, NULL, text);
	return enroll_end(tx, row, REQUEST_FAILED, row->error_text, error);
}

gboolean
enroll_delete(const struct enroll *enroll, struct tx *tx, gint64 id, GError **error)
{
	CLEANUP(request_row) struct request_row *row = requests_lock(tx, id, error);

	if (row == NULL || !not_asked(enroll, row, error))
		return FALSE;
	if (row->state != REQUEST_ISSUED && !outbox_drop(tx, id, error))
		return FALSE;
	return requests_delete(tx, id, error);
}

/* The chain of what a person brings may lack, and is told. */
static gboolean
remark_chain(const struct enroll *enroll, struct cert *cert, GPtrArray *along,
	     const struct handler_config *config, char **note, GError **error)
{
	g_autoptr(GError) why = NULL;

	if (note == NULL)
		return TRUE;
	*note = NULL;
	if (enroll_check_chain(enroll->db, cert, along, handler_config_certs(config, "anchors"),
			       clock_now(enroll->clock), &why))
		return TRUE;
	if (!g_error_matches(why, PS_ERROR, PS_ERROR_INVALID)) {
		g_propagate_error(error, g_steal_pointer(&why));
		return FALSE;
	}
	*note = g_strdup_printf("its chain is not complete: %s", why->message);
	return TRUE;
}

/* Where an answer was lost a person may have to bring it, whatever the handler. */
static gboolean
may_be_brought(const struct handler *handler, const struct request_row *row, GError **error)
{
	return handler->capabilities.csr_upload || row->next_try == CLOCK_NEVER ||
	       row->error_class != NULL ||
	       fail_false(error, PS_ERROR_INVALID,
			  "request %" G_GINT64_FORMAT " waits for handler '%s', which takes no "
			  "uploads: it asks the CA itself",
			  row->id, row->handler);
}

gboolean
enroll_take_cert(const struct enroll *enroll, struct tx *tx, struct cert *cert, GPtrArray *along,
		 gint64 *request_id, char **note, GError **error)
{
	CLEANUP(request_row)
	struct request_row *waiting = requests_by_spki(enroll->db, cert_spki_sha256(cert), error);
	if (waiting == NULL)
		return FALSE;
	CLEANUP(request_row) struct request_row *row = requests_lock(tx, waiting->id, error);
	if (row == NULL)
		return FALSE;
	if (!enroll_is_open(row))
		return fail_false(error, PS_ERROR_INVALID,
				  "request %" G_GINT64_FORMAT " is finished already", row->id);
	const struct handler *handler;
	CLEANUP(handler_config)
	struct handler_config *config = config_of(enroll, row, &handler, error);
	g_autoptr(GPtrArray) certs = g_ptr_array_new();
	g_ptr_array_add(certs, cert);
	*request_id = row->id;
	return config != NULL && may_be_brought(handler, row, error) &&
	       enroll_store_certs(enroll, tx, row, certs, config, ENROLL_CHAIN_MAY_LACK, error) &&
	       remark_chain(enroll, cert, along, config, note, error);
}

/* --- time --- */

struct ending {
	const struct enroll *enroll;
	gint64 id;
};

static gboolean
end_one(struct tx *tx, gpointer data, GError **error)
{
	const struct ending *ending = data;
	gint64 now = clock_now(ending->enroll->clock);
	CLEANUP(request_row) struct request_row *row = requests_lock(tx, ending->id, error);

	if (row == NULL)
		return FALSE;
	if (!enroll_is_open(row) || enroll_is_asked(row, now) || now < row->give_up)
		return TRUE;
	enroll_set_error(row, HANDLER_ERROR_HUMAN, NULL,
			 "given up: nobody finished it in the time it may take");
	return enroll_end(tx, row, REQUEST_FAILED, row->error_text, error);
}

gboolean
enroll_give_up(const struct enroll *enroll, guint *ended, GError **error)
{
	g_autoptr(GArray) late = requests_overdue(enroll->db, clock_now(enroll->clock), error);

	*ended = 0;
	for (guint i = 0; late != NULL && i < late->len; i++) {
		struct ending ending = { enroll, g_array_index(late, gint64, i) };

		if (!db_transaction(enroll->db, end_one, &ending, error))
			return FALSE;
		(*ended)++;
	}
	return late != NULL;
}
