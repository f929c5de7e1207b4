/*
 * publish_targets - rows of LDAP servers that are written to, and what is open there.
 */
#include "store/publish_targets.h"

#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"

void
publish_target_free(struct publish_target *row)
{
	if (row == NULL)
		return;
	g_free(row->name);
	g_free(row->host);
	g_free(row->security);
	g_free(row->ca_file);
	g_free(row->entry);
	g_free(row->root_entry);
	g_free(row->bind_dn);
	if (row->sealed != NULL)
		g_bytes_unref(row->sealed);
	g_strfreev(row->users);
	g_free(row->users_base);
	g_free(row);
}

void
publish_user_free(struct publish_user *row)
{
	if (row == NULL)
		return;
	g_free(row->thumbprint);
	if (row->der != NULL)
		g_bytes_unref(row->der);
	g_strfreev(row->emails);
	g_free(row);
}

static const struct statement publish_targets_set_statement = {
	"publish_targets_set",
	"INSERT INTO publish_target (name, host, port, security, ca_file, entry, root_entry, "
	"bind_dn,"
	" sealed, generation, users, users_base)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::text[], $12)"
	" ON CONFLICT (name) DO UPDATE SET host = excluded.host, port = excluded.port,"
	" security = excluded.security, ca_file = excluded.ca_file, entry = excluded.entry,"
	" root_entry = excluded.root_entry, bind_dn = excluded.bind_dn, sealed = excluded.sealed,"
	" generation = excluded.generation, users = excluded.users,"
	" users_base = excluded.users_base, changed = now()",
};

gboolean
publish_targets_set(struct tx *tx, const struct publish_target *row, GError **error)
{
	struct params *params = params_new();

	params_text(params, row->name);
	params_text(params, row->host);
	params_int(params, row->port);
	params_text(params, row->security);
	params_text(params, row->ca_file);
	params_text(params, row->entry);
	params_text(params, row->root_entry);
	params_text(params, row->bind_dn);
	params_bytes(params, row->sealed);
	if (row->sealed != NULL)
		params_int(params, row->generation);
	else
		params_null(params);
	params_text_array(params, (const char *const *)row->users, g_strv_length(row->users));
	params_text(params, row->users_base);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &publish_targets_set_statement, params, error);
	return rows != NULL;
}

#define TARGET_COLUMNS                                                                             \
	"SELECT name, host, port, security, ca_file, entry, root_entry, bind_dn, sealed,"          \
	" generation, users, users_base FROM publish_target"

static struct publish_target *
target_read(const struct rows *rows, int r)
{
	struct publish_target *row = g_new0(struct publish_target, 1);

	row->name = g_strdup(rows_text(rows, r, 0));
	row->host = g_strdup(rows_text(rows, r, 1));
	row->port = (gint)rows_int(rows, r, 2);
	row->security = g_strdup(rows_text(rows, r, 3));
	row->ca_file = g_strdup(rows_text(rows, r, 4));
	row->entry = g_strdup(rows_text(rows, r, 5));
	row->root_entry = g_strdup(rows_text(rows, r, 6));
	row->bind_dn = g_strdup(rows_text(rows, r, 7));
	row->sealed = rows_bytes(rows, r, 8);
	row->generation = rows_int(rows, r, 9);
	row->users = rows_text_array(rows, r, 10);
	row->users_base = g_strdup(rows_text(rows, r, 11));
	return row;
}

static const struct statement publish_targets_find_statement = {
	"publish_targets_find",
	TARGET_COLUMNS " WHERE name = $1",
};

gboolean
publish_targets_find(struct db *db, const char *name, struct publish_target **row, GError **error)
{
	struct params *params = params_new();

	*row = NULL;
	params_text(params, name);
	CLEANUP(rows)
	struct rows *rows = db_write(db, &publish_targets_find_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) == 1)
		*row = target_read(rows, 0);
	return TRUE;
}

static const struct statement publish_targets_list_statement = {
	"publish_targets_list",
	TARGET_COLUMNS " ORDER BY name",
};

GPtrArray *
publish_targets_list(struct db *db, GError **error)
{
	CLEANUP(rows)
	struct rows *rows = db_write(db, &publish_targets_list_statement, NULL, error);

	if (rows == NULL)
		return NULL;
	GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)publish_target_free);
	for (int r = 0; r < rows_count(rows); r++)
		g_ptr_array_add(list, target_read(rows, r));
	return list;
}

/* Whoever has the row has woken the job himself: those who issue do not wait for each other here.
 */
static const struct statement publish_targets_wake_statement = {
	"publish_targets_wake",
	"UPDATE job SET due = CASE state WHEN 'due' THEN least(due, $1) ELSE due END,"
	" again = CASE state WHEN 'running' THEN least(again, $1) END WHERE id = (SELECT id FROM "
	"job"
	" WHERE kind = 'publish' AND key = 'duty' AND (state = 'running' OR state = 'due' AND due "
	"> $1)"
	" AND EXISTS (SELECT 1 FROM publish_target) LIMIT 1 FOR UPDATE SKIP LOCKED)",
};

gboolean
publish_targets_wake(struct tx *tx, GError **error)
{
	struct params *params = params_new();

	params_time(params, tx_now(tx));
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &publish_targets_wake_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_affected(rows) > 0)
		tx_changed(tx, CHANGE_JOB, "publish");
	return TRUE;
}

static const struct statement publish_targets_remove_statement = {
	"publish_targets_remove",
	"WITH gone AS (DELETE FROM publication WHERE target = 'ldap:' || $1)"
	" DELETE FROM publish_target WHERE name = $1",
};

gboolean
publish_targets_remove(struct tx *tx, const char *name, GError **error)
{
	struct params *params = params_new();

	params_text(params, name);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &publish_targets_remove_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_affected(rows) == 0)
		return fail_false(error, PS_ERROR_NOT_FOUND, "CA '%s' is not published by LDAP",
				  name);
	return TRUE;
}

/* What is valid, of the filter, and not written yet; and what was written and is valid no more. */
static const struct statement publish_users_due_statement = {
	"publish_users_due",
	"WITH ours AS (SELECT c.thumbprint, c.der, c.id, c.not_after <= $3 OR EXISTS (SELECT 1 FROM"
	" ca_revocation v WHERE v.ca_id = ca.id AND v.serial = c.serial) AS gone FROM ca"
	" JOIN certificate c ON c.own_ca = ca.thumbprint WHERE ca.name = $1 AND NOT c.is_ca)"
	" SELECT o.thumbprint, o.der, e.emails, o.gone FROM ours o JOIN LATERAL (SELECT"
	" array_agg(email ORDER BY email) AS emails FROM certificate_email"
	" WHERE certificate_id = o.id AND (email = ANY ($2::text[])"
	" OR '@' || split_part(email, '@', 2) = ANY ($2::text[]))) AS e ON e.emails IS NOT NULL"
	" LEFT JOIN publication p ON p.target = 'ldap:' || $1 AND p.object = 'user/' || "
	"o.thumbprint"
	" WHERE (CASE WHEN o.gone THEN p.digest <> '' ELSE coalesce(p.digest, '') = '' END)"
	" AND coalesce(p.next_try, $3) <= $3 ORDER BY o.id LIMIT $4",
};

GPtrArray *
publish_users_due(struct db *db, const struct publish_target *target, gint64 now, gint limit,
		  GError **error)
{
	struct params *params = params_new();

	params_text(params, target->name);
	params_text_array(params, (const char *const *)target->users, g_strv_length(target->users));
	params_time(params, now);
	params_int(params, limit);
	CLEANUP(rows) struct rows *rows = db_write(db, &publish_users_due_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)publish_user_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct publish_user *row = g_new0(struct publish_user, 1);
		row->thumbprint = g_strdup(rows_text(rows, r, 0));
		row->der = rows_bytes(rows, r, 1);
		row->emails = rows_text_array(rows, r, 2);
		row->gone = rows_bool(rows, r, 3);
		g_ptr_array_add(list, row);
	}
	return list;
}
