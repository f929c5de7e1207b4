/*
 * authorities - the noun ca (C1, C2, C7, C14): the gateway's own CAs.
 */
#include "admin/api/ca_context.h"
#include "admin/api/cert_text.h"
#include "admin/api/change.h"
#include "admin/api/handlers.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/ca_crl.h"
#include "pki/crypto/crl.h"
#include "pki/crypto/csr.h"
#include "store/base/error.h"
#include "store/crls.h"
#include "store/db/tx.h"

/* --- list, show --- */

static json_t *
ca_object(struct call *call, const struct ca_row *row)
{
	json_t *object = json_object();
	CLEANUP(cert)
	struct cert *cert =
	    row->thumbprint != NULL ? cert_text_find(call, row->thumbprint, NULL) : NULL;

	json_object_set_new(object, "name", answer_text(row->name));
	json_object_set_new(object, "default", json_boolean(row->is_default));
	json_object_set_new(object, "thumbprint", answer_text(row->thumbprint));
	json_object_set_new(object, "root_thumbprint", answer_text(row->root_thumbprint));
	json_object_set_new(object, "created", answer_time(row->created));
	json_object_set_new(object, "crl_next", answer_time(row->crl_next));
	if (cert == NULL) {
		json_object_set_new(object, "state",
				    json_string("waits for the certificate of an external root"));
		return object;
	}
	json_object_set_new(object, "subject", answer_text(cert_subject(cert)));
	json_object_set_new(object, "not_after", answer_time(cert_not_after(cert)));
	json_object_set_new(object, "key", answer_text(cert_key_text(cert)));
	json_object_set_new(object, "ctl", json_string(""));
	(void)cert_text_judge(call, object, cert);
	return object;
}

json_t *
ca_list(struct call *call, GError **error)
{
	g_autoptr(GPtrArray) rows = cas_list(call->gateway->db, error);
	json_t *items;

	if (rows == NULL)
		return NULL;
	items = json_array();
	for (guint i = 0; i < rows->len; i++)
		json_array_append_new(items, ca_object(call, g_ptr_array_index(rows, i)));
	return answer_list(items, NULL);
}

/* With advice where there is none at all. */
static struct ca_row *
find_ca(struct call *call, GError **error)
{
	g_autoptr(GError) problem = NULL;
	const char *name = call_text(call, "ca");
	struct ca_row *row = cas_find(call->gateway->db, name, &problem);

	if (row != NULL)
		return row;
	if (name == NULL && g_error_matches(problem, PS_ERROR, PS_ERROR_NOT_FOUND))
		return fail(error, PS_ERROR_NOT_FOUND,
			    "there is no default CA: make one with 'ca create --make-default', or "
			    "name one");
	g_propagate_error(error, g_steal_pointer(&problem));
	return NULL;
}

json_t *
ca_show(struct call *call, GError **error)
{
	CLEANUP(ca_row) struct ca_row *row = find_ca(call, error);
	json_t *object;
	json_t *chain;

	if (row == NULL)
		return NULL;
	g_autoptr(GPtrArray) certs = ca_chain(call->gateway->db, row, error);
	if (certs == NULL)
		return NULL;
	object = ca_object(call, row);
	chain = json_array();
	for (guint i = 0; i < certs->len; i++) {
		g_autoptr(GPtrArray) facts = cert_facts(g_ptr_array_index(certs, i));
		json_t *shown = cert_text_facts(facts);
		json_object_set_new(shown, "ctl", json_string("none"));
		(void)cert_text_judge(call, shown, g_ptr_array_index(certs, i));
		json_array_append_new(chain, shown);
	}
	json_object_set_new(object, "certificates", chain);
	return object;
}

/* --- create, default, config --- */

static json_t *
create(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	struct gateway *gateway = change->call->gateway;
	struct ca_created created = { 0 };
	json_t *answer;

	struct ca_context context = ca_context_of_gateway(gateway);

	if (!ca_create(&context, data, &created, NULL, tx, error))
		return NULL;
	change->object = g_strdup(cert_common_name(created.intermediate));
	change->detail = g_strdup(cert_thumbprint(created.intermediate));
	answer = json_object();
	json_object_set_new(answer, "name", answer_text(cert_common_name(created.intermediate)));
	json_object_set_new(answer, "thumbprint",
			    answer_text(cert_thumbprint(created.intermediate)));
	json_object_set_new(answer, "root", answer_text(cert_subject(created.root)));
	json_object_set_new(answer, "root_thumbprint", answer_text(cert_thumbprint(created.root)));
	json_object_set_new(answer, "not_after", answer_time(cert_not_after(created.intermediate)));
	cert_unref(created.root);
	cert_unref(created.intermediate);
	return answer;
}

/* The root is somebody else's: what comes out is a request for its owner. */
static json_t *
create_external(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	struct gateway *gateway = change->call->gateway;
	struct ca_context context = ca_context_of_gateway(gateway);
	gint64 id;
	g_autoptr(GBytes) der = ca_create_external(&context, data, &id, tx, error);

	if (der == NULL)
		return NULL;
	CLEANUP(csr) struct csr *csr = csr_parse(der, error);
	if (csr == NULL)
		return NULL;
	g_autofree char *pem = csr_to_pem(der);
	change->object = g_strdup(csr_subject(csr));
	return json_pack("{s:o, s:s, s:s}", "subject", answer_text(csr_subject(csr)), "then",
			 "give the request to the owner of the root, and bring what he issues "
			 "with 'postseal request upload'",
			 "csr", pem);
}

json_t *
ca_create_new(struct call *call, GError **error)
{
	struct ca_create options = {
		.root = { .common_name = call_text(call, "common-name"),
			  .email = call_text(call, "email"),
			  .key = call_text(call, "key"),
			  .digest = call_text(call, "digest"),
			  .days = call_int(call, "days", 0) },
		.intermediate = { .common_name = call_text(call, "intermediate-common-name"),
				  .email = call_text(call, "intermediate-email"),
				  .key = call_text(call, "intermediate-key"),
				  .digest = call_text(call, "intermediate-digest"),
				  .days = call_int(call, "intermediate-days", 0) },
		.organisation = call_text(call, "organisation"),
		.country = call_text(call, "country"),
		.make_default = call_flag(call, "make-default"),
		.trust_root = !call_flag(call, "no-trust"),
	};
	json_t *answer = NULL;

	if (call_flag(call, "external-root"))
		return change_run(call, create_external, &options, error);
	if (options.trust_root &&
	    !call_is_sure(call, &answer,
			  "its root becomes a root of the gateway: what it certifies is believed"))
		return answer;
	return change_run(call, create, &options, error);
}

static json_t *
make_default(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct ca_row *row = data;

	if (!cas_set_default(tx, row->id, error))
		return NULL;
	change->object = g_strdup(row->name);
	return json_pack("{s:o}", "default", answer_text(row->name));
}

json_t *
ca_make_default(struct call *call, GError **error)
{
	CLEANUP(ca_row) struct ca_row *row = find_ca(call, error);

	return row != NULL ? change_run(call, make_default, row, error) : NULL;
}

static json_t *
describe_defaults(struct call *call, GError **error)
{
	CLEANUP(ca_defaults)
	struct ca_defaults *defaults = ca_defaults_load(call->gateway->db, error);
	json_t *items;

	if (defaults == NULL)
		return NULL;
	g_autoptr(GPtrArray) rows = ca_defaults_describe(defaults);
	items = json_array();
	for (guint i = 0; i + 2 < rows->len; i += 3) {
		json_t *item = json_object();

		json_object_set_new(item, "name", answer_text(g_ptr_array_index(rows, i)));
		json_object_set_new(item, "value", answer_text(g_ptr_array_index(rows, i + 1)));
		json_object_set_new(item, "meaning", answer_text(g_ptr_array_index(rows, i + 2)));
		json_array_append_new(items, item);
	}
	return answer_list(items, NULL);
}

static json_t *
set_default(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const char *name = call_text(change->call, "name");
	const char *value = call_text(change->call, "value");

	(void)data;
	if (!ca_defaults_set(tx, name, value, error))
		return NULL;
	change->object = g_strdup("CA defaults");
	change->detail = g_strdup_printf("%s = %s", name, value);
	return json_pack("{s:[{s:s, s:s, s:s}]}", "items", "name", name, "value", value, "meaning",
			 "set");
}

json_t *
ca_config(struct call *call, GError **error)
{
	if (call_text(call, "value") != NULL)
		return change_run(call, set_default, NULL, error);
	json_t *answer = describe_defaults(call, error);
	const char *name = call_text(call, "name");
	json_t *items = json_object_get(answer, "items");

	for (gsize i = json_array_size(items); name != NULL && i > 0; i--)
		if (strcmp(json_string_value(json_object_get(json_array_get(items, i - 1), "name")),
			   name) != 0)
			json_array_remove(items, i - 1);
	return answer;
}

/* --- revoke, crl --- */

struct revoking {
	struct ca_row *ca;
	GStrv serials;
};

static GBytes *
new_crl(struct change *change, const struct ca_row *ca, const struct ca_crl *options, struct tx *tx,
	GError **error)
{
	struct ca_context context = ca_context_of_gateway(change->call->gateway);

	return ca_make_crl(&context, ca->name, options, tx, error);
}

static json_t *
revoke_all(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct revoking *revoking = data;
	struct call *call = change->call;
	struct ca_context context = ca_context_of_gateway(call->gateway);
	const struct ca_crl options = { 0 };
	json_t *items = json_array();

	for (char **serial = revoking->serials; *serial != NULL; serial++) {
		if (!ca_revoke(&context, revoking->ca->name, *serial, call_text(call, "reason"),
			       call_flag(call, "yes"), tx, error)) {
			json_decref(items);
			return NULL;
		}
		json_array_append_new(items, json_pack("{s:o, s:s}", "serial", answer_text(*serial),
						       "outcome", "revoked"));
	}
	if (!call_flag(call, "no-crl")) {
		g_autoptr(GBytes) der = new_crl(change, revoking->ca, &options, tx, error);

		if (der == NULL) {
			json_decref(items);
			return NULL;
		}
	}
	g_autofree char *list = g_strjoinv(" ", revoking->serials);
	change->object = g_strdup(revoking->ca->name);
	change->detail =
	    g_strdup_printf("revoked %s%s%s", list, call_text(call, "reason") != NULL ? ": " : "",
			    call_text(call, "reason") != NULL ? call_text(call, "reason") : "");
	return answer_list(items, NULL);
}

/* What the CA code wants confirmed is DENIED without the word; a person is asked instead. */
static json_t *
ask_if_denied(struct call *call, json_t *answer, GError **error)
{
	if (answer != NULL || error == NULL || *error == NULL || call_flag(call, "yes") ||
	    !g_error_matches(*error, PS_ERROR, PS_ERROR_DENIED))
		return answer;
	(void)call_is_sure(call, &answer, "%s", (*error)->message);
	g_clear_error(error);
	return answer;
}

json_t *
ca_revoke_serials(struct call *call, GError **error)
{
	CLEANUP(ca_row) struct ca_row *row = find_ca(call, error);
	g_auto(GStrv) serials = call_list(call, "serials");
	struct revoking revoking = { row, serials };
	g_autoptr(GError) problem = NULL;
	json_t *answer;

	if (row == NULL)
		return NULL;
	answer = ask_if_denied(call, change_run(call, revoke_all, &revoking, &problem), &problem);
	if (problem != NULL)
		g_propagate_error(error, g_steal_pointer(&problem));
	return answer;
}

static json_t *
make_crl(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct ca_row *row = data;
	const struct call *call = change->call;
	struct ca_crl options = {
		.digest = call_text(call, "digest"),
		.days = call_int(call, "days", 0),
		.anew = call_flag(call, "anew"),
		.confirmed = call_flag(call, "yes"),
	};
	g_autoptr(GBytes) der = new_crl(change, row, &options, tx, error);
	CLEANUP(crl) struct crl *crl = der != NULL ? crl_parse(der, error) : NULL;

	if (crl == NULL)
		return NULL;
	change->object = g_strdup(row->name);
	change->detail = g_strdup_printf("CRL %s", crl_number(crl));
	return json_pack("{s:o, s:o, s:o, s:o, s:I}", "ca", answer_text(row->name), "number",
			 answer_text(crl_number(crl)), "thumbprint",
			 answer_text(crl_thumbprint(crl)), "next_update",
			 answer_time(crl_next_update(crl)), "entries",
			 (json_int_t)crl_entry_count(crl));
}

json_t *
ca_crl(struct call *call, GError **error)
{
	CLEANUP(ca_row) struct ca_row *row = find_ca(call, error);
	g_autoptr(GError) problem = NULL;
	json_t *answer;

	if (row == NULL)
		return NULL;
	answer = ask_if_denied(call, change_run(call, make_crl, row, &problem), &problem);
	if (problem != NULL)
		g_propagate_error(error, g_steal_pointer(&problem));
	return answer;
}

/* --- export --- */

static json_t *
export_crl(struct call *call, const struct ca_row *row, GError **error)
{
	CLEANUP(crl_row)
	struct crl_row *crl = crls_newest(call->gateway->db, row->issuer_key, NULL, error);

	if (crl == NULL)
		return NULL;
	if (crl->der == NULL) {
		CLEANUP(crl_row)
		struct crl_row *whole = crls_find(call->gateway->db, crl->thumbprint, error);
		return whole != NULL
			   ? json_pack("{s:[o]}", "files", answer_file("ca.crl", whole->der))
			   : NULL;
	}
	return json_pack("{s:[o]}", "files", answer_file("ca.crl", crl->der));
}

static json_t *
export_csr(struct call *call, const struct ca_row *row, GError **error)
{
	g_autoptr(GBytes) der = ca_external_csr(call->gateway->db, row->name, error);

	if (der == NULL)
		return NULL;
	char *pem = csr_to_pem(der);
	g_autoptr(GBytes) bytes = g_bytes_new_take(pem, strlen(pem));
	return json_pack("{s:[o]}", "files", answer_file("ca.csr", bytes));
}

json_t *
ca_export(struct call *call, GError **error)
{
	const char *format = call_text(call, "format") != NULL ? call_text(call, "format") : "pem";
	CLEANUP(ca_row) struct ca_row *row = find_ca(call, error);

	if (row == NULL)
		return NULL;
	if (call_flag(call, "crl"))
		return export_crl(call, row, error);
	if (call_flag(call, "csr"))
		return export_csr(call, row, error);
	g_autoptr(GPtrArray) certs = ca_chain(call->gateway->db, row, error);
	if (certs == NULL)
		return NULL;
	if ((call_flag(call, "root") || strcmp(format, "der") == 0) && certs->len > 1) {
		/* The root is last; der holds one, and that is the one people install. */
		struct cert *root = cert_ref(g_ptr_array_index(certs, certs->len - 1));
		g_ptr_array_set_size(certs, 0);
		g_ptr_array_add(certs, root);
	}
	return cert_text_file(certs, format, "ca", error);
}
