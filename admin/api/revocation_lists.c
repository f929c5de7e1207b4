/*
 * revocation_lists - the noun crl (T5).
 */
#include "admin/api/cert_text.h"
#include "admin/api/change.h"
#include "admin/api/handlers.h"
#include "admin/api/importing.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/crypto/crl.h"
#include "store/base/error.h"
#include "store/crls.h"
#include "store/db/tx.h"

static json_t *
crl_object(const struct call *call, const struct crl_row *row)
{
	gint64 now = clock_now(call->gateway->clock);
	gboolean past = row->next_update != CLOCK_NEVER && row->next_update < now;
	json_t *object = json_object();

	json_object_set_new(object, "thumbprint", answer_text(row->thumbprint));
	json_object_set_new(object, "issuer", answer_text(row->issuer));
	json_object_set_new(object, "number", answer_text(row->number));
	json_object_set_new(object, "this_update", answer_time(row->this_update));
	json_object_set_new(object, "next_update", answer_time(row->next_update));
	json_object_set_new(object, "entries", json_integer(row->entries));
	json_object_set_new(object, "source", answer_text(row->source));
	if (row->base_number != NULL)
		json_object_set_new(object, "delta_of", answer_text(row->base_number));
	/* Its signature was checked when it came in: only time can make it invalid. */
	json_object_set_new(object, "verdict", json_string(past ? "invalid" : "valid"));
	json_object_set_new(object, "reason",
			    json_string(past ? "out of date: a newer one is needed" : ""));
	return object;
}

json_t *
crl_list(struct call *call, GError **error)
{
	const char *text = call_text(call, "text");
	g_autoptr(GPtrArray) rows = crls_list(call->gateway->db, error);
	json_t *items;

	if (rows == NULL)
		return NULL;
	items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct crl_row *row = g_ptr_array_index(rows, i);

		if (text == NULL || g_str_match_string(text, row->issuer, TRUE) ||
		    strstr(row->issuer, text) != NULL)
			json_array_append_new(items, crl_object(call, row));
	}
	return answer_list(items, NULL);
}

static json_t *
entries_of(const GPtrArray *entries)
{
	json_t *array = json_array();

	for (guint i = 0; i < entries->len; i++) {
		const struct revoked_row *entry = g_ptr_array_index(entries, i);

		json_array_append_new(
		    array, json_pack("{s:o, s:o, s:s}", "serial", answer_text(entry->serial),
				     "revoked", answer_time(entry->revoked_at), "reason",
				     crl_reason_name((enum crl_reason)entry->reason)));
	}
	return array;
}

json_t *
crl_show(struct call *call, GError **error)
{
	CLEANUP(crl_row)
	struct crl_row *row = crls_find(call->gateway->db, call_text(call, "crl"), error);
	json_t *object;

	if (row == NULL)
		return NULL;
	object = crl_object(call, row);
	json_object_set_new(object, "came", answer_time(row->created));
	if (!call_flag(call, "entries"))
		return object;
	g_autoptr(GPtrArray) entries = crls_entries(call->gateway->db, row->id, error);
	if (entries == NULL) {
		json_decref(object);
		return NULL;
	}
	json_object_set_new(object, "revoked", entries_of(entries));
	return object;
}

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
		if (row->entries > 0 &&
		    !call_is_sure(call, &answer,
				  "%" G_GINT64_FORMAT
				  " certificates of '%s' would not be revoked any more",
				  row->entries, row->issuer))
			return answer;
	}
	return change_run(call, delete_crls, rows, error);
}
