/*
 * cert_text - certificates as JSON and as files.
 */
#include "admin/api/cert_text.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/crypto/bundle.h"
#include "store/base/error.h"
#include "store/roots.h"

void
cert_text_verdict(json_t *object, const struct verdict *verdict)
{
	json_object_set_new(object, "verdict", json_string(verdict_state_name(verdict->state)));
	json_object_set_new(object, "reason", answer_text(verdict->reason));
	if (verdict->ctl == CTL_MARK_NONE)
		return;
	g_autofree char *mark = verdict_mark(verdict);
	json_object_set_new(object, "ctl", answer_text(mark));
	if (verdict->ctl_subject != NULL)
		json_object_set_new(object, "ctl_through", answer_text(verdict->ctl_subject));
	if (verdict->ctl_thumbprint != NULL)
		json_object_set_new(object, "ctl_entry", answer_text(verdict->ctl_thumbprint));
}

static void
add_unknown(json_t *object, const GError *problem)
{
	json_object_set_new(object, "verdict", json_string("unknown"));
	json_object_set_new(object, "reason", answer_text(problem->message));
}

gboolean
cert_text_judge(struct call *call, json_t *object, struct cert *cert)
{
	g_autoptr(GError) problem = NULL;
	struct verdict *verdict = trust_judge(call->gateway->trust, cert, TRUST_ANY, &problem);

	if (verdict == NULL) {
		add_unknown(object, problem);
		return FALSE;
	}
	cert_text_verdict(object, verdict);
	verdict_unref(verdict);
	return TRUE;
}

static void
add_verdict(struct call *call, json_t *object, GBytes *der)
{
	g_autoptr(GError) problem = NULL;
	CLEANUP(cert) struct cert *cert = cert_parse(der, &problem);

	if (cert == NULL)
		add_unknown(object, problem);
	else
		(void)cert_text_judge(call, object, cert);
}

/* In the words of a verdict's mark. */
static const char *
own_mark(const struct cert_row *row)
{
	if (row->ctl == NULL)
		return "";
	return strcmp(row->ctl, "allow-expired") == 0 ? ctl_mark_name(CTL_MARK_ALLOW_EXPIRED)
						      : row->ctl;
}

json_t *
cert_text_row(struct call *call, const struct cert_row *row, GBytes *der)
{
	json_t *object = json_object();

	json_object_set_new(object, "thumbprint", answer_text(row->thumbprint));
	json_object_set_new(object, "email", answer_texts((const char *const *)row->emails));
	json_object_set_new(object, "subject", answer_text(row->subject));
	json_object_set_new(object, "issuer", answer_text(row->issuer));
	json_object_set_new(object, "serial", answer_text(row->serial));
	json_object_set_new(object, "not_before", answer_time(row->not_before));
	json_object_set_new(object, "not_after", answer_time(row->not_after));
	json_object_set_new(object, "is_ca", json_boolean(row->is_ca));
	json_object_set_new(object, "key", json_boolean(row->has_key));
	json_object_set_new(object, "pending", json_boolean(row->pending));
	json_object_set_new(object, "origin", answer_text(row->origin));
	json_object_set_new(object, "came", answer_time(row->created));
	json_object_set_new(object, "ctl", json_string(own_mark(row)));
	if (der != NULL)
		add_verdict(call, object, der);
	return object;
}

json_t *
cert_text_facts(GPtrArray *facts)
{
	json_t *object = json_object();

	for (guint i = 0; i < facts->len; i++) {
		const struct fact *fact = g_ptr_array_index(facts, i);
		g_autofree char *name = g_strdelimit(g_strdup(fact->name), "-", '_');
		json_t *present = json_object_get(object, name);

		if (!fact->many) {
			json_object_set_new(object, name, answer_text(fact->value));
			continue;
		}
		if (present == NULL) {
			present = json_array();
			json_object_set_new(object, name, present);
		}
		json_array_append_new(present, answer_text(fact->value));
	}
	return object;
}

struct cert *
cert_text_find(struct call *call, const char *thumbprint, GError **error)
{
	g_autoptr(GError) problem = NULL;
	g_autofree char *lower = g_ascii_strdown(thumbprint, -1);
	CLEANUP(cert_row)
	struct cert_row *row = certs_find(call->gateway->db, lower, &problem);

	if (row != NULL)
		return cert_parse(row->der, error);
	if (!g_error_matches(problem, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&problem));
		return NULL;
	}
	g_clear_error(&problem);
	CLEANUP(root_row) struct root_row *root = roots_find(call->gateway->db, lower, &problem);
	if (root != NULL)
		return cert_parse(root->der, error);
	if (g_error_matches(problem, PS_ERROR, PS_ERROR_NOT_FOUND))
		return fail(error, PS_ERROR_NOT_FOUND,
			    "%s: no certificate and no root with this thumbprint", thumbprint);
	g_propagate_error(error, g_steal_pointer(&problem));
	return NULL;
}

GPtrArray *
cert_text_find_all(struct call *call, const char *argument, GError **error)
{
	g_auto(GStrv) names = call_list(call, argument);
	g_autoptr(GPtrArray) certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);

	for (char **name = names; *name != NULL; name++) {
		struct cert *cert = cert_text_find(call, *name, error);

		if (cert == NULL)
			return NULL;
		if (cert_is_among(cert, certs))
			cert_unref(cert);
		else
			g_ptr_array_add(certs, cert);
	}
	return g_steal_pointer(&certs);
}

/* DER holds one certificate: of several each gets a file of its own. */
static json_t *
der_files(GPtrArray *certs, const char *base)
{
	json_t *files = json_array();

	for (guint i = 0; i < certs->len; i++) {
		struct cert *cert = g_ptr_array_index(certs, i);
		g_autofree char *name = certs->len == 1
					    ? g_strdup_printf("%s.cer", base)
					    : g_strdup_printf("%.16s.cer", cert_thumbprint(cert));

		json_array_append_new(files, answer_file(name, cert_der(cert)));
	}
	return json_pack("{s:o}", "files", files);
}

json_t *
cert_text_file(GPtrArray *certs, const char *format, const char *base, GError **error)
{
	gboolean is_pkcs7 = strcmp(format, "pkcs7") == 0;
	g_autofree char *name = g_strdup_printf("%s.%s", base, is_pkcs7 ? "p7b" : "pem");

	if (certs->len == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "there is nothing to export");
	if (strcmp(format, "der") == 0)
		return der_files(certs, base);
	g_autoptr(GBytes) bytes =
	    is_pkcs7 ? bundle_write_pkcs7(certs, FALSE, error) : bundle_write_pem(certs, error);
	if (bytes == NULL)
		return NULL;
	return json_pack("{s:[o]}", "files", answer_file(name, bytes));
}

/* Whatever is known of the path goes along: an incomplete chain is better than none. */
void
cert_text_add_chain(struct call *call, GPtrArray *certs)
{
	guint count = certs->len;

	for (guint i = 0; i < count; i++) {
		struct verdict *verdict =
		    trust_judge(call->gateway->trust, g_ptr_array_index(certs, i), TRUST_ANY, NULL);

		for (guint k = 0; verdict != NULL && k < verdict->path->len; k++) {
			struct cert *cert = g_ptr_array_index(verdict->path, k);

			if (!cert_is_among(cert, certs))
				g_ptr_array_add(certs, cert_ref(cert));
		}
		if (verdict != NULL)
			verdict_unref(verdict);
	}
}
