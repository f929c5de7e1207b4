/*
 * store_fixture - a scratch database that certificates, keys and lists are put into one by one.
 */
#ifndef TESTS_UNIT_PKI_STORE_FIXTURE_H
#define TESTS_UNIT_PKI_STORE_FIXTURE_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/crl.h"
#include "pki/crypto/key.h"
#include "pki/keyring.h"
#include "pki/select.h"
#include "pki/trust.h"
#include "store/ctl.h"
#include "store/preferences.h"
#include "store/scopes.h"
#include "store/selections.h"
#include "tests/support/scratch_pg.h"

struct world {
	struct scratch_pg *pg;
	struct clock *clock;
	struct db *db;
	struct keyring *keyring;
	struct preference_cache *preferences;
	struct trust *trust;
	struct select *select;
	guint made;
};

/* FALSE: skipped, as there is no database. Empty at each call; the clock is at PKI_NOW. */
gboolean world_up(struct world *world);
void world_down(struct world *world);
void world_cert(struct world *world, const struct cert *cert);
void world_pending(struct world *world, const struct cert *cert);
void world_root(struct world *world, const struct cert *cert);
void world_key(struct world *world, const struct key *key);
void world_crl(struct world *world, const struct crl *crl, const struct cert *issuer);
void world_own_ca(struct world *world, const struct cert *cert, const struct key *key);
void world_ctl(struct world *world, const struct cert *cert, enum ctl_kind kind,
	       gboolean allow_expired);
void world_preference(struct world *world, enum scope_kind kind, const char *name,
		      enum preference preference, const char *value);
void world_choose(struct world *world, enum scope_kind kind, const char *name,
		  enum selection_kind what, const struct cert *cert);

#endif
