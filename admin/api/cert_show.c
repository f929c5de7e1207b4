/*
 * cert_show - cert show: everything there is to know of a certificate of the store (K1).
 */
#include "admin/api/cert_ocsp.h"
#include "admin/api/cert_text.h"
#include "admin/api/cert_uses.h"
#include "admin/api/handlers.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/keyring.h"
#include "store/base/error.h"
#include "store/requests.h"
#include "store/roots.h"

/* "handler (builtin), request 7 by alice", "harvest (bob@x)" */
static char *
origin_text(struct call *call, const struct cert_row *row)
{
	GString *text = g_string_new(row->origin);

	if (row->origin_detail != NULL && *row->origin_detail != '\0')
		g_string_append_printf(text, " (%s)", row->origin_detail);
	if (row->request_id == 0)
		return g_string_free(text, FALSE);
	CLEANUP(request_row)
	struct request_row *request = requests_find(call->gateway->db, row->request_id, NULL);
	g_string_append_printf(text, ", request %" G_GINT64_FORMAT, row->request_id);
	if (request != NULL)
		g_string_append_printf(text, " to handler %s", request->handler);
	return g_string_free(text, FALSE);
}

static void
add_origin(struct call *call, json_t *object, const struct cert_row *row)
{
	g_autofree char *origin = origin_text(call, row);

	json_object_set_new(object, "origin", answer_text(origin));
	json_object_set_new(object, "came", answer_time(row->created));
	if (row->request_id != 0)
		json_object_set_new(object, "request", json_integer(row->request_id));
	if (row->own_ca != NULL)
		json_object_set_new(object, "own_ca", answer_text(row->own_ca));
	if (row->issued != 0)
		json_object_set_new(object, "issued", answer_time(row->issued));
	if (row->pending)
		json_object_set_new(object, "pending",
				    json_string("waits for an administrator: a new key for an "
						"address that has a valid certificate"));
}

/* As a root it came in another way, and both can be. */
static void
add_root(struct call *call, json_t *object, const char *thumbprint)
{
	CLEANUP(root_row)
	struct root_row *root = roots_find(call->gateway->db, thumbprint, NULL);

	json_object_set_new(object, "trusted_root", json_string(root != NULL ? "yes" : "no"));
	if (root == NULL)
		return;
	json_object_set_new(object, "root_source", answer_text(root->source));
	json_object_set_new(object, "root_comment", answer_text(root->comment));
	json_object_set_new(object, "root_since", answer_time(root->created));
}

static void
add_key(struct call *call, json_t *object, const struct cert *cert)
{
	g_autoptr(GError) problem = NULL;
	gboolean held = FALSE;

	if (keyring_holds(call->gateway->keyring, cert_spki_sha256(cert), &held, &problem))
		json_object_set_new(object, "private_key", json_string(held ? "held" : "not held"));
	else
		json_object_set_new(object, "private_key", answer_text(problem->message));
}

static void
add_uses(struct call *call, json_t *object, const struct cert *cert)
{
	g_autoptr(GError) problem = NULL;
	g_autoptr(GPtrArray) uses = cert_uses(call, cert, &problem);
	json_t *array = json_array();

	if (uses == NULL)
		json_array_append_new(array, answer_text(problem->message));
	for (guint i = 0; uses != NULL && i < uses->len; i++) {
		g_autofree char *text = cert_use_text(g_ptr_array_index(uses, i));

		json_array_append_new(array, answer_text(text));
	}
	if (!cert_is_ca(cert) && cert_emails(cert)->len > USES_ADDRESSES_MAX)
		json_array_append_new(array,
				      json_sprintf("%u further addresses: see 'select show'",
						   cert_emails(cert)->len - USES_ADDRESSES_MAX));
	json_object_set_new(object, "selected", array);
}

/* What says that it is revoked or not; each of several purposes may rest on another source. */
static void
add_source(json_t *object, const char *source)
{
	json_t *sources = json_object_get(object, "revocation");

	if (source == NULL)
		return;
	for (gsize i = 0; i < json_array_size(sources); i++)
		if (g_str_equal(json_string_value(json_array_get(sources, i)), source))
			return;
	if (sources == NULL) {
		sources = json_array();
		json_object_set_new(object, "revocation", sources);
	}
	json_array_append_new(sources, answer_text(source));
}

/* The verdict for each thing that it may be wanted for. */
static void
add_verdicts(struct call *call, json_t *object, struct cert *cert)
{
	static const struct {
		enum trust_purpose purpose;
		const char *name;
	} purposes[] = {
		{ TRUST_ENCRYPT, "to_encrypt" },
		{ TRUST_SIGN, "to_sign" },
		{ TRUST_VERIFY, "to_verify" },
	};

	json_object_set_new(object, "ctl", json_string("none"));
	if (!cert_text_judge(call, object, cert))
		return;
	for (gsize i = 0; i < G_N_ELEMENTS(purposes) && !cert_is_ca(cert); i++) {
		CLEANUP(verdict)
		struct verdict *verdict =
		    trust_judge(call->gateway->trust, cert, purposes[i].purpose, NULL);
		if (verdict == NULL)
			continue;
		add_source(object, verdict->revocation);
		g_autofree char *text =
		    *verdict->reason != '\0'
			? g_strdup_printf("%s: %s", verdict_state_name(verdict->state),
					  verdict->reason)
			: g_strdup(verdict_state_name(verdict->state));
		json_object_set_new(object, purposes[i].name, answer_text(text));
	}
}

static void
add_path(struct call *call, json_t *object, struct cert *cert)
{
	CLEANUP(verdict)
	struct verdict *verdict = trust_judge(call->gateway->trust, cert, TRUST_ANY, NULL);
	json_t *path = json_array();

	for (guint i = 0; verdict != NULL && i < verdict->path->len; i++)
		json_array_append_new(
		    path, answer_text(cert_subject(g_ptr_array_index(verdict->path, i))));
	if (json_array_size(path) > 1)
		json_object_set(object, "path", path);
	json_decref(path);
}

static json_t *
show_one(struct call *call, const char *name, GError **error)
{
	CLEANUP(cert) struct cert *cert = cert_text_find(call, name, error);

	if (cert == NULL)
		return NULL;
	g_autoptr(GPtrArray) facts = cert_facts(cert);
	json_t *object = cert_text_facts(facts);
	CLEANUP(cert_row)
	struct cert_row *row = certs_find(call->gateway->db, cert_thumbprint(cert), NULL);
	add_key(call, object, cert);
	if (row != NULL)
		add_origin(call, object, row);
	if (cert_is_ca(cert))
		add_root(call, object, cert_thumbprint(cert));
	add_uses(call, object, cert);
	add_verdicts(call, object, cert);
	cert_ocsp_add(call, object, cert);
	add_path(call, object, cert);
	return object;
}

json_t *
cert_show(struct call *call, GError **error)
{
	g_auto(GStrv) names = call_list(call, "certs");
	json_t *array = json_array();

	for (char **name = names; *name != NULL; name++) {
		json_t *object = show_one(call, *name, error);

		if (object == NULL) {
			json_decref(array);
			return NULL;
		}
		json_array_append_new(array, object);
	}
	json_t *answer = json_object();
	json_object_set_new(answer, "certificates", array);
	return answer;
}
