/*
 * Selection: which certificates are used, in which order, and why not.
 */
#include <glib.h>
#include <string.h>

#include "store/base/error.h"
#include "tests/unit/pki/cert_fixture.h"
#include "tests/unit/pki/store_fixture.h"

static struct world world;
static struct node root, intermediate, foreign;
/* Two of Bob's, of which `newer` began later; one that only signs; one that expired; one under a
 * root that is not trusted; an archive's; a domain's. */
static struct node older, newer, signing, expired, untrusted, archive, domain, alias;

static void
put(const struct node *node, gboolean with_key)
{
	world_cert(&world, node->cert);
	if (with_key)
		world_key(&world, node->key);
}

static gboolean
up(void)
{
	if (!world_up(&world))
		return FALSE;
	world_root(&world, root.cert);
	world_cert(&world, intermediate.cert);
	return TRUE;
}

static struct selection *
encryption(const char *address)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(mailaddr) struct mailaddr *parsed = mailaddr_parse(address, NULL);
	struct selection *selection = select_encryption(world.select, parsed, &error);

	g_assert_no_error(error);
	return selection;
}

static struct selection *
signer(const char *address)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(mailaddr) struct mailaddr *parsed = mailaddr_parse(address, NULL);
	struct selection *selection = select_signing(world.select, parsed, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(selection->used->len, <=, 1);
	return selection;
}

static gboolean
uses(const struct selection *selection, const struct node *node)
{
	for (guint i = 0; i < selection->used->len; i++)
		if (cert_equal(selection->used->pdata[i], node->cert))
			return TRUE;
	return FALSE;
}

static const struct candidate *
candidate(const struct selection *selection, const struct node *node)
{
	for (guint i = 0; i < selection->candidates->len; i++) {
		const struct candidate *one = selection->candidates->pdata[i];
		if (cert_equal(one->cert, node->cert))
			return one;
	}
	g_error("not among the candidates");
}

static void
test_nothing(void)
{
	if (!up())
		return;
	CLEANUP(selection) struct selection *none = encryption("nobody@example.org");
	g_assert_cmpuint(none->candidates->len, ==, 0);
	g_assert_cmpstr(none->why, ==, "no certificate for nobody@example.org");
	world_down(&world);
}

static void
test_all_valid_ones(void)
{
	if (!up())
		return;
	put(&older, FALSE);
	put(&newer, FALSE);
	put(&expired, FALSE);
	put(&untrusted, FALSE);
	put(&signing, FALSE);
	CLEANUP(selection) struct selection *found = encryption("BOB@Example.org");
	g_assert_cmpuint(found->candidates->len, ==, 5);
	g_assert_cmpuint(found->used->len, ==, 2);
	g_assert_true(uses(found, &older) && uses(found, &newer));
	g_assert_cmpstr(candidate(found, &newer)->why, ==, "its address matches");
	g_assert_cmpint(candidate(found, &newer)->origin, ==, CANDIDATE_AUTOMATIC);
	g_assert_nonnull(strstr(candidate(found, &expired)->why, "expired"));
	g_assert_nonnull(strstr(candidate(found, &untrusted)->why, "is not in the"));
	g_assert_nonnull(strstr(candidate(found, &signing)->why, "lacks keyAgreement"));
	g_assert_cmpint(found->expires, ==, cert_not_after(older.cert));
	world_down(&world);
}

static void
test_only_invalid_says_why(void)
{
	if (!up())
		return;
	put(&expired, FALSE);
	CLEANUP(selection) struct selection *found = encryption("bob@example.org");
	g_assert_cmpuint(found->used->len, ==, 0);
	g_assert_true(g_str_has_prefix(found->why, "no usable certificate for bob@example.org: "));
	g_assert_nonnull(strstr(found->why, "expired"));
	world_down(&world);
}

/* By hand overrides the address, never validity; a domain's choice is inherited. */
static void
test_by_hand(void)
{
	if (!up())
		return;
	put(&archive, FALSE);
	put(&domain, FALSE);
	put(&untrusted, FALSE);
	world_choose(&world, SCOPE_USER, "bob@example.org", SELECTION_ENCRYPT, archive.cert);
	world_choose(&world, SCOPE_USER, "bob@example.org", SELECTION_ENCRYPT, untrusted.cert);
	world_choose(&world, SCOPE_DOMAIN, "example.org", SELECTION_ENCRYPT, domain.cert);
	CLEANUP(selection) struct selection *found = encryption("bob@example.org");
	g_assert_cmpuint(found->used->len, ==, 2);
	g_assert_cmpstr(candidate(found, &archive)->why, ==, "chosen for user bob@example.org");
	g_assert_cmpint(candidate(found, &archive)->origin, ==, CANDIDATE_MANUAL);
	g_assert_cmpstr(candidate(found, &domain)->scope, ==, "domain example.org");
	g_assert_cmpint(candidate(found, &domain)->origin, ==, CANDIDATE_INHERITED);
	g_assert_false(candidate(found, &untrusted)->used);
	CLEANUP(selection) struct selection *other = encryption("carol@example.org");
	g_assert_cmpuint(other->used->len, ==, 1);
	g_assert_true(uses(other, &domain));
	world_down(&world);
}

static void
test_automatic_off(void)
{
	if (!up())
		return;
	put(&newer, FALSE);
	put(&archive, FALSE);
	world_choose(&world, SCOPE_USER, "bob@example.org", SELECTION_ENCRYPT, archive.cert);
	world_preference(&world, SCOPE_DOMAIN, "example.org", PREF_AUTO_SELECT_CERTIFICATES, "off");
	CLEANUP(selection) struct selection *found = encryption("bob@example.org");
	g_assert_cmpuint(found->used->len, ==, 1);
	g_assert_true(uses(found, &archive));
	g_assert_cmpstr(candidate(found, &newer)->why, ==,
			"automatic selection is off (domain example.org)");
	world_down(&world);
}

/* S1: a new key that came by itself waits until somebody chooses it. */
static void
test_pending(void)
{
	if (!up())
		return;
	world_pending(&world, newer.cert);
	CLEANUP(selection) struct selection *waits = encryption("bob@example.org");
	g_assert_cmpuint(waits->used->len, ==, 0);
	g_assert_nonnull(strstr(candidate(waits, &newer)->why, "waits for an administrator"));
	world_choose(&world, SCOPE_USER, "bob@example.org", SELECTION_ENCRYPT, newer.cert);
	CLEANUP(selection) struct selection *chosen = encryption("bob@example.org");
	g_assert_true(uses(chosen, &newer));
	world_down(&world);
}

/* What a filter's login can write beside the DER lets nobody read another's mail. */
static void
test_rows_that_lie(void)
{
	static const struct {
		const char *proves;
		const struct node *node;
		const char *sql;
	} rows[] = {
		{ "an address that it does not name", &domain,
		  "INSERT INTO certificate_email (email, certificate_id)"
		  " SELECT 'bob@example.org', max(id) FROM certificate" },
		{ "a thumbprint that the trust list allows", &untrusted,
		  "UPDATE certificate SET thumbprint = repeat('a', 128)"
		  " WHERE id = (SELECT max(id) FROM certificate);"
		  " INSERT INTO ctl_entry (thumbprint, kind) VALUES (repeat('a', 128), 'allow')" },
		{ "a key that we hold", &newer,
		  "UPDATE certificate SET spki_sha256 = repeat('b', 64)"
		  " WHERE id = (SELECT max(id) FROM certificate)" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		if (!up())
			return;
		g_test_message("%s", rows[i].proves);
		put(rows[i].node, FALSE);
		scratch_pg_sql(world.pg, rows[i].sql);
		CLEANUP(selection) struct selection *found = encryption("bob@example.org");
		g_assert_cmpuint(found->used->len, ==, 0);
		world_down(&world);
	}
}

static void
test_aliases(void)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(mailaddr) struct mailaddr *bob = mailaddr_parse("bob@example.org", NULL);
	g_autoptr(GPtrArray) aliases =
	    g_ptr_array_new_with_free_func((GDestroyNotify)mailaddr_unref);

	if (!up())
		return;
	put(&alias, FALSE);
	put(&newer, FALSE);
	g_ptr_array_add(aliases, mailaddr_parse("robert@example.org", NULL));
	CLEANUP(selection)
	struct selection *found = select_encryption_aliases(world.select, bob, aliases, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(found->used->len, ==, 2);
	world_down(&world);
}

static void
test_tag(void)
{
	if (!up())
		return;
	put(&newer, FALSE);
	CLEANUP(selection) struct selection *outside = encryption("bob+news@example.org");
	g_assert_cmpuint(outside->used->len, ==, 0);
	/* Only of our own addresses do we know what + means. */
	world_preference(&world, SCOPE_DOMAIN, "example.org", PREF_LOCALITY, "internal");
	CLEANUP(selection) struct selection *inside = encryption("bob+news@example.org");
	g_assert_true(uses(inside, &newer));
	world_down(&world);
}

static void
test_additional(void)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(mailaddr) struct mailaddr *bob = mailaddr_parse("bob@example.org", NULL);

	if (!up())
		return;
	put(&archive, FALSE);
	put(&domain, FALSE);
	put(&expired, FALSE);
	put(&newer, FALSE);
	world_choose(&world, SCOPE_GLOBAL, "", SELECTION_ADDITIONAL, archive.cert);
	world_choose(&world, SCOPE_DOMAIN, "example.org", SELECTION_ADDITIONAL, domain.cert);
	world_choose(&world, SCOPE_USER, "bob@example.org", SELECTION_ADDITIONAL, expired.cert);
	CLEANUP(selection) struct selection *found = select_additional(world.select, bob, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(found->candidates->len, ==, 3);
	g_assert_cmpuint(found->used->len, ==, 2);
	g_assert_true(uses(found, &archive) && uses(found, &domain));
	g_assert_cmpint(candidate(found, &archive)->origin, ==, CANDIDATE_ADDITIONAL);
	g_assert_cmpuint(found->absent, ==, 0);
	/* One that has left the store is no candidate, and missing all the same. */
	world_choose(&world, SCOPE_USER, "bob@example.org", SELECTION_ADDITIONAL, older.cert);
	CLEANUP(selection) struct selection *less = select_additional(world.select, bob, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(less->candidates->len, ==, 3);
	g_assert_cmpuint(less->absent, ==, 1);
	world_down(&world);
}

/* S3: of the valid ones with a key the one that began last. */
static void
test_signer_order(void)
{
	if (!up())
		return;
	put(&older, TRUE);
	put(&newer, TRUE);
	put(&expired, TRUE);
	CLEANUP(selection) struct selection *found = signer("bob@example.org");
	g_assert_true(uses(found, &newer));
	g_assert_cmpstr(candidate(found, &older)->why, ==, "another one is newer");
	world_choose(&world, SCOPE_USER, "bob@example.org", SELECTION_SIGN, older.cert);
	CLEANUP(selection) struct selection *by_hand = signer("bob@example.org");
	g_assert_true(uses(by_hand, &older));
	g_assert_cmpstr(candidate(by_hand, &newer)->why, ==, "another one was chosen by hand");
	/* A choice that is not valid any more is passed over. */
	world_choose(&world, SCOPE_USER, "bob@example.org", SELECTION_SIGN, expired.cert);
	CLEANUP(selection) struct selection *back = signer("bob@example.org");
	g_assert_true(uses(back, &newer));
	world_down(&world);
}

static void
test_signer_needs_key(void)
{
	if (!up())
		return;
	put(&newer, FALSE);
	CLEANUP(selection) struct selection *none = signer("bob@example.org");
	g_assert_cmpuint(none->used->len, ==, 0);
	g_assert_cmpstr(candidate(none, &newer)->why, ==, "its private key is not held here");
	put(&older, TRUE);
	CLEANUP(selection) struct selection *found = signer("bob@example.org");
	g_assert_true(uses(found, &older));
	g_assert_true(candidate(found, &older)->has_key);
	world_down(&world);
}

static void
test_sign_as_domain(void)
{
	if (!up())
		return;
	put(&domain, TRUE);
	world_choose(&world, SCOPE_DOMAIN, "example.org", SELECTION_SIGN, domain.cert);
	CLEANUP(selection) struct selection *off = signer("bob@example.org");
	g_assert_cmpuint(off->used->len, ==, 0);
	g_assert_nonnull(strstr(candidate(off, &domain)->why, "sign_as_domain is off (default)"));
	world_preference(&world, SCOPE_DOMAIN, "example.org", PREF_SIGN_AS_DOMAIN, "on");
	CLEANUP(selection) struct selection *on = signer("bob@example.org");
	g_assert_true(uses(on, &domain));
	/* The address that it does name needs no preference. */
	CLEANUP(selection) struct selection *own = signer("office@example.org");
	g_assert_true(uses(own, &domain));
	world_down(&world);
}

/* S8: choosing what is not valid says what would mend it. */
static void
test_advice(void)
{
	static const struct {
		const char *proves;
		const struct node *node;
		const char *text;
	} rows[] = {
		{ "valid: nothing to say", &newer, NULL },
		{ "the root is missing", &untrusted,
		  "import the certificate of 'CN=Foreign, O=Test'" },
		{ "expired", &expired, "'allow expired'" },
		{ "wrong usage", &signing, "choose another one" },
		{ "a root", &foreign, "import the root 'CN=Foreign, O=Test'" },
	};

	if (!up())
		return;
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		enum trust_purpose purpose = rows[i].node == &foreign ? TRUST_ANY : TRUST_ENCRYPT;
		CLEANUP(verdict)
		struct verdict *verdict =
		    trust_judge(world.trust, rows[i].node->cert, purpose, &error);
		g_assert_no_error(error);
		g_autofree char *advice = select_advice(verdict, rows[i].node->cert);
		g_test_message("%s: %s", rows[i].proves, advice);
		if (rows[i].text == NULL)
			g_assert_null(advice);
		else
			g_assert_nonnull(strstr(advice, rows[i].text));
	}
	world_down(&world);
}

static void
test_database_away(void)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(mailaddr) struct mailaddr *bob = mailaddr_parse("bob@example.org", NULL);

	if (!up())
		return;
	scratch_pg_down(world.pg);
	g_assert_null(select_encryption(world.select, bob, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_TEMPORARY);
	scratch_pg_up(world.pg);
	world_down(&world);
}

static void
make_nodes(void)
{
	struct leaf leaf = { .common_name = "Bob", .email = "bob@example.org" };

	root = pki_root("Root");
	foreign = pki_root("Foreign");
	intermediate = pki_intermediate(&root, "Intermediate");
	newer = pki_leaf(&intermediate, &leaf);
	untrusted = pki_leaf(&foreign, &leaf);
	leaf.not_before = PKI_NOW - 200 * PKI_DAY;
	leaf.not_after = PKI_NOW + 100 * PKI_DAY;
	older = pki_leaf(&intermediate, &leaf);
	leaf.not_after = PKI_NOW - PKI_DAY;
	expired = pki_leaf(&intermediate, &leaf);
	leaf = (struct leaf){ .common_name = "Bob",
			      .email = "bob@example.org",
			      .key_usage = KEY_USAGE_DIGITAL_SIGNATURE };
	signing = pki_leaf(&intermediate, &leaf);
	leaf = (struct leaf){ .common_name = "Archive", .email = "archive@example.net" };
	archive = pki_leaf(&intermediate, &leaf);
	leaf = (struct leaf){ .common_name = "Example", .email = "office@example.org" };
	domain = pki_leaf(&intermediate, &leaf);
	leaf = (struct leaf){ .common_name = "Robert", .email = "robert@example.org" };
	alias = pki_leaf(&intermediate, &leaf);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*func)(void);
	} tests[] = {
		{ "/select/nothing", test_nothing },
		{ "/select/all-valid-ones", test_all_valid_ones },
		{ "/select/only-invalid-says-why", test_only_invalid_says_why },
		{ "/select/by-hand", test_by_hand },
		{ "/select/automatic-off", test_automatic_off },
		{ "/select/pending", test_pending },
		{ "/select/rows-that-lie", test_rows_that_lie },
		{ "/select/aliases", test_aliases },
		{ "/select/tag", test_tag },
		{ "/select/additional", test_additional },
		{ "/select/signer-order", test_signer_order },
		{ "/select/signer-needs-key", test_signer_needs_key },
		{ "/select/sign-as-domain", test_sign_as_domain },
		{ "/select/advice", test_advice },
		{ "/select/database-away", test_database_away },
	};
	struct node *all[] = { &older,  &newer, &signing,      &expired, &untrusted, &archive,
			       &domain, &alias, &intermediate, &foreign, &root };

	g_test_init(&argc, &argv, NULL);
	world.pg = scratch_pg_start();
	make_nodes();
	for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
		g_test_add_func(tests[i].name, tests[i].func);
	int status = g_test_run();
	for (gsize i = 0; i < G_N_ELEMENTS(all); i++)
		node_clear(all[i]);
	scratch_pg_stop(world.pg);
	return status;
}
