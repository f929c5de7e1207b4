/*
 * selects - the noun select (S1 to S8): which certificates are used for whom.
 */
#include "admin/api/cert_text.h"
#include "admin/api/change.h"
#include "admin/api/handlers.h"
#include "admin/api/scope_argument.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/keyring.h"
#include "pki/select.h"
#include "store/base/error.h"
#include "store/db/tx.h"
#include "store/selections.h"

/* --- show --- */

static void
add_candidates(json_t *items, const char *purpose, const struct selection *selection)
{
	for (guint i = 0; i < selection->candidates->len; i++) {
		const struct candidate *candidate = g_ptr_array_index(selection->candidates, i);
		g_autofree char *origin =
		    candidate->scope != NULL
			? g_strdup_printf("%s (%s)", candidate_origin_name(candidate->origin),
					  candidate->scope)
			: g_strdup(candidate_origin_name(candidate->origin));
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

	if (address == NULL)
		return FALSE;
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
add_choice(struct call *call, const struct selection_row *row, json_t *items, GError **error)
{
	g_autofree char *scope = scope_text(row->scope);
	g_autofree char *origin = g_strdup_printf("by hand (%s)", scope);
	g_autoptr(GError) problem = NULL;
	CLEANUP(cert) struct cert *cert = cert_text_find(call, row->thumbprint, &problem);
	json_t *item = json_object();

	json_object_set_new(item, "purpose", json_string(selection_kind_name(row->kind)));
	json_object_set_new(item, "thumbprint", answer_text(row->thumbprint));
	json_object_set_new(item, "origin", answer_text(origin));
	json_array_append_new(items, item);
	if (cert == NULL) {
		json_object_set_new(item, "why", answer_text(problem->message));
		return TRUE;
	}
	json_object_set_new(item, "subject", answer_text(cert_subject(cert)));
	struct verdict *verdict =
	    trust_judge(call->gateway->trust, cert,
			row->kind == SELECTION_SIGN ? TRUST_SIGN : TRUST_ENCRYPT, error);
	if (verdict == NULL)
		return FALSE;
	cert_text_verdict(item, verdict);
	json_object_set_new(item, "used", json_boolean(verdict->state == VERDICT_VALID));
	json_object_set_new(item, "why", answer_text(verdict->reason));
	verdict_unref(verdict);
	return TRUE;
}

/* What was chosen for a domain or for all: it is inherited, and matches nobody by address. */
static gboolean
show_choices(struct call *call, struct scope *scope, json_t *items, GError **error)
{
	g_autoptr(GPtrArray) scopes = g_ptr_array_new();
	g_autoptr(GPtrArray) rows = NULL;

	g_ptr_array_add(scopes, scope);
	rows = selections_by_scopes(call->gateway->db, scopes, error);
	for (guint i = 0; rows != NULL && i < rows->len; i++)
		if (!add_choice(call, g_ptr_array_index(rows, i), items, error))
			return FALSE;
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

/* --- choose --- */

struct choice {
	struct scope *scope;
	enum selection_kind kind;
	GPtrArray *certs; /* struct cert */
	GPtrArray *notes; /* one a certificate, NULL: will be used */
	gboolean remove;
};

static json_t *
chosen_answer(const struct choice *choice)
{
	json_t *array = json_array();

	for (guint i = 0; i < choice->certs->len; i++) {
		const struct cert *cert = g_ptr_array_index(choice->certs, i);
		const char *note =
		    i < choice->notes->len ? g_ptr_array_index(choice->notes, i) : NULL;
		json_t *item = json_object();

		json_object_set_new(item, "thumbprint", answer_text(cert_thumbprint(cert)));
		json_object_set_new(item, "subject", answer_text(cert_subject(cert)));
		if (!choice->remove)
			json_object_set_new(item, "will_be_used", json_boolean(note == NULL));
		if (note != NULL)
			json_object_set_new(item, "note", answer_text(note));
		json_array_append_new(array, item);
	}
	return array;
}

static json_t *
carry_out(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct choice *choice = data;
	g_autofree char *scope = scope_text(choice->scope);
	g_autoptr(GString) detail = g_string_new(choice->remove ? "taken back" : "chosen");
	json_t *answer;

	for (guint i = 0; i < choice->certs->len; i++) {
		const char *thumbprint = cert_thumbprint(g_ptr_array_index(choice->certs, i));
		struct selection_row row = {
			.scope = choice->scope,
			.kind = choice->kind,
			.thumbprint = (char *)thumbprint,
			.decrypt = choice->kind == SELECTION_ENCRYPT,
		};

		g_string_append_printf(detail, " %s", thumbprint);
		if (!(choice->remove
			  ? selections_remove(tx, choice->scope, choice->kind, thumbprint, error)
			  : selections_add(tx, &row, error)))
			return NULL;
	}
	change->object = g_strdup(scope);
	change->detail = g_strdup(detail->str);
	answer = json_object();
	json_object_set_new(answer, "scope", answer_text(scope));
	json_object_set_new(answer, "kind", json_string(selection_kind_name(choice->kind)));
	json_object_set_new(answer, choice->remove ? "taken_back" : "chosen",
			    chosen_answer(choice));
	if (choice->kind == SELECTION_ADDITIONAL && !choice->remove)
		json_object_set_new(answer, "note",
				    json_string("who holds its private key can read all encrypted "
						"mail of this scope: keep that key elsewhere"));
	return answer;
}

/* S8: what is chosen and not valid will not be used; say so at once, and what would help. */
static gboolean
add_notes(struct call *call, struct choice *choice, GError **error)
{
	enum trust_purpose purpose = choice->kind == SELECTION_SIGN ? TRUST_SIGN : TRUST_ENCRYPT;

	for (guint i = 0; i < choice->certs->len; i++) {
		struct cert *cert = g_ptr_array_index(choice->certs, i);
		struct verdict *verdict = trust_judge(call->gateway->trust, cert, purpose, error);

		if (verdict == NULL)
			return FALSE;
		char *note = NULL;
		if (verdict->state != VERDICT_VALID) {
			g_autofree char *advice = select_advice(verdict, cert);
			note = advice != NULL
				   ? g_strdup_printf("%s; %s", verdict_state_name(verdict->state),
						     advice)
				   : g_strdup_printf("%s: %s", verdict_state_name(verdict->state),
						     verdict->reason);
		}
		g_ptr_array_add(choice->notes, note);
		verdict_unref(verdict);
	}
	return TRUE;
}

static gboolean
check_key_held(struct call *call, const struct choice *choice, GError **error)
{
	for (guint i = 0; i < choice->certs->len; i++) {
		const struct cert *cert = g_ptr_array_index(choice->certs, i);
		gboolean held;

		if (!keyring_holds(call->gateway->keyring, cert_spki_sha256(cert), &held, error))
			return FALSE;
		if (!held)
			return fail_false(error, PS_ERROR_INVALID,
					  "%s: its private key is not held here: 'key import' it",
					  cert_subject(cert));
	}
	return TRUE;
}

static json_t *
choose(struct call *call, enum selection_kind kind, GPtrArray *certs_or_null, GError **error)
{
	g_autoptr(GPtrArray) certs = certs_or_null;
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
	CLEANUP(scope) struct scope *scope = NULL;
	struct choice choice = { .kind = kind, .certs = certs, .notes = notes };

	if (certs == NULL)
		return NULL;
	scope = scope_of_text(call_text(call, "scope"), error);
	if (scope == NULL)
		return NULL;
	choice.scope = scope;
	choice.remove = call_flag(call, "remove");
	if (!choice.remove && kind == SELECTION_SIGN && !check_key_held(call, &choice, error))
		return NULL;
	if (!choice.remove && !add_notes(call, &choice, error))
		return NULL;
	return change_run(call, carry_out, &choice, error);
}

json_t *
select_encrypt(struct call *call, GError **error)
{
	return choose(call, SELECTION_ENCRYPT, cert_text_find_all(call, "certs", error), error);
}

json_t *
select_additional_add(struct call *call, GError **error)
{
	return choose(call, SELECTION_ADDITIONAL, cert_text_find_all(call, "certs", error), error);
}

json_t *
select_sign(struct call *call, GError **error)
{
	struct cert *cert = cert_text_find(call, call_text(call, "cert"), error);
	GPtrArray *certs;

	if (cert == NULL)
		return NULL;
	certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	g_ptr_array_add(certs, cert);
	return choose(call, SELECTION_SIGN, certs, error);
}

/* --- auto --- */

struct reverting {
	struct scope *scope;
	const char *kind;
};

static json_t *
revert(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	static const enum selection_kind kinds[] = { SELECTION_SIGN, SELECTION_ENCRYPT };
	const struct reverting *reverting = data;
	gboolean any = FALSE;

	for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autoptr(GError) problem = NULL;

		if (strcmp(reverting->kind, "all") != 0 &&
		    strcmp(reverting->kind, selection_kind_name(kinds[i])) != 0)
			continue;
		if (selections_remove(tx, reverting->scope, kinds[i], NULL, &problem)) {
			any = TRUE;
		} else if (!g_error_matches(problem, PS_ERROR, PS_ERROR_NOT_FOUND)) {
			g_propagate_error(error, g_steal_pointer(&problem));
			return NULL;
		}
	}
	change->object = scope_text(reverting->scope);
	change->detail = g_strdup_printf("%s: automatic", reverting->kind);
	return json_pack("{s:s, s:s}", "scope", change->object, "result",
			 any ? "selected by themselves again" : "nothing was chosen by hand");
}

json_t *
select_auto(struct call *call, GError **error)
{
	CLEANUP(scope) struct scope *scope = scope_of_text(call_text(call, "scope"), error);
	const char *kind = call_text(call, "kind");
	struct reverting reverting = { scope, kind != NULL ? kind : "sign" };

	return scope != NULL ? change_run(call, revert, &reverting, error) : NULL;
}
