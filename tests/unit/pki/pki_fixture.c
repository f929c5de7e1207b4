/*
 * pki_fixture - what it says in the header.
 */
#include "tests/unit/pki/pki_fixture.h"

struct scratch_pg *pg;
static guint fixture_count;

struct keyring *
fixture_keyring(struct fixture *f, const char *path)
{
	g_autoptr(GError) error = NULL;
	struct keyring *keyring = keyring_open(f->db, NULL, f->clock, path, NULL, &error);

	g_assert_no_error(error);
	return keyring;
}

/* FALSE: skipped. */
gboolean
fixture_up(struct fixture *f)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(pg))
		return FALSE;
	scratch_pg_empty(pg);
	f->clock = clock_new_fixed(FIXTURE_NOW);
	f->db = scratch_pg_open(pg, DB_ROLE_DAEMON, f->clock);
	f->master_key = g_strdup_printf("%s/master-%u.key", scratch_pg_folder(pg), fixture_count++);
	g_assert_true(master_keys_create(f->master_key, &error));
	f->keyring = fixture_keyring(f, f->master_key);
	return TRUE;
}

void
fixture_down(struct fixture *f)
{
	keyring_free(f->keyring);
	db_close(f->db);
	clock_free(f->clock);
	g_free(f->master_key);
	*f = (struct fixture){ 0 };
}

struct fixture_ca {
	struct fixture *f;
	const struct ca_create *options;
	struct ca_created created;
};

struct ca_context
fixture_ca_context(const struct fixture *f)
{
	return (struct ca_context){ f->db, f->keyring, f->clock, NULL };
}

static gboolean
fixture_ca_tx(struct tx *tx, gpointer data, GError **error)
{
	struct fixture_ca *act = data;

	struct ca_context context = fixture_ca_context(act->f);

	return ca_create(&context, act->options, &act->created, NULL, tx, error);
}

gboolean
fixture_ca_create(struct fixture *f, const struct ca_create *options, struct ca_created *created,
		  GError **error)
{
	struct fixture_ca act = { f, options, { 0 } };

	gboolean good = db_transaction(f->db, fixture_ca_tx, &act, error);
	*created = act.created;
	return good;
}

/* A CA of the given key kind that is trusted and the default. */
struct ca_created
fixture_ca(struct fixture *f, const char *key)
{
	struct ca_create options = {
		.root = { .key = key },
		.intermediate = { .key = key },
		.make_default = TRUE,
		.trust_root = TRUE,
	};
	struct ca_created created;
	g_autoptr(GError) error = NULL;

	g_assert_true(fixture_ca_create(f, &options, &created, &error));
	g_assert_no_error(error);
	return created;
}

void
ca_created_clear(struct ca_created *created)
{
	cert_unref(created->root);
	cert_unref(created->intermediate);
	*created = (struct ca_created){ 0 };
}

struct fixture_order {
	const struct enroll *enroll;
	const struct enroll_order *order;
	gint64 id;
};

static gboolean
fixture_order_tx(struct tx *tx, gpointer data, GError **error)
{
	struct fixture_order *act = data;

	return enroll_create(act->enroll, tx, act->order, &act->id, error);
}

gboolean
fixture_order(const struct enroll *enroll, const struct enroll_order *order, gint64 *id,
	      GError **error)
{
	struct fixture_order act = { enroll, order, 0 };

	gboolean good = db_transaction(enroll->db, fixture_order_tx, &act, error);
	*id = act.id;
	return good;
}

struct enroll
fixture_enroll(struct fixture *f)
{
	return (struct enroll){ .db = f->db, .keyring = f->keyring, .clock = f->clock };
}

/* The certificate of a request that must succeed at once. */
struct cert *
fixture_issue(struct fixture *f, const struct enroll_order *order)
{
	struct enroll enroll = fixture_enroll(f);
	g_autoptr(GError) error = NULL;
	CLEANUP(request_row) struct request_row *row = NULL;
	gint64 id;

	g_assert_true(fixture_order(&enroll, order, &id, &error));
	g_assert_true(enroll_advance(&enroll, id, &row, &error));
	g_assert_no_error(error);
	g_assert_cmpstr(row->error_text, ==, NULL);
	g_assert_cmpint(row->state, ==, REQUEST_ISSUED);
	CLEANUP(cert_row) struct cert_row *stored = certs_find(f->db, row->thumbprint, &error);
	g_assert_no_error(error);
	struct cert *cert = cert_parse(stored->der, &error);
	g_assert_no_error(error);
	return cert;
}
