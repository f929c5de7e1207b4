/*
 * roots - the noun root (T1): where all trust begins.
 */
#include "admin/api/cert_text.h"
#include "admin/api/change.h"
#include "admin/api/handlers.h"
#include "admin/api/importing.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

#include "milter/gateway.h"
#include "store/base/error.h"
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

json_t *
root_list(struct call *call, GError **error)
{
	const char *text = call_text(call, "text");
	g_autoptr(GPtrArray) rows = roots_all(call->gateway->db, error);
	json_t *items;

	if (rows == NULL)
		return NULL;
	items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct root_row *row = g_ptr_array_index(rows, i);

		if (text == NULL || contains(row->subject, text) || contains(row->source, text) ||
		    contains(row->comment, text))
			json_array_append_new(items, root_object(row));
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

json_t *
root_remove(struct call *call, GError **error)
{
	g_auto(GStrv) names = call_list(call, "certs");
	g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)root_row_free);
	json_t *answer = NULL;

	for (char **name = names; *name != NULL; name++) {
		struct root_row *row = roots_find(call->gateway->db, *name, error);

		if (row == NULL)
			return NULL;
		g_ptr_array_add(rows, row);
		if (!call_is_sure(call, &answer,
				  "what chains to '%s' alone will not be valid any more",
				  row->subject))
			return answer;
	}
	return change_run(call, remove_roots, rows, error);
}

/* --- the system's roots --- */

/* p11-kit knows which roots NSS trusts for mail; its trust program writes them as PEM. */
static GBytes *
mail_roots(GError **error)
{
	g_autoptr(GError) problem = NULL;
	g_autofree char *folder = g_dir_make_tmp("postseal-roots-XXXXXX", &problem);
	g_autofree char *path = folder != NULL ? g_build_filename(folder, "roots.pem", NULL) : NULL;
	g_autofree char *text = NULL;
	gsize length = 0;

	if (folder == NULL)
		return fail(error, PS_ERROR_TEMPORARY, "%s", problem->message);
	g_autoptr(GSubprocess) trust =
	    g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE,
			     &problem, "trust", "extract", "--format=pem-bundle",
			     "--filter=ca-anchors", "--purpose=email", path, NULL);
	gboolean done = trust != NULL && g_subprocess_wait_check(trust, NULL, &problem) &&
			g_file_get_contents(path, &text, &length, &problem);
	g_unlink(path);
	g_rmdir(folder);
	if (!done)
		return fail(error, PS_ERROR_TEMPORARY,
			    "the roots for mail cannot be read: %s; install p11-kit and "
			    "p11-kit-modules",
			    problem->message);
	if (length == 0)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "the system has no root that is trusted for mail: install "
			    "p11-kit-modules and libnss3");
	return g_bytes_new_take(g_steal_pointer(&text), length);
}

static GBytes *
web_roots(GError **error)
{
	g_autoptr(GError) problem = NULL;
	char *text = NULL;
	gsize length;

	if (!g_file_get_contents(WEB_ROOTS, &text, &length, &problem))
		return fail(error, PS_ERROR_NOT_FOUND, "%s; install ca-certificates",
			    problem->message);
	return g_bytes_new_take(text, length);
}

json_t *
root_import_system(struct call *call, GError **error)
{
	const char *purpose = call_text(call, "purpose");
	gboolean any = purpose != NULL && strcmp(purpose, "any") == 0;
	json_t *answer = NULL;

	if (any && !call_is_sure(call, &answer,
				 "these roots were vetted for web servers, not for mail: whoever "
				 "they certify would be believed"))
		return answer;
	g_autoptr(GBytes) bytes = any ? web_roots(error) : mail_roots(error);
	if (bytes == NULL)
		return NULL;
	return importing_bytes(call, IMPORTING_ROOTS_ONLY, bytes, any ? WEB_ROOTS : "p11-kit",
			       any ? "system-any" : "system-email", error);
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
