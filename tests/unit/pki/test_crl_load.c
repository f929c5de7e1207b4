/*
 * crl_load, crl_status: which list is in force, which is kept and why, and what that makes of
 * certificates, at every moment.
 */
#include <glib.h>
#include <string.h>

#include "pki/crl_load.h"
#include "pki/crl_status.h"
#include "store/base/error.h"
#include "store/crls.h"
#include "tests/unit/pki/crl_fixture.h"
#include "tests/unit/pki/store_fixture.h"

#define HOUR 3600
#define BEGIN (PKI_NOW - 10 * PKI_DAY)
#define END (PKI_NOW + 10 * PKI_DAY)

static struct world world;
static struct node root, intermediate, renewed, foreign, false_root, impostor, revoked, good;

static const struct crl_sample_entry none[] = { { NULL, 0 } };
static struct crl_sample_entry bad_one[] = { { NULL, REVOCATION_KEY_COMPROMISE }, { NULL, 0 } };
static struct crl_sample_entry on_hold[] = { { NULL, REVOCATION_CERTIFICATE_HOLD }, { NULL, 0 } };
static struct crl_sample_entry removed[] = { { NULL, REVOCATION_REMOVE_FROM_CRL }, { NULL, 0 } };

static enum crl_load_outcome
load_bytes(GBytes *der, char **reason)
{
	CLEANUP(crl_loader) struct crl_loader *loader = crl_loader_new(world.db, NULL);
	g_autoptr(GError) error = NULL;
	enum crl_load_outcome outcome;

	g_assert_true(crl_load(loader, der, "http://x/crl", &outcome, reason, &error));
	g_assert_no_error(error);
	return outcome;
}

static enum crl_load_outcome
load(const struct crl_sample *sample)
{
	g_autoptr(GBytes) der = crl_sample_make(sample);
	g_autofree char *reason = NULL;

	return load_bytes(der, &reason);
}

/* The same bytes twice: a signature is another one each time. */
static enum crl_load_outcome
load_twice(const struct crl_sample *sample, enum crl_load_outcome *again)
{
	g_autoptr(GBytes) der = crl_sample_make(sample);
	g_autofree char *reason = NULL, *second = NULL;
	enum crl_load_outcome outcome = load_bytes(der, &reason);

	*again = load_bytes(der, &second);
	g_assert_cmpstr(reason, ==, second);
	return outcome;
}

/* A list of the intermediate in a row of tests: number and entries; dates as given. */
static enum crl_load_outcome
load_plain(gint64 number, gint64 this_update, const struct crl_sample_entry *entries)
{
	struct crl_sample sample = { .issuer = &intermediate,
				     .this_update = this_update,
				     .next_update = END,
				     .number = number,
				     .entries = entries };

	return load(&sample);
}

/* What the gateway says now; "valid", "revoked" ..., "unchecked" when it could not be found out. */
static const char *
verdict_of(struct cert *cert, enum chain_revocation mode)
{
	CLEANUP(trust)
	struct trust *trust = trust_new(world.db, NULL, world.clock, world.preferences, NULL);
	g_autoptr(GError) error = NULL;
	CLEANUP(verdict)
	struct verdict *verdict = trust_judge_with(
	    trust, cert, TRUST_ENCRYPT, (struct trust_mode){ mode, CHAIN_STATUS_OFF }, &error);

	g_assert_no_error(error);
	if (verdict->state == VERDICT_VALID && verdict->unchecked)
		return "unchecked";
	if (g_test_verbose())
		g_test_message("  %s", verdict->reason);
	return verdict_state_name(verdict->state);
}

static gboolean
is_revoked(struct cert *cert)
{
	return strcmp(verdict_of(cert, CHAIN_REVOCATION_IF_AVAILABLE), "revoked") == 0;
}

/* "state|valid|sentence" of each list but the root's. */
static char *
shown(void)
{
	CLEANUP(trust)
	struct trust *trust = trust_new(world.db, NULL, world.clock, world.preferences, NULL);
	CLEANUP(crl_judge) struct crl_judge *judge = crl_judge_new(world.db, trust);
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) rows = crls_list(world.db, &error);
	g_autoptr(GString) text = g_string_new(NULL);

	g_assert_no_error(error);
	for (guint i = 0; i < rows->len; i++) {
		const struct crl_row *row = rows->pdata[i];
		if (strcmp(row->issuer_key, cert_subject_key(root.cert)) == 0)
			continue;
		CLEANUP(crl_status)
		struct crl_status *status =
		    crl_status_of(judge, row, clock_now(world.clock), &error);

		g_assert_no_error(error);
		g_string_append_printf(text, "%s|%s|%s\n", crl_state_name(row->state),
				       status->valid ? "valid" : "invalid", status->reason);
	}
	return g_strdup(text->str);
}

static void
assert_shown(const char *pattern)
{
	g_autofree char *text = shown();

	if (!g_pattern_match_simple(pattern, text))
		g_error("shown is:\n%sand not %s", text, pattern);
}

static gboolean
up(void)
{
	if (!world_up(&world))
		return FALSE;
	world_root(&world, root.cert);
	world_cert(&world, intermediate.cert);
	/* The intermediate's own status is not the question here. */
	struct crl_sample of_root = { .issuer = &root,
				      .this_update = BEGIN - 100 * PKI_DAY,
				      .next_update = END + 100 * PKI_DAY,
				      .number = 1 };
	g_assert_cmpint(load(&of_root), ==, CRL_LOAD_IN_FORCE);
	return TRUE;
}

static guint
reexamine(void)
{
	CLEANUP(crl_loader) struct crl_loader *loader = crl_loader_new(world.db, NULL);
	g_autoptr(GError) error = NULL;
	guint changed;

	g_assert_true(crl_reexamine(loader, NULL, &changed, &error));
	g_assert_no_error(error);
	return changed;
}

/* --- which is newer --- */

static void
test_order(void)
{
	static const struct {
		const char *what;
		gint64 number, hours; /* 0: no number; after the first one, which is 16 */
		enum crl_load_outcome outcome;
		gboolean in_force;
	} rows[] = {
		{ "later and greater", 17, 1, CRL_LOAD_IN_FORCE, TRUE },
		{ "greater by a digit", 256, 1, CRL_LOAD_IN_FORCE, TRUE },
		{ "later, same number", 16, 1, CRL_LOAD_IN_FORCE, TRUE },
		{ "same date, greater", 17, 0, CRL_LOAD_IN_FORCE, TRUE },
		{ "later, without a number", 0, 1, CRL_LOAD_IN_FORCE, TRUE },
		{ "same date, same number", 16, 0, CRL_LOAD_OLDER, FALSE },
		{ "earlier and smaller", 9, -1, CRL_LOAD_OLDER, FALSE },
		{ "earlier, same number", 16, -1, CRL_LOAD_OLDER, FALSE },
		{ "earlier, without a number", 0, -1, CRL_LOAD_OLDER, FALSE },
		{ "same date, without a number", 0, 0, CRL_LOAD_OLDER, FALSE },
		{ "later, but smaller", 9, 1, CRL_LOAD_KEPT, FALSE },
		{ "greater, but earlier", 17, -1, CRL_LOAD_KEPT, FALSE },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		if (!up())
			return;
		g_test_message("%s", rows[i].what);
		g_assert_cmpint(load_plain(16, BEGIN, none), ==, CRL_LOAD_IN_FORCE);
		g_assert_false(is_revoked(revoked.cert));
		g_assert_cmpint(load_plain(rows[i].number, BEGIN + rows[i].hours * HOUR, bad_one),
				==, rows[i].outcome);
		g_assert_cmpint(is_revoked(revoked.cert), ==, rows[i].in_force);
		if (rows[i].outcome == CRL_LOAD_KEPT)
			assert_shown("*backwards|invalid|against the one in force, number 10 of "
				     "*it is used when that one is out of date*");
		world_down(&world);
	}
}

/* A list that goes backwards revokes nobody and gives nobody back; when the one in force is out of
 * date it is better than none. */
static void
test_backwards(void)
{
	if (!up())
		return;
	g_assert_cmpint(load_plain(16, BEGIN, bad_one), ==, CRL_LOAD_IN_FORCE);
	struct crl_sample later = { .issuer = &intermediate,
				    .this_update = BEGIN + HOUR,
				    .next_update = END + 20 * PKI_DAY,
				    .number = 3 };
	enum crl_load_outcome again;
	g_assert_cmpint(load_twice(&later, &again), ==, CRL_LOAD_KEPT);
	g_assert_true(is_revoked(revoked.cert));
	g_assert_cmpint(again, ==, CRL_LOAD_PRESENT);
	g_assert_cmpint(reexamine(), ==, 0);
	clock_set(world.clock, END + PKI_DAY);
	g_assert_cmpint(reexamine(), ==, 1);
	assert_shown("usable|valid|\n");
	g_assert_true(is_revoked(revoked.cert));
	g_assert_cmpstr(verdict_of(good.cert, CHAIN_REVOCATION_IF_AVAILABLE), ==, "valid");
	world_down(&world);
}

/* --- what has no effect --- */

static void
test_without_effect(void)
{
	static const struct {
		const char *what;
		struct crl_sample sample;
		const char *shown;
	} rows[] = {
		{ "damaged",
		  { .issuer = &intermediate, .damaged = TRUE },
		  "bad-signature|invalid|its signature fits no certificate of '*Sub CA*' in the "
		  "store*" },
		{ "a stranger's",
		  { .issuer = &foreign },
		  "no-issuer|invalid|no certificate of '*Foreign*' is in the store: import the CA "
		  "*" },
		{ "of a key that is not there",
		  { .issuer = &renewed },
		  "no-issuer|invalid|no certificate of '*Sub CA*' in the store has the key *" },
		{ "of an untrusted CA of the same name",
		  { .issuer = &impostor },
		  "untrusted|invalid|its issuer '*Sub CA*' is not trusted: *" },
		{ "out of date when it comes",
		  { .issuer = &intermediate, .next_update = PKI_NOW - HOUR },
		  "expired|invalid|it is out of date, and number 1 of * is not*" },
		{ "of next week",
		  { .issuer = &intermediate, .this_update = PKI_NOW + 7 * PKI_DAY },
		  "early|invalid|it is dated in the future: number 1 of * stays in force*" },
		{ "with an extension that nobody knows",
		  { .issuer = &intermediate, .critical = TRUE },
		  "unsupported|invalid|it has a critical extension that is not known*" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct crl_sample sample = rows[i].sample;

		if (!up())
			return;
		g_test_message("%s", rows[i].what);
		world_cert(&world, impostor.cert);
		g_assert_cmpint(load_plain(1, BEGIN, bad_one), ==, CRL_LOAD_IN_FORCE);
		sample.number = 9;
		sample.this_update = sample.this_update != 0 ? sample.this_update : BEGIN + HOUR;
		sample.next_update = sample.next_update != 0 ? sample.next_update : END + PKI_DAY;
		enum crl_load_outcome again;
		g_assert_cmpint(load_twice(&sample, &again), ==, CRL_LOAD_KEPT);
		g_assert_cmpint(again, ==, CRL_LOAD_PRESENT);
		g_autofree char *text = shown();
		g_autofree char *pattern = g_strconcat("*", rows[i].shown, "*", NULL);
		if (!g_pattern_match_simple(pattern, text))
			g_error("shown is:\n%sand not %s", text, rows[i].shown);
		g_assert_nonnull(strstr(text, "usable|valid|\n"));
		g_assert_true(is_revoked(revoked.cert));
		g_assert_cmpstr(verdict_of(good.cert, CHAIN_REVOCATION_IF_AVAILABLE), ==, "valid");
		g_assert_cmpint(reexamine(), ==, 0);
		world_down(&world);
	}
}

static void
test_broken(void)
{
	g_autoptr(GBytes) der = NULL;
	struct crl_sample sample = {
		.issuer = &intermediate, .this_update = BEGIN, .next_update = END, .number = 1
	};

	if (!up())
		return;
	der = crl_sample_make(&sample);
	for (gsize i = 0; i < 3; i++) {
		g_autofree char *reason = NULL;
		g_autoptr(GBytes) cut =
		    i == 2 ? g_bytes_new("<html>not found</html>", 22)
			   : g_bytes_new_from_bytes(der, i, g_bytes_get_size(der) - 1);

		g_assert_cmpint(load_bytes(cut, &reason), ==, CRL_LOAD_BROKEN);
		g_assert_cmpstr(reason, !=, "");
	}
	assert_shown("");
	world_down(&world);
}

/* The issuer and then the root come later: nobody has to bring the list again. */
static void
test_issuer_later(void)
{
	if (!world_up(&world))
		return;
	g_assert_cmpint(load_plain(1, BEGIN, bad_one), ==, CRL_LOAD_KEPT);
	g_assert_cmpint(reexamine(), ==, 0);
	world_cert(&world, intermediate.cert);
	g_assert_cmpint(reexamine(), ==, 1);
	assert_shown("untrusted|invalid|*issuer*Root*\n");
	world_root(&world, root.cert);
	g_assert_cmpint(reexamine(), ==, 1);
	assert_shown("usable|valid|\n");
	g_assert_true(is_revoked(revoked.cert));
	/* The root leaves: the list says so, and speaks for nobody. */
	world_down(&world);
}

/* --- side by side --- */

/* A CA with a new key and the same name has a list of its own; so has each part of one. */
static void
test_rekey(void)
{
	struct crl_sample of_new = {
		.issuer = &renewed, .this_update = BEGIN, .next_update = END, .number = 1
	};

	if (!up())
		return;
	world_cert(&world, renewed.cert);
	g_assert_cmpint(load_plain(77, BEGIN + HOUR, bad_one), ==, CRL_LOAD_IN_FORCE);
	g_assert_cmpint(load(&of_new), ==, CRL_LOAD_IN_FORCE);
	assert_shown("usable|valid|\nusable|valid|\n");
	g_assert_true(is_revoked(revoked.cert));
	of_new.no_key_id = TRUE;
	of_new.number = 2;
	g_assert_cmpint(load(&of_new), ==, CRL_LOAD_IN_FORCE);
	assert_shown("usable|valid|\nusable|valid|\n");
	g_assert_true(is_revoked(revoked.cert));
	world_down(&world);
}

static void
test_parts(void)
{
	struct crl_sample part = { .issuer = &intermediate,
				   .this_update = BEGIN,
				   .next_update = END,
				   .number = 1,
				   .point = "http://x/1",
				   .entries = none };

	if (!up())
		return;
	g_assert_cmpint(load_plain(5, BEGIN, bad_one), ==, CRL_LOAD_IN_FORCE);
	g_assert_cmpint(load(&part), ==, CRL_LOAD_IN_FORCE);
	part.point = "http://x/2";
	g_assert_cmpint(load(&part), ==, CRL_LOAD_IN_FORCE);
	part.number = 2;
	part.this_update += HOUR;
	g_assert_cmpint(load(&part), ==, CRL_LOAD_IN_FORCE);
	assert_shown("usable|valid|\nusable|valid|\nusable|valid|\n");
	g_assert_true(is_revoked(revoked.cert));
	world_down(&world);
}

/* --- deltas --- */

static enum crl_load_outcome
load_delta(gint64 number, gint64 base, gint64 hours, const struct crl_sample_entry *entries)
{
	struct crl_sample sample = { .issuer = &intermediate,
				     .this_update = BEGIN + hours * HOUR,
				     .next_update = END,
				     .number = number,
				     .base = base,
				     .entries = entries };

	return load(&sample);
}

static void
test_deltas(void)
{
	if (!up())
		return;
	g_assert_cmpint(load_delta(11, 10, 1, bad_one), ==, CRL_LOAD_IN_FORCE);
	assert_shown("usable|invalid|a delta without its base: the complete list number a or newer "
		     "is needed\n");
	g_assert_cmpint(load_plain(10, BEGIN, none), ==, CRL_LOAD_IN_FORCE);
	assert_shown("usable|valid|\nusable|valid|\n");
	g_assert_true(is_revoked(revoked.cert));
	/* The next delta does not name it any more: it stays revoked. */
	g_assert_cmpint(load_delta(12, 10, 2, none), ==, CRL_LOAD_IN_FORCE);
	g_assert_true(is_revoked(revoked.cert));
	g_assert_cmpint(load_delta(11, 10, 1, none), ==, CRL_LOAD_OLDER);
	/* The next complete one includes it: the delta has done its work. */
	g_assert_cmpint(load_plain(13, BEGIN + 3 * HOUR, none), ==, CRL_LOAD_IN_FORCE);
	assert_shown("usable|valid|\n");
	g_assert_true(is_revoked(revoked.cert));
	world_down(&world);
}

/* removeFromCRL lifts what was on hold, and nothing else. */
static void
test_hold(void)
{
	static const struct {
		const char *what;
		const struct crl_sample_entry *first, *delta, *next;
		gboolean by_first, by_delta, by_next;
	} rows[] = {
		{ "held, then lifted by a delta", on_hold, removed, none, TRUE, FALSE, FALSE },
		{ "held, then not named any more", on_hold, none, none, TRUE, TRUE, FALSE },
		{ "held by a delta only", none, on_hold, none, FALSE, TRUE, FALSE },
		{ "held, then revoked by a delta", on_hold, bad_one, none, TRUE, TRUE, TRUE },
		{ "revoked, then removed by a delta", bad_one, removed, none, TRUE, TRUE, TRUE },
		{ "revoked, then not named", bad_one, none, none, TRUE, TRUE, TRUE },
		{ "revoked, then on hold", bad_one, on_hold, on_hold, TRUE, TRUE, TRUE },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		if (!up())
			return;
		g_test_message("%s", rows[i].what);
		g_assert_cmpint(load_plain(10, BEGIN, rows[i].first), ==, CRL_LOAD_IN_FORCE);
		g_assert_cmpint(is_revoked(revoked.cert), ==, rows[i].by_first);
		g_assert_cmpint(load_delta(11, 10, 1, rows[i].delta), ==, CRL_LOAD_IN_FORCE);
		g_assert_cmpint(is_revoked(revoked.cert), ==, rows[i].by_delta);
		g_assert_cmpint(load_plain(12, BEGIN + 2 * HOUR, rows[i].next), ==,
				CRL_LOAD_IN_FORCE);
		g_assert_cmpint(is_revoked(revoked.cert), ==, rows[i].by_next);
		/* And for ever: also after the next one. */
		g_assert_cmpint(load_plain(13, BEGIN + 3 * HOUR, none), ==, CRL_LOAD_IN_FORCE);
		if (rows[i].next != on_hold)
			g_assert_cmpint(is_revoked(revoked.cert), ==, rows[i].by_next);
		world_down(&world);
	}
}

/* --- clocks --- */

/* Revoked is revoked whatever the clock says; of the rest it is said what is known. */
static void
test_clocks(void)
{
	static const struct {
		const char *what;
		gint64 now;
		const char *if_available, *required;
		const char *shown;
	} rows[] = {
		{ "set back by a week", BEGIN - 7 * PKI_DAY, "unchecked", "unknown",
		  "usable|invalid|dated in the future, *; is the clock of this host right?\n" },
		{ "set back by a day", BEGIN - PKI_DAY, "valid", "valid",
		  "usable|valid|dated in the future, *: is the clock of this host right?\n" },
		{ "a second before", BEGIN - 1, "valid", "valid", "usable|valid|dated in the*\n" },
		{ "at its date", BEGIN, "valid", "valid", "usable|valid|\n" },
		{ "inside", PKI_NOW, "valid", "valid", "usable|valid|\n" },
		{ "the last second", END, "valid", "valid", "usable|valid|\n" },
		{ "a second after", END + 1, "valid", "unknown",
		  "usable|invalid|out of date since *; where revocation is if-available it counts "
		  "until *\n" },
		{ "the last second of the grace", END + 7 * PKI_DAY, "valid", "unknown",
		  "usable|invalid|out of date since *if-available*\n" },
		{ "after the grace", END + 7 * PKI_DAY + 1, "unchecked", "unknown",
		  "usable|invalid|out of date since *: a newer one is needed; what it names stays "
		  "revoked, for the rest it counts as missing\n" },
		{ "months after", END + 90 * PKI_DAY, "unchecked", "unknown",
		  "usable|invalid|out of date*\n" },
	};

	if (!up())
		return;
	g_assert_cmpint(load_plain(1, BEGIN, bad_one), ==, CRL_LOAD_IN_FORCE);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_test_message("%s", rows[i].what);
		clock_set(world.clock, rows[i].now);
		g_assert_cmpstr(verdict_of(revoked.cert, CHAIN_REVOCATION_IF_AVAILABLE), ==,
				"revoked");
		g_assert_cmpstr(verdict_of(revoked.cert, CHAIN_REVOCATION_REQUIRED), ==, "revoked");
		g_assert_cmpstr(verdict_of(revoked.cert, CHAIN_REVOCATION_OFF), ==, "valid");
		g_assert_cmpstr(verdict_of(good.cert, CHAIN_REVOCATION_IF_AVAILABLE), ==,
				rows[i].if_available);
		g_assert_cmpstr(verdict_of(good.cert, CHAIN_REVOCATION_REQUIRED), ==,
				rows[i].required);
		g_autofree char *text = shown();
		g_autofree char *pattern = g_strdup_printf("*%s*", rows[i].shown);
		if (!g_pattern_match_simple(pattern, text))
			g_error("shown is:\n%sand not %s", text, rows[i].shown);
	}
	world_down(&world);
}

/* The clock is set back a day: what came yesterday's tomorrow stays, an old one does not come back.
 */
static void
test_clock_back(void)
{
	if (!up())
		return;
	clock_set(world.clock, PKI_NOW);
	g_assert_cmpint(load_plain(1, PKI_NOW - HOUR, none), ==, CRL_LOAD_IN_FORCE);
	g_assert_cmpint(load_plain(2, PKI_NOW, bad_one), ==, CRL_LOAD_IN_FORCE);
	clock_set(world.clock, PKI_NOW - PKI_DAY);
	g_assert_true(is_revoked(revoked.cert));
	g_assert_cmpint(load_plain(1, PKI_NOW - HOUR, none), ==, CRL_LOAD_OLDER);
	g_assert_cmpint(load_plain(3, PKI_NOW + HOUR, none), ==, CRL_LOAD_IN_FORCE);
	g_assert_true(is_revoked(revoked.cert));
	clock_set(world.clock, PKI_NOW + 2 * HOUR);
	g_assert_cmpstr(verdict_of(good.cert, CHAIN_REVOCATION_IF_AVAILABLE), ==, "valid");
	assert_shown("usable|valid|\n");
	world_down(&world);
}

/* --- two at a time, and from before --- */

static gpointer
load_in_thread(gpointer der)
{
	g_autofree char *reason = NULL;

	return GINT_TO_POINTER(load_bytes(der, &reason));
}

static void
test_two_daemons(void)
{
	struct crl_sample sample = { .issuer = &intermediate,
				     .this_update = BEGIN,
				     .next_update = END,
				     .number = 1,
				     .entries = bad_one };
	guint in_force = 0, present = 0;

	if (!up())
		return;
	g_autoptr(GBytes) der = crl_sample_make(&sample);
	GThread *threads[4];
	for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
		threads[i] = g_thread_new("load", load_in_thread, der);
	for (gsize i = 0; i < G_N_ELEMENTS(threads); i++) {
		int outcome = GPOINTER_TO_INT(g_thread_join(threads[i]));
		in_force += outcome == CRL_LOAD_IN_FORCE;
		present += outcome == CRL_LOAD_PRESENT;
	}
	g_assert_cmpuint(in_force, ==, 1);
	g_assert_cmpuint(present, ==, 3);
	world_down(&world);
}

/* Lists of a version before: they count at once, and find their place when somebody looks. */
static void
test_unchecked(void)
{
	for (int way = 0; way < 2; way++) {
		if (!up())
			return;
		g_assert_cmpint(load_plain(1, BEGIN, bad_one), ==, CRL_LOAD_IN_FORCE);
		scratch_pg_sql(world.pg, "UPDATE crl SET state = 'unchecked', line = NULL,"
					 " signer = NULL, signer_key = NULL;"
					 "DELETE FROM crl_entry; DELETE FROM crl_line");
		g_assert_true(is_revoked(revoked.cert));
		assert_shown("unchecked|invalid|its signature is being checked again*");
		if (way == 0)
			g_assert_cmpint(reexamine(), ==, 2);
		else
			g_assert_cmpint(load_plain(2, BEGIN + HOUR, none), ==, CRL_LOAD_IN_FORCE);
		assert_shown("usable|valid|\n");
		g_assert_true(is_revoked(revoked.cert));
		world_down(&world);
	}
}

static void
make_nodes(void)
{
	root = pki_root("Root");
	intermediate = pki_intermediate(&root, "Sub CA");
	renewed = pki_intermediate(&root, "Sub CA");
	false_root = pki_root("Root of another");
	impostor = pki_intermediate(&false_root, "Sub CA");
	foreign = pki_root("Foreign");
	struct leaf leaf = { .common_name = "Revoked", .email = "revoked@example.com" };
	revoked = pki_leaf(&intermediate, &leaf);
	leaf = (struct leaf){ .common_name = "Good", .email = "good@example.com" };
	good = pki_leaf(&intermediate, &leaf);
	bad_one[0].serial = on_hold[0].serial = removed[0].serial = cert_serial_hex(revoked.cert);
}

int
main(int argc, char **argv)
{
	struct node *const nodes[] = { &root,     &intermediate, &renewed, &false_root,
				       &impostor, &foreign,      &revoked, &good };

	g_test_init(&argc, &argv, NULL);
	world.pg = scratch_pg_start();
	make_nodes();
	g_test_add_func("/crl_load/newer by date and number", test_order);
	g_test_add_func("/crl_load/a list that goes backwards", test_backwards);
	g_test_add_func("/crl_load/kept without effect", test_without_effect);
	g_test_add_func("/crl_load/broken", test_broken);
	g_test_add_func("/crl_load/the issuer comes later", test_issuer_later);
	g_test_add_func("/crl_load/a CA with a new key", test_rekey);
	g_test_add_func("/crl_load/parts", test_parts);
	g_test_add_func("/crl_load/deltas", test_deltas);
	g_test_add_func("/crl_load/hold and for ever", test_hold);
	g_test_add_func("/crl_load/before, inside and after every date", test_clocks);
	g_test_add_func("/crl_load/the clock is set back", test_clock_back);
	g_test_add_func("/crl_load/two daemons", test_two_daemons);
	g_test_add_func("/crl_load/lists of a version before", test_unchecked);
	int status = g_test_run();
	for (gsize i = 0; i < G_N_ELEMENTS(nodes); i++)
		node_clear(nodes[i]);
	scratch_pg_stop(world.pg);
	return status;
}
