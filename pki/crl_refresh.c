/*
 * crl_refresh - groups of certificates into points.
 */
#include "pki/crl_refresh.h"

#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/cert_points.h"
#include "pki/net/url.h"
#include "pki/trust.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/certs.h"
#include "store/config/settings.h"
#include "store/db/tx.h"

#define GROUPS_MAX 20000
#define CANDIDATES_MAX 32 /* of one group, over all pages */
#define ORPHANS_MAX 200
#define MEMBERS_AT_ONCE 100
#define MEMBERS_MAX 5000 /* judged in a run because the first of their groups failed */

struct work {
	const struct crl_refresh *refresh;
	GHashTable *groups;    /* key -> struct fetch_group */
	GHashTable *points;    /* key -> struct fetch_point */
	GHashTable *witnesses; /* key of a point of the run before -> thumbprint */
	GHashTable *issuers;   /* fetched ones, thumbprint -> depth */
	GHashTable *asked;     /* thumbprints whose caIssuers were taken */
	struct fetch_run run;
	guint members_left;
	gboolean stopped;
};

static gboolean
go_on(struct work *work)
{
	const struct crl_refresh *refresh = work->refresh;

	if (!work->stopped && refresh->go_on != NULL && !refresh->go_on(refresh->data))
		work->stopped = TRUE;
	return !work->stopped;
}

static char *
point_key(enum fetch_kind kind, char **urls)
{
	g_autofree char *joined = g_strjoinv(" ", urls);

	return g_strdup_printf("%s %s", fetch_kind_name(kind), joined);
}

/* --- groups --- */

static char *
group_key(const struct fetch_group *group)
{
	g_autofree char *points = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, group->points);

	return g_strdup_printf("%s %s %s", group->issuer_key, group->aki, points);
}

/* The same group on another page. */
static void
group_join(struct fetch_group *group, struct fetch_group *more)
{
	guint have = g_strv_length(group->candidates);
	g_autoptr(GStrvBuilder) all = g_strv_builder_new();

	group->certificates += more->certificates;
	if (have >= CANDIDATES_MAX)
		return;
	g_strv_builder_addv(all, (const char **)group->candidates);
	for (char **c = more->candidates; *c != NULL && have < CANDIDATES_MAX; c++, have++)
		g_strv_builder_add(all, *c);
	g_strfreev(group->candidates);
	group->candidates = g_strv_builder_end(all);
}

static void
take_page(struct work *work, GPtrArray *page)
{
	while (page->len > 0) {
		CLEANUP(fetch_group)
		struct fetch_group *group = g_ptr_array_steal_index_fast(page, page->len - 1);
		g_autofree char *key = group_key(group);
		struct fetch_group *known = g_hash_table_lookup(work->groups, key);

		work->run.certificates += group->certificates;
		if (known != NULL)
			group_join(known, group);
		else if (g_hash_table_size(work->groups) < GROUPS_MAX)
			g_hash_table_insert(work->groups, g_steal_pointer(&key),
					    g_steal_pointer(&group));
		else
			work->run.left_out++;
	}
}

static gboolean
read_groups(struct work *work, GError **error)
{
	gint64 last = fetch_points_last_id(work->refresh->db, error);

	if (last < 0)
		return FALSE;
	for (gint64 after = 0; after < last && go_on(work); after += FETCH_PAGE) {
		g_autoptr(GPtrArray) page =
		    fetch_points_groups(work->refresh->db, after, work->refresh->now, error);

		if (page == NULL)
			return FALSE;
		take_page(work, page);
	}
	return TRUE;
}

/* --- one certificate --- */

static gboolean
judge(struct work *work, struct cert *cert, struct verdict **verdict, GError **error)
{
	static const struct trust_mode aside = { CHAIN_REVOCATION_OFF, CHAIN_STATUS_OFF };

	*verdict = trust_judge_with(work->refresh->trust, cert, TRUST_ANY, aside, error);
	return *verdict != NULL;
}

/* Up to a root, revocation aside: what the trust list allows is not that. */
static gboolean
has_path(const struct verdict *verdict)
{
	if (verdict->by_ctl_allow)
		return FALSE;
	return verdict->state == VERDICT_VALID || verdict->fault == CHAIN_FAULT_REVOKED ||
	       verdict->fault == CHAIN_FAULT_REVOCATION;
}

/* Which of the names are of use here, in one spelling. */
static GStrv
usable_urls(const struct work *work, char **urls, guint *left)
{
	g_autoptr(GStrvBuilder) usable = g_strv_builder_new();
	gboolean has_server = *work->refresh->settings->fetch_ldap_server != '\0';

	for (; *urls != NULL && *left > 0; urls++) {
		CLEANUP(url) struct url *url = url_parse(*urls, NULL);

		if (url == NULL || (*url->host == '\0' && !has_server))
			continue;
		g_strv_builder_add(usable, url->text);
		*left -= 1;
	}
	return g_strv_builder_end(usable);
}

static void
add_point(struct work *work, enum fetch_kind kind, char **urls, const struct cert *witness,
	  gint64 certificates)
{
	g_autofree char *key = point_key(kind, urls);
	struct fetch_point *point = g_hash_table_lookup(work->points, key);

	if (point != NULL) {
		point->certificates += certificates;
		return;
	}
	point = g_new0(struct fetch_point, 1);
	point->kind = kind;
	point->urls = g_strdupv(urls);
	point->witness = g_strdup(cert_thumbprint(witness));
	point->certificates = certificates;
	g_hash_table_insert(work->points, g_steal_pointer(&key), point);
}

static void
add_points_of(struct work *work, const struct cert *cert, gint64 certificates)
{
	guint left = CERT_POINT_URLS_MAX;
	guint kinds = work->refresh->settings->freshest_crl ? 2 : 1;

	for (guint kind = 0; kind < kinds; kind++) {
		g_autoptr(GPtrArray) points = cert_points(cert, (enum cert_points_kind)kind);

		for (guint i = 0; i < points->len; i++) {
			g_auto(GStrv) urls = usable_urls(work, points->pdata[i], &left);

			if (*urls != NULL)
				add_point(work, FETCH_CRL, urls, cert, certificates);
		}
	}
}

/* --- missing issuers --- */

/* The last of the path that was found is the one whose issuer is missing. */
static void
ask_for_issuer(struct work *work, struct cert *cert, const struct verdict *verdict)
{
	struct cert *top = verdict->path->len > 0
			       ? g_ptr_array_index(verdict->path, verdict->path->len - 1)
			       : cert;
	gint depth = GPOINTER_TO_INT(g_hash_table_lookup(work->issuers, cert_thumbprint(top)));
	guint left = CERT_POINT_URLS_MAX;

	if (!work->refresh->settings->aia_fetch || verdict->fault != CHAIN_FAULT_PATH ||
	    cert_is_self_issued(top) || depth >= CRL_REFRESH_ISSUER_DEPTH_MAX ||
	    !g_hash_table_add(work->asked, g_strdup(cert_thumbprint(top))))
		return;
	g_auto(GStrv) urls = usable_urls(work, cert_ca_issuer_urls(top), &left);
	if (*urls != NULL)
		add_point(work, FETCH_ISSUER, urls, top, 1);
}

static struct cert *
cert_of(const struct cert_row *row)
{
	return cert_parse(row->der, NULL);
}

static gboolean
read_orphans(struct work *work, GError **error)
{
	g_auto(GStrv) orphans =
	    work->refresh->settings->aia_fetch
		? fetch_points_orphans(work->refresh->db, work->refresh->now, ORPHANS_MAX, error)
		: g_new0(char *, 1);

	if (orphans == NULL)
		return FALSE;
	g_autoptr(GPtrArray) rows = certs_by_thumbprints(
	    work->refresh->db, (const char *const *)orphans, g_strv_length(orphans), error);
	if (rows == NULL)
		return FALSE;
	for (guint i = 0; i < rows->len && go_on(work); i++) {
		CLEANUP(cert) struct cert *cert = cert_of(g_ptr_array_index(rows, i));
		CLEANUP(verdict) struct verdict *verdict = NULL;

		if (cert == NULL)
			continue;
		if (!judge(work, cert, &verdict, error))
			return FALSE;
		ask_for_issuer(work, cert, verdict);
	}
	return TRUE;
}

/* --- one group --- */

/* May URLs of this certificate be asked although it verifies nowhere? Only when somebody here
 * wanted it: never what came by mail or out of a directory. */
static gboolean
is_wanted(const struct cert_row *row)
{
	return strcmp(row->origin, "harvest") != 0 && strcmp(row->origin, "directory") != 0 &&
	       !row->pending;
}

static gboolean
try_candidates(struct work *work, const struct fetch_group *group, char **thumbprints,
	       gboolean *found, GError **error)
{
	g_autoptr(GPtrArray) rows = certs_by_thumbprints(
	    work->refresh->db, (const char *const *)thumbprints, g_strv_length(thumbprints), error);

	if (rows == NULL)
		return FALSE;
	for (guint i = 0; i < rows->len && !*found; i++) {
		const struct cert_row *row = g_ptr_array_index(rows, i);
		CLEANUP(cert) struct cert *cert = cert_of(row);
		CLEANUP(verdict) struct verdict *verdict = NULL;

		if (cert == NULL)
			continue;
		if (!judge(work, cert, &verdict, error))
			return FALSE;
		if (has_path(verdict)) {
			add_points_of(work, cert, group->certificates);
			*found = TRUE;
		} else if (is_wanted(row)) {
			ask_for_issuer(work, cert, verdict);
		}
	}
	return TRUE;
}

/* The one that stood for these points in the run before. */
static gboolean
try_witnesses(struct work *work, const struct fetch_group *group, gboolean *found, GError **error)
{
	CLEANUP(cert_row)
	struct cert_row *row = certs_find(work->refresh->db, group->candidates[0], NULL);
	CLEANUP(cert) struct cert *cert = row != NULL ? cert_of(row) : NULL;
	g_autoptr(GPtrArray) points = cert != NULL ? cert_points(cert, CERT_POINTS_CRL) : NULL;
	guint left = CERT_POINT_URLS_MAX;

	if (points == NULL || points->len == 0)
		return TRUE;
	g_auto(GStrv) urls = usable_urls(work, points->pdata[0], &left);
	g_autofree char *key = point_key(FETCH_CRL, urls);
	char *witness[] = { g_hash_table_lookup(work->witnesses, key), NULL };
	return witness[0] == NULL || try_candidates(work, group, witness, found, error);
}

/* Somebody may have put many that do not verify before the one that does. */
static gboolean
try_members(struct work *work, const struct fetch_group *group, gboolean *found, GError **error)
{
	g_autofree char *after = g_strdup("");

	while (!*found && work->members_left > 0 && go_on(work)) {
		g_auto(GStrv) members = fetch_points_members(
		    work->refresh->db, group, after, work->refresh->now, MEMBERS_AT_ONCE, error);

		if (members == NULL)
			return FALSE;
		guint count = g_strv_length(members);
		if (count == 0 || !try_candidates(work, group, members, found, error))
			return count == 0;
		work->members_left -= MIN(count, work->members_left);
		g_free(after);
		after = g_strdup(members[count - 1]);
	}
	return TRUE;
}

static gboolean
judge_group(struct work *work, const struct fetch_group *group, GError **error)
{
	gboolean found = FALSE;

	if (group->candidates[0] == NULL)
		return TRUE;
	if (!try_candidates(work, group, group->candidates, &found, error))
		return FALSE;
	if (found || group->certificates <= (gint64)g_strv_length(group->candidates))
		return TRUE;
	return try_witnesses(work, group, &found, error) &&
	       (found || try_members(work, group, &found, error));
}

static GPtrArray *
values_of(GHashTable *table)
{
	GPtrArray *values = g_ptr_array_new();
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, table);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		g_ptr_array_add(values, value);
	return values;
}

static gint
more_used_first(gconstpointer a, gconstpointer b)
{
	const struct fetch_group *x = *(const struct fetch_group *const *)a;
	const struct fetch_group *y = *(const struct fetch_group *const *)b;

	return x->certificates != y->certificates ? (x->certificates < y->certificates ? 1 : -1)
						  : strcmp(x->issuer_key, y->issuer_key);
}

static gboolean
judge_groups(struct work *work, GError **error)
{
	g_autoptr(GPtrArray) groups = values_of(work->groups);

	g_ptr_array_sort(groups, more_used_first);
	for (guint i = 0; i < groups->len && go_on(work); i++)
		if (!judge_group(work, g_ptr_array_index(groups, i), error))
			return FALSE;
	return TRUE;
}

/* --- the end of a run --- */

static gint
more_named_first(gconstpointer a, gconstpointer b)
{
	const struct fetch_point *x = *(const struct fetch_point *const *)a;
	const struct fetch_point *y = *(const struct fetch_point *const *)b;

	if (x->certificates != y->certificates)
		return x->certificates < y->certificates ? 1 : -1;
	return strcmp(x->urls[0], y->urls[0]);
}

/* Adds the hosts of a point unless they would be too many. */
static gboolean
hosts_fit(GHashTable *hosts, char **urls)
{
	g_autoptr(GHashTable) more = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	GHashTableIter iter;
	gpointer name;

	for (; *urls != NULL; urls++) {
		CLEANUP(url) struct url *url = url_parse(*urls, NULL);

		if (url != NULL && !g_hash_table_contains(hosts, url->host))
			g_hash_table_add(more, g_strdup(url->host));
	}
	if (g_hash_table_size(hosts) + g_hash_table_size(more) > CRL_REFRESH_HOSTS_MAX)
		return FALSE;
	g_hash_table_iter_init(&iter, more);
	while (g_hash_table_iter_next(&iter, &name, NULL))
		g_hash_table_add(hosts, g_strdup(name));
	return TRUE;
}

static GPtrArray *
limit_hosts(struct work *work)
{
	g_autoptr(GPtrArray) points = values_of(work->points);
	g_autoptr(GHashTable) hosts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	GPtrArray *kept = g_ptr_array_new();

	g_ptr_array_sort(points, more_named_first);
	for (guint i = 0; i < points->len; i++) {
		struct fetch_point *point = g_ptr_array_index(points, i);

		if (hosts_fit(hosts, point->urls))
			g_ptr_array_add(kept, point);
		else
			work->run.left_out++;
	}
	work->run.points = kept->len;
	if (work->run.left_out > 0)
		log_warning("certificates name more distribution points than a run takes", "error",
			    "the least used ones are left out");
	return kept;
}

struct ending {
	const GPtrArray *points;
	const struct fetch_run *run;
};

static gboolean
write_points(struct tx *tx, gpointer data, GError **error)
{
	const struct ending *ending = data;

	return fetch_points_replace(tx, ending->points, ending->run, error);
}

static gboolean
read_witnesses(struct work *work, GError **error)
{
	g_autoptr(GPtrArray) points = fetch_points_list(work->refresh->db, NULL, error);

	if (points == NULL)
		return FALSE;
	for (guint i = 0; i < points->len; i++) {
		const struct fetch_point *point = g_ptr_array_index(points, i);

		if (point->kind == FETCH_CRL && point->witness != NULL)
			g_hash_table_insert(work->witnesses, point_key(point->kind, point->urls),
					    g_strdup(point->witness));
	}
	return TRUE;
}

static gboolean
run(struct work *work, GError **error)
{
	work->issuers = fetch_points_issuers(work->refresh->db, error);
	if (work->issuers == NULL || !read_witnesses(work, error) || !read_groups(work, error) ||
	    !judge_groups(work, error) || !read_orphans(work, error))
		return FALSE;
	if (work->stopped)
		return TRUE;
	g_autoptr(GPtrArray) points = limit_hosts(work);
	/* Runs that follow an import do not take back the pauses of what fails. */
	work->run.retry_before =
	    work->refresh->now - work->refresh->settings->crl_update_interval / 2;
	struct ending ending = { points, &work->run };
	return db_transaction(work->refresh->db, write_points, &ending, error);
}

gboolean
crl_refresh_run(const struct crl_refresh *refresh, struct fetch_run *report, gboolean *done,
		GError **error)
{
	struct work work = {
		.refresh = refresh,
		.groups = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
						(GDestroyNotify)fetch_group_free),
		.points = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
						(GDestroyNotify)fetch_point_free),
		.witnesses = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
		.asked = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
		.members_left = MEMBERS_MAX,
	};
	gboolean good = run(&work, error);

	*done = good && !work.stopped;
	*report = work.run;
	report->finished = refresh->now;
	g_hash_table_unref(work.groups);
	g_hash_table_unref(work.points);
	g_hash_table_unref(work.witnesses);
	g_hash_table_unref(work.asked);
	g_clear_pointer(&work.issuers, g_hash_table_unref);
	return good;
}
