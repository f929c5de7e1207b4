/*
 * select_show - which certificates are used for whom and why (S6), and what can be chosen (S7).
 */
#include "admin/api/cert_text.h"
#include "admin/api/handlers.h"
#include "admin/api/scope_argument.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/select.h"
#include "store/base/error.h"
#include "store/selections.h"

/* --- what is used --- */

static char *
origin_of(const struct candidate *candidate)
{
	if (candidate->scope == NULL)
		return g_strdup(candidate_origin_name(candidate->origin));
	if (candidate->origin == CANDIDATE_INHERITED)
		return g_strdup_printf("inherited from %s", candidate->scope);
	return g_strdup_printf("%s (%s)", candidate_origin_name(candidate->origin),
			       candidate->scope);
}

static void
add_candidates(json_t *items, const char *purpose, const struct selection *selection)
{
	for (guint i = 0; i < selection->candidates->len; i++) {
		const struct candidate *candidate = g_ptr_array_index(selection->candidates, i);
		g_autofree char *origin = origin_of(candidate);
		json_t *item = json_object();

		json_object_set_new(item, "purpose", json_string(purpose));
		json_object_set_new(item, "thumbprint",
				    answer_text(cert_thumbprint(candidate->cert)));
		json_object_set_new(item, "subject", answer_text(cert_subject(candidate->cert)));
		json_object_set_new(item, "not_after",
				    answer_time(cert_not_after(candidate->cert)));
		json_object_set_new(item, "origin", answer_text(origin));
		json_object_set_new(item, "used", json_boolean(candidate->used));
		json_object_set_new(item, "key", json_boolean(candidate->has_key));
		if (candidate->verdict != NULL)
			cert_text_verdict(item, candidate->verdict);
		json_object_set_new(item, "why", answer_text(candidate->why));
		json_array_append_new(items, item);
	}
	/* To have no additional certificate is the normal case and no finding. */
	if (selection->why == NULL ||
	    (selection->candidates->len == 0 && strcmp(purpose, "additional") == 0))
		return;
	json_array_append_new(items, json_pack("{s:s, s:s, s:b, s:o}", "purpose", purpose, "origin",
					       "", "used", 0, "why", answer_text(selection->why)));
}

static gboolean
show_address(struct call *call, const char *text, json_t *items, GError **error)
{
	static const struct {
		const char *purpose;
		struct selection *(*select)(struct select *, const struct mailaddr *, GError **);
	} kinds[] = {
		{ "encrypt", select_encryption },
		{ "sign", select_signing },
		{ "additional", select_additional },
	};
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(text, error);

	if (address == NULL) {
		error_to_usage(error);
		return FALSE;
	}
	for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
		CLEANUP(selection)
		struct selection *selection =
		    kinds[i].select(call->gateway->select, address, error);

		if (selection == NULL)
			return FALSE;
		add_candidates(items, kinds[i].purpose, selection);
	}
	return TRUE;
}

static gboolean
add_choice(struct call *call, const struct selection_row *row, const struct scope *own,
	   json_t *items, GError **error)
{
	g_autofree char *scope = scope_text(row->scope);
	gboolean inherited =
	    row->scope->kind != own->kind || strcmp(row->scope->name, own->name) != 0;
	g_autofree char *origin =
	    g_strdup_printf(inherited ? "inherited from %s" : "by hand (%s)", scope);
	g_autoptr(GError) problem = NULL;
	CLEANUP(cert) struct cert *cert = cert_text_find(call, row->thumbprint, &problem);
	json_t *item = json_object();

	json_object_set_new(item, "purpose", json_string(selection_kind_name(row->kind)));
	json_object_set_new(item, "thumbprint", answer_text(row->thumbprint));
	json_object_set_new(item, "origin", answer_text(origin));
	json_object_set_new(item, "used", json_false());
	json_array_append_new(items, item);
	if (cert == NULL) {
		json_object_set_new(item, "why", answer_text(problem->message));
		return TRUE;
	}
	json_object_set_new(item, "subject", answer_text(cert_subject(cert)));
	json_object_set_new(item, "not_after", answer_time(cert_not_after(cert)));
	CLEANUP(verdict)
	struct verdict *verdict =
	    trust_judge(call->gateway->trust, cert,
			row->kind == SELECTION_SIGN ? TRUST_SIGN : TRUST_ENCRYPT, error);
	if (verdict == NULL)
		return FALSE;
	cert_text_verdict(item, verdict);
	json_object_set_new(item, "used", json_boolean(verdict->state == VERDICT_VALID));
	json_object_set_new(item, "why", answer_text(verdict->reason));
	return TRUE;
}

/* What is chosen for a domain or for all, with what comes down to it: it matches nobody by
 * address. A signing choice that is nearer takes the place of those further up. */
static gboolean
show_choices(struct call *call, const struct scope *scope, json_t *items, GError **error)
{
	g_autofree char *address = scope_address(scope);
	g_autoptr(GPtrArray) scopes = NULL;
	g_autoptr(GPtrArray) rows = NULL;
	gboolean signer = FALSE;

	if (address != NULL) {
		scopes = scope_list(address, NULL);
	} else {
		scopes = g_ptr_array_new_with_free_func((GDestroyNotify)scope_free);
		g_ptr_array_add(scopes, scope_new(SCOPE_GLOBAL, ""));
	}
	rows = selections_by_scopes(call->gateway->db, scopes, error);
	for (guint i = 0; rows != NULL && i < rows->len; i++) {
		const struct selection_row *row = g_ptr_array_index(rows, i);

		if (!add_choice(call, row, scope, items, error))
			return FALSE;
		json_t *item = json_array_get(items, json_array_size(items) - 1);
		if (row->kind == SELECTION_SIGN && signer &&
		    json_is_true(json_object_get(item, "used"))) {
			json_object_set_new(item, "used", json_false());
			json_object_set_new(item, "why",
					    json_string("a nearer choice comes first"));
		}
		signer |=
		    row->kind == SELECTION_SIGN && json_is_true(json_object_get(item, "used"));
	}
	return rows != NULL;
}

json_t *
select_show(struct call *call, GError **error)
{
	const char *text = call_text(call, "scope");
	CLEANUP(scope) struct scope *scope = scope_of_text(text, error);
	json_t *items;

	if (scope == NULL)
		return NULL;
	items = json_array();
	gboolean good = scope->kind == SCOPE_USER ? show_address(call, text, items, error)
						  : show_choices(call, scope, items, error);
	if (!good) {
		json_decref(items);
		return NULL;
	}
	return answer_list(items, NULL);
}

/* --- what can be chosen --- */

struct choosing {
	struct call *call;
	struct scope *scope;
	enum selection_kind kind;
	GPtrArray *chosen;           /* struct selection_row, what is chosen by hand here */
	struct selection *selection; /* of a user; else NULL */
};

static enum selection_kind
kind_of(const struct call *call)
{
	const char *text = call_text(call, "for");

	if (text != NULL && strcmp(text, "sign") == 0)
		return SELECTION_SIGN;
	return text != NULL && strcmp(text, "additional") == 0 ? SELECTION_ADDITIONAL
							       : SELECTION_ENCRYPT;
}

/* How it is selected already; "" when it is not. */
static char *
selected_how(const struct choosing *choosing, const char *thumbprint)
{
	const GPtrArray *candidates =
	    choosing->selection != NULL ? choosing->selection->candidates : NULL;

	for (guint i = 0; i < choosing->chosen->len; i++) {
		const struct selection_row *row = g_ptr_array_index(choosing->chosen, i);

		if (row->kind == choosing->kind && strcmp(row->thumbprint, thumbprint) == 0)
			return g_strdup("by hand");
	}
	for (guint i = 0; candidates != NULL && i < candidates->len; i++) {
		const struct candidate *candidate = g_ptr_array_index(candidates, i);

		if (candidate->used && strcmp(cert_thumbprint(candidate->cert), thumbprint) == 0)
			return origin_of(candidate);
	}
	return g_strdup("");
}

/* The verdict for what it would be chosen for, and what would make it valid. */
static void
add_judgement(const struct choosing *choosing, json_t *item, GBytes *der)
{
	g_autoptr(GError) problem = NULL;
	CLEANUP(cert) struct cert *cert = der != NULL ? cert_parse(der, &problem) : NULL;

	if (cert == NULL)
		return;
	CLEANUP(verdict)
	struct verdict *verdict =
	    trust_judge(choosing->call->gateway->trust, cert,
			choosing->kind == SELECTION_SIGN ? TRUST_SIGN : TRUST_ENCRYPT, &problem);
	if (verdict == NULL) {
		json_object_set_new(item, "verdict", json_string("unknown"));
		json_object_set_new(item, "why", answer_text(problem->message));
		return;
	}
	g_autofree char *advice = select_advice(verdict, cert);
	cert_text_verdict(item, verdict);
	json_object_set_new(item, "why", answer_text(advice));
}

static json_t *
list_candidates(struct choosing *choosing, const struct cert_filter *filter, struct page *page,
		GError **error)
{
	struct call *call = choosing->call;
	g_autoptr(GPtrArray) rows = certs_list(call->gateway->db, filter, error);
	g_autoptr(GHashTable) ders = rows != NULL ? cert_text_ders(call, rows, error) : NULL;

	if (ders == NULL)
		return NULL;
	json_t *items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct cert_row *row = g_ptr_array_index(rows, i);
		g_autofree char *how = selected_how(choosing, row->thumbprint);

		page_seen(page, row->id);
		json_t *item = cert_text_row(call, row, NULL);
		json_object_set_new(item, "selected", answer_text(how));
		add_judgement(choosing, item, g_hash_table_lookup(ders, row->thumbprint));
		json_array_append_new(items, item);
	}
	return page_answer(page, items);
}

/* What is selected now, to be marked. */
static gboolean
look_up_selected(struct choosing *choosing, GError **error)
{
	g_autoptr(GPtrArray) scopes = g_ptr_array_new();
	struct select *select = choosing->call->gateway->select;

	g_ptr_array_add(scopes, choosing->scope);
	choosing->chosen = selections_by_scopes(choosing->call->gateway->db, scopes, error);
	if (choosing->chosen == NULL || choosing->scope->kind != SCOPE_USER)
		return choosing->chosen != NULL;
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(choosing->scope->name, error);
	if (address == NULL)
		return FALSE;
	choosing->selection =
	    choosing->kind == SELECTION_SIGN         ? select_signing(select, address, error)
	    : choosing->kind == SELECTION_ADDITIONAL ? select_additional(select, address, error)
						     : select_encryption(select, address, error);
	return choosing->selection != NULL;
}

json_t *
select_candidates(struct call *call, GError **error)
{
	CLEANUP(scope) struct scope *scope = scope_of_text(call_text(call, "scope"), error);
	struct choosing choosing = { call, scope, kind_of(call), NULL, NULL };
	struct cert_filter filter;
	struct page page;
	json_t *answer = NULL;

	if (scope == NULL || !page_of(call, &page, error) ||
	    !cert_text_filter(call, &page, &filter, error))
		return NULL;
	/* For a user the filter starts with the address. */
	if (filter.text == NULL && scope->kind == SCOPE_USER && !call_flag(call, "any")) {
		filter.field = "email";
		filter.text = scope->name;
	}
	if (choosing.kind == SELECTION_SIGN)
		filter.with_key = CERT_KEY_ONLY;
	if (look_up_selected(&choosing, error))
		answer = list_candidates(&choosing, &filter, &page, error);
	g_clear_pointer(&choosing.chosen, g_ptr_array_unref);
	selection_unref(choosing.selection);
	return answer;
}
