/*
 * authority_lists - revoking, taking back, and revocation lists of our own CAs (C7).
 */
#include "admin/api/authority.h"
#include "admin/api/ca_context.h"
#include "admin/api/change.h"
#include "admin/api/handlers.h"

#include <string.h>

#include "pki/ca_crl.h"
#include "pki/crypto/crl.h"
#include "store/base/error.h"
#include "store/db/tx.h"

#define CRL_DAYS_RULE 10

struct revoking {
	char *ca; /* a CA or a root, as ca_revoke takes it */
	GStrv serials;
	gboolean release;
};

/* A root by its own name or thumbprint, a CA by its, or the default one. */
static char *
find_signer(struct call *call, GError **error)
{
	const char *name = call_text(call, "ca");
	g_autoptr(GPtrArray) roots = name != NULL ? ca_roots_list(call->gateway->db, error) : NULL;

	if (name != NULL && roots == NULL)
		return NULL;
	for (guint i = 0; roots != NULL && i < roots->len; i++) {
		const struct ca_root_row *root = g_ptr_array_index(roots, i);
		if (g_strcmp0(root->name, name) == 0 || strcmp(root->thumbprint, name) == 0)
			return g_strdup(root->thumbprint);
	}
	CLEANUP(ca_row) struct ca_row *row = authority_find(call, error);
	return row != NULL ? g_strdup(row->name) : NULL;
}

static json_t *
revoke_all(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct revoking *revoking = data;
	struct call *call = change->call;
	struct ca_context context = ca_context_of_gateway(call->gateway);
	const struct ca_crl options = { 0 };
	const char *outcome = revoking->release ? "released" : "revoked";
	json_t *items = json_array();

	for (char **serial = revoking->serials; *serial != NULL; serial++) {
		if (revoking->release
			? !ca_release(&context, revoking->ca, *serial, tx, error)
			: !ca_revoke(&context, revoking->ca, *serial, call_text(call, "reason"),
				     call_flag(call, "yes"), tx, error)) {
			json_decref(items);
			return NULL;
		}
		json_array_append_new(items, json_pack("{s:o, s:s}", "serial", answer_text(*serial),
						       "outcome", outcome));
	}
	if (!call_flag(call, "no-crl")) {
		g_autoptr(GBytes) der = ca_make_crl(&context, revoking->ca, &options, tx, error);

		if (der == NULL) {
			json_decref(items);
			return NULL;
		}
	}
	g_autofree char *list = g_strjoinv(" ", revoking->serials);
	change->object = g_strdup(revoking->ca);
	change->detail = g_strdup_printf(
	    "%s %s%s%s", outcome, list, call_text(call, "reason") != NULL ? ": " : "",
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
	g_autofree char *signer = find_signer(call, error);
	g_auto(GStrv) serials = call_list(call, "serials");
	struct revoking revoking = { signer, serials, call_flag(call, "release") };
	g_autoptr(GError) problem = NULL;
	json_t *answer;

	if (signer == NULL)
		return NULL;
	if (revoking.release && call_text(call, "reason") != NULL)
		return fail(error, PS_ERROR_INVALID, "a hold is taken back without a reason");
	answer = ask_if_denied(call, change_run(call, revoke_all, &revoking, &problem), &problem);
	if (problem != NULL)
		g_propagate_error(error, g_steal_pointer(&problem));
	return answer;
}

static json_t *
make_crl(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	struct ca_context context = ca_context_of_gateway(change->call->gateway);
	const char *signer = data;
	const struct call *call = change->call;
	struct ca_crl options = {
		.digest = call_text(call, "digest"),
		.days = call_int(call, "days", 0),
		.anew = call_flag(call, "anew"),
		.confirmed = call_flag(call, "yes"),
	};
	g_autoptr(GBytes) der = ca_make_crl(&context, signer, &options, tx, error);
	CLEANUP(crl) struct crl *crl = der != NULL ? crl_parse(der, error) : NULL;

	if (crl == NULL)
		return NULL;
	change->object = g_strdup(signer);
	change->detail = g_strdup_printf("CRL %s", crl_number(crl));
	json_t *answer =
	    json_pack("{s:o, s:o, s:o, s:o, s:I}", "ca", answer_text(signer), "number",
		      answer_text(crl_number(crl)), "thumbprint", answer_text(crl_thumbprint(crl)),
		      "next_update", answer_time(crl_next_update(crl)), "entries",
		      (json_int_t)crl_entry_count(crl));
	g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
	if (options.days > CRL_DAYS_RULE)
		g_ptr_array_add(
		    warnings, g_strdup("S/MIME BR 4.9.7: a list of users' certificates is good for "
				       "10 days at most"));
	authority_add_warnings(answer, warnings, signer);
	return answer;
}

json_t *
ca_crl(struct call *call, GError **error)
{
	g_autofree char *signer = find_signer(call, error);
	g_autoptr(GError) problem = NULL;
	json_t *answer;

	if (signer == NULL)
		return NULL;
	answer = ask_if_denied(call, change_run(call, make_crl, signer, &problem), &problem);
	if (problem != NULL)
		g_propagate_error(error, g_steal_pointer(&problem));
	return answer;
}
