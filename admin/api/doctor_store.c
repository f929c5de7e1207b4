/*
 * doctor_store - database, schema, sealed values, CAs, certificates about to expire, roll-out.
 */
#include "admin/api/doctor.h"

#include <string.h>
#include <unistd.h>

#include "admin/api/cert_text.h"
#include "milter/gateway.h"
#include "pki/enroll_check.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/cas.h"
#include "store/certs.h"
#include "store/config/settings.h"
#include "store/crls.h"
#include "store/db/db.h"
#include "store/db/embedded.h"
#include "store/db/migrate.h"
#include "store/directories.h"
#include "store/jobs.h"
#include "store/preferences.h"
#include "store/roots.h"
#include "store/selections.h"

#define SOON_SECONDS (30 * 86400)
#define SCOPES_MAX 1000
#define PENDING_MAX 100

void
doctor_check_database(struct doctor *doctor)
{
	g_autoptr(GError) problem = NULL;
	gboolean embedded = embedded_wanted(doctor->settings);

	if (embedded && !embedded_exists(doctor->settings)) {
		doctor_add(doctor, FINDING_BAD, "database", "run 'postseal setup'",
			   "the embedded database has not been made");
		return;
	}
	/* Without keys there is no gateway, but there may be a database. */
	CLEANUP(db)
	struct db *own = doctor->gateway == NULL
			     ? db_open(doctor->settings, DB_ROLE_DAEMON, clock_system(), &problem)
			     : NULL;
	struct db *db = doctor->gateway != NULL ? doctor->gateway->db : own;
	if (db != NULL && db_ping(db, &problem)) {
		doctor->database_answers = TRUE;
		doctor_add(doctor, FINDING_OK, "database", NULL, "answers");
		return;
	}
	doctor_add(doctor, FINDING_BAD, "database",
		   embedded ? "start postseal-db; its log says why it ended"
			    : "start the database, or correct the setting 'database'",
		   "%s", problem->message);
}

void
doctor_check_schema(struct doctor *doctor)
{
	g_autoptr(GError) problem = NULL;

	if (doctor->gateway == NULL || !doctor->database_answers)
		return;
	if (migrate_check(doctor->gateway->db, &problem))
		doctor_add(doctor, FINDING_OK, "schema", NULL, "fits this program");
	else
		doctor_add(doctor, FINDING_BAD, "schema", "run 'postseal db migrate'", "%s",
			   problem->message);
}

/* Without the index everything works; with a million certificates it takes seconds. */
void
doctor_check_search(struct doctor *doctor)
{
	gboolean indexed;

	if (doctor->gateway == NULL || !doctor->database_answers ||
	    !certs_search_is_indexed(doctor->gateway->db, &indexed, NULL))
		return;
	if (indexed)
		doctor_add(doctor, FINDING_OK, "search", NULL, "names are found by an index");
	else
		doctor_add(doctor, FINDING_NOTE, "search",
			   "when the store is large: install PostgreSQL's contrib modules, as a "
			   "superuser of the database 'CREATE EXTENSION pg_trgm SCHEMA "
			   "postseal_search' (after 'CREATE SCHEMA IF NOT EXISTS "
			   "postseal_search'), then 'postseal db migrate'",
			   "the extension pg_trgm is not there: a search for a part of a name "
			   "reads all certificates");
}

void
doctor_check_sealed(struct doctor *doctor)
{
	g_autoptr(GError) problem = NULL;
	gint64 checked = 0;

	if (doctor->gateway == NULL || !doctor->database_answers)
		return;
	if (keyring_verify_all(doctor->gateway->keyring, &checked, &problem))
		doctor_add(doctor, FINDING_OK, "private keys", NULL,
			   "%" G_GINT64_FORMAT " sealed values, all open", checked);
	else
		doctor_add(doctor, FINDING_BAD, "private keys",
			   "put the master key of this database in its place", "%s",
			   problem->message);
}

/* --- CAs, roots, certificates that end --- */

/* Its certificates need its list: without one nothing that it issued is used. */
static gboolean
lacks_list(const struct doctor *doctor, const struct ca_row *row)
{
	g_autoptr(GError) problem = NULL;

	if (row->crl_next == 0 || row->issuer_key == NULL)
		return FALSE;
	CLEANUP(crl_row)
	struct crl_row *list = crls_newest(doctor->gateway->db, row->issuer_key, NULL, &problem);
	return list == NULL && g_error_matches(problem, PS_ERROR, PS_ERROR_NOT_FOUND);
}

static void
check_cas(struct doctor *doctor)
{
	g_autoptr(GPtrArray) cas = cas_list(doctor->gateway->db, NULL);
	gint64 now = clock_now(doctor->gateway->clock);

	if (cas != NULL && cas->len == 0)
		doctor_add(doctor, FINDING_NOTE, "CA",
			   "create one with 'postseal ca create --make-default', or request "
			   "certificates elsewhere",
			   "there is no CA: the built-in handler cannot issue");
	for (guint i = 0; cas != NULL && i < cas->len; i++) {
		const struct ca_row *row = g_ptr_array_index(cas, i);
		g_autoptr(GError) why = NULL;
		CLEANUP(cert)
		struct cert *cert = row->thumbprint != NULL
					? cert_text_find(doctor->call, row->thumbprint, NULL)
					: NULL;

		if (cert == NULL)
			doctor_add(doctor, FINDING_WARNING, "CA",
				   "upload the certificate of the external root",
				   "'%s' has no certificate yet", row->name);
		else if (!enroll_check_chain(doctor->gateway->db, cert, NULL, NULL, now, &why))
			doctor_add(doctor, FINDING_WARNING, "CA",
				   "import the certificates above it: 'postseal root import'",
				   "nobody believes what '%s' issues: %s", row->name, why->message);
		else if (cert_not_after(cert) < now + SOON_SECONDS)
			doctor_add(doctor, FINDING_WARNING, "CA", "create a new CA in time",
				   "'%s' ends within 30 days", row->name);
		else if (row->crl_next != 0 && row->crl_next + 3600 < now)
			doctor_add(doctor, FINDING_BAD, "CA",
				   "see 'postseal job list --kind issue-crls'",
				   "the CRL of '%s' is overdue", row->name);
		else if (lacks_list(doctor, row))
			doctor_add(doctor, FINDING_BAD, "CA", "make one with 'postseal ca crl'",
				   "the CRL of '%s' is not in the store: nothing that it issued is "
				   "used",
				   row->name);
		else
			doctor_add(doctor, FINDING_OK, "CA", NULL, "'%s' is in order", row->name);
	}
}

static void
check_roots(struct doctor *doctor)
{
	gint64 count = roots_count(doctor->gateway->db, NULL);

	if (count == 0)
		doctor_add(doctor, FINDING_WARNING, "trust",
			   "import roots: 'postseal root import' or 'root import-system'",
			   "there is no root: no certificate can be valid");
	else if (count > 0)
		doctor_add(doctor, FINDING_OK, "trust", NULL, "%" G_GINT64_FORMAT " roots", count);
}

static void
check_selection(struct doctor *doctor, const struct selection_row *row)
{
	g_autofree char *scope = scope_text(row->scope);
	g_autoptr(GError) problem = NULL;
	CLEANUP(cert)
	struct cert *cert = cert_text_find(doctor->call, row->thumbprint, &problem);
	gint64 now = clock_now(doctor->gateway->clock);
	g_autofree char *ends = cert != NULL ? clock_format(cert_not_after(cert)) : NULL;
	const char *kind =
	    row->kind == SELECTION_ADDITIONAL ? "additional certificate" : "selected certificate";
	struct verdict *verdict;

	if (cert == NULL) {
		doctor_add(doctor, FINDING_BAD, kind, "import it again, or take the choice back",
			   "for %s: %s", scope, problem->message);
		return;
	}
	verdict = trust_judge(doctor->gateway->trust, cert,
			      row->kind == SELECTION_SIGN ? TRUST_SIGN : TRUST_ENCRYPT, NULL);
	if (verdict != NULL && verdict->state != VERDICT_VALID)
		doctor_add(doctor, FINDING_BAD, kind, "choose a valid one with 'postseal select'",
			   "'%s' for %s is not used: %s", cert_subject(cert), scope,
			   verdict->reason);
	else if (cert_not_after(cert) < now + SOON_SECONDS)
		doctor_add(doctor, FINDING_WARNING, kind, "choose a newer one before it ends",
			   "'%s' for %s ends within 30 days, on %s", cert_subject(cert), scope,
			   ends);
	if (verdict != NULL)
		verdict_unref(verdict);
}

enum key_kinds { KINDS_RSA = 1, KINDS_EC = 2, KINDS_BOTH = 3 };

/* Scope key -> kinds of its additional certificates. */
static GHashTable *
kinds_by_scope(struct doctor *doctor, const GPtrArray *rows)
{
	GHashTable *kinds = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < rows->len; i++) {
		const struct selection_row *row = g_ptr_array_index(rows, i);
		char *key = scope_key(row->scope);
		guint known = GPOINTER_TO_UINT(g_hash_table_lookup(kinds, key));
		CLEANUP(cert)
		struct cert *cert = cert_text_find(doctor->call, row->thumbprint, NULL);

		if (cert != NULL)
			known |= cert_key_kind(cert) == KEY_KIND_EC ? KINDS_EC : KINDS_RSA;
		g_hash_table_replace(kinds, key, GUINT_TO_POINTER(known));
	}
	return kinds;
}

/* RSA and EC do not share one message: a scope needs an additional certificate of each kind, its
 * own or that of all. */
static void
check_kinds(struct doctor *doctor, const GPtrArray *rows)
{
	g_autoptr(GHashTable) kinds = kinds_by_scope(doctor, rows);
	g_autoptr(GHashTable) told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	guint everybody = GPOINTER_TO_UINT(g_hash_table_lookup(kinds, "g"));

	for (guint i = 0; i < rows->len; i++) {
		const struct selection_row *row = g_ptr_array_index(rows, i);
		g_autofree char *scope = scope_text(row->scope);
		g_autofree char *key = scope_key(row->scope);
		guint found = GPOINTER_TO_UINT(g_hash_table_lookup(kinds, key)) | everybody;

		if (found == 0 || found == KINDS_BOTH ||
		    !g_hash_table_add(told, g_steal_pointer(&key)))
			continue;
		doctor_add(doctor, FINDING_WARNING, "additional certificate",
			   "choose one of the other kind, too, with 'postseal select'",
			   "for %s all are %s: what is encrypted to %s certificates lacks one",
			   scope, found == KINDS_RSA ? "RSA" : "EC",
			   found == KINDS_RSA ? "EC" : "RSA");
	}
}

/* Additional certificates of single users too: mail of theirs lacks them without a word. */
static void
check_additional(struct doctor *doctor)
{
	g_autoptr(GPtrArray) rows =
	    selections_of_kind(doctor->gateway->db, SELECTION_ADDITIONAL, SCOPES_MAX, NULL);

	for (guint i = 0; rows != NULL && i < rows->len; i++) {
		const struct selection_row *row = g_ptr_array_index(rows, i);

		if (row->scope->kind == SCOPE_USER)
			check_selection(doctor, row);
	}
	if (rows != NULL)
		check_kinds(doctor, rows);
}

/* Choices of global scope and of domains: those of single users are too many to look at. */
static void
check_selections(struct doctor *doctor)
{
	g_autoptr(GPtrArray) scopes = g_ptr_array_new_with_free_func((GDestroyNotify)scope_free);
	g_autoptr(GPtrArray) domains =
	    scopes_list(doctor->gateway->db, SCOPE_DOMAIN, NULL, NULL, SCOPES_MAX, NULL);
	g_autoptr(GPtrArray) rows = NULL;

	g_ptr_array_add(scopes, scope_new(SCOPE_GLOBAL, ""));
	for (guint i = 0; domains != NULL && i < domains->len; i++) {
		const struct scope_row *row = g_ptr_array_index(domains, i);

		if (row->selections > 0)
			g_ptr_array_add(scopes, scope_new(SCOPE_DOMAIN, row->scope->name));
	}
	rows = selections_by_scopes(doctor->gateway->db, scopes, NULL);
	for (guint i = 0; rows != NULL && i < rows->len; i++)
		check_selection(doctor, g_ptr_array_index(rows, i));
	check_additional(doctor);
}

static void
check_jobs(struct doctor *doctor)
{
	g_autoptr(GPtrArray) jobs = jobs_list(doctor->gateway->db, NULL, TRUE, 0, 1000, NULL);

	for (guint i = 0; jobs != NULL && i < jobs->len; i++) {
		const struct job_row *row = g_ptr_array_index(jobs, i);
		g_autofree char *remedy = NULL;

		if (row->attempts < 3 || row->error == NULL)
			continue;
		remedy = g_strdup_printf("when its cause is mended: postseal job retry "
					 "%" G_GINT64_FORMAT,
					 row->id);
		doctor_add(doctor, FINDING_WARNING, "jobs", remedy, "'%s' failed %d times: %s",
			   row->kind, row->attempts, row->error);
	}
}

/* What came by itself and waits (S1). */
static void
check_pending(struct doctor *doctor)
{
	const struct cert_filter filter = {
		.only_pending = TRUE,
		.now = clock_now(doctor->gateway->clock),
		.limit = PENDING_MAX,
	};
	g_autoptr(GPtrArray) rows = certs_list(doctor->gateway->db, &filter, NULL);

	if (rows != NULL && rows->len > 0)
		doctor_add(
		    doctor, FINDING_WARNING, "certificates",
		    "see 'postseal cert list --pending', then 'cert accept' or 'cert refuse'",
		    "%u%s with a new key for a known address wait for you", rows->len,
		    rows->len == PENDING_MAX ? " or more" : "");
}

static void
check_directories(struct doctor *doctor)
{
	g_autoptr(GPtrArray) rows = directories_all(doctor->gateway->db, NULL);

	for (guint i = 0; rows != NULL && i < rows->len; i++) {
		const struct directory_row *row = g_ptr_array_index(rows, i);
		g_autofree char *remedy = NULL;

		if (row->ca_file != NULL && access(row->ca_file, R_OK) != 0) {
			doctor_add(doctor, FINDING_BAD, "directory",
				   "put it there, on every daemon's host",
				   "'%s': its CA file '%s' cannot be read", row->name,
				   row->ca_file);
			continue;
		}
		if (row->failures == 0 && row->answered == CLOCK_NEVER) {
			remedy = g_strdup_printf("try it: postseal directory test ADDR --name %s",
						 row->name);
			doctor_add(doctor, FINDING_NOTE, "directory", remedy,
				   "'%s' has not been asked yet", row->name);
			continue;
		}
		if (row->failures == 0) {
			doctor_add(doctor, FINDING_OK, "directory", NULL, "'%s' is in order",
				   row->name);
			continue;
		}
		remedy =
		    g_strdup_printf("try it: postseal directory test ADDR --name %s", row->name);
		doctor_add(doctor, row->open_until != 0 ? FINDING_BAD : FINDING_WARNING,
			   "directory", remedy, "'%s' failed %d times in a row: %s", row->name,
			   row->failures, row->last_error);
	}
}

void
doctor_check_pki(struct doctor *doctor)
{
	struct gateway *before = doctor->call->gateway;

	if (doctor->gateway == NULL || !doctor->database_answers)
		return;
	doctor->call->gateway = doctor->gateway;
	check_roots(doctor);
	check_cas(doctor);
	check_selections(doctor);
	check_pending(doctor);
	check_directories(doctor);
	check_jobs(doctor);
	doctor->call->gateway = before;
}

/* --- roll-out --- */

static gboolean
is_internal(const struct preference_set *set)
{
	return preference_choice(set, PREF_LOCALITY) == VALUE_LOCALITY_INTERNAL;
}

static void
check_scope(struct doctor *doctor, const struct scope *scope, gboolean *any_internal)
{
	g_autoptr(GPtrArray) rows = preferences_own(doctor->gateway->db, scope, NULL);
	g_autofree char *text = scope_text(scope);

	for (guint i = 0; rows != NULL && i < rows->len; i++) {
		const struct preference_row *row = g_ptr_array_index(rows, i);

		if (row->preference == PREF_MODE && strcmp(row->value, "observe") == 0)
			doctor_add(doctor, FINDING_WARNING, "observe mode",
				   "when the roll-out is over, unset the preference 'mode'",
				   "mail of %s is only watched: nothing is signed, encrypted or "
				   "enforced",
				   text);
		if (row->preference == PREF_LOCALITY && strcmp(row->value, "internal") == 0)
			*any_internal = TRUE;
	}
}

/* Users one by one would drown the rest: how many, and the first of them. */
static void
check_observed_users(struct doctor *doctor)
{
	g_autoptr(GPtrArray) users =
	    scopes_list(doctor->gateway->db, SCOPE_USER, NULL, NULL, SCOPES_MAX, NULL);
	g_autofree char *first = NULL;
	guint count = 0;

	for (guint i = 0; users != NULL && i < users->len; i++) {
		const struct scope_row *user = g_ptr_array_index(users, i);
		g_autoptr(GPtrArray) rows =
		    user->preferences > 0 ? preferences_own(doctor->gateway->db, user->scope, NULL)
					  : NULL;

		for (guint k = 0; rows != NULL && k < rows->len; k++) {
			const struct preference_row *row = g_ptr_array_index(rows, k);

			if (row->preference != PREF_MODE || strcmp(row->value, "observe") != 0)
				continue;
			if (count++ == 0)
				first = scope_text(user->scope);
		}
	}
	if (count > 0)
		doctor_add(
		    doctor, FINDING_WARNING, "observe mode",
		    "when the roll-out is over, unset the preference 'mode'",
		    "mail of %u users (%s ...) is only watched: nothing is signed, encrypted "
		    "or enforced",
		    count, first);
}

void
doctor_check_preferences(struct doctor *doctor)
{
	CLEANUP(scope) struct scope *global = scope_new(SCOPE_GLOBAL, "");
	CLEANUP(preference_set) struct preference_set *set = NULL;
	g_autoptr(GPtrArray) domains = NULL;
	gboolean any_internal = FALSE;

	if (doctor->gateway == NULL || !doctor->database_answers)
		return;
	domains = scopes_list(doctor->gateway->db, SCOPE_DOMAIN, NULL, NULL, SCOPES_MAX, NULL);
	check_scope(doctor, global, &any_internal);
	for (guint i = 0; domains != NULL && i < domains->len; i++)
		check_scope(doctor,
			    ((const struct scope_row *)g_ptr_array_index(domains, i))->scope,
			    &any_internal);
	check_observed_users(doctor);
	set = preferences_resolve(doctor->gateway->preferences, NULL, NULL);
	if (any_internal || (set != NULL && is_internal(set)))
		doctor_add(doctor, FINDING_OK, "locality", NULL, "internal domains are named");
	else if (domains != NULL)
		doctor_add(doctor, FINDING_WARNING, "locality",
			   "postseal domain set YOUR.DOMAIN locality internal",
			   "no domain is internal: nothing is signed for anybody");
}
