/*
 * cert_uses - selections asked for by the addresses of a certificate, and choices of it.
 */
#include "admin/api/cert_uses.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/select.h"

struct uses {
	struct call *call;
	const struct cert *cert;
	GPtrArray *found;
};

static void
use_free(gpointer data)
{
	struct cert_use *use = data;

	g_free(use->whom);
	g_free(use->how);
	g_free(use->why);
	g_free(use);
}

char *
cert_use_text(const struct cert_use *use)
{
	if (use->why != NULL)
		return g_strdup_printf("%s for %s (%s), not used: %s",
				       selection_kind_name(use->kind), use->whom, use->how,
				       use->why);
	return g_strdup_printf("%s for %s (%s)", selection_kind_name(use->kind), use->whom,
			       use->how);
}

static char *
how_of(const struct candidate *candidate)
{
	if (candidate->origin == CANDIDATE_INHERITED)
		return g_strdup_printf("inherited from %s", candidate->scope);
	return g_strdup(candidate_origin_name(candidate->origin));
}

/* One whose key is not here is no candidate for signing, and no news. */
static gboolean
is_worth_saying(const struct candidate *candidate, enum selection_kind kind)
{
	return kind != SELECTION_SIGN || candidate->has_key ||
	       candidate->origin != CANDIDATE_AUTOMATIC;
}

static gboolean
add_address(struct uses *uses, const struct mailaddr *address, enum selection_kind kind,
	    GError **error)
{
	struct select *select = uses->call->gateway->select;
	CLEANUP(selection)
	struct selection *selection = kind == SELECTION_SIGN
					  ? select_signing(select, address, error)
					  : select_encryption(select, address, error);

	if (selection == NULL)
		return FALSE;
	for (guint i = 0; i < selection->candidates->len; i++) {
		const struct candidate *candidate = g_ptr_array_index(selection->candidates, i);

		if (!cert_equal(candidate->cert, uses->cert) || !is_worth_saying(candidate, kind))
			continue;
		struct cert_use *use = g_new0(struct cert_use, 1);
		use->kind = kind;
		use->whom = g_strdup(mailaddr_key(address));
		use->how = how_of(candidate);
		use->used = candidate->used;
		use->why = candidate->used ? NULL : g_strdup(candidate->why);
		g_ptr_array_add(uses->found, use);
	}
	return TRUE;
}

/* Chosen for a user whose address it bears: that was told already, with the outcome. */
static gboolean
is_told(const struct uses *uses, const struct selection_row *row)
{
	for (guint i = 0; i < uses->found->len; i++) {
		const struct cert_use *use = g_ptr_array_index(uses->found, i);

		if (use->kind == row->kind && row->scope->kind == SCOPE_USER &&
		    strcmp(use->whom, row->scope->name) == 0)
			return TRUE;
	}
	return FALSE;
}

/* TRUST_SIGN or TRUST_ENCRYPT; NULL: it is valid for that. */
static char *
why_not(const struct uses *uses, const struct selection_row *row)
{
	g_autoptr(GError) problem = NULL;
	CLEANUP(verdict)
	struct verdict *verdict =
	    trust_judge(uses->call->gateway->trust, (struct cert *)uses->cert,
			row->kind == SELECTION_SIGN ? TRUST_SIGN : TRUST_ENCRYPT, &problem);

	if (verdict == NULL)
		return g_strdup(problem->message);
	return verdict->state == VERDICT_VALID ? NULL : g_strdup(verdict->reason);
}

static gboolean
add_choices(struct uses *uses, GError **error)
{
	g_autoptr(GPtrArray) rows =
	    selections_by_thumbprint(uses->call->gateway->db, cert_thumbprint(uses->cert), error);

	for (guint i = 0; rows != NULL && i < rows->len; i++) {
		const struct selection_row *row = g_ptr_array_index(rows, i);

		if (is_told(uses, row))
			continue;
		struct cert_use *use = g_new0(struct cert_use, 1);
		use->kind = row->kind;
		use->whom = scope_text(row->scope);
		use->how = g_strdup(row->scope->kind == SCOPE_USER ? "by hand"
								   : "by hand, inherited by all of "
								     "this scope");
		use->why = why_not(uses, row);
		use->used = use->why == NULL;
		g_ptr_array_add(uses->found, use);
	}
	return rows != NULL;
}

GPtrArray *
cert_uses(struct call *call, const struct cert *cert, GError **error)
{
	static const enum selection_kind kinds[] = { SELECTION_ENCRYPT, SELECTION_SIGN };
	g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(use_free);
	struct uses uses = { call, cert, found };
	guint count = cert_is_ca(cert) ? 0 : MIN(cert_emails(cert)->len, USES_ADDRESSES_MAX);

	for (guint i = 0; i < count; i++)
		for (gsize k = 0; k < G_N_ELEMENTS(kinds); k++)
			if (!add_address(&uses, g_ptr_array_index(cert_emails(cert), i), kinds[k],
					 error))
				return NULL;
	if (!add_choices(&uses, error))
		return NULL;
	return g_steal_pointer(&found);
}
