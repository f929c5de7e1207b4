/*
 * keyring - the only user of private keys and of everything else that is sealed (K9, K10, K11).
 *
 * Keys are found by the SPKI digest of their certificate, opened on first use and kept open in a
 * bounded cache; one that leaves the store is closed as soon as that is heard. A row that does not
 * open (copied from another row, sealed under another master key, damaged) is an error that says
 * which of these it is, never "no key". A row that names a generation which is not known makes the
 * key file be read again once, so that programs follow a rotation without a restart. Threads: any.
 * Errors: NOT_FOUND no such key; INVALID it does not open; TEMPORARY database away.
 */
#ifndef PKI_KEYRING_H
#define PKI_KEYRING_H

#include <glib.h>

#include "pki/crypto/algorithms.h"
#include "store/base/cleanup.h"
#include "store/base/secret.h"
#include "store/keys.h"
#include "store/scopes.h"

struct cache_limits;
struct changelog;
struct clock;
struct db;
struct key;
struct keyring;
struct tx;

/* master_key_path: the file with the generations. Fails when it cannot be read: say so at start.
   changelog and limits may be NULL; all stay the caller's and live longer. */
struct keyring *keyring_open(struct db *db, struct changelog *changelog, struct clock *clock,
			     const char *master_key_path, const struct cache_limits *limits,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
void keyring_free(struct keyring *keyring);

/* A reference of the caller's. */
struct key *keyring_find(struct keyring *keyring, const char *spki_sha256,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Whether it is held; remembered like the keys themselves. *held is exact. */
gboolean keyring_holds(struct keyring *keyring, const char *spki_sha256, gboolean *held,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Seals and stores; harmless when it is there already (*is_new FALSE, may be NULL). */
gboolean keyring_store(struct keyring *keyring, struct tx *tx, const struct key *key,
		       const char *origin, gint64 request_id, gboolean *is_new,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Takes a ready one (pki/key_pool) or generates ("rsa:3072", "ec:P-256"), stores, returns it. */
struct key *keyring_generate(struct keyring *keyring, struct tx *tx, const char *algorithm,
			     gint64 request_id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* DENIED names what uses it, unless even_if_used. */
gboolean keyring_delete(struct keyring *keyring, struct tx *tx, const char *spki_sha256,
			gboolean even_if_used, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Other sealed values (K10). table and row as store/sealed.h says. */
GBytes *keyring_seal(struct keyring *keyring, const char *table, const char *row,
		     struct secret *secret, gint64 *generation,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct secret *keyring_unseal(struct keyring *keyring, const char *table, const char *row,
			      GBytes *sealed, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean keyring_set_preference(struct keyring *keyring, struct tx *tx, const struct scope *scope,
				const char *preference_name, struct secret *secret,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct secret *keyring_preference(struct keyring *keyring, const struct scope *scope,
				  const char *preference_name,
				  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A key for markers, ledgers, audit: HKDF of the newest generation with this label. */
struct secret *keyring_derive(struct keyring *keyring, const char *label, gsize length,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Of every generation that the file holds, newest first (struct secret): to recognise what was
 * made before a rotation. */
GPtrArray *keyring_derive_all(struct keyring *keyring, const char *label, gsize length,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same of that generation; INVALID: the key file, read again, does not hold it. */
struct secret *keyring_derive_at(struct keyring *keyring, gint64 generation, const char *label,
				 gsize length, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The i-th generation known, newest first; 0 after the last. */
gint64 keyring_generation_nth(struct keyring *keyring, guint i);

/* "rsa:3072", "ec:P-256" ...; INVALID says what there is. */
gboolean key_algorithm_parse(const char *text, enum key_kind *kind, unsigned int *bits,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
gint64 keyring_generation(struct keyring *keyring); /* the newest one known */
/* Reads the key file again (SIGHUP, or after rotate-master wrote it). */
gboolean keyring_reload(struct keyring *keyring, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Re-seals one batch of rows under the newest generation, in one transaction. *left 0: done.
   Interrupted anywhere, the next call goes on; mail flows meanwhile. batch 0: 100. */
gboolean keyring_rewrap(struct keyring *keyring, gint batch, gint64 *done, gint64 *left,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Opens every sealed row (doctor, restore). *checked counts; the first failure is the error. */
gboolean keyring_verify_all(struct keyring *keyring, gint64 *checked,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(keyring, keyring_free)

#endif
