/*
 * roots - the noun root (T1): where all trust begins.
 */
#include "admin/api/cert_text.h"
#include "admin/api/change.h"
#include "admin/api/handlers.h"
#include "admin/api/importing.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/crypto/bundle.h"
#include "pki/import.h"
#include "pki/system_roots.h"
#include "store/base/error.h"
#include "store/ctl.h"
#include "store/db/tx.h"
#include "store/roots.h"

#define WEB_ROOTS "/etc/ssl/certs/ca-certificates.crt"

static gboolean
contains(const char *text, const char *part)
{
	g_autofree char *a = text != NULL ? g_utf8_strdown(text, -1) : NULL;
	g_autofree char *b = g_utf8_strdown(part, -1);

	return a != NULL && strstr(a, b) != NULL;
}

static json_t *
root_object(const struct root_row *row)
{
	json_t *object = json_object();

	json_object_set_new(object, "thumbprint", answer_text(row->thumbprint));
	json_object_set_new(object, "subject", answer_text(row->subject));
	json_object_set_new(object, "serial", answer_text(row->serial));
	json_object_set_new(object, "not_before", answer_time(row->not_before));
	json_object_set_new(object, "not_after", answer_time(row->not_after));
	json_object_set_new(object, "source", answer_text(row->source));
	json_object_set_new(object, "comment", answer_text(row->comment));
	return object;
}

/* thumbprint -> mark of its trust list entry (T8). */
static GHashTable *
marks_of(struct call *call, const GPtrArray *rows, GError **error)
{
	g_autofree const char **names = g_new0(const char *, rows->len + 1);
	GHashTable *marks = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < rows->len; i++)
		names[i] = ((const struct root_row *)g_ptr_array_index(rows, i))->thumbprint;
	g_autoptr(GPtrArray) entries =
	    ctl_by_thumbprints(call->gateway->db, names, rows->len, error);
	if (entries == NULL) {
		g_hash_table_unref(marks);
		return NULL;
	}
	for (guint i = 0; i < entries->len; i++) {
		const struct ctl_row *entry = g_ptr_array_index(entries, i);
		enum ctl_mark mark = entry->kind == CTL_KIND_DENY ? CTL_MARK_DENY
				     : entry->allow_expired       ? CTL_MARK_ALLOW_EXPIRED
								  : CTL_MARK_ALLOW;

		g_hash_table_insert(marks, g_strdup(entry->thumbprint),
				    (gpointer)ctl_mark_name(mark));
	}
	return marks;
}

json_t *
root_list(struct call *call, GError **error)
{
	const char *text = call_text(call, "text");
	g_autoptr(GPtrArray) rows = roots_all(call->gateway->db, error);
	g_autoptr(GHashTable) marks = rows != NULL ? marks_of(call, rows, error) : NULL;
	json_t *items;

	if (marks == NULL)
		return NULL;
	items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct root_row *row = g_ptr_array_index(rows, i);

		const char *mark = g_hash_table_lookup(marks, row->thumbprint);

		if (text != NULL && !contains(row->subject, text) && !contains(row->source, text) &&
		    !contains(row->comment, text))
			continue;
		json_t *object = root_object(row);
		json_object_set_new(object, "ctl", json_string(mark != NULL ? mark : ""));
		json_array_append_new(items, object);
	}
	return answer_list(items, NULL);
}

json_t *
root_show(struct call *call, GError **error)
{
	g_auto(GStrv) names = call_list(call, "certs");
	json_t *array = json_array();

	for (char **name = names; *name != NULL; name++) {
		CLEANUP(root_row)
		struct root_row *row = roots_find(call->gateway->db, *name, error);
		CLEANUP(cert) struct cert *cert = row != NULL ? cert_parse(row->der, error) : NULL;

		if (cert == NULL) {
			json_decref(array);
			return NULL;
		}
		g_autoptr(GPtrArray) facts = cert_facts(cert);
		json_t *object = cert_text_facts(facts);
		json_object_set_new(object, "source", answer_text(row->source));
		json_object_set_new(object, "comment", answer_text(row->comment));
		json_object_set_new(object, "came", answer_time(row->created));
		json_object_set_new(object, "ctl", json_string("none"));
		(void)cert_text_judge(call, object, cert);
		json_array_append_new(array, object);
	}
	json_t *answer = json_object();
	json_object_set_new(answer, "roots", array);
	return answer;
}

json_t *
root_import(struct call *call, GError **error)
{
	return importing_run(call, IMPORTING_ROOTS_ONLY, error);
}

/* --- remove --- */

static json_t *
remove_roots(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const GPtrArray *rows = data;
	g_autoptr(GString) object = g_string_new(NULL);

	for (guint i = 0; i < rows->len; i++) {
		const struct root_row *row = g_ptr_array_index(rows, i);

		if (!roots_delete(tx, row->thumbprint, error))
			return NULL;
		g_string_append_printf(object, "%s%s", i > 0 ? " " : "", row->thumbprint);
	}
	change->object = g_strdup(object->str);
	if (rows->len == 1)
		change->detail =
		    g_strdup(((const struct root_row *)g_ptr_array_index(rows, 0))->subject);
	return json_pack("{s:i}", "removed", (int)rows->len);
}

/* Another root with the same name and key stands in for it. */
static gboolean
has_twin(const GPtrArray *all, const GPtrArray *removed, const struct root_row *row)
{
	for (guint i = 0; i < all->len; i++) {
		const struct root_row *other = g_ptr_array_index(all, i);
		gboolean goes = FALSE;

		for (guint k = 0; k < removed->len; k++)
			goes |= strcmp(((const struct root_row *)removed->pdata[k])->thumbprint,
				       other->thumbprint) == 0;
		if (!goes && strcmp(other->subject_key, row->subject_key) == 0 &&
		    strcmp(other->spki_sha256, row->spki_sha256) == 0)
			return TRUE;
	}
	return FALSE;
}

/* What loses its path to a root, one line a root. FALSE with *error. */
static gboolean
tell_loss(struct call *call, const GPtrArray *rows, GString *out, GError **error)
{
	g_autoptr(GPtrArray) all = roots_all(call->gateway->db, error);

	for (guint i = 0; all != NULL && i < rows->len; i++) {
		const struct root_row *row = g_ptr_array_index(rows, i);
		gint64 below = 0;

		if (!certs_count_below(call->gateway->db, row->subject_key, &below, error))
			return FALSE;
		g_string_append(out, i > 0 ? "; " : "");
		if (has_twin(all, rows, row))
			g_string_append_printf(out,
					       "'%s': another root with its name and key "
					       "stays, nothing loses its path",
					       row->subject);
		else
			g_string_append_printf(out,
					       "%" G_GINT64_FORMAT " certificates of the store "
					       "name '%s' as issuer, directly or not, and what "
					       "chains to it alone will not be valid any more",
					       below, row->subject);
	}
	return all != NULL;
}

json_t *
root_remove(struct call *call, GError **error)
{
	g_auto(GStrv) names = call_list(call, "certs");
	g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)root_row_free);
	g_autoptr(GString) loss = g_string_new(NULL);
	json_t *answer = NULL;

	for (char **name = names; *name != NULL; name++) {
		struct root_row *row = roots_find(call->gateway->db, *name, error);

		if (row == NULL)
			return NULL;
		g_ptr_array_add(rows, row);
	}
	if (!tell_loss(call, rows, loss, error))
		return NULL;
	if (!call_is_sure(call, &answer, "%s", loss->str))
		return answer;
	answer = change_run(call, remove_roots, rows, error);
	if (answer != NULL)
		json_object_set_new(answer, "effect", answer_text(loss->str));
	return answer;
}

/* --- the system's roots --- */

static GPtrArray *
mail_roots(char **module, GError **error)
{
	g_autoptr(GPtrArray) ders = system_roots_email(module, error);
	g_autoptr(GPtrArray) certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);

	for (guint i = 0; ders != NULL && i < ders->len; i++) {
		struct cert *cert = cert_parse(g_ptr_array_index(ders, i), error);

		if (cert == NULL)
			return NULL;
		g_ptr_array_add(certs, cert);
	}
	return ders != NULL ? g_steal_pointer(&certs) : NULL;
}

static GPtrArray *
web_roots(GError **error)
{
	g_autoptr(GError) problem = NULL;
	char *text = NULL;
	gsize length;

	if (!g_file_get_contents(WEB_ROOTS, &text, &length, &problem))
		return fail(error, PS_ERROR_NOT_FOUND, "%s; install ca-certificates",
			    problem->message);
	g_autoptr(GBytes) bytes = g_bytes_new_take(text, length);
	CLEANUP(bundle) struct bundle *bundle = bundle_read(bytes, WEB_ROOTS, NULL, error);
	return bundle != NULL ? g_ptr_array_ref(bundle->certs) : NULL;
}

struct taking {
	GPtrArray *certs;
	const char *place, *source;
};

static json_t *
take_roots(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct taking *taking = data;
	json_t *items = json_array();
	int added = 0;

	for (guint i = 0; i < taking->certs->len; i++) {
		const struct cert *cert = g_ptr_array_index(taking->certs, i);
		gboolean is_new;

		/* The system trusts these as they are: some are older than the mark of a CA. */
		if (!import_root(tx, cert, taking->source, &is_new, error)) {
			json_decref(items);
			return NULL;
		}
		added += is_new ? 1 : 0;
		json_array_append_new(
		    items,
		    json_pack("{s:o, s:s, s:s, s:o, s:s, s:o}", "file", answer_text(taking->place),
			      "kind", import_kind_name(IMPORT_ROOT), "outcome",
			      import_outcome_name(is_new ? IMPORT_NEW : IMPORT_PRESENT), "subject",
			      answer_text(cert_subject(cert)), "note", "", "id",
			      answer_text(cert_thumbprint(cert))));
	}
	change->object = g_strdup(taking->source);
	change->detail =
	    g_strdup_printf("%d new of %u from %s", added, taking->certs->len, taking->place);
	return json_pack("{s:o, s:{s:i, s:i, s:i}}", "items", items, "total", "new", added,
			 "already_there", (int)taking->certs->len - added, "rejected", 0);
}

json_t *
root_import_system(struct call *call, GError **error)
{
	const char *purpose = call_text(call, "purpose");
	gboolean any = purpose != NULL && strcmp(purpose, "any") == 0;
	g_autofree char *module = NULL;
	json_t *answer = NULL;

	if (any && !call_is_sure(call, &answer,
				 "these roots were vetted for web servers, not for mail: whoever "
				 "they certify would be believed"))
		return answer;
	g_autoptr(GPtrArray) certs = any ? web_roots(error) : mail_roots(&module, error);
	if (certs == NULL)
		return NULL;
	struct taking taking = { certs, any ? WEB_ROOTS : module,
				 any ? "system-any" : "system-email" };
	return change_run(call, take_roots, &taking, error);
}

/* --- export --- */

json_t *
root_export(struct call *call, GError **error)
{
	const char *format = call_text(call, "format") != NULL ? call_text(call, "format") : "pem";
	g_auto(GStrv) names = call_list(call, "certs");
	g_autoptr(GPtrArray) certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	g_autoptr(GPtrArray) rows = NULL;

	if (!call_flag(call, "all") && *names == NULL)
		return fail(error, PS_ERROR_INVALID, "give thumbprints, or --all");
	if (call_flag(call, "all")) {
		rows = roots_all(call->gateway->db, error);
	} else {
		rows = g_ptr_array_new_with_free_func((GDestroyNotify)root_row_free);
		for (char **name = names; *name != NULL; name++) {
			struct root_row *row = roots_find(call->gateway->db, *name, error);

			if (row == NULL)
				return NULL;
			g_ptr_array_add(rows, row);
		}
	}
	for (guint i = 0; rows != NULL && i < rows->len; i++) {
		struct cert *cert =
		    cert_parse(((const struct root_row *)g_ptr_array_index(rows, i))->der, error);

		if (cert == NULL)
			return NULL;
		g_ptr_array_add(certs, cert);
	}
	return rows != NULL ? cert_text_file(certs, format, "roots", error) : NULL;
}
