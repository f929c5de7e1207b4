/*
 * Trust: the order of judgement of the CTL, revocation, usage, dates and path.
 */
#include <glib.h>
#include <string.h>

#include "store/base/error.h"
#include "store/cache.h"
#include "store/db/changelog.h"
#include "tests/unit/pki/cert_fixture.h"
#include "tests/unit/pki/chain_maker.h"
#include "tests/unit/pki/store_fixture.h"

static struct world world;
static struct node root, intermediate, other_root;
static struct node good, expired, future, no_encrypt, web, revoked;

enum list {
	LIST_NONE,
	LIST_FRESH,
	LIST_OLD,     /* past its nextUpdate by 3 days */
	LIST_TOO_OLD, /* by 8 days */
};

enum mark { NOTHING, ALLOW, ALLOW_EXPIRED, DENY };

struct row {
	const char *proves;
	const struct node *cert;
	enum trust_purpose purpose;
	gboolean no_root, no_intermediate, own_ca;
	enum mark own, on_intermediate, on_root;
	enum list list;         /* of the intermediate; it lists `revoked` */
	const char *revocation; /* preference; NULL: default */
	const char *revocation_sign, *revocation_verify;
	enum verdict_state state;
	const char *reason; /* part of it */
	enum ctl_mark mark;
	const char *shown; /* part of what is shown of its revocation */
};

static const struct row rows[] = {
	{ .proves = "a path to a root: valid", .cert = &good, .state = VERDICT_VALID },
	{ .proves = "no root",
	  .cert = &good,
	  .no_root = TRUE,
	  .reason = "issuer 'CN=Root, O=Test' is not in the store" },
	{ .proves = "no intermediate",
	  .cert = &good,
	  .no_intermediate = TRUE,
	  .reason = "issuer 'CN=Intermediate, O=Test' is not in the store" },
	{ .proves = "expired", .cert = &expired, .reason = "expired on " },
	{ .proves = "not yet valid", .cert = &future, .reason = "is not valid before " },
	{ .proves = "usage does not fit", .cert = &no_encrypt, .reason = "lacks keyAgreement" },
	{ .proves = "usage fits the other purpose",
	  .cert = &no_encrypt,
	  .purpose = TRUST_SIGN,
	  .state = VERDICT_VALID },
	{ .proves = "usage is not asked for in lists",
	  .cert = &web,
	  .purpose = TRUST_ANY,
	  .state = VERDICT_VALID },
	{ .proves = "extended usage",
	  .cert = &web,
	  .purpose = TRUST_VERIFY,
	  .reason = "lacks emailProtection" },

	{ .proves = "denied",
	  .cert = &good,
	  .own = DENY,
	  .reason = "denied by its CTL entry",
	  .mark = CTL_MARK_DENY },
	{ .proves = "denied through its issuer",
	  .cert = &good,
	  .on_intermediate = DENY,
	  .reason = "denied by CTL entry on its issuer 'CN=Intermediate, O=Test'",
	  .mark = CTL_MARK_DENY_INHERITED },
	{ .proves = "denied through the root",
	  .cert = &good,
	  .on_root = DENY,
	  .reason = "denied by CTL entry on its issuer 'CN=Root, O=Test'",
	  .mark = CTL_MARK_DENY_INHERITED },
	{ .proves = "denied issuer before own allow",
	  .cert = &good,
	  .own = ALLOW,
	  .on_intermediate = DENY,
	  .reason = "denied by CTL entry on its issuer",
	  .mark = CTL_MARK_DENY_INHERITED },
	{ .proves = "denied before revoked",
	  .cert = &revoked,
	  .own = DENY,
	  .list = LIST_FRESH,
	  .reason = "denied",
	  .mark = CTL_MARK_DENY },
	{ .proves = "denied issuer without a path",
	  .cert = &good,
	  .no_root = TRUE,
	  .on_intermediate = DENY,
	  .reason = "denied by CTL entry on its issuer",
	  .mark = CTL_MARK_DENY_INHERITED },

	{ .proves = "allow stands in for the root",
	  .cert = &good,
	  .own = ALLOW,
	  .no_root = TRUE,
	  .state = VERDICT_VALID,
	  .mark = CTL_MARK_ALLOW },
	{ .proves = "allow stands in for all of the path",
	  .cert = &good,
	  .own = ALLOW,
	  .no_intermediate = TRUE,
	  .state = VERDICT_VALID,
	  .mark = CTL_MARK_ALLOW },
	{ .proves = "allow is not inherited",
	  .cert = &good,
	  .no_root = TRUE,
	  .on_intermediate = ALLOW,
	  .reason = "is not in the store" },
	{ .proves = "allow does not mend the usage",
	  .cert = &no_encrypt,
	  .own = ALLOW,
	  .reason = "lacks keyAgreement",
	  .mark = CTL_MARK_ALLOW },
	{ .proves = "allow does not mend the dates",
	  .cert = &expired,
	  .own = ALLOW,
	  .reason = "expired",
	  .mark = CTL_MARK_ALLOW },
	{ .proves = "allow expired does",
	  .cert = &expired,
	  .own = ALLOW_EXPIRED,
	  .state = VERDICT_VALID,
	  .mark = CTL_MARK_ALLOW_EXPIRED },
	{ .proves = "revoked whatever the CTL says",
	  .cert = &revoked,
	  .own = ALLOW_EXPIRED,
	  .list = LIST_FRESH,
	  .state = VERDICT_REVOKED,
	  .reason = "was revoked on ",
	  .mark = CTL_MARK_ALLOW_EXPIRED },
	{ .proves = "revoked although there is no root",
	  .cert = &revoked,
	  .own = ALLOW,
	  .no_root = TRUE,
	  .list = LIST_FRESH,
	  .state = VERDICT_REVOKED,
	  .reason = "was revoked",
	  .mark = CTL_MARK_ALLOW },
	{ .proves = "allow replaces unknown revocation",
	  .cert = &good,
	  .own = ALLOW,
	  .revocation = "required",
	  .state = VERDICT_VALID,
	  .mark = CTL_MARK_ALLOW },

	{ .proves = "on a list",
	  .cert = &revoked,
	  .list = LIST_FRESH,
	  .state = VERDICT_REVOKED,
	  .reason = "(keyCompromise)" },
	{ .proves = "on an old list: for ever",
	  .cert = &revoked,
	  .list = LIST_TOO_OLD,
	  .state = VERDICT_REVOKED,
	  .reason = "was revoked" },
	{ .proves = "not on the list",
	  .cert = &good,
	  .list = LIST_FRESH,
	  .state = VERDICT_VALID,
	  .shown = "CRL of 'CN=Intermediate, O=Test' of " },
	{ .proves = "no list, if available: shown, not fatal",
	  .cert = &good,
	  .state = VERDICT_VALID,
	  .shown = "not checked: CRL of 'CN=Intermediate, O=Test' is missing" },
	{ .proves = "no list, required, a signature that comes in",
	  .cert = &good,
	  .purpose = TRUST_VERIFY,
	  .revocation_verify = "required",
	  .reason = "CRL of 'CN=Intermediate, O=Test' is missing" },
	{ .proves = "no list, required, to sign with",
	  .cert = &good,
	  .purpose = TRUST_SIGN,
	  .revocation_sign = "required",
	  .state = VERDICT_UNKNOWN,
	  .reason = "CRL of 'CN=Intermediate, O=Test' is missing" },
	{ .proves = "no list, required",
	  .cert = &good,
	  .revocation = "required",
	  .state = VERDICT_UNKNOWN,
	  .reason = "CRL of 'CN=Intermediate, O=Test' is missing" },
	{ .proves = "a list within its grace, if available",
	  .cert = &good,
	  .list = LIST_OLD,
	  .state = VERDICT_VALID },
	{ .proves = "a list past its grace counts as missing",
	  .cert = &good,
	  .list = LIST_TOO_OLD,
	  .state = VERDICT_VALID,
	  .shown = "not checked: CRL of 'CN=Intermediate, O=Test' expired on " },
	{ .proves = "an old list, required",
	  .cert = &good,
	  .list = LIST_OLD,
	  .revocation = "required",
	  .state = VERDICT_UNKNOWN,
	  .reason = "CRL of 'CN=Intermediate, O=Test' expired on " },
	{ .proves = "our own CA's lists are required",
	  .cert = &good,
	  .own_ca = TRUE,
	  .state = VERDICT_UNKNOWN,
	  .reason = "CRL of 'CN=Intermediate, O=Test' is missing" },
	{ .proves = "our own CA's old list is not enough",
	  .cert = &good,
	  .own_ca = TRUE,
	  .list = LIST_OLD,
	  .state = VERDICT_UNKNOWN,
	  .reason = "expired on " },
	{ .proves = "our own CA with a fresh list",
	  .cert = &good,
	  .own_ca = TRUE,
	  .list = LIST_FRESH,
	  .state = VERDICT_VALID },
	{ .proves = "revocation switched off",
	  .cert = &revoked,
	  .list = LIST_FRESH,
	  .revocation = "off",
	  .state = VERDICT_VALID,
	  .shown = "not checked: the preference says off" },
};

static void
mark(const struct cert *cert, enum mark what)
{
	if (what != NOTHING)
		world_ctl(&world, cert, what == DENY ? CTL_KIND_DENY : CTL_KIND_ALLOW,
			  what == ALLOW_EXPIRED);
}

static void
set_up(const struct row *row)
{
	static const char *const serials[] = { "0badc0de", NULL };
	gint64 next = row->list == LIST_FRESH ? PKI_NOW + 5 * PKI_DAY
		      : row->list == LIST_OLD ? PKI_NOW - 3 * PKI_DAY
					      : PKI_NOW - 8 * PKI_DAY;

	if (!row->no_root)
		world_root(&world, root.cert);
	world_root(&world, other_root.cert);
	if (!row->no_intermediate)
		world_cert(&world, intermediate.cert);
	world_cert(&world, row->cert->cert);
	if (row->own_ca)
		world_own_ca(&world, intermediate.cert, intermediate.key);
	mark(row->cert->cert, row->own);
	mark(intermediate.cert, row->on_intermediate);
	mark(root.cert, row->on_root);
	if (row->list != LIST_NONE) {
		CLEANUP(crl)
		struct crl *crl = pki_crl(&intermediate, PKI_NOW - 10 * PKI_DAY, next, 7, serials,
					  REVOCATION_KEY_COMPROMISE);
		world_crl(&world, crl, intermediate.cert);
	}
	if (row->revocation != NULL)
		world_preference(&world, SCOPE_GLOBAL, "", PREF_REVOCATION_ENCRYPT,
				 row->revocation);
	if (row->revocation_sign != NULL)
		world_preference(&world, SCOPE_GLOBAL, "", PREF_REVOCATION_SIGN,
				 row->revocation_sign);
	if (row->revocation_verify != NULL)
		world_preference(&world, SCOPE_GLOBAL, "", PREF_REVOCATION_VERIFY,
				 row->revocation_verify);
}

static void
test_row(gconstpointer data)
{
	const struct row *row = data;
	g_autoptr(GError) error = NULL;
	enum verdict_state expected =
	    row->state == VERDICT_VALID && row->reason != NULL ? VERDICT_INVALID : row->state;

	if (!world_up(&world))
		return;
	set_up(row);
	CLEANUP(verdict)
	struct verdict *verdict = trust_judge(world.trust, row->cert->cert, row->purpose, &error);
	g_assert_no_error(error);
	g_test_message("%s: %s", verdict_state_name(verdict->state), verdict->reason);
	g_assert_cmpstr(verdict_state_name(verdict->state), ==, verdict_state_name(expected));
	if (row->reason != NULL)
		g_assert_nonnull(strstr(verdict->reason, row->reason));
	else
		g_assert_cmpstr(verdict->reason, ==, "");
	if (row->shown != NULL)
		g_assert_nonnull(strstr(verdict->revocation, row->shown));
	g_assert_cmpint(verdict->ctl, ==, row->mark);
	g_assert_true(cert_equal(verdict->path->pdata[0], row->cert->cert));
	world_down(&world);
}

/* A forged certificate in the issuer's name does not deny what the real one issued. */
static void
test_namesake_does_not_deny(void)
{
	g_autoptr(GError) error = NULL;
	struct node namesake = pki_root("Intermediate");

	if (!world_up(&world))
		return;
	world_root(&world, root.cert);
	world_cert(&world, intermediate.cert);
	world_cert(&world, namesake.cert);
	world_cert(&world, good.cert);
	world_ctl(&world, namesake.cert, CTL_KIND_DENY, FALSE);
	CLEANUP(verdict)
	struct verdict *verdict = trust_judge(world.trust, good.cert, TRUST_ENCRYPT, &error);
	g_assert_no_error(error);
	g_assert_cmpint(verdict->state, ==, VERDICT_VALID);
	node_clear(&namesake);
	world_down(&world);
}

/* Hints complete a path and are never trusted themselves. */
static void
test_hints(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) hints = pki_certs(intermediate.cert, root.cert, NULL);

	if (!world_up(&world))
		return;
	CLEANUP(verdict)
	struct verdict *nothing =
	    trust_judge_at(world.trust, good.cert, TRUST_VERIFY, hints, 0, &error);
	g_assert_no_error(error);
	g_assert_cmpint(nothing->state, ==, VERDICT_INVALID);
	g_assert_nonnull(strstr(nothing->reason, "root 'CN=Root, O=Test' is not"));
	world_root(&world, root.cert);
	CLEANUP(verdict)
	struct verdict *complete =
	    trust_judge_at(world.trust, good.cert, TRUST_VERIFY, hints, 0, &error);
	g_assert_no_error(error);
	g_assert_cmpint(complete->state, ==, VERDICT_VALID);
	g_assert_cmpuint(complete->path->len, ==, 3);
	CLEANUP(verdict)
	struct verdict *later = trust_judge_at(world.trust, good.cert, TRUST_VERIFY, hints,
					       PKI_NOW + 300 * PKI_DAY, &error);
	g_assert_cmpint(later->state, ==, VERDICT_INVALID);
	world_down(&world);
}

/* A verdict is remembered until the second at which it could change. */
#define MANY 256

static const struct made crowd_certs[] = {
	{ .id = "root", .flags = MADE_CA | MADE_ANCHOR },
	{ .id = "ca", .issuer = "root", .flags = MADE_CA },
	{ .id = "other", .issuer = "root", .flags = MADE_CA },
	{ .id = "ee",
	  .issuer = "ca",
	  .serial = "8",
	  .ext = "crlDistributionPoints=p\n[p]\nCRLissuer=dirName:o\n[o]\nO=Test\nCN=other\n" },
	{ .id = NULL },
};
static const struct made_list crowd_lists[] = {
	{ .issuer = "other",
	  .revoked = "3 8=keyCompromise=ca",
	  .ext = "issuingDistributionPoint=critical,@idp\n[idp]\nindirectCRL=TRUE\n" },
	{ .issuer = NULL },
};

static struct made
one_of_many(const char *id)
{
	return (struct made){ .id = id,
			      .issuer = "root",
			      .subject = "O=Test,CN=many",
			      .key = "many",
			      .flags = MADE_CA | MADE_NO_LIST };
}

/* A certificate that comes along and leads to many of the store takes no place from who signs the
 * list by which another is revoked. */
static void
test_hints_crowd_nobody_out(void)
{
	CLEANUP(maker) struct maker *maker = maker_new();
	g_autoptr(GPtrArray) hints = g_ptr_array_new();
	g_autoptr(GError) error = NULL;

	if (!world_up(&world))
		return;
	maker_certs(maker, crowd_certs);
	maker_lists(maker, crowd_lists);
	for (guint i = 0; i < MANY; i++) {
		g_autofree char *id = g_strdup_printf("m%u", i);
		const struct made table[] = { one_of_many(id), { .id = NULL } };

		maker_certs(maker, table);
		world_cert(&world, maker_cert(maker, id));
	}
	const struct made hint[] = { { .id = "hint", .issuer = "m0", .flags = MADE_NO_LIST },
				     { .id = NULL } };
	maker_certs(maker, hint);
	g_ptr_array_add(hints, maker_cert(maker, "hint"));
	clock_set(world.clock, MAKER_NOW);
	world_root(&world, maker_cert(maker, "root"));
	world_cert(&world, maker_cert(maker, "ca"));
	world_cert(&world, maker_cert(maker, "other"));
	world_crl(&world, maker_crls(maker)->pdata[0], NULL);
	CLEANUP(verdict)
	struct verdict *verdict =
	    trust_judge_at(world.trust, maker_cert(maker, "ee"), TRUST_ANY, hints, 0, &error);
	g_assert_no_error(error);
	g_test_message("%s", verdict->reason);
	g_assert_cmpint(verdict->state, ==, VERDICT_REVOKED);
	world_down(&world);
}

static void
test_time(void)
{
	g_autoptr(GError) error = NULL;
	struct cache_stats stats;
	static const struct {
		gint64 after_start, after_end; /* of its validity; one of the two */
		enum verdict_state state;
		gboolean remembered; /* from the row before */
	} moments[] = {
		{ 3600, 0, VERDICT_VALID, FALSE },
		{ 3601, 0, VERDICT_VALID, TRUE },
		{ 0, -1, VERDICT_VALID, TRUE },
		{ 0, 1, VERDICT_INVALID, FALSE },
		{ 0, 86400, VERDICT_INVALID, TRUE },
		{ 3600, 0, VERDICT_VALID, FALSE }, /* the clock is set back */
		{ 3550, 0, VERDICT_VALID, TRUE },  /* and steps a little */
		{ -3600, 0, VERDICT_INVALID, FALSE },
		{ 1, 0, VERDICT_VALID, FALSE },
	};

	if (!world_up(&world))
		return;
	world_root(&world, root.cert);
	world_cert(&world, intermediate.cert);
	world_cert(&world, good.cert);
	struct changelog *changelog =
	    changelog_start(world.db, scratch_pg_settings(world.pg), &error);
	g_assert_no_error(error);
	struct trust *trust = trust_new(world.db, changelog, world.clock, world.preferences, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(moments); i++) {
		gint64 start = cert_not_before(good.cert), end = cert_not_after(good.cert);
		trust_stats(trust, &stats);
		guint64 hits = stats.hits;
		clock_set(world.clock, moments[i].after_start != 0 ? start + moments[i].after_start
								   : end + moments[i].after_end);
		CLEANUP(verdict)
		struct verdict *verdict = trust_judge(trust, good.cert, TRUST_ENCRYPT, &error);
		g_assert_no_error(error);
		g_assert_cmpint(verdict->state, ==, moments[i].state);
		trust_stats(trust, &stats);
		g_assert_cmpuint(stats.hits - hits, ==, moments[i].remembered ? 1 : 0);
	}
	trust_free(trust);
	changelog_stop(changelog);
	world_down(&world);
}

/* What the change log says makes a remembered verdict stale; nothing else is asked again. */
static void
test_change_log(void)
{
	g_autoptr(GError) error = NULL;

	if (!world_up(&world))
		return;
	world_root(&world, root.cert);
	world_cert(&world, intermediate.cert);
	struct changelog *changelog =
	    changelog_start(world.db, scratch_pg_settings(world.pg), &error);
	g_assert_no_error(error);
	CLEANUP(trust)
	struct trust *trust = trust_new(world.db, changelog, world.clock, world.preferences, NULL);
	CLEANUP(verdict)
	struct verdict *first = trust_judge(trust, good.cert, TRUST_ENCRYPT, &error);
	g_assert_cmpint(first->state, ==, VERDICT_VALID);
	CLEANUP(verdict)
	struct verdict *again = trust_judge(trust, good.cert, TRUST_ENCRYPT, &error);
	g_assert_true(first == again);
	world_ctl(&world, intermediate.cert, CTL_KIND_DENY, FALSE);
	g_assert_true(changelog_poll(changelog, &error));
	/* world_ctl made the caches of the world anew: only this trust lives on. */
	CLEANUP(trust)
	struct trust *other = trust_new(world.db, changelog, world.clock, world.preferences, NULL);
	CLEANUP(verdict)
	struct verdict *denied = trust_judge(other, good.cert, TRUST_ENCRYPT, &error);
	g_assert_no_error(error);
	g_assert_cmpint(denied->ctl, ==, CTL_MARK_DENY_INHERITED);
	CLEANUP(verdict)
	struct verdict *stale = trust_judge_with(trust, good.cert, TRUST_ENCRYPT,
						 trust_mode_of(NULL, TRUST_ENCRYPT), &error);
	g_assert_no_error(error);
	g_assert_cmpint(stale->ctl, ==, CTL_MARK_DENY_INHERITED);
	changelog_stop(changelog);
	world_down(&world);
}

static void
test_database_away(void)
{
	g_autoptr(GError) error = NULL;

	if (!world_up(&world))
		return;
	scratch_pg_down(world.pg);
	g_assert_null(trust_judge(world.trust, good.cert, TRUST_ENCRYPT, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
	scratch_pg_up(world.pg);
	world_down(&world);
}

static void
make_nodes(void)
{
	struct leaf leaf = { .common_name = "Bob", .email = "bob@example.org" };

	root = pki_root("Root");
	other_root = pki_root("Other");
	intermediate = pki_intermediate(&root, "Intermediate");
	good = pki_leaf(&intermediate, &leaf);
	leaf.serial = "0badc0de";
	revoked = pki_leaf(&intermediate, &leaf);
	leaf.serial = NULL;
	leaf.key_usage = KEY_USAGE_DIGITAL_SIGNATURE;
	no_encrypt = pki_leaf(&intermediate, &leaf);
	leaf.key_usage = 0;
	leaf.extended = "serverAuth";
	web = pki_leaf(&intermediate, &leaf);
	leaf.extended = NULL;
	leaf.not_after = PKI_NOW - PKI_DAY;
	expired = pki_leaf(&intermediate, &leaf);
	leaf.not_before = PKI_NOW + PKI_DAY;
	leaf.not_after = PKI_NOW + 20 * PKI_DAY;
	future = pki_leaf(&intermediate, &leaf);
}

/* Author and recipient may differ in either half: the stricter one of each counts. */
static void
test_stricter(void)
{
	const struct trust_mode weak = { CHAIN_REVOCATION_OFF, CHAIN_STATUS_OFF };
	const struct trust_mode lists = { CHAIN_REVOCATION_REQUIRED, CHAIN_STATUS_OFF };
	const struct trust_mode answers = { CHAIN_REVOCATION_IF_AVAILABLE, CHAIN_STATUS_PREFER };
	struct trust_mode both = trust_mode_stricter(lists, answers);

	g_assert_cmpint(both.revocation, ==, CHAIN_REVOCATION_REQUIRED);
	g_assert_cmpint(both.ocsp, ==, CHAIN_STATUS_PREFER);
	both = trust_mode_stricter(answers, weak);
	g_assert_cmpint(both.revocation, ==, CHAIN_REVOCATION_IF_AVAILABLE);
	g_assert_cmpint(both.ocsp, ==, CHAIN_STATUS_PREFER);
}

int
main(int argc, char **argv)
{
	struct node *all[] = { &good,    &expired,      &future,     &no_encrypt, &web,
			       &revoked, &intermediate, &other_root, &root };

	g_test_init(&argc, &argv, NULL);
	world.pg = scratch_pg_start();
	make_nodes();
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *name = g_strdup_printf("/trust/%s", rows[i].proves);
		g_test_add_data_func(name, &rows[i], test_row);
	}
	g_test_add_func("/trust/stricter", test_stricter);
	g_test_add_func("/trust/namesake-does-not-deny", test_namesake_does_not_deny);
	g_test_add_func("/trust/hints", test_hints);
	g_test_add_func("/trust/hints-crowd-nobody-out", test_hints_crowd_nobody_out);
	g_test_add_func("/trust/time", test_time);
	g_test_add_func("/trust/change-log", test_change_log);
	g_test_add_func("/trust/database-away", test_database_away);
	int status = g_test_run();
	for (gsize i = 0; i < G_N_ELEMENTS(all); i++)
		node_clear(all[i]);
	scratch_pg_stop(world.pg);
	return status;
}
