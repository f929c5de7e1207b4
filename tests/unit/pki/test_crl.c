/*
 * Revocation lists: reading, looking up, who signed; speed and size of a long one.
 */
#include <glib.h>
#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"
#include "tests/unit/pki/cert_fixture.h"

static struct node root, other;

static void
test_look_up(void)
{
	static const char *const serials[] = {
		"1",
		"7f",
		"80",
		"0100",
		"a1b2c3d4e5f60718293a4b5c6d7e8f90",
		"7fffffffffffffffffffffffffffffffffffffff",
		NULL,
	};
	static const struct {
		const char *serial;
		gboolean found;
	} rows[] = {
		{ "1", TRUE },
		{ "01", TRUE },
		{ "0001", TRUE },
		{ "2", FALSE },
		{ "7f", TRUE },
		{ "80", TRUE },
		{ "-80", FALSE },
		{ "100", TRUE },
		{ "0", FALSE },
		{ "a1b2c3d4e5f60718293a4b5c6d7e8f90", TRUE },
		{ "A1B2C3D4E5F60718293A4B5C6D7E8F90", TRUE },
		{ "a1b2c3d4e5f60718293a4b5c6d7e8f91", FALSE },
		{ "7fffffffffffffffffffffffffffffffffffffff", TRUE },
		{ "", FALSE },
		{ "xyz", FALSE },
		{ "-", FALSE },
	};
	CLEANUP(crl)
	struct crl *crl =
	    pki_crl(&root, PKI_NOW, PKI_NOW + PKI_DAY, 300, serials, REVOCATION_SUPERSEDED);

	g_assert_cmpuint(crl_entry_count(crl), ==, 6);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct crl_item item;

		g_test_message("'%s'", rows[i].serial);
		g_assert_cmpint(crl_find(crl, NULL, rows[i].serial, &item), ==, rows[i].found);
		if (rows[i].found) {
			g_assert_cmpint(item.reason, ==, REVOCATION_SUPERSEDED);
			g_assert_cmpint(item.revoked_at, ==, PKI_NOW - 60);
			g_assert_true(
			    crl_find(crl, cert_subject_key(root.cert), rows[i].serial, &item));
			g_assert_false(
			    crl_find(crl, cert_subject_key(other.cert), rows[i].serial, &item));
		}
	}
}

static gboolean
collect(const struct crl_item *item, gpointer data)
{
	g_string_append_printf(data, "%s ", item->serial_hex);
	return strcmp(item->serial_hex, "3") != 0;
}

static void
test_walk(void)
{
	static const char *const serials[] = { "3", "1", "2", "4", NULL };
	CLEANUP(crl)
	struct crl *crl =
	    pki_crl(&root, PKI_NOW, PKI_NOW + PKI_DAY, 1, serials, REVOCATION_UNSPECIFIED);
	g_autoptr(GString) seen = g_string_new(NULL);

	crl_foreach(crl, collect, seen);
	g_assert_cmpstr(seen->str, ==, "1 2 3 "); /* issued in order; stopped when told so */
}

static void
test_head(void)
{
	CLEANUP(crl)
	struct crl *crl =
	    pki_crl(&root, PKI_NOW, PKI_NOW + PKI_DAY, 0x1f4, NULL, REVOCATION_UNSPECIFIED);

	g_assert_cmpstr(crl_number(crl), ==, "1f4");
	g_assert_cmpstr(crl_base_number(crl), ==, NULL);
	g_assert_cmpint(crl_this_update(crl), ==, PKI_NOW);
	g_assert_cmpint(crl_next_update(crl), ==, PKI_NOW + PKI_DAY);
	g_assert_cmpstr(crl_issuer_key(crl), ==, cert_subject_key(root.cert));
	g_assert_cmpstr(crl_aki(crl), ==, cert_ski(root.cert));
	g_assert_cmpuint(crl_scope(crl), ==, 0);
	g_assert_cmpstr(crl_scope_digest(crl), ==, "");
	g_assert_null(crl_points(crl)[0]);
	g_assert_cmpuint(crl_entry_count(crl), ==, 0);
	g_assert_true(crl_is_signed_by(crl, root.cert));
	g_assert_true(crl_is_signed_by(crl, root.cert)); /* remembered */
	g_assert_false(crl_is_signed_by(crl, other.cert));
}

/* One changed bit anywhere: refused, or at least not signed by its issuer any more. */
static void
test_damage(void)
{
	static const char *const serials[] = { "3", "1", NULL };
	CLEANUP(crl)
	struct crl *crl =
	    pki_crl(&root, PKI_NOW, PKI_NOW + PKI_DAY, 1, serials, REVOCATION_KEY_COMPROMISE);
	gsize length;
	const guint8 *bytes = g_bytes_get_data(crl_der(crl), &length);

	for (gsize i = 0; i < length; i++) {
		g_autoptr(GError) error = NULL;
		guint8 *copy = g_memdup2(bytes, length);

		copy[i] ^= 0x04;
		g_autoptr(GBytes) changed = g_bytes_new_take(copy, length);
		CLEANUP(crl) struct crl *parsed = crl_parse(changed, &error);
		g_assert_true((parsed == NULL) == (error != NULL));
		g_assert_true(parsed == NULL || !crl_is_signed_by(parsed, root.cert));
	}
	for (gsize i = 0; i < length; i++) {
		g_autoptr(GBytes) cut = g_bytes_new(bytes, i);
		g_assert_null(crl_parse(cut, NULL));
	}
}

/* A list in memory costs its DER and at most 30 bytes an entry, and a look-up is short. */
static void
test_long_list(void)
{
	enum { ENTRIES = 20000 };
	g_autofree struct issue_revoked *revoked = g_new0(struct issue_revoked, ENTRIES);
	g_autoptr(GPtrArray) serials = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;
	guint32 dice = 1;

	for (guint i = 0; i < ENTRIES; i++) {
		dice = dice * 1664525 + 1013904223;
		g_ptr_array_add(serials, g_strdup_printf("%08x%08x1", i + 1, dice));
		revoked[i] = (struct issue_revoked){ serials->pdata[i], PKI_NOW - 60,
						     REVOCATION_UNSPECIFIED };
	}
	struct issue_crl_spec spec = { .this_update = PKI_NOW,
				       .next_update = PKI_NOW + PKI_DAY,
				       .number = 1,
				       .revoked = revoked,
				       .revoked_count = ENTRIES };
	CLEANUP(crl) struct crl *crl = issue_crl(&spec, root.cert, root.key, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(crl_entry_count(crl), ==, ENTRIES);
	g_assert_cmpuint(crl_memory(crl) - g_bytes_get_size(crl_der(crl)), <, 30 * ENTRIES + 4096);
	for (guint i = 0; i < ENTRIES; i++) {
		struct crl_item item;
		g_assert_true(crl_find(crl, NULL, serials->pdata[i], &item));
	}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	root = pki_root("Root");
	other = pki_root("Other");
	g_test_add_func("/crl/look-up", test_look_up);
	g_test_add_func("/crl/walk", test_walk);
	g_test_add_func("/crl/head", test_head);
	g_test_add_func("/crl/damage", test_damage);
	g_test_add_func("/crl/long-list", test_long_list);
	int status = g_test_run();
	node_clear(&other);
	node_clear(&root);
	return status;
}
