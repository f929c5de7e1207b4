/* split_journey - see split_journey.h. */
#include "milter/split_journey.h"

#include <string.h>

#include "milter/copy_key.h"
#include "milter/envelope.h"
#include "milter/gateway.h"
#include "milter/mime/compose.h"
#include "milter/mta.h"
#include "milter/session.h"
#include "milter/split_report.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/secret.h"
#include "store/config/settings.h"

/* A try holds its copies a little longer than it may last. */
#define LEASE_EXTRA_SECONDS 15

void
journey_clear(struct journey *journey)
{
	delivery_close(journey->delivery);
	g_clear_pointer(&journey->parcels, g_ptr_array_unref);
	g_free(journey->keys);
	g_free(journey->claimed);
	g_free(journey->uncertain);
	g_free(journey->host);
}

static const char *
queue_id_of(const struct split_request *request)
{
	const char *id = request->message->envelope->queue_id;

	if (*id == '\0' && request->mta != NULL)
		id = request->mta->ops->macro(request->mta, "i");
	return id != NULL ? id : "";
}

gboolean
journey_begin(struct journey *journey, struct split *split, const struct split_request *request,
	      GError **error)
{
	CLEANUP(secret) struct secret *holder = secret_new_random(LEDGER_HOLDER_BYTES, error);
	const char *name =
	    request->mta != NULL ? request->mta->ops->macro(request->mta, "j") : NULL;

	memset(journey, 0, sizeof *journey);
	journey->split = split;
	journey->request = request;
	journey->settings = gateway_settings(split->gateway);
	journey->host = compose_host(name != NULL ? name : g_get_host_name());
	journey->count = request->message->envelope->recipients->len;
	journey->claimed = g_new0(gboolean, journey->count + 1);
	journey->uncertain = g_new0(gboolean, journey->count + 1);
	journey->parcels = g_ptr_array_new_with_free_func((GDestroyNotify)parcel_free);
	if (holder == NULL)
		return FALSE;
	memcpy(journey->holder, secret_bytes(holder), sizeof journey->holder);
	journey->keys =
	    copy_keys_make(split->gateway->keyring, request->message, queue_id_of(request), error);
	return journey->keys != NULL;
}

gboolean
journey_connect(struct journey *journey, GError **error)
{
	const struct delivery_options options = {
		.settings = journey->settings,
		.keyring = journey->split->gateway->keyring,
		.envelope = journey->request->message->envelope,
		.host = journey->host,
		.mta = journey->request->mta,
		.now = clock_now(journey->split->gateway->clock),
	};

	journey->delivery = delivery_open(&options, error);
	return journey->delivery != NULL;
}

gboolean
journey_claim(struct journey *journey, const GArray *indices, GError **error)
{
	g_autofree struct ledger_copy *copies = g_new0(struct ledger_copy, indices->len);

	for (guint i = 0; i < indices->len; i++)
		copies[i] = journey->keys[g_array_index(indices, guint, i)];
	if (indices->len > 0 &&
	    !ledger_claim(journey->split->gateway->db, copies, indices->len, journey->holder,
			  journey->settings->reinject_timeout + LEASE_EXTRA_SECONDS, error))
		return FALSE;
	for (guint i = 0; i < indices->len; i++) {
		guint index = g_array_index(indices, guint, i);

		if (split_memory_has(journey->split->memory, &copies[i]))
			copies[i].state = LEDGER_COMPLETED;
		journey->claimed[index] =
		    copies[i].state == LEDGER_NEW || copies[i].state == LEDGER_REPEATED;
		journey->keys[index].state = copies[i].state;
	}
	return TRUE;
}

void
journey_release(struct journey *journey)
{
	g_autoptr(GArray) unsent = g_array_new(FALSE, FALSE, sizeof(struct ledger_copy));
	g_autoptr(GArray) open = g_array_new(FALSE, FALSE, sizeof(struct ledger_copy));
	struct db *db = journey->split->gateway->db;

	for (guint i = 0; i <= journey->count; i++) {
		const struct ledger_copy *key = &journey->keys[i];

		if (journey->claimed[i])
			g_array_append_val(
			    key->state == LEDGER_NEW && !journey->uncertain[i] ? unsent : open,
			    *key);
	}
	if (unsent->len > 0)
		(void)!ledger_release(db, (struct ledger_copy *)(gpointer)unsent->data, unsent->len,
				      journey->holder, TRUE, NULL);
	if (open->len > 0)
		(void)!ledger_release(db, (struct ledger_copy *)(gpointer)open->data, open->len,
				      journey->holder, FALSE, NULL);
}

gboolean
journey_complete(struct journey *journey, const GArray *indices, const struct smtp_reply *answer,
		 GError **error)
{
	g_autofree struct ledger_copy *copies = g_new0(struct ledger_copy, indices->len);
	g_autofree char *queue_id = split_report_queue_id(answer);
	g_autoptr(GError) why = NULL;

	for (guint i = 0; i < indices->len; i++) {
		guint index = g_array_index(indices, guint, i);

		copies[i] = journey->keys[index];
		journey->claimed[index] = FALSE;
		journey->uncertain[index] = TRUE;
	}
	journey->gone = TRUE;
	split_memory_touch(journey->split->memory);
	split_report_note(journey->report, queue_id);
	if (ledger_complete(journey->split->gateway->db, copies, indices->len, queue_id, &why))
		return TRUE;
	split_memory_add(journey->split->memory, copies, indices->len, queue_id);
	journey->report->reason = REASON_DEFERRED_STORE;
	g_propagate_prefixed_error(error, g_steal_pointer(&why), "copy %s went out: ", queue_id);
	return FALSE;
}

gboolean
journey_look(struct journey *journey, const gboolean *excluded, GArray *served, GError **error)
{
	g_autofree struct ledger_copy *copies = g_new0(struct ledger_copy, journey->count);
	g_autoptr(GArray) indices = g_array_new(FALSE, FALSE, sizeof(guint));

	for (guint i = 0; i < journey->count; i++) {
		if (excluded != NULL && excluded[i])
			continue;
		copies[indices->len] = journey->keys[i];
		g_array_append_val(indices, i);
	}
	if (indices->len > 0 &&
	    !ledger_look(journey->split->gateway->db, copies, indices->len, error))
		return FALSE;
	for (guint i = 0; i < indices->len; i++)
		if (copies[i].state == LEDGER_COMPLETED ||
		    split_memory_has(journey->split->memory, &copies[i]))
			g_array_append_val(served, g_array_index(indices, guint, i));
	return TRUE;
}
