/*
 * Rows of certificates, keys, roots, CRLs, trust list and selections: in, found, changed, out;
 * each change is heard of by its kind.
 */
#include <glib.h>
#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/certs.h"
#include "store/ctl.h"
#include "store/db/changelog.h"
#include "store/db/tx.h"
#include "store/keys.h"
#include "store/roots.h"
#include "store/selections.h"
#include "tests/support/scratch_pg.h"

#define NOW G_GINT64_CONSTANT(1800000000)
#define DAY 86400

static struct scratch_pg *pg;
static struct db *db;

/* A thumbprint that begins with n. */
static char *
thumb(guint n)
{
	g_autofree char *text = g_strdup_printf("%08x", n);
	g_autoptr(GString) all = g_string_new(NULL);

	while (all->len < 128)
		g_string_append(all, text);
	return g_string_free(g_steal_pointer(&all), FALSE);
}

static struct cert_row *
cert(guint n)
{
	struct cert_row *row = g_new0(struct cert_row, 1);
	char address[40];

	g_snprintf(address, sizeof(address), "user%u@example.com", n);
	row->thumbprint = thumb(n);
	row->der = g_bytes_new("\x30\x00", 2);
	row->subject = g_strdup_printf("CN=User %u, O=Example", n);
	row->issuer = g_strdup("CN=Their CA");
	row->subject_key = g_strdup_printf("subject-%u", n);
	row->issuer_key = g_strdup("issuer");
	row->serial = g_strdup_printf("%x", 0x1000 + n);
	row->not_before = NOW - DAY;
	row->not_after = n % 2 == 0 ? NOW + DAY : NOW - 1; /* odd ones are expired */
	row->spki_sha256 = g_strdup_printf("spki-%u", n);
	row->ski = g_strdup_printf("ski-%u", n);
	row->key_kind = g_strdup("RSA");
	row->key_bits = 2048;
	row->origin = g_strdup("import");
	row->emails = g_strdupv((char *[]){ address, (char *)"all@example.com", NULL });
	return row;
}

struct act {
	gboolean (*run)(struct tx *tx, struct act *act, GError **error);
	struct cert_row *cert;
	const struct key_row *key;
	const struct root_row *root;
	const struct ctl_row *ctl;
	const struct selection_row *selection;
	const char *text;
	gboolean flag;
};

static gboolean
act_tx(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return act->run(tx, act, error);
}

static gboolean
acts(struct act *act, GError **error)
{
	return db_transaction(db, act_tx, act, error);
}

#define RUN(name, call)                                                                            \
	static gboolean name(struct tx *tx, struct act *act, GError **error)                       \
	{                                                                                          \
		return call;                                                                       \
	}
RUN(put_cert, certs_insert(tx, act->cert, &act->flag, error))
RUN(drop_cert, certs_delete(tx, act->text, error))
RUN(set_pending, certs_set_pending(tx, act->text, act->flag, error))
RUN(put_key, keys_insert(tx, act->key, &act->flag, error))
RUN(put_root, roots_insert(tx, act->root, &act->flag, error))
RUN(drop_root, roots_delete(tx, act->text, error))
RUN(put_ctl, ctl_put(tx, act->ctl, error))
RUN(drop_ctl, ctl_remove(tx, act->text, error))
RUN(put_selection, selections_add(tx, act->selection, error))
RUN(drop_selection,
    selections_remove(tx, act->selection->scope, act->selection->kind, act->text, error))

static gboolean
up(void)
{
	if (scratch_pg_skip(pg))
		return FALSE;
	scratch_pg_empty(pg);
	db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	return TRUE;
}

static gboolean
insert(struct cert_row *row)
{
	struct act act = { .run = put_cert, .cert = row };
	g_autoptr(GError) error = NULL;

	g_assert_true(acts(&act, &error));
	g_assert_no_error(error);
	return act.flag;
}

static void
fill(guint n)
{
	for (guint i = 1; i <= n; i++) {
		CLEANUP(cert_row) struct cert_row *row = cert(i);
		g_assert_true(insert(row));
	}
}

static void
test_found(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *second = thumb(2);

	if (!up())
		return;
	fill(3);
	CLEANUP(cert_row) struct cert_row *again = cert(2);
	g_assert_false(insert(again)); /* harmless */
	CLEANUP(cert_row) struct cert_row *row = certs_find(db, second, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(row->subject, ==, "CN=User 2, O=Example");
	g_assert_cmpint(row->not_after, ==, NOW + DAY);
	g_assert_cmpstr(row->emails[0], ==, "all@example.com");
	g_assert_cmpstr(row->emails[1], ==, "user2@example.com");
	g_assert_true(g_bytes_equal(row->der, again->der));
	g_assert_false(row->has_key || row->pending || row->is_ca);
	g_assert_null(row->ctl);
	CLEANUP(cert_row) struct cert_row *prefix = certs_find(db, "00000002", &error);
	g_assert_cmpstr(prefix->thumbprint, ==, second);
	static const struct {
		const char *text;
		enum ps_error code;
	} bad[] = { { "00000009", PS_ERROR_NOT_FOUND },
		    { "0000", PS_ERROR_INVALID },
		    { "nonsense", PS_ERROR_INVALID } };
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_assert_null(certs_find(db, bad[i].text, &error));
		g_assert_error(error, PS_ERROR, (gint)bad[i].code);
		g_clear_error(&error);
	}

	const char *emails[] = { "user1@example.com", "all@example.com" };
	g_autoptr(GPtrArray) by_email = certs_by_emails(db, emails, 2, &error);
	g_assert_cmpuint(by_email->len, ==, 3); /* each once */
	g_autoptr(GPtrArray) by_serial = certs_by_issuer_serial(db, "issuer", "1002", &error);
	g_assert_cmpuint(by_serial->len, ==, 1);
	g_autoptr(GPtrArray) by_spki = certs_by_spki(db, "spki-3", &error);
	g_assert_cmpuint(by_spki->len, ==, 1);
	g_autoptr(GPtrArray) by_ski = certs_by_ski(db, "ski-3", &error);
	g_assert_cmpuint(by_ski->len, ==, 1);
	g_autoptr(GPtrArray) by_subject = certs_by_subject(db, "subject-1", NULL, &error);
	g_assert_cmpuint(by_subject->len, ==, 1);
	const char *subjects[] = { "subject-1" };
	g_autoptr(GPtrArray) issuers = certs_issuers(db, subjects, 1, &error);
	g_assert_cmpuint(issuers->len, ==, 0); /* not a CA */
	db_close(db);
}

/* Anybody can put another's issuer and serial into a certificate; our own are unique. */
static void
test_serials(void)
{
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	CLEANUP(cert_row) struct cert_row *a = cert(1);
	CLEANUP(cert_row) struct cert_row *b = cert(2);
	CLEANUP(cert_row) struct cert_row *c = cert(3);
	g_free(b->serial);
	b->serial = g_strdup(a->serial);
	g_free(c->serial);
	c->serial = g_strdup(a->serial);
	g_assert_true(insert(a));
	g_assert_true(insert(b));
	c->own_ca = thumb(99);
	g_assert_true(insert(c)); /* the first of ours */
	CLEANUP(cert_row) struct cert_row *d = cert(4);
	g_free(d->serial);
	d->serial = g_strdup(a->serial);
	d->own_ca = thumb(99);
	struct act act = { .run = put_cert, .cert = d };
	g_assert_false(acts(&act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	db_close(db);
}

static const struct {
	const char *what;
	struct cert_filter filter;
	guint n;
} filters[] = {
	{ "everything", { 0 }, 20 },
	{ "only unexpired", { .expired = CERT_EXPIRED_ONLY_UNEXPIRED }, 10 },
	{ "only expired", { .expired = CERT_EXPIRED_ONLY }, 10 },
	{ "with a key", { .with_key = CERT_KEY_ONLY }, 1 },
	{ "pending", { .only_pending = TRUE }, 1 },
	{ "an address", { .field = "email", .text = "User7@Example.com" }, 1 },
	{ "a part of an address", { .field = "email", .text = "user1" }, 11 },
	{ "subject", { .field = "subject", .text = "user 2," }, 1 },
	{ "issuer", { .field = "issuer", .text = "THEIR" }, 20 },
	{ "serial, as others spell it", { .field = "serial", .text = "0x10:03" }, 1 },
	{ "thumbprint", { .field = "thumbprint", .text = "0000000A" }, 1 },
	{ "free text finds an address", { .text = "user7@" }, 1 },
	{ "free text finds a serial", { .text = "1003" }, 1 },
	{ "free text finds nothing", { .text = "%" }, 0 },
	{ "several at once",
	  { .field = "email", .text = "user1", .expired = CERT_EXPIRED_ONLY },
	  6 },
	{ "a page", { .limit = 5 }, 5 },
};

static void
test_list(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *third = thumb(3);

	if (!up())
		return;
	fill(20);
	struct key_row key = { .spki_sha256 = (char *)"spki-4",
			       .generation = 1,
			       .sealed = g_bytes_new("x", 1),
			       .kind = (char *)"RSA",
			       .bits = 2048,
			       .origin = (char *)"imported" };
	struct act act = { .run = put_key, .key = &key };
	g_assert_true(acts(&act, &error));
	g_bytes_unref(key.sealed);
	act = (struct act){ .run = set_pending, .text = third, .flag = TRUE };
	g_assert_true(acts(&act, &error));
	for (gsize i = 0; i < G_N_ELEMENTS(filters); i++) {
		struct cert_filter filter = filters[i].filter;
		g_test_message("%s", filters[i].what);
		filter.now = NOW;
		g_autoptr(GPtrArray) found = certs_list(db, &filter, &error);
		g_assert_no_error(error);
		g_assert_cmpuint(found->len, ==, filters[i].n);
	}
	/* Pages follow each other without gap and repetition. */
	struct cert_filter page = { .limit = 7, .now = NOW };
	guint seen = 0;
	for (;;) {
		g_autoptr(GPtrArray) found = certs_list(db, &page, &error);
		if (found->len == 0)
			break;
		seen += found->len;
		page.after = ((struct cert_row *)g_ptr_array_index(found, found->len - 1))->id;
	}
	g_assert_cmpuint(seen, ==, 20);
	g_assert_null(
	    certs_list(db, &(struct cert_filter){ .field = "colour", .text = "x" }, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_clear_error(&error);

	act = (struct act){ .run = drop_cert, .text = third };
	g_assert_true(acts(&act, &error));
	g_assert_false(acts(&act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	g_assert_cmpint(certs_count(db, NULL), ==, 19);
	db_close(db);
}

static void
test_keys(void)
{
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	fill(2);
	struct key_row key = { .spki_sha256 = (char *)"spki-2",
			       .generation = 3,
			       .sealed = g_bytes_new("sealed", 6),
			       .kind = (char *)"EC",
			       .bits = 256,
			       .origin = (char *)"generated",
			       .made = NOW };
	struct act act = { .run = put_key, .key = &key };
	g_assert_true(acts(&act, &error) && act.flag);
	g_assert_true(acts(&act, &error) && !act.flag);
	CLEANUP(key_row) struct key_row *row = keys_find(db, "spki-2", &error);
	g_assert_cmpint(row->generation, ==, 3);
	g_assert_cmpint(row->made, ==, NOW);
	g_assert_cmpint(row->last_used, ==, 0);
	g_assert_true(g_bytes_equal(row->sealed, key.sealed));
	g_bytes_unref(key.sealed);
	g_assert_true(keys_touch(db, "spki-2", NOW + 5, &error));
	g_assert_true(keys_touch(db, "spki-2", NOW + 500, &error)); /* the same day: not written */
	g_autoptr(GPtrArray) list = keys_list(db, 0, 0, &error);
	const struct key_row *listed = g_ptr_array_index(list, 0);
	g_assert_cmpint(listed->last_used, ==, NOW + 5);
	g_assert_cmpint(listed->certificates, ==, 1);
	g_assert_null(listed->sealed);
	const char *asked[] = { "spki-1", "spki-2" };
	g_autoptr(GHashTable) held = keys_held(db, asked, 2, &error);
	g_assert_cmpuint(g_hash_table_size(held), ==, 1);
	g_assert_true(g_hash_table_contains(held, "spki-2"));
	g_assert_null(keys_find(db, "spki-1", &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	db_close(db);
}

static void
test_roots(void)
{
	g_autofree char *first = thumb(1);
	g_autoptr(GBytes) der = g_bytes_new("\x30", 1);
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	struct root_row root = { .thumbprint = first,
				 .der = der,
				 .subject = (char *)"CN=Root",
				 .subject_key = (char *)"k",
				 .serial = (char *)"1",
				 .not_before = NOW,
				 .not_after = NOW + DAY,
				 .spki_sha256 = (char *)"s",
				 .source = (char *)"import" };
	struct act act = { .run = put_root, .root = &root };
	g_assert_true(acts(&act, &error) && act.flag);
	g_assert_true(acts(&act, &error) && !act.flag);
	g_autoptr(GPtrArray) all = roots_all(db, &error);
	g_assert_cmpuint(all->len, ==, 1);
	CLEANUP(root_row) struct root_row *found = roots_find(db, "00000001", &error);
	g_assert_cmpstr(found->subject, ==, "CN=Root");
	act = (struct act){ .run = drop_root, .text = first };
	g_assert_true(acts(&act, &error));
	g_assert_false(acts(&act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	db_close(db);
}

static void
test_ctl(void)
{
	g_autofree char *first = thumb(1);
	g_autofree char *second = thumb(2);
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	/* The entry is there before its certificate. */
	struct ctl_row entry = { .thumbprint = first,
				 .kind = CTL_KIND_ALLOW,
				 .allow_expired = TRUE,
				 .comment = (char *)"old partner" };
	struct act act = { .run = put_ctl, .ctl = &entry };
	g_assert_true(acts(&act, &error));
	CLEANUP(ctl_row) struct ctl_row *before = ctl_find(db, first, &error);
	g_assert_cmpstr(ctl_mark(before), ==, "allow-expired");
	g_assert_null(before->subject);
	fill(1);
	CLEANUP(cert_row) struct cert_row *cert_row = certs_find(db, first, &error);
	g_assert_cmpstr(cert_row->ctl, ==, "allow-expired");
	CLEANUP(ctl_row) struct ctl_row *after = ctl_find(db, first, &error);
	g_assert_cmpstr(after->subject, ==, "CN=User 1, O=Example");

	entry.kind = CTL_KIND_DENY;
	g_assert_false(acts(&act, &error)); /* 'allow expired' with deny */
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_clear_error(&error);
	entry.allow_expired = FALSE;
	g_assert_true(acts(&act, &error));
	const char *asked[] = { first, second };
	g_autoptr(GPtrArray) found = ctl_by_thumbprints(db, asked, 2, &error);
	g_assert_cmpuint(found->len, ==, 1);
	g_assert_cmpstr(ctl_mark(g_ptr_array_index(found, 0)), ==, "deny");
	struct ctl_row shortened = { .thumbprint = (char *)"0011" };
	act.ctl = &shortened;
	g_assert_false(acts(&act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_clear_error(&error);
	g_autoptr(GPtrArray) list = ctl_list(db, NULL, 0, &error);
	g_assert_cmpuint(list->len, ==, 1);
	act = (struct act){ .run = drop_ctl, .text = first };
	g_assert_true(acts(&act, &error));
	g_assert_false(acts(&act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	db_close(db);
}

static void
choose(const char *scope_key_text, enum selection_kind kind, guint n)
{
	g_autofree char *thumbprint = thumb(n);
	CLEANUP(scope) struct scope *scope = scope_from_key(scope_key_text);
	struct selection_row row = { .scope = scope, .kind = kind, .thumbprint = thumbprint };
	struct act act = { .run = put_selection, .selection = &row };
	g_autoptr(GError) error = NULL;

	g_assert_true(acts(&act, &error));
	g_assert_no_error(error);
}

static void
test_selections(void)
{
	g_autofree char *second = thumb(2);
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	choose("u:bob@a.example", SELECTION_ENCRYPT, 1);
	choose("u:bob@a.example", SELECTION_ENCRYPT, 2);
	choose("u:bob@a.example", SELECTION_SIGN, 1);
	choose("u:bob@a.example", SELECTION_SIGN, 2); /* takes the place of the first */
	choose("g", SELECTION_ADDITIONAL, 3);
	choose("d:*.example", SELECTION_ENCRYPT, 4);
	choose("d:b.example", SELECTION_ENCRYPT, 5);
	g_autoptr(GPtrArray) scopes = scope_list("bob@a.example", NULL);
	g_autoptr(GPtrArray) found = selections_by_scopes(db, scopes, &error);
	g_assert_cmpuint(found->len, ==, 5);
	/* Nearest scope first. */
	const struct selection_row *first = g_ptr_array_index(found, 0);
	const struct selection_row *last = g_ptr_array_index(found, 4);
	g_assert_cmpint(first->scope->kind, ==, SCOPE_USER);
	g_assert_cmpint(last->scope->kind, ==, SCOPE_GLOBAL);
	for (guint i = 0; i < found->len; i++) {
		const struct selection_row *row = g_ptr_array_index(found, i);
		if (row->kind == SELECTION_SIGN)
			g_assert_cmpstr(row->thumbprint, ==, second);
	}
	g_autoptr(GPtrArray) whose = selections_by_thumbprint(db, second, &error);
	g_assert_cmpuint(whose->len, ==, 2);
	CLEANUP(scope) struct scope *bob = scope_new(SCOPE_USER, "bob@a.example");
	struct selection_row row = { .scope = bob, .kind = SELECTION_SIGN };
	struct act act = { .run = drop_selection, .selection = &row };
	g_assert_true(acts(&act, &error));
	g_assert_false(acts(&act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	db_close(db);
}

static void
test_heard(void)
{
	g_autofree char *first = thumb(1);
	guint64 before[CHANGE_KINDS];
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	struct changelog *changelog = changelog_start(db, scratch_pg_settings(pg), &error);
	for (guint k = 0; k < CHANGE_KINDS; k++)
		before[k] = changelog_generation(changelog, (enum change_kind)k);
	fill(1);
	choose("g", SELECTION_ADDITIONAL, 3);
	struct ctl_row entry = { .thumbprint = first, .kind = CTL_KIND_DENY };
	struct act act = { .run = put_ctl, .ctl = &entry };
	g_assert_true(acts(&act, &error));
	g_assert_true(changelog_poll(changelog, &error));
	for (guint k = 0; k < CHANGE_KINDS; k++) {
		gboolean changed =
		    changelog_generation(changelog, (enum change_kind)k) != before[k];
		g_assert_cmpint(changed, ==,
				k == CHANGE_CERT || k == CHANGE_ADDRESS || k == CHANGE_SELECTION ||
				    k == CHANGE_CTL);
	}
	changelog_stop(changelog);
	db_close(db);
}

static gboolean
harvest(const struct cert_row *row, GError **error)
{
	static const struct statement statement = {
		"test_harvest",
		"SELECT milter_harvest(encode(sha512($1), 'hex'), $1, 's', 'i', $2, 'k', '1', "
		"now(),"
		" now(), 'spki', '', '', false, 'RSA', 2048, $3, ($3::text[])[1], false)",
	};
	struct params *params = params_new();

	params_bytes(params, row->der);
	params_text(params, row->subject_key);
	params_text_array(params, (const char *const *)row->emails, g_strv_length(row->emails));
	CLEANUP(rows) struct rows *rows = db_write(db, &statement, params, error);
	return rows != NULL && strcmp(rows_text(rows, 0, 0), "new") == 0;
}

enum cert_act {
	ACT_INSERT,
	ACT_INSERT_CA,
	ACT_INSERT_NAMELESS,
	ACT_PENDING,
	ACT_DELETE,
	ACT_HARVEST
};

struct heard_row {
	const char *name;
	enum cert_act act;
	enum change_kind kind;
	const char *key;
	gboolean told;
};

static const struct heard_row heard_rows[] = {
	{ "a new one by its address", ACT_INSERT, CHANGE_ADDRESS, "user1@example.com", TRUE },
	{ "by each address", ACT_INSERT, CHANGE_ADDRESS, "all@example.com", TRUE },
	{ "not by others", ACT_INSERT, CHANGE_ADDRESS, "user2@example.com", FALSE },
	{ "by its thumbprint", ACT_INSERT, CHANGE_CERT, "00000001", TRUE },
	{ "a user is no issuer", ACT_INSERT, CHANGE_ISSUER, "subject-1", FALSE },
	{ "a CA is", ACT_INSERT_CA, CHANGE_ISSUER, "subject-1", TRUE },
	{ "of its own name", ACT_INSERT_CA, CHANGE_ISSUER, "subject-2", FALSE },
	{ "who has no address signs lists", ACT_INSERT_NAMELESS, CHANGE_ISSUER, "subject-1", TRUE },
	{ "waits no more", ACT_PENDING, CHANGE_ADDRESS, "user1@example.com", TRUE },
	{ "waits no more: others", ACT_PENDING, CHANGE_ADDRESS, "user2@example.com", FALSE },
	{ "gone, with its addresses", ACT_DELETE, CHANGE_ADDRESS, "all@example.com", TRUE },
	{ "gone: others", ACT_DELETE, CHANGE_ADDRESS, "user2@example.com", FALSE },
	{ "harvested", ACT_HARVEST, CHANGE_ADDRESS, "user1@example.com", TRUE },
	{ "harvested: others", ACT_HARVEST, CHANGE_ADDRESS, "user2@example.com", FALSE },
};

static void
test_heard_by_key(gconstpointer data)
{
	const struct heard_row *row = data;
	g_autoptr(GError) error = NULL;

	if (!up())
		return;
	CLEANUP(cert_row) struct cert_row *one = cert(1);
	g_autofree char *key =
	    row->kind == CHANGE_CERT ? g_strdup(one->thumbprint) : g_strdup(row->key);
	change_tag tag = change_tag_of(row->kind, key);
	struct act act = { .run = put_cert, .cert = one, .text = one->thumbprint };
	one->is_ca = row->act == ACT_INSERT_CA;
	if (row->act == ACT_INSERT_NAMELESS)
		g_clear_pointer(&one->emails, g_strfreev);
	if (row->act == ACT_PENDING || row->act == ACT_DELETE)
		g_assert_true(acts(&act, &error));
	struct changelog *changelog = changelog_start(db, scratch_pg_settings(pg), &error);
	guint64 moment = changelog_moment(changelog);
	if (row->act == ACT_PENDING)
		act.run = set_pending;
	if (row->act == ACT_DELETE)
		act.run = drop_cert;
	g_assert_true(row->act == ACT_HARVEST ? harvest(one, &error) : acts(&act, &error));
	g_assert_no_error(error);
	g_assert_true(changelog_poll(changelog, &error));
	g_assert_cmpint(changelog_unchanged(changelog, &tag, 1, moment), ==, !row->told);
	changelog_stop(changelog);
	db_close(db);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/certs/found by what the mail path knows", test_found);
	g_test_add_func("/certs/issuer and serial are unique for our own only", test_serials);
	g_test_add_func("/certs/lists, filters and pages", test_list);
	g_test_add_func("/keys/rows", test_keys);
	g_test_add_func("/roots/rows", test_roots);
	g_test_add_func("/ctl/entries", test_ctl);
	g_test_add_func("/selections/by hand", test_selections);
	g_test_add_func("/changes/are heard by kind", test_heard);
	for (gsize i = 0; i < G_N_ELEMENTS(heard_rows); i++) {
		g_autofree char *path = g_strconcat("/changes/", heard_rows[i].name, NULL);
		g_test_add_data_func(path, &heard_rows[i], test_heard_by_key);
	}
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
