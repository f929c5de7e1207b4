/*
 * crl_load_put - is a list newer than the one in force, and then its rows.
 */
#include <string.h>

#include "pki/crl_load_internal.h"
#include "pki/crypto/crl.h"
#include "store/base/clock.h"
#include "store/crl_entries.h"

enum order { ORDER_NEWER, ORDER_OLDER, ORDER_CONFLICT };

static enum order
compare(const struct crl_row *new, const struct crl_row *current)
{
	int date =
	    (new->this_update > current->this_update) - (new->this_update < current->this_update);
	int number = new->number != NULL && current->number != NULL
			 ? crl_number_compare(new->number, current->number)
			 : 0;

	if (date <= 0 && number <= 0)
		return ORDER_OLDER;
	return date >= 0 && number >= 0 ? ORDER_NEWER : ORDER_CONFLICT;
}

static gboolean
is_early(const struct crl_row *row, gint64 now)
{
	return row->this_update > now + CRL_EARLY_SECONDS;
}

static gboolean
is_over(const struct crl_row *row, gint64 now)
{
	return row->next_update != CLOCK_NEVER && row->next_update < now;
}

static char *
name_list(const struct crl_row *row)
{
	g_autofree char *when = clock_format(row->this_update);

	return row->number != NULL ? g_strdup_printf("number %s of %s", row->number, when)
				   : g_strdup_printf("the one of %s", when);
}

static void
say_conflict(struct loading *loading, const struct crl_row *current)
{
	g_autofree char *that = name_list(current);

	loading_set_state(
	    loading, CRL_STATE_BACKWARDS,
	    g_strdup_printf("against the one in force, %s, its %s: it is used when that one is "
			    "out of date",
			    that,
			    loading->row.this_update > current->this_update
				? "date is later and its number is smaller"
				: "number is greater and its date is earlier"));
}

/* May the list take the place of the one in force? FALSE: *outcome, or its state, says why. */
static gboolean
may_replace(struct loading *loading, const struct crl_row *current, enum crl_load_outcome *outcome)
{
	const struct crl_row *new = &loading->row;
	gint64 now = loading->now;
	gboolean current_counts = !is_early(current, now) && !is_over(current, now);
	g_autofree char *that = name_list(current);

	*outcome = CRL_LOAD_KEPT;
	/* Our own CA counts its lists in the database; its clock may have been set back. */
	if (loading->own != NULL && current->number != NULL &&
	    crl_number_compare(new->number, current->number) > 0)
		return TRUE;
	switch (compare(new, current)) {
	case ORDER_OLDER:
		*outcome = CRL_LOAD_OLDER;
		loading_set_state(loading, CRL_STATE_BACKWARDS,
				  g_strdup_printf("the store has a newer one: %s", that));
		return FALSE;
	case ORDER_CONFLICT:
		if (!current_counts && !is_early(new, now) &&
		    (is_early(current, now) || new->next_update > current->next_update))
			return TRUE;
		say_conflict(loading, current);
		return FALSE;
	case ORDER_NEWER:
		break;
	}
	if (current_counts && is_early(new, now)) {
		loading_set_state(
		    loading, CRL_STATE_EARLY,
		    g_strdup_printf("it is dated in the future: %s stays in force until then",
				    that));
		return FALSE;
	}
	if (current_counts && is_over(new, now)) {
		loading_set_state(loading, CRL_STATE_EXPIRED,
				  g_strdup_printf("it is out of date, and %s is not", that));
		return FALSE;
	}
	return TRUE;
}

/* --- put --- */

struct writing {
	struct copy *copy;
	gint64 crl_id;
};

static gboolean
write_entry(const guint8 *serial, gsize length, const struct crl_item *item, gpointer data)
{
	struct writing *writing = data;

	crls_entries_add(writing->copy, writing->crl_id, serial, length, item->issuer_key,
			 item->revoked_at, (gint)item->reason);
	return !copy_failed(writing->copy);
}

static gboolean
write_entries(struct loading *loading, GError **error)
{
	struct writing writing = { .crl_id = loading->row.id };

	if (crl_entry_count(loading->crl) == 0)
		return TRUE;
	writing.copy = crls_entries_begin(loading->tx, error);
	if (writing.copy == NULL)
		return FALSE;
	crl_foreach_octets(loading->crl, write_entry, &writing);
	return copy_end(writing.copy, NULL, error);
}

/* A delta that the new list includes has done its work. */
static gboolean
is_included(const struct crl_row *delta, const struct crl_row *complete)
{
	return delta->number == NULL || complete->number == NULL ||
	       crl_number_compare(delta->number, complete->number) <= 0;
}

static gboolean
retire(struct loading *loading, const struct crl_row *current, GError **error)
{
	const struct crl_row *row = &loading->row;
	gboolean is_delta = row->base_number != NULL;
	gint64 beside[2] = { row->id, 0 };
	CLEANUP(crl_row) struct crl_row *other = NULL;

	if (!crls_current(loading->tx, row->line, !is_delta, &other, error))
		return FALSE;
	gboolean included = !is_delta && other != NULL && is_included(other, row);
	if (other != NULL && !included)
		beside[1] = other->id;
	if (included && !crls_retire(loading->tx, other, beside, 1, error))
		return FALSE;
	return current == NULL ||
	       crls_retire(loading->tx, current, beside, beside[1] != 0 ? 2 : 1, error);
}

/* All of it, and last the word that it counts: there is one in force in a line. */
static gboolean
put_in_force(struct loading *loading, const struct crl_row *current, GError **error)
{
	struct crl_row *row = &loading->row;

	row->state = CRL_STATE_EARLY;
	if (row->id == 0 ? !crls_insert(loading->tx, row, error)
			 : !crls_entries_drop(loading->tx, row->id, error))
		return FALSE;
	if (!write_entries(loading, error) || !retire(loading, current, error))
		return FALSE;
	loading_set_state(loading, CRL_STATE_USABLE, g_strdup(""));
	return crls_update(loading->tx, row, error);
}

static gboolean
put_kept(struct loading *loading, GError **error)
{
	struct crl_row *row = &loading->row;

	if (row->id == 0)
		return crls_insert(loading->tx, row, error) && crls_prune(loading->tx, row, error);
	/* As it was: nothing is written, or every look would be a change. */
	if (loading->was->state == row->state && loading->was->line == row->line &&
	    strcmp(loading->was->note, row->note) == 0)
		return TRUE;
	return crls_entries_drop(loading->tx, row->id, error) &&
	       crls_update(loading->tx, row, error);
}

/* An older one that is in the store already (of a version before): what it said stays known. */
static gboolean
put_aside(struct loading *loading, const struct crl_row *current, GError **error)
{
	gint64 beside[1] = { current->id };

	return loading->row.id == 0 || crls_retire(loading->tx, &loading->row, beside, 1, error);
}

gboolean
loading_put(struct loading *loading, enum crl_load_outcome *outcome, GError **error)
{
	struct crl_row *row = &loading->row;
	CLEANUP(crl_row) struct crl_row *current = NULL;

	row->line = 0;
	*outcome = CRL_LOAD_KEPT;
	if (loading->signer != NULL && !crls_line(loading->tx, row, error))
		return FALSE;
	if (row->state != CRL_STATE_USABLE)
		return put_kept(loading, error);
	if (!crls_current(loading->tx, row->line, row->base_number != NULL, &current, error))
		return FALSE;
	if (current == NULL || may_replace(loading, current, outcome)) {
		*outcome = CRL_LOAD_IN_FORCE;
		return put_in_force(loading, current, error);
	}
	return *outcome == CRL_LOAD_OLDER ? put_aside(loading, current, error)
					  : put_kept(loading, error);
}
