/*
 * fetch_points - SQL and mapping of points.
 */
#include "store/fetch_points.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"

#define ORPHANS_LOOKED_AT 10000

void
fetch_group_free(struct fetch_group *group)
{
	if (group == NULL)
		return;
	g_free(group->issuer_key);
	g_free(group->aki);
	g_bytes_unref(group->points);
	g_strfreev(group->candidates);
	g_free(group);
}

void
fetch_point_free(struct fetch_point *point)
{
	if (point == NULL)
		return;
	g_strfreev(point->urls);
	g_free(point->witness);
	g_free(point);
}

/* --- looking at certificates --- */

static const struct statement fetch_last_id_statement = {
	"fetch_last_id",
	"SELECT coalesce(max(id), 0) FROM certificate",
};

gint64
fetch_points_last_id(struct db *db, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_query(db, &fetch_last_id_statement, NULL, error);

	return rows != NULL ? rows_int(rows, 0, 0) : -1;
}

/* OIDs 2.5.29.31 and 2.5.29.46. */
#define POINTS_OF(der)                                                                             \
	"coalesce(certificate_extension(" der ", '\\x0603551d1f'), '') ||"                         \
	" coalesce(certificate_extension(" der ", '\\x0603551d2e'), '')"
/* What comes first when a group is represented by a few. */
#define BEST_FIRST "(origin = 'harvest'), not_after DESC, thumbprint"

static const struct statement fetch_groups_statement = {
	"fetch_groups",
	"SELECT issuer_key, aki, points, count(*),"
	" (array_agg(thumbprint ORDER BY " BEST_FIRST "))[1:$4::int]"
	" FROM (SELECT c.issuer_key, coalesce(c.aki, '') AS aki, c.thumbprint, c.origin,"
	" c.not_after, " POINTS_OF(
	    "c.der") " AS points FROM certificate c JOIN"
		     " (SELECT subject_key FROM certificate WHERE is_ca UNION SELECT subject_key "
		     "FROM root) i"
		     " ON i.subject_key = c.issuer_key WHERE c.id > $1 AND c.id <= $2 AND "
		     "c.not_after >= $3"
		     " OFFSET 0) named WHERE points <> '' GROUP BY issuer_key, aki, points",
};

GPtrArray *
fetch_points_groups(struct db *db, gint64 after, gint64 now, GError **error)
{
	struct params *params = params_new();

	params_int(params, after);
	params_int(params, after + FETCH_PAGE);
	params_time(params, now);
	params_int(params, FETCH_GROUP_CANDIDATES);
	CLEANUP(rows) struct rows *rows = db_query(db, &fetch_groups_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *groups = g_ptr_array_new_with_free_func((GDestroyNotify)fetch_group_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct fetch_group *group = g_new0(struct fetch_group, 1);

		group->issuer_key = g_strdup(rows_text(rows, r, 0));
		group->aki = g_strdup(rows_text(rows, r, 1));
		group->points = rows_bytes(rows, r, 2);
		group->certificates = rows_int(rows, r, 3);
		group->candidates = rows_text_array(rows, r, 4);
		g_ptr_array_add(groups, group);
	}
	return groups;
}

static const struct statement fetch_members_statement = {
	"fetch_members",
	"SELECT thumbprint FROM (SELECT thumbprint, der FROM certificate"
	" WHERE issuer_key = $1 AND coalesce(aki, '') = $2 AND not_after >= $4 AND thumbprint > $5"
	" OFFSET 0) c WHERE " POINTS_OF("der") " = $3 ORDER BY thumbprint LIMIT $6",
};

static GStrv
texts_of(struct rows *rows)
{
	g_autoptr(GStrvBuilder) texts = g_strv_builder_new();

	if (rows == NULL)
		return NULL;
	for (int r = 0; r < rows_count(rows); r++)
		g_strv_builder_add(texts, rows_text(rows, r, 0));
	rows_free(rows);
	return g_strv_builder_end(texts);
}

GStrv
fetch_points_members(struct db *db, const struct fetch_group *group, const char *after, gint64 now,
		     gint limit, GError **error)
{
	struct params *params = params_new();

	params_text(params, group->issuer_key);
	params_text(params, group->aki);
	params_bytes(params, group->points);
	params_time(params, now);
	params_text(params, after);
	params_int(params, limit);
	return texts_of(db_query(db, &fetch_members_statement, params, error));
}

/* The newest ones alone are looked at: who came earlier was asked for when it was new. */
static const struct statement fetch_orphans_statement = {
	"fetch_orphans",
	"SELECT (array_agg(thumbprint ORDER BY id DESC))[1] FROM (SELECT c.id, c.thumbprint,"
	" c.issuer_key, c.aki FROM certificate c WHERE c.origin NOT IN ('harvest', 'directory') "
	"AND NOT c.pending"
	" AND NOT c.self_signed AND c.not_after >= $1"
	" AND NOT EXISTS (SELECT 1 FROM certificate i WHERE i.is_ca"
	" AND i.subject_key = c.issuer_key)"
	" AND NOT EXISTS (SELECT 1 FROM root r WHERE r.subject_key = c.issuer_key)"
	" ORDER BY c.id DESC LIMIT $2) newest GROUP BY issuer_key, aki ORDER BY max(id) DESC LIMIT"
	" $3",
};

GStrv
fetch_points_orphans(struct db *db, gint64 now, gint limit, GError **error)
{
	struct params *params = params_new();

	params_time(params, now);
	params_int(params, ORPHANS_LOOKED_AT);
	params_int(params, limit);
	return texts_of(db_query(db, &fetch_orphans_statement, params, error));
}

/* --- what a run has found --- */

static gboolean
run_statement(struct tx *tx, const struct statement *statement, struct params *params,
	      GError **error)
{
	CLEANUP(rows) struct rows *rows = tx_query(tx, statement, params, error);

	return rows != NULL;
}

static char *
point_digest(const struct fetch_point *point)
{
	g_autofree char *urls = g_strjoinv("\n", point->urls);
	g_autofree char *all = g_strconcat(fetch_kind_name(point->kind), "\n", urls, NULL);

	return g_compute_checksum_for_string(G_CHECKSUM_SHA256, all, -1);
}

/* Two daemons that collect at the same time put the same in. */
static const struct statement fetch_points_lock_statement = {
	"fetch_points_lock",
	"LOCK TABLE fetch_point IN SHARE ROW EXCLUSIVE MODE",
};
static const struct statement fetch_points_clear_statement = {
	"fetch_points_clear",
	"DELETE FROM fetch_point",
};
static const struct statement fetch_points_put_statement = {
	"fetch_points_put",
	"INSERT INTO fetch_point (digest, kind, urls, witness, certificates)"
	" VALUES ($1, $2, $3::text[], $4, $5) ON CONFLICT (digest)"
	" DO UPDATE SET certificates = fetch_point.certificates + excluded.certificates",
};

static gboolean
put_points(struct tx *tx, const GPtrArray *points, GError **error)
{
	if (!run_statement(tx, &fetch_points_lock_statement, NULL, error) ||
	    !run_statement(tx, &fetch_points_clear_statement, NULL, error))
		return FALSE;
	for (guint i = 0; i < points->len; i++) {
		const struct fetch_point *point = g_ptr_array_index(points, i);
		g_autofree char *digest = point_digest(point);
		struct params *params = params_new();

		params_text(params, digest);
		params_text(params, fetch_kind_name(point->kind));
		params_text_array(params, (const char *const *)point->urls,
				  g_strv_length(point->urls));
		params_text(params, point->witness);
		params_int(params, point->certificates);
		if (!run_statement(tx, &fetch_points_put_statement, params, error))
			return FALSE;
	}
	return TRUE;
}

static const struct statement fetch_rows_new_statement = {
	"fetch_rows_new",
	"INSERT INTO fetch_url (url, kind, next_try) SELECT u.url, min(p.kind),"
	" CASE WHEN bool_or(u.n = 1) THEN $1::timestamptz END FROM fetch_point p,"
	" unnest(p.urls) WITH ORDINALITY AS u(url, n) GROUP BY u.url ON CONFLICT (url)"
	" DO UPDATE SET next_try = coalesce(fetch_url.next_try, excluded.next_try),"
	" kind = excluded.kind",
};
static const struct statement fetch_rows_gone_statement = {
	"fetch_rows_gone",
	"DELETE FROM fetch_url f WHERE NOT f.by_hand"
	" AND NOT EXISTS (SELECT 1 FROM fetch_point p WHERE p.urls @> ARRAY[f.url])",
};
static const struct statement fetch_rows_counts_statement = {
	"fetch_rows_counts",
	"UPDATE fetch_url f SET certificates = coalesce((SELECT sum(p.certificates) FROM "
	"fetch_point p"
	" WHERE p.urls @> ARRAY[f.url]), 0)",
};
/* T5: at the latest at the next regular run. */
static const struct statement fetch_rows_again_statement = {
	"fetch_rows_again",
	"UPDATE fetch_url SET next_try = $1 WHERE state = 'failed' AND next_try > $1"
	" AND last_try < $2",
};
static const struct statement fetch_run_done_statement = {
	"fetch_run_done",
	"INSERT INTO fetch_run (finished, certificates, points, left_out) VALUES ($1, $2, $3, $4)"
	" ON CONFLICT (one) DO UPDATE SET finished = excluded.finished,"
	" certificates = excluded.certificates, points = excluded.points,"
	" left_out = excluded.left_out",
};

static gboolean
run_with_now(struct tx *tx, const struct statement *statement, GError **error)
{
	struct params *params = params_new();

	params_time(params, tx_now(tx));
	return run_statement(tx, statement, params, error);
}

static gboolean
run_again(struct tx *tx, gint64 retry_before, GError **error)
{
	struct params *params = params_new();

	params_time(params, tx_now(tx));
	params_time(params, retry_before);
	return run_statement(tx, &fetch_rows_again_statement, params, error);
}

gboolean
fetch_points_replace(struct tx *tx, const GPtrArray *points, const struct fetch_run *run,
		     GError **error)
{
	if (!put_points(tx, points, error) || !run_with_now(tx, &fetch_rows_new_statement, error) ||
	    !run_statement(tx, &fetch_rows_gone_statement, NULL, error) ||
	    !run_statement(tx, &fetch_rows_counts_statement, NULL, error) ||
	    !run_again(tx, run->retry_before, error))
		return FALSE;
	struct params *params = params_new();
	params_time(params, tx_now(tx));
	params_int(params, run->certificates);
	params_int(params, run->points);
	params_int(params, run->left_out);
	return run_statement(tx, &fetch_run_done_statement, params, error);
}

static const struct statement fetch_points_list_statement = {
	"fetch_points_list",
	"SELECT kind, urls, witness, certificates FROM fetch_point"
	" WHERE $1::text IS NULL OR urls @> ARRAY[$1::text] ORDER BY digest",
};

GPtrArray *
fetch_points_list(struct db *db, const char *url_or_null, GError **error)
{
	struct params *params = params_new();

	params_text(params, url_or_null);
	CLEANUP(rows) struct rows *rows = db_query(db, &fetch_points_list_statement, params, error);
	if (rows == NULL)
		return NULL;
	GPtrArray *points = g_ptr_array_new_with_free_func((GDestroyNotify)fetch_point_free);
	for (int r = 0; r < rows_count(rows); r++) {
		struct fetch_point *point = g_new0(struct fetch_point, 1);

		point->kind =
		    strcmp(rows_text(rows, r, 0), "issuer") == 0 ? FETCH_ISSUER : FETCH_CRL;
		point->urls = rows_text_array(rows, r, 1);
		point->witness = g_strdup(rows_text(rows, r, 2));
		point->certificates = rows_int(rows, r, 3);
		g_ptr_array_add(points, point);
	}
	return points;
}

static const struct statement fetch_issuer_add_statement = {
	"fetch_issuer_add",
	"INSERT INTO fetch_issuer (thumbprint, depth, url) VALUES ($1, $2, $3)"
	" ON CONFLICT (thumbprint) DO UPDATE SET depth = least(fetch_issuer.depth,"
	" excluded.depth), url = excluded.url",
};

gboolean
fetch_points_add_issuer(struct tx *tx, const char *thumbprint, gint depth, const char *url,
			GError **error)
{
	struct params *params = params_new();

	params_text(params, thumbprint);
	params_int(params, depth);
	params_text(params, url);
	return run_statement(tx, &fetch_issuer_add_statement, params, error);
}

static const struct statement fetch_issuers_statement = {
	"fetch_issuers",
	"SELECT thumbprint, depth FROM fetch_issuer",
};

GHashTable *
fetch_points_issuers(struct db *db, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_query(db, &fetch_issuers_statement, NULL, error);

	if (rows == NULL)
		return NULL;
	GHashTable *issuers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	for (int r = 0; r < rows_count(rows); r++)
		g_hash_table_insert(issuers, g_strdup(rows_text(rows, r, 0)),
				    GINT_TO_POINTER((gint)rows_int(rows, r, 1)));
	return issuers;
}

static const struct statement fetch_last_run_statement = {
	"fetch_last_run",
	"SELECT finished, certificates, points, left_out FROM fetch_run",
};

gboolean
fetch_points_last_run(struct db *db, struct fetch_run *run, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_query(db, &fetch_last_run_statement, NULL, error);

	memset(run, 0, sizeof(*run));
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) == 0)
		return TRUE;
	run->finished = rows_time(rows, 0, 0);
	run->certificates = rows_int(rows, 0, 1);
	run->points = rows_int(rows, 0, 2);
	run->left_out = rows_int(rows, 0, 3);
	return TRUE;
}
