/*
 * keys - the noun key (K9, K11): private keys as objects; they leave only by export.
 */
#include "admin/api/cert_text.h"
#include "admin/api/change.h"
#include "admin/api/handlers.h"
#include "admin/api/importing.h"
#include "admin/api/paging.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/crypto/bundle.h"
#include "pki/keyring.h"
#include "store/base/error.h"
#include "store/base/hex.h"
#include "store/cas.h"
#include "store/certs.h"
#include "store/db/tx.h"
#include "store/keys.h"
#include "store/requests.h"

static json_t *
key_object(const struct key_row *row)
{
	json_t *object = json_object();
	g_autofree char *type = g_strdup_printf("%s %d", row->kind, row->bits);
	g_autofree char *origin =
	    row->request_id != 0
		? g_strdup_printf("%s (request %" G_GINT64_FORMAT ")", row->origin, row->request_id)
		: g_strdup(row->origin);

	json_object_set_new(object, "spki", answer_text(row->spki_sha256));
	json_object_set_new(object, "type", answer_text(type));
	json_object_set_new(object, "origin", answer_text(origin));
	if (row->request_id != 0)
		json_object_set_new(object, "request", json_integer(row->request_id));
	json_object_set_new(object, "certificates", json_integer(row->certificates));
	json_object_set_new(object, "requests", json_integer(row->requests));
	json_object_set_new(object, "ca", json_boolean(row->is_ca));
	json_object_set_new(object, "made", answer_time(row->made));
	json_object_set_new(object, "last_used",
			    answer_time(row->last_used != 0 ? row->last_used : CLOCK_NEVER));
	json_object_set_new(object, "generation", json_integer(row->generation));
	return object;
}

json_t *
key_list(struct call *call, GError **error)
{
	struct page page;
	json_t *items;

	if (!page_of(call, &page, error))
		return NULL;
	g_autoptr(GPtrArray) rows = keys_list(call->gateway->db, page.after, page.limit, error);
	if (rows == NULL)
		return NULL;
	items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct key_row *row = g_ptr_array_index(rows, i);

		json_array_append_new(items, key_object(row));
		page_seen(&page, row->id);
	}
	return page_answer(&page, items);
}

/* A key is named by its SPKI digest or by a certificate of it, in any spelling; at least 8
 * digits. */
static struct key_row *
find_key(struct call *call, const char *name, GError **error)
{
	g_autoptr(GError) problem = NULL;
	g_autofree char *digits = hex_from_spelling(name);
	struct key_row *row;

	if (digits == NULL)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "%s: neither an SPKI digest nor a thumbprint (hex digits)", name);
	row = keys_show(call->gateway->db, digits, &problem);
	if (row != NULL)
		return row;
	if (!g_error_matches(problem, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&problem));
		return NULL;
	}
	CLEANUP(cert) struct cert *cert = cert_text_find(call, digits, NULL);
	if (cert == NULL)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "%s: no key with this SPKI digest, and no "
			    "certificate with this thumbprint",
			    name);
	row = keys_show(call->gateway->db, cert_spki_sha256(cert), NULL);
	if (row == NULL)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "%s: the private key of this certificate is not held here", name);
	return row;
}

static gboolean
add_certs(struct call *call, json_t *object, const char *spki, GError **error)
{
	g_autoptr(GPtrArray) certs = certs_by_spki(call->gateway->db, spki, error);
	json_t *array;

	if (certs == NULL)
		return FALSE;
	array = json_array();
	for (guint i = 0; i < certs->len; i++) {
		const struct cert_row *row = g_ptr_array_index(certs, i);

		json_array_append_new(array, cert_text_row(call, row, row->der));
	}
	json_object_set_new(object, "used_by", array);
	return TRUE;
}

static gboolean
add_requests(struct call *call, json_t *object, const char *spki, GError **error)
{
	g_autoptr(GPtrArray) requests = requests_of_key(call->gateway->db, spki, error);
	json_t *array;

	if (requests == NULL)
		return FALSE;
	array = json_array();
	for (guint i = 0; i < requests->len; i++) {
		const struct request_row *row = g_ptr_array_index(requests, i);

		json_array_append_new(
		    array, json_pack("{s:I, s:s, s:o, s:o, s:o}", "id", (json_int_t)row->id,
				     "state", request_state_name(row->state), "email",
				     answer_text(row->email), "handler", answer_text(row->handler),
				     "created", answer_time(row->created)));
	}
	json_object_set_new(object, "asked_for_by", array);
	return TRUE;
}

static gboolean
add_cas(struct call *call, json_t *object, const char *spki, GError **error)
{
	g_autoptr(GPtrArray) cas = cas_list(call->gateway->db, error);
	json_t *array = json_array();

	for (guint i = 0; cas != NULL && i < cas->len; i++) {
		const struct ca_row *row = g_ptr_array_index(cas, i);

		if (g_strcmp0(row->spki_sha256, spki) == 0)
			json_array_append_new(array, json_sprintf("%s: issues", row->name));
		if (g_strcmp0(row->root_spki_sha256, spki) == 0)
			json_array_append_new(array, json_sprintf("%s: its root", row->name));
	}
	if (json_array_size(array) > 0)
		json_object_set(object, "signs_for_ca", array);
	json_decref(array);
	return cas != NULL;
}

json_t *
key_show(struct call *call, GError **error)
{
	g_auto(GStrv) names = call_list(call, "keys");
	json_t *array = json_array();

	for (char **name = names; *name != NULL; name++) {
		CLEANUP(key_row) struct key_row *row = find_key(call, *name, error);
		json_t *object = row != NULL ? key_object(row) : NULL;

		if (object != NULL)
			json_array_append_new(array, object);
		if (object == NULL || !add_certs(call, object, row->spki_sha256, error) ||
		    !add_requests(call, object, row->spki_sha256, error) ||
		    !add_cas(call, object, row->spki_sha256, error)) {
			json_decref(array);
			return NULL;
		}
	}
	json_t *answer = json_object();
	json_object_set_new(answer, "keys", array);
	return answer;
}

json_t *
key_import(struct call *call, GError **error)
{
	return importing_run(call, IMPORTING_STORE, error);
}

json_t *
key_export(struct call *call, GError **error)
{
	CLEANUP(key_row) struct key_row *row = find_key(call, call_text(call, "key"), error);
	CLEANUP(secret) struct secret *password = call_password(call, "password");
	CLEANUP(secret) struct secret *text = NULL;
	CLEANUP(key) struct key *key = NULL;
	json_t *answer;

	if (row == NULL)
		return NULL;
	if (password == NULL || secret_length(password) == 0)
		return fail(error, PS_ERROR_INVALID, "a key leaves only under a password");
	key = keyring_find(call->gateway->keyring, row->spki_sha256, error);
	text = key != NULL ? bundle_write_key_pem(key, password, error) : NULL;
	if (text == NULL)
		return NULL;
	g_autoptr(GBytes) bytes = g_bytes_new(secret_bytes(text), secret_length(text));
	answer = json_pack("{s:[o]}", "files", answer_file("key.pem", bytes));
	if (!change_record(call, row->spki_sha256, "exported", answer, error))
		g_clear_pointer(&answer, json_decref);
	return answer;
}

/* --- delete --- */

static json_t *
delete_keys(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const GPtrArray *rows = data;
	g_autoptr(GString) object = g_string_new(NULL);

	for (guint i = 0; i < rows->len; i++) {
		const struct key_row *row = g_ptr_array_index(rows, i);

		if (!keyring_delete(change->call->gateway->keyring, tx, row->spki_sha256,
				    call_flag(change->call, "yes"), error))
			return NULL;
		g_string_append_printf(object, "%s%s", i > 0 ? " " : "", row->spki_sha256);
	}
	change->object = g_strdup(object->str);
	return json_pack("{s:i}", "deleted", (int)rows->len);
}

json_t *
key_delete(struct call *call, GError **error)
{
	g_auto(GStrv) names = call_list(call, "keys");
	g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)key_row_free);
	json_t *answer = NULL;

	for (char **name = names; *name != NULL; name++) {
		struct key_row *row = find_key(call, *name, error);

		if (row == NULL)
			return NULL;
		g_ptr_array_add(rows, row);
		if ((row->certificates > 0 || row->requests > 0 || row->is_ca) &&
		    !call_is_sure(
			call, &answer,
			"key %.16s… is used by %" G_GINT64_FORMAT
			" certificates and %" G_GINT64_FORMAT
			" requests%s, and what was encrypted to it can never be read again",
			row->spki_sha256, row->certificates, row->requests,
			row->is_ca ? ", a CA signs with it" : ""))
			return answer;
	}
	return change_run(call, delete_keys, rows, error);
}
