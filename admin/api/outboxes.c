/*
 * outboxes - the noun outbox: deliveries, and passwords that are shown once.
 */
#include "admin/api/change.h"
#include "admin/api/handlers.h"
#include "admin/api/paging.h"
#include "admin/api/row_acts.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/delivery.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/mailaddr.h"
#include "store/base/secret.h"
#include "store/db/tx.h"
#include "store/outbox.h"
#include "store/preferences.h"
#include "store/scopes.h"

/* A claim without an end says so: nobody knows whether it is out. */
static const char *
state_text(const struct outbox_row *row)
{
	if (row->state == OUTBOX_CLAIMED)
		return "claimed (may have been sent)";
	return outbox_state_name(row->state);
}

static json_t *
outbox_object(const struct outbox_row *row)
{
	json_t *object = json_object();
	const char *problem = row->error != NULL ? row->error : row->sms_error;

	json_object_set_new(object, "id", json_integer(row->id));
	json_object_set_new(object, "state", json_string(state_text(row)));
	json_object_set_new(object, "kind",
			    json_string(row->kind == OUTBOX_BUNDLE ? "keys" : "mail"));
	json_object_set_new(object, "user", answer_text(row->email));
	json_object_set_new(object, "to", answer_text(row->recipient));
	json_object_set_new(object, "sms", json_string(outbox_sms_name(row->sms)));
	json_object_set_new(object, "attempts", json_integer(row->attempts));
	json_object_set_new(object, "next_try", answer_time(row->next_try));
	json_object_set_new(object, "sent", answer_time(row->sent));
	json_object_set_new(object, "error", answer_text(problem));
	return object;
}

json_t *
outbox_list_rows(struct call *call, GError **error)
{
	CLEANUP(mailaddr) struct mailaddr *address = NULL;
	struct page page;

	if (!page_of(call, &page, error))
		return NULL;
	if (call_text(call, "email") != NULL) {
		address = call_address(call, "email", error);
		if (address == NULL)
			return NULL;
	}
	g_autoptr(GPtrArray) rows = outbox_list(
	    call->gateway->db, call_flag(call, "open"), call_flag(call, "failed"),
	    address != NULL ? mailaddr_key(address) : NULL, page.after, page.limit, error);
	if (rows == NULL)
		return NULL;
	json_t *items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct outbox_row *row = g_ptr_array_index(rows, i);

		json_array_append_new(items, outbox_object(row));
		page_seen(&page, row->id);
	}
	return page_answer(&page, items);
}

static json_t *
parts_of(struct call *call, gint64 id, GError **error)
{
	g_autoptr(GPtrArray) parts = outbox_parts(call->gateway->db, id, error);
	json_t *array;

	if (parts == NULL)
		return NULL;
	array = json_array();
	for (guint i = 0; i < parts->len; i++) {
		const struct outbox_part *part = g_ptr_array_index(parts, i);
		json_t *object = json_object();

		if (part->request_id != 0)
			json_object_set_new(object, "request", json_integer(part->request_id));
		json_object_set_new(object, "thumbprint", answer_text(part->thumbprint));
		json_object_set_new(object, "state",
				    json_string(part->waiting   ? "waiting"
						: part->dropped ? "dropped"
								: "ready"));
		json_array_append_new(array, object);
	}
	return array;
}

json_t *
outbox_show(struct call *call, GError **error)
{
	CLEANUP(outbox_row)
	struct outbox_row *row = outbox_find(call->gateway->db, call_int(call, "id", 0), error);
	json_t *parts = row != NULL ? parts_of(call, row->id, error) : NULL;

	if (parts == NULL)
		return NULL;
	json_t *object = outbox_object(row);
	json_object_set_new(object, "error", answer_text(row->error));
	json_object_set_new(object, "answer", answer_text(row->queue_id));
	json_object_set_new(object, "sms_attempts", json_integer(row->sms_attempts));
	json_object_set_new(object, "sms_error", answer_text(row->sms_error));
	json_object_set_new(object, "subject", answer_text(row->subject));
	json_object_set_new(object, "message_id", answer_text(row->message_id));
	json_object_set_new(object, "repeated", json_integer(row->repeated));
	json_object_set_new(object, "file",
			    json_string(row->kind == OUTBOX_MAIL ? "none"
					: row->compatible        ? "weak (3DES), for old programs"
								 : "AES-256"));
	json_object_set_new(object, "password",
			    json_string(row->kind == OUTBOX_MAIL ? "none"
					: row->generated         ? "generated"
								 : "given"));
	json_object_set_new(object, "password_shown", answer_time(row->password_shown));
	json_object_set_new(object, "password_shown_to", answer_text(row->password_shown_to));
	json_object_set_new(object, "held_by", answer_text(row->holder));
	json_object_set_new(object, "erased", json_boolean(row->erased));
	json_object_set_new(object, "requester", answer_text(row->requester));
	json_object_set_new(object, "created", answer_time(row->created));
	json_object_set_new(object, "changed", answer_time(row->updated));
	json_object_set_new(object, "certificates", parts);
	return object;
}

/* --- by hand --- */

static gboolean
retry_one(const struct call *call, struct tx *tx, gint64 id, GError **error)
{
	return outbox_retry(tx, id, call_flag(call, "again"), error);
}

json_t *
outbox_retry_rows(struct call *call, GError **error)
{
	static const struct row_act act = { "delivery", "due_now", NULL, retry_one };

	return row_act_run(call, &act, error);
}

static gboolean
ask_unfinished(const struct call *call, gint64 id, char **question, GError **error)
{
	CLEANUP(outbox_row) struct outbox_row *row = outbox_find(call->gateway->db, id, error);

	if (row != NULL && (row->next_try != CLOCK_NEVER || row->state == OUTBOX_WAITING))
		*question = g_strdup_printf("delivery %" G_GINT64_FORMAT
					    " to %s is not finished: it will not be sent",
					    id, row->recipient);
	return row != NULL;
}

static gboolean
delete_one(const struct call *call G_GNUC_UNUSED, struct tx *tx, gint64 id, GError **error)
{
	return outbox_delete(tx, id, error);
}

json_t *
outbox_delete_rows(struct call *call, GError **error)
{
	static const struct row_act act = { "delivery", "deleted", ask_unfinished, delete_one };

	return row_act_run(call, &act, error);
}

/* --- passwords --- */

struct showing {
	struct call *call;
	gint64 id;
};

/* Noted before it is shown: what nobody has seen can be given anew, what two have seen cannot be
 * taken back. */
static gboolean
note_shown(struct tx *tx, gpointer data, GError **error)
{
	const struct showing *showing = data;
	struct actor actor = call_actor(showing->call);
	g_autofree char *name = operation_name(showing->call->operation);
	g_autofree char *object = g_strdup_printf("delivery %" G_GINT64_FORMAT, showing->id);
	CLEANUP(outbox_row) struct outbox_row *row = outbox_lock(tx, showing->id, error);

	if (row == NULL)
		return FALSE;
	if (row->kind != OUTBOX_BUNDLE || row->erased)
		return fail_false(error, PS_ERROR_NOT_FOUND,
				  "delivery %" G_GINT64_FORMAT " has no password any more",
				  row->id);
	if (!row->shown_once)
		return fail_false(error, PS_ERROR_DENIED,
				  "the password of delivery %" G_GINT64_FORMAT
				  " was not asked for with --show-password",
				  row->id);
	if (row->password_shown != CLOCK_NEVER) {
		g_autofree char *at = clock_format(row->password_shown);

		return fail_false(error, PS_ERROR_DENIED,
				  "the password of delivery %" G_GINT64_FORMAT
				  " was shown once, to %s at %s; send the keys again with a new "
				  "one: postseal cert send",
				  row->id, row->password_shown_to, at);
	}
	return outbox_note_shown(tx, row->id, showing->call->actor, error) &&
	       audit_admin(tx, &actor, name, object, "password shown", error);
}

static json_t *
show_password(struct call *call, gint64 id, GError **error)
{
	struct delivery delivery = { call->gateway->db, call->gateway->keyring,
				     call->gateway->clock, gateway_settings(call->gateway) };
	struct showing showing = { call, id };
	CLEANUP(secret) struct secret *password = delivery_password(&delivery, id, error);

	if (password == NULL || !db_transaction(call->gateway->db, note_shown, &showing, error))
		return NULL;
	json_t *answer = json_object();
	json_object_set_new(answer, "id", json_integer(id));
	json_object_set_new(answer, "password", json_string(secret_text(password)));
	return answer;
}

json_t *
outbox_password(struct call *call, GError **error)
{
	return show_password(call, call_int(call, "id", 0), error);
}

json_t *
request_password(struct call *call, GError **error)
{
	gint64 request = call_int(call, "id", 0), id;

	if (!outbox_of_request(call->gateway->db, request, &id, error))
		return NULL;
	if (id == 0)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "request %" G_GINT64_FORMAT " has no delivery, and so no password",
			    request);
	return show_password(call, id, error);
}

static gboolean
note_user(struct tx *tx, gpointer data, GError **error)
{
	struct showing *showing = data;
	struct actor actor = call_actor(showing->call);
	g_autofree char *name = operation_name(showing->call->operation);

	return audit_admin(tx, &actor, name, call_text(showing->call, "name"),
			   "stored password of the last PKCS#12 file shown", error);
}

json_t *
user_password(struct call *call, GError **error)
{
	CLEANUP(scope)
	struct scope *scope = scope_parse(SCOPE_USER, call_text(call, "name"), error);
	struct showing showing = { call, 0 };

	if (scope == NULL)
		return NULL;
	CLEANUP(secret)
	struct secret *password = keyring_preference(
	    call->gateway->keyring, scope, preference_name(PREF_LAST_PFX_PASSWORD), error);
	if (password == NULL && error != NULL &&
	    g_error_matches(*error, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		g_clear_error(error);
		return fail(error, PS_ERROR_NOT_FOUND,
			    "no password of a PKCS#12 file of %s is kept: see --store-password",
			    scope->name);
	}
	if (password == NULL || !db_transaction(call->gateway->db, note_user, &showing, error))
		return NULL;
	json_t *answer = json_object();
	json_object_set_new(answer, "user", json_string(scope->name));
	json_object_set_new(answer, "password", json_string(secret_text(password)));
	return answer;
}
