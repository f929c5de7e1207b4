/*
 * Lists of our own CAs: parts, roots, holds, entries that leave, and renewal before the end.
 * With PS_CERTS=FOLDER each list is also written there, for a linter.
 */
#include "tests/unit/pki/pki_fixture.h"

#include "pki/crypto/crl.h"
#include "pki/crypto/issue.h"
#include "pki/renewal.h"
#include "pki/renewal_advice.h"
#include "store/ca_lists.h"
#include "store/base/mailaddr.h"
#include "store/cas.h"
#include "store/certs.h"
#include "store/crl_entries.h"
#include "store/jobs.h"
#include "store/renewals.h"
#include "store/scopes.h"

#define URL "http://pki.example.com"
#define DAY 86400

struct act {
	struct fixture *f;
	const char *ca, *serial, *reason, *name, *value;
	gboolean release;
	struct ca_crl crl;
	GBytes *der;
};

static struct ca_context
context_of(const struct act *act)
{
	struct ca_context context = fixture_ca_context(act->f);

	context.public_url = URL;
	return context;
}

static gboolean
set_tx(struct tx *tx, gpointer data, GError **error)
{
	const struct act *act = data;

	return ca_defaults_set(tx, act->name, act->value, error);
}

static gboolean
revoke_tx(struct tx *tx, gpointer data, GError **error)
{
	const struct act *act = data;
	struct ca_context context = context_of(act);

	return act->release
		   ? ca_release(&context, act->ca, act->serial, tx, error)
		   : ca_revoke(&context, act->ca, act->serial, act->reason, FALSE, tx, error);
}

static gboolean
crl_tx(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;
	struct ca_context context = context_of(act);

	g_clear_pointer(&act->der, g_bytes_unref);
	act->der = ca_make_crl(&context, act->ca, &act->crl, tx, error);
	return act->der != NULL;
}

static void
write_out(GBytes *der, const char *what)
{
	const char *folder = g_getenv("PS_CERTS");
	gsize length;
	const char *bytes = g_bytes_get_data(der, &length);

	if (folder == NULL)
		return;
	g_autofree char *path = g_strdup_printf("%s/%s.crl", folder, what);
	g_assert_true(g_file_set_contents(path, bytes, (gssize)length, NULL));
}

static void
set(struct fixture *f, const char *name, const char *value)
{
	struct act act = { .f = f, .name = name, .value = value };
	g_autoptr(GError) error = NULL;

	g_assert_true(db_transaction(f->db, set_tx, &act, &error));
	g_assert_no_error(error);
}

/* "": done; else the error. */
static char *
undo(struct fixture *f, const char *ca, const char *serial, const char *reason, gboolean release)
{
	struct act act = {
		.f = f, .ca = ca, .serial = serial, .reason = reason, .release = release
	};
	g_autoptr(GError) error = NULL;

	gboolean good = db_transaction(f->db, revoke_tx, &act, &error);
	g_assert_true(good == (error == NULL));
	if (error != NULL)
		g_test_message("%s", error->message);
	return g_strdup(error != NULL ? error->message : "");
}

static struct cert *
make(struct fixture *f, const char *profile)
{
	static guint count;
	g_autofree char *email = g_strdup_printf("user%u@example.com", ++count);
	struct enroll_order order = { .email = email,
				      .common_name = email,
				      .key = "ec:P-256",
				      .profile = profile,
				      .crl_url = ENROLL_YES };

	return fixture_issue(f, &order);
}

static struct crl *
list_of(struct fixture *f, const struct cert *issuer, gint64 part)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) der = ca_lists_der(f->db, cert_ski(issuer), part, &error);

	g_assert_no_error(error);
	struct crl *crl = crl_parse(der, &error);
	g_assert_no_error(error);
	return crl;
}

static void
make_lists(struct fixture *f, const char *ca)
{
	struct act act = { .f = f, .ca = ca };
	g_autoptr(GError) error = NULL;

	g_assert_true(db_transaction(f->db, crl_tx, &act, &error));
	g_assert_no_error(error);
	g_bytes_unref(act.der);
}

static gboolean
is_revoked(struct fixture *f, const struct cert *cert)
{
	struct revoked_row entry;
	gboolean found;
	g_autoptr(GError) error = NULL;

	g_assert_true(crls_revoked(f->db, cert_issuer_key(cert), cert_serial_hex(cert), &found,
				   &entry, &error));
	return found;
}

static void
test_parts(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	set(&f, "crl_partition_entries", "2");
	set(&f, "crl_url", URL "/%s.crl");
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	const char *ski = cert_ski(ca.intermediate);
	struct cert *first[3] = { make(&f, NULL), make(&f, NULL), make(&f, NULL) };
	for (gsize i = 0; i < 2; i++) {
		g_autofree char *why =
		    undo(&f, NULL, cert_serial_hex(first[i]), "superseded", FALSE);
		g_assert_cmpstr(why, ==, "");
	}
	clock_set(f.clock, FIXTURE_NOW + 60);
	make_lists(&f, NULL);
	/* What comes now names the second part; what is there keeps its point. */
	CLEANUP(cert) struct cert *second = make(&f, NULL);
	g_autofree char *url0 = g_strdup_printf(URL "/%s.crl", ski);
	g_autofree char *url1 = g_strdup_printf(URL "/%s-1.crl", ski);
	g_assert_cmpstr(cert_crl_urls(first[2])[0], ==, url0);
	g_assert_cmpstr(cert_crl_urls(second)[0], ==, url1);
	g_autofree char *one = undo(&f, NULL, cert_serial_hex(second), "keyCompromise", FALSE);
	g_autofree char *two = undo(&f, NULL, cert_serial_hex(first[2]), NULL, FALSE);
	g_assert_cmpstr(one, ==, "");
	g_assert_cmpstr(two, ==, "");
	clock_set(f.clock, FIXTURE_NOW + 120);
	make_lists(&f, NULL);
	CLEANUP(crl) struct crl *part0 = list_of(&f, ca.intermediate, 0);
	CLEANUP(crl) struct crl *part1 = list_of(&f, ca.intermediate, 1);
	g_assert_cmpuint(crl_entry_count(part0), ==, 3);
	g_assert_cmpuint(crl_entry_count(part1), ==, 1);
	g_assert_true((crl_scope(part0) & CRL_SCOPE_POINT) != 0);
	g_assert_cmpstr(crl_points(part0)[0], ==, url0);
	g_assert_cmpstr(crl_points(part1)[0], ==, url1);
	write_out(crl_der(part0), "part0");
	write_out(crl_der(part1), "part1");
	/* Both count, and none without a scope is left that would call the rest good. */
	g_assert_true(is_revoked(&f, second));
	g_assert_true(is_revoked(&f, first[0]));
	g_autoptr(GPtrArray) lists = crls_list(f.db, &error);
	for (guint i = 0; i < lists->len; i++) {
		const struct crl_row *row = g_ptr_array_index(lists, i);
		g_assert_true(strcmp(row->issuer_key, cert_subject_key(ca.intermediate)) != 0 ||
			      *row->scope != '\0');
	}
	for (gsize i = 0; i < G_N_ELEMENTS(first); i++)
		cert_unref(first[i]);
	ca_created_clear(&ca);
	fixture_down(&f);
}

static void
test_holds(void)
{
	struct fixture f = { 0 };

	if (!fixture_up(&f))
		return;
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	CLEANUP(cert) struct cert *multi = make(&f, "mailbox-multipurpose");
	CLEANUP(cert) struct cert *strict = make(&f, "mailbox-strict");
	const struct {
		const char *what;
		const struct cert *cert;
		const char *reason;
		gboolean release;
		const char *says;
	} rows[] = {
		{ "strict cannot be on hold", strict, "certificateHold", FALSE, "7.2.2" },
		{ "a user is no CA", strict, "cACompromise", FALSE, "keyCompromise" },
		{ "only for deltas", strict, "removeFromCRL", FALSE, "no reason" },
		{ "on hold", multi, "certificateHold", FALSE, "" },
		{ "twice", multi, "certificateHold", FALSE, "revoked already" },
		{ "taken back", multi, NULL, TRUE, "" },
		{ "taken back twice", multi, NULL, TRUE, "is not revoked" },
		{ "on hold again", multi, "certificateHold", FALSE, "" },
		{ "then for good", multi, "keyCompromise", FALSE, "" },
		{ "never back", multi, NULL, TRUE, "for good" },
		{ "without a reason", strict, NULL, FALSE, "" },
	};
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("%s", rows[i].what);
		g_autofree char *why =
		    undo(&f, NULL, cert_serial_hex(rows[i].cert), rows[i].reason, rows[i].release);
		if (*rows[i].says == '\0')
			g_assert_cmpstr(why, ==, "");
		else
			g_assert_nonnull(strstr(why, rows[i].says));
	}
	make_lists(&f, NULL);
	CLEANUP(crl) struct crl *crl = list_of(&f, ca.intermediate, 0);
	g_assert_cmpuint(crl_entry_count(crl), ==, 2);
	write_out(crl_der(crl), "whole");
	/* After the certificate's end it stands on one list more, then it leaves. */
	clock_set(f.clock, cert_not_after(strict) + DAY);
	make_lists(&f, NULL);
	CLEANUP(crl) struct crl *once_more = list_of(&f, ca.intermediate, 0);
	g_assert_cmpuint(crl_entry_count(once_more), ==, 2);
	clock_set(f.clock, cert_not_after(strict) + 2 * DAY);
	make_lists(&f, NULL);
	CLEANUP(crl) struct crl *after = list_of(&f, ca.intermediate, 0);
	g_assert_cmpuint(crl_entry_count(after), ==, 0);
	ca_created_clear(&ca);
	fixture_down(&f);
}

static void
test_roots(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;
	gint64 id;

	if (!fixture_up(&f))
		return;
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	const char *root = cert_common_name(ca.root);
	const char *serial = cert_serial_hex(ca.intermediate);
	g_autofree char *self = undo(&f, NULL, serial, "superseded", FALSE);
	g_assert_nonnull(strstr(self, "its root revokes it"));
	g_autofree char *bare = undo(&f, root, serial, NULL, FALSE);
	g_assert_nonnull(strstr(bare, "for a reason"));
	g_autofree char *unknown = undo(&f, root, "1234", "superseded", FALSE);
	g_assert_nonnull(strstr(unknown, "never issued"));
	g_autofree char *done = undo(&f, root, serial, "superseded", FALSE);
	g_assert_cmpstr(done, ==, "");
	g_autofree char *again = undo(&f, root, serial, "superseded", FALSE);
	g_assert_nonnull(strstr(again, "revoked already"));
	clock_set(f.clock, FIXTURE_NOW + 60);
	make_lists(&f, root);
	CLEANUP(crl) struct crl *crl = list_of(&f, ca.root, 0);
	g_assert_cmpuint(crl_entry_count(crl), ==, 1);
	g_assert_true(crl_is_signed_by(crl, ca.root));
	g_assert_cmpint(crl_next_update(crl) - crl_this_update(crl), <=, 10 * DAY);
	write_out(crl_der(crl), "root");
	g_assert_true(is_revoked(&f, ca.intermediate));
	/* What is revoked issues nothing any more. */
	struct enroll enroll = fixture_enroll(&f);
	struct enroll_order order = { .email = "bob@example.com",
				      .common_name = "Bob",
				      .key = "ec:P-256" };
	g_assert_false(fixture_order(&enroll, &order, &id, &error));
	g_assert_nonnull(error);
	g_assert_nonnull(strstr(error->message, "is revoked"));
	g_clear_error(&error);
	ca_created_clear(&ca);
	fixture_down(&f);
}

static gboolean
user_tx(struct tx *tx, gpointer data, GError **error)
{
	const struct act *act = data;
	CLEANUP(scope) struct scope *scope = scope_new(SCOPE_USER, act->name);
	gboolean is_new;

	return act->release ? scopes_delete(tx, scope, error)
			    : scopes_add(tx, scope, NULL, &is_new, error);
}

static guint
renewed(struct fixture *f)
{
	struct enroll enroll = fixture_enroll(f);
	g_autoptr(GError) error = NULL;
	guint ordered, worked;

	g_assert_true(renewal_run(&enroll, 100, &ordered, &error));
	g_assert_no_error(error);
	g_assert_true(enroll_run_due(&enroll, 100, &worked, &error));
	g_assert_no_error(error);
	return ordered;
}

static gint64
publish_due(struct fixture *f)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) jobs = jobs_list(f->db, "publish", TRUE, 0, 10, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(jobs->len, ==, 1);
	return ((const struct job_row *)g_ptr_array_index(jobs, 0))->due;
}

/* What is new is published when it is committed, where anything is. */
static void
test_publish(void)
{
	static const char later[] = "UPDATE job SET due = to_timestamp(1800000030)";
	struct fixture f = { 0 };

	if (!fixture_up(&f))
		return;
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	scratch_pg_sql(pg, "INSERT INTO job (kind, key, due) VALUES"
			   " ('publish', 'duty', to_timestamp(1800000030))");
	cert_unref(make(&f, NULL));
	g_assert_cmpint(publish_due(&f), ==, FIXTURE_NOW + 30); /* nowhere to publish to */
	scratch_pg_sql(pg, "INSERT INTO publish_target (name, host, port, security) VALUES"
			   " ('x', 'localhost', 636, 'ldaps')");
	cert_unref(make(&f, NULL));
	g_assert_cmpint(publish_due(&f), ==, FIXTURE_NOW);
	scratch_pg_sql(pg, later);
	make_lists(&f, NULL);
	g_assert_cmpint(publish_due(&f), ==, FIXTURE_NOW);
	ca_created_clear(&ca);
	fixture_down(&f);
}

static gboolean
advice_tx(struct tx *tx, gpointer data, GError **error)
{
	return renewal_advice_save(tx, data, error);
}

/* What the CA says goes before our own days, in both directions. */
static void
test_advice(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	CLEANUP(cert) struct cert *cert = make(&f, "mailbox-strict");
	static const char *const handlers[] = { "builtin", NULL };
	g_autoptr(GPtrArray) asked = renewal_advice_due(f.db, handlers, FIXTURE_NOW, 10, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(asked->len, ==, 1);
	struct renewal_advice *row = g_ptr_array_index(asked, 0);
	g_assert_cmpstr(row->thumbprint, ==, cert_thumbprint(cert));
	g_assert_cmpint(row->asked, ==, CLOCK_NEVER);
	row->window_start = cert_not_after(cert) - 5 * DAY;
	row->window_end = row->window_start + DAY;
	row->renew_at = row->window_start + 60;
	row->asked = FIXTURE_NOW;
	row->next_ask = FIXTURE_NOW + 3600;
	g_assert_true(db_transaction(f.db, advice_tx, row, &error));
	g_autoptr(GPtrArray) later =
	    renewal_advice_due(f.db, handlers, FIXTURE_NOW + 3599, 10, &error);
	g_assert_cmpuint(later->len, ==, 0);
	CLEANUP(renewal_advice) struct renewal_advice *found = NULL;
	g_assert_true(renewal_advice_find(f.db, row->thumbprint, &found, &error));
	g_assert_cmpint(found->renew_at, ==, row->renew_at);

	clock_set(f.clock, cert_not_after(cert) - 20 * DAY);
	g_assert_cmpuint(renewed(&f), ==, 0); /* our days say so, the CA does not */
	row->renew_at = clock_now(f.clock) + 100;
	g_assert_true(db_transaction(f.db, advice_tx, row, &error));
	g_assert_cmpuint(renewed(&f), ==, 0);
	clock_set(f.clock, row->renew_at);
	g_assert_cmpuint(renewed(&f), ==, 1);
	g_autoptr(GPtrArray) left =
	    renewal_advice_due(f.db, handlers, clock_now(f.clock) + 3600, 10, &error);
	g_assert_cmpuint(left->len, ==, 1); /* the new one alone */
	ca_created_clear(&ca);
	fixture_down(&f);
}

static void
test_moments(void)
{
	static const struct {
		const char *says;
		gint64 start, end;
		guint32 chance;
		gint64 moment;
	} rows[] = {
		{ "the beginning of the window", 40 * DAY, 42 * DAY, 0, 40 * DAY },
		{ "its middle", 40 * DAY, 42 * DAY, 0x80000000, 41 * DAY },
		{ "now, of a new one", -10 * DAY, -9 * DAY, 5, DAY },
		{ "past the end", 400 * DAY, 410 * DAY, 5, 89 * DAY },
	};
	static const struct {
		gint64 said;
		gint failures;
		gint64 pause;
	} pauses[] = {
		{ 0, 0, 6 * 3600 },   { -1, 0, 6 * 3600 }, { 5, 0, 60 },   { 3600, 0, 3600 },
		{ 30 * DAY, 0, DAY }, { 0, 1, 600 },       { 0, 2, 1200 }, { 0, 60, 6 * 3600 },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("%s", rows[i].says);
		g_assert_cmpint(
		    renewal_advice_moment(rows[i].start, rows[i].end, 0, 90 * DAY, rows[i].chance),
		    ==, rows[i].moment);
	}
	for (gsize i = 0; i < G_N_ELEMENTS(pauses); i++)
		g_assert_cmpint(renewal_advice_pause(pauses[i].said, pauses[i].failures), ==,
				pauses[i].pause);
}

static void
test_renewal(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;

	if (!fixture_up(&f))
		return;
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	struct act user = { .f = &f, .name = "left@example.com" };
	g_assert_true(db_transaction(f.db, user_tx, &user, &error));
	struct enroll_order order = { .email = "left@example.com",
				      .common_name = "Left",
				      .key = "ec:P-256" };
	CLEANUP(cert) struct cert *left = fixture_issue(&f, &order);
	CLEANUP(cert) struct cert *revoked = make(&f, NULL);
	CLEANUP(cert) struct cert *stays = make(&f, "mailbox-strict");
	user.release = TRUE;
	g_assert_true(db_transaction(f.db, user_tx, &user, &error));
	g_autofree char *done = undo(&f, NULL, cert_serial_hex(revoked), "superseded", FALSE);
	g_assert_cmpstr(done, ==, "");
	make_lists(&f, NULL);

	g_assert_cmpuint(renewed(&f), ==, 0); /* too early */
	clock_set(f.clock, cert_not_after(stays) - 20 * DAY);
	set(&f, "renew_days", "0");
	g_assert_cmpuint(renewed(&f), ==, 0); /* switched off */
	set(&f, "renew_days", "30");
	g_assert_cmpuint(renewed(&f), ==, 1); /* one: gone users and revoked ones are not */
	const char *email = mailaddr_key(g_ptr_array_index(cert_emails(stays), 0));
	g_autoptr(GPtrArray) now = certs_by_emails(f.db, &email, 1, &error);
	g_assert_cmpuint(now->len, ==, 2);
	const struct cert_row *newest = g_ptr_array_index(now, 0);
	g_assert_cmpint(newest->not_after, >, cert_not_after(stays));
	g_assert_cmpstr(newest->spki_sha256, !=, cert_spki_sha256(stays));
	g_assert_cmpuint(renewed(&f), ==, 0); /* covered */
	clock_set(f.clock, cert_not_after(stays) - 10 * DAY);
	g_assert_cmpuint(renewed(&f), ==, 0);
	/* By hand, of one that was taken out: the same data, and what it replaces. */
	CLEANUP(renewal) struct renewal *plan = renewal_plan(f.db, cert_thumbprint(left), &error);
	g_assert_no_error(error);
	g_assert_cmpstr(renewal_order(plan)->email, ==, "left@example.com");
	g_assert_cmpstr(renewal_order(plan)->renews, ==, cert_thumbprint(left));
	g_assert_null(renewal_plan(f.db, cert_thumbprint(ca.intermediate), &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	ca_created_clear(&ca);
	fixture_down(&f);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/ca/a list in parts", test_parts);
	g_test_add_func("/ca/holds, and entries that leave", test_holds);
	g_test_add_func("/ca/an intermediate is revoked by its root", test_roots);
	g_test_add_func("/ca/renewal before the end", test_renewal);
	g_test_add_func("/ca/renewal as the CA says", test_advice);
	g_test_add_func("/ca/moments of renewal", test_moments);
	g_test_add_func("/ca/what is new is published", test_publish);
	int result = g_test_run();
	scratch_pg_stop(pg);
	return result;
}
