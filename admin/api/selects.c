/*
 * selects - the noun select: choosing by hand, and taking choices back (S2 to S4, S7, S8).
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
#include "store/base/hex.h"
#include "store/db/tx.h"
#include "store/preferences.h"
#include "store/selections.h"

struct chosen {
	char *thumbprint;
	struct cert *cert; /* NULL: taken back, and not in the store any more */
	GPtrArray *notes;  /* what to know about the choice */
	gboolean used;     /* it will be */
};

struct choice {
	struct call *call;
	struct scope *scope;
	enum selection_kind kind;
	GPtrArray *items;   /* struct chosen */
	GPtrArray *present; /* struct selection_row of this scope, of all kinds */
	struct preference_set *preferences;
	gboolean remove;
};

static void
chosen_free(gpointer data)
{
	struct chosen *chosen = data;

	g_free(chosen->thumbprint);
	cert_unref(chosen->cert);
	g_ptr_array_unref(chosen->notes);
	g_free(chosen);
}

static struct chosen *
chosen_add(struct choice *choice, const char *thumbprint, struct cert *taken)
{
	struct chosen *chosen = g_new0(struct chosen, 1);

	chosen->thumbprint = g_strdup(thumbprint);
	chosen->cert = taken;
	chosen->notes = g_ptr_array_new_with_free_func(g_free);
	g_ptr_array_add(choice->items, chosen);
	return chosen;
}

/* --- the answer --- */

static json_t *
items_answer(const struct choice *choice)
{
	json_t *array = json_array();

	for (guint i = 0; i < choice->items->len; i++) {
		const struct chosen *chosen = g_ptr_array_index(choice->items, i);
		json_t *item = json_object();

		json_object_set_new(item, "thumbprint", answer_text(chosen->thumbprint));
		json_object_set_new(
		    item, "subject",
		    answer_text(chosen->cert != NULL ? cert_subject(chosen->cert) : NULL));
		if (!choice->remove)
			json_object_set_new(item, "will_be_used", json_boolean(chosen->used));
		g_ptr_array_add(chosen->notes, NULL);
		if (g_ptr_array_index(chosen->notes, 0) != NULL)
			json_object_set_new(
			    item, "notes", answer_texts((const char *const *)chosen->notes->pdata));
		g_ptr_array_set_size(chosen->notes, (gint)chosen->notes->len - 1);
		json_array_append_new(array, item);
	}
	return array;
}

/* S3: a new signing choice takes the place of the old one, and that is said. */
static void
add_replaced(const struct choice *choice, json_t *answer)
{
	const struct chosen *chosen = g_ptr_array_index(choice->items, 0);

	if (choice->kind != SELECTION_SIGN || choice->remove)
		return;
	for (guint i = 0; i < choice->present->len; i++) {
		const struct selection_row *row = g_ptr_array_index(choice->present, i);

		if (row->kind != SELECTION_SIGN || strcmp(row->thumbprint, chosen->thumbprint) == 0)
			continue;
		CLEANUP(cert)
		struct cert *before = cert_text_find(choice->call, row->thumbprint, NULL);
		json_object_set_new(
		    answer, "replaced",
		    json_pack("{s:o, s:o}", "thumbprint", answer_text(row->thumbprint), "subject",
			      answer_text(before != NULL ? cert_subject(before) : NULL)));
	}
}

/* Of a choice for encryption unless it is said, of an additional one only if it is. */
static gboolean
opens_mail(const struct choice *choice)
{
	if (choice->kind == SELECTION_ENCRYPT)
		return !call_flag(choice->call, "no-decrypt");
	return choice->kind == SELECTION_ADDITIONAL && call_flag(choice->call, "decrypt");
}

static json_t *
carry_out(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct choice *choice = data;
	g_autofree char *scope = scope_text(choice->scope);
	g_autoptr(GString) detail = g_string_new(choice->remove ? "taken back" : "chosen");
	json_t *answer;

	for (guint i = 0; i < choice->items->len; i++) {
		const struct chosen *chosen = g_ptr_array_index(choice->items, i);
		struct selection_row row = {
			.scope = choice->scope,
			.kind = choice->kind,
			.thumbprint = chosen->thumbprint,
			.decrypt = opens_mail(choice),
		};

		g_string_append_printf(detail, " %s", chosen->thumbprint);
		if (!(choice->remove ? selections_remove(tx, choice->scope, choice->kind,
							 chosen->thumbprint, error)
				     : selections_add(tx, &row, error)))
			return NULL;
	}
	change->object = g_strdup(scope);
	change->detail = g_strdup(detail->str);
	answer = json_object();
	json_object_set_new(answer, "scope", answer_text(scope));
	json_object_set_new(answer, "kind", json_string(selection_kind_name(choice->kind)));
	json_object_set_new(answer, choice->remove ? "taken_back" : "chosen", items_answer(choice));
	add_replaced(choice, answer);
	if (choice->kind == SELECTION_ADDITIONAL && !choice->remove)
		json_object_set_new(
		    answer, "note",
		    json_string("who holds its private key can read all encrypted mail of this "
				"scope; that key is best kept outside the gateway"));
	return answer;
}

/* --- what to know about a choice --- */

static void
note(struct chosen *chosen, char *taken)
{
	g_ptr_array_add(chosen->notes, taken);
}

/* A signer that does not name the author: what readers will see. */
static void
note_mismatch(const struct choice *choice, struct chosen *chosen)
{
	CLEANUP(mailaddr)
	struct mailaddr *address =
	    choice->scope->kind == SCOPE_USER ? mailaddr_parse(choice->scope->name, NULL) : NULL;

	if (address != NULL && cert_has_email(chosen->cert, address))
		return;
	if (address != NULL) {
		note(chosen, g_strdup_printf("it does not name %s: mail programs, and Postseal "
					     "itself, will show a mismatch of signer and author",
					     mailaddr_key(address)));
		return;
	}
	if (choice->preferences != NULL &&
	    preference_on(choice->preferences, PREF_SIGN_AS_DOMAIN)) {
		note(chosen, g_strdup("sign_as_domain is on: it signs for authors that it does not "
				      "name, and mail programs, and Postseal itself, will show a "
				      "mismatch of signer and author"));
		return;
	}
	note(chosen,
	     g_strdup("it signs only for authors that it names, for sign_as_domain is off; "
		      "when it is switched on, mail programs, and Postseal itself, will show "
		      "a mismatch of signer and author"));
}

static void
note_locality(const struct choice *choice, struct chosen *chosen)
{
	if (choice->scope->kind == SCOPE_GLOBAL || choice->preferences == NULL ||
	    preference_choice(choice->preferences, PREF_LOCALITY) == VALUE_LOCALITY_INTERNAL)
		return;
	note(chosen, g_strdup_printf("%s is not internal: its mail is not signed here; the "
				     "certificate that speaks for all addresses of a partner is "
				     "named by the preference domain_signer of his domain",
				     choice->scope->name));
}

static gboolean
note_held_key(const struct choice *choice, struct chosen *chosen, GError **error)
{
	gboolean held;

	if (!keyring_holds(choice->call->gateway->keyring, cert_spki_sha256(chosen->cert), &held,
			   error))
		return FALSE;
	if (held)
		note(chosen, g_strdup("its private key is held in this gateway: export it, keep it "
				      "elsewhere, and delete it here"));
	return TRUE;
}

/* S8: what is chosen and not valid will not be used; say so at once, and what would help. */
static gboolean
note_verdict(const struct choice *choice, struct chosen *chosen, GError **error)
{
	CLEANUP(verdict)
	struct verdict *verdict =
	    trust_judge(choice->call->gateway->trust, chosen->cert,
			choice->kind == SELECTION_SIGN ? TRUST_SIGN : TRUST_ENCRYPT, error);

	if (verdict == NULL)
		return FALSE;
	chosen->used = verdict->state == VERDICT_VALID;
	if (!chosen->used) {
		g_autofree char *advice = select_advice(verdict, chosen->cert);
		note(chosen, g_strdup_printf("%s; %s", verdict_state_name(verdict->state), advice));
	}
	return TRUE;
}

static gboolean
add_notes(struct choice *choice, GError **error)
{
	for (guint i = 0; i < choice->items->len; i++) {
		struct chosen *chosen = g_ptr_array_index(choice->items, i);

		if (!note_verdict(choice, chosen, error))
			return FALSE;
		if (choice->kind == SELECTION_SIGN) {
			note_mismatch(choice, chosen);
			note_locality(choice, chosen);
		}
		if (choice->kind == SELECTION_ADDITIONAL && !note_held_key(choice, chosen, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean
check_key_held(const struct choice *choice, GError **error)
{
	for (guint i = 0; i < choice->items->len; i++) {
		const struct chosen *chosen = g_ptr_array_index(choice->items, i);
		gboolean held;

		if (!keyring_holds(choice->call->gateway->keyring, cert_spki_sha256(chosen->cert),
				   &held, error))
			return FALSE;
		if (!held)
			return fail_false(error, PS_ERROR_INVALID,
					  "%s: its private key is not held here: 'key import' it",
					  cert_subject(chosen->cert));
	}
	return TRUE;
}

/* --- choose --- */

static gboolean
find_items(struct choice *choice, const char *const *names, GError **error)
{
	for (; *names != NULL; names++) {
		struct cert *cert = cert_text_find(choice->call, *names, error);

		if (cert == NULL)
			return FALSE;
		chosen_add(choice, cert_thumbprint(cert), cert);
	}
	return TRUE;
}

/* S2: what came by itself or from further up is no choice of this scope. */
static gboolean
fail_not_chosen(const struct choice *choice, const char *name, GError **error)
{
	g_autofree char *scope = scope_text(choice->scope);
	CLEANUP(cert) struct cert *cert = cert_text_find(choice->call, name, NULL);
	CLEANUP(mailaddr)
	struct mailaddr *address =
	    choice->scope->kind == SCOPE_USER ? mailaddr_parse(choice->scope->name, NULL) : NULL;

	if (cert != NULL && address != NULL && choice->kind != SELECTION_ADDITIONAL &&
	    cert_has_email(cert, address))
		return fail_false(error, PS_ERROR_NOT_FOUND,
				  "%s: selected by itself, since it names %s: that cannot be taken "
				  "back, only switched off with the preference "
				  "auto_select_certificates",
				  cert_subject(cert), mailaddr_key(address));
	return fail_false(error, PS_ERROR_NOT_FOUND,
			  "%s: not chosen by hand for %s (%s); 'select show' says where what is "
			  "inherited was chosen",
			  cert != NULL ? cert_subject(cert) : name, scope,
			  selection_kind_name(choice->kind));
}

/* Among the choices of this scope: their certificates may be gone. */
static gboolean
find_removed(struct choice *choice, const char *const *names, GError **error)
{
	for (; *names != NULL; names++) {
		g_autofree char *digits = hex_from_spelling(*names);
		const char *thumbprint = NULL;

		for (guint i = 0; digits != NULL && i < choice->present->len; i++) {
			const struct selection_row *row = g_ptr_array_index(choice->present, i);

			if (row->kind != choice->kind || !g_str_has_prefix(row->thumbprint, digits))
				continue;
			if (thumbprint != NULL)
				return fail_false(error, PS_ERROR_INVALID,
						  "several choices begin with %.16s, give more "
						  "digits",
						  digits);
			thumbprint = row->thumbprint;
		}
		if (thumbprint == NULL)
			return fail_not_chosen(choice, *names, error);
		chosen_add(choice, thumbprint, cert_text_find(choice->call, thumbprint, NULL));
	}
	return TRUE;
}

static gboolean
prepare(struct choice *choice, const char *const *names, GError **error)
{
	g_autoptr(GPtrArray) scopes = g_ptr_array_new();
	g_autofree char *address = scope_address(choice->scope);

	g_ptr_array_add(scopes, choice->scope);
	choice->present = selections_by_scopes(choice->call->gateway->db, scopes, error);
	if (choice->present == NULL)
		return FALSE;
	if (choice->remove)
		return find_removed(choice, names, error);
	choice->preferences =
	    preferences_resolve(choice->call->gateway->preferences, address, error);
	return choice->preferences != NULL && find_items(choice, names, error) &&
	       (choice->kind != SELECTION_SIGN || check_key_held(choice, error)) &&
	       add_notes(choice, error);
}

static json_t *
choose(struct call *call, enum selection_kind kind, const char *const *names, GError **error)
{
	CLEANUP(scope) struct scope *scope = scope_of_text(call_text(call, "scope"), error);
	struct choice choice = { .call = call, .scope = scope, .kind = kind };
	json_t *answer = NULL;

	if (scope == NULL)
		return NULL;
	choice.items = g_ptr_array_new_with_free_func(chosen_free);
	choice.remove = call_flag(call, "remove");
	if (prepare(&choice, names, error))
		answer = change_run(call, carry_out, &choice, error);
	g_ptr_array_unref(choice.items);
	g_clear_pointer(&choice.present, g_ptr_array_unref);
	preference_set_unref(choice.preferences);
	return answer;
}

json_t *
select_encrypt(struct call *call, GError **error)
{
	g_auto(GStrv) names = call_list(call, "certs");

	return choose(call, SELECTION_ENCRYPT, (const char *const *)names, error);
}

json_t *
select_additional_add(struct call *call, GError **error)
{
	g_auto(GStrv) names = call_list(call, "certs");

	return choose(call, SELECTION_ADDITIONAL, (const char *const *)names, error);
}

json_t *
select_sign(struct call *call, GError **error)
{
	const char *names[] = { call_text(call, "cert"), NULL };

	return choose(call, SELECTION_SIGN, names, error);
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
