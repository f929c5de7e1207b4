/*
 * request_uploads - request upload: certificates that a person brings, in files of any kind (C5).
 *
 * Each finds its request by its key, or the CA of ours that waits for it. Intermediates that lead
 * to a root go to the certificate store; roots are named and left to root import.
 */
#include <string.h>

#include "admin/api/ca_context.h"
#include "admin/api/change.h"
#include "admin/api/handlers.h"
#include "milter/gateway.h"
#include "pki/ca.h"
#include "pki/crypto/bundle.h"
#include "pki/enroll.h"
#include "pki/enroll_check.h"
#include "pki/import.h"
#include "pki/zip.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/tx.h"

struct upload {
	GPtrArray *certs; /* struct cert */
	GPtrArray *names; /* of their files */
	json_t *rejected;
	struct secret *password;
};

static void
add_item(json_t *items, const char *file, const char *outcome, const char *subject, json_t *request,
	 json_t *note)
{
	json_array_append_new(items,
			      json_pack("{s:o, s:s, s:o, s:o, s:o}", "file", answer_text(file),
					"outcome", outcome, "subject", answer_text(subject),
					"request", request, "note", note));
}

/* FALSE: the whole act fails with *error. Anything else is an outcome. */
static gboolean
is_outcome(GError **problem, GError **error)
{
	if (*problem == NULL || !g_error_matches(*problem, PS_ERROR, PS_ERROR_TEMPORARY))
		return TRUE;
	g_propagate_error(error, g_steal_pointer(problem));
	return FALSE;
}

static gboolean
take_intermediate(struct change *change, struct tx *tx, const struct upload *upload,
		  struct cert *cert, const char *file, json_t *items, GError **error)
{
	struct gateway *gateway = change->call->gateway;
	const struct import_options options = { .name = file };
	g_autoptr(GError) problem = NULL;
	gboolean is_new = FALSE;

	if (cert_is_self_signed(cert)) {
		add_item(items, file, "passed over", cert_subject(cert), json_null(),
			 answer_text("a root: root import makes it trusted"));
		return TRUE;
	}
	gboolean good = enroll_check_chain(gateway->db, cert, upload->certs, NULL,
					   clock_now(gateway->clock), &problem);
	if (good && !import_cert(tx, cert, &options, &is_new, error))
		return FALSE;
	if (!is_outcome(&problem, error))
		return FALSE;
	add_item(items, file,
		 !good    ? "passed over"
		 : is_new ? "intermediate"
			  : "already there",
		 cert_subject(cert), json_null(), answer_text(good ? NULL : problem->message));
	return TRUE;
}

/* A CA's own certificates come along in such files; one that a CA of ours waits for is taken. */
static gboolean
take_ca(struct change *change, struct tx *tx, const struct upload *upload, struct cert *cert,
	const char *file, json_t *items, GString *object, GError **error)
{
	struct gateway *gateway = change->call->gateway;
	struct ca_context context = ca_context_of_gateway(gateway);
	g_autoptr(GError) problem = NULL;
	g_autofree char *name = NULL;

	gboolean taken = ca_take_cert(&context, cert, &name, tx, &problem);
	if (!taken && g_error_matches(problem, PS_ERROR, PS_ERROR_NOT_FOUND))
		return take_intermediate(change, tx, upload, cert, file, items, error);
	if (!is_outcome(&problem, error))
		return FALSE;
	if (taken) {
		/* Its root may come later; until then nobody believes what it issues. */
		if (!enroll_check_chain(gateway->db, cert, upload->certs, NULL,
					clock_now(gateway->clock), &problem) &&
		    !is_outcome(&problem, error))
			return FALSE;
		g_string_append_printf(object, "CA %s ", name);
	} else {
		change->call->exit_status = 1;
	}
	add_item(items, file, taken ? "taken" : "rejected", cert_subject(cert),
		 taken ? answer_text(name) : json_null(),
		 answer_text(problem != NULL ? problem->message : NULL));
	return TRUE;
}

/* No request has its key. A CA of ours that waits for its certificate may: that must be one of a
 * CA. */
static void
explain_stranger(struct gateway *gateway, struct tx *tx, struct cert *cert, GError **problem)
{
	struct ca_context context = ca_context_of_gateway(gateway);
	g_autoptr(GError) why = NULL;
	g_autofree char *name = NULL;

	if (ca_take_cert(&context, cert, &name, tx, &why) ||
	    g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND))
		return;
	g_clear_error(problem);
	*problem = g_steal_pointer(&why);
}

static gboolean
take_cert(struct change *change, struct tx *tx, const struct upload *upload, struct cert *cert,
	  const char *file, json_t *items, GString *object, GError **error)
{
	const struct enroll enroll = gateway_enroll(change->call->gateway);
	g_autoptr(GError) problem = NULL;
	g_autofree char *note = NULL;
	gint64 id = 0;

	gboolean taken = enroll_take_cert(&enroll, tx, cert, upload->certs, &id, &note, &problem);
	if (!taken && g_error_matches(problem, PS_ERROR, PS_ERROR_NOT_FOUND))
		explain_stranger(change->call->gateway, tx, cert, &problem);
	if (!is_outcome(&problem, error))
		return FALSE;
	add_item(items, file, taken ? "taken" : "rejected", cert_subject(cert),
		 taken ? json_integer(id) : json_null(),
		 answer_text(taken ? note : problem->message));
	if (!taken)
		change->call->exit_status = 1;
	if (taken)
		g_string_append_printf(object, "request %" G_GINT64_FORMAT " ", id);
	return TRUE;
}

static json_t *
take_certs(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct upload *upload = data;
	json_t *items = json_copy(upload->rejected);
	g_autoptr(GString) object = g_string_new(NULL);

	for (guint i = 0; i < upload->certs->len; i++) {
		struct cert *cert = g_ptr_array_index(upload->certs, i);
		const char *file = g_ptr_array_index(upload->names, i);
		gboolean good =
		    cert_is_ca(cert)
			? take_ca(change, tx, upload, cert, file, items, object, error)
			: take_cert(change, tx, upload, cert, file, items, object, error);

		if (!good) {
			json_decref(items);
			return NULL;
		}
	}
	change->object = g_strdup(g_strchomp(object->str));
	return answer_list(items, NULL);
}

/* The keys that a PKCS#12 may hold are of no interest: ours is here. */
static void
read_one(struct upload *upload, const char *name, GBytes *bytes)
{
	g_autoptr(GError) problem = NULL;
	CLEANUP(bundle)
	struct bundle *bundle = bundle_read(bytes, name, upload->password, &problem);

	if (bundle == NULL)
		add_item(upload->rejected, name, "rejected", "", json_null(),
			 answer_text(problem->message));
	for (guint k = 0; bundle != NULL && k < bundle->certs->len; k++) {
		struct cert *cert = g_ptr_array_index(bundle->certs, k);

		if (cert_is_among(cert, upload->certs))
			continue;
		g_ptr_array_add(upload->certs, cert_ref(cert));
		g_ptr_array_add(upload->names, g_strdup(name));
	}
}

static void
read_file(struct upload *upload, const char *name, GBytes *bytes)
{
	g_autoptr(GError) problem = NULL;

	if (!zip_is(bytes)) {
		read_one(upload, name, bytes);
		return;
	}
	g_autoptr(GPtrArray) files = zip_read(bytes, &problem);
	if (files == NULL)
		add_item(upload->rejected, name, "rejected", "", json_null(),
			 answer_text(problem->message));
	for (guint i = 0; files != NULL && i < files->len; i++) {
		const struct zip_file *file = g_ptr_array_index(files, i);
		g_autofree char *inside = g_strdup_printf("%s: %s", name, file->name);

		read_one(upload, inside, file->content);
	}
}

json_t *
request_upload(struct call *call, GError **error)
{
	g_autoptr(GPtrArray) certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	struct upload upload = { certs, names, json_array(), call_password(call, "password") };
	json_t *answer = NULL;
	gboolean good = TRUE;

	for (gsize i = 0; good && i < call_file_count(call, "files"); i++) {
		const char *name;
		g_autoptr(GBytes) bytes = call_file(call, "files", i, &name, error);

		good = bytes != NULL;
		if (good)
			read_file(&upload, name, bytes);
	}
	if (good)
		answer = change_run(call, take_certs, &upload, error);
	if (json_array_size(upload.rejected) > 0)
		call->exit_status = 1;
	secret_unref(upload.password);
	json_decref(upload.rejected);
	return answer;
}
