/*
 * Rule S1: which certificates that came by themselves wait for an administrator.
 */
#include "pki/pending.h"

#include <string.h>

#include "tests/unit/pki/cert_fixture.h"
#include "tests/unit/pki/store_fixture.h"

static struct world world;
/* `issuing` and `renewed` have one name and one root, `cross` the same key as `issuing`,
 * `imitation` the same name under a root of its own; `other` is another CA below the same root. */
static struct node root, second_root, issuing, renewed, imitation, other;
static struct node present, same_key, next, by_renewed, by_imitation, by_other, untrusted, expired,
    both_names, signing, tomorrow;
static struct node stranger;

static gboolean
up(void)
{
	if (!world_up(&world))
		return FALSE;
	world_root(&world, root.cert);
	world_root(&world, second_root.cert);
	world_cert(&world, issuing.cert);
	world_cert(&world, renewed.cert);
	world_cert(&world, imitation.cert);
	world_cert(&world, other.cert);
	return TRUE;
}

static gboolean
waits(const struct node *node)
{
	const struct pending_judge judge = { world.db, world.clock, world.trust,
					     world.preferences };
	g_autoptr(GError) error = NULL;
	g_autofree char *why = NULL;
	gboolean pending = FALSE;

	g_assert_true(pending_judge(&judge, node->cert, &pending, &why, &error));
	g_assert_no_error(error);
	g_assert_cmpint(pending, ==, why != NULL);
	return pending;
}

static void
test_first_one(void)
{
	if (!up())
		return;
	g_assert_false(waits(&next));
	g_assert_false(waits(&by_other));
	g_assert_false(waits(&untrusted));
	world_down(&world);
}

static void
test_same_issuer(void)
{
	if (!up())
		return;
	world_cert(&world, present.cert);
	g_assert_false(waits(&present));  /* itself */
	g_assert_false(waits(&same_key)); /* not a new key, whoever issued it */
	g_assert_false(waits(&next));
	g_assert_false(waits(&by_renewed));
	g_assert_false(waits(&tomorrow));
	g_assert_true(waits(&by_other));
	g_assert_true(waits(&by_imitation));
	g_assert_true(waits(&untrusted));
	g_assert_false(waits(&signing)); /* takes nobody's mail */
	world_down(&world);
}

/* What is not valid, or waits itself, is nothing to be compared with. */
static void
test_invalid_present(void)
{
	if (!up())
		return;
	world_cert(&world, expired.cert);
	world_cert(&world, untrusted.cert);
	world_pending(&world, by_other.cert);
	g_assert_false(waits(&next));
	world_cert(&world, present.cert);
	/* Others that are not valid do not let it through either. */
	g_assert_true(waits(&by_imitation));
	world_down(&world);
}

/* A CRL that is missing where it is required must not be the moment for another key. */
static void
test_unchecked_present(void)
{
	if (!up())
		return;
	world_cert(&world, present.cert);
	world_preference(&world, SCOPE_GLOBAL, "", PREF_REVOCATION_ENCRYPT, "required");
	g_assert_true(waits(&by_other));
	world_down(&world);
}

static void
test_every_address(void)
{
	if (!up())
		return;
	world_cert(&world, present.cert);
	g_assert_true(waits(&both_names));
	world_preference(&world, SCOPE_USER, "bob@example.org", PREF_SELECT_NEW_KEY, "any");
	g_assert_false(waits(&both_names));
	world_down(&world);
}

static void
test_preference(void)
{
	if (!up())
		return;
	world_cert(&world, present.cert);
	world_preference(&world, SCOPE_DOMAIN, "example.org", PREF_SELECT_NEW_KEY, "any");
	g_assert_false(waits(&by_other));
	world_down(&world);
	if (!up())
		return;
	world_cert(&world, present.cert);
	world_preference(&world, SCOPE_USER, "bob@example.org", PREF_SELECT_NEW_KEY, "ask");
	g_assert_true(waits(&next));
	g_assert_false(waits(&same_key));
	world_down(&world);
}

static struct node
leaf_of(const struct node *issuer, const char *name, const struct key *key, gint64 not_before,
	gint64 not_after)
{
	const struct leaf leaf = {
		.common_name = name,
		.email = "bob@example.org",
		.key = key,
		.not_before = not_before,
		.not_after = not_after,
	};

	return pki_leaf(issuer, &leaf);
}

static void
make(void)
{
	const struct leaf named = { .common_name = "two names",
				    .email = "robert@example.org",
				    .subject_email = "bob@example.org" };
	const struct leaf signs = { .common_name = "signs",
				    .email = "bob@example.org",
				    .key_usage = KEY_USAGE_DIGITAL_SIGNATURE };

	root = pki_root("Root");
	second_root = pki_root("Second Root");
	stranger = pki_root("Stranger");
	issuing = pki_intermediate(&root, "Issuing CA");
	renewed = pki_intermediate(&root, "Issuing CA");
	imitation = pki_intermediate(&second_root, "Issuing CA");
	other = pki_intermediate(&root, "Other CA");
	present = leaf_of(&issuing, "present", NULL, 0, 0);
	same_key = leaf_of(&other, "same key", present.key, 0, 0);
	next = leaf_of(&issuing, "next", NULL, 0, 0);
	by_renewed = leaf_of(&renewed, "by renewed", NULL, 0, 0);
	by_imitation = leaf_of(&imitation, "by imitation", NULL, 0, 0);
	by_other = leaf_of(&other, "by other", NULL, 0, 0);
	untrusted = leaf_of(&stranger, "untrusted", NULL, 0, 0);
	expired = leaf_of(&other, "expired", NULL, PKI_NOW - 20 * PKI_DAY, PKI_NOW - PKI_DAY);
	tomorrow = leaf_of(&issuing, "tomorrow", NULL, PKI_NOW + PKI_DAY, PKI_NOW + 300 * PKI_DAY);
	both_names = pki_leaf(&other, &named);
	signing = pki_leaf(&other, &signs);
}

int
main(int argc, char **argv)
{
	struct node *const all[] = { &root,       &second_root,  &stranger, &issuing,   &renewed,
				     &imitation,  &other,        &present,  &same_key,  &next,
				     &by_renewed, &by_imitation, &by_other, &untrusted, &expired,
				     &tomorrow,   &both_names,   &signing };
	int failed;

	g_test_init(&argc, &argv, NULL);
	world.pg = scratch_pg_start();
	make();
	g_test_add_func("/pending/the first one of an address is used", test_first_one);
	g_test_add_func("/pending/the same issuer, or its renewal", test_same_issuer);
	g_test_add_func("/pending/what is not valid does not count", test_invalid_present);
	g_test_add_func("/pending/a missing CRL lets nothing in", test_unchecked_present);
	g_test_add_func("/pending/every address has a say", test_every_address);
	g_test_add_func("/pending/select_new_key", test_preference);
	failed = g_test_run();
	for (gsize i = 0; i < G_N_ELEMENTS(all); i++)
		node_clear(all[i]);
	scratch_pg_stop(world.pg);
	return failed;
}
