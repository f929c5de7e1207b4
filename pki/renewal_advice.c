/*
 * renewal_advice - asks handlers, draws moments.
 */
#include "pki/renewal_advice.h"

#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/enroll_internal.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/printable.h"
#include "store/db/tx.h"
#include "store/jobs.h"
#include "store/renewals.h"

#define MINUTE 60
#define HOUR 3600
#define DAY 86400
#define UNSAID_SECONDS (6 * HOUR) /* RFC 9773 section 4.3.3 */
#define RENEW_JOB "renew"
#define DUTY "duty"

gint64
renewal_advice_moment(gint64 start, gint64 end, gint64 not_before, gint64 not_after, guint32 chance)
{
	gint64 drawn = start + (gint64)((double)(end - start) * chance / 4294967296.0);
	gint64 margin = MIN((not_after - not_before) / 10, DAY);

	return CLAMP(drawn, not_before + margin, not_after - margin);
}

gint64
renewal_advice_pause(gint64 said_seconds, gint failures)
{
	gint64 pause = 10 * MINUTE;

	if (said_seconds > 0)
		return CLAMP(said_seconds, MINUTE, DAY);
	if (failures == 0)
		return UNSAID_SECONDS;
	for (gint i = 1; i < failures && pause < UNSAID_SECONDS; i++)
		pause *= 2;
	return MIN(pause, UNSAID_SECONDS);
}

static void
set_error(struct renewal_advice *row, const char *text)
{
	g_free(row->error);
	row->error = text != NULL ? printable(text) : g_strdup("");
}

static void
forget_window(struct renewal_advice *row)
{
	row->window_start = row->window_end = row->renew_at = CLOCK_NEVER;
}

/* One that cannot be asked has said what it said before. */
static void
take_advice(struct renewal_advice *row, const struct cert *cert,
	    const struct handler_advice *advice, const GError *why)
{
	set_error(row, why != NULL ? why->message : NULL);
	if (g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		row->failures = 0;
		forget_window(row);
		row->next_ask = row->asked + DAY;
		return;
	}
	row->failures = why != NULL ? row->failures + 1 : 0;
	row->next_ask = row->asked + renewal_advice_pause(why == NULL ? advice->again_seconds : 0,
							  row->failures);
	if (why != NULL || (advice->start == row->window_start && advice->end == row->window_end))
		return;
	row->window_start = advice->start;
	row->window_end = advice->end;
	row->renew_at = renewal_advice_moment(advice->start, advice->end, cert_not_before(cert),
					      cert_not_after(cert), g_random_int());
	log_info("a CA says when a certificate is to be renewed", "thumbprint", row->thumbprint,
		 "handler", row->handler);
}

static gboolean
save(struct tx *tx, gpointer data, GError **error)
{
	const struct renewal_advice *row = data;

	return renewal_advice_save(tx, row, error) &&
	       (row->renew_at == CLOCK_NEVER || row->renew_at > row->next_ask ||
		jobs_enqueue(tx, RENEW_JOB, DUTY, NULL, MAX(row->renew_at, row->asked), error));
}

/* *why: what the CA said no with, or why it could not be asked. */
static void
ask(const struct enroll *enroll, const struct renewal_advice *row, const struct cert *cert,
    struct handler_advice *advice, GError **why)
{
	const struct handler *handler = enroll_handler(enroll, row->handler, why);
	CLEANUP(handler_config)
	struct handler_config *config = handler != NULL
					    ? handler_config_load(enroll->db, enroll->keyring,
								  handler, row->handler_config, why)
					    : NULL;

	if (config == NULL)
		return;
	struct handler_context context = enroll_context(enroll, config);
	context.stopping = enroll->stopping;
	context.data = enroll->data;
	if (handler->advise == NULL || !handler_is_ready(&context, handler, why) ||
	    handler->advise(&context, cert, advice, why) || *why == NULL)
		return;
	handler_config_hide(config, (*why)->message);
}

static gboolean
ask_about(const struct enroll *enroll, struct renewal_advice *row, gboolean *answers,
	  GError **error)
{
	struct handler_advice advice = { 0 };
	g_autoptr(GError) why = NULL;
	CLEANUP(cert) struct cert *cert = cert_parse(row->der, error);

	if (cert == NULL)
		return FALSE;
	ask(enroll, row, cert, &advice, &why);
	if (why != NULL && !g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND))
		*answers = FALSE;
	row->asked = clock_now(enroll->clock);
	take_advice(row, cert, &advice, why);
	return db_transaction(enroll->db, save, row, error);
}

static GPtrArray *
advising_handlers(void)
{
	GPtrArray *names = g_ptr_array_new();
	gsize n;
	const struct handler *const *all = handlers_all(&n);

	for (gsize i = 0; i < n; i++)
		if (all[i]->advise != NULL)
			g_ptr_array_add(names, (gpointer)all[i]->name);
	g_ptr_array_add(names, NULL);
	return names;
}

gboolean
renewal_advice_run(const struct enroll *enroll, gint limit, GError **error)
{
	g_autoptr(GPtrArray) handlers = advising_handlers();
	g_autoptr(GHashTable) silent = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GPtrArray) rows =
	    renewal_advice_due(enroll->db, (const char *const *)handlers->pdata,
			       clock_now(enroll->clock), limit, error);

	if (rows == NULL)
		return FALSE;
	for (guint i = 0; i < rows->len; i++) {
		struct renewal_advice *row = g_ptr_array_index(rows, i);
		g_autofree char *place = g_strconcat(row->handler, "/", row->handler_config, NULL);
		gboolean answers = TRUE;

		if (enroll->stopping != NULL && enroll->stopping(enroll->data))
			return TRUE;
		if (g_hash_table_contains(silent, place))
			continue;
		if (!ask_about(enroll, row, &answers, error))
			return FALSE;
		if (!answers)
			g_hash_table_add(silent, g_steal_pointer(&place));
	}
	return TRUE;
}
