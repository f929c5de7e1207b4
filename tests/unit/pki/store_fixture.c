/*
 * store_fixture - see the header. Caches are made anew for each look: there is no change log.
 */
#include "tests/unit/pki/store_fixture.h"

#include "pki/crypto/seal.h"
#include "pki/import.h"
#include "store/cas.h"
#include "store/db/tx.h"
#include "tests/unit/pki/cert_fixture.h"

static void
open_caches(struct world *world)
{
	world->preferences = preference_cache_new(world->db, NULL, '+', NULL);
	world->trust = trust_new(world->db, NULL, world->clock, world->preferences, NULL);
	world->select =
	    select_new(world->db, NULL, world->clock, world->trust, world->preferences, '+', NULL);
}

static void
close_caches(struct world *world)
{
	select_free(world->select);
	trust_free(world->trust);
	preference_cache_free(world->preferences);
}

gboolean
world_up(struct world *world)
{
	g_autoptr(GError) error = NULL;

	if (scratch_pg_skip(world->pg))
		return FALSE;
	scratch_pg_empty(world->pg);
	world->clock = clock_new_fixed(PKI_NOW);
	world->db = scratch_pg_open(world->pg, DB_ROLE_DAEMON, world->clock);
	g_autofree char *path =
	    g_strdup_printf("%s/master-%u.key", scratch_pg_folder(world->pg), world->made++);
	g_assert_true(master_keys_create(path, &error));
	world->keyring = keyring_open(world->db, NULL, world->clock, path, NULL, &error);
	g_assert_no_error(error);
	open_caches(world);
	return TRUE;
}

void
world_down(struct world *world)
{
	close_caches(world);
	keyring_free(world->keyring);
	db_close(world->db);
	clock_free(world->clock);
}

struct act {
	struct world *world;
	const struct cert *cert, *issuer;
	const struct key *key;
	const struct crl *crl;
	struct import_options options;
	struct ctl_row ctl;
	struct scope *scope;
	enum preference preference;
	const char *value;
	struct selection_row selection;
};

static void
run(struct world *world, tx_func func, struct act *act)
{
	g_autoptr(GError) error = NULL;

	act->world = world;
	if (!db_transaction(world->db, func, act, &error))
		g_error("%s", error->message);
	close_caches(world);
	open_caches(world);
}

static gboolean
put_cert(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;
	gboolean is_new;

	return import_cert(tx, act->cert, &act->options, &is_new, error);
}

void
world_cert(struct world *world, const struct cert *cert)
{
	struct act act = { .cert = cert, .options = { .name = "test" } };

	run(world, put_cert, &act);
}

void
world_pending(struct world *world, const struct cert *cert)
{
	struct act act = { .cert = cert, .options = { .name = "test", .pending = TRUE } };

	run(world, put_cert, &act);
}

static gboolean
put_root(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;
	gboolean is_new;

	return import_root(tx, act->cert, "import", &is_new, error);
}

void
world_root(struct world *world, const struct cert *cert)
{
	struct act act = { .cert = cert };

	run(world, put_root, &act);
}

static gboolean
put_key(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return keyring_store(act->world->keyring, tx, act->key, "imported", 0, NULL, error);
}

void
world_key(struct world *world, const struct key *key)
{
	struct act act = { .key = key };

	run(world, put_key, &act);
}

static gboolean
put_crl(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;
	gboolean is_new;

	return import_crl(act->world->db, tx, act->crl, act->issuer, "test", &is_new, error);
}

void
world_crl(struct world *world, const struct crl *crl, const struct cert *issuer)
{
	struct act act = { .crl = crl, .issuer = issuer };

	run(world, put_crl, &act);
}

static gboolean
put_ctl(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return ctl_put(tx, &act->ctl, error);
}

void
world_ctl(struct world *world, const struct cert *cert, enum ctl_kind kind, gboolean allow_expired)
{
	struct act act = { .ctl = { .thumbprint = (char *)cert_thumbprint(cert),
				    .kind = kind,
				    .allow_expired = allow_expired } };

	run(world, put_ctl, &act);
}

static gboolean
put_preference(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return preferences_set(tx, act->scope, act->preference, act->value, error);
}

void
world_preference(struct world *world, enum scope_kind kind, const char *name,
		 enum preference preference, const char *value)
{
	CLEANUP(scope) struct scope *scope = scope_new(kind, name);
	struct act act = { .scope = scope, .preference = preference, .value = value };

	run(world, put_preference, &act);
}

static gboolean
put_own_ca(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;
	struct ca_row row = {
		.name = (char *)"test",
		.thumbprint = (char *)cert_thumbprint(act->cert),
		.issuer_key = (char *)cert_subject_key(act->cert),
		.spki_sha256 = (char *)cert_spki_sha256(act->cert),
		.is_default = TRUE,
		.created = PKI_NOW,
	};
	gint64 id;

	return keyring_store(act->world->keyring, tx, act->key, "generated", 0, NULL, error) &&
	       cas_insert(tx, &row, &id, error);
}

void
world_own_ca(struct world *world, const struct cert *cert, const struct key *key)
{
	struct act act = { .cert = cert, .key = key };

	run(world, put_own_ca, &act);
}

static gboolean
put_selection(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return selections_add(tx, &act->selection, error);
}

void
world_choose(struct world *world, enum scope_kind kind, const char *name, enum selection_kind what,
	     const struct cert *cert)
{
	CLEANUP(scope) struct scope *scope = scope_new(kind, name);
	struct act act = { .selection = { .scope = scope,
					  .kind = what,
					  .thumbprint = (char *)cert_thumbprint(cert) } };

	run(world, put_selection, &act);
}
