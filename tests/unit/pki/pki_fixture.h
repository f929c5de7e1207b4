/*
 * pki_fixture - a scratch database with a master key and a keyring, for the tests of pki/.
 */
#ifndef TESTS_UNIT_PKI_PKI_FIXTURE_H
#define TESTS_UNIT_PKI_PKI_FIXTURE_H

#include <glib.h>
#include <string.h>

#include "pki/ca_crl.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/key.h"
#include "pki/crypto/seal.h"
#include "pki/enroll.h"
#include "pki/import.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/tx.h"
#include "tests/support/scratch_pg.h"

#define FIXTURE_NOW G_GINT64_CONSTANT(1800000000) /* 2027-01-15T08:00:00Z */

struct fixture {
	struct db *db;
	struct clock *clock;
	struct keyring *keyring;
	char *master_key; /* path */
};

extern struct scratch_pg *pg; /* the test program starts and stops it */

/* FALSE: skipped. An empty database, a new master key. */
gboolean fixture_up(struct fixture *f);
void fixture_down(struct fixture *f);
struct keyring *fixture_keyring(struct fixture *f, const char *path);

gboolean fixture_ca_create(struct fixture *f, const struct ca_create *options,
			   struct ca_created *created, GError **error);
/* A CA of the given key kind that is trusted and the default. */
struct ca_context fixture_ca_context(const struct fixture *f);
struct ca_created fixture_ca(struct fixture *f, const char *key);
void ca_created_clear(struct ca_created *created);

struct enroll fixture_enroll(struct fixture *f);
gboolean fixture_order(const struct enroll *enroll, const struct enroll_order *order, gint64 *id,
		       GError **error);
/* The certificate of a request that must succeed at once. */
struct cert *fixture_issue(struct fixture *f, const struct enroll_order *order);

#endif
