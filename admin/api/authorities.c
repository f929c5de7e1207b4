/*
 * authorities - the noun ca (C1, C2): the gateway's own CAs, and what they give when nothing is
 * said. Lists are in authority_lists.c, what leaves the gateway in authority_files.c.
 */
#include "admin/api/authority.h"
#include "admin/api/ca_context.h"
#include "admin/api/cert_text.h"
#include "admin/api/change.h"
#include "admin/api/handlers.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/ca.h"
#include "pki/ca_profile.h"
#include "pki/crypto/csr.h"
#include "pki/handlers/handler.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/printable.h"
#include "store/ca_issuing.h"
#include "store/ca_lists.h"
#include "store/db/tx.h"

/* --- what leaves the rules --- */

void
authority_add_warnings(json_t *answer, const GPtrArray *warnings, const char *ca_or_null)
{
	json_t *texts = json_array();

	for (guint i = 0; i < warnings->len; i++) {
		json_array_append_new(texts, answer_text(g_ptr_array_index(warnings, i)));
		if (ca_or_null != NULL)
			log_warning(g_ptr_array_index(warnings, i), "ca", ca_or_null);
	}
	if (json_array_size(texts) > 0)
		json_object_set_new(answer, "warnings", texts);
	else
		json_decref(texts);
}

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

struct ca_row *
authority_find(struct call *call, GError **error)
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

static gboolean
add_details(struct call *call, const struct ca_row *row, json_t *object, GError **error)
{
	struct ca_context context = ca_context_of_gateway(call->gateway);
	g_autoptr(GPtrArray) warnings = ca_warnings(&context, row, error);
	g_autoptr(GPtrArray) extensions =
	    warnings != NULL ? ca_extensions_list(context.db, row->id, error) : NULL;
	g_autoptr(GPtrArray) lists =
	    extensions != NULL
		? ca_lists_find(context.db, row->thumbprint != NULL ? row->thumbprint : "-", error)
		: NULL;

	if (lists == NULL)
		return FALSE;
	json_t *crls = json_array();
	for (guint i = 0; i < lists->len; i++) {
		const struct ca_list_row *list = g_ptr_array_index(lists, i);
		json_array_append_new(
		    crls, json_pack("{s:I, s:I, s:o, s:o, s:o}", "part",
				    (json_int_t)list->partition, "number", (json_int_t)list->number,
				    "thumbprint", answer_text(list->thumbprint), "next_update",
				    answer_time(list->next_update), "points",
				    answer_texts((const char *const *)list->urls)));
	}
	json_object_set_new(object, "crls", crls);
	json_object_set_new(object, "extensions", authority_extensions(extensions, NULL));
	authority_add_warnings(object, warnings, NULL);
	return TRUE;
}

json_t *
ca_show(struct call *call, GError **error)
{
	CLEANUP(ca_row) struct ca_row *row = authority_find(call, error);
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
	if (!add_details(call, row, object, error)) {
		json_decref(object);
		return NULL;
	}
	return object;
}

json_t *
ca_list_profiles(struct call *call, GError **error G_GNUC_UNUSED)
{
	gsize n;
	const struct ca_profile *profiles = ca_profiles(&n);
	json_t *items = json_array();

	for (gsize i = 0; i < n; i++)
		json_array_append_new(
		    items, json_pack("{s:s, s:I, s:s, s:s}", "profile", profiles[i].name, "days",
				     (json_int_t)ca_profile_days_max(
					 &profiles[i], clock_now(call->gateway->clock)),
				     "policy", profiles[i].policy != NULL ? profiles[i].policy : "",
				     "meaning", profiles[i].sentence));
	return answer_list(items, NULL);
}

/* --- create, default, config --- */

static json_t *
create(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	struct gateway *gateway = change->call->gateway;
	struct ca_created created = { 0 };
	json_t *answer;

	struct ca_context context = ca_context_of_gateway(gateway);

	g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);

	if (!ca_create(&context, data, &created, warnings, tx, error))
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
	authority_add_warnings(answer, warnings, change->object);
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

/* Of somebody else's root nothing can be said here; what was said all the same is not passed over.
 */
static gboolean
fits_external(const struct call *call, GError **error)
{
	static const char *const of_root[] = { "common-name", "key",   "digest",
					       "days",        "email", "under" };

	for (gsize i = 0; i < G_N_ELEMENTS(of_root); i++)
		if (call_text(call, of_root[i]) != NULL || call_int(call, of_root[i], 0) != 0)
			return fail_false(
			    error, PS_ERROR_INVALID,
			    "--%s is of a root of ours, and the root is somebody "
			    "else's: name the CA with --intermediate-common-name, its "
			    "key with --intermediate-key",
			    of_root[i]);
	if (call_int(call, "intermediate-days", 0) != 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "--intermediate-days is for the owner of the root to say");
	if (call_flag(call, "make-default"))
		return fail_false(error, PS_ERROR_INVALID,
				  "a CA that waits for its certificate issues nothing: say 'ca "
				  "default' when it is there");
	return TRUE;
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
		.use = call_text(call, "use"),
		.under = call_text(call, "under"),
		.make_default = call_flag(call, "make-default"),
		.trust_root = !call_flag(call, "no-trust"),
	};
	json_t *answer = NULL;

	if (call_flag(call, "external-root") && !fits_external(call, error))
		return NULL;
	if (call_flag(call, "external-root"))
		return change_run(call, create_external, &options, error);
	if (options.trust_root && options.under == NULL &&
	    !call_is_sure(call, &answer,
			  "its root becomes a root of the gateway: what it certifies is believed"))
		return answer;
	return change_run(call, create, &options, error);
}

static json_t *
make_default(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct ca_row *row = data;
	g_autofree char *name = printable(row->name);

	if (row->thumbprint == NULL)
		return fail(error, PS_ERROR_INVALID,
			    "CA '%s' waits for its certificate from the external root: bring it "
			    "with 'postseal request upload'",
			    name);
	if (row->revoked)
		return fail(error, PS_ERROR_INVALID,
			    "CA '%s' is revoked and issues nothing any more: choose another", name);
	if (!cas_set_default(tx, row->id, error))
		return NULL;
	change->object = g_strdup(row->name);
	return json_pack("{s:o}", "default", answer_text(row->name));
}

json_t *
ca_make_default(struct call *call, GError **error)
{
	CLEANUP(ca_row) struct ca_row *row = authority_find(call, error);

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

/* What this value, with the others as they are, makes of the rules. */
static void
warn_of_settings(struct call *call, const char *name, const char *value, json_t *answer)
{
	struct ca_context context = ca_context_of_gateway(call->gateway);
	CLEANUP(ca_defaults)
	struct ca_defaults *before = ca_defaults_load(context.db, NULL);
	g_autofree char *pair = g_strdup_printf("%s=%s", name, value);
	g_autoptr(GPtrArray) texts = before != NULL ? ca_defaults_describe(before) : NULL;
	g_autoptr(GPtrArray) pairs = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);

	for (guint i = 0; texts != NULL && i + 2 < texts->len; i += 3)
		g_ptr_array_add(pairs, g_strdup_printf("%s=%s", (char *)texts->pdata[i],
						       (char *)texts->pdata[i + 1]));
	g_ptr_array_add(pairs, g_steal_pointer(&pair));
	g_ptr_array_add(pairs, NULL);
	CLEANUP(ca_defaults)
	struct ca_defaults *after = ca_defaults_from((const char *const *)pairs->pdata);
	ca_settings_warnings(&context, after, warnings);
	authority_add_warnings(answer, warnings, "defaults");
}

/* One that lacks something cannot be chosen. The built-in one can: a CA may come later. */
static gboolean
is_ready(struct call *call, const char *name, GError **error)
{
	g_auto(GStrv) parts = g_strsplit(name, "/", 2);
	const struct handler *handler = handler_find(parts[0] != NULL ? parts[0] : "", error);

	if (handler == NULL || strcmp(handler->name, "builtin") == 0)
		return handler != NULL;
	CLEANUP(handler_config)
	struct handler_config *config =
	    handler_config_load(call->gateway->db, call->gateway->keyring, handler,
				parts[1] != NULL ? parts[1] : "default", error);
	if (config == NULL)
		return FALSE;
	g_auto(GStrv) set = handler_config_names(config);
	if (parts[1] != NULL && set[0] == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "nothing is set in '%s': see 'postseal handler list'", name);
	struct handler_context context = { .db = call->gateway->db,
					   .keyring = call->gateway->keyring,
					   .clock = call->gateway->clock,
					   .settings = gateway_settings(call->gateway),
					   .config = config };
	return handler_is_ready(&context, handler, error);
}

static json_t *
set_default(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const char *name = call_text(change->call, "name");
	const char *value = call_text(change->call, "value");

	(void)data;
	if ((strcmp(name, "handler") == 0 && !is_ready(change->call, value, error)) ||
	    !ca_defaults_set(tx, name, value, error))
		return NULL;
	change->object = g_strdup("CA defaults");
	change->detail = g_strdup_printf("%s = %s", name, value);
	json_t *answer = json_pack("{s:[{s:s, s:s, s:s}]}", "items", "name", name, "value", value,
				   "meaning", "set");
	warn_of_settings(change->call, name, value, answer);
	return answer;
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
