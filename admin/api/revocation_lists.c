/*
 * revocation_lists - the noun crl (T5).
 */
#include "admin/api/cert_text.h"
#include "admin/api/change.h"
#include "admin/api/fetching.h"
#include "admin/api/handlers.h"
#include "admin/api/importing.h"
#include "admin/api/paging.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/ca.h"
#include "pki/crl_status.h"
#include "pki/crypto/crl.h"
#include "store/base/error.h"
#include "store/crl_entries.h"
#include "store/db/tx.h"

/* --- list --- */

/* NULL with *error. */
static json_t *
crl_object(const struct call *call, struct crl_judge *judge, const struct crl_row *row,
	   GError **error)
{
	CLEANUP(crl_status)
	struct crl_status *status =
	    crl_status_of(judge, row, clock_now(call->gateway->clock), error);

	if (status == NULL)
		return NULL;
	json_t *object = json_object();
	json_object_set_new(object, "thumbprint", answer_text(row->thumbprint));
	json_object_set_new(object, "issuer", answer_text(row->issuer));
	json_object_set_new(object, "number", answer_text(row->number));
	json_object_set_new(object, "this_update", answer_time(row->this_update));
	json_object_set_new(object, "next_update", answer_time(row->next_update));
	json_object_set_new(object, "entries", json_integer(row->entries));
	json_object_set_new(object, "scope", answer_text(row->scope_text));
	json_object_set_new(object, "source", answer_text(row->source));
	if (row->base_number != NULL)
		json_object_set_new(object, "delta_of", answer_text(row->base_number));
	json_object_set_new(object, "state", json_string(crl_state_name(row->state)));
	json_object_set_new(object, "verdict", json_string(status->valid ? "valid" : "invalid"));
	json_object_set_new(object, "reason", answer_text(status->reason));
	return object;
}

static gboolean
is_wanted(const struct call *call, const struct crl_row *row)
{
	const char *text = call_text(call, "text");

	return (text == NULL || g_str_match_string(text, row->issuer, TRUE) ||
		strstr(row->issuer, text) != NULL) &&
	       (!call_flag(call, "without-effect") || !crl_row_in_force(row));
}

json_t *
crl_list(struct call *call, GError **error)
{
	struct gateway *gateway = call->gateway;
	CLEANUP(crl_judge) struct crl_judge *judge = crl_judge_new(gateway->db, gateway->trust);
	g_autoptr(GPtrArray) rows = crls_list(gateway->db, error);

	if (rows == NULL)
		return NULL;
	json_t *items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct crl_row *row = g_ptr_array_index(rows, i);

		if (!is_wanted(call, row))
			continue;
		json_t *object = crl_object(call, judge, row, error);
		if (object == NULL) {
			json_decref(items);
			return NULL;
		}
		json_array_append_new(items, object);
	}
	if (!call_flag(call, "without-effect") &&
	    !fetching_join(call, items, call_text(call, "text"), error)) {
		json_decref(items);
		return NULL;
	}
	return answer_list(items, NULL);
}

/* --- show, entries --- */

static json_t *
entry_objects(const GPtrArray *entries)
{
	json_t *array = json_array();

	for (guint i = 0; i < entries->len; i++) {
		const struct revoked_row *entry = g_ptr_array_index(entries, i);
		json_t *object = json_object();

		json_object_set_new(object, "serial", answer_text(entry->serial));
		json_object_set_new(object, "revoked", answer_time(entry->revoked_at));
		json_object_set_new(object, "reason",
				    json_string(crl_reason_name((enum crl_reason)entry->reason)));
		if (entry->issuer_key != NULL)
			json_object_set_new(object, "issuer_key", answer_text(entry->issuer_key));
		if (entry->past)
			json_object_set_new(object, "note",
					    json_string("named by a list before this one: revoked "
							"for ever"));
		json_array_append_new(array, object);
	}
	return array;
}

/* A page, or with --serial the entries of that one; NULL with *error. *next is owned. */
static json_t *
wanted_entries(const struct call *call, const struct crl_row *row, char **next, GError **error)
{
	const char *serial = call_text(call, "serial");
	const char *after = call_text(call, "after");
	struct page page = { 0 };
	g_autoptr(GPtrArray) entries = NULL;

	*next = NULL;
	if (!page_limit_of(call, &page, error))
		return NULL;
	if (serial != NULL) {
		g_autofree char *normal = ca_serial_normalise(serial, error);

		entries =
		    normal != NULL ? crls_entries_of(call->gateway->db, row, normal, error) : NULL;
		return entries != NULL ? entry_objects(entries) : NULL;
	}
	entries = crls_entries(call->gateway->db, row->id, after, page.limit, error);
	if (entries == NULL)
		return NULL;
	if ((gint)entries->len >= page.limit) {
		const struct revoked_row *last = g_ptr_array_index(entries, entries->len - 1);
		*next = g_strdup(last->serial);
	}
	return entry_objects(entries);
}

static void
add_details(json_t *object, const struct crl_row *row)
{
	json_object_set_new(object, "came", answer_time(row->created));
	json_object_set_new(object, "size", json_integer(row->size));
	json_object_set_new(object, "issuer_key_id", answer_text(row->aki));
	json_object_set_new(object, "signer", answer_text(row->signer));
	if (row->past > 0)
		json_object_set_new(object, "revoked_before", json_integer(row->past));
}

json_t *
crl_show(struct call *call, GError **error)
{
	struct gateway *gateway = call->gateway;
	CLEANUP(crl_judge) struct crl_judge *judge = crl_judge_new(gateway->db, gateway->trust);
	CLEANUP(crl_row)
	struct crl_row *row = crls_find(gateway->db, call_text(call, "crl"), error);
	json_t *object = row != NULL ? crl_object(call, judge, row, error) : NULL;
	g_autofree char *next = NULL;

	if (object == NULL)
		return NULL;
	add_details(object, row);
	if (!call_flag(call, "entries") && call_text(call, "serial") == NULL)
		return object;
	json_t *revoked = wanted_entries(call, row, &next, error);
	if (revoked == NULL) {
		json_decref(object);
		return NULL;
	}
	json_object_set_new(object, "revoked", revoked);
	if (next != NULL)
		json_object_set_new(object, "next", answer_text(next));
	return object;
}

json_t *
crl_entries(struct call *call, GError **error)
{
	CLEANUP(crl_row)
	struct crl_row *row = crls_find(call->gateway->db, call_text(call, "crl"), error);
	g_autofree char *next = NULL;
	json_t *items = row != NULL ? wanted_entries(call, row, &next, error) : NULL;

	return items != NULL ? answer_list(items, next) : NULL;
}

/* --- import, delete --- */

json_t *
crl_import(struct call *call, GError **error)
{
	return importing_run(call, IMPORTING_CRLS_ONLY, error);
}

static json_t *
delete_crls(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const GPtrArray *rows = data;
	g_autoptr(GString) object = g_string_new(NULL);

	for (guint i = 0; i < rows->len; i++) {
		const struct crl_row *row = g_ptr_array_index(rows, i);

		if (!crls_delete(tx, row->thumbprint, error))
			return NULL;
		g_string_append_printf(object, "%s%s", i > 0 ? " " : "", row->thumbprint);
	}
	change->object = g_strdup(object->str);
	return json_pack("{s:i}", "deleted", (int)rows->len);
}

/* What is kept without effect leaves without a question. */
static gboolean
may_delete(struct call *call, const struct crl_row *row, json_t **answer)
{
	gint64 revoked = row->entries + (row->base_number == NULL ? row->past : 0);

	if (!crl_row_in_force(row))
		return TRUE;
	if (revoked == 0)
		return call_is_sure(call, answer,
				    "whether certificates of '%s' are revoked would be unknown "
				    "until its list comes again",
				    row->issuer);
	return call_is_sure(call, answer,
			    "%" G_GINT64_FORMAT " certificates of '%s' would not be revoked any "
			    "more, and of the others it would be unknown, until its list comes "
			    "again%s",
			    revoked, row->issuer,
			    row->base_number == NULL && row->past > 0
				? "; what only lists before it named is forgotten for good"
				: "");
}

json_t *
crl_delete(struct call *call, GError **error)
{
	g_auto(GStrv) names = call_list(call, "crls");
	g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)crl_row_free);
	json_t *answer = NULL;

	for (char **name = names; *name != NULL; name++) {
		struct crl_row *row = crls_find(call->gateway->db, *name, error);

		if (row == NULL)
			return NULL;
		g_ptr_array_add(rows, row);
		if (!may_delete(call, row, &answer))
			return answer;
	}
	return change_run(call, delete_crls, rows, error);
}
